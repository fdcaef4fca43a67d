"""What the tests of model files share."""

from collections import OrderedDict

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError

H = 4


def random_model(seed=0, **options):
    torch.manual_seed(seed)
    return bf.BOTAN(**{"hidden_size": H, "num_steps": 3, **options})


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return list(a) == list(b) and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def refused(path):
    """The message of the CheckpointError that loading raises: one line that names the path."""
    with pytest.raises(CheckpointError) as caught:
        bf.load_model(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.startswith("path = '")
    return text


def authors_state(model):
    """The state of a model with a shared decoder under the names of the authors' code."""
    state = OrderedDict()
    for name, value in model.state_dict().items():
        name = name.replace("processor.edge_mlp", "network.edge_model.mlp")
        state[name.replace("processor.node_mlp", "network.node_model.mlp")] = value
    return state

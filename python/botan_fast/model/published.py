"""Weights that others published: the names and layouts of their files in terms of ours.

Both programs run seven steps with a cutoff of 2.0; neither file says so, nor what it was trained for. `CARDS` holds
what the authors say of files that they published, found by the digest of the weights: a file of a stranger with the
same layout has no card.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..errors import CheckpointError
from ..files import printable
from .card import ModelCard
from .config import state_shapes
from .tf_checkpoint import TensorBundle

__all__ = ["check_shapes", "from_glassy_dynamics", "from_pyg_botan", "published_card", "weights_digest"]

Shapes = Mapping[str, tuple[int, ...]]
_PYG_BOTAN = {"processor.edge_mlp": "network.edge_model.mlp", "processor.node_mlp": "network.node_model.mlp"}
# graph_independent is the encoder, graph_independent_1 the decoder; the edge_model of the decoder is never used.
_GLASSY_DYNAMICS = {
    "node_encoder": "Graph/graph_independent/node_model",
    "edge_encoder": "Graph/graph_independent/edge_model",
    "processor.edge_mlp": "Graph/graph_network/edge_block",
    "processor.node_mlp": "Graph/graph_network/node_block",
    "node_decoder": "Graph/graph_independent_1/node_model",
}
# Which block of H inputs of theirs is the k-th of ours. Their edge MLP reads e, e0, receiver x, x0, sender x, x0 and
# ours sender x, receiver x, e, e0, sender x0, receiver x0; their node MLP reads sum, x, x0 and ours x, x0, sum.
_GLASSY_BLOCKS = {"processor.edge_mlp.fc1.weight": [4, 2, 0, 1, 5, 3], "processor.node_mlp.fc1.weight": [1, 2, 0]}

# The Kob-Andersen mixture of both papers.
_MIXTURE: dict[str, Any] = {
    "temperatures": (0.44,),
    "species": ("A", "B"),
    "fractions": (0.8, 0.2),
    "density": 1.2,
    "dimensions": 3,
    "cutoff": 2.0,
}


def _pretrained(number: int) -> ModelCard:
    # Shiba et al. 2023: weights that begin every run with p < 1, trained for pairs alone at an early time.
    note = f"pretraining weights initial_model/model{number}.pth of the authors (github.com/h3-Open-BDEC/pyg_botan)"
    return ModelCard(outputs=("E",), p=0.0, times=(13.0,), note=note, **_MIXTURE)


# SHA-256 of the weights, see `weights_digest` -> what they were trained for. The authors' folder holds eight files; the
# digests of model5 to model8 are not known here, so those load without a card.
CARDS: dict[str, ModelCard] = {
    "9d34fb72b8623a8b50ab4ad568b9a00515abb2d9c3153c9924fe34e2ca913bc7": _pretrained(1),
    "e1c25954a366fa549b617f4d5fa2ecc6fdc26201c17e57a43aef48e8d9b0920d": _pretrained(2),
    "49eaf55588ce8c61389c24c8a1249e3a49facfc2fac4c7c0f2e288dac91cff4b": _pretrained(3),
    "ca2e914fd26827e2e852c386665b95c672d0b3fd9f8de1a4a59786a3f1974e50": _pretrained(4),
    "ae7189a5e4c1421a466201fdb30d88a8733f332b4d5de579af797b4ea3a8a48c": ModelCard(
        outputs=("S",),
        p=1.0,
        times=(0.132,),
        note="t044_s09 of DeepMind's glassy_dynamics (Bapst et al. 2020), for the time where F_s = 0.9",
        **_MIXTURE,
    ),
}


def weights_digest(state: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of the names and float32 values of a ``state_dict`` in our names."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().to("cpu", torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def published_card(state: Mapping[str, torch.Tensor]) -> ModelCard | None:
    """The card of weights that are known to be published ones, whatever file they lie in; else None."""
    return CARDS.get(weights_digest(state))


def check_shapes(path: Any, found: Shapes, expected: Shapes, extra_allowed: bool = False) -> None:
    """CheckpointError that names the first missing, misshaped or (unless allowed) surplus tensor."""
    for name, shape in expected.items():
        if name not in found:
            raise CheckpointError(
                f"path = '{path}' is of another architecture: tensor '{name}' of shape {shape} is missing"
            )
        if tuple(found[name]) != shape:
            raise CheckpointError(
                f"path = '{path}' is of another architecture: tensor '{name}' has shape {tuple(found[name])}, "
                f"expected {shape}"
            )
    for name, shape in found.items():
        if name not in expected and not extra_allowed:
            raise CheckpointError(
                f"path = '{path}' is of another architecture: tensor '{printable(name)}' of shape {tuple(shape)} "
                "is not expected"
            )


def _size(path: Any, found: Shapes, name: str, axis: int) -> int:
    """A size of the model from the tensor that tells it; the tensor itself is checked with all the others."""
    if name not in found or len(found[name]) != 2 or min(found[name]) < 1:
        what = f"has shape {tuple(found[name])}" if name in found else "is missing"
        raise CheckpointError(
            f"path = '{path}' is of another architecture: tensor '{name}' {what}, expected a matrix of the first layer"
        )
    return found[name][axis]


def from_pyg_botan(path: Any, state: Mapping[str, torch.Tensor]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and state of a ``state_dict`` of the authors' code, github.com/h3-Open-BDEC/pyg_botan.

    Their layers read the inputs in our order, so the names are all that differs. Node and edge decoder are one.
    """
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    if any(name.startswith("processor.") for name in found):
        raise CheckpointError(
            f"path = '{path}' holds BOTAN weights without a configuration; write the model with botan_fast.save_model"
        )
    config: dict[str, Any] = {
        "hidden_size": _size(path, found, "node_encoder.fc1.weight", 0),
        "num_steps": 7,
        "decoders": "shared",
        "dimensions": _size(path, found, "edge_encoder.fc1.weight", 1),
        "edge_node_skip": False,
        "self_edges": False,
        "cutoff": 2.0,
    }
    theirs = {name: _renamed(name, _PYG_BOTAN) for name in state_shapes(config)}
    check_shapes(path, found, {theirs[name]: shape for name, shape in state_shapes(config).items()})
    return config, {ours: state[name] for ours, name in theirs.items()}


def from_glassy_dynamics(path: Any) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Configuration and state of a TensorFlow checkpoint of DeepMind's ``glassy_dynamics`` (Bapst et al., Nature
    Physics 16, 448 (2020)): weights are (in, out) and the MLP inputs come in another order."""
    bundle = TensorBundle(path)
    found = bundle.shapes
    config: dict[str, Any] = {
        "hidden_size": _size(path, found, "Graph/graph_independent/node_model/mlp/linear_0/w", 1),
        "num_steps": 7,
        "decoders": "node",
        "dimensions": _size(path, found, "Graph/graph_independent/edge_model/mlp/linear_0/w", 0),
        "edge_node_skip": True,
        "self_edges": True,
        "cutoff": 2.0,
    }
    theirs, expected = {}, {}
    for name, shape in state_shapes(config).items():
        module, layer, kind = name.rsplit(".", 2)
        theirs[name] = f"{_GLASSY_DYNAMICS[module]}/mlp/linear_{int(layer[2:]) - 1}/{kind[0]}"
        expected[theirs[name]] = shape[::-1]
    check_shapes(path, found, expected, extra_allowed=True)  # the optimizer's moments lie in the same file
    state = {}
    for name, their_name in theirs.items():
        value = bundle.read(their_name)
        if name in _GLASSY_BLOCKS:
            blocks = value.reshape(-1, config["hidden_size"], value.shape[1])
            value = blocks[_GLASSY_BLOCKS[name]].reshape(value.shape)
        state[name] = torch.from_numpy(np.array(value.T, dtype=np.float32, order="C"))
    return config, state


def _renamed(name: str, modules: Mapping[str, str]) -> str:
    module, layer, kind = name.rsplit(".", 2)
    return f"{modules.get(module, module)}.{layer}.{kind}"

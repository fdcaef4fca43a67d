"""The targets of a run in a few numbers: rounding leaves them as they are, a change anywhere does not."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.training.fingerprint import describe_targets, first_difference
from tests.helpers.runs import run
from tests.helpers.tiny_data import write_tiny


@pytest.fixture
def sample(tmp_path):
    [one] = bf.load_samples(write_tiny(tmp_path / "a.npz", 1))
    return one


def with_targets(sample, **arrays):
    return bf.Sample(sample.graph, dataclasses.replace(sample.targets, **arrays), "a", sample.positions)


def difference(a, b):
    """As a file keeps them."""
    was, now = (json.loads(json.dumps(describe_targets([s], "S"))) for s in (a, b))
    return first_difference(["a"], was, now)


def test_rounding_is_no_difference(sample):
    t = sample.targets
    noise = 1 + 1e-7 * torch.randn(len(t.propensity), generator=torch.Generator().manual_seed(0))
    assert difference(sample, with_targets(sample, propensity=t.propensity * noise)) is None


@pytest.mark.parametrize("name", ["propensity", "pair_change"])
@pytest.mark.parametrize("change", ["swap", "one", "sign", "shuffle"])
def test_every_change_is_found(sample, name, change):
    values = getattr(sample.targets, name).clone()
    if change == "swap":
        i, j = int(values.argmin()), int(values.argmax())
        values[[i, j]] = values[[j, i]]
    elif change == "one":
        values[7] += 0.01 * values.square().mean().sqrt()
    elif change == "sign":
        values = -values
    else:
        values = values[torch.randperm(len(values), generator=torch.Generator().manual_seed(0))]
    assert difference(sample, with_targets(sample, **{name: values})) == f"{name} of a"


def test_what_one_of_them_does_not_know(sample):
    known = describe_targets([sample], "S")
    known[0] |= {"time": 4.0, "temperature": 0.44}
    assert first_difference(["a"], known, describe_targets([sample], "S")) is None
    assert first_difference(["a"], known, [{**known[0], "temperature": 0.5}]) == "temperature of a: 0.5 instead of 0.44"


def test_directions_do_not_depend_on_the_length(sample):
    from botan_fast.training.fingerprint import _projections

    values = np.random.default_rng(0).random(100)
    longer = np.concatenate([values, np.zeros(1000)])
    np.testing.assert_allclose(_projections(values), _projections(longer), rtol=1e-12)


def test_runs_of_older_versions_go_on(tiny_data, tmp_path):
    run(tiny_data, epochs=1, output=tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    for part in ("train", "test"):
        assert len(config[part].pop("targets")) == len(config[part]["names"])
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert len(run(tiny_data, epochs=2, output=tmp_path, resume=True).history) == 2

"""The ceiling of a finite number of runs: on data whose truth is known, and the halves of the runs that it is of."""

import math

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data.structure import Structure, with_structure
from botan_fast.data.times import join_times
from botan_fast.evaluation.ceiling import largest_pearson, reliability
from botan_fast.evaluation.coefficients import pearson
from tests.helpers.tiny_data import tiny_arrays, write_tiny


@pytest.mark.parametrize("runs", [2, 5, 32])
def test_the_ceiling_is_the_pearson_of_the_truth(runs):
    """A model that knows the mean over infinitely many runs reaches it; of an odd number of runs too."""
    rng = np.random.default_rng(runs)
    truth = rng.standard_normal(40_000)
    each = truth + 1.5 * rng.standard_normal((runs, len(truth)))
    halves = [each[first : 2 * (runs // 2) : 2].mean(axis=0) for first in (0, 1)]
    found = reliability(*halves, runs)
    assert found == pytest.approx(1 / (1 + 1.5**2 / runs), abs=0.015)
    assert largest_pearson(found) == pytest.approx(pearson(truth, each.mean(axis=0)), abs=0.015)


def test_spearman_and_brown():
    x, y = np.random.default_rng(0).standard_normal((2, 1000))
    y = y + x
    r = pearson(x, y)
    assert reliability(x, y, 8) == pytest.approx(2 * r / (1 + r), abs=1e-14)
    assert reliability(x, y, 5) == pytest.approx(2.5 * r / (1 + 1.5 * r), abs=1e-14)
    assert reliability(x, -y, 8) == 0.0
    assert math.isnan(reliability(x, np.ones(1000), 8))


@pytest.mark.parametrize("runs", [2, 5, 6])
def test_halves_are_every_other_run(tmp_path, runs):
    path = write_tiny(tmp_path / "a.npz", seed=3, runs=runs)
    arrays = tiny_arrays(3, runs=runs)
    [sample] = bf.load_samples(path, halves=True, node_target="D")
    for first, half in enumerate(sample.halves):
        chosen = arrays["positions"][first : 2 * (runs // 2) : 2]
        expected = bf.isoconfigurational_targets(arrays["initial_positions"], chosen, sample.graph, "SED")
        for name in ("propensity", "pair_change", "nonaffine_displacement"):
            torch.testing.assert_close(getattr(half.targets, name), getattr(expected, name), rtol=0, atol=0)
        assert half.targets.num_runs == runs // 2
        assert half.graph is sample.graph
    plain = bf.load_samples(path, node_target="D")[0]
    assert torch.equal(plain.targets.propensity, sample.targets.propensity)
    assert plain.halves is None


def test_one_run_has_no_halves(tmp_path):
    path = write_tiny(tmp_path / "a.npz", seed=3, runs=1)
    assert bf.load_samples(path, halves=True)[0].halves is None
    scores = bf.evaluate(bf.BOTAN(hidden_size=8, num_steps=1), path)
    assert scores["ceiling"] is None
    assert scores["ceiling_reason"] == "targets of one run have no halves to compare"
    assert scores["species"]["A"]["ceiling"] is None


def test_halves_go_along(tmp_path):
    """To what a model reads, to several times, and to another device."""
    path = write_tiny(tmp_path / "a.npz", seed=3, number=200)
    [sample] = bf.load_samples(path, halves=True)
    assert [half.targets.num_runs for half in sample.to("cpu").halves] == [3, 3]
    [with_energy] = with_structure([sample], Structure(arrays=("energy",)))
    for half, plain in zip(with_energy.halves, sample.halves, strict=True):
        assert torch.equal(half.targets.pair_change, plain.targets.pair_change)
        assert "energy" in half.graph.arrays

    other = bf.load_samples(write_tiny(tmp_path / "b.npz", seed=3, number=200, runs=4), halves=True)[0]
    sample.time, other.time = 1.0, 13.0
    [joined] = join_times([sample, other], [1.0, 13.0])
    for number, half in enumerate(joined.halves):
        expected = [part.halves[number].targets.propensity for part in (sample, other)]
        assert torch.equal(half.targets.propensity, torch.stack(expected, 1))
        assert half.times == (1.0, 13.0)


def test_pairs_of_the_inherent_structure_have_a_ceiling(tmp_path):
    """E_ij of pairs that the thermal graph does not have comes from the runs of each half."""
    path = write_tiny(tmp_path / "a.npz", seed=3, number=200)
    model = bf.BOTAN(hidden_size=8, num_steps=1, structure={"pairs": "inherent"})
    scores = bf.evaluate(model, path)
    assert 0 <= scores["pairs"]["A-A"]["ceiling"] <= 1
    assert scores["ceiling"] == {
        "node": scores["species"]["A"]["ceiling"],
        "edge": scores["pairs"]["A-A"]["ceiling"],
        "runs": 6,
    }


def test_evaluate_finds_the_ceiling_of_files_with_runs(tiny_data, tiny_model, tmp_path):
    scores = bf.evaluate(tiny_model, tiny_data / "test/*.npz")
    each = {"A": [], "B": []}
    for sample in bf.load_samples(tiny_data / "test/*.npz", halves=True):
        first, second = (half.targets.propensity.double().numpy() for half in sample.halves)
        for k, name in enumerate("AB"):
            chosen = sample.types == k
            r = np.corrcoef(first[chosen], second[chosen])[0, 1]
            each[name].append(2 * r / (1 + r))
    for name in "AB":
        assert scores["species"][name]["reliability"] == pytest.approx(np.mean(each[name]), abs=1e-12)
        assert scores["species"][name]["ceiling"] == pytest.approx(np.mean(np.sqrt(each[name])), abs=1e-12)
    assert scores["ceiling"]["runs"] == 6
    assert scores["ceiling_reason"] is None

    bf.convert(str(tiny_data / "test/*.npz"), tmp_path / "test.h5", density=1.2)
    stored = bf.evaluate(tiny_model, tmp_path / "test.h5")
    assert stored["ceiling"] is None
    assert stored["ceiling_reason"].startswith("the data hold targets and not the runs behind them")
    assert stored["species"]["A"]["pearson"] == pytest.approx(scores["species"]["A"]["pearson"], abs=1e-6)

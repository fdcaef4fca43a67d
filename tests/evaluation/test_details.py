"""The scores one by one: which particles and pairs they are of, and where they stand."""

import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.errors import InputError
from botan_fast.evaluation.details import check_windows
from botan_fast.physics.heterogeneity import pair_sums
from tests.evaluation.test_scores import Fixed
from tests.helpers.tiny_data import write_tiny

OLD = ("node_loss", "node_pearson", "edge_loss", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled")


def guesses(samples, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (
            (s.targets.propensity.numpy() + 0.1 * rng.standard_normal(s.graph.num_nodes)).astype(np.float32),
            (0.3 * s.targets.pair_change.numpy() + 0.1 * rng.standard_normal(s.graph.num_edges)).astype(np.float32),
        )
        for s in samples
    ]


@pytest.fixture
def scored(tiny_data):
    samples = bf.load_samples(tiny_data / "train/*.npz")
    outputs = guesses(samples)
    return samples, outputs, bf.evaluate(Fixed(outputs), samples, windows=[0, 1.1, 1.35, 2])


def correlations(pairs):
    return np.mean([np.corrcoef(np.float64(x), y)[0, 1] for x, y in pairs])


def test_species_are_all_particles_of_a_type(scored):
    samples, outputs, scores = scored
    assert list(scores["species"]) == ["A", "B"]
    for kind, name in enumerate(scores["species"]):
        pairs = []
        for sample, (node, _) in zip(samples, outputs, strict=True):
            chosen = sample.types == kind
            pairs.append((node[chosen], sample.targets.propensity.double().numpy()[chosen]))
        found = scores["species"][name]
        assert found["pearson"] == pytest.approx(correlations(pairs), abs=1e-12)
        assert found["loss"] == pytest.approx(np.mean([np.mean((x - y) ** 2) for x, y in pairs]), abs=1e-12)
        assert found["number"] == sum(len(x) for x, _ in pairs)


def test_pairs_are_those_of_two_species_in_a_window(scored):
    samples, outputs, scores = scored
    assert list(scores["pairs"]) == ["A-A", "A-B", "B-B"]
    for name, found in scores["pairs"].items():
        kinds = {"AB".index(letter) for letter in name.split("-")}
        assert [row["window"] for row in (found, *found["bins"])] == [[0.0, 2.0], [0.0, 1.1], [1.1, 1.35], [1.35, 2.0]]
        for row in (found, *found["bins"]):
            pairs = []
            for sample, (_, edge) in zip(samples, outputs, strict=True):
                g = sample.graph
                r = g.vectors.double().norm(dim=1).numpy()
                ends = np.stack([sample.types[g.senders.numpy()], sample.types[g.receivers.numpy()]], 1).tolist()
                mask = (
                    np.array([set(both) == kinds for both in ends]) & (r >= row["window"][0]) & (r < row["window"][1])
                )
                pairs.append((edge[mask], sample.targets.pair_change.double().numpy()[mask]))
            assert row["pearson"] == pytest.approx(correlations(pairs), abs=1e-12)
            assert row["number"] == sum(len(x) for x, _ in pairs)
        assert found["number"] == sum(row["number"] for row in found["bins"])


def test_the_scores_of_the_paper_are_among_them(tiny_data, tiny_model):
    """Type A and the A-A pairs of the first shell, by default, bit for bit."""
    scores = bf.evaluate(tiny_model, tiny_data / "train/*.npz")
    assert scores["pairs"]["A-A"]["window"] == [0.0, 1.35]
    assert "bins" not in scores["pairs"]["A-A"]
    for name, found in (("node", scores["species"]["A"]), ("edge", scores["pairs"]["A-A"])):
        for end in ("pearson", "pearson_pooled"):
            assert scores[f"{name}_{end}"] == found[end]
            assert scores["intervals"][f"{name}_{end}"] == found["interval"][end]
    low, high = scores["intervals"]["node_loss"]
    assert low < scores["node_loss"] < high
    json.dumps(scores)  # numbers, lists and texts alone


def test_windows_leave_the_scores_of_the_paper_alone(tiny_data, tiny_model):
    plain = bf.evaluate(tiny_model, tiny_data / "test/*.npz")
    other = bf.evaluate(tiny_model, tiny_data / "test/*.npz", windows=1.0)
    assert {name: plain[name] for name in OLD} == {name: other[name] for name in OLD}
    assert other["pairs"]["A-A"]["window"] == [0.0, 1.0]
    assert other["pairs"]["A-A"]["number"] < plain["pairs"]["A-A"]["number"]


def test_self_edges_are_no_pairs(tiny_data):
    model = bf.BOTAN(hidden_size=8, num_steps=1, self_edges=True)
    [sample] = bf.load_samples(tiny_data / "test/conf_20.npz")
    scores = bf.evaluate(model, tiny_data / "test/conf_20.npz", windows=[0, 2])
    assert sum(found["number"] for found in scores["pairs"].values()) == sample.graph.num_edges


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([1, 1], "give ascending distances"),
        ([-1, 1], "not negative"),
        ([0], "give ascending distances"),
        ([0, np.inf], "give ascending distances"),
        ("near", "windows is not an array of real numbers"),
        ([0, 2.5], "windows end at 2.5, beyond the model's cutoff 2, where it has no pairs"),
    ],
)
def test_bad_windows(tiny_data, tiny_model, windows, message):
    with pytest.raises(InputError, match=message):
        bf.evaluate(tiny_model, tiny_data / "missing.npz", windows=windows)  # before anything is read


def test_windows_end_at_a_short_cutoff():
    assert check_windows(None, 1.2) == (0.0, 1.2)


def test_heterogeneity_is_that_of_type_a(scored):
    """chi_4 and G(r) by their definitions, of targets and of predictions."""
    samples, outputs, scores = scored
    found = scores["heterogeneity"]
    actual = [s.targets.propensity.double().numpy()[s.types == 0] for s in samples]
    predicted = [np.float64(node)[s.types == 0] for s, (node, _) in zip(samples, outputs, strict=True)]
    length = np.median(np.concatenate(actual))
    assert found["length"] == pytest.approx(length)
    for name, values in (("actual", actual), ("predicted", predicted)):
        overlaps = np.array([(one < length).mean() for one in values])
        assert found["chi_4"][name] == pytest.approx(64 * overlaps.var(ddof=1), rel=1e-12)
        every = np.concatenate(values)
        sums = [
            pair_sums(s.positions.numpy()[s.types == 0], s.box, one - every.mean(), 0.25 * np.arange(9))
            for s, one in zip(samples, values, strict=True)
        ]
        number = sum(one.number for one in sums)
        expected = sum(one.product for one in sums) / number / every.var()
        np.testing.assert_allclose(found["correlation"][name], expected, atol=1e-9)
        low, high = found["chi_4"]["interval"][name]
        assert low <= found["chi_4"][name] <= high
    np.testing.assert_allclose(found["correlation"]["r"], 0.125 + 0.25 * np.arange(8))


def test_one_configuration_has_no_chi_4(tiny_data, tiny_model):
    scores = bf.evaluate(tiny_model, tiny_data / "test/conf_20.npz")
    assert scores["heterogeneity"]["chi_4"] is None
    assert scores["heterogeneity"]["correlation"] is not None
    assert set(scores["intervals"].values()) == {None}


def test_a_model_without_edges(tiny_data):
    model = bf.BOTAN(hidden_size=16, num_steps=1, decoders="node", self_edges=True, edge_node_skip=True)
    scores = bf.evaluate(model, tiny_data / "test/*.npz")
    assert scores["pairs"] == {}
    assert scores["intervals"]["edge_pearson"] is None
    assert scores["ceiling"]["edge"] is None
    assert 0 < scores["ceiling"]["node"] <= 1


def two_times(tmp_path):
    found = []
    for time in (1.0, 13.0):
        for seed in (3, 4):
            path = write_tiny(tmp_path / f"{seed}_{time:g}.npz", seed=seed, runs=4 if time == 1 else 6)
            [sample] = bf.load_samples(path, halves=True)
            sample.time, sample.temperature, sample.name = time, 0.5, str(seed)
            found.append(sample)
    return found


def test_each_temperature_and_time_has_its_own(tmp_path, tiny_model):
    samples = two_times(tmp_path)
    scores = bf.evaluate(tiny_model, samples)
    assert scores["heterogeneity"] is None  # not of two states together
    assert "time" not in scores
    for k, row in enumerate(scores["conditions"]):
        alone = bf.evaluate(tiny_model, samples[2 * k : 2 * k + 2])
        assert alone["time"] == (1.0, 13.0)[k]
        assert alone["temperature"] == 0.5
        assert row == alone
        assert row["ceiling"]["runs"] == (4, 6)[k]


def test_each_time_of_a_model_has_its_own(tmp_path):
    samples = two_times(tmp_path)
    joined = join_times(samples, [1.0, 13.0])
    node = torch.randn(2, 80, 2, generator=torch.Generator().manual_seed(0))
    model = Fixed([(node[k], torch.zeros(s.graph.num_edges, 2)) for k, s in enumerate(joined)])
    model.config |= {"num_outputs": 2}
    scores = bf.evaluate(model, joined)
    assert "species" not in scores
    for k, row in enumerate(scores["times"]):
        own = samples[2 * k : 2 * k + 2]
        single = Fixed([(node[c, :, k], torch.zeros(s.graph.num_edges)) for c, s in enumerate(own)])
        alone = bf.evaluate(single, own)
        for name in ("species", "pairs", "ceiling", "heterogeneity", "intervals"):
            if name == "ceiling":  # the runs of a joined sample are the fewest of its times
                assert row[name]["node"] == alone[name]["node"]
            elif name != "pairs":
                assert repr(row[name]) == repr(alone[name])  # nan is nan

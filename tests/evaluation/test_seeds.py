"""Median, best and worst over trainings."""

import csv
import io
import math

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.evaluation.seeds import RANGED, RANGED_OF_GROUPS, evaluate_seeds, over_seeds
from tests.helpers.tiny_data import TINY


@pytest.fixture
def seeds(tmp_path):
    """Run folders' files of one name, as trainings of several seeds have them."""
    paths = []
    with torch.random.fork_rng():
        for seed in range(3):
            torch.manual_seed(seed)
            (tmp_path / f"seed{seed}").mkdir()
            paths.append(tmp_path / f"seed{seed}" / "last.safetensors")
            bf.save_model(bf.BOTAN(**TINY), paths[-1])
    return paths


def test_median_best_and_worst_of_models_alone(seeds, tiny_data):
    data = tiny_data / "test/*.npz"
    scores = evaluate_seeds(seeds, data)
    alone = [bf.evaluate(path, data) for path in seeds]
    for name, largest in RANGED.items():
        values = sorted(one[name] for one in alone)
        best, worst = (values[2], values[0]) if largest else (values[0], values[2])
        assert scores["range"][name] == {"median": values[1], "best": best, "worst": worst}
        assert scores[name] == values[1]
    assert [one["model"] for one in scores["seeds"]] == [str(path) for path in seeds]
    for one, expected in zip(scores["seeds"], alone, strict=True):
        assert {name: one[name] for name in expected} == expected
    assert scores["num_configurations"] == 2
    assert bf.evaluate(seeds, data)["node_pearson"] != scores["node_pearson"]  # that is an ensemble


def test_species_and_pairs_have_ranges(seeds, tiny_data):
    data, windows = tiny_data / "test/*.npz", [0, 1.35, 2]
    found = evaluate_seeds(seeds, data, windows=windows)["range_of_groups"]
    alone = [bf.evaluate(path, data, windows=windows) for path in seeds]
    assert list(found["species"]) == ["A", "B"]
    assert list(found["pairs"]) == ["A-A", "A-B", "B-B"]
    groups = [(found["species"]["B"], [one["species"]["B"] for one in alone])]
    groups.append((found["pairs"]["A-B"], [one["pairs"]["A-B"] for one in alone]))
    groups.append((found["pairs"]["A-B"]["bins"][1], [one["pairs"]["A-B"]["bins"][1] for one in alone]))
    for ranges, of_seeds in groups:
        for name, largest in RANGED_OF_GROUPS.items():
            values = sorted(one[name] for one in of_seeds)
            best, worst = (values[2], values[0]) if largest else (values[0], values[2])
            assert ranges[name] == {"median": values[1], "best": best, "worst": worst}
    assert found["pairs"]["A-B"]["bins"][1]["window"] == [1.35, 2.0]


@pytest.mark.parametrize("number", [1, 2])
def test_one_and_an_even_number_of_seeds(seeds, tiny_data, number):
    """The median of two lies between them, and of one model all three are its score."""
    found = evaluate_seeds(seeds[:number], tiny_data / "test/*.npz")
    values = [one["node_pearson"] for one in found["seeds"]]
    assert found["range"]["node_pearson"] == {"median": np.mean(values), "best": max(values), "worst": min(values)}


def test_outputs_have_ranges_at_each_time(tmp_path, tiny_data):
    path = bf.convert(tiny_data / "test/*.npz", tmp_path / "a.h5", time=1.0, temperature=0.5)
    bf.convert(tiny_data / "test/*.npz", path, time=13.0, temperature=0.5, append=True)
    models = [bf.train(path, time=[1.0, 13.0], epochs=1, seed=k, progress=False, **TINY).model for k in range(3)]
    found = evaluate_seeds(models, path)
    assert [row["time"] for row in found["times"]] == [1.0, 13.0]
    for k, row in enumerate(found["times"]):
        values = sorted(bf.evaluate(model, path)["times"][k]["node_pearson"] for model in models)
        assert row["range"]["node_pearson"] == {"median": values[1], "best": values[2], "worst": values[0]}
        assert row["range_of_groups"]["species"]["A"]["pearson"] == row["range"]["node_pearson"]


def test_each_temperature_has_a_range(seeds, tiny_data):
    samples = bf.load_samples(tiny_data / "test/*.npz")
    for number, sample in enumerate(samples):
        sample.temperature, sample.time = 0.44 + number / 10, 13.0
    scores = evaluate_seeds(seeds, samples)
    for number, row in enumerate(scores["conditions"]):
        values = [bf.evaluate(path, [samples[number]])["node_pearson"] for path in seeds]
        assert row["range"]["node_pearson"]["median"] == pytest.approx(np.median(values), abs=1e-12)
        assert (row["temperature"], row["time"]) == (samples[number].temperature, 13.0)


def test_models_without_edges_have_no_range_of_them(tiny_data):
    models = [bf.BOTAN(hidden_size=8, num_steps=1, decoders="node") for _ in range(2)]
    scores = evaluate_seeds(models, tiny_data / "test/*.npz")
    assert scores["edge_pearson"] is None
    assert scores["range"]["edge_loss"] is None
    assert [one["model"] for one in scores["seeds"]] == ["the model"] * 2


def test_seeds_differ_in_nothing_else(tiny_data, tiny_model, seeds):
    data = tiny_data / "test/*.npz"
    with pytest.raises(InputError, match=r"has cutoff = 2\.0 but the model has 1\.5; seeds are trainings"):
        evaluate_seeds([seeds[0], bf.BOTAN(hidden_size=8, num_steps=1, cutoff=1.5)], data)
    with pytest.raises(InputError, match="read different structure"):
        evaluate_seeds([tiny_model, bf.BOTAN(**TINY, structure={"pairs": "inherent"})], data)
    for models in ([], "a.safetensors"):
        with pytest.raises(InputError, match="models must be a list"):
            evaluate_seeds(models, data)


def test_seeds_are_scored_on_the_same_data(tmp_path, tiny_data):
    """Models of two times would take one each, unasked."""
    path = bf.convert(tiny_data / "test/*.npz", tmp_path / "a.h5", time=1.0, temperature=0.5)
    bf.convert(tiny_data / "test/*.npz", path, time=13.0, temperature=0.5, append=True)
    models = []
    for time in (1.0, 13.0):
        trained = bf.train(bf.Dataset(path).select(time=time), epochs=1, progress=False, **TINY)
        models.append(trained.model)
    with pytest.raises(InputError, match=r"scored at different temperatures or times.*choose with temperature="):
        evaluate_seeds(models, path)
    assert evaluate_seeds(models, path, time=13.0)["num_configurations"] == 2


ROWS = [
    {"time": time, "seed": seed, "node_pearson": 0.7 + 0.01 * seed + 0.001 * time, "node_loss": 0.1 * (seed + 1)}
    for time in (1.3, 13.0)
    for seed in (2, 0, 1)
]


def test_rows_of_a_table_are_grouped():
    found = over_seeds(ROWS, by=["time"])
    assert [(group["time"], group["number"]) for group in found] == [(1.3, 3), (13.0, 3)]
    assert found[0]["node_pearson"] == pytest.approx({"median": 0.7113, "best": 0.7213, "worst": 0.7013})
    assert found[0]["node_loss"] == pytest.approx({"median": 0.2, "best": 0.1, "worst": 0.3})
    assert "edge_pearson" not in found[0]
    assert over_seeds([], by=["time"]) == []


def test_rows_of_a_csv_are_numbers_too():
    text = io.StringIO()
    writer = csv.DictWriter(text, ["time", "seed", "node_pearson", "node_loss", "edge_pearson"], restval="")
    writer.writeheader()
    writer.writerows(ROWS)
    read = csv.DictReader(io.StringIO(text.getvalue()))
    found = over_seeds(list(read), by=["time"])
    expected = over_seeds(ROWS, by=["time"])
    assert [group["node_pearson"] for group in found] == [group["node_pearson"] for group in expected]
    assert "edge_pearson" not in found[0]


def test_lists_of_times_are_groups_and_nan_is_nan():
    rows = [{"time": [1.0, 13.0], "node_pearson": value} for value in (0.5, math.nan)]
    [group] = over_seeds(rows, by=["time"])
    assert group["number"] == 2
    assert all(math.isnan(value) for value in group["node_pearson"].values())


def test_bad_rows():
    with pytest.raises(InputError, match=r"by = \['tine'\]: no row has 'tine'; the rows have time, seed"):
        over_seeds(ROWS, by=["tine"])
    with pytest.raises(InputError, match="node_pearson that is no number"):
        over_seeds([{"time": 1.0, "node_pearson": "high"}], by=["time"])

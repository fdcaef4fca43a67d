"""Scores as a table: what each row is of, and that numbers come back."""

import csv
import io

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.evaluation.rows import COLUMNS, score_rows, scores_csv
from botan_fast.evaluation.seeds import evaluate_seeds
from tests.evaluation.test_scores import Fixed
from tests.helpers.tiny_data import TINY


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_row_for_each_group(tiny_data, tiny_model):
    scores = bf.evaluate(tiny_model, tiny_data / "train/*.npz", windows=[0, 1, 2])
    rows = read(scores_csv(scores))
    assert [row["group"] for row in rows] == ["A", "B"] + ["A-A"] * 3 + ["A-B"] * 3 + ["B-B"] * 3
    assert {row["of"] for row in rows[:2]} == {"node"}
    assert [(row["window_low"], row["window_high"]) for row in rows[2:5]] == [
        ("0.0", "2.0"),
        ("0.0", "1.0"),
        ("1.0", "2.0"),
    ]
    found = scores["species"]["A"]
    for name in ("pearson", "spearman", "slope", "loss", "ceiling", "reliability", "spearman_pooled"):
        assert float(rows[0][name]) == found[name]
    assert [float(rows[0][f"pearson_{end}"]) for end in ("low", "high")] == found["interval"]["pearson"]
    assert float(rows[0]["chi_4"]) == scores["heterogeneity"]["chi_4"]["actual"]
    assert float(rows[0]["chi_4_predicted"]) == scores["heterogeneity"]["chi_4"]["predicted"]
    assert rows[1]["chi_4"] == ""
    assert float(rows[3]["pearson"]) == scores["pairs"]["A-A"]["bins"][0]["pearson"]


def test_what_is_unknown_is_empty(tiny_data):
    [sample] = bf.load_samples(tiny_data / "test/conf_20.npz")
    constant = Fixed([(torch.zeros(sample.graph.num_nodes), torch.zeros(sample.graph.num_edges))])
    scores = bf.evaluate(constant, [sample])
    assert np.isnan(scores["species"]["A"]["pearson"])
    row = read(scores_csv(scores))[0]
    assert row["pearson"] == row["pearson_low"] == row["chi_4"] == row["model"] == ""
    assert float(row["loss"]) == scores["species"]["A"]["loss"]


def test_states_and_models_have_their_rows(tiny_data):
    samples = bf.load_samples(tiny_data / "test/*.npz")
    for number, sample in enumerate(samples):
        sample.temperature, sample.time = 0.44 + number / 10, 13.0
    models = [bf.BOTAN(**TINY) for _ in range(2)]
    one = score_rows(bf.evaluate(models[0], samples))
    assert [row["temperature"] for row in one] == [0.44] * 5 + [0.54] * 5
    scores = evaluate_seeds(models, samples)
    both = score_rows(scores)
    assert [{k: v for k, v in row.items() if k != "model"} for row in both[:10]] == one
    assert set().union(*both) <= set(COLUMNS)
    other, over = both[10:20], both[20:]
    assert [row["model"] for row in over] == ["median"] * 10 + ["best"] * 10 + ["worst"] * 10
    for first, second, median, best, worst in zip(one, other, over[:10], over[10:20], over[20:], strict=True):
        where = ("temperature", "time", "of", "group", "window_high", "num_configurations")
        assert [median.get(name) for name in where] == [first.get(name) for name in where]
        values = first["pearson"], second["pearson"]
        assert (median["pearson"], best["pearson"], worst["pearson"]) == (np.mean(values), max(values), min(values))
        assert best["loss"] == min(first["loss"], second["loss"])


@pytest.mark.parametrize("scores", [{"species": {}, "pairs": {}}, {"species": {}}])
def test_a_table_without_rows_has_its_head(scores):
    assert scores_csv(scores) == ",".join(COLUMNS) + "\n"

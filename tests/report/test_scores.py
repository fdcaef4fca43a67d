"""Scores become tables: the keys of `evaluate`, and dashes for what nobody knows."""

import math

import pytest

from botan_fast.report.scores import Cell, comparison, condition_table, score_table

MEASURES = {
    "number": 800,
    "num_configurations": 2,
    "pearson": 0.51,
    "pearson_pooled": 0.5,
    "spearman": 0.49,
    "loss": 0.00648,
    "slope": 1.1,
    "interval": {"pearson": [0.4, 0.6], "loss": None},
    "ceiling": None,
}
SCORES = {
    "node_pearson": 0.51,
    "edge_pearson": None,
    "num_configurations": 2,
    "intervals": {"node_pearson": [0.4, 0.6], "edge_pearson": None},
    "species": {"A": MEASURES, "B": {**MEASURES, "pearson": math.nan, "interval": {}}},
    "pairs": {"A-A": {**MEASURES, "window": [0.0, 1.35]}, "A-B": {**MEASURES, "window": [1.35, 2.0]}},
}


def test_rows_are_species_and_pairs():
    table = score_table(SCORES)
    assert [name for name, _ in table.rows] == [
        "particles of type A",
        "particles of type B",
        "A-A pairs, r < 1.35",
        "A-B pairs, 1.35 ≤ r < 2",
    ]
    assert table.heads == ["Pearson", "pooled", "Spearman", "slope", "mean squared error"]  # nobody knows a ceiling
    assert table.rows[0][1][0] == Cell("0.510", "0.400 to 0.600")
    assert table.rows[0][1][4] == Cell("0.00648")
    assert table.rows[1][1][0] == Cell("–")
    assert "95 %" in table.caption


def test_scores_without_details_have_the_first_four():
    table = score_table({"node_pearson": 0.5, "node_pearson_pooled": 0.4, "node_loss": 0.01, "num_configurations": 1})
    assert table.caption == "Means over 1 configuration"
    assert table.rows == [("particles of type A", [Cell("0.500"), Cell("0.400"), Cell("0.01")])]


def test_a_row_for_each_temperature_and_time():
    rows = [{"temperature": 0.44, "time": 13.0, "node_pearson": 0.5}, {"temperature": None, "time": None}]
    table = condition_table({"conditions": rows})
    assert [name for name, _ in table.rows] == ["T = 0.44, t = 13", "unknown"]
    assert table.rows[0][1] == [Cell("0.500"), Cell("–")]
    assert condition_table(SCORES) is None


def test_runs_without_scores_have_dashes():
    table = comparison([("a", SCORES), ("b", None)])
    assert table.rows == [("a", [Cell("0.510", "0.400 to 0.600"), Cell("–")]), ("b", [Cell("–"), Cell("–")])]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "0.5"])
def test_what_is_no_number_is_a_dash(value):
    assert Cell.of(value) == Cell("–")

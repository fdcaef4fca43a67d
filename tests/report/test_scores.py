"""Scores become tables: the keys of `evaluate`, and dashes for what nobody knows."""

import math

import pytest

from botan_fast.report.scores import (
    Cell,
    ceiling_note,
    comparison,
    condition_table,
    heterogeneity_table,
    score_table,
)

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
        "A-A pairs, r < 1.35 σ",
        "A-B pairs, 1.35 ≤ r < 2 σ",
    ]
    assert table.heads == ["Pearson", "pooled", "Spearman", "slope", "MSE / σ²"]  # nobody knows a ceiling
    assert ceiling_note(SCORES) == ""
    assert table.rows[0][1][0] == Cell("0.510", "0.400 to 0.600")
    assert table.rows[0][1][4] == Cell("0.00648")
    assert table.rows[1][1][0] == Cell("–")
    assert "95 %" in table.caption


def test_coefficients_have_three_digits_behind_the_point():
    """Those of a column are compared with each other."""
    rows = {"A": {**MEASURES, "pearson": -0.0597, "slope": -21.63, "interval": {"pearson": [-0.73251, 0.61]}}}
    [(_, cells)] = score_table({**SCORES, "species": rows, "pairs": {}}).rows
    assert cells[0] == Cell("−0.060", "−0.733 to 0.610")
    assert cells[3] == Cell("−21.63")


def test_windows_are_rows_below_the_whole():
    bins = [{**MEASURES, "window": [0.0, 1.1]}, {**MEASURES, "pearson": 0.7, "window": [1.1, 1.35]}]
    table = score_table({**SCORES, "pairs": {"A-A": {**MEASURES, "window": [0.0, 1.35], "bins": bins}}})
    names = [name for name, _ in table.rows]
    assert names[2:] == ["A-A pairs, r < 1.35 σ", "A-A pairs, r < 1.1 σ", "A-A pairs, 1.1 ≤ r < 1.35 σ"]
    assert table.rows[4][1][0] == Cell("0.700", "0.400 to 0.600")


def test_the_ceiling_is_beside_the_coefficient_and_says_what_it_is():
    scores = {**SCORES, "species": {"A": {**MEASURES, "ceiling": 0.92}}, "ceiling": {"node": 0.92, "runs": 32}}
    table = score_table(scores)
    assert table.heads[:2] == ["Pearson", "ceiling"]
    assert [cells[1].text for _, cells in table.rows] == ["0.920", "–", "–"]
    assert "means over 32 runs" in ceiling_note(scores)
    assert ceiling_note({"ceiling": None, "ceiling_reason": "no runs"}) == "No ceiling: no runs."
    table = comparison([("a", scores), ("b", SCORES)])
    assert table.heads == ["particles of type A", "ceiling", "A-A pairs, r < 1.35 σ"]  # none is known of pairs
    assert table.rows[1] == ("b", [Cell("0.510", "0.400 to 0.600"), Cell("–"), Cell("–")])


def test_heterogeneity_is_actual_beside_predicted():
    chi = {"actual": 12.3456, "predicted": 4.5, "interval": {"actual": [1.0, 20.0], "predicted": None}}
    table = heterogeneity_table({"heterogeneity": {"species": "A", "length": 0.0712, "chi_4": chi}})
    assert table.heads == ["simulation", "model"]
    assert table.rows == [("χ₄", [Cell("12.3", "1.0 to 20.0"), Cell("4.50")])]
    assert "0.0712 σ" in table.caption
    for missing in ({}, {"heterogeneity": None}, {"heterogeneity": {"species": "A", "length": 0.1, "chi_4": None}}):
        assert heterogeneity_table(missing) is None


def test_scores_without_details_have_the_first_four():
    table = score_table({"node_pearson": 0.5, "node_pearson_pooled": 0.4, "node_loss": 0.01, "num_configurations": 1})
    assert table.caption == "Means over 1 configuration"
    assert table.rows == [("particles of type A", [Cell("0.500"), Cell("0.400"), Cell("0.0100")])]


def test_a_row_for_each_temperature_and_time():
    rows = [{"temperature": 0.44, "time": 13.0, "node_pearson": 0.5}, {"temperature": None, "time": None}]
    table = condition_table({"conditions": rows})
    assert [name for name, _ in table.rows] == ["T = 0.44, t = 13", "unknown"]
    assert table.rows[0][1] == [Cell("0.500"), Cell("–")]
    assert condition_table(SCORES) is None


def test_runs_without_scores_have_dashes():
    table = comparison([("a", SCORES), ("b", None)])
    assert table.rows == [("a", [Cell("0.510", "0.400 to 0.600"), Cell("–")]), ("b", [Cell("–"), Cell("–")])]


@pytest.mark.parametrize(
    ("value", "interval", "text", "between"),
    [
        (0.00423, [0.0, 0.01384], "0.00423", "0 to 0.01384"),  # an end at the bound of what is possible
        (-0.0501, [-0.2, 0.1], "−0.0501", "−0.2000 to 0.1000"),  # a minus, not a hyphen
        (18.923, None, "18.9", ""),
        (0.0, [-0.1, 0.1], "0", "−0.100 to 0.100"),
        (1234.5, [1000.0, 1400.0], "1234", "1000 to 1400"),
        (0.5, [0.4, math.nan], "0.500", ""),
    ],
)
def test_numbers_have_three_digits_and_intervals_as_many_behind_the_point(value, interval, text, between):
    assert Cell.of(value, interval) == Cell(text, between)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, True, "0.5"])
def test_what_is_no_number_is_a_dash(value):
    assert Cell.of(value) == Cell("–")

"""A training as curves: each line is a column of the history, where it has values."""

import math

import pytest

from botan_fast.errors import InputError
from botan_fast.figures import score_curves, training_curves

HISTORY = [
    {"epoch": 0, "train_loss": 0.5, "test_loss": 0.6, "node_pearson": 0.1, "edge_pearson": math.nan},
    {"epoch": 1, "train_loss": 0.4, "test_loss": None, "node_pearson": None, "edge_pearson": None},
    {"epoch": 2, "train_loss": 0.3, "test_loss": 0.4, "node_pearson": 0.3, "edge_pearson": 0.2},
]


def lines(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.lines}


def test_scores_are_where_they_were_taken():
    assert lines(score_curves(HISTORY)) == {
        "test, particles": [[0, 0.1], [2, 0.3]],
        "test, pairs": [[2, 0.2]],  # a NaN is no value
    }


def test_both_panels():
    left, right = training_curves(HISTORY, title="p = 0.4")
    assert left.figure is right.figure
    assert left.get_title(loc="left") == "p = 0.4"
    assert lines(left)["training"] == [[0, 0.5], [1, 0.4], [2, 0.3]]
    assert lines(right) == lines(score_curves(HISTORY))


def test_into_axes_that_are_there():
    axes = training_curves(HISTORY)
    for ax in axes:
        ax.clear()
    assert training_curves(HISTORY, axes=axes) == axes


def test_without_scores_it_says_so():
    ax = score_curves([{"epoch": 0, "train_loss": 0.5}])
    assert [text.get_text() for text in ax.texts] == ["no scores: no test data"]


def test_mistakes():
    with pytest.raises(InputError, match="none of 1 rows has epoch"):
        score_curves([{"train_loss": 0.5}])
    with pytest.raises(InputError, match="axes has 1 axes; give two"):
        training_curves(HISTORY, axes=training_curves(HISTORY)[:1])

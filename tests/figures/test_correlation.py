"""The spatial correlation as curves: the bins that have pairs, and what they are of."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.figures import spatial_correlation


def curves(ax):
    return {line.get_label(): line.get_xydata().tolist() for line in ax.lines if line.get_label()[0] != "_"}


def test_bins_without_pairs_are_left_out():
    ax = spatial_correlation([0.5, 1.0, 1.5], [None, 0.5, 0.25], [None, 0.75, float("nan")])
    assert curves(ax) == {"simulation": [[1.0, 0.5], [1.5, 0.25]], "model": [[1.0, 0.75]]}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["simulation", "model"]


def test_a_simulation_alone():
    ax = spatial_correlation([1.0, 1.5], [0.5, 0.25], temperature=0.44, time=4120, number=4096)
    assert list(curves(ax)) == ["simulation"]
    assert ax.get_title(loc="left") == "$T = 0.44$, $t = 4120$, $N = 4096$"


def test_what_evaluate_gives(tiny_data):
    scores = bf.evaluate(bf.BOTAN(hidden_size=8, num_steps=1), str(tiny_data / "test/*.npz"))
    found = scores["heterogeneity"]["correlation"]
    drawn = curves(spatial_correlation(found["r"], found["actual"], found["predicted"]))
    known = [(r, g) for r, g in zip(found["r"], found["actual"], strict=True) if g is not None]
    assert len(known) > 3
    np.testing.assert_array_equal(drawn["simulation"], known)


def test_mistakes():
    with pytest.raises(InputError, match="actual has 1 values and r 2; give one for each bin"):
        spatial_correlation([1.0, 1.5], [0.5])
    with pytest.raises(InputError, match="none of 1 rows has r and actual"):
        spatial_correlation([1.0], [None])

"""What the pictures of pairs show."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.figures import bonds, bonds_compared
from botan_fast.figures.colors import around_zero

BOX = [4.0, 4.0, 4.0]
POSITIONS = np.array([[0.2, 1.0, 2.0], [3.8, 1.0, 2.1], [2.0, 2.0, 1.9], [2.9, 2.0, 2.0], [1.0, 1.0, 0.2]])
PAIRS = np.array([[0, 2, 3, 0], [1, 3, 2, 4]])
VALUES = np.array([0.3, -0.2, 0.1, 5.0])


def segments(ax):
    lines = ax.collections[0]
    return np.round(np.array(lines.get_segments()), 9).tolist(), lines.get_array().tolist()


def test_a_pair_across_an_edge_is_drawn_at_both():
    drawn, colors = segments(bonds(POSITIONS, [0, 1, 0, 0, 1], BOX, PAIRS, VALUES, slab=(1.5, 2.5)))
    expected = {  # the pair with particle 4, far below, is not in the slab
        ((0.2, 1.0), (-0.2, 1.0)): 0.3,
        ((4.2, 1.0), (3.8, 1.0)): 0.3,
        ((2.0, 2.0), (2.9, 2.0)): -0.2,
        ((2.9, 2.0), (2.0, 2.0)): 0.1,
    }
    assert {tuple(map(tuple, one)): c for one, c in zip(drawn, colors, strict=True)} == expected
    assert np.all(np.diff(np.abs(colors)) >= 0)  # large changes are in front


def test_both_panels_have_one_scale_and_the_range_holds_0():
    axes = bonds_compared(POSITIONS, [0] * 5, BOX, PAIRS.T, VALUES, 0.1 + VALUES**2, slab=(1.5, 2.5), time=13)
    limits = [ax.collections[0].get_clim() for ax in axes]
    assert limits[0] == limits[1]
    assert limits[0][0] < 0 < limits[0][1]
    assert axes[1].get_title(loc="left").splitlines() == ["simulation", "$t = 13$, $N = 5$"]
    predicted, actual = (dict.fromkeys(segments(ax)[1]) for ax in axes)
    assert set(actual) == {0.3, -0.2, 0.1}
    assert set(predicted) == {0.1 + 0.3**2, 0.1 + 0.2**2, 0.1 + 0.1**2}


def test_the_middle_of_the_colours_is_0():
    from matplotlib import colormaps

    for low, high in ((-1.0, 1.0), (-0.2, 0.9), (0.0, 0.5), (-3.0, -0.0)):
        colors = around_zero("coolwarm", (low, high))
        for value in (low, low / 2, high / 2, high):
            expected = colormaps["coolwarm"]((value / max(-low, high) + 1) / 2)
            np.testing.assert_allclose(colors((value - low) / (high - low)), expected, atol=0.01)


def test_refusals():
    with pytest.raises(InputError, match=r"values has shape \(3,\); give \(4,\), one of each pair"):
        bonds(POSITIONS, [0] * 5, BOX, PAIRS, VALUES[1:])
    with pytest.raises(InputError, match=r"slab = \(11.1, 11.9\) must rise|both ends in the slab|holds no particle"):
        bonds(POSITIONS[:2], [0, 1], BOX, [[0], [1]], [1.0], slab=(3.0, 3.5))

"""What is seen of a slab: which particles, which images, which in front."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.figures.slab import cut, cut_pairs, with_images

BOX = np.array([6.0, 7.0, 8.0])


@pytest.fixture
def positions():
    return np.random.default_rng(0).uniform(-1, 2, (400, 3)) * BOX  # unwrapped


def test_the_slab_reaches_through_the_periodic_face(positions):
    seen = cut(positions, BOX, axis=1, slab=(-0.3, 0.7))
    y = positions[:, 1] % BOX[1]
    np.testing.assert_array_equal(np.sort(seen.particles), np.flatnonzero((y < 0.7) | (y > BOX[1] - 0.3)))
    np.testing.assert_allclose(seen.points, (positions % BOX)[seen.particles][:, [0, 2]])
    assert seen.window.tolist() == [6.0, 8.0]
    assert seen.names == ("x", "z")
    assert seen.text == "$-0.3 < y < 0.7$"


def test_what_is_nearer_is_drawn_later(positions):
    seen = cut(positions, BOX, axis=2, slab=(7.5, 8.5))
    depth = (positions[seen.particles, 2] - 7.5) % BOX[2]
    assert (np.diff(depth) >= 0).all()
    assert depth.max() > 0.5  # some lie beyond the face, and they are in front


def test_a_slab_of_its_own_is_the_middle(positions):
    z = positions[:, 2] % BOX[2]
    np.testing.assert_array_equal(np.sort(cut(positions, BOX).particles), np.flatnonzero((z > 3.5) & (z < 4.5)))


def test_two_dimensions_show_all(positions):
    seen = cut(positions[:, :2], BOX[:2])
    assert len(seen.particles) == 400
    assert seen.text == ""


def test_every_image_that_reaches_into_the_window_and_no_other():
    window, radius = np.array([5.0, 4.0]), 0.5
    points = np.array([[2.5, 2.0], [0.3, 2.0], [4.8, 3.9], [0.6, 3.4]])
    index, shift = with_images(points - radius, points + radius, window)
    drawn = {(int(i), *np.rint(s / window).astype(int).tolist()) for i, s in zip(index, shift, strict=True)}
    expected = {(0, 0, 0), (1, 0, 0), (1, 1, 0), (2, 0, 0), (2, -1, 0), (2, 0, -1), (2, -1, -1), (3, 0, 0)}
    assert drawn == expected
    assert (np.diff(index) >= 0).all()  # the order of depth is kept


def test_pairs_with_both_ends_in_the_slab(positions):
    pairs = np.random.default_rng(1).integers(0, 400, (2, 3000))
    seen, chosen, segments = cut_pairs(positions, BOX, pairs, slab=(3.0, 5.0))
    inside = np.isin(pairs, seen.particles).all(axis=0)
    np.testing.assert_array_equal(np.sort(chosen), np.flatnonzero(inside))
    step = positions[pairs[1, chosen]][:, :2] - positions[pairs[0, chosen]][:, :2]
    step -= BOX[:2] * np.rint(step / BOX[:2])
    np.testing.assert_allclose(segments[:, 1] - segments[:, 0], step, atol=1e-12)
    np.testing.assert_allclose(segments[:, 0], (positions % BOX)[pairs[0, chosen]][:, :2], atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": np.triu(np.ones((3, 3)))}, r"box has shape \(3, 3\); the figure needs 3 edge lengths"),
        ({"box": [6.0, 0.0, 8.0]}, r"box = \[6.0, 0.0, 8.0\] must be positive"),
        ({"axis": 3}, "axis = 3 is none of three"),
        ({"slab": (1.0, 1.0)}, r"slab = \(1, 1\) must rise by at most box\[2\] = 8"),
        ({"slab": (0.0, 8.5)}, r"slab = \(0, 8.5\) must rise by at most box\[2\] = 8"),
        ({"slab": (0.0, 1e-9)}, "holds no particle along axis 2"),
        ({"positions": np.zeros((3, 4))}, r"positions has shape \(3, 4\); give"),
        ({"positions": [[np.nan, 0.0, 0.0]]}, "positions holds numbers that are not finite"),
    ],
)
def test_refusals(positions, change, message):
    with pytest.raises(InputError, match=message):
        cut(**{"positions": positions, "box": BOX, **change})


def test_pairs_are_numbers_of_particles(positions):
    for pairs, message in (([[0], [400]], r"pairs holds 400, outside \[0, 400\)"), ([[0.5], [1]], "and dtype float64")):
        with pytest.raises(InputError, match=message):
            cut_pairs(positions, BOX, pairs)
    below = int(np.argmin(np.abs(positions[:, 2] % BOX[2] - 0.5)))
    with pytest.raises(InputError, match="none of 1 has both ends in the slab"):
        cut_pairs(positions, BOX, [[below], [below]], slab=(3.0, 4.0))

"""Interpolation between particles: exact for linear fields, continuous through the faces of the box."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError

BOXES = [
    np.array([5.0, 6.0]),
    np.array([[5.0, 0.0], [4.0, 5.0]]),
    np.array([4.0, 5.0, 6.0]),
    np.array([[5.0, 0.0, 0.0], [2.0, 5.0, 0.0], [-1.5, 2.0, 5.0]]),
]


def case(box, number=150, seed=0):
    cell = np.diag(box) if box.ndim == 1 else box
    rng = np.random.default_rng(seed)
    return cell, rng.random((number, len(box))) @ cell, rng


@pytest.mark.parametrize("box", BOXES)
def test_a_linear_field_is_exact(box):
    """Far from the faces no image takes part, and there u = a + A r is reproduced."""
    cell, positions, rng = case(box, number=600)
    matrix, offset = rng.standard_normal((len(box), len(box))), rng.standard_normal(len(box))
    points = (0.35 + 0.3 * rng.random((50, len(box)))) @ cell
    found = bf.interpolate_field(positions, positions @ matrix + offset, box, points)
    np.testing.assert_allclose(found, points @ matrix + offset, rtol=0, atol=1e-12)


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("number", [1, 2, 7, 150])
def test_at_the_particles_it_is_theirs_and_between_them_between(box, number):
    cell, positions, rng = case(box, number)
    values = rng.random((number, 2))
    np.testing.assert_allclose(bf.interpolate_field(positions, values, box, positions), values, atol=1e-9)
    between = bf.interpolate_field(positions, values, box, rng.random((200, len(box))) @ cell)
    assert (between >= values.min(0) - 1e-12).all()
    assert (between <= values.max(0) + 1e-12).all()


@pytest.mark.parametrize("box", BOXES)
def test_translations_and_images_change_nothing(box):
    cell, positions, rng = case(box)
    values, points = rng.random(150), rng.random((100, len(box))) @ cell
    expected = bf.interpolate_field(positions, values, box, points)
    shift = rng.standard_normal(len(box)) * 3
    moved = bf.interpolate_field(positions + shift, values, box, points + shift)
    np.testing.assert_allclose(moved, expected, atol=1e-9)
    images = positions + rng.integers(-2, 3, positions.shape) @ cell
    elsewhere = points + rng.integers(-2, 3, points.shape) @ cell
    np.testing.assert_allclose(bf.interpolate_field(images, values, box, elsewhere), expected, atol=1e-9)


@pytest.mark.parametrize("box", BOXES)
def test_it_is_the_triangulation_of_many_images(box):
    """The margin around the cell that is taken gives what five images in each direction give, with SciPy alone."""
    from scipy.interpolate import LinearNDInterpolator

    cell, positions, rng = case(box, number=25)
    values, points = rng.random(25), rng.random((100, len(box))) @ cell
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * len(box)), -1).reshape(-1, len(box)) @ cell
    images = (positions[None] + shifts[:, None]).reshape(-1, len(box))
    expected = LinearNDInterpolator(images, np.tile(values, len(shifts)))(points)
    np.testing.assert_allclose(bf.interpolate_field(positions, values, box, points), expected, atol=1e-9)


def test_a_gap_in_the_box_is_bridged():
    """All particles in one corner: the first margin does not reach the next image, a later one does."""
    rng = np.random.default_rng(0)
    positions, values = rng.random((30, 3)), rng.random(30)
    points = rng.random((50, 3)) * 11 + 1
    found = bf.interpolate_field(positions, values, [12.0, 12.0, 12.0], points)
    assert ((found > 0) & (found < 1)).all()
    alone = bf.interpolate_field(positions, values, [12.0, 12.0, 12.0], points[7:8])
    np.testing.assert_allclose(alone, found[7:8], atol=1e-9)
    moved = bf.interpolate_field(positions + 11.5, values, 12.0, points + 11.5)
    np.testing.assert_allclose(moved, found, atol=1e-9)


def test_it_is_continuous_through_a_face():
    box = np.array([4.0, 5.0, 6.0])
    _, positions, rng = case(box)
    below = np.column_stack([np.full(40, 4.0 - 1e-9), rng.random((40, 2)) * 5])
    above = below + np.array([2e-9, 0, 0])
    values = rng.random(150)
    np.testing.assert_allclose(
        bf.interpolate_field(positions, values, box, below),
        bf.interpolate_field(positions, values, box, above),
        atol=1e-6,
    )


@pytest.mark.parametrize(("axis", "plane"), [(0, [1, 2]), (1, [0, 2]), (2, [0, 1])])
def test_a_slice_has_the_plane_of_its_axis(axis, plane):
    box = np.array([4.0, 6.0, 8.0])
    _, positions, rng = case(box)
    field = rng.standard_normal((150, 3))
    points, arrows = bf.field_in_slice(positions, field, box, axis=axis, center=1.0, spacing=1.1)
    numbers = [round(box[d] / 1.1) for d in plane]
    assert points.shape == arrows.shape == (numbers[0] * numbers[1], 2)
    assert (points > 0).all()
    assert (points < box[plane]).all()
    assert np.allclose(np.diff(np.unique(points[:, 0].round(9))), box[plane[0]] / numbers[0])
    places = np.insert(points, axis, 1.0, axis=1)
    np.testing.assert_allclose(arrows, bf.interpolate_field(positions, field, box, places)[:, plane], atol=1e-12)
    middle = bf.field_in_slice(positions, field, box, axis=axis)
    given = bf.field_in_slice(positions, field, box, axis=axis, center=box[axis] / 2)
    np.testing.assert_array_equal(middle[1], given[1])


def test_a_large_box_has_no_more_points_than_a_figure_shows():
    box = np.array([2000.0, 20.0])
    _, positions, rng = case(box)
    points, _ = bf.field_in_slice(positions, rng.standard_normal((150, 2)), box)
    assert len(points) == 40 * 1  # one of 50 units, which is more than the short edge has


def test_a_slice_of_two_dimensions_is_the_plane_itself():
    box = np.array([5.0, 6.0])
    _, positions, rng = case(box)
    field = rng.standard_normal((150, 2))
    points, arrows = bf.field_in_slice(positions, field, box, spacing=0.5)
    np.testing.assert_allclose(arrows, bf.interpolate_field(positions, field, box, points), atol=1e-12)


def test_the_field_of_runs():
    """Eq. (16): particles that all move by one vector have that field everywhere."""
    box = np.array([6.0, 6.0, 6.0])
    _, positions, _ = case(box, number=250)
    graph = bf.build_graph(positions, np.zeros(250, int), box)
    runs = np.stack([positions + np.array([0.1, 0.2, 0.0]), positions + np.array([0.3, 0.0, 0.0])])
    field = bf.local_displacement_field(positions, runs, graph).mean(0)
    _, arrows = bf.field_in_slice(positions, field, box)
    np.testing.assert_allclose(arrows, np.tile([0.2, 0.1], (36, 1)), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"points": np.zeros((3, 4))}, r"points have shape \(3, 4\); give \(M, 2\) or \(M, 3\)"),
        ({"points": np.full((1, 3), np.nan)}, r"points\[0, 0\] = nan"),
        ({"positions": np.zeros((5, 2))}, r"positions have shape \(5, 2\); points of 3 dimensions"),
        ({"positions": np.zeros((0, 3)), "values": np.zeros(0)}, r"positions have shape \(0, 3\)"),
        ({"values": np.zeros(4)}, r"values have shape \(4,\); positions need \(5,\) or \(5, K\)"),
        ({"values": np.full(5, np.inf)}, r"values\[0\] = inf"),
        ({"box": [4.0, 4.0]}, "box has shape"),
    ],
)
def test_what_is_refused(change, message):
    arguments = {"positions": np.eye(5, 3), "values": np.zeros(5), "box": [4.0] * 3, "points": np.zeros((2, 3))}
    with pytest.raises(InputError, match=message):
        bf.interpolate_field(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"box": np.diag([4.0] * 3)}, "box is a cell of row vectors"),
        ({"field": np.zeros((5, 2))}, r"field has shape \(5, 2\); positions need \(5, 3\)"),
        ({"axis": 3}, "axis = 3; choose 0, 1 or 2"),
        ({"spacing": 0.0}, "spacing = 0.0 must be positive"),
        ({"spacing": 1e-5}, "spacing = 1e-05 makes more than 1000000 points in a box of "),
        ({"spacing": 1e-320}, "makes more than 1000000 points"),
        ({"center": -1.0}, "center = -1.0 must be 0 or positive"),
    ],
)
def test_what_a_slice_refuses(change, message):
    arguments = {"positions": np.eye(5, 3), "field": np.zeros((5, 3)), "box": [4.0] * 3}
    with pytest.raises(InputError, match=message):
        bf.field_in_slice(**(arguments | change))


def test_blas_has_one_thread_while_simplices_are_solved_and_its_own_afterwards(monkeypatch):
    """SciPy solves a tiny system for each simplex; with several threads each of them waits for the busiest core."""
    import scipy.spatial
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    met = []

    class Delaunay(scipy.spatial.Delaunay):
        @property
        def transform(self):
            met.append(threads())
            return super().transform

    monkeypatch.setattr(scipy.spatial, "Delaunay", Delaunay)
    _, positions, rng = case(BOXES[2])
    with threadpool_limits(2, user_api="blas"):
        before = threads()
        bf.interpolate_field(positions, rng.random(150), BOXES[2], rng.random((5, 3)))
        assert threads() == before
    assert met
    assert all(found <= {1} for found in met)


def test_no_points_no_values():
    assert bf.interpolate_field(np.eye(5, 3), np.zeros((5, 2)), 4.0, np.zeros((0, 3))).shape == (0, 2)

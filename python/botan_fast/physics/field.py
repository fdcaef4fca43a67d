"""Values of particles as a field in space: linear between them, in the periodic box."""

import itertools
from typing import Any

import numpy as np

from ..arrays import Array
from ..box import check_box, reduce_cell
from ..checks import as_array, check_finite, positive
from ..errors import InputError
from ..graph.inputs import check_positions

__all__ = ["field_in_slice", "interpolate_field"]

_ALONG_AN_EDGE = 40  # arrows that a figure shows side by side
_MOST_POINTS = 1_000_000


def interpolate_field(positions: Array, values: Array, box: Array, points: Array) -> np.ndarray:
    """Values of particles at other places of the periodic box, interpolated linearly between the particles::

        v(r) = sum_k b_k(r) v_k     over the D + 1 particles (or their images) around r

    The particles and their periodic images are joined by the Delaunay triangulation; b_k are the barycentric
    coordinates of r in the simplex that holds it. v is continuous across the faces of the box, v_i at particle i, and
    nowhere outside of the range of the values around it. This is how the paper draws the local displacement field of
    its Eq. (16): `local_displacement_field` gives the values at the particles.

    Parameters
    ----------
    positions : (N, D) float, D = 2 or 3, anywhere.
    values : (N,) or (N, K) float: a scalar, or K components, such as the field (N, D) of one run or of their mean.
    box : edge lengths (D,), a number for a cube, or (D, D) row vectors; of any shape.
    points : (M, D) float, anywhere: where the field is wanted.

    Returns
    -------
    (M,) or (M, K) float64. Nothing is random. The triangulation of points that lie on a lattice is not unique, so
    there the last digits of the positions may choose between two.

    Raises
    ------
    InputError
        For shapes that do not match, NaN or infinite numbers, no particle, and a box that is none.

    Source: Eq. (16) and Fig. 7 of Shiba et al., J. Chem. Phys. 158, 084503 (2023); SciPy's Delaunay triangulation.

    Examples
    --------
    >>> import botan_fast as bf
    >>> corners = [[0.0, 0.0], [1.0, 0.1], [0.1, 1.0], [1.1, 1.1]]
    >>> bf.interpolate_field(corners, [1.0, 2.0, 3.0, 4.0], [2.0, 2.0], [[0.5, 0.05], [2.0, 4.0]]).round(12).tolist()
    [1.5, 1.0]
    """
    points = as_array("points", points, np.float64)
    dimensions = points.shape[1] if points.ndim == 2 else 0
    if dimensions not in (2, 3):
        raise InputError(f"points have shape {points.shape}; give (M, 2) or (M, 3)")
    check_finite("points", points)
    array = check_positions(positions)
    if array.shape[1] != dimensions or len(array) == 0:
        raise InputError(
            f"positions have shape {array.shape}; points of {dimensions} dimensions need (N, {dimensions})"
        )
    known = as_array("values", values, np.float64)
    if known.ndim not in (1, 2) or len(known) != len(array):
        raise InputError(f"values have shape {known.shape}; positions need ({len(array)},) or ({len(array)}, K)")
    check_finite("values", known)
    cell = reduce_cell(check_box(box, dimensions)[1])
    if len(points) == 0:
        return np.empty((0, *known.shape[1:]))
    from threadpoolctl import threadpool_limits

    # SciPy solves a small system of equations for each simplex, and OpenBLAS wakes all of its threads for each of them:
    # beside other programs a fifth of a second becomes minutes.
    with threadpool_limits(1, user_api="blas"):
        return _interpolate(array, known, cell, points)


def _interpolate(positions: np.ndarray, values: np.ndarray, cell: np.ndarray, points: np.ndarray) -> np.ndarray:
    """With checked arrays and a reduced cell.

    Images are taken within a margin around the part of the cell that the points fill. A simplex belongs to the
    triangulation of all images when no image lies in the sphere through its corners; so it is right when its sphere
    lies inside the margin, where every image is known. If one does not, the margin was too small.
    """
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    inverse = np.linalg.inv(cell)
    heights = 1 / np.linalg.norm(inverse, axis=0)
    inside = (points @ inverse) % 1.0
    fractions = (positions @ inverse) % 1.0
    # An empty sphere is not larger than the one that the lattice of a single particle leaves: its radius is at most
    # half of the sum of the cell vectors, so twice that is always enough.
    enough = np.linalg.norm(cell, axis=1).sum()
    margin = min(3 * (abs(np.linalg.det(cell)) / len(positions)) ** (1 / len(cell)), enough)
    while True:
        low, high = inside.min(0) - margin / heights, inside.max(0) + margin / heights
        images, owners = _images(fractions, low, high)
        try:
            triangulation = Delaunay(images @ cell)
        except (QhullError, ValueError):  # too few images for a simplex, or none
            if margin >= enough:
                raise
        else:
            used = np.unique(triangulation.find_simplex(inside @ cell))
            if margin >= enough or (used[0] >= 0 and _within(triangulation, used, inverse, low, high)):
                return LinearNDInterpolator(triangulation, values[owners])(inside @ cell)
        margin = min(2 * margin, enough)


def _images(fractions: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Particles and images between two corners, in units of the cell vectors, and whose images they are."""
    shells = [range(int(np.floor(a)), int(np.floor(b)) + 1) for a, b in zip(low, high, strict=True)]
    found, owners = [], []
    for shift in itertools.product(*shells):
        moved = fractions + np.array(shift)
        near = ((moved >= low) & (moved <= high)).all(1)
        found.append(moved[near])
        owners.append(np.nonzero(near)[0])
    return np.concatenate(found), np.concatenate(owners)


def _within(triangulation: Any, used: np.ndarray, inverse: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Do the spheres through the corners of the simplices stay between the two corners?"""
    corners = triangulation.points[triangulation.simplices[used]]  # (S, D + 1, D)
    sides = corners[:, 1:] - corners[:, :1]  # (S, D, D)
    # The centre c from the first corner: 2 sides . c = |sides|^2. A flat simplex has none that rounding leaves.
    if (abs(np.linalg.det(sides)) < 1e-9 * np.prod(np.linalg.norm(sides, axis=2), axis=1)).any():
        return False
    centers = np.linalg.solve(2 * sides, (sides**2).sum(2)[..., None])[..., 0]
    reach = np.linalg.norm(centers, axis=1)[:, None] * np.linalg.norm(inverse, axis=0)  # radius over the heights
    middle = (corners[:, 0] + centers) @ inverse
    return bool(((middle - reach >= low) & (middle + reach <= high)).all())


def field_in_slice(
    positions: Array,
    field: Array,
    box: Array,
    *,
    axis: int = 2,
    center: float | None = None,
    spacing: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """A vector field of particles on a square grid in a plane through the box: what arrows of a figure need.

    Parameters
    ----------
    positions, box : as in `interpolate_field`; the box must have edge lengths (D,).
    field : (N, D) vectors, such as `local_displacement_field(...).mean(0)`.
    axis : in three dimensions, the direction across the plane; without meaning in two.
    center : where the plane cuts the axis, 0 or more; None: the middle of the box.
    spacing : distance of neighbouring points, in sigma_AA, rounded so that it divides the edges; None: 1, or more in a
        large box, so that an edge has 40 points at most. More than a million points are refused.

    Returns
    -------
    points : (M, 2) float64, coordinates in the plane: x and y for axis = 2, y and z for 0, x and z for 1; in [0, L).
    arrows : (M, 2) float64, the components of the field in the plane there, interpolated linearly.

    Raises
    ------
    InputError
        As `interpolate_field`; for a box with tilt, an axis that is none, a spacing that is not positive or
        so small that there would be too many points, a negative center.

    Source: Eq. (16) and Fig. 7 of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> import botan_fast as bf
    >>> positions = np.random.default_rng(0).random((100, 3)) * 4.0
    >>> points, arrows = bf.field_in_slice(positions, np.tile([0.1, 0.2, 0.3], (100, 1)), [4.0, 4.0, 4.0], spacing=2.0)
    >>> points.tolist()
    [[1.0, 1.0], [1.0, 3.0], [3.0, 1.0], [3.0, 3.0]]
    >>> arrows[0].round(12).tolist()
    [0.1, 0.2]
    """
    places = check_positions(positions)
    dimensions = places.shape[1]
    lengths = check_box(box, dimensions)[0]
    if lengths.ndim == 2:
        raise InputError("box is a cell of row vectors; a slice is drawn in a box of edge lengths (D,)")
    vectors = as_array("field", field, np.float64)
    if vectors.shape != places.shape:
        raise InputError(f"field has shape {vectors.shape}; positions need {places.shape}")
    spacing = None if spacing is None else positive("spacing", spacing)
    if axis not in range(3):
        raise InputError(f"axis = {axis!r}; choose 0, 1 or 2")
    plane = [0, 1] if dimensions == 2 else [d for d in range(3) if d != axis]
    edges = [float(lengths[d]) for d in plane]
    step = spacing or max(1.0, max(edges) / _ALONG_AN_EDGE)
    if max(edges[0] / step, 1) * max(edges[1] / step, 1) > _MOST_POINTS:
        raise InputError(
            f"spacing = {step:g} makes more than {_MOST_POINTS} points in a box of {edges[0]:g} x {edges[1]:g}; choose "
            "a larger one"
        )
    ticks = []
    for d in plane:
        number = max(1, round(float(lengths[d]) / step))
        ticks.append((np.arange(number) + 0.5) * lengths[d] / number)  # the middles of cells: none on an edge
    flat = np.stack(np.meshgrid(*ticks, indexing="ij"), -1).reshape(-1, 2)
    points = np.zeros((len(flat), dimensions))
    points[:, plane] = flat
    if dimensions == 3:
        middle = float(lengths[axis]) / 2
        points[:, axis] = middle if center is None else positive("center", center, zero=True)
    return flat, interpolate_field(places, vectors[:, plane], lengths, points)

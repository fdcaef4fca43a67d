"""The periodic box: its checks, the cutoff that fits into it, and the reduced cell."""

import numpy as np

from .arrays import Array
from .checks import as_array, check_finite, positive
from .errors import InputError


def check_box(box: Array, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the box as given, (D,) or (D, D) float64, and its cell with row vectors, (D, D)."""
    array = as_array("box", box, np.float64).copy()
    if np.ndim(box) == 0:
        array = np.full(dimensions, float(array.reshape(())))
    if array.shape not in ((dimensions,), (dimensions, dimensions)):
        raise InputError(
            f"box has shape {array.shape}; for {dimensions} dimensions give ({dimensions},) edge lengths "
            f"or a ({dimensions}, {dimensions}) cell"
        )
    check_finite("box", array)
    if array.ndim == 1:
        for k, length in enumerate(array.tolist()):
            if length <= 0:
                raise InputError(f"box[{k}] = {length} must be positive; give the edge lengths of the periodic box")
        return array, np.diag(array)
    scale = np.prod(np.linalg.norm(array, axis=1))
    if not abs(np.linalg.det(array)) > 1e-12 * scale:
        raise InputError(f"box = {array.tolist()} has no volume; give linearly independent cell vectors as rows")
    return array, array


def check_cutoff(cutoff: float, box: np.ndarray, cell: np.ndarray) -> float:
    """The cutoff as a float; the box, as `check_box` returns it, must hold it twice in every direction."""
    cutoff = positive("cutoff", cutoff)
    # Of a cell, the distances between opposite faces count; they are computed, hence a tolerance of rounding.
    orthorhombic = box.ndim == 1
    for k, height in enumerate(_heights(box, cell).tolist()):
        if height < 2 * cutoff:
            name = f"box[{k}]" if orthorhombic else f"height {k} of box"
            shown = height if orthorhombic else float(f"{height:.6g}")
            raise InputError(
                f"{name} = {shown} is smaller than 2 * cutoff = {2 * cutoff}; use a larger system or a smaller cutoff"
            )
    return cutoff


def largest_cutoff(box: np.ndarray) -> float:
    """The largest cutoff that `check_cutoff` takes for a box (D,) or (D, D).

    >>> import numpy as np
    >>> from botan_fast.box import largest_cutoff
    >>> largest_cutoff(np.array([8.0, 6.0])), round(largest_cutoff(np.array([[6.0, 0.0], [3.0, 4.0]])), 9)
    (3.0, 2.0)
    """
    return float(_heights(*check_box(box, len(box))).min()) / 2


def _heights(box: np.ndarray, cell: np.ndarray) -> np.ndarray:
    return box if box.ndim == 1 else 1 / np.linalg.norm(np.linalg.inv(cell), axis=0) * (1 + 1e-14)


def check_boxes(
    box: Array, dimensions: int, cutoff: float, num_graphs: int
) -> tuple[float, np.ndarray | None, np.ndarray]:
    """(cutoff, box, cells): the cells (G, D, D) of a batch and the box that all share, or None for unlike boxes.

    `box` is one box, as `check_box` takes it, or (G, D, D) cells.
    """
    if np.ndim(box) != 3:
        box, cell = check_box(box, dimensions)
        cutoff = check_cutoff(cutoff, box, cell)
        return cutoff, box, np.ascontiguousarray(np.broadcast_to(cell, (num_graphs, dimensions, dimensions)))
    cells = as_array("box", box, np.float64)
    if cells.shape != (num_graphs, dimensions, dimensions):
        raise InputError(
            f"box has shape {cells.shape}; for {num_graphs} graphs in {dimensions} dimensions give one box "
            f"or ({num_graphs}, {dimensions}, {dimensions}) cells"
        )
    for cell in cells:
        one, cell = check_box(cell, dimensions)
        cutoff = check_cutoff(cutoff, one, cell)
    return cutoff, cells[0] if (cells == cells[0]).all() else None, cells


def reduce_cell(cell: Array) -> np.ndarray:
    """Minkowski-reduced row vectors of the same lattice: the shortest ones; a diagonal cell is returned as it is.

    Only in a reduced cell is the nearest image of a point always among the 3**D around the rounded one. At time t a
    pair may be farther apart than half of a tilted box, where the images compete. Greedy reduction: shorten the
    longest vector by the combination of the others nearest to it (Semaev 2001) until nothing gets shorter.
    """
    cell = np.array(cell, dtype=np.float64)
    dimensions = len(cell)
    if np.array_equal(cell, np.diag(np.diag(cell))):
        return cell
    while True:
        cell = cell[np.argsort((cell**2).sum(1), kind="stable")]
        if dimensions == 3:  # the two shorter ones first, then the longest against their lattice
            cell[:2] = reduce_cell_2d(cell[:2])
        others, longest = cell[:-1], cell[-1]
        nearest = np.rint(np.linalg.lstsq(others.T, longest, rcond=None)[0])
        steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * (dimensions - 1)), -1).reshape(-1, dimensions - 1)
        candidates = longest - (nearest + steps) @ others
        best = candidates[np.argmin((candidates**2).sum(1))]
        if not (best**2).sum() < (longest**2).sum() * (1 - 1e-12):
            return np.ascontiguousarray(cell)
        cell[-1] = best


def reduce_cell_2d(pair: np.ndarray) -> np.ndarray:
    """Gauss reduction of two vectors in any dimension."""
    short, long = sorted(pair, key=lambda v: v @ v)
    while True:
        long = long - np.rint(short @ long / (short @ short)) * short
        if long @ long >= (short @ short) * (1 - 1e-12):
            return np.array([short, long])
        short, long = long, short

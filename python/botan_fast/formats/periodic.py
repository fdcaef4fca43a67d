"""Periodic boxes: wrapping positions into them, and telling whether a trajectory is unwrapped."""

import numpy as np

from ..errors import DataError
from ..files import FilePath

__all__ = ["fractional", "nearest_to", "place_in_box", "plain_box", "refuse_bad_box", "refuse_wrapped", "same_box"]


def refuse_bad_box(path: FilePath, box: np.ndarray, dimensions: int) -> None:
    """DataError unless `box` holds (D,) positive edge lengths or a (D, D) matrix of independent row vectors."""
    if box.size == 0:
        raise DataError(f"{path}: the file holds no box, which is needed here; write extended XYZ with Lattice")
    if box.shape not in ((dimensions,), (dimensions, dimensions)):
        raise DataError(
            f"{path}: box has shape {box.shape}; expected {dimensions} edge lengths or a "
            f"{dimensions} x {dimensions} matrix of row vectors"
        )
    with np.errstate(all="ignore"):
        volume = np.prod(box) if box.ndim == 1 else abs(np.linalg.det(box))
    if not (np.isfinite(volume) and volume > 0 and np.isfinite(box).all() and (box.ndim == 2 or (box > 0).all())):
        raise DataError(
            f"{path}: box = {box.tolist()} has no volume; edge lengths must be positive, vectors independent"
        )


def plain_box(cell: np.ndarray) -> np.ndarray:
    """The edge lengths of a cell whose vectors lie along the axes, another cell as it is."""
    edges = np.diag(cell)
    return edges + 0.0 if (edges > 0).all() and not (cell - np.diag(edges)).any() else cell


def same_box(one: np.ndarray, two: np.ndarray) -> bool:
    """Are two boxes, edge lengths or vectors, one, up to the digits of a text file? An empty box is none."""
    if one.shape[-1] != two.shape[-1] or one.size == 0:
        return one.size == two.size
    one, two = (np.diag(box) if box.ndim == 1 else box for box in (one, two))
    return bool(np.allclose(one, two, rtol=1e-6, atol=1e-6 * np.abs(one).max()))


def fractional(vectors: np.ndarray, box: np.ndarray) -> np.ndarray:
    """(..., D) vectors in units of the box edges."""
    return vectors / box if box.ndim == 1 else vectors @ np.linalg.inv(box)


def nearest_to(places: np.ndarray, others: np.ndarray, box: np.ndarray) -> np.ndarray:
    """`places` (N, D), each moved by whole box vectors to where it is next to its row of `others`."""
    difference = places - others
    boxes = np.rint(fractional(difference, box))
    return others + difference - (boxes * box if box.ndim == 1 else boxes @ box)


def place_in_box(
    path: FilePath,
    positions: np.ndarray,
    trajectories: np.ndarray | None,
    box: np.ndarray,
    origin: np.ndarray | float = 0.0,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Positions in the box that begins at 0, and the trajectories moved along.

    Each particle moves by a whole number of box vectors, the same in its initial position and in all runs, so no
    displacement changes.

    Parameters
    ----------
    positions : (N, D) float64
    trajectories : (..., N, D) float64, unwrapped, or None
    box : (D,) or (D, D) float64
    origin : (D,) float64 or 0
        The corner of the box that becomes 0.

    Returns
    -------
    positions, trajectories
        New arrays; positions in [0, L), or fractional coordinates in [0, 1) where the box is a matrix.
    """
    refuse_bad_box(path, box, positions.shape[-1])
    with np.errstate(all="ignore"):  # coordinates that are not finite are found later, by their own check
        positions = positions - origin
        images = np.floor(fractional(positions, box))
        shift = images * box if box.ndim == 1 else images @ box
        positions = positions - shift
        if box.ndim == 1:
            # A coordinate just below 0 rounds to L itself. Both are one place; the box is half open.
            shift = np.where(positions >= box, shift + box, shift)
            positions = np.where(positions >= box, positions - box, positions)
        if trajectories is not None:
            trajectories = trajectories - (shift + origin)
    return positions, trajectories


def refuse_wrapped(
    path: FilePath, positions: np.ndarray, trajectories: np.ndarray, box: np.ndarray, wrapped: bool = False
) -> None:
    """DataError when trajectories have been wrapped into the box, or count from other images than the positions.

    Displacements are measured in units of the box edges, one component at a time. A particle that leaves through a
    face of the box and is put back at the opposite one seems to have moved by nearly a whole edge. Two signs tell
    this from real motion, and either is enough:

    - Some components are larger than 1/2, but all coordinates of the runs lie within one edge length, or fewer than
      half as many lie outside the box by 1/20 (as far as LAMMPS lets particles stray before it wraps them). When
      particles really move by half the box, at least as many have left it.
    - Some component is larger than 3/4 while none lies between 1/4 and 3/4. Real displacements come in all sizes up
      to the largest; a jump by a whole edge leaves that gap.

    Where the format says that its coordinates are `wrapped`, one component larger than 1/2 is enough.

    Trajectories in which no particle crosses a face are the same wrapped and unwrapped, and pass. What this cannot
    see: runs outside the box that count from other images, when particles also really move by 1/4 to 3/4 of an edge.
    """
    with np.errstate(all="ignore"):
        displacements = np.abs(fractional(trajectories - positions, box))
    largest = displacements.max()
    if largest <= 0.5:
        return
    coordinates = fractional(trajectories, box)
    one_edge = (coordinates.max(axis=(0, 1)) - coordinates.min(axis=(0, 1)) <= 1 + 1e-6).all()
    outside = np.count_nonzero((coordinates < -0.05) | (coordinates > 1.05))
    inside = one_edge or np.count_nonzero(displacements > 0.5) > 2 * outside
    gap = largest > 0.75 and not ((displacements > 0.25) & (displacements < 0.75)).any()
    if not (inside or gap or wrapped):
        return
    run, particle, axis = (int(i) for i in np.unravel_index(displacements.argmax(), displacements.shape))
    why = "particles stay inside the box" if inside else "none moves by between 0.25 and 0.75 of an edge"
    why = "the format says that coordinates are wrapped" if wrapped else why
    raise DataError(
        f"{path}: particle {particle} of run {run} moves by {largest:.3g} box edges along axis {axis}, but {why}: "
        "the trajectories are wrapped into the periodic box, or start from other images than the initial positions; "
        "write unwrapped coordinates (in LAMMPS: xu yu zu, or x y z with ix iy iz; in HOOMD-blue: the images in every "
        "frame, by dynamic=['property', 'momentum'])"
    )

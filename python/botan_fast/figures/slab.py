"""A slab of a periodic system as it is seen from above: which particles, where, which in front."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .inputs import box_of, pairs_of, positions_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Slab", "cut", "cut_pairs", "frame", "with_images"]

_NAMES = "xyz"


@dataclass(frozen=True)
class Slab:
    """What is seen: `particles` (M,) in order of depth, the nearest last, at `points` (M, 2), and `window` (2,), the
    edges of the box in the plane. `text` says where the slab is; "" in two dimensions. `names` are those of the axes.
    """

    particles: np.ndarray
    points: np.ndarray
    window: np.ndarray
    text: str
    names: tuple[str, str]


def cut(positions: Any, box: Any, axis: int = 2, slab: tuple[float, float] | None = None) -> Slab:
    """The particles with slab[0] < r_axis < slab[1], periodic; the middle of the box, 1 thick, by default.

    The slab may reach beyond the box. It is seen against the axis: high coordinates are in front. All particles of a
    system in two dimensions. InputError for an axis that is none, a slab that is empty or thicker than the box.

    >>> import numpy as np
    >>> from botan_fast.figures.slab import cut
    >>> seen = cut([[0.5, 1, 0.3], [1, 2, 3.9], [3, 3, 2]], box=[4.0, 4.0, 4.0], slab=(-0.5, 0.5))
    >>> seen.particles.tolist(), seen.text
    ([1, 0], '-0.5 < z < 0.5')
    """
    positions = positions_of(positions)
    dimensions = positions.shape[1]
    box = box_of(box, dimensions)
    if dimensions == 2:
        wrapped = positions - box * np.floor(positions / box)
        return Slab(np.arange(len(positions)), wrapped, box, "", ("x", "y"))
    if axis not in (0, 1, 2):
        raise InputError(f"axis = {axis} is none of three; give 0, 1 or 2")
    low, high = (box[axis] / 2 - 0.5, box[axis] / 2 + 0.5) if slab is None else map(float, slab)
    if not 0 < high - low <= box[axis]:
        raise InputError(f"slab = ({low:g}, {high:g}) must rise by at most box[{axis}] = {box[axis]:g}")
    depth = (positions[:, axis] - low) % box[axis]
    inside = np.flatnonzero((depth > 0) & (depth < high - low))
    if not len(inside):
        raise InputError(f"slab = ({low:g}, {high:g}) holds no particle along axis {axis}; give another, or a thicker")
    inside = inside[np.argsort(depth[inside], kind="stable")]
    plane = [d for d in range(3) if d != axis]
    points, window = positions[inside][:, plane], box[plane]
    names = (_NAMES[plane[0]], _NAMES[plane[1]])
    text = f"{low:.4g} < {_NAMES[axis]} < {high:.4g}"
    return Slab(inside, points - window * np.floor(points / window), window, text, names)


def cut_pairs(
    positions: Any, box: Any, pairs: Any, axis: int = 2, slab: tuple[float, float] | None = None
) -> tuple[Slab, np.ndarray, np.ndarray]:
    """Of the pairs with both ends in a slab: the slab, which they are (M,), and their segments (M, 2, 2), in order of
    the depth of their middles. A segment begins at the first particle and goes to the nearest image of the second."""
    positions = positions_of(positions)
    seen = cut(positions, box, axis, slab)
    box = box_of(box, positions.shape[1])
    pairs = pairs_of(pairs, len(positions))
    rank = np.full(len(positions), -1)
    rank[seen.particles] = np.arange(len(seen.particles))
    chosen = np.flatnonzero((rank[pairs] >= 0).all(axis=0))
    if not len(chosen):
        raise InputError(f"pairs: none of {pairs.shape[1]} has both ends in the slab {seen.text}; give a thicker one")
    chosen = chosen[np.argsort(rank[pairs[:, chosen]].sum(axis=0), kind="stable")]
    first, second = rank[pairs[:, chosen]]
    step = seen.points[second] - seen.points[first]
    step -= seen.window * np.rint(step / seen.window)
    start = seen.points[first]
    return seen, chosen, np.stack([start, start + step], axis=1)


def with_images(low: np.ndarray, high: np.ndarray, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which images of shapes that fill low (M, 2) to high (M, 2) reach into the window: (index, shift), each (K,) and
    (K, 2), so that shape index[k] moved by shift[k] is to be drawn. The order of the shapes is kept.

    >>> import numpy as np
    >>> from botan_fast.figures.slab import with_images
    >>> index, shift = with_images(np.array([[-0.1, 1.0]]), np.array([[0.9, 2.0]]), np.array([4.0, 4.0]))
    >>> index.tolist(), shift.tolist()
    ([0, 0], [[0.0, 0.0], [4.0, 0.0]])
    """
    shifts = np.array(list(product((0, -1, 1), repeat=2))) * window  # (9, 2)
    reach = ((high[:, None] + shifts > 0) & (low[:, None] + shifts < window)).all(axis=2)  # (M, 9)
    index, which = np.nonzero(reach)
    return index, shifts[which] + 0.0


def frame(ax: Axes, seen: Slab) -> None:
    """Axes that show the box and nothing beyond, with equal scales."""
    ax.set(xlim=(0, seen.window[0]), ylim=(0, seen.window[1]), aspect="equal")
    ax.set(xlabel=rf"${seen.names[0]}\,/\,\sigma_{{AA}}$", ylabel=rf"${seen.names[1]}\,/\,\sigma_{{AA}}$")
    ax.tick_params(direction="out", top=False, right=False)

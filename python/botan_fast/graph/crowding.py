"""Pairs that do not fit, found before they are searched: a collapsed configuration would take minutes to say so."""

import itertools
import os
from functools import lru_cache

import numpy as np

from ..errors import InputError

__all__ = ["check_pairs_fit"]

_BYTES = 24  # of an edge: senders, receivers, reverse, three components of a vector
_SAMPLE = 2048


def check_pairs_fit(positions: np.ndarray, offsets: np.ndarray, cutoff: float, most: int) -> None:
    """InputError when a configuration has more than `most` edges for certain, or more than the memory holds.

    Particles in cells of a quarter of the cutoff, and in cells so near that their far corners are closer than the
    cutoff, are pairs: a lower bound, far above what any liquid has where it matters.

    >>> import numpy as np
    >>> from botan_fast.graph.crowding import check_pairs_fit
    >>> heap = np.random.default_rng(0).random((100_000, 3))
    >>> check_pairs_fit(heap, np.array([0, 100_000]), 2.0, 2**31 - 1)
    Traceback (most recent call last):
    botan_fast.errors.InputError: ... 100000 particles have more than ... pairs closer than cutoff = 2 ...
    """
    fits = min(most, _memory() // _BYTES)
    for begin, end in itertools.pairwise(offsets.tolist()):
        number = end - begin
        if number * number <= fits:
            continue
        part = positions[begin:end]
        # First some of the particles: for almost all configurations that is enough.
        some = part[np.random.default_rng(0).choice(number, _SAMPLE)] if number > _SAMPLE else part
        found, counts = _occupied(some, cutoff)
        scale = (number / len(some)) ** 2
        # Cauchy and Schwarz: no offset of cells has more pairs than the offset 0 has.
        if len(_offsets(part.shape[1])) * int(counts @ counts) * scale < fits / 4:
            continue
        if _certain_pairs(found, counts, part.shape[1]) * scale < fits / 4:
            continue
        pairs = _certain_pairs(*_occupied(part, cutoff), part.shape[1])
        if pairs > fits:
            raise InputError(
                f"positions: {number} particles have more than {pairs:.2g} pairs closer than cutoff = {cutoff:g} (with "
                f"periodic images more), {'the memory holds' if fits < most else 'there is room for'} {fits:.2g}; the "
                "configuration has collapsed or its unit of length is another one, or take a smaller cutoff"
            )


def _occupied(positions: np.ndarray, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the cells of a quarter of the cutoff that hold particles, sorted, and how many each holds."""
    index = np.floor((positions - positions.min(axis=0)) / (cutoff / 4))
    if not (index < 2**20).all():  # too wide for one number each, and for a heap
        index %= 2**20
    keys, counts = np.unique(index.astype(np.int64) @ np.array(_steps(positions.shape[1])), return_counts=True)
    return keys, counts


def _steps(dimensions: int) -> list[int]:
    """What a step along each axis adds to the key of a cell."""
    return [1 << (21 * axis) for axis in range(dimensions)]


@lru_cache(maxsize=2)
def _offsets(dimensions: int) -> list[int]:
    """Differences of the keys of cells that are so near that all their particles are pairs."""
    near = (
        offset
        for offset in itertools.product(range(-3, 4), repeat=dimensions)
        if sum((abs(k) + 1) ** 2 for k in offset) < 16
    )
    return [sum(k * step for k, step in zip(offset, _steps(dimensions), strict=True)) for offset in near]


def _certain_pairs(keys: np.ndarray, counts: np.ndarray, dimensions: int) -> int:
    """A lower bound of the number of ordered pairs closer than the cutoff, without periodic images."""
    total = -int(counts.sum())  # nobody is his own neighbour
    for offset in _offsets(dimensions):
        shifted = keys + offset
        place = np.minimum(np.searchsorted(keys, shifted), len(keys) - 1)
        there = keys[place] == shifted
        total += int(counts[there] @ counts[place[there]])
    return total


def _memory() -> int:
    """Bytes of memory of this machine; where it does not tell, as if there were no limit."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 1 << 62

"""Configurations that are there twice: found by where their particles are, whatever their names."""

import hashlib
from collections.abc import Iterator
from typing import Generic, TypeVar

import numpy as np

__all__ = ["Known"]

_ROWS = 256  # particles that are compared: pinned or frozen ones alone do not make two configurations equal
_GRID = 1e3  # cells per unit of length in the first coordinate, by which a configuration is looked up

T = TypeVar("T")


class Known(Generic[T]):
    """The configurations that were met, each with something to remember it by.

    Two are the same when their types are equal and their particles lie within 1e-5 of the system's extent of each
    other: copies in float32 or with the digits of a text file count as the same, two snapshots of one run do not.

    >>> import numpy as np
    >>> from botan_fast.data.twins import Known
    >>> x, known = np.random.default_rng(0).random((100, 3)) * 5, Known()
    >>> known.add(x, np.zeros(100, int), "a")
    >>> known.same(x.astype(np.float32), np.zeros(100, int)), known.same(x + 0.1, np.zeros(100, int))
    (['a'], [])
    """

    def __init__(self) -> None:
        self._cells: dict[tuple, list[tuple[np.ndarray, T]]] = {}

    def add(self, positions: np.ndarray, types: np.ndarray, item: T) -> None:
        rows, cell, kind = _mark(positions, types)
        self._cells.setdefault((cell, kind), []).append((rows, item))

    def same(self, positions: np.ndarray, types: np.ndarray) -> list[T]:
        """What was added with the same configuration, in that order."""
        rows, cell, kind = _mark(positions, types)
        limit = min(1e-5 * float(np.ptp(rows, axis=0).max()), 0.5 / _GRID)
        return [item for other, item in self._near(cell, kind) if _close(rows, other, limit)]

    def _near(self, cell: int, kind: tuple) -> Iterator[tuple[np.ndarray, T]]:
        for step in (-1, 0, 1):
            yield from self._cells.get((cell + step, kind), ())


def _mark(positions: np.ndarray, types: np.ndarray) -> tuple[np.ndarray, int, tuple]:
    positions = np.asarray(positions, np.float64)
    number = len(positions)
    rows = positions[np.linspace(0, number - 1, min(number, _ROWS)).astype(np.int64)]
    digest = hashlib.sha256(np.ascontiguousarray(types, np.int32).tobytes()).digest()
    return rows, int(np.floor(rows[0, 0] * _GRID)), (positions.shape, digest)


def _close(a: np.ndarray, b: np.ndarray, limit: float) -> bool:
    # Rounding can put a particle that lies in a face of the box on the other side of it: a few may differ.
    return bool((np.abs(a - b) <= limit).all(axis=1).mean() > 0.98)

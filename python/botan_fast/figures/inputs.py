"""Checks of what is drawn, with NumPy alone: the figures need neither torch nor the compiled module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError

__all__ = ["box_of", "numbers", "pairs_of", "positions_of", "table"]


def numbers(name: str, value: Any, length: int | None = None, what: str = "as many as the others") -> np.ndarray:
    """One row of finite numbers, (length,) float64; InputError for anything else.

    >>> from botan_fast.figures.inputs import numbers
    >>> numbers("values", [1, 2]).tolist()
    [1.0, 2.0]
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"{name} is not an array of numbers ({type(value).__name__}); give numbers") from None
    if array.ndim != 1 or len(array) == 0 or (length is not None and len(array) != length):
        wanted = "(n,), n > 0" if length is None else f"({length},), {what}"
        raise InputError(f"{name} has shape {array.shape}; give {wanted}")
    if not np.isfinite(array).all():
        index = int(np.argmin(np.isfinite(array)))
        raise InputError(f"{name}[{index}] = {array[index]} is not finite; leave it out")
    return array


def positions_of(positions: Any) -> np.ndarray:
    """Positions (N, D) float64, D = 2 or 3."""
    array = np.asarray(positions, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] not in (2, 3) or len(array) == 0:
        raise InputError(f"positions has shape {array.shape}; give (N, 2) or (N, 3)")
    if not np.isfinite(array).all():
        raise InputError("positions holds numbers that are not finite; remove or repair the configuration")
    return array


def box_of(box: Any, dimensions: int) -> np.ndarray:
    """Edge lengths (D,) of an orthorhombic box, which a number (a cube) or a diagonal cell are too."""
    array = np.asarray(box, dtype=np.float64)
    if array.ndim == 0:
        array = np.full(dimensions, float(array))
    if array.shape == (dimensions, dimensions) and np.array_equal(array, np.diag(np.diag(array))):
        array = np.diag(array)
    if array.shape != (dimensions,):
        raise InputError(f"box has shape {array.shape}; the figure needs {dimensions} edge lengths (orthorhombic)")
    if not (np.isfinite(array) & (array > 0)).all():
        raise InputError(f"box = {array.tolist()} must be positive; give the edge lengths of the periodic box")
    return array


def pairs_of(pairs: Any, number: int) -> np.ndarray:
    """Particles (2, P) of pairs, given as (2, P), two arrays (P,), or (P, 2)."""
    array = np.asarray(pairs)
    if array.ndim == 2 and array.shape[0] != 2 and array.shape[1] == 2:
        array = array.T
    if array.ndim != 2 or array.shape[0] != 2 or array.dtype.kind not in "iu":
        raise InputError(f"pairs has shape {array.shape} and dtype {array.dtype}; give (2, P) numbers of particles")
    if array.size and (array.min() < 0 or array.max() >= number):
        bad = array.min() if array.min() < 0 else array.max()
        raise InputError(f"pairs holds {bad}, outside [0, {number}); give numbers of particles")
    return array.astype(np.int64)


def table(name: str, rows: Any, *columns: str) -> list[dict[str, Any]]:
    """Rows that hold all these columns, as numbers; a text (of a CSV) becomes the number that it says.

    `rows` is a list of dict, or a dict of columns. InputError when no row has them.

    >>> from botan_fast.figures.inputs import table
    >>> table("rows", [{"x": "1", "y": 2}, {"x": 3, "y": None}], "x", "y")
    [{'x': 1.0, 'y': 2.0}]
    """
    if isinstance(rows, Mapping):
        rows = [dict(zip(rows, cells, strict=True)) for cells in zip(*rows.values(), strict=True)]
    if not isinstance(rows, Sequence) or not all(isinstance(row, Mapping) for row in rows):
        raise InputError(f"{name} is a {type(rows).__name__}; give a list of dict, or a dict of columns")
    kept = []
    for row in rows:
        values = {column: _number(row.get(column)) for column in columns}
        if all(value is not None for value in values.values()):
            kept.append({**row, **values})
    if not kept:
        raise InputError(f"{name}: none of {len(rows)} rows has {' and '.join(columns)}; give rows that do")
    return kept


def _number(value: Any) -> float | None:
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None

"""Checks of positions, boxes and the like: each refuses bad input with one line, or returns it as the core takes it."""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike

from .arrays import Array, is_cupy
from .errors import InputError


def as_array(name: str, value: Array, dtype: DTypeLike | None = None) -> np.ndarray:
    """`value` (array, tensor on any device, or nested lists) as a C-contiguous NumPy array of real numbers."""
    try:
        if is_cupy(value):
            value = value.get()
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of real numbers ({type(value).__name__}); give numbers") from None
    return np.ascontiguousarray(array, dtype=dtype)


def positive(name: str, value: Any, zero: bool = False) -> float:
    """The value as a float; InputError unless it is a positive finite number, or with `zero` 0.

    >>> from botan_fast.checks import positive
    >>> positive("cutoff", 2)
    2.0
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r} is not a number; give a positive one") from None
    if not (math.isfinite(number) and (number > 0 or (zero and number == 0))):
        raise InputError(f"{name} = {number} must be {'0 or ' if zero else ''}positive and finite")
    return number


def check_finite(name: str, array: np.ndarray) -> None:
    """Refuses NaN and infinity, naming the first such element."""
    finite = np.isfinite(array)
    if not finite.all():
        index = np.unravel_index(np.argmin(finite), array.shape)
        where = ", ".join(map(str, index))
        raise InputError(f"{name}[{where}] = {array[index]} is not finite; remove or repair the configuration")


def check_offsets(name: str, offsets: torch.Tensor, most: int) -> int:
    """The last of offsets that rise from 0 and never fall, at most `most`; InputError for others.

    >>> import torch
    >>> from botan_fast.checks import check_offsets
    >>> check_offsets("row_ptr", torch.tensor([0, 2, 2, 5]), 6)
    5
    """
    number = int(offsets[-1])
    if offsets[0] != 0 or number > most or (offsets.diff() < 0).any():
        raise InputError(
            f"{name} goes from {int(offsets[0])} to {number}; it must rise from 0 to the number of edges, at most "
            f"{most}, and never fall"
        )
    return number


def check_range(name: str, index: torch.Tensor, end: int) -> None:
    """Refuses an index outside of [0, end).

    >>> import torch
    >>> from botan_fast.checks import check_range
    >>> check_range("senders", torch.tensor([0, 4]), 5)
    """
    if index.numel() and (index.min() < 0 or index.max() >= end):
        bad = index.min() if index.min() < 0 else index.max()
        raise InputError(f"{name} holds {int(bad)}, outside [0, {end})")

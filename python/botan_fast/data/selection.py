"""Choosing the samples of one temperature and time from data that hold several."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ..errors import InputError

__all__ = ["Choice", "NotHeld", "Numbers", "SeveralValues", "same_number"]

Numbers: TypeAlias = float | Sequence[float] | np.ndarray | None  # one, several, or no choice

_NAMES = ("temperature", "time")


class _OfName(InputError):
    name = ""  # "temperature" or "time"

    @classmethod
    def of(cls, name: str, message: str) -> "_OfName":
        error = cls(message)
        error.name = name
        return error


class SeveralValues(_OfName):
    """The data hold several values of `name`, and none is chosen."""


class NotHeld(_OfName):
    """A chosen value of `name` is not in the data."""


def same_number(value: float | None, wanted: float) -> bool:
    """Is a number from a file the one that a person typed? 0.1 + 0.2 is 0.3; None is unknown and equals nothing.

    >>> from botan_fast.data.selection import same_number
    >>> same_number(0.1 + 0.2, 0.3), same_number(None, 0.3)
    (True, False)
    """
    return value is not None and math.isclose(value, wanted, rel_tol=1e-9)


class Choice:
    """A choice of temperatures and times, and what of it the data hold.

    Parameters
    ----------
    temperature, time : float, list of float, or None
        None takes whatever there is, as long as it is one value; a list chooses several on purpose.
    several : bool or tuple of names
        None takes several values as well: of both, or of those named ("temperature", "time").

    Raises
    ------
    InputError
        for what is not a number or a list of them.

    Examples
    --------
    >>> from botan_fast.data.selection import Choice
    >>> Choice(time=13).among([(0.44, 1.3), (0.44, 13.0)])
    [False, True]
    """

    def __init__(
        self, temperature: Numbers = None, time: Numbers = None, several: bool | tuple[str, ...] = False
    ) -> None:
        self._several = (_NAMES if several is True else ()) if isinstance(several, bool) else several
        self._wanted = {name: _numbers(name, value) for name, value in zip(_NAMES, (temperature, time), strict=True)}
        self._seen: dict[str, set] = {name: set() for name in _NAMES}

    def among(self, pairs: Iterable[tuple[float | None, float | None]]) -> list[bool]:
        """For each (temperature, time): is it chosen? InputError where a choice is needed and none was made."""
        pairs = list(pairs)
        for position, name in enumerate(_NAMES):
            seen = self._seen[name]
            seen.update(pair[position] for pair in pairs)
            if name not in self._several and self._wanted[name] is None and len(seen - {None}) > 1:
                raise SeveralValues.of(
                    name,
                    f"the data hold {name}s {self._held(name)}; choose with {name}=, a number or a list of numbers",
                )
        return [all(self._fits(name, value) for name, value in zip(_NAMES, pair, strict=True)) for pair in pairs]

    def check_found(self) -> None:
        """InputError when the data that `among` saw lack a chosen value, or the combination."""
        for name, wanted in self._wanted.items():
            for value in wanted or ():
                if not any(same_number(held, value) for held in self._seen[name]):
                    raise NotHeld.of(
                        name, f"{name} = {value:g} is not in the data, which hold {name}s {self._held(name)}"
                    )

    def describe(self) -> str:
        """The choice as text, such as 'temperature = 0.44, time = 13'."""
        return ", ".join(
            f"{name} = {' or '.join(f'{value:g}' for value in wanted)}"
            for name, wanted in self._wanted.items()
            if wanted is not None
        )

    def _fits(self, name: str, value: float | None) -> bool:
        wanted = self._wanted[name]
        return wanted is None or any(same_number(value, number) for number in wanted)

    def _held(self, name: str) -> str:
        return ", ".join(f"{value:g}" for value in sorted(self._seen[name] - {None})) or "unknown"


def _numbers(name: str, value: Any) -> list[float] | None:
    if value is None:
        return None
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.ndim != 1 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise InputError(f"{name} = {value!r} is not a number or a list of numbers")
    return numbers.tolist()

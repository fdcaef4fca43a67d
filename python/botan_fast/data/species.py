"""Which species is type 0 (A), which is type 1 (B): the same for all files of one call, and as the caller says."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from ..errors import DataError, InputError

__all__ = ["Names", "SpeciesOrder", "describe_types", "letter"]

Names: TypeAlias = tuple[str, ...] | None


def letter(number: int) -> str:
    """What type `number` is called where it has no name.

    >>> from botan_fast.data.species import letter
    >>> letter(0), letter(1), letter(30)
    ('A', 'B', 'type 30')
    """
    return chr(ord("A") + number) if number < 26 else f"type {number}"


def describe_types(types: np.ndarray, species: Names) -> str:
    """How many particles there are of each type, with the name that the data have for it.

    >>> import numpy as np
    >>> from botan_fast.data.species import describe_types
    >>> describe_types(np.array([0, 0, 1]), ("Si", "Ge")), describe_types(np.array([0, 0, 1]), None)
    ('A 2 (Si), B 1 (Ge)', 'A 2, B 1')
    """
    parts = []
    for number, count in enumerate(np.bincount(np.asarray(types))):
        name = species[number] if species is not None and number < len(species) else letter(number)
        parts.append(f"{letter(number)} {count}" + (f" ({name})" if name.upper() != letter(number) else ""))
    return ", ".join(parts)


class SpeciesOrder:
    """Numbers the species of one configuration after the other.

    Parameters
    ----------
    given : list of str, optional
        The names of types 0, 1, ... that the caller wants. A file without names has A, B, ... Without it, types stay
        as they are, and all files that have names must have the same.

    Raises
    ------
    InputError, DataError
        A name is not in the data, or missing in `given`; or two files number their species differently.

    >>> import numpy as np
    >>> from botan_fast.data.species import SpeciesOrder
    >>> SpeciesOrder(["Si", "Ge"]).apply(np.array([0, 1, 1]), ("Ge", "Si"), "a.xyz")
    (array([1, 0, 0]), ('Si', 'Ge'))
    """

    def __init__(self, given: Any = None) -> None:
        self.given = _checked(given)
        self._seen: dict[str, None] = {}  # in the order of the data
        self._first: tuple[tuple[str, ...], str] | None = None

    def apply(self, types: np.ndarray, species: Names, where: str) -> tuple[np.ndarray, Names]:
        """The types and names of a configuration in the order that is wanted."""
        if self.given is None:
            if species is not None:
                self._require_same(species, where)
            return types, species
        numbers = np.unique(types).tolist()
        names = species or tuple(letter(k) for k in range(numbers[-1] + 1))
        self._seen |= dict.fromkeys(names)
        used = [names[k] for k in numbers]
        missing = [name for name in used if name not in self.given]
        if missing:
            raise InputError(
                f"species = {' '.join(self.given)} lacks {', '.join(missing)}; {where} has the species "
                f"{', '.join(names)}: name them all, in the order that is wanted"
            )
        table = np.array([self.given.index(name) if name in self.given else 0 for name in names], np.int64)
        return table[types], self.given

    def check_found(self) -> None:
        """InputError when a name that the caller gave was nowhere in the data."""
        unknown = [name for name in self.given or () if name not in self._seen]
        if unknown:
            raise InputError(
                f"species = {' '.join(self.given or ())}: {', '.join(unknown)} is not in the data, which have "
                f"{', '.join(self._seen) or 'none'}"
            )

    def _require_same(self, species: tuple[str, ...], where: str) -> None:
        if self._first is None:
            self._first = species, where
            return
        names, first = self._first
        for a, b in zip(names, species, strict=False):
            # A number stands for a species that a file has no particle of.
            alike = a == b or (len(a) == len(b) == 1 and a.upper() == b.upper())
            if not (alike or a.isdigit() or b.isdigit()):
                example = f", such as --species {' '.join(names)}" if {*species} <= {*names} else ""
                raise DataError(
                    f"{where}: the species are {', '.join(species)} in this order, but {', '.join(names)} in {first}; "
                    f"say the order for all files with species={example}"
                )
        if len(species) > len(names):
            self._first = species, where


def _checked(given: Any) -> Names:
    if given is None:
        return None
    names = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Sequence) else (None,)
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise InputError(f"species = {given!r}; give the names of types 0, 1, ..., each once, such as Si Ge")
    return names

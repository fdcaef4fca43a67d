"""Species that a file names: which name is type 0, which is type 1.

- Single letters from A to E (or a to e) count from A, whichever occur: B alone is type 1.
- Whole numbers are type numbers: from 0, or from 1 where no particle has 0.
- Arrays whose numbers are 1 to n, none 0, are renumbered with a word.
- Of other names (Si, Ge), the species of at least 60 % of the particles is type 0, as A is in the Kob-Andersen mixture;
  the rest follow in the file's own order where it has one (GSD), else in natural order of the names.

Per-particle type numbers beside the names keep their order, unless the names are letters.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..errors import DataError, warn
from ..files import FilePath, natural_key

__all__ = ["number_species", "numbers_and_names", "types_from_zero"]

MAJORITY = 0.6  # not one half: where compositions scatter around it, the order would change from file to file
Names: TypeAlias = tuple[str, ...]


def number_species(
    path: FilePath, labels: Sequence[str] | np.ndarray, order: Sequence[str] = ()
) -> tuple[np.ndarray, Names | None]:
    """Type numbers (N,) int64 for the particles' labels, and the names of types 0, 1, ...; None: labels are numbers.

    `order` is the order of names where the file has one, ours or not.
    """
    words, index = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    names = [str(word) for word in words]
    if len(names) > 100:
        raise DataError(f"{path}: {len(names)} different species; expected the particles' species, not their names")
    if all(re.fullmatch(r"[0-9]{1,9}", name) for name in names):
        numbers = np.array([int(name) for name in names], dtype=np.int64)
        listed = [int(name) for name in order if re.fullmatch(r"[0-9]{1,9}", name)]  # a 0 that no particle has counts
        return (numbers - (min([*numbers, *listed]) > 0))[index], None
    letters = _letters(names)
    if letters:
        return np.array([letters.index(name) for name in names], dtype=np.int64)[index], letters
    rest = sorted(names, key=lambda name: (order.index(name) if name in order else len(order), natural_key(name)))
    counts = dict(zip(names, np.bincount(index, minlength=len(names)).tolist(), strict=True))
    most = max(rest, key=lambda name: counts[name])
    if counts[most] >= MAJORITY * len(index):
        rest = [most, *(name for name in rest if name != most)]
    return np.array([rest.index(name) for name in names], dtype=np.int64)[index], tuple(rest)


def numbers_and_names(
    path: FilePath, types: np.ndarray, labels: Sequence[str] | np.ndarray
) -> tuple[np.ndarray, Names | None]:
    """Types and names where every particle has a number from 0 and a name as well.

    The numbers count, with the names where each number has its own. Letters overrule: A is type 0 whatever its number.
    Several numbers of one name (LAMMPS calls every element C unless it was told) leave the numbers alone.
    """
    words, index = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    found = np.unique(np.stack([types, index], axis=1), axis=0).tolist()
    pairs = [(number, str(words[k])) for number, k in found]
    numbers, names = [number for number, _ in pairs], [name for _, name in pairs]
    if len(set(numbers)) < len(numbers):
        shown = ", ".join(f"type {number} = {name}" for number, name in pairs[:4])
        raise DataError(f"{path}: one type number stands beside several names ({shown}); leave out one of the two")
    if len(set(names)) < len(names) or names == ["C"] or all(name.isdigit() for name in names):
        return types, None
    letters = _letters(names)
    if letters:
        return np.array([letters.index(word) for word in words.tolist()], dtype=np.int64)[index], letters
    # Numbers that no particle has keep their place, so that a file of one species only is numbered as the others are.
    if numbers[0] < 0 or numbers[-1] > 100:
        return types, None
    known = dict(zip(numbers, names, strict=True))
    return types, tuple(known.get(number, str(number)) for number in range(numbers[-1] + 1))


def types_from_zero(path: FilePath, types: np.ndarray) -> np.ndarray:
    """The types (N,) int64 of arrays whose format counts from 0: 1 to n are renumbered, with a word.

    Raises
    ------
    DataError
        for what is no whole number, and for numbers that begin above 0 and have gaps: nobody can know what they mean.
    """
    with np.errstate(all="ignore"):
        whole = types.astype(np.int64)
    if types.dtype.kind == "f" and not np.array_equal(types, whole):
        raise DataError(f"{path}: types hold {types[types != whole].flat[0]}; expected integers (0 = A, ...)")
    numbers = np.unique(whole)
    if not len(numbers) or numbers[0] < 1:
        return whole
    shown = ", ".join(map(str, numbers[:5].tolist()))
    if not np.array_equal(numbers, np.arange(1, len(numbers) + 1)):
        raise DataError(f"{path}: types hold {shown} and no 0; number the species from 0 (0 = A, 1 = B, ...)")
    letters = ", ".join(f"{k + 1} as {chr(ord('A') + k)}" for k in range(min(len(numbers), 5)))
    warn(f"types hold {shown} and no 0: they are read as counted from 1 ({letters}); write them from 0 (0 = A, 1 = B)")
    return whole - 1


def _letters(names: Sequence[str]) -> Names | None:
    """The letters A to the last of the names, where these are letters from A to E."""
    for alphabet in ("ABCDE", "abcde"):
        if all(len(name) == 1 and name in alphabet for name in names):
            return tuple(alphabet[: alphabet.index(max(names)) + 1])
    return None

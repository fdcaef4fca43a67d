"""What is learnt: one table of the targets."""

from typing import Any, NamedTuple

from .errors import InputError

__all__ = [
    "FIRST_SHELL",
    "LETTERS",
    "LETTERS_VERSION",
    "NODE_TARGETS",
    "QUANTITIES",
    "TARGETS",
    "Quantity",
    "check_which",
    "letter_of_version",
]


FIRST_SHELL = 1.35  # sigma_AA: A-A pairs closer than this at t = 0 are neighbours, and enter the edge score


class Quantity(NamedTuple):
    """A target: its letter, its field of `Targets`, what it is a number of, and the letter that asks for it."""

    letter: str
    field: str
    of: str  # "particle" or "pair"
    asked_by: str


QUANTITIES = (
    Quantity("S", "propensity", "particle", "S"),
    Quantity("E", "pair_change", "pair", "E"),
    Quantity("R", "strain_relative_propensity", "particle", "R"),
    Quantity("C", "relative_propensity", "particle", "C"),
    Quantity("D", "nonaffine_displacement", "particle", "D"),
    Quantity("G", "local_strain", "particle", "D"),  # falls out of the same fit
    Quantity("L", "local_displacement", "particle", "L"),
)

# Files that name a target by its letter say by which table. In version 1 the letter of relative_propensity was R; now R
# is what the paper means by it, and relative_propensity is C. The names of the fields never changed their meaning.
LETTERS_VERSION = 2

# Of a node target by its letter, the field.
NODE_TARGETS = {q.letter: q.field for q in QUANTITIES if q.of == "particle"}
# Of a letter that can be asked for, the fields that it fills.
LETTERS = {
    letter: tuple(q.field for q in QUANTITIES if q.asked_by == letter)
    for letter in dict.fromkeys(q.asked_by for q in QUANTITIES)
}
# What a data set holds at one time, in its order in the file, and what each is a number of.
TARGETS = {**{q.field: q.of for q in QUANTITIES}, "bond_breaking": "particle"}


def letter_of_version(letter: str, version: int) -> str:
    """The letter of today for one that was written when the table had `version`.

    >>> from botan_fast.quantities import letter_of_version
    >>> letter_of_version("R", 1), letter_of_version("R", 2)
    ('C', 'R')
    """
    return "C" if letter == "R" and version < 2 else letter


def check_which(which: Any) -> set[str]:
    """The letters of targets that are asked for, as a set; InputError for one that is not of `LETTERS`.

    >>> from botan_fast.quantities import check_which
    >>> sorted(check_which("SE"))
    ['E', 'S']
    """
    letters = list(which) if isinstance(which, (str, list, tuple, set, frozenset)) else [which]
    for letter in letters:
        if letter not in LETTERS:
            raise InputError(f"which has {letter!r}; give letters of {', '.join(LETTERS)} (G comes with D)")
    return set(letters)

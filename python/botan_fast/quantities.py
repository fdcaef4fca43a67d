"""What is learnt: one table of the targets."""

from typing import Any

from .errors import InputError

__all__ = ["NODE_TARGETS", "TARGETS"]

# The letter of a node target and the field of `Targets` that holds it.
NODE_TARGETS = {
    "S": "propensity",
    "R": "relative_propensity",
    "D": "nonaffine_displacement",
    "G": "local_strain",
    "L": "local_displacement",
}


def check_which(which: Any) -> set[str]:
    letters = list(which) if isinstance(which, (str, list, tuple, set, frozenset)) else [which]
    for letter in letters:
        if letter not in ("S", "E", "R", "D", "L"):
            raise InputError(f"which has {letter!r}; give letters of S, E, R, D, L (G comes with D)")
    return set(letters)


# Letters of the targets, as isoconfigurational_targets has them, and their fields of Targets.
LETTERS = {
    "S": ("propensity",),
    "E": ("pair_change",),
    "R": ("relative_propensity",),
    "D": ("nonaffine_displacement", "local_strain"),
    "L": ("local_displacement",),
}


# Arrays of one time, named as the fields of Targets: one number for each particle or each pair.
TARGETS = {
    "propensity": "particle",
    "pair_change": "pair",
    "relative_propensity": "particle",
    "nonaffine_displacement": "particle",
    "local_strain": "particle",
    "local_displacement": "particle",
    "bond_breaking": "particle",
}

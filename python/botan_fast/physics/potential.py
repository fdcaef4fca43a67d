"""Lennard-Jones mixtures: the potential of which a configuration is simulated, and of which its minimum is sought."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..checks import positive
from ..errors import InputError
from .kob_andersen import CUTOFF, EPSILON, SIGMA

__all__ = ["KOB_ANDERSEN", "LennardJones", "PotentialLike", "binary", "check_potential"]

TRUNCATIONS = ("plain", "shifted", "force-shifted")  # as the core counts them
MOST_SPECIES = 1000
Table: TypeAlias = tuple[tuple[float, ...], ...]


def _table(name: str, value: Any, size: int | None = None) -> Table:
    """(S, S) numbers, symmetric and positive, as tuples of floats."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu":
            raise TypeError
    except (TypeError, ValueError):
        raise InputError(f"{name} = {value!r} is not a table of numbers; give a row for each species") from None
    array = array.astype(np.float64)
    array = array.reshape(1, 1) if array.ndim == 0 else array
    if array.ndim != 2 or array.shape[0] != array.shape[1] or not 0 < len(array) <= MOST_SPECIES:
        raise InputError(f"{name} has shape {array.shape}; give (S, S) for S species, at most {MOST_SPECIES}")
    if size is not None and len(array) != size:
        raise InputError(f"{name} is for {len(array)} species, epsilon for {size}; give tables of one size")
    bad = ~(np.isfinite(array) & (array > 0)) | (array != array.T)
    if bad.any():
        a, b = map(int, np.unravel_index(np.argmax(bad), array.shape))
        raise InputError(
            f"{name}[{a}][{b}] = {array[a, b]:g} and {name}[{b}][{a}] = {array[b, a]:g} must be equal, positive and "
            "finite"
        )
    return tuple(tuple(map(float, row)) for row in array)


@dataclass(frozen=True)
class LennardJones:
    """A mixture of Lennard-Jones particles. For species a and b, with r_c = cutoff * sigma_ab and V = 0 from r_c on::

        phi(r) = 4 epsilon_ab [ (sigma_ab / r)^12 - (sigma_ab / r)^6 ]
        V(r) = phi(r) - phi(r_c) - (r - r_c) phi'(r_c)      truncation "force-shifted"
        V(r) = phi(r) - phi(r_c)                            "shifted"
        V(r) = phi(r)                                       "plain"

    Only force-shifted (LAMMPS pair style lj/smooth/linear) are energy and force continuous at the cutoff: a minimum is
    one to rounding. Otherwise a pair at its cutoff makes a jump in the force (and, plain, in the energy), at which a
    minimisation may stop short.

    Parameters
    ----------
    epsilon, sigma : (S, S), symmetric and positive: energies and lengths of the pairs of species; one number for S = 1.
    cutoff : one number, or (S, S), in units of sigma_ab.
    truncation : "force-shifted", "shifted" or "plain".

    Raises `InputError` for tables that are not square, symmetric, positive and of one size.

    >>> import botan_fast as bf
    >>> potential = bf.LennardJones(epsilon=((1.0, 1.5), (1.5, 0.5)), sigma=((1.0, 0.8), (0.8, 0.88)))
    >>> potential == bf.KOB_ANDERSEN, potential.num_species, potential.longest
    (True, 2, 2.5)
    >>> bf.LennardJones.from_dict(potential.as_dict()) == potential
    True
    """

    epsilon: Table
    sigma: Table
    cutoff: float | Table = 2.5
    truncation: str = "force-shifted"

    def __post_init__(self) -> None:
        epsilon = _table("epsilon", self.epsilon)
        sigma = _table("sigma", self.sigma, len(epsilon))
        cutoff = positive("cutoff", self.cutoff) if np.ndim(self.cutoff) == 0 else None
        object.__setattr__(self, "epsilon", epsilon)
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "cutoff", _table("cutoff", self.cutoff, len(epsilon)) if cutoff is None else cutoff)
        if self.truncation not in TRUNCATIONS:
            raise InputError(f"truncation = {self.truncation!r} is unknown; give one of {', '.join(TRUNCATIONS)}")

    @property
    def num_species(self) -> int:
        return len(self.epsilon)

    @property
    def distances(self) -> np.ndarray:
        """(S, S) float64, the distance at which each pair of species ceases to interact."""
        return np.asarray(self.cutoff, np.float64) * np.asarray(self.sigma, np.float64)

    @property
    def longest(self) -> float:
        """The largest distance at which particles interact."""
        return float(self.distances.max())

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for files: numbers, lists and one text."""

        def lists(value: Any) -> Any:
            return value if isinstance(value, float) else [list(row) for row in value]

        values = {name: lists(getattr(self, name)) for name in ("epsilon", "sigma", "cutoff")}
        return {**values, "truncation": self.truncation}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> LennardJones:
        """What `as_dict` gave; `InputError` for anything else."""
        names = {"epsilon", "sigma", "cutoff", "truncation"}
        if not isinstance(data, dict) or set(data) != names:
            found = sorted(map(str, data)) if isinstance(data, dict) else type(data).__name__
            raise InputError(f"potential holds {found}; it must hold {', '.join(sorted(names))}")
        return LennardJones(**data)

    def __str__(self) -> str:
        return f"Lennard-Jones, {self.num_species} species, {self.truncation} at {self.longest:g}"


def binary(
    epsilon: tuple[float, float, float], sigma: tuple[float, float, float], cutoff: float = CUTOFF
) -> LennardJones:
    """The force-shifted potential of two species from the values for the pairs (AA, AB, BB).

    >>> from botan_fast.physics.potential import KOB_ANDERSEN, binary
    >>> binary((1.0, 1.5, 0.5), (1.0, 0.8, 0.88)) == KOB_ANDERSEN
    True
    """
    epsilon_table, sigma_table = (((aa, ab), (ab, bb)) for aa, ab, bb in (epsilon, sigma))
    return LennardJones(epsilon_table, sigma_table, cutoff)


KOB_ANDERSEN = binary(EPSILON, SIGMA)
"""The mixture of Kob and Andersen, Phys. Rev. E 51, 4626 (1995), force-shifted as in Shiba et al., J. Chem. Phys. 158,
084503 (2023), Sec. II."""

_NAMED = {"kob-andersen": KOB_ANDERSEN}
PotentialLike: TypeAlias = LennardJones | str


def check_potential(potential: PotentialLike) -> LennardJones:
    """The potential itself, or the one of that name; InputError for others.

    >>> from botan_fast.physics.potential import check_potential
    >>> check_potential("kob-andersen").longest
    2.5
    """
    if isinstance(potential, LennardJones):
        return potential
    if isinstance(potential, str) and potential in _NAMED:
        return _NAMED[potential]
    raise InputError(f"potential = {potential!r} is unknown; give a LennardJones or {', '.join(map(repr, _NAMED))}")

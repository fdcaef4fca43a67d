"""Which descriptors of the structure: the settings, as plain data in the file of a model, and the names of columns."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

from ..errors import InputError

__all__ = ["DescriptorSettings"]

GROUPS = ("radial", "bond_order", "energy", "displacement", "mechanics")
MECHANICS = ("virial", "stiffness", "softness")
NEEDS = {"energy": "energy=", "displacement": "inherent=", "mechanics": "potential="}
GEOMETRIES = ("inherent", "thermal", "both")
MAX_COLUMNS = 16384  # a number from a file could ask for all memory
MAX_SPECIES = 64
_TAIL = 5.0  # Gaussians end at so many widths, as kTail of csrc/cpu/geometry/descriptor_kernels.h
_MAX_ORDER = 16  # as kMaxOrder


@dataclass(frozen=True)
class DescriptorSettings:
    """What `descriptors` computes. Lengths are in the unit of the positions (sigma_AA).

    ==================  =========================================================================================
    groups              any of "radial", "bond_order", "energy", "displacement", "mechanics"; None: all whose
                        input is given
    geometry            positions of radial and bond_order: "inherent", "thermal", "both"; None: "inherent" where
                        an inherent structure is given, else "thermal"
    num_species         how many species have columns; None: as many as `types` holds. Fix it for a model
    radial_centres      distances c of the radial densities, rising
    radial_width        their width
    bond_orders         l of the bond order, from 1 to 16, rising
    bond_shells         (distance, width) of each shell of the bond order
    bond_by_species     one bond order for each species of the neighbours, not one for all together
    averages            how many times everything is averaged over neighbours, 0 to 8
    average_radius      within this distance
    smear_lengths       lengths L of the weighted means by species; () for none
    smear_radius        the means end at min(5 L, smear_radius). The same number means the same thing in every box: a
                        box that does not hold it twice is refused
    smear_local         also the means of radial and bond_order, not of the others alone
    ==================  =========================================================================================

    Equations: `descriptors`. Plain data: `as_dict` and `from_dict`. Raises `InputError` that names the wrong entry.

    >>> import botan_fast as bf
    >>> settings = bf.DescriptorSettings(groups=["radial"], radial_centres=[1.0, 1.5], averages=1, num_species=2)
    >>> settings.names(dimensions=3)[:5]
    ['radial[A,1]', 'radial[A,1.5]', 'radial[B,1]', 'radial[B,1.5]', 'radial[A,1] @1']
    >>> bf.DescriptorSettings.from_dict(settings.as_dict()) == settings
    True
    """

    groups: Sequence[str] | None = None
    geometry: str | None = None
    num_species: int | None = None
    radial_centres: Sequence[float] = tuple(round(0.75 + 0.15 * k, 10) for k in range(13))
    radial_width: float = 0.12
    bond_orders: Sequence[int] = (2, 4, 6, 8)
    bond_shells: Sequence[tuple[float, float]] = ((1.0, 0.25),)
    bond_by_species: bool = False
    averages: int = 3
    average_radius: float = 2.0
    smear_lengths: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 3.0)
    smear_radius: float = 7.0
    smear_local: bool = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        if self.groups is not None:
            groups = _sequence("groups", self.groups, len(GROUPS))
            if any(group not in GROUPS for group in groups) or len(set(groups)) != len(groups):
                raise InputError(f"groups = {groups!r} must be some of {', '.join(GROUPS)}, none twice")
            put(self, "groups", tuple(group for group in GROUPS if group in groups))
        if self.geometry is not None and self.geometry not in GEOMETRIES:
            raise InputError(f"geometry = {self.geometry!r} must be one of {', '.join(GEOMETRIES)}, or None")
        if self.num_species is not None:
            put(self, "num_species", _integer("num_species", self.num_species, 1, MAX_SPECIES))
        put(self, "radial_centres", _rising("radial_centres", self.radial_centres, 1024))
        put(self, "radial_width", _length("radial_width", self.radial_width))
        orders = _sequence("bond_orders", self.bond_orders, _MAX_ORDER)
        put(self, "bond_orders", tuple(_integer("bond_orders", order, 1, _MAX_ORDER) for order in orders))
        _check_rises("bond_orders", self.bond_orders)
        shells = [_sequence("bond_shells", shell, 2) for shell in _sequence("bond_shells", self.bond_shells, 256)]
        if any(len(shell) != 2 for shell in shells):
            raise InputError(f"bond_shells = {shells!r} must hold pairs (distance, width)")
        put(self, "bond_shells", tuple((_length("bond_shells", r), _length("bond_shells", w)) for r, w in shells))
        if len(set(self.bond_shells)) != len(self.bond_shells):
            raise InputError("bond_shells names a shell twice; give each once")
        put(self, "averages", _integer("averages", self.averages, 0, 8))
        put(self, "average_radius", _length("average_radius", self.average_radius))
        put(self, "smear_lengths", _rising("smear_lengths", self.smear_lengths, 64))
        put(self, "smear_radius", _length("smear_radius", self.smear_radius))
        for name in ("bond_by_species", "smear_local"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} = {getattr(self, name)!r} must be true or false")

    def as_dict(self) -> dict[str, Any]:
        """Plain data: lists, numbers, strings, None."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        plain["bond_shells"] = [list(shell) for shell in self.bond_shells]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in plain.items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "DescriptorSettings":
        """The settings of `as_dict`; entries that are missing have their defaults, unknown ones are refused."""
        if not isinstance(plain, Mapping):
            raise InputError(f"the settings of descriptors are a {type(plain).__name__}; give a dictionary")
        known = {field.name for field in fields(cls)}
        for name in plain:
            if name not in known:
                raise InputError(f"entry {name!r} is no setting of descriptors; there are {', '.join(sorted(known))}")
        return cls(**plain)

    # ---- what follows from them ----------------------------------------------------------------------------------

    def chosen(self, **given: bool) -> tuple[str, ...]:
        """The groups, given which inputs of `NEEDS` there are; InputError for a group whose input is missing."""
        if self.groups is None:
            return tuple(group for group in GROUPS if group not in NEEDS or given.get(group))
        for group in self.groups:
            if group in NEEDS and not given.get(group):
                raise InputError(f"descriptors include {group!r}: give {NEEDS[group]}, or leave it out of groups")
        return tuple(self.groups)

    def geometries(self, inherent: bool) -> tuple[str, ...]:
        """("inherent",), ("thermal",) or ("inherent", "thermal"), given what there is."""
        geometry = self.geometry or ("inherent" if inherent else "thermal")
        if geometry != "thermal" and not inherent:
            raise InputError(f"geometry = {geometry!r} needs the inherent structure; give inherent=, or 'thermal'")
        return GEOMETRIES[:2] if geometry == "both" else (geometry,)

    def local_reach(self, groups: Iterable[str]) -> float:
        """The distance that radial densities and bond order look; 0 without any."""
        ends = [0.0]
        if "radial" in groups:
            ends += [c + _TAIL * self.radial_width for c in self.radial_centres]
        if "bond_order" in groups and self.bond_orders:
            ends += [c + _TAIL * width for c, width in self.bond_shells]
        return max(ends)

    def smear_reach(self) -> list[float]:
        """The distance at which the means of each length end."""
        return [min(5 * length, self.smear_radius) for length in self.smear_lengths]

    def local_names(self, dimensions: int, groups: Iterable[str], num_species: int) -> list[str]:
        """Names of radial densities and bond order, in the order of the columns."""
        letters = [species_name(s) for s in range(num_species)]
        names = []
        if "radial" in groups:
            names += [f"radial[{s},{c:.10g}]" for s in letters for c in self.radial_centres]
        if "bond_order" in groups and self.bond_orders:
            name = "psi" if dimensions == 2 else "bond_order"
            each = [f",{s}" for s in letters] if self.bond_by_species else [""]
            shells = [
                f"{r:.10g}" if [c for c, _ in self.bond_shells].count(r) == 1 else f"{r:.10g}~{w:.10g}"
                for r, w in self.bond_shells
            ]
            names += [f"{name}[{l},{shell}{s}]" for shell in shells for s in each for l in self.bond_orders]  # noqa: E741
        return names

    def names(
        self, dimensions: int, num_species: int | None = None, scalars: Sequence[str] = (), **given: bool
    ) -> list[str]:
        """Names of all columns; `given`: which of energy, displacement (the inherent structure) and mechanics (the
        potential) there are. Needs num_species, here or as a field."""
        num_species = self.num_species or num_species
        if num_species is None:
            raise InputError("num_species is not known; give it")
        groups = self.chosen(**given)
        local = self.local_names(dimensions, groups, num_species)
        geometries = self.geometries(bool(given.get("displacement")))
        base = [
            f"{g} {name}" if g == "thermal" and len(geometries) == 2 else name for g in geometries for name in local
        ]
        alone = [group for group in groups if group in ("energy", "displacement")]
        alone += [*(MECHANICS if "mechanics" in groups else ()), *scalars]
        smeared = base * self.smear_local + alone
        number = len(base + alone) * (self.averages + 1) + len(smeared) * num_species * len(self.smear_lengths)
        if number > MAX_COLUMNS:
            raise InputError(f"the settings give {number} descriptors, more than {MAX_COLUMNS}; choose fewer")
        names = [name + (f" @{n}" if n else "") for n in range(self.averages + 1) for name in base + alone]
        letters = [species_name(s) for s in range(num_species)]
        return names + [f"{name}~{s},{L:.10g}" for L in self.smear_lengths for s in letters for name in smeared]


def species_name(species: int) -> str:
    """A, B, ..., Z, then the number."""
    return chr(ord("A") + species) if species < 26 else str(species)


def _sequence(name: str, value: Any, most: int) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise InputError(f"{name} = {value!r} must be a list")
    items = list(value)
    if len(items) > most:
        raise InputError(f"{name} has {len(items)} entries; give at most {most}")
    return items


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, bool | str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{name} = {value!r} must be a number") from None


def _length(name: str, value: Any) -> float:
    number = _number(name, value)
    if not (1e-3 <= number <= 1e3):  # false for NaN as well
        raise InputError(f"{name} holds {number:g}; lengths go from 0.001 to 1000")
    return number


def _integer(name: str, value: Any, least: int, most: int) -> int:
    number = _number(name, value)
    if not (math.isfinite(number) and number == int(number) and least <= number <= most):
        raise InputError(f"{name} = {value!r} must be an integer from {least} to {most}")
    return int(number)


def _rising(name: str, value: Any, most: int) -> tuple[float, ...]:
    numbers = tuple(_length(name, item) for item in _sequence(name, value, most))
    _check_rises(name, numbers)
    return numbers


def _check_rises(name: str, numbers: Sequence[float]) -> None:
    if any(a >= b for a, b in pairwise(numbers)):
        raise InputError(f"{name} = {list(numbers)} must rise, each number once")

"""What a configuration has beside its particles: its inherent structure, and arrays by name; in a data set's group
`inherent` and group `arrays` (docs/dataset.md)."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..arrays import Array
from ..checks import as_array, check_finite
from ..errors import DataError, InputError
from ..files import printable
from ..formats import Configuration
from ..formats.hdf5 import has_child
from ..physics.inherent import InherentStructure, energy_and_forces, inherent_structure
from ..physics.potential import LennardJones, check_potential
from .schema import number_of_axes, read_array, read_attribute, read_group, read_text, write_array, write_text

__all__ = [
    "Minima",
    "checked_extras",
    "copy_extras",
    "extras_of",
    "read_extras",
    "shown_extras",
    "write_extras",
]

STORED_FORCE = 1e-2  # a minimum that was kept in float32 has forces of this size
MOST_ARRAYS = 64  # of a configuration
MOST_COLUMNS = 4096
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
# Names of what `Dataset.arrays` gives besides.
_TAKEN = {"positions", "types", "box", "pairs"}
Extras = tuple[InherentStructure | None, dict[str, np.ndarray]]


# ---- what is given --------------------------------------------------------------------------------------------------


def checked_extras(inherent: Any, arrays: Mapping[str, Array] | None, positions: np.ndarray) -> Extras:
    """The inherent structure and the arrays of a configuration, checked: float64, (N,), (N, k) or () each.

    >>> import numpy as np
    >>> from botan_fast.data.extras import checked_extras
    >>> checked_extras(None, {"diameter": [1, 2]}, np.zeros((2, 3)))
    (None, {'diameter': array([1., 2.])})
    """
    number = len(positions)
    if inherent is not None:
        if not isinstance(inherent, InherentStructure):
            raise InputError(f"inherent is a {type(inherent).__name__}; give what inherent_structure returns")
        for name, array, shape in (
            ("inherent.positions", inherent.positions, positions.shape),
            ("inherent.energy", inherent.energy, (number,)),
        ):
            array = as_array(name, array, np.float64)
            if array.shape != shape:
                raise InputError(f"{name} has shape {array.shape}; positions need {shape}")
            check_finite(name, array)
    if arrays is not None and not isinstance(arrays, Mapping):
        raise InputError(f"arrays is a {type(arrays).__name__}; give a dict of arrays by name")
    result = {}
    for name, values in (arrays or {}).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _TAKEN:
            raise InputError(
                f"arrays has {printable(str(name), 80)!r}; names are letters, digits and _, at most 64, and none of "
                f"{', '.join(sorted(_TAKEN))}"
            )
        array = as_array(f"arrays[{name!r}]", values, np.float64)
        array = array.reshape(()) if np.ndim(values) == 0 else array  # as_array makes it (1,)
        if array.ndim > 2 or (array.ndim and len(array) != number) or array.size > MOST_COLUMNS * max(1, number):
            raise InputError(
                f"arrays[{name!r}] has shape {array.shape}; give ({number},), ({number}, k) with k up to "
                f"{MOST_COLUMNS}, or one number"
            )
        check_finite(f"arrays[{name!r}]", np.atleast_1d(array))
        result[name] = array
    if len(result) > MOST_ARRAYS:
        raise InputError(f"arrays holds {len(result)} arrays; give at most {MOST_ARRAYS}")
    return inherent, result


def extras_of(configuration: Configuration, box: np.ndarray) -> Extras:
    """Those that a file holds. Positions of an inherent structure without an energy, and of a potential that nobody
    knows, are the array `inherent_positions`."""
    c, arrays = configuration, dict(configuration.arrays)
    positions, energy = c.inherent_positions, c.inherent_energy
    if positions is None:
        return None, arrays
    if energy is not None:
        return InherentStructure(positions, energy, float("nan"), 0), arrays
    if c.potential is not None:
        try:
            energy, forces = energy_and_forces(positions, c.types, box, c.potential)
        except InputError:  # the box is too small for the potential, or the species are others
            return None, {**arrays, "inherent_positions": positions}
        largest = float(np.abs(forces).max(initial=0.0))
        return InherentStructure(positions, energy, largest, 0, check_potential(c.potential)), arrays
    return None, {**arrays, "inherent_positions": positions}


class Minima:
    """Inherent structures that `convert` computes: those of a configuration at several times once."""

    def __init__(self, potential: LennardJones) -> None:
        self.potential = potential
        self._known: dict[bytes, InherentStructure] = {}

    def of(self, positions: Array, types: Array, box: Array, stored: InherentStructure | None) -> InherentStructure:
        """The minimum of this potential: what is stored where it is one, or else computed now."""
        if stored is not None and stored.potential == self.potential and stored.largest_force <= STORED_FORCE:
            return stored
        digest = hashlib.sha256()
        for array in (positions, types, box):
            digest.update(np.ascontiguousarray(array).tobytes())
        key = digest.digest()
        found = self._known.pop(key, None)
        if found is None:
            found = inherent_structure(positions, types, box, self.potential)
        self._known[key] = found
        if len(self._known) > 4:  # the files of a configuration follow each other
            del self._known[next(iter(self._known))]
        return found


# ---- in a data set --------------------------------------------------------------------------------------------------


def write_extras(group: h5py.Group, inherent: InherentStructure | None, arrays: dict[str, np.ndarray]) -> None:
    """The groups `inherent` and `arrays` of a configuration, where it has them."""
    if inherent is not None:
        own = group.create_group("inherent")
        own.attrs["largest_force"] = np.float64(inherent.largest_force)
        own.attrs["steps"] = np.int64(inherent.steps)
        if inherent.potential is not None:
            write_text(own, "potential", json.dumps(inherent.potential.as_dict()))
        write_array(own, "positions", np.ascontiguousarray(inherent.positions, np.float64))
        write_array(own, "energy", np.ascontiguousarray(inherent.energy, np.float64))
    if arrays:
        own = group.create_group("arrays")
        for name, array in arrays.items():
            if array.ndim:
                write_array(own, name, array)
            else:
                own.attrs[name] = np.float64(array)


def read_extras(path: Path, group: h5py.Group, positions: np.ndarray) -> Extras:
    """What `write_extras` wrote, checked."""
    inherent = _read_inherent(path, group, positions) if has_child(group, "inherent") else None
    arrays: dict[str, np.ndarray] = {}
    if has_child(group, "arrays"):
        own = read_group(path, group, "arrays")
        for name, array in _read_arrays(path, own, len(positions)):
            _require_finite(path, own, name, array)
            arrays[name] = array
    return inherent, arrays


def copy_extras(source: h5py.Group, target: h5py.Group) -> None:
    """Give a configuration what another record of it has and it has not."""
    if "inherent" in source and "inherent" not in target:
        source.file.copy(source["inherent"], target, "inherent")
    if "arrays" in source:
        arrays = target.require_group("arrays")
        for name in set(source["arrays"]) - set(arrays):
            source.file.copy(source["arrays"][name], arrays, name)
        for name in set(source["arrays"].attrs) - set(arrays.attrs):
            arrays.attrs[name] = source["arrays"].attrs[name]


def shown_extras(inherent: InherentStructure | None, arrays: dict[str, np.ndarray]) -> str:
    """For people: "inherent structure, energy -6.84; arrays diameter"; "" where there is neither."""
    words = [f"inherent structure, energy {inherent.mean_energy:.4g}"] if inherent is not None else []
    return "; ".join(words + ([f"arrays {', '.join(sorted(arrays))}"] if arrays else []))


def _read_inherent(path: Path, group: h5py.Group, positions: np.ndarray) -> InherentStructure:
    own = read_group(path, group, "inherent")
    places = read_array(path, own, "positions", "<f8", positions.shape)
    energy = read_array(path, own, "energy", "<f8", (len(positions),))
    for name, array in (("positions", places), ("energy", energy)):
        _require_finite(path, own, name, array)
    largest = float(read_attribute(path, own, "largest_force", "f", ()))
    steps = int(read_attribute(path, own, "steps", "iu", ()))
    text, potential = read_text(path, own, "potential"), None
    if text:
        try:
            potential = LennardJones.from_dict(json.loads(text))
        except InputError as error:
            raise DataError(f"{path}: attribute potential of {own.name}: {error}") from None
    return InherentStructure(places, energy, largest, steps, potential)


def _read_arrays(path: Path, own: h5py.Group, number: int) -> Iterator[tuple[str, np.ndarray]]:
    if len(own) + len(own.attrs) > MOST_ARRAYS:
        raise DataError(f"{path}: {own.name} has {len(own) + len(own.attrs)} arrays, more than {MOST_ARRAYS}")
    names = dict.fromkeys(own, False) | dict.fromkeys(own.attrs, True)
    for name, is_number in names.items():
        if not (isinstance(name, str) and _NAME.fullmatch(name)) or name in _TAKEN:
            raise DataError(f"{path}: {own.name} has an array {printable(str(name), 80)!r}, which is no name of one")
        if is_number:
            yield name, read_attribute(path, own, name, "f", ()).astype(np.float64)
        else:
            columns = (None,) * (number_of_axes(path, own, name) - 1)
            yield name, read_array(path, own, name, "<f8", (number, *columns))


def _require_finite(path: Path, group: h5py.Group, name: str, array: np.ndarray) -> None:
    if not np.isfinite(array).all():
        raise DataError(f"{path}: {name} of {group.name} is not finite; make the data set again")

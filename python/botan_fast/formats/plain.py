"""Plain arrays under documented names, in an npz or an HDF5 file: what to write where no other format fits.

    positions     (N, D) float, D = 2 or 3: the static configuration; anywhere, it is wrapped into the box
    types         (N,) integer, 0 = A, 1 = B, ...; where they are 1 to n, they are renumbered with a word
    box           number, (D,) edge lengths, or (D, D) row vectors
    trajectories  optional, (R, N, D) unwrapped positions of R runs at one time, or (T, R, N, D) at T times
    propensity    optional, (N,) or (T, N): S_i, where it is known ready-made
    time          optional, number or (T,), in Lennard-Jones units
    temperature   optional, number
    inherent_positions, inherent_energy
                  optional, (N, D) and (N,): the inherent structure of the positions and its energy of each particle
    diameter      optional, (N,)

In HDF5 these are datasets (or, for the numbers, attributes) of the root, or of one group for each configuration, whose
name is the configuration's.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError
from ..files import check_name, name_of
from .configuration import Configuration, check_configuration
from .hdf5 import attribute, child, dataset, has_child, is_hdf5, open_hdf5, read_array
from .npz import is_zip, npz_keys, read_npz
from .periodic import nearest_to, place_in_box
from .sizes import MAX_GROUPS, MAX_TIMES, refuse_expansion
from .species import types_from_zero

NAME = "plain arrays (npz, HDF5)"
KEYS = ("positions", "types", "box")
OPTIONAL = (
    *("trajectories", "propensity", "time", "temperature"),
    *("inherent_positions", "inherent_energy", "diameter"),
)
EXPECTED = f"an npz or HDF5 file with {', '.join(KEYS)} and optionally {', '.join(OPTIONAL)}"


def recognises(path: Path, head: bytes) -> bool:
    if is_zip(head):
        keys = set(npz_keys(path))
        # The authors' files have initial_positions, and mean by positions where the particles end.
        return set(KEYS) <= keys and "initial_positions" not in keys
    if not is_hdf5(head):
        return False
    with open_hdf5(path) as file:
        return not has_child(file, "h5md") and any(True for _ in _groups(path, file))


def read(path: Path) -> list[Configuration]:
    with open(path, "rb") as file:
        head = file.read(8)
    if is_zip(head):
        return _configurations(path, name_of(path), read_npz(path, KEYS, OPTIONAL))
    result, declared = [], 0
    with open_hdf5(path) as file:
        for name, group in _groups(path, file):
            arrays = _arrays(path, group)
            declared += sum(array.nbytes for array in arrays.values())
            refuse_expansion(path, declared)
            result += _configurations(path, name, arrays)
    return result


def _groups(path: Path, file: h5py.File) -> Iterator[tuple[str, h5py.Group]]:
    """The root, or the groups in it, as far as they hold the arrays, with the configuration's name."""
    if _is_configuration(file):
        yield name_of(path), file
        return
    if len(file) > MAX_GROUPS:
        raise DataError(f"{path}: the HDF5 file has {len(file)} groups; put at most {MAX_GROUPS} into one file")
    for name in file:
        group = child(path, file, name)
        if isinstance(group, h5py.Group) and _is_configuration(group):
            try:
                yield check_name(name if isinstance(name, str) else name.decode("utf-8", "replace")), group
            except DataError as error:
                raise DataError(f"{path}: {error}") from None


def _is_configuration(group: h5py.Group) -> bool:
    return all(has_child(group, key) or (key == "box" and key in group.attrs) for key in KEYS)


def _arrays(path: Path, group: h5py.Group) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for key in KEYS + OPTIONAL:
        item = dataset(path, group, key)
        if item is not None:
            arrays[key] = read_array(path, item)
        elif key in group.attrs:
            value = attribute(path, group, key)
            if value is None or value.dtype.kind == "S":
                raise DataError(f"{path}: attribute {key} of {group.name} does not hold numbers")
            arrays[key] = value
    return arrays


def _configurations(path: Path, name: str, arrays: dict[str, np.ndarray]) -> list[Configuration]:
    positions, types, box = (arrays[key] for key in KEYS)
    positions = np.ascontiguousarray(positions, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] not in (2, 3) or not len(positions):
        raise DataError(f"{path}: positions have shape {positions.shape}; expected (N, 2) or (N, 3) with N > 0")
    types = types_from_zero(path, types)
    box = np.full(positions.shape[1], float(box)) if box.ndim == 0 else box.astype(np.float64)
    runs, propensity = arrays.get("trajectories"), arrays.get("propensity")
    for key, array in (("trajectories", runs), ("propensity", propensity)):
        if array is not None and array.ndim == 0:
            raise DataError(f"{path}: {key} is one number; expected one for each particle")
    if runs is not None and runs.ndim == 3:
        runs = runs[None]
    if propensity is not None and propensity.ndim == 1:
        propensity = propensity[None]
    number = len(runs) if runs is not None else len(propensity) if propensity is not None else 0
    if number > MAX_TIMES:
        raise DataError(f"{path}: {number} times of one configuration; give at most {MAX_TIMES}")
    if runs is not None and (runs.ndim != 4 or runs.shape[2:] != positions.shape or 0 in runs.shape):
        raise DataError(
            f"{path}: trajectories have shape {arrays['trajectories'].shape}; expected (R, N, D) or (T, R, N, D) "
            f"with R, T > 0 and (N, D) = {positions.shape}"
        )
    if propensity is not None and propensity.shape != (number, len(positions)):
        raise DataError(
            f"{path}: propensity has shape {arrays['propensity'].shape}; expected ({number}, {len(positions)})"
        )
    times = arrays.get("time")
    if times is not None and times.size != max(number, 1):
        raise DataError(f"{path}: time has shape {times.shape}; expected one number for each of {number} times")
    start, _ = place_in_box(path, positions, None, box)
    temperature = arrays.get("temperature")
    if temperature is not None and (temperature.size != 1 or not np.isfinite(temperature).all()):
        raise DataError(f"{path}: temperature holds {temperature.tolist()}; expected one number")
    if times is not None and not np.isfinite(times).all():
        raise DataError(f"{path}: time holds a value that is not finite; expected numbers")
    inherent, energy, diameter = (
        None if (array := arrays.get(key)) is None else array.astype(np.float64)
        for key in ("inherent_positions", "inherent_energy", "diameter")
    )
    if inherent is not None and inherent.shape == positions.shape:
        inherent = nearest_to(inherent - positions + start, start, box)
    result = []
    order = range(max(number, 1)) if times is None else np.argsort(times.ravel(), kind="stable")
    for k in order:
        configuration = Configuration(
            name=name,
            path=path,
            positions=start,
            types=types,
            box=box,
            trajectories=None if runs is None else runs[k].astype(np.float64) - (positions - start),
            temperature=None if temperature is None else float(temperature.reshape(-1)[0]),
            time=None if times is None else float(times.ravel()[k]),
            time_index=int(k) if number > 1 else None,
            propensity=None if propensity is None else propensity[k].astype(np.float64),
            inherent_positions=inherent,
            inherent_energy=energy,
            arrays={} if diameter is None else {"diameter": diameter},
        )
        result.append(check_configuration(configuration))
    return result

"""The pickles of DeepMind's glassy_dynamics data set (Bapst et al., Nat. Phys. 16, 448 (2020)), one configuration each.

Keys: `positions` (N, D), `types` (N,) 0 = A, 1 = B, `box` (D,), `time` (all sampled times), `time_indices` (which of
them are targets), `is_values` (the intermediate scattering function there), `trajectory_target_positions` (for each
target time the R runs, (N, D) unwrapped), `metadata` (temperature, pressure, fluid) and in some files `targets`, the
propensity S_i for each target time. The last target time of the data set, the 1/e point, lies between others: times are
sorted here, and `time_index` keeps the file's own number. A file may hold runs for the first few target times only.
The layout of the file: https://github.com/google-deepmind/deepmind-research/tree/master/glassy_dynamics
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import name_of, printable
from .configuration import Configuration, check_configuration
from .periodic import place_in_box
from .pickle_arrays import Array, describe, load_arrays
from .sizes import MAX_TIMES
from .species import types_from_zero

NAME = "glassy_dynamics pickle"
KEYS = ("positions", "types", "box", "time", "time_indices", "trajectory_target_positions")
EXPECTED = f"a pickle of glassy_dynamics with {', '.join(KEYS)}"


def recognises(path: Path, head: bytes) -> bool:
    # From protocol 2 on, a pickle begins with its number; 0 and 1 have no such mark, but begin with a dictionary.
    return (head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2) or head[:3] in (
        b"(dp",
        b"}q\x00",
    )


def read(path: Path) -> list[Configuration]:
    content = load_arrays(path)
    if not isinstance(content, Mapping):
        raise DataError(
            f"{path}: the pickle holds a {type(content).__name__}; expected a dictionary of glassy_dynamics"
        )
    content = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    missing = [key for key in KEYS if key not in content]
    if missing:
        held = ", ".join(sorted(printable(key, 40) for key in content)[:20])
        raise DataError(f"{path}: the pickle has no {', '.join(missing)}; it holds {held or 'nothing'}")
    positions, types = _array(path, content, "positions"), _array(path, content, "types")
    box, times = _array(path, content, "box"), _array(path, content, "time")
    indices = _array(path, content, "time_indices")
    if positions.ndim != 2 or len(positions) == 0 or positions.shape[1] not in (2, 3):
        raise DataError(f"{path}: positions have shape {positions.shape}; expected (N, D)")
    wrong = indices.ndim != 1 or times.ndim != 1 or len(indices) == 0 or (indices != np.rint(indices)).any()
    if wrong or indices.min() < 0 or indices.max() >= len(times):
        raise DataError(f"{path}: time_indices do not point into the {times.size} values of time")
    if len(indices) > MAX_TIMES:
        raise DataError(f"{path}: time_indices hold {len(indices)} times; expected at most {MAX_TIMES}")
    times = times[indices.astype(np.int64)]
    runs = _runs(path, content["trajectory_target_positions"], positions.shape, len(times))
    targets = _targets(path, content.get("targets"), len(positions), len(times))
    if not runs and not targets:
        raise DataError(f"{path}: trajectory_target_positions are empty; expected the runs of at least one time")
    box = np.full(positions.shape[1], float(box)) if box.ndim == 0 else box
    start, moved = place_in_box(path, positions, None, box)
    types = types_from_zero(path, types)
    temperature = _temperature(path, content.get("metadata"))
    result = []
    for k in np.argsort(times, kind="stable"):
        if k >= max(len(runs), len(targets)):
            continue
        moved = runs[k] - (positions - start) if k < len(runs) else None
        configuration = Configuration(
            name=name_of(path),
            path=path,
            positions=start,
            types=types,
            box=box,
            trajectories=moved,
            temperature=temperature,
            time=float(times[k]),
            time_index=int(k),
            propensity=targets[k] if k < len(targets) else None,
        )
        result.append(_compare(check_configuration(configuration)))
    return result


def _array(path: Path, content: Mapping, key: str) -> np.ndarray:
    """An array or a list of numbers, as float64."""
    value = content[key]
    try:
        if isinstance(value, Array):
            value = value.get()
        elif isinstance(value, (list, tuple)) and all(type(item) in (int, float) for item in value):
            value = np.array(value, dtype=np.float64)
        elif type(value) not in (int, float) and not isinstance(value, np.generic):
            raise ValueError(f"a {type(value).__name__}; expected an array of numbers")
        return np.ascontiguousarray(value, dtype=np.float64) if np.ndim(value) else np.float64(value)[...]
    except (ValueError, OverflowError) as error:
        raise DataError(f"{path}: {key} is {error}") from None


def _items(path: Path, key: str, value: Any) -> list:
    """A list of arrays, or an array cut along its first axis."""
    array = _array(path, {key: value}, key) if isinstance(value, Array) else value
    if isinstance(array, np.ndarray) and array.ndim > 0 and len(array) < 100_000:
        return list(array)
    if isinstance(value, (list, tuple)) and len(value) < 100_000:
        return list(value)
    raise DataError(f"{path}: {key} is a {type(value).__name__}; expected a list of arrays")


def _runs(path: Path, value: Any, shape: tuple[int, int], number: int) -> list[np.ndarray]:
    """(R, N, D) for each target time that has runs: lists of arrays, or arrays of any of their axes together."""
    key = "trajectory_target_positions"
    times = _items(path, key, value)
    if len(times) > number:
        raise DataError(f"{path}: {key} hold {len(times)} times, time_indices {number}; expected as many or fewer")
    result, limit = [], 16 * path.stat().st_size
    for k, runs in enumerate(times):
        arrays = []
        for run, item in enumerate(_items(path, f"{key}[{k}]", runs)):
            what = f"{key}[{k}][{run}]"
            array = item if isinstance(item, np.ndarray) else _array(path, {what: item}, what)
            if array.shape != shape:
                raise DataError(f"{path}: {what} has shape {array.shape}, positions {shape}; expected the same")
            # A list can hold one array many times; real data does not.
            limit -= array.nbytes
            if limit < 0:
                raise DataError(f"{path}: {key} hold more than the file has room for; expected each run once")
            arrays.append(array)
        if not arrays:
            raise DataError(f"{path}: {key}[{k}] holds no runs; expected R arrays of shape {shape}")
        result.append(np.stack(arrays))
    return result


def _targets(path: Path, value: Any, particles: int, number: int) -> list[np.ndarray]:
    if value is None:
        return []
    result = []
    items = _items(path, "targets", value)
    if len(items) > number:
        raise DataError(f"{path}: targets hold {len(items)} times, time_indices {number}; expected as many or fewer")
    limit = 16 * path.stat().st_size
    for k, item in enumerate(items):
        what = f"targets[{k}]"
        array = item if isinstance(item, np.ndarray) else _array(path, {what: item}, what)
        limit -= array.nbytes
        if array.shape != (particles,) or limit < 0:
            raise DataError(
                f"{path}: {what} has shape {array.shape}; expected ({particles},) for each of {number} times"
            )
        result.append(array)
    return result


def _temperature(path: Path, metadata: Any) -> float | None:
    value = metadata.get("temperature") if isinstance(metadata, Mapping) else None
    if value is None:
        return None
    if isinstance(value, Array):  # of one number, such as np.array(0.44)
        value = _array(path, {"temperature": value}, "temperature")
    try:
        # The types first: to convert lists in lists could take for ever.
        known = isinstance(value, (int, float, np.generic)) or (isinstance(value, np.ndarray) and value.size == 1)
        temperature = float(value.item() if isinstance(value, np.ndarray) else value) if known else np.nan
    except (TypeError, ValueError, OverflowError):
        temperature = np.nan
    if not 0 <= temperature < 1e9:
        raise DataError(f"{path}: metadata holds temperature {describe(value)}; expected a number in units of epsilon")
    return temperature


def _compare(c: Configuration) -> Configuration:
    """DataError where the file's own targets are not the mean displacements of its runs (to 0.1 %, for float32)."""
    if c.trajectories is not None and c.propensity is not None:
        with np.errstate(all="ignore"):
            distances = np.sqrt(((c.trajectories - c.positions) ** 2).sum(axis=2)).mean(axis=0)
            difference = np.abs(distances - c.propensity).max()
        if not difference <= 1e-3 * distances.max():
            raise DataError(
                f"{c.path}: targets[{c.time_index}] differ by up to {difference:.3g} from the mean displacements of "
                "trajectory_target_positions; one of the two is damaged or means something else"
            )
    return c

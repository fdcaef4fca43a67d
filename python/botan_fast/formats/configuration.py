"""What every reader gives: a Configuration; and what every reader is: the Reader interface."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ..errors import DataError, warn
from ..files import printable
from .periodic import refuse_bad_box, refuse_wrapped

__all__ = ["Configuration", "Reader", "check_configuration"]


@dataclass
class Configuration:
    """One static particle configuration, as a file holds it, and what is known about its future at one target time.

    A file with several target times gives one Configuration per time, in the order of time. They have the same name
    and share the arrays `positions` and `types` (`a.positions is b.positions`).

    name          short and unique in a data set; the file's name without its ending, unless the file has a better one
    path          the file, for messages
    positions     (N, D) float64, D = 2 or 3
    types         (N,) int64, 0 = A, 1 = B, ...
    species       names of types 0, 1, ... in the file's words, ("A", "B") or ("Si", "Ge"); None: it has numbers only
    box           (D,) or (D, D) float64, or None where the file does not tell
    density       number density that gives a cubic box when nobody tells one; None: a box must be given
    trajectories  (R, N, D) float64, unwrapped: where the particles are at the target time in each run; or None
    temperature, time   floats in Lennard-Jones units, or None where the file does not tell
    time_index    which of the file's target times this is, counted from 0 as the file counts; None: it has only one
    propensity    (N,) float64, S_i where the file holds it ready-made; trajectories, if given too, agree with it
    node_fields   other values per particle that the file holds ready-made at this time: name -> (N,) float64
    inherent_positions, inherent_energy
                  (N, D) and (N,) float64, the inherent structure that the file holds, continuous with `positions`,
                  and its energy of each particle; or None
    potential     name of the potential of that structure, "kob-andersen", or None
    arrays        other values that the file holds at the initial time: name -> (N,) or (N, k) float64, or one number
    told_by_name  which of "temperature" and "time" only the file's name tells; what a user says counts more
    """

    name: str
    path: Path
    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray | None = None
    density: float | None = None
    trajectories: np.ndarray | None = None
    temperature: float | None = None
    time: float | None = None
    time_index: int | None = None
    propensity: np.ndarray | None = None
    node_fields: dict[str, np.ndarray] = field(default_factory=dict)
    species: tuple[str, ...] | None = None
    told_by_name: frozenset[str] = frozenset()
    inherent_positions: np.ndarray | None = None
    inherent_energy: np.ndarray | None = None
    potential: str | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class Reader(Protocol):
    """One file format. A module of this package with these names is a reader; list it in READERS."""

    NAME: str  # what a user calls the format
    EXPECTED: str  # what a file of the format holds, for the message about a file that no reader knows

    def recognises(self, path: Path, head: bytes) -> bool:
        """Does the file's content (`head`: its first 512 bytes) belong to this format? Never its name."""

    def read(self, path: Path) -> list[Configuration]:
        """All configurations of the file; DataError where it is broken."""


def check_configuration(configuration: Configuration) -> Configuration:
    """What no format may violate: shapes that agree, finite numbers, types that are not negative, unwrapped runs.

    A word where runs are copies, or a ready-made propensity is not theirs.

    Raises
    ------
    DataError
        naming the file, the array, its shape or value, and what is expected.
    """
    c = configuration
    # Most names are those of files, which may hold what no text can: bytes of another encoding, control characters.
    c.name = printable(c.name, 1000)
    if c.positions.ndim != 2 or c.positions.shape[1] not in (2, 3) or c.positions.shape[0] == 0:
        raise DataError(f"{c.path}: positions have shape {c.positions.shape}; expected (N, 2) or (N, 3) with N > 0")
    number, dimensions = c.positions.shape
    if c.types.shape != (number,):
        raise DataError(
            f"{c.path}: types have shape {c.types.shape} but positions have shape {c.positions.shape}; "
            f"expected types of shape ({number},)"
        )
    if c.types.min() < 0:
        raise DataError(f"{c.path}: types hold {c.types.min()}; number the species from 0 (0 = A, 1 = B, ...)")
    if c.species is not None and c.types.max() >= len(c.species):
        raise DataError(f"{c.path}: types hold {c.types.max()} but only {len(c.species)} species have names")
    _require_finite(c, "positions", c.positions)
    if c.trajectories is not None:
        expected = f"(R, {number}, {dimensions}) with R > 0"
        if c.trajectories.ndim != 3 or c.trajectories.shape[1:] != c.positions.shape or len(c.trajectories) == 0:
            raise DataError(
                f"{c.path}: trajectories have shape {c.trajectories.shape} but positions have shape "
                f"{c.positions.shape}; expected trajectories of shape {expected}"
            )
        _require_finite(c, "trajectories", c.trajectories)
    if c.time is not None and c.time <= 0 and (c.trajectories is not None or c.propensity is not None):
        raise DataError(
            f"{c.path}: time = {c.time:g} is not after the initial configuration; times count from it: leave 0 out"
        )
    if c.inherent_positions is not None:
        if c.inherent_positions.shape != c.positions.shape:
            raise DataError(
                f"{c.path}: inherent positions have shape {c.inherent_positions.shape}; expected {c.positions.shape}, "
                "that of the positions"
            )
        _require_finite(c, "inherent positions", c.inherent_positions)
    for name, array in c.arrays.items():
        if array.ndim > 2 or (array.ndim and len(array) != number):
            raise DataError(f"{c.path}: {name} has shape {array.shape}; expected a row for each of {number} particles")
        _require_finite(c, name, array)
    fields = {"propensity": c.propensity, "inherent energy": c.inherent_energy, **c.node_fields}
    for name, values in fields.items():
        if values is not None:
            if values.shape != (number,):
                raise DataError(f"{c.path}: {name} has shape {values.shape}; expected ({number},), one per particle")
            _require_finite(c, name, values)
    box = c.box
    if box is not None:
        refuse_bad_box(c.path, box, dimensions)
    elif c.density is not None:
        # The box is a guess until the user agrees: it counts here where it holds the positions.
        edge = (number / c.density) ** (1 / dimensions)
        if c.positions.min() >= 0 and c.positions.max() <= edge:
            box = np.full(dimensions, edge)
    if box is not None and c.trajectories is not None:
        refuse_wrapped(c.path, c.positions, c.trajectories, box)
    if c.trajectories is not None:
        _words_on_runs(c.positions, c.trajectories, c.propensity)
    return c


def _words_on_runs(positions: np.ndarray, runs: np.ndarray, propensity: np.ndarray | None) -> None:
    """Warnings where a run is a copy of another, and where a ready-made S_i is not that of the runs.

    They name no file, so that many files with one fault get one line.
    """
    seen: dict[bytes, int] = {}
    for number, run in enumerate(runs):
        before = seen.setdefault(run.tobytes(), number)
        if before != number:
            warn(
                f"runs {before} and {number} of a configuration are exactly the same: they count twice in the mean; "
                "take copies out, and draw other velocities for each run"
            )
            break
    if propensity is not None:
        mean = np.linalg.norm(runs - positions, axis=2).mean(axis=0)
        if not np.allclose(propensity, mean, rtol=1e-3, atol=1e-3 * mean.mean()):
            warn(
                f"propensity is not the mean displacement of its trajectories, but up to "
                f"{np.abs(propensity - mean).max():.3g} away (order of the times?); the trajectories count"
            )


def _require_finite(configuration: Configuration, name: str, array: np.ndarray) -> None:
    # A finite sum has finite terms only, and takes one pass without a new array. The exact test settles the rest.
    with np.errstate(all="ignore"):
        total = array.sum()
    if np.isfinite(total) or np.isfinite(array).all():
        return
    index = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    raise DataError(
        f"{configuration.path}: {name}{list(index)} is {array[index]}; every coordinate must be a finite number"
    )

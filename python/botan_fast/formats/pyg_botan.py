"""The npz files of the authors' code (pyg_botan): one configuration and its isoconfigurational ensemble each.

Keys: `types` (N,) integer, 0 = A, 1 = B; `initial_positions` (N, D) float64 in [0, L); `positions` (R, N, D) float64,
unwrapped, where the particles are at the target time in each of the R runs. The files hold no box: the authors'
system has the number density 1.2, so L = (N / 1.2)^(1 / D) unless the caller says otherwise.
"""

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import name_of
from .configuration import Configuration, check_configuration
from .npz import is_zip, npz_keys, read_npz

NAME = "authors' npz (pyg_botan)"
KEYS = ("types", "initial_positions", "positions")
EXPECTED = f"an npz with {', '.join(KEYS)}"
DENSITY = 1.2


def recognises(path: Path, head: bytes) -> bool:
    keys = set(npz_keys(path)) if is_zip(head) else set()
    return set(KEYS) <= keys and "box" not in keys  # with a box it is of GlassBench


def read(path: Path) -> list[Configuration]:
    arrays = read_npz(path, KEYS)
    types = arrays["types"]
    if types.dtype.kind == "f" and not np.array_equal(types, np.rint(types)):
        raise DataError(f"{path}: types hold {types[types != np.rint(types)].flat[0]}; expected integers (0 = A, ...)")
    initial, final = arrays["initial_positions"], arrays["positions"]
    # The general check speaks of trajectories; here the user knows the arrays by the file's own keys.
    if final.ndim != 3 or initial.ndim != 2 or final.shape[1:] != initial.shape:
        raise DataError(
            f"{path}: initial_positions have shape {initial.shape} and positions have shape {final.shape}; "
            "expected (N, D) and (R, N, D)"
        )
    configuration = Configuration(
        name=name_of(path),
        path=path,
        positions=np.ascontiguousarray(initial, dtype=np.float64),
        types=types.astype(np.int64),
        density=DENSITY,
        trajectories=np.ascontiguousarray(final, dtype=np.float64),
    )
    return [check_configuration(configuration)]

"""The npz files of the authors' code (pyg_botan): one configuration and its isoconfigurational ensemble each.

Keys: `types` (N,) integer, 0 = A, 1 = B; `initial_positions` (N, D) float64 in [0, L); `positions` (R, N, D) float64,
unwrapped, where the particles are at the target time in each of the R runs. The files hold no box: the authors'
system has the number density 1.2, so L = (N / 1.2)^(1 / D) unless the caller says otherwise. The temperature and the
number of the time stand in the names alone: isoconfig_N4096T0.44_401_tc07.npz is T = 0.44 and, by Table I of the paper,
the seventh time.
"""

import re
import zipfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import name_of
from ..paper import time_of_tag
from .configuration import Configuration, check_configuration
from .npz import is_zip, npz_keys, read_npz
from .species import types_from_zero

NAME = "authors' npz (pyg_botan)"
KEYS = ("types", "initial_positions", "positions")
EXPECTED = f"an npz with {', '.join(KEYS)}"
DENSITY = 1.2


def recognises(path: Path, head: bytes) -> bool:
    keys = set(npz_keys(path)) if is_zip(head) else set()
    return set(KEYS) <= keys and "box" not in keys  # with a box it is of GlassBench


def told_by_name(path: Path) -> tuple[float | None, float | None]:
    """Temperature and time that a name of the authors tells, None each where it does not.

    >>> from pathlib import Path
    >>> from botan_fast.formats.pyg_botan import told_by_name
    >>> told_by_name(Path("isoconfig_N4096T0.44_401_tc07.npz")), told_by_name(Path("N4096T0.47_401_tc07.npz"))
    ((0.44, 4120.0), (0.47, None))
    """
    temperatures = {float(text) for text in re.findall(r"(?<![A-Za-z.])T(\d*\.\d+)(?![\d.]*[A-Za-z])", path.stem)}
    tags = {int(text) for text in re.findall(r"(?<![A-Za-z])tc(\d{1,3})(?![\dA-Za-z])", path.stem)}
    if len(temperatures) != 1:
        return None, None
    [temperature] = temperatures
    return temperature, time_of_tag(temperature, tags.pop()) if len(tags) == 1 else None


def name_without_tag(name: str) -> str:
    """The name of a configuration without the number of the time, which its files at all times share.

    >>> from botan_fast.formats.pyg_botan import name_without_tag
    >>> name_without_tag("isoconfig_N4096T0.44_401_tc07")
    'isoconfig_N4096T0.44_401'
    """
    return re.sub(r"[_-]tc\d{1,3}(?![\dA-Za-z])", "", name) or name


def dimensions(path: Path) -> int | None:
    """D of a file of this format, from the head of an array alone; None where it is damaged."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("initial_positions.npy") as file:
            # Heads of version 1 have at most 64 kB; no array of numbers needs another.
            known = np.lib.format.read_magic(file) == (1, 0)
            return int(np.lib.format.read_array_header_1_0(file)[0][-1]) if known else None
    except Exception:  # zipfile and NumPy report damage by many classes; reading the file gives the message
        return None


def read(path: Path) -> list[Configuration]:
    arrays = read_npz(path, KEYS)
    types = arrays["types"]
    initial, final = arrays["initial_positions"], arrays["positions"]
    # The general check speaks of trajectories; here the user knows the arrays by the file's own keys.
    if final.ndim != 3 or initial.ndim != 2 or final.shape[1:] != initial.shape:
        raise DataError(
            f"{path}: initial_positions have shape {initial.shape} and positions have shape {final.shape}; "
            "expected (N, D) and (R, N, D)"
        )
    temperature, time = told_by_name(path)
    if initial.shape[1] != 3:
        time = None  # Table I is of the three-dimensional system
    told = {"temperature": temperature, "time": time}
    configuration = Configuration(
        name=name_of(path),
        path=path,
        positions=np.ascontiguousarray(initial, dtype=np.float64),
        types=types_from_zero(path, types),
        density=DENSITY,
        trajectories=np.ascontiguousarray(final, dtype=np.float64),
        temperature=temperature,
        time=time,
        told_by_name=frozenset(name for name, value in told.items() if value is not None),
    )
    return [check_configuration(configuration)]

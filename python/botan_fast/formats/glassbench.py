"""The npz files of GlassBench (Jung et al., arXiv:2311.14752; zenodo.org/records/10118191), one configuration each.

Two kinds, both with `types` (N,) from 1 or from 0 and `initial_positions` (N, D) in [-L/2, L/2):

- `KA_models`, `KA2D_models`: `md_prop` (T, N), the propensity S_i at each of T times, and `bb_prop` (T, N), the
  bond-breaking propensity, which goes into `node_fields["bond_breaking"]`. No runs, so targets of nodes only; no times
  in the file. Predictions of models are left alone.
- `KA2D_trajectories`: `box`, one number, and `positions` (R, N, 2), where the particles are at one time in each of the
  R runs. Where they are all inside the box, a displacement is the shortest one: r = r_0 + minimum image of (r - r_0).

Of either kind, `initial_positions_inherent` (N, D) is the inherent structure of the initial positions, and
`initial_positions_cage` (N, D) goes into `arrays["cage_positions"]`: where the particles are in their cages, averaged
over short runs. The potential of two species in three dimensions is that of Kob and Andersen; others have none here.

The three-dimensional system is the one of the authors of BOTAN: N = 4096 at the density 1.2, L = 15.0566; the two-
dimensional one has N = 1290 and L = 32.8962, as GlassBench says. The temperature and the number of the time (`tc07`)
stand in the files' names alone and are taken from there: `N1290T0.30_3_tc01.npz`.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import name_of
from .configuration import Configuration, check_configuration
from .npz import is_zip, npz_keys, read_npz
from .periodic import nearest_to, place_in_box, refuse_bad_box
from .sizes import MAX_TIMES

NAME = "GlassBench npz"
SITES = ("initial_positions_inherent", "initial_positions_cage")
POTENTIAL = "kob-andersen"
COMMON = ("types", "initial_positions")
EXPECTED = f"a GlassBench npz with {', '.join(COMMON)} and md_prop, or positions and box"
EDGES = {(4096, 3): 15.0566, (1290, 2): 32.8962}  # four digits, as the data was made
DENSITY = {3: 1.2, 2: 1290 / 32.8962**2}
# At T = 0.44 the models' files have the ten times of the authors of BOTAN (Shiba et al., Fig. 3).
TIMES: dict[tuple[float | None, int, int], tuple[float, ...]] = {
    (0.44, 3, 10): (0.13, 1.3, 13.0, 130.0, 412.0, 1300.0, 4120.0, 13000.0, 41200.0, 130000.0)
}


def recognises(path: Path, head: bytes) -> bool:
    keys = set(npz_keys(path)) if is_zip(head) else set()
    return set(COMMON) <= keys and ("md_prop" in keys or {"positions", "box"} <= keys)


def read(path: Path) -> list[Configuration]:
    arrays = read_npz(path, COMMON, ("md_prop", "bb_prop", "positions", "box", *SITES))
    types, initial = arrays["types"], arrays["initial_positions"].astype(np.float64)
    if initial.ndim != 2 or initial.shape[1] not in (2, 3) or not len(initial) or types.shape != (len(initial),):
        raise DataError(
            f"{path}: initial_positions have shape {initial.shape} and types {types.shape}; expected (N, D) and (N,)"
        )
    number, size = initial.shape
    if not np.array_equal(types, np.rint(types)):
        raise DataError(f"{path}: types hold {types[types != np.rint(types)].flat[0]}; expected integers")
    types = types.astype(np.int64) - (1 if types.min() >= 1 else 0)
    box = _box(path, arrays.get("box"), number, size)
    refuse_bad_box(path, box, size)
    positions, _ = place_in_box(path, initial, None, box, origin=-box / 2)
    # T0.44 in N4096T0.44_12.npz, tc01 in N1290T0.30_3_tc01.npz
    stated = re.search(r"T(\d+\.\d+)", name_of(path))
    temperature = float(stated[1]) if stated else None
    base: dict[str, Any] = {"name": name_of(path), "path": path, "positions": positions, "types": types, "box": box}
    inherent, cage = (_sites(path, key, arrays.get(key), initial, box, positions) for key in SITES)
    if inherent is not None:
        base |= {"inherent_positions": inherent, "potential": POTENTIAL if size == 3 and types.max() < 2 else None}
    base["arrays"] = {} if cage is None else {"cage_positions": cage}
    if "md_prop" not in arrays:
        if "positions" not in arrays:
            raise DataError(f"{path}: the npz has neither md_prop nor positions; expected one of them")
        code = re.search(r"_tc(\d+)", name_of(path))
        c = Configuration(
            **base,
            trajectories=_nearest(path, arrays["positions"].astype(np.float64), initial, box) + (positions - initial),
            temperature=temperature,
            time_index=int(code[1]) if code else None,
        )
        return [check_configuration(c)]
    propensity, broken = arrays["md_prop"], arrays.get("bb_prop")
    if propensity.ndim != 2 or propensity.shape[1] != number or not 0 < len(propensity) <= MAX_TIMES:
        raise DataError(
            f"{path}: md_prop has shape {propensity.shape}; expected (T, {number}) with 0 < T <= {MAX_TIMES}"
        )
    if broken is not None and broken.shape != propensity.shape:
        raise DataError(f"{path}: bb_prop has shape {broken.shape} but md_prop {propensity.shape}; expected the same")
    unknown: tuple[float | None, ...] = (None,) * len(propensity)
    times = TIMES.get((temperature, size, len(propensity)), unknown)
    result = []
    for k, values in enumerate(propensity):
        c = Configuration(
            **base,
            temperature=temperature,
            time=times[k],
            time_index=k,
            propensity=values.astype(np.float64),
            node_fields={} if broken is None else {"bond_breaking": broken[k].astype(np.float64)},
        )
        result.append(check_configuration(c))
    return result


def _sites(
    path: Path, key: str, sites: np.ndarray | None, initial: np.ndarray, box: np.ndarray, positions: np.ndarray
) -> np.ndarray | None:
    """Other places of the particles at the initial time, moved to where their initial positions went."""
    if sites is None:
        return None
    if sites.shape != initial.shape:
        raise DataError(f"{path}: {key} has shape {sites.shape}; expected {initial.shape}, that of initial_positions")
    return nearest_to(sites.astype(np.float64) - initial + positions, positions, box)


def _box(path: Path, box: np.ndarray | None, number: int, size: int) -> np.ndarray:
    if box is None:
        edge = EDGES.get((number, size), (number / DENSITY[size]) ** (1 / size))
        return np.full(size, edge)
    if box.size not in (1, size):
        raise DataError(f"{path}: box has shape {box.shape}; expected one number")
    return np.full(size, box.astype(np.float64).reshape(-1))


def _nearest(path: Path, runs: np.ndarray, initial: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Runs that lie in the box, moved by whole edges to where each particle is closest to its initial position.

    Right as long as no particle moves by half the box. Displacements in a liquid have no gap in their distribution:
    where some come close to one half, others have passed it, and the file cannot be read.
    """
    if runs.ndim != 3 or runs.shape[1:] != initial.shape or not len(runs):
        raise DataError(
            f"{path}: positions have shape {runs.shape}; expected (R, {initial.shape[0]}, {initial.shape[1]})"
        )
    with np.errstate(all="ignore"):
        if ((runs.max(axis=(0, 1)) - runs.min(axis=(0, 1))) / box > 1 + 1e-6).any():
            return runs  # unwrapped
        displacements = runs - initial
        displacements -= box * np.rint(displacements / box)
        far = np.abs(displacements / box).max()
    if far > 0.45:
        raise DataError(
            f"{path}: particles move by up to {far:.2f} box edges, too far to tell from the wrapped positions; "
            "use a shorter time or unwrapped runs"
        )
    return initial + displacements

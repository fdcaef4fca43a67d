"""Objects of other packages, in memory, as frames: Atoms of ASE, Universe of MDAnalysis, DataCollection of OVITO.

They are recognised by the name of their class and package, so that none of these packages is imported, or needed, here.
Lengths are taken as they are: sigma_AA, not Angstrom. A box must be periodic along all axes, or along x and y where all
particles lie in one plane (two dimensions); an object without a box needs box= or density=.

    ASE         types: the array `type` (`types`) from 1 or 0 where there is one, else `species` or the chemical
                symbols; `info["time"]` and `info["step"]`, in either case
    MDAnalysis  types: `types`, else `names`, else `elements`; positions are float32; no times, because MDAnalysis has
                made them up where the file holds none; an AtomGroup is taken too
    OVITO       types: names of the particle types, else their numbers; `Particle Identifier`, `Periodic Image`; the
                attributes Time and Timestep
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, InputError
from ..files import name_of
from .frames import Frame, drop_flat_axis, in_order
from .species import number_species, numbers_and_names
from .trajectory import NO_BOX, Trajectory

__all__ = ["ATOMS", "is_atoms", "is_object", "object_trajectory"]

_KINDS = {  # package and class -> what its name in messages is
    ("ase", "Atoms"): "ASE Atoms",
    ("MDAnalysis", "Universe"): "MDAnalysis Universe",
    ("MDAnalysis", "AtomGroup"): "MDAnalysis AtomGroup",
    ("ovito", "DataCollection"): "OVITO DataCollection",
}
ATOMS = "ASE Atoms"


def is_object(item: Any) -> bool:
    """Is it an object that `object_trajectory` takes?"""
    return _kind(item) is not None


def is_atoms(item: Any) -> bool:
    """Is it an `Atoms` of ASE? Several in a list can be the frames of one run."""
    return _kind(item) == ATOMS


def object_trajectory(item: Any) -> Trajectory:
    """The frames of an object, or of a list of Atoms; the current one of a Universe is where it stands.

    Raises
    ------
    DataError
        The object has no particles, no types, or a box that is not periodic.
    """
    if isinstance(item, (list, tuple)):
        frames = in_order(Path(ATOMS), [_of_atoms(atoms, Path(ATOMS)) for atoms in item], moving=False)
        frames = drop_flat_axis(ATOMS, frames)
        return Trajectory("atoms", Path(ATOMS), len(frames), frames.__getitem__)
    kind = _kind(item)
    if kind is None:
        raise InputError(f"data holds a {type(item).__name__}, which no adapter knows")
    label = Path(kind)
    if kind == ATOMS:
        return Trajectory("atoms", label, 1, lambda _: _flat(label, _of_atoms(item, label)))
    if kind == "OVITO DataCollection":
        name = name_of(Path(str(dict(item.attributes).get("SourceFile", "")))) or "data_collection"
        return Trajectory(name, label, 1, lambda _: _flat(label, _of_collection(item, label)))
    return _of_universe(item, label)


def _kind(item: Any) -> str | None:
    for base in type(item).__mro__:
        kind = _KINDS.get((base.__module__.split(".")[0], base.__name__))
        if kind is not None:
            return kind
    return None


def _of_atoms(atoms: Any, label: Path) -> Frame:
    positions = _positions(label, atoms.get_positions())
    cell = np.array(atoms.get_cell(), dtype=np.float64).reshape(3, 3)
    numbers = next((atoms.arrays[name] for name in ("type", "types") if name in atoms.arrays), None)
    names = atoms.arrays["species"] if "species" in atoms.arrays else atoms.get_chemical_symbols()
    types, species = _types(label, numbers, names if numbers is None else None)
    known = {str(key).lower(): value for key, value in atoms.info.items()}
    return Frame(
        positions,
        types,
        _box(label, cell, atoms.get_pbc(), positions, "set atoms.pbc = True"),
        np.array(atoms.get_celldisp(), dtype=np.float64).reshape(3),
        step=_whole(known.get("step", known.get("timestep"))),
        time=_number(known.get("time")),
        species=species,
    )


def _of_universe(item: Any, label: Path) -> Trajectory:
    universe, atoms = item.universe, item.atoms
    trajectory = universe.trajectory
    named = (_attribute(atoms, name) for name in ("types", "names", "elements"))
    labels = next((values for values in named if values is not None), None)

    def frame(number: int) -> Frame:
        here = trajectory.frame
        try:
            instant = trajectory[number]
            positions = _positions(label, atoms.positions)
            types, species = _types(label, None, labels)
            box = NO_BOX
            if instant.dimensions is not None and np.any(instant.dimensions[:3]):
                cell = np.array(instant.triclinic_dimensions, dtype=np.float64)
                box = _box(label, cell, (True, True, True), positions, "")
            step = _whole(getattr(instant, "data", {}).get("step"))
            return _flat(label, Frame(positions, types, box, np.zeros(3), step=step, species=species))
        finally:
            trajectory[here]  # the Universe stands where it stood

    name = name_of(str(getattr(trajectory, "filename", None) or "universe"))
    return Trajectory(name, label, len(trajectory), frame, trajectory.frame)


def _of_collection(data: Any, label: Path) -> Frame:
    particles, cell = data.particles, data.cell
    if particles is None or "Position" not in particles:
        raise DataError(f"{label}: it holds no particles; compute a pipeline that has them")
    positions = _positions(label, particles["Position"])
    numbers, names = None, None
    if "Particle Type" in particles:
        kinds = particles["Particle Type"]
        numbers = np.asarray(kinds[...])
        by_number = {int(kind.id): str(kind.name) for kind in kinds.types}
        names = [by_number.get(int(number), "") for number in numbers]
    types, species = _types(label, numbers, names if names and all(names) else None)
    box, origin = NO_BOX, np.zeros(3)
    if cell is not None:
        matrix = np.array(cell[...], dtype=np.float64)  # (3, 4): vectors as columns, then the corner
        vectors, origin = matrix[:, :3].T, matrix[:, 3]
        periodic = tuple(cell.pbc)
        if getattr(cell, "is2D", False):
            periodic = (*periodic[:2], False)
            positions[:, 2] = positions[0, 2]
        box = _box(label, vectors, periodic, positions, "make the simulation cell periodic")
        if "Periodic Image" in particles:
            positions = positions + np.asarray(particles["Periodic Image"][...]) @ vectors
    ids = np.asarray(particles["Particle Identifier"][...]) if "Particle Identifier" in particles else None
    if ids is not None:
        order = np.argsort(ids, kind="stable")
        positions, types, ids = positions[order], types[order], ids[order]
    attributes = {str(key).lower(): value for key, value in dict(data.attributes).items()}
    return Frame(
        positions,
        types,
        box,
        origin,
        ids,
        step=_whole(attributes.get("timestep")),
        time=_number(attributes.get("time")),
        species=species,
    )


def _positions(label: Path, values: Any) -> np.ndarray:
    positions = np.array(values, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) == 0:
        raise DataError(f"{label}: positions have shape {positions.shape}; expected (N, 3) with N > 0")
    return positions


def _types(label: Path, numbers: Any, names: Sequence[str] | None) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Type numbers from 0, and names where there are some; numbers count from 0, or from 1 where nobody has 0."""
    if numbers is None and names is None:
        raise DataError(f"{label}: it has neither types nor names; set the particles' types")
    if numbers is None:
        return number_species(label, np.asarray(names, dtype=str))
    array = np.asarray(numbers)
    if array.dtype.kind == "f" and np.array_equal(array, np.rint(array)):
        array = array.astype(np.int64)
    if array.dtype.kind not in "iu":
        return number_species(label, array.astype(str))
    array = array.astype(np.int64)
    if array.min() < 0:
        raise DataError(f"{label}: types hold {array.min()}; number the species from 0 or 1")
    array = array - (array.min() > 0)
    return (array, None) if names is None else numbers_and_names(label, array, np.asarray(names, dtype=str))


def _box(label: Path, cell: np.ndarray, periodic: Any, positions: np.ndarray, remedy: str) -> np.ndarray:
    """Row vectors or edge lengths of the periodic box; NO_BOX where the object has none."""
    flags = [bool(flag) for flag in periodic]
    if not cell.any():
        return NO_BOX
    flat = len(positions) > 1 and bool((positions[:, 2] == positions[0, 2]).all())
    if not all(flags[: 2 if flat else 3]):
        shown = " ".join("FT"[flag] for flag in flags)
        raise DataError(f"{label}: pbc is {shown}; expected a periodic box{'; ' + remedy if remedy else ''}")
    if flat and not cell[2].any():
        cell = cell.copy()
        cell[2, 2] = 1.0  # a flat system needs no third vector
    return np.diag(cell).copy() if not (cell - np.diag(np.diag(cell))).any() else cell


def _flat(label: Path, frame: Frame) -> Frame:
    """Two-dimensional where all particles lie in one plane."""
    if frame.box.size:
        return drop_flat_axis(label, [frame])[0]
    positions = frame.positions
    if len(positions) < 2 or (positions[:, 2] != positions[0, 2]).any():
        return frame
    return replace(frame, positions=positions[:, :2].copy(), origin=frame.origin[:2])


def _attribute(atoms: Any, name: str) -> Any:
    try:
        values = getattr(atoms, name, None)
    except Exception:  # MDAnalysis tells that an attribute is missing by errors of its own
        return None
    return None if values is None or not all(str(value) for value in values) else values


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else None


def _number(value: Any) -> float | None:
    """A number, also as text or as an array of one; None for what is none."""
    if value is None or isinstance(value, (bool, np.bool_)) or np.size(value) != 1:
        return None
    try:
        number = float(np.reshape(value, -1)[0])
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None

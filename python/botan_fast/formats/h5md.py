"""H5MD, the HDF5 layout for molecular simulations (de Buyl, Colberg, Höfling, Comput. Phys. Commun. 185, 1546 (2014)).

Read are `/particles/<group>/position` with its `step` and `time`, `image` (which unwraps: r = position + image · box),
`species`, `id` and `box/edges`. The group of the name `all` holds all particles; otherwise those of all groups are put
together, in the order of the groups' names. Species are counted from 0, or from 1 where no particle has 0; an
enumerated type gives names, which `species.py` numbers, and so do the names of groups that have no species. A
`boundary` that is not periodic is refused, but for the third of a two-dimensional system.
The layout of the file: https://www.nongnu.org/h5md/h5md.html
"""

from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError
from ..files import name_of
from .boundary import boundary_of
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .groups import join_groups
from .hdf5 import attribute, child, dataset, has_child, is_hdf5, open_hdf5, read_array
from .periodic import plain_box
from .sizes import MAX_GROUPS, refuse_expansion
from .species import number_species

NAME = "H5MD"
EXPECTED = "an H5MD file with /h5md and /particles"


def recognises(path: Path, head: bytes) -> bool:
    if not is_hdf5(head):
        return False
    with open_hdf5(path) as file:
        return has_child(file, "h5md") and has_child(file, "particles")


def read(path: Path) -> list[Configuration]:
    return frames_to_configurations(name_of(path), path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    with open_hdf5(path) as file:
        groups = child(path, file, "particles")
        if not isinstance(groups, h5py.Group):
            raise DataError(f"{path}: /particles is no group; expected one with a group of particles in it")
        if len(groups) > MAX_GROUPS:
            raise DataError(f"{path}: /particles holds {len(groups)} groups; expected at most {MAX_GROUPS}")
        found = {name: child(path, groups, name) for name in groups}
        members = {str(name): member for name, member in found.items() if isinstance(member, h5py.Group)}
        names = sorted(members)
        names = [name for name in names if set(members[name]) - {"box"}] or names
        if not names:
            raise DataError(f"{path}: /particles holds no group; expected one with position and box")
        # Beside a group of all particles, the others are parts of it.
        sets = {name: _Group(path, members[name]) for name in (["all"] if "all" in names else names)}
        for name in set(names) - set(sets):
            part = _Element(path, members[name], "position", 2)
            if part and part.values.shape[1] > sets["all"].count:
                raise DataError(
                    f"{path}: the group all holds {sets['all'].count} particles, but {name} {part.values.shape[1]}; "
                    "expected all particles in all"
                )
    if len(sets) == 1:
        [one] = sets.values()
        frames = one.frames
        if frames[0].species is None and not one.has_species:
            raise DataError(f"{path}: {one.name} has no species; expected the particles' types")
    else:
        frames = join_groups(path, {name: (one.frames, one.has_species) for name, one in sets.items()})
    lowest = min(frame.types.min() for frame in frames)
    if lowest > 0 and frames[0].species is None:
        for frame in frames:
            frame.types = frame.types - 1
    return drop_flat_axis(path, frames)


class _Group:
    """The particles of one group at all times, and do they have species?"""

    def __init__(self, path: Path, group: h5py.Group):
        self.name = group.name
        position = _Element(path, group, "position", 2)
        if not position:
            raise DataError(f"{path}: {group.name} has no position; expected it with shape (frames, N, D)")
        edges, open_axis = _box(path, group)
        species, image = _Element(path, group, "species", 1), _Element(path, group, "image", 2)
        ids = _Element(path, group, "id", 1)
        self.has_species = bool(species)
        # Each frame takes its own arrays, in float64, and some kilobytes.
        refuse_expansion(path, position.frames * 2048 + 8 * position.values.size, position.name)
        self.frames = [_frame(path, k, position, edges, species, image, ids, open_axis) for k in range(position.frames)]
        self.count = position.values.shape[1]


class _Element:
    """An element of H5MD: a dataset that holds for all times, or a group with value, step and time."""

    def __init__(self, path: Path, group: h5py.Group, name: str, rank: int):
        self.path, self.name = path, f"{group.name}/{name}"
        self._values: np.ndarray | None = None
        self.labels: dict[int, str] | None = None  # of an enumerated type
        self.steps: np.ndarray | None = None
        self.times: np.ndarray | None = None
        item = child(path, group, name)
        if item is None:
            return
        if isinstance(item, h5py.Dataset):
            whole = dataset(path, group, name)  # refuses data in other files
            assert whole is not None
            self._values = read_array(path, whole)[None]
            self.labels = _labels(whole)
        else:
            value = dataset(path, item, "value")
            if value is None:
                raise DataError(f"{path}: {self.name} has no value; expected the dataset of all frames")
            self._values = read_array(path, value)
            self.labels = _labels(value)
            self.steps, self.times = self._axis(item, "step"), self._axis(item, "time")
        if self.values.ndim != rank + 1 or 0 in self.values.shape:
            raise DataError(f"{path}: {self.name} has shape {self.values.shape}; expected {rank} axes for each frame")

    def __bool__(self) -> bool:
        return self._values is not None

    @property
    def values(self) -> np.ndarray:
        assert self._values is not None  # asked of an element that is there
        return self._values

    @property
    def frames(self) -> int:
        return len(self.values)

    def _axis(self, item: h5py.Group, name: str) -> np.ndarray | None:
        """The step or time of every frame: a list, or one interval and the offset of the first."""
        axis = dataset(self.path, item, name)
        if axis is None:
            return None
        stored = attribute(self.path, axis, "offset")
        offset = 0.0 if stored is None or stored.dtype.kind == "S" else float(stored.reshape(-1)[0])
        numbers = read_array(self.path, axis)
        if numbers.ndim == 0:
            return offset + float(numbers) * np.arange(len(self.values))
        if numbers.shape != (len(self.values),):
            raise DataError(
                f"{self.path}: {self.name}/{name} has shape {numbers.shape}; expected ({len(self.values)},)"
            )
        return numbers

    def at(self, frame: int, position: "_Element") -> np.ndarray:
        """The value at the step of frame `frame` of the positions; what does not depend on time is always the same."""
        if len(self.values) == 1:
            return self.values[0]
        same = self.steps is not None and position.steps is not None and np.array_equal(self.steps, position.steps)
        if same:  # a restart may have written one step twice
            return self.values[frame]
        if self.steps is not None and position.steps is not None:
            match = np.flatnonzero(self.steps == position.steps[frame])
            if len(match):
                return self.values[match[0]]
        elif len(self.values) == position.frames:
            return self.values[frame]
        raise DataError(f"{self.path}: {self.name} has no value at frame {frame} of position; write both together")


def _labels(item: h5py.Dataset) -> dict[int, str] | None:
    table = h5py.check_enum_dtype(item.dtype)
    return None if table is None else {int(number): str(name) for name, number in table.items()}


def _box(path: Path, group: h5py.Group) -> tuple[_Element, str | None]:
    """The edges, and a refusal that holds unless the system is flat."""
    box = child(path, group, "box")
    if not isinstance(box, h5py.Group):
        raise DataError(f"{path}: {group.name} has no box; expected box/edges")
    boundary, open_axis = boundary_of(path, box), None
    if boundary is not None and any(word != b"periodic" for word in boundary):
        kinds = ", ".join(word.decode("ascii", "replace") for word in boundary[:3])
        open_axis = f"{box.name} has boundary {kinds}; expected a periodic box"
        if boundary[:2] != [b"periodic"] * 2:
            raise DataError(f"{path}: {open_axis}")
    item = child(path, box, "edges")
    if item is None:
        raise DataError(f"{path}: {box.name} has no edges; expected the edge lengths or vectors")
    # Edges that hold for all times: (D,) or (D, D); else the same with frames before them.
    if isinstance(item, h5py.Dataset):
        rank = item.ndim
    else:
        value = dataset(path, item, "value")
        rank = 1 if value is None else value.ndim - 1  # without one the element is refused
    if rank == 0 and isinstance(item, h5py.Dataset):
        raise DataError(f"{path}: {item.name} is one number; expected the edge length along each axis")
    return _Element(path, box, "edges", rank), open_axis


def _frame(
    path: Path,
    number: int,
    position: _Element,
    edges: _Element,
    species: _Element,
    image: _Element,
    ids: _Element,
    open_axis: str | None,
) -> Frame:
    positions = position.values[number].astype(np.float64)
    count, size = positions.shape
    box = edges.at(number, position).astype(np.float64)
    if box.shape not in ((size,), (size, size)):
        raise DataError(f"{path}: {edges.name} has shape {box.shape} but positions have {size} dimensions")
    box = plain_box(box) if box.ndim == 2 else box
    types = species.at(number, position) if species else np.zeros(count, dtype=np.int64)
    if types.shape != (count,):
        raise DataError(f"{path}: {species.name} has shape {types.shape}; expected ({count},)")
    if image:
        images = image.at(number, position).astype(np.float64)
        if images.shape != positions.shape:
            raise DataError(f"{path}: {image.name} has shape {images.shape}; expected {positions.shape}")
        positions = positions + (images * box if box.ndim == 1 else images @ box)
    # Images of one frame alone, while positions have several, tell where the particles were then.
    wrapped = bool(image) and image.frames == 1 < position.frames
    step = None if position.steps is None else int(position.steps[number])
    time = None if position.times is None else float(position.times[number])
    names = None
    if species and species.labels is not None:
        unknown = set(np.unique(types).tolist()) - set(species.labels)
        if unknown:
            raise DataError(f"{path}: {species.name} holds {min(unknown)}, which its enumerated type does not name")
        types, names = number_species(
            path, [species.labels[number] for number in types.tolist()], list(species.labels.values())
        )
    frame = Frame(positions, types.astype(np.int64), box, np.zeros(size), None, step, time, wrapped, names, open_axis)
    if ids:
        frame.ids = ids.at(number, position).astype(np.int64)
        if frame.ids.shape != (count,):
            raise DataError(f"{path}: {ids.name} has shape {frame.ids.shape}; expected ({count},)")
        order = np.argsort(frame.ids, kind="stable")
        frame.ids, frame.positions, frame.types = frame.ids[order], positions[order], frame.types[order]
        if (np.diff(frame.ids) == 0).any():
            raise DataError(f"{path}: {ids.name} holds one id twice in frame {number}; expected one for each particle")
    return frame

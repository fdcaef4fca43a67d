"""H5MD, the HDF5 layout for molecular simulations (de Buyl, Colberg, Höfling, Comput. Phys. Commun. 185, 1546 (2014)).

Read are `/particles/<group>/position` with its `step` and `time`, `image` (which unwraps: r = position + image · box),
`species`, `id` and `box/edges`. With several groups, the one of the name `all` or the first in the alphabet is meant.
Species are counted from 0, or from 1 where no particle has 0. A `boundary` that is not periodic is refused where it is
stored as strings of fixed length; others are not looked at, see `hdf5.attribute`.
The layout of the file: https://www.nongnu.org/h5md/h5md.html
"""

from pathlib import Path

import h5py
import numpy as np

from ..errors import DataError
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .hdf5 import attribute, child, dataset, has_child, is_hdf5, open_hdf5, read_array
from .sizes import refuse_expansion

NAME = "H5MD"
EXPECTED = "an H5MD file with /h5md and /particles"


def recognises(path: Path, head: bytes) -> bool:
    if not is_hdf5(head):
        return False
    with open_hdf5(path) as file:
        return has_child(file, "h5md") and has_child(file, "particles")


def read(path: Path) -> list[Configuration]:
    return frames_to_configurations(path.stem, path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    with open_hdf5(path) as file:
        groups = child(path, file, "particles")
        members = {} if not isinstance(groups, h5py.Group) else {name: child(path, groups, name) for name in groups}
        names = sorted(name for name, member in members.items() if isinstance(member, h5py.Group))
        if not names:
            raise DataError(f"{path}: /particles holds no group; expected one with position and box")
        group = members["all" if "all" in names else names[0]]
        assert isinstance(group, h5py.Group)  # one of the names
        position = _Element(path, group, "position", 2)
        if not position:
            raise DataError(f"{path}: {group.name} has no position; expected it with shape (frames, N, D)")
        edges, species = _box(path, group), _Element(path, group, "species", 1)
        image, ids = _Element(path, group, "image", 2), _Element(path, group, "id", 1)
        if not species:
            raise DataError(f"{path}: {group.name} has no species; expected the particles' types")
        # Each frame takes its own arrays, in float64, and some kilobytes.
        refuse_expansion(path, position.frames * 2048 + 8 * position.values.size, position.name)
        frames = [_frame(path, k, position, edges, species, image, ids) for k in range(position.frames)]
    lowest = min(frame.types.min() for frame in frames)
    if lowest > 0:
        for frame in frames:
            frame.types = frame.types - 1
    return drop_flat_axis(path, frames)


class _Element:
    """An element of H5MD: a dataset that holds for all times, or a group with value, step and time."""

    def __init__(self, path: Path, group: h5py.Group, name: str, rank: int):
        self.path, self.name = path, f"{group.name}/{name}"
        self._values: np.ndarray | None = None
        self.steps: np.ndarray | None = None
        self.times: np.ndarray | None = None
        item = child(path, group, name)
        if item is None:
            return
        if isinstance(item, h5py.Dataset):
            whole = dataset(path, group, name)  # refuses data in other files
            assert whole is not None
            self._values = read_array(path, whole)[None]
        else:
            value = dataset(path, item, "value")
            if value is None:
                raise DataError(f"{path}: {self.name} has no value; expected the dataset of all frames")
            self._values = read_array(path, value)
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
        if self.steps is not None and position.steps is not None:
            match = np.flatnonzero(self.steps == position.steps[frame])
            if len(match):
                return self.values[match[0]]
        elif len(self.values) == position.frames:
            return self.values[frame]
        raise DataError(f"{self.path}: {self.name} has no value at frame {frame} of position; write both together")


def _box(path: Path, group: h5py.Group) -> _Element:
    box = child(path, group, "box")
    if not isinstance(box, h5py.Group):
        raise DataError(f"{path}: {group.name} has no box; expected box/edges")
    boundary = attribute(path, box, "boundary")
    if boundary is not None and boundary.dtype.kind == "S" and (boundary != b"periodic").any():
        kinds = ", ".join(kind.decode("ascii", "replace") for kind in boundary.ravel()[:3])
        raise DataError(f"{path}: {box.name} has boundary {kinds}; expected a periodic box")
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
    return _Element(path, box, "edges", rank)


def _frame(
    path: Path,
    number: int,
    position: _Element,
    edges: _Element,
    species: _Element,
    image: _Element,
    ids: _Element,
) -> Frame:
    positions = position.values[number].astype(np.float64)
    count, size = positions.shape
    box = edges.at(number, position).astype(np.float64)
    if box.shape not in ((size,), (size, size)):
        raise DataError(f"{path}: {edges.name} has shape {box.shape} but positions have {size} dimensions")
    if box.ndim == 2 and not (box - np.diag(np.diag(box))).any():
        box = np.diag(box).copy()
    types = species.at(number, position)
    if types.shape != (count,):
        raise DataError(f"{path}: {species.name} has shape {types.shape}; expected ({count},)")
    if image:
        images = image.at(number, position).astype(np.float64)
        if images.shape != positions.shape:
            raise DataError(f"{path}: {image.name} has shape {images.shape}; expected {positions.shape}")
        positions = positions + (images * box if box.ndim == 1 else images @ box)
    step = None if position.steps is None else int(position.steps[number])
    time = None if position.times is None else float(position.times[number])
    frame = Frame(positions, types.astype(np.int64), box, np.zeros(size), None, step, time)
    if ids:
        frame.ids = ids.at(number, position).astype(np.int64)
        if frame.ids.shape != (count,):
            raise DataError(f"{path}: {ids.name} has shape {frame.ids.shape}; expected ({count},)")
        order = np.argsort(frame.ids, kind="stable")
        frame.ids, frame.positions, frame.types = frame.ids[order], positions[order], frame.types[order]
    return frame

"""Frames of a simulation, as trajectory files hold them, and how they become configurations."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import FilePath
from .configuration import Configuration, check_configuration
from .periodic import place_in_box, refuse_wrapped

__all__ = ["Frame", "drop_flat_axis", "frames_to_configurations"]


@dataclass
class Frame:
    """All particles at one instant.

    positions   (N, D) float64; unwrapped where the file tells how
    types       (N,) int64, 0 = A, 1 = B, ...
    species     names of types 0, 1, ..., or None where the file has numbers only
    box         (D,) or (D, D) float64 row vectors
    origin      (D,) float64, the corner of the box
    ids         (N,) int64, the particles' own numbers; rows are sorted by it. None: the file has none
    wrapped     does the format say that the coordinates are wrapped into the box?
    step, time  where the frame lies in the simulation: step number, time in Lennard-Jones units, or None
    """

    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    origin: np.ndarray
    ids: np.ndarray | None = None
    step: int | None = None
    time: float | None = None
    wrapped: bool = False
    species: tuple[str, ...] | None = None


def drop_flat_axis(path: FilePath, frames: list[Frame]) -> list[Frame]:
    """Two-dimensional frames, where all particles of a three-dimensional format stay in one plane z = constant.

    The third box vector must be perpendicular to that plane; it is left out.
    """
    if not frames or any(frame.positions.shape[1] != 3 or len(frame.positions) < 2 for frame in frames):
        return frames
    height = frames[0].positions[0, 2]
    if any((frame.positions[:, 2] != height).any() for frame in frames):
        return frames
    flat = []
    for frame in frames:
        box = frame.box
        if box.ndim == 2:
            if box[2, :2].any() or box[:2, 2].any():
                raise DataError(f"{path}: all particles have z = {height:g}, but the box is tilted out of that plane")
            box = box[:2, :2]
        else:
            box = box[:2]
        flat.append(replace(frame, positions=frame.positions[:, :2].copy(), box=box, origin=frame.origin[:2]))
    return flat


def frames_to_configurations(name: str, path: Path, frames: list[Frame]) -> list[Configuration]:
    """The first frame as the static configuration, each later one as where its one run is at a later time.

    A single frame gives a configuration without a future. `time` counts from the first frame; it is None where the
    file tells only step numbers, and `time_index` then tells the frames apart.

    Raises
    ------
    DataError
        The frames are not of the same particles, the box changes, or the frames are wrapped into the box.
    """
    if not frames:
        raise DataError(f"{path}: the file holds no frame")
    first, later = frames[0], frames[1:]
    for number, frame in enumerate(later, start=1):
        require_same_particles(path, first, frame, f"frame {number}", "frame 0")
    moved = np.stack([frame.positions for frame in later]) if later else None
    positions, moved = place_in_box(path, first.positions, moved, first.box, first.origin)
    base = Configuration(
        name=name, path=path, positions=positions, types=first.types, box=first.box, species=first.species
    )
    if not later:
        return [check_configuration(base)]
    assert moved is not None  # there are later frames
    refuse_wrapped(path, positions, moved, first.box, any(frame.wrapped for frame in frames))
    result = []
    for k, frame in enumerate(later):
        configuration = replace(
            base,
            trajectories=moved[k : k + 1],
            time=None if frame.time is None or first.time is None else frame.time - first.time,
            time_index=k,
            node_fields={},
        )
        result.append(check_configuration(configuration))
    return result


def require_same_particles(path: FilePath, first: Frame, frame: Frame, what: str, reference: str) -> None:
    """DataError unless `frame` holds the particles of `first`, in the same order and the same box."""
    if frame.positions.shape != first.positions.shape:
        raise DataError(
            f"{path}: {what} holds {frame.positions.shape[0]} particles in {frame.positions.shape[1]} dimensions, "
            f"{reference} {first.positions.shape[0]} in {first.positions.shape[1]}; expected the same particles"
        )
    if frame.ids is None or first.ids is None:
        if frame.ids is not first.ids:
            raise DataError(f"{path}: {what} and {reference} do not both have particle ids; write them in both")
    elif not np.array_equal(frame.ids, first.ids):
        raise DataError(f"{path}: {what} and {reference} hold particles of different ids; expected the same particles")
    if not np.array_equal(frame.types, first.types):
        raise DataError(f"{path}: the types of {what} differ from those of {reference}; expected the same particles")
    if frame.species is not None and first.species is not None and frame.species != first.species:
        raise DataError(
            f"{path}: the species of {what} are {', '.join(frame.species)}, those of {reference} "
            f"{', '.join(first.species)}; expected the same particles"
        )
    if frame.box.shape != first.box.shape or not np.allclose(frame.box, first.box, rtol=1e-6, atol=0):
        raise DataError(
            f"{path}: the box of {what} is {frame.box.tolist()}, that of {reference} {first.box.tolist()}; "
            "expected runs at constant volume"
        )

"""Frames by themselves: for predictions that need no future, only places at one instant; and frames without a box."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .configuration import Configuration, check_configuration
from .frames import Frame, frames_to_configurations, in_order, require_same_particles, time_between

__all__ = ["NO_BOX", "Trajectory", "static_configuration", "without_box"]

NO_BOX = np.empty(0)  # box of a frame whose file tells none


@dataclass(frozen=True)
class Trajectory:
    """Frames of a file or of an object in memory: `frame(k)` for k in range(count), in the order of time.

    `current` is the one to take where one is wanted: the first, or where an object stands.
    """

    name: str
    path: Path
    count: int
    frame: Callable[[int], Frame]
    current: int = 0

    def static(self, number: int | None = None) -> Configuration:
        """One frame, by default the current one, as a configuration without a future."""
        return static_configuration(self.name, self.path, self.frame(self.current if number is None else number))

    def run(self) -> list[Configuration]:
        """The first frame as the static configuration, each later one as where its one run is at a later time."""
        frames = [self.frame(number) for number in range(self.count)]
        return (frames_to_configurations if frames[0].box.size else without_box)(self.name, self.path, frames)


def static_configuration(name: str, path: Path, frame: Frame) -> Configuration:
    """A frame as a configuration without a future, in a box that begins at 0 where it has one."""
    if frame.box.size:
        return frames_to_configurations(name, path, [frame])[0]
    return without_box(name, path, [frame])[0]


def without_box(name: str, path: Path, frames: list[Frame]) -> list[Configuration]:
    """The same as `frames_to_configurations` for frames without a box, which the user gives.

    Positions stay as they are, since codes put the origin at a corner or in the middle; they are placed in the box, and
    runs are looked at, when it is known.
    """
    if not frames:
        raise DataError(f"{path}: the file holds no frame")
    for number, frame in enumerate(frames[1:], start=1):
        require_same_particles(path, frames[0], frame, f"frame {number}", "frame 0")
    frames = in_order(path, frames)
    first, later = frames[0], frames[1:]
    base = Configuration(name=name, path=path, positions=first.positions, types=first.types, species=first.species)
    if not later:
        return [check_configuration(base)]
    return [
        check_configuration(
            replace(
                base,
                trajectories=frame.positions[None],
                time=None if frame.time is None or first.time is None else time_between(first.time, frame.time),
                time_index=k,
                node_fields={},
            )
        )
        for k, frame in enumerate(later)
    ]

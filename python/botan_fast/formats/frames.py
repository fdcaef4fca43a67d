"""Frames of a simulation, as trajectory files hold them, their order, and how they become configurations.

Their times decide the order, else their steps; a frame that a restart repeats counts once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import FilePath
from .configuration import Configuration, check_configuration
from .periodic import fractional, place_in_box, plain_box, refuse_wrapped, same_box

__all__ = [
    "SAME_PLACE",
    "Frame",
    "drop_flat_axis",
    "frames_to_configurations",
    "in_order",
    "order_of",
    "require_same_particles",
    "same_place",
    "time_between",
]

SAME_PLACE = 1e-5  # in units of the largest edge: the digits of a text file


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
    open_axis   says that the box is not periodic along z, which only a two-dimensional system may be; or None
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
    open_axis: str | None = None


def drop_flat_axis(path: FilePath, frames: list[Frame]) -> list[Frame]:
    """Two-dimensional frames, where all particles of a three-dimensional format stay in one plane z = constant.

    The third box vector must be perpendicular to that plane; it is left out, and need not be periodic. DataError where
    a box that is not periodic holds more than a plane.
    """
    size = min((frame.positions.shape[1] for frame in frames), default=2)
    flat = size == 3 and all(len(frame.positions) > 1 for frame in frames)
    height = frames[0].positions[0, 2] if flat else 0.0
    if not flat or any((frame.positions[:, 2] != height).any() for frame in frames):
        for frame in frames:
            if frame.open_axis is not None and frame.positions.shape[1] == 3:
                raise DataError(f"{path}: {frame.open_axis}")
        return frames
    result = []
    for frame in frames:
        box = frame.box
        if box.ndim == 2:
            if np.abs([*box[2, :2], *box[:2, 2]]).max() > 1e-9 * np.abs(box).max():
                raise DataError(f"{path}: all particles have z = {height:g}, but the box is tilted out of that plane")
            box = plain_box(box[:2, :2])
        else:
            box = box[:2]
        result.append(replace(frame, positions=frame.positions[:, :2].copy(), box=box, origin=frame.origin[:2]))
    return result


def frames_to_configurations(name: str, path: Path, frames: list[Frame]) -> list[Configuration]:
    """The earliest frame as the static configuration, each later one as where its one run is at a later time.

    A single frame gives a configuration without a future. `time` counts from the first frame; it is None where the
    file tells only step numbers, and `time_index` then tells the frames apart.

    Raises
    ------
    DataError
        The frames are not of the same particles, the box changes, the frames are wrapped into the box, or two of them
        are at one time and differ.
    """
    if not frames:
        raise DataError(f"{path}: the file holds no frame")
    for number, frame in enumerate(frames[1:], start=1):
        require_same_particles(path, frames[0], frame, f"frame {number}", "frame 0")
    frames = in_order(path, frames)
    first, later = frames[0], frames[1:]
    moved = np.stack([frame.positions for frame in later]) if later else None
    positions, moved = place_in_box(path, first.positions, moved, first.box, first.origin)
    base = Configuration(
        name=name, path=path, positions=positions, types=first.types, box=first.box, species=first.species
    )
    if not later:
        return [check_configuration(base)]
    assert moved is not None  # there are later frames
    refuse_wrapped(path, positions, moved, first.box, any(frame.wrapped for frame in frames))
    times = [
        time_between(first.time, frame.time) for frame in later if frame.time is not None and first.time is not None
    ]
    result = []
    for k in range(len(later)):
        configuration = replace(
            base,
            trajectories=moved[k : k + 1],
            time=times[k] if len(times) == len(later) else None,
            time_index=k,
            node_fields={},
        )
        result.append(check_configuration(configuration))
    return result


def time_between(first: float, later: float) -> float:
    """later - first without the digits that neither has: 0.005 after 5e7, where the difference is 0.004999995."""
    with np.errstate(all="ignore"):
        last = np.spacing(max(abs(first), abs(later)))
    return round(later - first, int(-np.log10(4 * last))) if first and np.isfinite(last) else later - first


def in_order(path: FilePath, frames: list[Frame], moving: bool = True) -> list[Frame]:
    """The frames of one file from early to late, each instant once; see `order_of`."""
    names = [f"frame {number}" for number in range(len(frames))]
    return [frames[k] for k in order_of(path, frames, names, moving)]


def order_of(path: FilePath, frames: Sequence[Frame], names: Sequence[str], moving: bool = True) -> list[int]:
    """Which of the frames to take, from early to late; `names` are for messages.

    Times decide where all frames have one, else steps. Two frames of one instant are one when their particles are at
    the same places. Frames that tell neither stay in the file's order; one that is exactly the one before it is left
    out. Not `moving`: the frames are no run, so particles may be where they were, and nobody asks.

    Raises
    ------
    DataError
        Two frames of one instant differ; only some frames have a time; frames of no known time come again later; or
        nothing has moved between the first frame and a later one.
    """
    kind, instants = _instants(path, frames, names)
    if instants is None:
        return _without_repeats(path, frames, names) if moving else list(range(len(frames)))
    kept: list[int] = []
    for k in sorted(range(len(frames)), key=instants.__getitem__):
        # Steps are compared exactly. A restart may round a time; but runs that begin late have times close together.
        near, tolerance = instants[kept[-1]] if kept else math.nan, 1e-9 if kind == "time" else 0.0
        if instants[k] == near or math.isclose(instants[k], near, rel_tol=tolerance, abs_tol=1e-3 * tolerance):
            if same_place(frames[kept[-1]], frames[k]):
                continue
            if math.isclose(instants[k], near, rel_tol=1e-3 * tolerance, abs_tol=1e-3 * tolerance):
                raise DataError(
                    f"{path}: {names[kept[-1]]} and {names[k]} are both at {kind} {instants[k]:.12g}, but the "
                    "particles are at different places; take out the frames that do not belong to the run"
                )
        kept.append(k)
    first = frames[kept[0]]
    for k in kept[1:] if moving else []:
        if np.array_equal(frames[k].positions, first.positions):
            raise DataError(
                f"{path}: {names[k]} ({kind} {instants[k]:g}) has exactly the positions of {names[kept[0]]} "
                f"({kind} {instants[kept[0]]:g}): nothing has moved; take one of them out"
            )
    return kept


def same_place(one: Frame, two: Frame) -> bool:
    """Are the particles of two frames at the same places, up to the digits of a text file?

    Coordinates that are wrapped may lie an edge apart: a restart wraps them again.
    """
    if one.positions.shape != two.positions.shape or not same_box(one.box, two.box):
        return False
    if not np.array_equal(one.types, two.types) or not np.array_equal(
        np.zeros(0) if one.ids is None else one.ids, np.zeros(0) if two.ids is None else two.ids
    ):
        return False
    difference = two.positions - one.positions
    if (one.wrapped or two.wrapped) and one.box.size:
        images = np.rint(fractional(difference, one.box))
        difference = difference - (images * one.box if one.box.ndim == 1 else images @ one.box)
    length = np.abs(one.box if one.box.size else one.positions).max()
    return bool(np.abs(difference).max() <= SAME_PLACE * length)


def _instants(path: FilePath, frames: Sequence[Frame], names: Sequence[str]) -> tuple[str, list[float] | None]:
    for kind in ("time", "step"):
        values = [getattr(frame, kind) for frame in frames]
        known = [value is not None for value in values]
        if all(known):
            if not np.isfinite(values).all():
                raise DataError(f"{path}: the {kind}s of the frames hold a value that is not finite; expected numbers")
            return kind, [float(value) for value in values]
        if any(known) and kind == "time" and any(frame.step is None for frame in frames):
            raise DataError(
                f"{path}: {names[known.index(False)]} has no time, but {names[known.index(True)]} has; "
                "write the time of every frame"
            )
    return "", None


def _without_repeats(path: FilePath, frames: Sequence[Frame], names: Sequence[str]) -> list[int]:
    kept: list[int] = []
    seen: dict[bytes, int] = {}
    for k, frame in enumerate(frames):
        before = seen.setdefault(frame.positions.tobytes(), k)
        if before == k:
            kept.append(k)
        elif before != kept[-1]:
            raise DataError(
                f"{path}: {names[k]} repeats {names[before]}, and the frames tell neither time nor step; "
                "write the time of every frame, or each frame once"
            )
    return kept


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
    if not same_box(frame.box, first.box):
        raise DataError(
            f"{path}: the box of {what} is {frame.box.tolist()}, that of {reference} {first.box.tolist()}; "
            "expected runs at constant volume"
        )

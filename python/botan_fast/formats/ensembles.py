"""From the files of a pattern to configurations: the reader of ensembles that are spread over many files."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import DataError
from ..files import FilePath
from .configuration import Configuration, check_configuration
from .frames import Frame, require_same_particles
from .pattern import FIELD, FilePattern, files_of, load_pattern, placeholders_of
from .periodic import place_in_box, refuse_wrapped
from .registry import choose

__all__ = ["EXPECTED", "NAME", "iterate_groups", "read", "recognises"]

_Key: TypeAlias = tuple[float | None, int | None]  # time, and its number where the pattern or the frames have one

NAME = "layout (TOML)"
EXPECTED = "a TOML file with a pattern, which describes the files of many runs"


def recognises(path: Path, head: bytes) -> bool:
    if b"\x00" in head or not path.is_file() or path.stat().st_size > 1 << 20:
        return False
    return re.search(rb"(?m)^[ \t]*pattern[ \t]*=", path.read_bytes()) is not None


def read(path: Path) -> list[Configuration]:
    return [configuration for group in iterate_groups(path) for configuration in group]


def iterate_groups(path: FilePath, skip: Callable[[str], bool] | None = None) -> Iterator[list[Configuration]]:
    """Each configuration at all its times, one after the other: no more than one is in memory at once.

    Those whose name `skip` says yes to are left out, and their files are not read.
    """
    spec = load_pattern(path)
    for values, files in files_of(spec).items():
        known = dict(zip(("temperature", "configuration"), values, strict=True))
        temperature = spec.temperature if known["temperature"] is None else float(known["temperature"])
        name = known["configuration"] or files[0][1].stem
        if known["temperature"] is not None:
            name = f"T{known['temperature']}_{name}"
        if skip is not None and skip(name):
            continue
        reader = choose(files[0][1])
        with np.errstate(all="ignore"):  # numbers that are not finite have their own check at the end
            if hasattr(reader, "read_frames"):
                configurations = list(_ensemble(spec, name, temperature, known, files))
            else:
                configurations = list(_whole_files(spec, name, temperature, files))
        yield configurations


def _whole_files(spec: FilePattern, name: str, temperature: float | None, files: list) -> Iterator[Configuration]:
    """Files that hold an ensemble each, with the temperature and time of the pattern where they have none."""
    if "run" in placeholders_of(spec):
        raise DataError(
            f"{spec.where}: {files[0][1]} holds all runs of a configuration; leave {{run}} out of the pattern"
        )
    for values, file in files:
        for c in choose(file).read(file):
            index = int(values["index"]) if values.get("index") is not None else c.time_index
            time = float(values["time"]) if values.get("time") is not None else c.time
            if time is None:
                time = _listed(spec, index, file)
            yield replace(
                c,
                name=name,
                time=time,
                time_index=index,
                temperature=c.temperature if temperature is None else temperature,
            )


def _listed(spec: FilePattern, index: int | None, file: Path) -> float | None:
    """The time of number `index` in the list of the pattern, if it has one."""
    if spec.times is None or index is None:
        return None
    if not 0 <= index < len(spec.times):
        raise DataError(f"{spec.where}: {file} is time number {index}, but times has {len(spec.times)} values")
    return spec.times[index]


def _ensemble(
    spec: FilePattern, name: str, temperature: float | None, known: dict[str, str | None], files: list
) -> Iterator[Configuration]:
    """One configuration at all times, from the frames of its runs."""
    runs: dict[str | None, list[tuple[dict, Path]]] = {}
    for values, file in files:
        runs.setdefault(values.get("run"), []).append((values, file))
    start, start_path = None, files[0][1]
    if spec.initial:
        text = FIELD.sub(lambda match: known[match[1]] or "", spec.initial)
        start_path = spec.root / text
        initial = _frames(start_path)
        if len(initial) != 1:
            raise DataError(f"{start_path}: {len(initial)} frames; expected one, the initial configuration")
        start = initial[0]
    separate = start
    moved: dict[_Key, list[np.ndarray]] = {}
    wrapped = False
    expected, first_run = None, None
    for run, members in runs.items():
        frames = _run(spec, members, separate)
        if start is None:
            start, start_path = frames[0][1], members[0][1]
        keys = [key for key, _, _ in frames]
        if len(set(keys)) < len(keys):
            raise DataError(f"{members[0][1]}: two frames at the same time {_label(keys)}; tell them apart by {{time}}")
        for key, frame, file in frames:
            require_same_particles(file, start, frame, "the frame", f"the initial configuration {start_path}")
            if _is_zero(key):
                _require_same_place(file, start, frame, start_path)
            else:
                moved.setdefault(key, []).append(frame.positions)
            wrapped |= frame.wrapped
        keys = [key for key in keys if not _is_zero(key)]
        if expected is None:
            expected, first_run = keys, members[0][1]
        elif keys != expected:
            odd = sorted(set(keys) ^ set(expected), key=str)
            raise DataError(
                f"{members[0][1]}: run {run} does not have the times of {first_run}; {_label(odd)} are in one alone; "
                "finish the run or take it out"
            )
    if not moved:
        raise DataError(f"{start_path}: no frames after the initial one; expected where the particles are later")
    assert start is not None  # of a file of its own or of the first run
    positions, _ = place_in_box(start_path, start.positions, None, start.box, start.origin)
    shift = positions - start.positions
    for k, ((time, index), arrays) in enumerate(moved.items()):
        refuse_wrapped(files[0][1].parent, start.positions, np.stack(arrays), start.box, wrapped)
        yield check_configuration(
            Configuration(
                name=name,
                path=files[0][1].parent if len(files) > 1 else files[0][1],
                positions=positions,
                types=start.types,
                box=start.box,
                trajectories=np.stack(arrays) + shift,
                temperature=temperature,
                time=time,
                time_index=k if index is None else index,
            )
        )


def _frames(file: Path) -> list[Frame]:
    reader = choose(file)
    if not hasattr(reader, "read_frames"):
        raise DataError(f"{file}: {reader.NAME} does not hold the frames of a run; expected LAMMPS, GSD, XYZ or H5MD")
    frames = reader.read_frames(file)
    if not frames:
        raise DataError(f"{file}: the file holds no frame")
    return frames


def _run(spec: FilePattern, members: list, start: Frame | None) -> list[tuple[_Key, Frame, Path]]:
    """The frames of one run as ((time, index), frame, file), from early to late.

    `start` is the initial configuration where it has a file of its own; else the run's first frame is it.
    """
    named = {"time", "step", "index"} & set(placeholders_of(spec))
    collected = []
    for values, file in members:
        frames = _frames(file)
        if named and len(frames) != 1:
            raise DataError(f"{file}: {len(frames)} frames; with {{{min(named)}}} in the pattern expected one per file")
        for frame in frames:
            if values.get("step") is not None:
                frame = replace(frame, step=int(values["step"]), time=None)
            collected.append((values, frame, file))
    result: list[tuple[_Key, Frame, Path]]
    if "time" in named:
        result = [((float(values["time"]), None), frame, file) for values, frame, file in collected]
    elif "index" in named:
        result = [
            ((_listed(spec, int(values["index"]), file), int(values["index"])), frame, file)
            for values, frame, file in collected
        ]
    else:
        result = _by_frame(spec, collected, start)
    result.sort(key=lambda item: (not _is_zero(item[0]), item[0][0] or 0.0, item[0][1] or 0))
    if start is None and not _is_zero(result[0][0]):
        raise DataError(
            f"{result[0][2]}: the first frame is at time {_label([result[0][0]])}, not 0; "
            "dump the initial configuration too, or name it by initial = in a TOML file"
        )
    return result


def _by_frame(spec: FilePattern, collected: list, start: Frame | None) -> list[tuple[_Key, Frame, Path]]:
    """Times from the frames themselves, counted from the initial configuration.

    A separate initial file counts where its step lies before the run's; a run that was reset counts from its own 0.
    """
    frames = [frame for _, frame, _ in collected]
    first = frames[0] if start is None else start

    def elapsed(values: list) -> list:
        zero = values[0] if start is None else values[-1] if values[-1] <= min(values[:-1]) else 0
        return [value - zero for value in values[: len(frames)]]

    ends = [] if start is None else [first]
    keys: list[_Key]
    if spec.times is not None:
        shift = 1 if start is None else 0
        if len(frames) - shift != len(spec.times):
            raise DataError(
                f"{collected[0][2]}: {len(frames) - shift} frames after the initial one, but times has "
                f"{len(spec.times)} values"
            )
        times = ([0.0] if shift else []) + list(spec.times)
        keys = [(time, None) for time in times]
    elif spec.timestep is not None and all(frame.step is not None for frame in frames + ends):
        keys = [(spec.timestep * step, None) for step in elapsed([frame.step for frame in frames + ends])]
    elif all(frame.time is not None for frame in frames + ends):
        keys = [(time, None) for time in elapsed([frame.time for frame in frames + ends])]
    elif start is None:
        # Without any time, frames are told apart by their number, and number 0 is the initial one.
        keys = [(0.0, None), *((None, k) for k in range(len(frames) - 1))]
    else:
        keys = [(None, k) for k in range(len(frames))]
    return [(key, frame, file) for key, (_, frame, file) in zip(keys, collected, strict=True)]


def _is_zero(key: _Key) -> bool:
    return key[0] == 0.0


def _label(keys: list[_Key]) -> str:
    return ", ".join(f"{time:g}" if time is not None else f"number {index}" for time, index in keys[:5])


def _require_same_place(file: Path, start: Frame, frame: Frame, start_path: Path) -> None:
    """All runs of an isoconfigurational ensemble begin at the same place, up to the digits of a text file."""
    edge = np.abs(start.box).max()
    difference = np.abs(frame.positions - start.positions).max()
    if not difference <= 1e-5 * edge:
        raise DataError(
            f"{file}: the run begins up to {difference:.3g} away from {start_path}; "
            "expected runs from one initial configuration (its particles in the same order and images)"
        )

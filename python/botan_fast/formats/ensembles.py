"""From the files of a pattern to configurations: the reader of ensembles that are spread over many files."""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ..errors import DataError, warn
from ..files import FilePath, name_of
from ..paper import time_of_tag
from .configuration import Configuration, check_configuration
from .frames import SAME_PLACE, Frame, in_order, order_of, require_same_particles, same_place, time_between
from .pattern import FIELD, FilePattern, files_of, first_index, load_pattern, placeholders_of
from .periodic import place_in_box, refuse_wrapped
from .pyg_botan import told_by_name
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
    found, said = files_of(spec), set[str]()
    indices = {int(v["index"]) for files in found.values() for v, _ in files if v.get("index") is not None}
    for values, files in found.items():
        known = dict(zip(("temperature", "configuration"), values, strict=True))
        temperature = spec.temperature if known["temperature"] is None else float(known["temperature"])
        name = known["configuration"] or re.sub(r"\.\d+$", "", name_of(files[0][1]))
        if known["temperature"] is not None:
            name = f"T{known['temperature']}_{name}"
        if skip is not None and skip(name):
            continue
        reader = choose(files[0][1])
        counted = spec
        if spec.times is not None and indices:
            stated = told_by_name(files[0][1])[0] if temperature is None else temperature
            counted = replace(spec, first=first_index(spec, stated, indices))
        with np.errstate(all="ignore"):  # numbers that are not finite have their own check at the end
            if hasattr(reader, "read_frames"):
                configurations = list(_ensemble(counted, name, temperature, known, files))
            else:
                configurations = list(_whole_files(counted, name, temperature, files, said))
        yield configurations


def _whole_files(
    spec: FilePattern, name: str, temperature: float | None, files: list, said: set[str]
) -> Iterator[Configuration]:
    """Files that hold an ensemble each, with the temperature and time of the pattern where they have none."""
    if "run" in placeholders_of(spec):
        raise DataError(
            f"{spec.where}: {files[0][1]} holds all runs of a configuration; leave {{run}} out of the pattern"
        )
    for values, file in files:
        for c in choose(file).read(file):
            named = values.get("index")
            index = int(named) if named is not None else c.time_index
            time = float(values["time"]) if values.get("time") is not None else None
            if time is None and (c.time is None or "time" in c.told_by_name):
                time = _listed(spec if named is not None else replace(spec, first=0), index, file)
            if time is None and c.time is None and "tc{index}" in spec.pattern and c.positions.shape[1] == 3:
                known = c.temperature if temperature is None else temperature
                time = None if known is None or index is None else time_of_tag(known, index)
            if time == 0 and c.trajectories is not None:
                raise DataError(f"{file}: time = 0 is the initial configuration itself; expected later times")
            if time is not None and time < 0:
                raise DataError(f"{file}: time = {time:g} is before the initial configuration; expected later times")
            _word_on_contradiction(spec, c, temperature, time, said)
            yield replace(
                c,
                name=name,
                time=c.time if time is None else time,
                time_index=index,
                temperature=c.temperature if temperature is None else temperature,
                told_by_name=frozenset(),
            )


def _word_on_contradiction(
    spec: FilePattern, c: Configuration, temperature: float | None, time: float | None, said: set[str]
) -> None:
    """A warning where the layout says another temperature or time than a file; once for all files (`said`)."""
    for what, given, held in (("temperature", temperature, c.temperature), ("time", time, c.time)):
        if given is None or held is None or what in said or math.isclose(given, held, rel_tol=1e-6):
            continue
        said.add(what)
        source = f"the name of {c.path} says" if what in c.told_by_name else f"{c.path} holds"
        warn(f"{spec.where}: the layout says {what} = {given:g} where {source} {held:g}; the layout counts")


def _listed(spec: FilePattern, index: int | None, file: Path) -> float | None:
    """The time of number `index` in the list of the pattern, if it has one."""
    if spec.times is None or index is None:
        return None
    first = spec.first or 0
    if not first <= index < first + len(spec.times):
        raise DataError(
            f"{spec.where}: {file} is time number {index}, but times has {len(spec.times)} values, the first of them "
            f"number {first}; list the times of all numbers, or say first = in a TOML file"
        )
    return spec.times[index - first]


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
    species = None if start is None else start.species
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
                if np.array_equal(frame.positions, start.positions):
                    raise DataError(
                        f"{file}: the frame at time {_label([key])} has exactly the positions of the initial "
                        f"configuration {start_path}: nothing has moved; number the steps of both from one start"
                    )
                moved.setdefault(key, []).append(frame.positions)
            wrapped |= frame.wrapped
            species = species or frame.species
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
    positions = start.positions  # without a box, which the user then gives, they stay where they are
    if start.box.size:
        positions, _ = place_in_box(start_path, start.positions, None, start.box, start.origin)
    shift = positions - start.positions
    for k, ((time, index), arrays) in enumerate(moved.items()):
        if start.box.size:
            refuse_wrapped(files[0][1].parent, start.positions, np.stack(arrays), start.box, wrapped)
        yield check_configuration(
            Configuration(
                name=name,
                path=files[0][1].parent if len(files) > 1 else files[0][1],
                positions=positions,
                types=start.types,
                species=species,
                box=start.box if start.box.size else None,
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
    return in_order(file, frames)


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
    early = min((item for item in result if item[0][0] is not None), key=lambda item: item[0][0] or 0.0, default=None)
    if early is not None and (early[0][0] or 0.0) < 0:
        raise DataError(f"{early[2]}: time = {early[0][0]:g} is before the initial configuration; expected later times")
    result.sort(key=lambda item: (not _is_zero(item[0]), item[0][0] or 0.0, item[0][1] or 0))
    if named & {"time", "index"}:
        result = _without_copies(result)
        _require_agreement(result)
    if start is None and not _is_zero(result[0][0]):
        raise DataError(
            f"{result[0][2]}: the first frame is at time {_label([result[0][0]])}, not 0; "
            "dump the initial configuration too, or name it by initial = in a TOML file"
        )
    return result


def _without_copies(result: list[tuple[_Key, Frame, Path]]) -> list[tuple[_Key, Frame, Path]]:
    """Sorted frames without those that are a copy of the one before; others of one time stay and are refused."""
    kept = result[:1]
    kept += [two for one, two in itertools.pairwise(result) if one[0] != two[0] or not same_place(one[1], two[1])]
    return kept


def _require_agreement(result: list[tuple[_Key, Frame, Path]]) -> None:
    """DataError where the names of files put frames in another order than the times or steps in them.

    The initial configuration may be of another simulation, and a step counter that was reset says nothing.
    """
    later = [(frame, file) for key, frame, file in result if not _is_zero(key)]
    for kind in ("time", "step"):
        values = [getattr(frame, kind) for frame, _ in later]
        if None in values:
            continue
        for (one, two), (value, after) in zip(itertools.pairwise(later), itertools.pairwise(values), strict=True):
            if after < value:
                raise DataError(
                    f"{two[1]}: by the names it comes after {one[1]}, but its {kind} {after:g} is before {value:g}; "
                    "correct the names"
                )
        return


def _by_frame(spec: FilePattern, collected: list, start: Frame | None) -> list[tuple[_Key, Frame, Path]]:
    """Times from the frames themselves, counted from the initial configuration.

    A separate initial file counts where its step lies before the run's; a run that was reset counts from its own 0.
    """
    names = [f"the frame of step {frame.step} in {file.name}" for _, frame, file in collected]
    order = order_of(collected[0][2], [frame for _, frame, _ in collected], names)
    collected = [collected[k] for k in order]
    frames = [frame for _, frame, _ in collected]
    ends = [] if start is None else [start]
    by_step = spec.timestep is not None and all(frame.step is not None for frame in frames + ends)
    by_time = all(frame.time is not None for frame in frames + ends)
    counted = spec.times is not None or not (by_step or by_time)
    if start is not None and counted and len(frames) > 1 and same_place(start, frames[0]):
        # The run begins with the initial configuration, which has its own file.
        collected, frames = collected[1:], frames[1:]

    def elapsed(values: list) -> list:
        zero = values[0] if start is None else values[-1] if values[-1] <= min(values[:-1]) else 0
        return [time_between(zero, value) for value in values[: len(frames)]]

    keys: list[_Key]
    if spec.times is not None:
        shift = 1 if start is None else 0
        if len(frames) - shift != len(spec.times):
            raise DataError(
                f"{collected[0][2]}: {len(frames) - shift} frames after the initial one, but times has "
                f"{len(spec.times)} values"
            )
        times = [0.0] * shift + list(spec.times)
        if any(after <= before for before, after in itertools.pairwise([0.0, *spec.times])):
            raise DataError(f"{spec.where}: times = {list(spec.times)}; expected rising times, as the frames have them")
        keys = [(time, None) for time in times]
    elif spec.timestep is not None and by_step:
        keys = [(spec.timestep * step, None) for step in elapsed([frame.step for frame in frames + ends])]
    elif by_time:
        keys = [(time, None) for time in elapsed([frame.time for frame in frames + ends])]
    elif start is None:
        # Without any time, frames are told apart by their number, and number 0 is the initial one.
        keys = [(0.0, None), *((None, k) for k in range(len(frames) - 1))]
    else:
        keys = [(None, k) for k in range(len(frames))]
    for (one, two), (_, frame, file) in zip(itertools.pairwise(keys), collected[1:], strict=True):
        if one[0] is not None and two[0] is not None and two[0] < one[0]:
            raise DataError(
                f"{file}: the order of the steps is not that of the times at step {frame.step}; reset neither or both"
            )
    return [(key, frame, file) for key, (_, frame, file) in zip(keys, collected, strict=True)]


def _is_zero(key: _Key) -> bool:
    return key[0] == 0.0


def _label(keys: list[_Key]) -> str:
    return ", ".join(f"{time:g}" if time is not None else f"number {index}" for time, index in keys[:5])


def _require_same_place(file: Path, start: Frame, frame: Frame, start_path: Path) -> None:
    """All runs of an isoconfigurational ensemble begin at the same place, up to the digits of a text file."""
    edge = np.abs(start.box if start.box.size else start.positions).max()
    difference = np.abs(frame.positions - start.positions).max()
    if not difference <= SAME_PLACE * edge:
        raise DataError(
            f"{file}: the run begins up to {difference:.3g} away from {start_path}; "
            "expected runs from one initial configuration (its particles in the same order and images)"
        )

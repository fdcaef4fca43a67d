"""Runs spread over many files, described by a pattern of their names or by a small TOML file.

A pattern is the path of one file with placeholders: `{configuration}` and `{run}` (any text without a slash), `{time}`
and `{temperature}` (numbers), `{step}` and `{index}` (integers). `*` stands for anything that does not matter. Example:

    T0.44/{configuration}/run{run}/frame{time}.dump

The TOML file holds such a pattern, relative to its own folder, and what the names do not tell:

    pattern     = "T{temperature}/{configuration}/run{run}.dump.gz"
    initial     = "T{temperature}/{configuration}/initial.dump"   # optional; else the frame at time 0 of every run
    timestep    = 0.0025       # optional: turns step numbers into times
    times       = [0.13, 1.3]  # optional: the times of {index}, or of the frames after the first
    temperature = 0.44         # optional, where it is not in the pattern

Files of frames (LAMMPS, GSD, extended XYZ, H5MD) are runs, with `{run}` in their names where there are several. Files
that hold whole ensembles (npz, pickle) are read as they are, and get their temperature and time from here.
"""

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .configuration import Configuration, check_configuration
from .frames import Frame, require_same_particles
from .periodic import place_in_box, refuse_wrapped
from .registry import choose

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

__all__ = ["Layout", "is_pattern", "iterate_groups", "load_layout", "read"]

NAME = "layout (TOML)"
EXPECTED = "a TOML file with a pattern, which describes the files of many runs"
_NUMBER = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
_PLACEHOLDERS = {
    "configuration": r"[^/]+",
    "run": r"[^/]+",
    "time": _NUMBER,
    "temperature": _NUMBER,
    "step": r"\d+",
    "index": r"\d+",
}
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass
class Layout:
    """The meaning of a pattern; `root` is the folder that it begins from."""

    pattern: str
    root: Path = Path()
    initial: str | None = None
    timestep: float | None = None
    times: tuple[float, ...] | None = None
    temperature: float | None = None
    path: Path | None = None  # the TOML file, for messages

    @property
    def where(self) -> str:
        return str(self.path) if self.path else self.pattern


def is_pattern(path) -> bool:
    """Does a path hold one of the placeholders, rather than be the name of a file?"""
    return any(name in _PLACEHOLDERS for name in _FIELD.findall(str(path)))


def recognises(path: Path, head: bytes) -> bool:
    if b"\x00" in head or not path.is_file() or path.stat().st_size > 1 << 20:
        return False
    return re.search(rb"(?m)^\s*pattern\s*=", path.read_bytes()) is not None


def load_layout(path) -> Layout:
    """The layout of a TOML file, or of a pattern itself; DataError where it makes no sense."""
    path = Path(path)
    if is_pattern(path) and not path.exists():
        layout = Layout(pattern=str(path))
    else:
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DataError(f"{path}: not a valid TOML file ({error})") from None
        layout = Layout(root=path.parent, path=path, **_entries(path, entries))
    for pattern in (layout.pattern, layout.initial or ""):
        for name in _FIELD.findall(pattern):
            if name not in _PLACEHOLDERS:
                near = difflib.get_close_matches(name, _PLACEHOLDERS, n=1)
                hint = f"; did you mean {{{near[0]}}}?" if near else ""
                known = ", ".join(f"{{{key}}}" for key in _PLACEHOLDERS)
                raise DataError(f"{layout.where}: {{{name}}} is no placeholder{hint}; there are {known}")
    if layout.initial:
        extra = set(_FIELD.findall(layout.initial)) - ({"temperature", "configuration"} & set(_fields(layout)))
        if extra:
            raise DataError(
                f"{layout.where}: initial has {{{min(extra)}}}; it can use only {{temperature}} and {{configuration}}, "
                "and those only where the pattern does"
            )
    return layout


def _entries(path: Path, entries: dict) -> dict:
    kinds = {"pattern": str, "initial": str, "timestep": float, "times": list, "temperature": float}
    for key, value in entries.items():
        if key not in kinds:
            near = difflib.get_close_matches(key, kinds, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(f"{path}: unknown entry {key}{hint}; there are {', '.join(kinds)}")
        numbers = value if kinds[key] is list and isinstance(value, list) else [value] if kinds[key] is float else []
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, (int, float)) or not np.isfinite(number):
                raise DataError(
                    f"{path}: {key} = {value!r}; expected {'numbers' if kinds[key] is list else 'a number'}"
                )
        if kinds[key] is not float and not isinstance(value, kinds[key]):
            raise DataError(
                f"{path}: {key} = {value!r}; expected a {'text' if kinds[key] is str else 'list of numbers'}"
            )
    if "pattern" not in entries:
        raise DataError(
            f"{path}: no pattern; expected pattern = 'folder/{{configuration}}/run{{run}}.dump' or the like"
        )
    if entries.get("timestep", 1) <= 0:
        raise DataError(f"{path}: timestep = {entries['timestep']}; expected a positive number")
    if "times" in entries:
        entries = {**entries, "times": tuple(float(time) for time in entries["times"])}
    return entries


def read(path: Path) -> list[Configuration]:
    return [configuration for group in iterate_groups(path) for configuration in group]


def iterate_groups(path, skip: Callable[[str], bool] | None = None) -> Iterator[list[Configuration]]:
    """Each configuration at all its times, one after the other: no more than one is in memory at once.

    Those whose name `skip` says yes to are left out, and their files are not read.
    """
    layout = load_layout(path)
    for values, files in _groups(layout).items():
        known = dict(zip(("temperature", "configuration"), values, strict=True))
        temperature = layout.temperature if known["temperature"] is None else float(known["temperature"])
        name = known["configuration"] or files[0][1].stem
        if known["temperature"] is not None:
            name = f"T{known['temperature']}_{name}"
        if skip is not None and skip(name):
            continue
        reader = choose(files[0][1])
        with np.errstate(all="ignore"):  # numbers that are not finite have their own check at the end
            if hasattr(reader, "read_frames"):
                configurations = list(_ensemble(layout, name, temperature, known, files))
            else:
                configurations = list(_whole_files(layout, name, temperature, files))
        yield configurations


def _fields(layout: Layout) -> list[str]:
    return _FIELD.findall(layout.pattern)


def _groups(layout: Layout) -> dict[tuple, list[tuple[dict, Path]]]:
    """The files of each (temperature, configuration), with what their names tell, all in natural order."""
    seen = set()

    def group(match: re.Match) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_PLACEHOLDERS[name]})"

    # A name in the pattern stands for itself, apart from the placeholders and *.
    parts = re.split(r"(\{[^{}]*\}|\*)", layout.pattern)
    expression = "".join(
        "[^/]*" if part == "*" else _FIELD.sub(group, part) if part.startswith("{") else re.escape(part)
        for part in parts
    )
    pattern = Path(_FIELD.sub("*", layout.pattern))
    root = Path(pattern.anchor) if pattern.anchor else layout.root
    relative = str(pattern.relative_to(pattern.anchor)) if pattern.anchor else str(pattern)
    # ".." and "." cannot be globbed for; what comes before the first wildcard is walked as it stands.
    fixed = []
    rest = list(Path(relative).parts)
    while rest and "*" not in rest[0] and len(rest) > 1:
        fixed.append(rest.pop(0))
    if not rest or "\x00" in layout.pattern:
        raise DataError(f"{layout.where}: pattern = {layout.pattern!r} names no file")
    folder = root.joinpath(*fixed)
    escaped = "/".join(re.sub(r"([\[\]?])", r"[\1]", part) for part in rest)
    found: dict[tuple, list[tuple[dict, Path]]] = {}
    full = re.compile(expression)
    for file in sorted(folder.glob(escaped), key=lambda file: _natural(str(file))):
        text = str(file) if pattern.anchor else Path(*fixed, file.relative_to(folder)).as_posix()
        match = full.fullmatch(text)
        if match and file.is_file():
            values = match.groupdict()
            found.setdefault((values.get("temperature"), values.get("configuration")), []).append((values, file))
    if not found:
        raise DataError(f"{layout.where}: no file matches '{layout.pattern}' in {root.resolve()}")
    return found


def _natural(name: str) -> list:
    """Sort key that puts 2 before 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _whole_files(layout: Layout, name: str, temperature: float | None, files: list) -> Iterator[Configuration]:
    """Files that hold an ensemble each, with the temperature and time of the layout where they have none."""
    if "run" in _fields(layout):
        raise DataError(
            f"{layout.where}: {files[0][1]} holds all runs of a configuration; leave {{run}} out of the pattern"
        )
    for values, file in files:
        for c in choose(file).read(file):
            index = int(values["index"]) if values.get("index") is not None else c.time_index
            time = float(values["time"]) if values.get("time") is not None else c.time
            if time is None:
                time = _listed(layout, index, file)
            yield replace(
                c,
                name=name,
                time=time,
                time_index=index,
                temperature=c.temperature if temperature is None else temperature,
            )


def _listed(layout: Layout, index: int | None, file: Path) -> float | None:
    """The time of number `index` in the list of the layout, if it has one."""
    if layout.times is None or index is None:
        return None
    if not 0 <= index < len(layout.times):
        raise DataError(f"{layout.where}: {file} is time number {index}, but times has {len(layout.times)} values")
    return layout.times[index]


def _ensemble(layout: Layout, name: str, temperature, known: dict, files: list) -> Iterator[Configuration]:
    """One configuration at all times, from the frames of its runs."""
    runs: dict[str | None, list[tuple[dict, Path]]] = {}
    for values, file in files:
        runs.setdefault(values.get("run"), []).append((values, file))
    start, start_path = None, files[0][1]
    if layout.initial:
        text = _FIELD.sub(lambda match: known[match[1]] or "", layout.initial)
        start_path = layout.root / text
        frames = _frames(start_path)
        if len(frames) != 1:
            raise DataError(f"{start_path}: {len(frames)} frames; expected one, the initial configuration")
        start = frames[0]
    separate = start
    moved: dict[tuple, list[np.ndarray]] = {}
    wrapped = False
    expected, first_run = None, None
    for run, members in runs.items():
        frames = _run(layout, members, separate)
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


def _run(layout: Layout, members: list, start: Frame | None) -> list[tuple[tuple, Frame, Path]]:
    """The frames of one run as ((time, index), frame, file), from early to late.

    `start` is the initial configuration where it has a file of its own; else the run's first frame is it.
    """
    named = {"time", "step", "index"} & set(_fields(layout))
    collected = []
    for values, file in members:
        frames = _frames(file)
        if named and len(frames) != 1:
            raise DataError(f"{file}: {len(frames)} frames; with {{{min(named)}}} in the pattern expected one per file")
        for frame in frames:
            if values.get("step") is not None:
                frame = replace(frame, step=int(values["step"]), time=None)
            collected.append((values, frame, file))
    if "time" in named:
        result = [((float(values["time"]), None), frame, file) for values, frame, file in collected]
    elif "index" in named:
        result = [
            ((_listed(layout, int(values["index"]), file), int(values["index"])), frame, file)
            for values, frame, file in collected
        ]
    else:
        result = _by_frame(layout, collected, start)
    result.sort(key=lambda item: (not _is_zero(item[0]), item[0][0] or 0.0, item[0][1] or 0))
    if start is None and not _is_zero(result[0][0]):
        raise DataError(
            f"{result[0][2]}: the first frame is at time {_label([result[0][0]])}, not 0; "
            "dump the initial configuration too, or name it by initial = in a TOML file"
        )
    return result


def _by_frame(layout: Layout, collected: list, start: Frame | None) -> list[tuple[tuple, Frame, Path]]:
    """Times from the frames themselves, counted from the initial configuration.

    A separate initial file counts where its step lies before the run's; a run that was reset counts from its own 0.
    """
    frames = [frame for _, frame, _ in collected]
    first = frames[0] if start is None else start

    def elapsed(values: list) -> list:
        zero = values[0] if start is None else values[-1] if values[-1] <= min(values[:-1]) else 0
        return [value - zero for value in values[: len(frames)]]

    ends = [] if start is None else [first]
    if layout.times is not None:
        shift = 1 if start is None else 0
        if len(frames) - shift != len(layout.times):
            raise DataError(
                f"{collected[0][2]}: {len(frames) - shift} frames after the initial one, but times has "
                f"{len(layout.times)} values"
            )
        times = ([0.0] if shift else []) + list(layout.times)
        keys = [(time, None) for time in times]
    elif layout.timestep is not None and all(frame.step is not None for frame in frames + ends):
        keys = [(layout.timestep * step, None) for step in elapsed([frame.step for frame in frames + ends])]
    elif all(frame.time is not None for frame in frames + ends):
        keys = [(time, None) for time in elapsed([frame.time for frame in frames + ends])]
    elif start is None:
        # Without any time, frames are told apart by their number, and number 0 is the initial one.
        keys = [(0.0, None)] + [(None, k) for k in range(len(frames) - 1)]
    else:
        keys = [(None, k) for k in range(len(frames))]
    return [(key, frame, file) for key, (_, frame, file) in zip(keys, collected, strict=True)]


def _is_zero(key: tuple) -> bool:
    return key[0] == 0.0


def _label(keys: list) -> str:
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

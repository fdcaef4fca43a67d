"""Runs spread over many files, described by a pattern of their names or by a small TOML file.

A pattern is the path of one file with placeholders: `{configuration}` and `{run}` (any text without a slash), `{time}`
and `{temperature}` (numbers), `{step}` and `{index}` (integers). `*` stands for anything that does not matter. Example:

    T0.44/{configuration}/run{run}/frame{time}.dump

The TOML file holds such a pattern, relative to its own folder, and what the names do not tell:

    pattern     = "T{temperature}/{configuration}/run{run}.dump.gz"
    initial     = "T{temperature}/{configuration}/initial.dump"   # optional; else the frame at time 0 of every run
    timestep    = 0.0025       # optional: turns step numbers into times
    times       = [0.13, 1.3]  # optional: the times of {index}, or of the frames after the first
    first       = 1            # optional: the {index} of the first of times
    temperature = 0.44         # optional, where it is not in the pattern

Files of frames (LAMMPS, GSD, extended XYZ, H5MD) are runs, with `{run}` in their names where there are several. Files
that hold whole ensembles (npz, pickle) are read as they are, and get their temperature and time from here.
"""

import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..files import FilePath, did_you_mean, is_file, natural_key, printable
from ..paper import first_tag, times_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FilePattern", "is_pattern", "load_pattern"]

_NUMBER = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
_PLACEHOLDERS = {
    "configuration": r"[^/]+",
    "run": r"[^/]+",
    "time": _NUMBER,
    "temperature": _NUMBER,
    "step": r"\d+",
    "index": r"\d+",
}
FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass
class FilePattern:
    """The meaning of a pattern; `root` is the folder that it begins from."""

    pattern: str
    root: Path = Path()
    initial: str | None = None
    timestep: float | None = None
    times: tuple[float, ...] | None = None
    first: int | None = None
    temperature: float | None = None
    path: Path | None = None  # the TOML file, for messages

    @property
    def where(self) -> str:
        return str(self.path) if self.path else printable(self.pattern)


def is_pattern(path: FilePath) -> bool:
    """Does a path hold one of the placeholders, rather than be the name of a file?"""
    return any(name in _PLACEHOLDERS for name in FIELD.findall(str(path)))


def load_pattern(path: FilePath) -> FilePattern:
    """The pattern of a TOML file, or a pattern itself; DataError where it makes no sense."""
    path = Path(path)
    if is_pattern(path) and not is_file(path):
        spec = FilePattern(pattern=str(path))
    else:
        try:
            text = path.read_text(encoding="utf-8")
            _refuse_tables(path, text)
            entries = tomllib.loads(text)
        except DataError:
            raise
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        # Text that is no UTF-8 or no TOML, lists in lists without end, integers of thousands of digits.
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: not a valid TOML file ({printable(error)})") from None
        spec = FilePattern(root=path.parent, path=path, **_entries(path, entries))
    for pattern in (spec.pattern, spec.initial or ""):
        for name in FIELD.findall(pattern):
            if name not in _PLACEHOLDERS:
                hint = did_you_mean(name, list(_PLACEHOLDERS), show="{{{}}}".format)
                known = ", ".join(f"{{{key}}}" for key in _PLACEHOLDERS)
                raise DataError(f"{spec.where}: {{{printable(name, 40)}}} is no placeholder{hint}; there are {known}")
        if side_by_side := re.search(r"\{[^{}]*\}\{[^{}]*\}", pattern):
            raise DataError(
                f"{spec.where}: {side_by_side[0]} stand side by side, so no name tells where one ends and the other "
                "begins; put a text between them, such as _"
            )
    if spec.initial:
        extra = set(FIELD.findall(spec.initial)) - ({"temperature", "configuration"} & set(placeholders_of(spec)))
        if extra:
            raise DataError(
                f"{spec.where}: initial has {{{printable(min(extra), 40)}}}; it can use only {{temperature}} and "
                "{configuration}, and those only where the pattern does"
            )
    return spec


def _refuse_tables(path: Path, text: str) -> None:
    """DataError for tables and dotted keys, which no layout has: thousands of them in one another take minutes."""
    for line in text.splitlines():
        key = line.split("#")[0].split("=")[0].strip()
        if key.startswith("[") or ("." in key and "=" in line.split("#")[0] and key[:1] not in "0123456789-+.\"'"):
            raise DataError(
                f"{path}: unknown entry {printable(key, 40)}; a layout has no tables, only {', '.join(_KINDS)}"
            )


_MOST_STARS = 20  # each one more multiplies the ways in which a name can fail to match
_KINDS = {"pattern": str, "initial": str, "timestep": float, "times": list, "first": float, "temperature": float}


def _entries(path: Path, entries: dict) -> dict:
    kinds = _KINDS
    for key, value in entries.items():
        if key not in kinds:
            hint = did_you_mean(key, list(kinds))
            raise DataError(f"{path}: unknown entry {printable(key, 40)}{hint}; there are {', '.join(kinds)}")
        numbers = value if kinds[key] is list and isinstance(value, list) else [value] if kinds[key] is float else []
        for number in numbers:
            if not _is_number(number):
                raise DataError(
                    f"{path}: {key} = {_shown(value)}; expected {'numbers' if kinds[key] is list else 'a number'}"
                )
        if kinds[key] is not float and not isinstance(value, kinds[key]):
            raise DataError(
                f"{path}: {key} = {_shown(value)}; expected a {'text' if kinds[key] is str else 'list of numbers'}"
            )
    if "pattern" not in entries:
        raise DataError(
            f"{path}: no pattern; expected pattern = 'folder/{{configuration}}/run{{run}}.dump' or the like"
        )
    if entries.get("timestep", 1) <= 0:
        raise DataError(f"{path}: timestep = {entries['timestep']}; expected a positive number")
    if "first" in entries and (entries["first"] < 0 or entries["first"] != int(entries["first"])):
        raise DataError(f"{path}: first = {entries['first']}; expected a whole number, the {{index}} of the first time")
    if "first" in entries:
        entries = {**entries, "first": int(entries["first"])}
    if "times" in entries:
        entries = {**entries, "times": tuple(float(time) for time in entries["times"])}
    return entries


def _shown(value: object) -> str:
    try:
        return printable(repr(value), 80)
    except (ValueError, RecursionError):  # an integer of more digits than Python writes, lists in lists without end
        return "something too long to show"


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer larger than any float
        return False


def placeholders_of(spec: FilePattern) -> list[str]:
    return FIELD.findall(spec.pattern)


def first_index(spec: FilePattern, temperature: float | None, indices: set[int]) -> int:
    """The {index} of the first of `times`; `indices` are those of all files. DataError where nothing tells it.

    `first` says it. Else 0 is the first where a file has it. The authors' tags tc{index} count from 1 (Table I of the
    paper; from 2 at T = 0.64). Otherwise all files together must fit: from 1 to the number of times.
    """
    assert spec.times is not None  # asked for one of them
    if spec.first is not None:
        return spec.first
    least, most, count = min(indices), max(indices), len(spec.times)
    if least == 0:
        return 0
    if re.search(r"(?<![A-Za-z])tc\{index\}", spec.pattern):
        of_table = temperature is not None and len(times_of(temperature) or ()) == count
        tag = first_tag(temperature) if of_table and temperature is not None else None
        return tag if tag is not None and least >= tag else 1
    if least == 1 and most == count:
        return 1
    raise DataError(
        f"{spec.where}: {{index}} goes from {least} to {most} and times has {count} values, which does not tell what "
        f"{{index}} the first of times has; say it in a TOML file by first = {min(least, 1)} or another number"
    )


def files_of(spec: FilePattern) -> dict[tuple, list[tuple[dict, Path]]]:
    """The files of each (temperature, configuration), with what their names tell, all in natural order."""
    seen = set()

    def group(match: re.Match) -> str:
        name = match[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{_PLACEHOLDERS[name]})"

    # A name in the pattern stands for itself, apart from the placeholders and *. One * as good as several.
    parts = re.split(r"(\{[^{}]*\}|\*+)", spec.pattern)
    if sum(part.startswith("*") for part in parts) > _MOST_STARS:
        raise DataError(f"{spec.where}: pattern has more than {_MOST_STARS} stars; write more of the names out")
    expression = "".join(
        "[^/]*" if part.startswith("*") else FIELD.sub(group, part) if part.startswith("{") else re.escape(part)
        for part in parts
    )
    # Two stars alone would look through all folders below.
    pattern = Path(re.sub(r"\*+", "*", FIELD.sub("*", spec.pattern)))
    root = Path(pattern.anchor) if pattern.anchor else spec.root
    relative = str(pattern.relative_to(pattern.anchor)) if pattern.anchor else str(pattern)
    # ".." and "." cannot be globbed for; what comes before the first wildcard is walked as it stands.
    fixed = []
    rest = list(Path(relative).parts)
    while rest and "*" not in rest[0] and len(rest) > 1:
        fixed.append(rest.pop(0))
    if not rest or "\x00" in spec.pattern:
        raise DataError(f"{spec.where}: pattern = {printable(repr(spec.pattern))} names no file")
    folder = root.joinpath(*fixed)
    escaped = "/".join(re.sub(r"([\[\]?])", r"[\1]", part) for part in rest)
    found: dict[tuple, list[tuple[dict, Path]]] = {}
    full = re.compile(expression)
    try:
        files = sorted(folder.glob(escaped), key=lambda file: natural_key(str(file)))
    except (OSError, ValueError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{spec.where}: pattern = {printable(repr(spec.pattern))} cannot be looked for ({reason})"
        ) from None
    for file in files:
        text = str(file) if pattern.anchor else Path(*fixed, file.relative_to(folder)).as_posix()
        match = full.fullmatch(text)
        if match and is_file(file):
            values = match.groupdict()
            found.setdefault((values.get("temperature"), values.get("configuration")), []).append((values, file))
    if not found:
        raise DataError(f"{spec.where}: no file matches '{printable(spec.pattern)}' in {root.resolve()}")
    return found

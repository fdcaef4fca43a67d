"""Files that each hold one run of a configuration: which belong together, and the pattern that says so."""

import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import BotanFastError
from ..formats import holds_frames, is_layout, iterate
from ..formats.pattern import files_of, load_pattern
from .schema import is_dataset
from .twins import Known

__all__ = ["pattern_of_runs", "remedy_for_runs"]

_LOOK_AT = 40  # files at most whose first frames are read; the names tell the rest
_BYTES = 100 << 20  # and how much of them

_Word = tuple[str, str]  # a part of a name, and the placeholder that it may become


def remedy_for_runs(a: Path, b: Path, files: Sequence[Path]) -> str:
    """The end of a message about two equal configurations: for runs in files of their own, the layout that joins them.

    Nothing where they are no such files. `files` are all that were given.
    """
    if any(is_dataset(file) or is_layout(file) or not holds_frames(file) for file in (a, b)):
        return ""
    pattern = pattern_of_runs(a, b, [file for file in files if not (is_dataset(file) or is_layout(file))])
    if pattern is None:
        return "these are runs of one configuration: read them together by a pattern with {run}, see docs/formats.md"
    return f"these are runs of one configuration, whose mean is the propensity: use the pattern '{pattern}'"


def pattern_of_runs(a: Path, b: Path, files: Sequence[Path]) -> str | None:
    """The pattern with {configuration} and {run} for files of which `a` and `b` begin at the same first frame.

    What differs in the names of files that begin at one frame is {run}, what differs between others {configuration}.
    None where the names do not tell, or the pattern would not name exactly these files.
    """
    files = list(dict.fromkeys(files))
    groups = _groups(a, b, files)
    parts = [_words(file) for file in files]
    if len({len(words) for words in parts}) > 1:
        parts = [_by_ends(file, files) for file in files]
    if not parts or len({len(words) for words in parts}) > 1:
        return None
    columns = list(zip(*parts, strict=True))
    varying = [len({word for word, _ in column}) > 1 for column in columns]
    of = dict(zip(files, parts, strict=True))
    in_groups = [
        any(len({of[file][k] for file in group}) > 1 for group in groups if len(group) > 1) for k in range(len(columns))
    ]
    names: list[str | None] = []
    for k, column in enumerate(columns):
        kind = None
        if varying[k]:
            kind = "run" if in_groups[k] else "temperature" if column[0][1] == "temperature" else "configuration"
        names.append(kind)
    pattern = _joined(columns, names)
    if pattern is not None and "configuration" not in names:
        pattern = _with_configuration(columns, names, files) or pattern
    return pattern if pattern is not None and _names_exactly(pattern, files, groups) else None


def _groups(a: Path, b: Path, files: list[Path]) -> list[list[Path]]:
    """Files whose first frames are the same, as far as it is quick to look."""
    known: Known[list[Path]] = Known()
    groups: list[list[Path]] = [[a, b]]
    budget = _BYTES
    # Files from all along the list, beside those that are known.
    rest = [file for file in files if file not in (a, b)]
    chosen = rest if len(rest) <= _LOOK_AT else rest[: _LOOK_AT // 2] + rest[:: max(1, 2 * len(rest) // _LOOK_AT)]
    for file in [a, *dict.fromkeys(chosen)]:
        try:
            size = file.stat().st_size
            if file != a and budget < size:
                break
            budget -= size
            first = next(iterate(file))
        except (BotanFastError, OSError, StopIteration):
            continue  # it has its own message when it is read
        same = known.same(first.positions, first.types)
        if same:
            same[0].append(file)
        else:
            group = groups[0] if file == a else [file]
            known.add(first.positions, first.types, group)
            if file != a:
                groups.append(group)
    return groups


def _words(file: Path) -> tuple[_Word, ...]:
    """The name cut into numbers, letters and what is between; a number after a T alone may be a temperature."""
    words = re.findall(r"(?<![A-Za-z]T)(?<=T)\d+\.\d+|\d+|[A-Za-z]+|.", str(file))
    marked = []
    for k, word in enumerate(words):
        temperature = k > 0 and words[k - 1] == "T" and re.fullmatch(r"\d+(\.\d+)?", word) is not None
        marked.append((word, "temperature" if temperature else "configuration"))
    return tuple(marked)


def _by_ends(file: Path, files: Sequence[Path]) -> tuple[_Word, ...]:
    """For names of different make: folders, and in each what all have in common before and after what differs."""
    cut = [str(other).split("/") for other in files]
    if len({len(parts) for parts in cut}) > 1:
        return tuple((word, "configuration") for word in str(file))  # of different lengths: refused
    result: list[_Word] = []
    for k, part in enumerate(str(file).split("/")):
        every = [parts[k] for parts in cut]
        before = _common(every)
        after = _common([text[len(before) :][::-1] for text in every])[::-1]
        middle = part[len(before) : len(part) - len(after)]
        result += [(word, "configuration") for word in (before, middle, after, "/")]
    return tuple(result[:-1])


def _common(texts: Sequence[str]) -> str:
    least, most = min(texts), max(texts)
    length = next((k for k, (a, b) in enumerate(zip(least, most, strict=False)) if a != b), min(len(least), len(most)))
    return least[:length]


def _joined(columns: list[tuple[_Word, ...]], names: list[str | None]) -> str | None:
    """The pattern: neighbouring columns of one kind become one placeholder, and so do columns that always agree."""
    text = ""
    first: dict[str, tuple[str, ...]] = {}
    k = 0
    while k < len(columns):
        kind = names[k]
        if kind is None:
            text += re.sub(r"([{}*])", r"\1", columns[k][0][0])
            k += 1
            continue
        # To the last column of this kind before another kind or a folder begins.
        end = last = k
        while end + 1 < len(columns) and names[end + 1] in (None, kind) and columns[end + 1][0][0] != "/":
            end += 1
            if names[end] == kind:
                last = end
        values = tuple("".join(column[row][0] for column in columns[k : last + 1]) for row in range(len(columns[k])))
        if first.setdefault(kind, values) != values:
            return None
        text += f"{{{kind}}}"
        k = last + 1
    return text


def _with_configuration(columns: list[tuple[_Word, ...]], names: list[str | None], files: Sequence[Path]) -> str | None:
    """For the runs of one configuration: the last number in its folders as {configuration}, if that names no others."""
    begin = names.index("run")
    for k in range(begin - 1, -1, -1):
        if columns[k][0][0].isdigit():
            pattern = _joined(columns, [*names[:k], "configuration", *names[k + 1 :]])
            if pattern is not None and _names_exactly(pattern, files, []):
                return pattern
    return None


def _names_exactly(pattern: str, files: Sequence[Path], groups: list[list[Path]]) -> bool:
    """Does the pattern name these files and no others, and join those that begin at one frame?"""
    try:
        found = files_of(load_pattern(pattern))
    except BotanFastError:
        return False
    key_of = {file.absolute(): key for key, group in found.items() for _, file in group}
    if key_of.keys() != {file.absolute() for file in files}:
        return False
    keys = [{key_of[file.absolute()] for file in group} for group in groups]
    return all(len(key) == 1 for key in keys) and len(set().union(*keys)) == len(keys)

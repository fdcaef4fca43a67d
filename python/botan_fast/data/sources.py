"""What a path, a pattern or a list names: files and data sets."""

import glob
import itertools
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError
from ..files import FilePath, is_file, natural_key, near_matches, printable
from ..formats import is_pattern
from ..formats.objects import is_atoms, is_object, object_trajectory
from ..formats.trajectory import Trajectory
from .dataset import Dataset
from .schema import finished_parts, is_dataset

__all__ = ["find_files", "open_sources"]

MAX_FOLDERS = 100_000  # that ** looks through


def open_sources(data: Any, runs: bool = False) -> list[Path | Dataset | Trajectory]:
    """The files of other formats as paths, the data sets, opened, and objects in memory as their frames.

    With `runs`, a list of ASE Atoms is the frames of one run; else each of them is a configuration. A list of such
    lists is several runs either way.
    """
    if isinstance(data, Dataset):
        return [data]
    if is_object(data) or (runs and _is_run(data) and len(data) > 1):
        return [object_trajectory(data)]
    parts = [[item] for item in data] if isinstance(data, (list, tuple)) and data else [data]
    sources: list[Path | Dataset | Trajectory] = []
    for part in parts:
        first = part[0] if isinstance(part, list) and part else None
        if isinstance(first, Dataset):
            sources.append(first)
        elif is_object(first) or _is_run(first):
            sources.append(object_trajectory(first))
        else:
            for path in find_files(part):
                # Dataset says what to do with parts of a data set
                unfinished = not is_pattern(path) and not path.exists() and finished_parts(path)
                sources.append(Dataset(path) if is_dataset(path) or unfinished else path)
    return _with_own_names(sources)


def _is_run(item: Any) -> bool:
    return isinstance(item, (list, tuple)) and len(item) > 0 and all(map(is_atoms, item))


def _with_own_names(sources: list[Path | Dataset | Trajectory]) -> list[Path | Dataset | Trajectory]:
    """Objects have no names of their own: several get a number."""
    names = Counter(source.name for source in sources if isinstance(source, Trajectory))
    seen: Counter[str] = Counter()
    for k, source in enumerate(sources):
        if isinstance(source, Trajectory) and names[source.name] > 1:
            seen[source.name] += 1
            sources[k] = replace(source, name=f"{source.name}_{seen[source.name] - 1}")
    return sources


def find_files(data: Any) -> list[Path]:
    """The files that a path, a glob pattern, or a list of them names; what a pattern matches is sorted naturally.

    Raises
    ------
    DataError
        when a pattern matches nothing; the message has the pattern and what there is instead. Also for a pipe, a
        socket or a device, and for a name that none can have.

    Examples
    --------
    >>> from botan_fast.data.sources import find_files
    >>> find_files(["a.npz", "b.npz"])
    [PosixPath('a.npz'), PosixPath('b.npz')]
    """
    if isinstance(data, (str, os.PathLike)):
        data = [data]
    if not isinstance(data, Iterable):
        raise InputError(
            f"data is a {type(data).__name__}; give a path, a glob pattern, a Dataset, or a list of paths or Samples"
        )
    files = []
    for item in data:
        if not isinstance(item, (str, os.PathLike)):
            raise InputError(
                f"data holds a {type(item).__name__}; give paths, glob patterns, or Samples, and do not mix"
            )
        # A name with brackets can be a file itself; a pattern with placeholders has its own reader.
        pattern = str(Path(item)) if isinstance(item, os.PathLike) else item
        there = is_file(pattern) or os.path.isdir(pattern)
        if there or is_pattern(pattern) or not glob.has_magic(pattern):
            files.append(Path(pattern))
            continue
        matches = sorted(set(_matches(pattern, pattern, itertools.count())), key=natural_key)
        if not matches:
            raise DataError(f"no file matches '{printable(pattern)}'{_instead(pattern)}")
        for match in matches:
            is_file(match)  # refuses pipes and devices
        files += [Path(match) for match in matches]
    if not files:
        raise InputError("data is empty; give at least one file")
    return files


def _matches(pattern: str, whole: str, visited: Iterator[int]) -> Iterator[str]:
    """What a pattern matches, as `glob.glob` says it; but ** enters each folder once, and a limited number of them.

    Links may lead in circles: `glob` goes round until the names are too long, and with two such links never ends.
    """
    parts = pattern.split("/")
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    place = parts.index("**")
    start, rest = "/".join(parts[:place]) or ("/" if place else ""), "/".join(parts[place + 1 :])
    for root in glob.iglob(start) if glob.has_magic(start) else [start]:
        entered: set[tuple[int, int]] = set()
        for folder, folders, names in os.walk(root or ".", followlinks=True):
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in entered:
                folders.clear()
                continue
            entered.add((status.st_dev, status.st_ino))
            if next(visited) >= MAX_FOLDERS:
                raise InputError(
                    f"'{printable(whole)}' looks through more than {MAX_FOLDERS} folders; name them more closely"
                )
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = folder if root else folder[2:]  # without "./"
            if rest:
                yield from _matches(os.path.join(glob.escape(inside), rest), whole, visited)
            else:
                yield from (os.path.join(inside, name) for name in names if not name.startswith("."))


def _instead(pattern: FilePath) -> str:
    """What exists in place of the files that a pattern fails to match."""
    path = Path(pattern)
    if glob.has_magic(str(path.parent)) or not path.parent.is_dir():
        return near_matches(path)
    entries = sorted((entry.name for entry in path.parent.iterdir()), key=natural_key)
    if not entries:
        return f"; the folder {path.parent} is empty"
    shown = ", ".join(entries[:3]) + (", ..." if len(entries) > 3 else "")
    return f"; the folder {path.parent} holds {shown}"

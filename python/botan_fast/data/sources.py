"""What a path, a pattern or a list names: files and data sets."""

import glob
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError
from ..files import FilePath, natural_key, near_matches
from ..formats import is_pattern
from ..formats.objects import is_atoms, is_object, object_trajectory
from ..formats.trajectory import Trajectory
from .dataset import Dataset
from .schema import finished_parts, is_dataset

__all__ = ["find_files", "open_sources"]


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
                unfinished = not path.exists() and finished_parts(path)  # Dataset says what to do
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
        when a pattern matches nothing; the message has the pattern and what there is instead.

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
        if not glob.has_magic(os.fspath(item)) or Path(item).exists() or is_pattern(item):
            files.append(Path(item))
            continue
        matches = sorted(glob.glob(os.fspath(item), recursive=True), key=natural_key)
        if not matches:
            raise DataError(f"no file matches '{item}'{_instead(item)}")
        files += [Path(match) for match in matches]
    if not files:
        raise InputError("data is empty; give at least one file")
    return files


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

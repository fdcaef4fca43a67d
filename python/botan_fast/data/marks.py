"""The inputs that a data set was made of, by the marks in the sources of its configurations: `FILE [digest]`.

The digest tells a file, as it was, and the settings of the call; " last" behind it, that nothing more comes of it.
"""

import contextlib
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from ..files import printable
from .writer import DatasetWriter

__all__ = ["a_stranger", "finished_inputs", "identity"]


def finished_inputs(writer: DatasetWriter) -> dict[str, tuple[set[str], bool]]:
    """For each input file that the data set knows: the names of its stored records, and are they all of them?"""
    done: dict[str, tuple[set[str], bool]] = {}
    for name, source in writer.sources():
        mark = re.search(r"\[([0-9a-f]{16})( last)?\]$", source)
        if mark:
            names, complete = done.get(mark[1], (set(), False))
            done[mark[1]] = names | {name}, complete or mark[2] is not None
    return done


def a_stranger(writer: DatasetWriter, files: list[Path], settings: dict[str, Any]) -> str | None:
    """The source of a configuration that another call has left, one that had other inputs; None where none has."""
    names, identities = set(map(str, files)), {identity(file, settings) for file in files}
    marks: dict[str, list[re.Match]] = {}
    for name, source in writer.sources():  # of a data set among the inputs also those from which it was made
        if mark := re.search(r"^(.*) \[([0-9a-f]{16})( last)?\]$", source):
            marks.setdefault(name, []).append(mark)
    for found in marks.values():
        if not any(mark[1] in names or mark[2] in identities for mark in found):
            return printable(found[0][1])
    return None


def identity(file: Path, settings: dict[str, Any]) -> str:
    """Tells whether a file was converted already, with the same settings, and has not changed since."""
    what: list[Any] = [str(file.resolve()), settings]
    with contextlib.suppress(OSError):  # a pattern is no file; one that is missing the reader reports
        what += [file.stat().st_size, file.stat().st_mtime_ns]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]

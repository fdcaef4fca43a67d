"""What a data set file is made of when it is written, and how HDF5 is kept from a disk that is full."""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..files import FilePath, atomic_write
from ..interruption import deferred
from .extras import copy_extras, write_extras
from .record import Record
from .schema import FORMAT, LIBVER, UNITS, VERSION, known_number, read_text, write_array, write_species, write_text

__all__ = ["copy_configuration", "difference_of", "exists_already", "write_file", "write_record", "write_root"]


class _Disk(io.RawIOBase):
    """The file below an HDF5 file: writes never fail, the first error is kept for the end.

    HDF5 does not survive an error of the disk: what it could not write stays in its cache, closing the file tries again
    and may end the process with a segmentation fault. So it is told that all went well; nobody will read that file.
    """

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "r+")
        self.error: OSError | None = None

    def write(self, data: Any) -> int:  # whatever HDF5 hands over, without a copy
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size or 0

    def readinto(self, buffer: Any) -> int:
        # What was never written, after an error or in a gap, reads as zeros.
        view, done = memoryview(buffer).cast("B"), 0
        try:
            while done < len(view) and (number := self._file.readinto(view[done:])):
                done += number
        except OSError as error:
            self.error = self.error or error
        view[done:] = bytes(len(view) - done)
        return len(view)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        pass

    def check(self) -> None:
        """Raise the error that was kept."""
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def write_file(path: FilePath) -> Iterator[tuple[h5py.File, "_Disk"]]:
    """A new HDF5 file that appears complete or not at all; `check` of the second tells early that it will not.

    What writes into the file does so inside of `deferred`: HDF5 does not survive Ctrl-C in a write either.
    """
    with atomic_write(path) as temporary, contextlib.closing(_Disk(temporary)) as disk:
        with deferred():
            file = h5py.File(disk, "w", libver=LIBVER)
        try:
            yield file, disk
        finally:
            with deferred():
                file.close()
        disk.check()


def write_root(file: h5py.File, cutoff: float, *history: dict) -> None:
    """What every data set begins with; `history` says who wrote it and how."""
    write_text(file, "format", FORMAT)
    file.attrs["format_version"] = np.int64(VERSION)
    file.attrs["cutoff"] = np.float64(cutoff)
    write_text(file, "units", UNITS)
    write_text(file, "provenance", json.dumps({"history": list(history)}))


def write_record(group: h5py.Group, record: Record, arrays: dict, order: int) -> None:
    """The group of a configuration; `arrays` is what `checked_arrays` made of the record."""
    write_text(group, "name", record.name)
    write_text(group, "source", record.source)
    write_species(group, record.species)
    group.attrs["order"] = np.int64(order)
    group.attrs["temperature"] = np.float64(np.nan if record.temperature is None else record.temperature)
    if record.energy is not None:
        group.attrs["energy"] = np.float64(record.energy)
    group.attrs["box"] = arrays["box"]
    group.attrs["time"] = np.array([np.nan if t.time is None else t.time for t in record.times], np.float64)
    group.attrs["num_runs"] = np.array([t.num_runs for t in record.times], np.int64)
    write_array(group, "positions", arrays["positions"])
    write_array(group, "types", arrays["types"], compress=True)
    write_array(group, "pairs", arrays["pairs"], compress=True)
    write_extras(group, arrays["inherent"], arrays["arrays"])
    times = group.create_group("times")
    for number, targets in enumerate(arrays["targets"]):
        one = times.create_group(f"{number:03d}")
        for name, array in targets.items():
            write_array(one, name, array)


def copy_configuration(source: h5py.Group, groups: h5py.Group, name: str) -> None:
    """Copy a configuration, or add its times to one that is there. Chunks are copied as they are."""
    if name not in groups:
        source.file.copy(source, groups, name)
        return
    target = groups[name]
    there = {known_number(time) for time in target.attrs["time"]}
    count = len(target.attrs["time"])
    chosen = [k for k, time in enumerate(source.attrs["time"]) if known_number(time) not in there]
    for k in chosen:
        source.file.copy(source[f"times/{k:03d}"], target["times"], f"{count:03d}")
        count += 1
    if "energy" in source.attrs and "energy" not in target.attrs:
        target.attrs["energy"] = source.attrs["energy"]
    copy_extras(source, target)
    for attribute in ("time", "num_runs"):
        joined = np.concatenate([target.attrs[attribute], source.attrs[attribute][chosen]])
        del target.attrs[attribute]
        target.attrs[attribute] = joined
    sources = "\n".join(filter(None, (read_text("", group, "source") for group in (target, source))))
    del target.attrs["source"]
    write_text(target, "source", sources)


def exists_already(path: FilePath) -> str:
    """What is said of a data set that nobody asked to change."""
    return f"output = '{path}' exists; add to it with append=True (--append), or overwrite it with force=True (--force)"


def difference_of(was: dict | None, now: dict | None) -> str:
    """The first setting in which a writer differs from the one that was interrupted, for a message.

    >>> from botan_fast.data.output import difference_of
    >>> difference_of({"cutoff": 2.0}, {"cutoff": 1.5})
    'cutoff = 2.0 instead of 1.5'
    """
    was, now = was or {}, now or {}
    for name in {**was, **now}:
        if was.get(name) != now.get(name):
            return f"{name} = {was.get(name)} instead of {now.get(name)}"
    return "unknown"

"""Writing the HDF5 data set so that a kill at any moment loses nothing finished and leaves no broken file.

Each finished configuration is first a small file of its own, `FILE.parts/*.h5`, a complete data set that takes its
name in one step. When the writer closes, and when it opens again after a kill, the parts and the data set that exists
are merged into a new file, which replaces the old one in one step; only then are the parts removed.
"""

import contextlib
import datetime
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import interruption
from ..errors import BotanFastError, InputError
from ..files import FilePath, remove_leftovers, write_bytes
from ..interruption import deferred
from ..lock import Lock
from .output import copy_configuration, difference_of, exists_already, write_file, write_record, write_root
from .record import Record, checked_arrays
from .schema import (
    finished_parts,
    known_number,
    open_dataset,
    parts_folder,
    read_attribute,
    read_group,
    read_json,
    read_particles,
    read_text,
    reading,
)

__all__ = ["DatasetWriter"]


class DatasetWriter:
    """Writes a data set file, one configuration after the other.

    Parameters
    ----------
    path : path
        The file. One that exists is added to. Until `close`, what is finished lies in the folder `path` + ".parts".
    cutoff : float
        Pairs closer than this, in units of sigma_AA, are in the pair lists.
    provenance : dict, optional
        How the data came about, for the record: anything that JSON can hold.
    settings : dict, optional
        What must be the same for a writer that continues an interrupted one.
    overwrite : bool
        Start with an empty data set, unless there is an interrupted writer of the same settings to continue.
    append : bool
        False: refuse a file that exists, unless there is an interrupted writer of the same settings to continue.

    A kill at any moment loses at most the configuration that was being added: a new writer on the same path continues
    with `finished`. Leaving the `with` block by an error or by Ctrl-C keeps the parts and does not merge them. Several
    threads may call `add`; a second writer on the same path is refused while the first one lives.

    Raises
    ------
    InputError
        Another writer has the file, its cutoff is a different one, or an interrupted writer had other settings.
    DataError
        The file exists and is no data set, or is damaged.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * 5
    >>> with bf.DatasetWriter(folder.name + "/a.h5") as writer:
    ...     times = [bf.TimeRecord(time=t, num_runs=32, propensity=np.full(100, t)) for t in (1.0, 10.0)]
    ...     writer.add(bf.Record("conf_1", x, np.zeros(100, int), 5.0, temperature=0.44, times=times))
    ...     sorted(writer.finished)
    ['conf_1']
    """

    def __init__(
        self,
        path: FilePath,
        *,
        cutoff: float = 2.0,
        provenance: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        overwrite: bool = False,
        append: bool = True,
    ) -> None:
        if not str(path):
            raise InputError("path = '' is empty; give the name of a file")
        self.path = Path(path)
        self.cutoff = float(cutoff)
        self._provenance = dict(provenance or {})
        self._entries: dict[tuple, _Location] = {}
        self._mutex = threading.Lock()
        self._history: list = []
        self._added: list[tuple[tuple, Path]] = []  # by this writer: key and part
        self._there = self.complete = self._new_before = False
        if self.path.is_dir():
            raise InputError(f"path = '{path}' is a folder; give the name of a file to write in it")
        if not self.path.parent.is_dir():
            raise InputError(f"path = '{path}': folder '{self.path.parent}' does not exist; create it first")
        self._parts = parts_folder(self.path)
        self._session_file = self._parts / "session.json"
        self._lock: Lock | None = self._acquire()
        interruption.begin()
        try:
            # Asked under the lock: before it, another writer could be about to end.
            self._new = not self._session_file.exists() and not finished_parts(self.path)
            self._remove_leftovers()
            self._begin(settings, overwrite, append)
            if self.path.exists():
                self._index(self.path)
            self._merge()
        except BaseException:
            self._release()
            raise

    @property
    def finished(self) -> set[str]:
        """Names of the configurations that are stored."""
        return {entry.name for entry in self._entries.values()}

    def has(self, name: str, temperature: float | None = None, time: float | None = None) -> bool:
        """Are the targets of this configuration at this time stored? None stands for unknown, not for any."""
        entry = self._entries.get(_key(name, temperature))
        return entry is not None and known_number(time) in entry.times

    def sources(self) -> list[tuple[str, str]]:
        """(name, source) of every stored record."""
        return [(entry.name, source) for entry in self._entries.values() for source in entry.sources]

    def stored(self) -> Iterator[tuple[str, float | None, list[float | None], np.ndarray, np.ndarray]]:
        """Name, temperature, times, positions (N, D) and types (N,) of every configuration that is stored."""
        for (name, temperature), entry in self._entries.items():
            yield (name, temperature, list(entry.times), *read_particles(*entry.places[0]))

    def add(self, record: Record) -> None:
        """Store a configuration. When this returns, it is on the disk.

        A configuration that is there already, with the same temperature and positions, gets further times.

        Raises
        ------
        InputError
            naming the array whose shape or value is wrong, a time that is stored already, or a name that another
            configuration has.
        """
        try:
            arrays = checked_arrays(record, self.cutoff)
        except BotanFastError as error:
            raise type(error)(f"configuration {record.name}: {error}") from error
        with self._mutex:
            if self._lock is None:
                raise InputError(f"the writer of '{self.path}' is closed; open a new one to add configurations")
            if self.complete:
                raise InputError(exists_already(self.path))
            key = _key(record.name, record.temperature)
            known = self._entries.get(key)
            if known is not None:
                self._check_known(record, known)
            order = known.order if known else record.order
            if order is None:
                order = 1 + max((entry.order for entry in self._entries.values()), default=-1)
            times = [known_number(time.time) for time in record.times]
            digest = hashlib.sha256(repr((key, times)).encode()).hexdigest()[:16]
            part = self._parts / f"{order:08d}-{digest}.h5"
            with write_file(part) as (file, _), deferred():
                write_root(file, self.cutoff, self._session())
                write_record(file.create_group("configurations/000000"), record, arrays, order)
            if not self._added:
                self._new_before = self._new
            self._new = False
            entry = self._entries.setdefault(key, _Location(record.name, order))
            entry.times += times
            entry.places.append((part, "000000"))
            entry.sources += record.source.splitlines()
            self._added.append((key, part))

    def withdraw(self) -> None:
        """Take out what this writer has added and not merged yet, as if it had never been."""
        with self._mutex:
            for key, part in self._added:
                part.unlink(missing_ok=True)
                self._entries.pop(key, None)
            if self._added and not finished_parts(self.path):
                self._new = self._new_before
            self._added.clear()
            for part in finished_parts(self.path):  # of an earlier writer, with other times of the same configurations
                self._index(part)

    def clear(self) -> None:
        """Take everything out, also what an interrupted writer has left to be continued."""
        with self._mutex:
            for file in [*finished_parts(self.path), self.path]:
                file.unlink(missing_ok=True)
            self._entries.clear()
            self._history.clear()
            self._added.clear()
            self._new = True

    def close(self, report: Callable[[], Any] | None = None) -> None:
        """Merge everything into the file and remove the parts. A second call does nothing.

        `report` is called in between. Who is killed in it finds everything finished when he repeats the call.
        """
        with self._mutex:
            if self._lock is None:
                return
            try:
                self._merge()
                if report is not None:
                    report()
                self._remove_parts()
            finally:
                self._release()

    def __enter__(self) -> "DatasetWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self._release()

    # ---- inside ------------------------------------------------------------------------------------------------

    def _acquire(self) -> Lock:
        try:
            while True:
                self._there = self._parts.exists()
                self._parts.mkdir(exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # another writer has just removed the folder
                    lock = Lock.acquire(self._parts / ".lock")
                    break
        except OSError as error:
            raise InputError(f"path = '{self.path}' cannot be written ({error.strerror}); take another one") from None
        if lock is None:
            raise InputError(
                f"path = '{self.path}' is being written by another process; wait for it, or name another file"
            )
        return lock

    def _release(self) -> None:
        if self._lock is not None:
            # Nothing was finished: leave no trace. Otherwise the folder says that there is something to continue.
            if self._new:
                self._remove_parts()
            self._lock.release()
            with contextlib.suppress(OSError):  # where nothing is left in it
                self._parts.rmdir()
            self._lock = None
            interruption.end()

    def _begin(self, settings: dict | None, overwrite: bool, append: bool) -> None:
        """Continue what an interrupted writer left, or begin anew."""
        wanted, found = json.loads(json.dumps(settings)), None
        begun = False
        with contextlib.suppress(OSError, ValueError):
            found, begun = json.loads(self._session_file.read_text(encoding="utf-8")), True
        parts = finished_parts(self.path)
        if begun and found == wanted:
            overwrite = False
        elif parts and not overwrite:
            raise InputError(
                f"path = '{self.path}' was being written with other settings ({difference_of(found, wanted)}) when "
                "it was interrupted; repeat with those, or overwrite it"
            )
        elif not (append or overwrite) and self.path.exists():
            # A folder without a session: its writer was killed in the last two calls of its life. Who repeats what it
            # did has nothing to add.
            if not self._there:
                raise InputError(exists_already(self.path))
            self.complete = True
        if overwrite:
            self.clear()
        if not (begun and found == wanted) and not self.complete:
            write_bytes(self._session_file, json.dumps(settings).encode())

    def _remove_parts(self) -> None:
        """Remove the folder of the parts with its last sign that there is something to continue."""
        if not finished_parts(self.path):
            with contextlib.suppress(OSError):
                self._session_file.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of a writer that was killed while it wrote."""
        remove_leftovers(self.path)
        for temporary in self._parts.glob(".*.tmp.*"):
            with contextlib.suppress(OSError):
                temporary.unlink()

    def _session(self) -> dict:
        from .. import __version__

        now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        return {"botan_fast": __version__, "date": now, **self._provenance}

    def _index(self, path: Path) -> None:
        """Learn what a file holds. A part that was merged before a kill is known already."""
        with open_dataset(path) as file, reading(path):
            cutoff = float(read_attribute(path, file, "cutoff", "f", ()))
            if cutoff != self.cutoff:
                raise InputError(
                    f"cutoff = {self.cutoff} but '{path}' has cutoff = {cutoff}; use that one or a new file"
                )
            self._history += [
                h for h in read_json(path, file, "provenance").get("history", []) if h not in self._history
            ]
            groups = read_group(path, file, "configurations")
            for name in groups:
                group = read_group(path, groups, name)
                times = read_attribute(path, group, "time", "f", (None,)).tolist()
                key = _key(read_text(path, group, "name"), float(read_attribute(path, group, "temperature", "f", ())))
                order = int(read_attribute(path, group, "order", "i", ()))
                entry = self._entries.setdefault(key, _Location(key[0], order))
                new = [known_number(time) for time in times if known_number(time) not in entry.times]
                if new or not entry.places:
                    entry.times += new
                    entry.places.append((path, name))
                    entry.sources += read_text(path, group, "source").splitlines()

    def _check_known(self, record: Record, known: "_Location") -> None:
        positions, types = read_particles(*known.places[0])
        same = np.array_equal(positions, np.asarray(record.positions, np.float64))
        if not (same and np.array_equal(types, np.asarray(record.types))):
            raise InputError(
                f"configuration {record.name} differs from one of the same name and temperature = "
                f"{record.temperature} in '{self.path}'; give it another name, or its temperature"
            )
        again = [time.time for time in record.times if known_number(time.time) in known.times]
        if again or not record.times:
            raise InputError(
                f"configuration {record.name} at time = {again[0] if again else None} is in '{self.path}' already; "
                "leave it out, or give its time"
            )

    def _merge(self) -> None:
        """Write everything into a new file, let it take the place of the old one, remove the parts."""
        parts = finished_parts(self.path)
        for part in parts:
            if all(part != place for entry in self._entries.values() for place, _ in entry.places):
                self._index(part)
        entries = sorted(self._entries.values(), key=lambda entry: (entry.order, entry.name))
        if any(place != self.path for entry in entries for place, _ in entry.places):
            session = self._session()
            self._write(entries, session)
            self._history.append(session)
            for number, entry in enumerate(entries):
                entry.places = [(self.path, f"{number:06d}")]
        self._new = self._new and not parts
        for part in parts:  # those of a writer that was killed after its merge, too
            part.unlink()

    def _write(self, entries: list["_Location"], session: dict) -> None:
        """The new file, out of the old one and the parts."""
        with write_file(self.path) as (out, disk), contextlib.ExitStack() as stack:
            old = stack.enter_context(open_dataset(self.path)) if self.path.exists() else None
            with deferred():
                write_root(out, self.cutoff, *self._history, session)
                groups = out.create_group("configurations")
            for number, entry in enumerate(entries):
                for place, name in entry.places:
                    with contextlib.ExitStack() as one:
                        file = old if place == self.path else one.enter_context(open_dataset(place))
                        assert file is not None  # a place in the file itself: there is one
                        with reading(place), deferred():
                            copy_configuration(file["configurations"][name], groups, f"{number:06d}")
                    disk.check()


@dataclass
class _Location:
    """Where a configuration lies: one place, or several with different times."""

    name: str
    order: int
    times: list[float | None] = field(default_factory=list)
    places: list[tuple[Path, str]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)


def _key(name: str, temperature: float | None) -> tuple[str, float | None]:
    return name, known_number(temperature)

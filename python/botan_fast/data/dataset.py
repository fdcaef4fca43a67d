"""The data set: one HDF5 file with many configurations, temperatures and times (docs/dataset.md), read lazily."""

import dataclasses
import itertools
import math
import os
import threading
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np

from ..errors import DataError, InputError
from ..files import FilePath, check_name, natural_key, printable
from .extras import shown_extras
from .sample import Sample
from .schema import known_number, open_dataset, read_attribute, read_group, read_json, read_text, reading
from .selection import Choice, Numbers
from .species import SpeciesOrder, describe_types
from .stored import Entry, StoredArrays, StoredMaker, read_configuration, read_targets

__all__ = ["Dataset"]


class Dataset(Sequence[Sample]):
    """A data set file: a sequence of `Sample`, one for each configuration and time, read when asked for.

    Opening reads names, temperatures and times, no arrays. Items are ordered as the configurations were added, the
    times of one configuration ascending. A slice, `select` and `train_test_split` give a Dataset of a part of the items
    on the same open file.

    Parameters
    ----------
    path : path
        A file that `convert`, `botan-fast simulate` or `DatasetWriter` made.

    Raises
    ------
    DataError
        The file is missing, truncated, damaged, no data set, or of a newer format. Damage to an array is found by its
        checksum when the array is read.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * 5
    >>> with bf.DatasetWriter(folder.name + "/a.h5") as writer:
    ...     for k in range(5):
    ...         times = [bf.TimeRecord(time=t, num_runs=32, propensity=np.full(100, t)) for t in (1.0, 10.0)]
    ...         writer.add(bf.Record(f"conf_{k}", x + k, np.zeros(100, int), 5.0, temperature=0.44, times=times))
    >>> dataset = bf.Dataset(folder.name + "/a.h5")
    >>> len(dataset), dataset.times, dataset.temperatures
    (10, [1.0, 10.0], [0.44])
    >>> late = dataset.select(time=10.0)
    >>> len(late), late[0].name, late[0].graph.num_nodes, float(late[0].targets.propensity[0])
    (5, 'conf_0', 100, 10.0)
    >>> train, test = late.train_test_split(test=0.2, seed=0)
    >>> len(train), len(test)
    (4, 1)
    """

    def __init__(self, path: FilePath) -> None:
        self.path = Path(path)
        self._file = _File(self.path)
        with self._file.lock, reading(self.path):
            file = self._file.get()
            self.cutoff = float(read_attribute(self.path, file, "cutoff", "f", ()))
            self.provenance = read_json(self.path, file, "provenance")
            self._entries = _read_entries(self.path, file)
        # Arrays of configurations that are in use, for their samples at several times.
        self._shared: weakref.WeakValueDictionary[str, StoredArrays] = weakref.WeakValueDictionary()

    # ---- the sequence ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> "Dataset": ...

    def __getitem__(self, index: int | slice) -> "Sample | Dataset":
        if isinstance(index, slice):
            return self._part(self._entries[index])
        return self.load(index)

    def __iter__(self) -> Iterator[Sample]:
        return (self.load(index) for index in range(len(self)))

    def load(
        self,
        index: int,
        *,
        cutoff: float | None = None,
        self_edges: bool = False,
        species: SpeciesOrder | None = None,
        targets: bool = True,
    ) -> Sample:
        """The sample `index`, with another graph than the file's own if need be, its species in another order, and with
        `targets=False` without them.

        The cutoff must not exceed the file's where the targets of pairs are to be had.
        """
        entry, stored, arrays = self._read(index)
        if not targets:
            entry, arrays = dataclasses.replace(entry, time=None, num_runs=0, index=None), {}
        if species is not None:
            types, names = species.apply(stored.types, stored.species, f"{self.path}: configuration {entry.name}")
            if types is not stored.types:  # else the arrays stay shared with other times
                stored = dataclasses.replace(stored, types=types.astype(np.int32), species=names)
        cutoff = self.cutoff if cutoff is None else float(cutoff)
        maker = StoredMaker(self.path, entry, stored, arrays, cutoff, bool(self_edges))
        known = entry.temperature, entry.time, stored.source, stored.species
        sample = Sample.on_demand(maker, entry.name, stored.positions, *known)
        sample.energy = entry.energy
        sample.inherent, sample.arrays = stored.inherent, stored.arrays
        return sample

    def arrays(self, index: int) -> dict[str, np.ndarray]:
        """Everything that the file holds of the item: `positions`, `types`, `box`, `pairs`, the targets by name, of an
        inherent structure `inherent_positions` and `inherent_energy`, and other arrays by their names."""
        _, stored, targets = self._read(index)
        own = {name: np.asarray(getattr(stored, name)) for name in ("positions", "types", "box", "pairs")}
        if stored.inherent is not None:
            own |= {"inherent_positions": stored.inherent.positions, "inherent_energy": stored.inherent.energy}
        return stored.arrays | own | targets

    def _read(self, index: int) -> tuple[Entry, StoredArrays, dict[str, np.ndarray]]:
        entry = self._entries[index]
        with self._file.lock, reading(self.path):
            group = read_group(self.path, read_group(self.path, self._file.get(), "configurations"), entry.group)
            stored = self._shared.get(entry.group)
            if stored is None:
                stored = read_configuration(self.path, group, self.cutoff)
                self._shared[entry.group] = stored
            return entry, stored, read_targets(self.path, group, entry, stored)

    # ---- what there is -----------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """Name of the configuration of each entry."""
        return [entry.name for entry in self._entries]

    def temperature_time_pairs(self) -> list[tuple[float | None, float | None]]:
        """Temperature and time of each item, None where unknown."""
        return [(entry.temperature, entry.time) for entry in self._entries]

    @property
    def groups(self) -> list[str]:
        """The group in the file that holds each item; those of one configuration at several times are the same."""
        return [entry.group for entry in self._entries]

    @property
    def temperatures(self) -> list[float]:
        """The temperatures that occur, ascending; unknown ones are left out."""
        return sorted({entry.temperature for entry in self._entries if entry.temperature is not None})

    @property
    def times(self) -> list[float]:
        """The times that occur, ascending; unknown ones are left out."""
        return sorted({entry.time for entry in self._entries if entry.time is not None})

    @property
    def energies(self) -> list[float | None]:
        """Potential energy per particle of the configuration of each item, None where the file does not tell."""
        return [entry.energy for entry in self._entries]

    @property
    def has_targets(self) -> bool:
        """Does any configuration have targets? Without them it serves for predictions."""
        return any(entry.index is not None for entry in self._entries)

    def describe(self) -> str:
        """What the data set holds, as a text for people: one line for each temperature and time, one on the species."""
        configurations = len({entry.group for entry in self._entries})
        lines = [f"{self.path}: {configurations} configurations, {len(self)} samples, cutoff {self.cutoff:g}"]
        table: dict[tuple, list[Entry]] = {}
        for entry in self._entries:
            table.setdefault((_order(entry.temperature), _order(entry.time)), []).append(entry)
        for _, entries in sorted(table.items()):
            first, runs = entries[0], sorted({entry.num_runs for entry in entries} - {0}) or [0]
            shown = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
            lines.append(
                f"  temperature {_shown(first.temperature)}, time {_shown(first.time)}: {len(entries)} configurations"
                + (", no targets" if first.index is None else f", {shown} runs" if runs[-1] else "")
            )
        if self._entries:
            _, stored, _ = self._read(0)
            more = shown_extras(stored.inherent, stored.arrays)
            species = describe_types(stored.types, stored.species)
            lines.append(f"  {self._entries[0].name}: {species}" + (f"; {more}" if more else ""))
        return "\n".join(lines)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shared": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _shared=weakref.WeakValueDictionary())

    def __repr__(self) -> str:
        return f"Dataset('{self.path}', {len(self)} samples)"

    # ---- parts -------------------------------------------------------------------------------------------------

    def select(self, *, temperature: Numbers = None, time: Numbers = None) -> "Dataset":
        """The items of a temperature and a time: a number or a list of them each; None takes all.

        Raises
        ------
        InputError
            when nothing fits; the message lists what there is.
        """
        choice = Choice(temperature, time, several=True)
        entries = list(itertools.compress(self._entries, choice.among(self.temperature_time_pairs())))
        choice.check_found()
        return self._part(entries)

    def train_test_split(self, test: float = 0.2, seed: int = 0) -> tuple["Dataset", "Dataset"]:
        """Split at random by configuration: all times of a configuration are on the same side.

        Parameters
        ----------
        test : float
            Fraction of the configurations, between 0 and 1, that are for the test; at least one is on each side.
        seed : int
            The same seed gives the same split of the same file on every machine.

        Returns the training and the test part; both keep the order of the file.
        """
        if not 0 < test < 1:
            raise InputError(f"test = {test} must be a fraction between 0 and 1, such as 0.2")
        groups = list(dict.fromkeys(entry.group for entry in self._entries))
        if len(groups) < 2:
            raise InputError(f"{self.path}: {len(groups)} configuration cannot be split; two are the least")
        number = min(max(1, round(test * len(groups))), len(groups) - 1)
        chosen = {groups[k] for k in np.random.default_rng(seed).permutation(len(groups))[:number]}
        return (
            self._part([entry for entry in self._entries if entry.group not in chosen]),
            self._part([entry for entry in self._entries if entry.group in chosen]),
        )

    def _part(self, entries: list[Entry]) -> "Dataset":
        part = object.__new__(Dataset)
        part.__dict__.update(self.__dict__, _entries=entries)
        return part

    # ---- the file ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the file, also for the parts of this data set. Reading an item opens it again."""
        self._file.close()

    def __enter__(self) -> "Dataset":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _File:
    """The open file, shared by a data set and its parts. Survives pickling and fork: each process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.RLock()
        self._file: h5py.File | None = None
        self._process: int | None = None

    def get(self) -> h5py.File:
        if self._file is None or self._process != os.getpid():
            self._file, self._process = open_dataset(self.path), os.getpid()
        return self._file

    def close(self) -> None:
        with self.lock:
            if self._file is not None and self._process == os.getpid():
                self._file.close()
            self._file = None

    def __getstate__(self) -> Path:
        return self.path

    def __setstate__(self, path: Path) -> None:
        _File.__init__(self, path)


def _read_entries(path: Path, file: h5py.File) -> list[Entry]:
    entries = []
    groups = read_group(path, file, "configurations")
    for key in sorted(groups, key=natural_key):
        group = read_group(path, groups, key)
        try:
            name = check_name(read_text(path, group, "name") or key)
        except DataError as error:
            raise DataError(f"{path}: group {printable(key)}: {error}") from None
        temperature = known_number(float(read_attribute(path, group, "temperature", "f", ())))
        times = read_attribute(path, group, "time", "f", (None,)).tolist()
        runs = read_attribute(path, group, "num_runs", "iu", (len(times),)).tolist()
        energy = (
            known_number(float(read_attribute(path, group, "energy", "f", ()))) if "energy" in group.attrs else None
        )
        if not times:
            entries.append(Entry(key, name, temperature, None, 0, None, energy))
        for k in sorted(range(len(times)), key=lambda k: _order(known_number(times[k]))):
            entries.append(Entry(key, name, temperature, known_number(times[k]), runs[k], k, energy))
    return entries


def _order(value: float | None) -> float:
    return -math.inf if value is None else value


def _shown(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"

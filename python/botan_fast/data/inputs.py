"""The inputs of `convert` among each other: their names, what the names tell, and configurations that come again."""

import functools
import itertools
from pathlib import Path

import numpy as np

from ..errors import InputError, warn
from ..files import name_of, printable
from ..formats import name_without_tag, stated
from .record import Record
from .runs import remedy_for_runs
from .selection import Numbers, same_number
from .twins import Known
from .words import Majorities, refuse_twice, word_on_few_runs
from .writer import DatasetWriter

__all__ = ["Stored", "over_names", "told_to_be_chosen", "unique_names"]


class Stored:
    """The configurations of the data set, found by their particles: one that comes again joins its other times."""

    def __init__(self, writer: DatasetWriter, files: list[Path]) -> None:
        self._known: Known[tuple[str, float | None, list[float | None], Path]] = Known()
        self._files = files
        self._single: list[str] = []
        self._majorities = Majorities()
        self._number = 0
        for name, temperature, times, positions, types in writer.stored():
            self._known.add(positions, types, (name, temperature, times, writer.path))

    def join(self, record: Record, file: Path) -> None:
        """Give the record the name that the configuration has at other times; InputError where it comes twice."""
        positions, types = np.asarray(record.positions), np.asarray(record.types)
        for name, temperature, times, origin in self._known.same(positions, types):
            if not (times and record.times):
                continue  # no targets, so none that could be mixed
            a, b = (name, record.name) if origin == file else (str(origin), str(file))
            remedy = functools.partial(self._remedy, origin, file)
            for new, old in itertools.product([time.time for time in record.times], times):
                refuse_twice((a, temperature, old), (b, record.temperature, new), remedy)
            if temperature == record.temperature:
                record.name = name

    def _remedy(self, first: Path, second: Path) -> str:
        return remedy_for_runs(first, second, self._files) if first in self._files and first != second else ""

    def add(self, record: Record, file: Path) -> None:
        """Remember what was stored."""
        times = [time.time for time in record.times]
        positions, types = np.asarray(record.positions), np.asarray(record.types)
        self._known.add(positions, types, (record.name, record.temperature, times, file))
        self._number += bool(record.times)
        if any(time.num_runs == 1 for time in record.times):
            self._single.append(record.name)
        self._majorities.add(record.name, types, record.species)

    def say(self) -> None:
        """Warnings on what was added, once for all of it."""
        word_on_few_runs(self._single, self._number)
        self._majorities.say()


def unique_names(files: list[Path]) -> dict[Path, str]:
    """A name for each file: its own without the ending, preceded by its folders as far as it takes to be unique.

    The files of a configuration of the authors at several times, side by side, have one name.
    """
    same: dict[str, set[Path]] = {}
    at_times: dict[Path, list[Path]] = {}
    for file in files:
        tagged = stated(file)[1] is not None
        at_times.setdefault(file.with_name(name_without_tag(name_of(file))) if tagged else file, []).append(file)
    for place, members in at_times.items():
        same.setdefault(place.name if place != members[0] else name_of(place), set()).add(place)
    names: dict[Path, str] = {}
    for stem, group in same.items():
        parents = [file.absolute().parent for file in group]
        # Of two files in one folder the endings belong to the names: conf.xyz and conf.dump.
        whole = len(set(parents)) < len(parents)
        parts = {file: (file.name if whole else stem, *reversed(file.absolute().parts[1:-1])) for file in group}
        depth = 1
        while len({path[:depth] for path in parts.values()}) < len(group) and depth < max(map(len, parts.values())):
            depth += 1
        names |= {
            file: printable("_".join(reversed(path[:depth])), 1000)
            for place, path in parts.items()
            for file in at_times[place]
        }
    return names


def over_names(files: list[Path], time: Numbers, temperature: Numbers) -> frozenset[str]:
    """Which of "time" and "temperature" the caller says otherwise than the names of the files, with a word.

    A value that one of the names tells chooses among the files; several values do so in any case.

    Raises
    ------
    InputError
        where all files tell by their names, and one of several values is in none of them.
    """
    result = set()
    told = [stated(file) for file in files]
    for place, (what, given) in enumerate((("temperature", temperature), ("time", time))):
        values = [pair[place] for pair in told]
        held = sorted({value for value in values if value is not None})
        unknown = [number for number in _list(given) if not any(same_number(value, number) for value in held)]
        if not held or not unknown:
            continue
        shown = ", ".join(f"{value:g}" for value in held)
        if len(_list(given)) == 1:
            warn(f"{what} = {unknown[0]:g} is given, where the names of the files tell {shown}; {unknown[0]:g} counts")
            result.add(what)
        elif None not in values:
            raise InputError(f"{what} = {unknown[0]:g} is not in the data, which hold {what}s {shown}")
    return frozenset(result)


def told_to_be_chosen(file: Path, time: Numbers, temperature: Numbers, over: frozenset[str]) -> bool:
    """Is a file to be read, by what its name tells? Yes where it does not tell, or the caller knows better (`over`)."""
    return all(
        value is None or given is None or what in over or any(same_number(value, number) for number in _list(given))
        for what, value, given in zip(("temperature", "time"), stated(file), (temperature, time), strict=True)
    )


def _list(numbers: Numbers) -> list[float]:
    return [] if numbers is None else np.atleast_1d(np.asarray(numbers, np.float64)).tolist()

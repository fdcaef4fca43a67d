"""How configurations of files and data sets become the records of a data set: the part of `convert` that computes."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..errors import DataError, InputError
from ..formats import Configuration, holds_frames, is_layout, iterate_groups, stated
from ..physics.targets import Targets
from ..quantities import LETTERS
from .build import build_sample
from .dataset import Dataset
from .extras import Minima
from .record import Record, TimeRecord
from .sample import Sample
from .schema import is_dataset
from .selection import Choice, Numbers
from .species import SpeciesOrder

__all__ = ["Reading"]

Named: TypeAlias = tuple[str, Callable[[], Record]]  # the name of a record, and what makes it


class Reading:
    """How the configurations of a file become records."""

    def __init__(
        self,
        cutoff: float,
        box: Array | None,
        density: float | None,
        temperature: Numbers,
        time: Numbers,
        letters: str,
        order: SpeciesOrder,
        over_names: frozenset[str],
        minima: Minima | None = None,
    ) -> None:
        self.cutoff, self.box, self.density, self.letters = cutoff, box, density, letters
        self.temperature, self.time, self.order, self.over_names = temperature, time, order, over_names
        self.minima = minima

    def records(self, file: Path, skip: Callable[[str], bool]) -> Iterator[tuple[str, Callable[[], Record], bool]]:
        """For each record of a file its name, a function that makes it, and is it known to be the last one?

        Those to skip may be left out.
        """
        choice = Choice(self.temperature, self.time, several=True)
        found = False
        for entry in self._of_dataset(file, choice) if is_dataset(file) else self._of_file(file, choice, skip):
            found = True
            yield entry
        try:
            if stated(file)[1] is None:  # else its time is one of those that are chosen, and others have the rest
                choice.check_found()
            if not found:
                raise InputError(f"no configuration has {choice.describe()}; choose others")
        except InputError as error:
            raise InputError(f"{file}: {error}") from None

    def _of_file(
        self, file: Path, choice: Choice, skip: Callable[[str], bool]
    ) -> Iterator[tuple[str, Callable[[], Record], bool]]:
        groups = iterate_groups(file, skip)
        # The files of a pattern are read a configuration at a time, and without what is finished. The records of one
        # file are all there at once.
        records = (self._chosen(file, choice, group) for group in groups)
        if is_layout(file):
            yield from ((name, make, False) for name, make in filter(None, records))
        else:
            yield from _marking_last(list(filter(None, records)))

    def _chosen(self, file: Path, choice: Choice, group: list[Configuration]) -> Named | None:
        """Name and maker of the record of one configuration, or None when it has none of the chosen times."""
        unknown: dict[str, Any] = dict.fromkeys(self.over_names & group[0].told_by_name)
        group = [dataclasses.replace(c, **unknown) for c in group]
        name, temperature = group[0].name, _filled(group[0].temperature, self.temperature)
        group = self._with_times(file, group)
        group = list(itertools.compress(group, choice.among((temperature, c.time) for c in group)))
        return (name, lambda: self._record(group)) if group else None

    def _with_times(self, file: Path, configurations: list[Configuration]) -> list[Configuration]:
        """The configurations of one name with the times that the caller gave where the file has none."""
        unknown = [c for c in configurations if c.time is None]
        given = [None] if self.time is None else np.atleast_1d(self.time).tolist()
        if not unknown or given == [None] == [c.time for c in unknown]:
            return configurations
        if len(given) != len(unknown):
            raise InputError(
                f"{file}: the file has {len(unknown)} times and does not tell which, but time = {self.time}; give all "
                "of them, in its order"
            )
        rising = all(early < late for early, late in itertools.pairwise(given))
        if not rising and (is_layout(file) or holds_frames(file)):
            raise InputError(f"{file}: time = {self.time} does not rise, as the frames of a run do; give them in order")
        early = [time for time in given if time is not None and time <= 0]
        if early and any(c.trajectories is not None or c.propensity is not None for c in unknown):
            raise InputError(
                f"{file}: time = {self.time} holds {early[0]:g}, which is not after the initial configuration; give "
                "the times of the later frames only"
            )
        times = iter(given)
        return [dataclasses.replace(c, time=next(times)) if c.time is None else c for c in configurations]

    def _record(self, group: list[Configuration]) -> Record:
        """One record of the configurations that differ in their time alone."""
        first, times, sample = group[0], [], None
        types, names = self.order.apply(first.types, first.species, str(first.path))
        for c in group:
            c = dataclasses.replace(c, types=types, species=names)
            sample = build_sample(c, self.cutoff, False, self.box, self.density, False, which=self.letters)
            if sample.targets is not None:
                times.append(TimeRecord.from_targets(c.time, self._wanted(sample.targets), sample.graph))
                times[-1].bond_breaking = c.node_fields.get("bond_breaking")
        temperature = _filled(first.temperature, self.temperature)
        assert sample is not None  # a group has a configuration
        return self._of_sample(sample, first.name, temperature, times)

    def _of_dataset(self, file: Path, choice: Choice) -> Iterator[tuple[str, Callable[[], Record], bool]]:
        dataset = Dataset(file)
        pairs = [
            (_filled(temperature, self.temperature), _filled(time, self.time))
            for temperature, time in dataset.temperature_time_pairs()
        ]
        chosen = itertools.compress(range(len(dataset)), choice.among(pairs))
        groups = [list(group) for _, group in itertools.groupby(chosen, key=lambda index: dataset.groups[index])]
        yield from _marking_last(
            [(dataset.names[group[0]], functools.partial(self._merged, dataset, group)) for group in groups]
        )

    def _merged(self, dataset: Dataset, group: list[int]) -> Record:
        times = []
        for index in group:
            sample = dataset.load(index, cutoff=self.cutoff, species=self.order)
            targets = sample.targets
            if "R" in self.letters and sample.has_node_target("C") and not sample.has_node_target("R"):
                raise DataError(
                    f"{dataset.path}: configuration {sample.name} holds C (relative_propensity), which data sets of "
                    "format_version 1 called R, and no R; give targets with C in its place, or convert the runs again"
                )
            if targets is not None:
                time = _filled(sample.time, self.time)
                times.append(TimeRecord.from_targets(time, self._wanted(targets), sample.graph))
        temperature = _filled(sample.temperature, self.temperature)
        record = self._of_sample(sample, sample.name, temperature, times)
        record.source, record.energy = sample.source, sample.energy
        return record

    def _of_sample(self, sample: Sample, name: str, temperature: float | None, times: list[TimeRecord]) -> Record:
        """The record of a configuration, with its inherent structure where that is to be had."""
        graph = sample.graph
        assert graph.box is not None  # the graph of one configuration has one box
        # Positions of a sample are in the box, also where the file tells none.
        particles = sample.positions.numpy(), graph.types.numpy(), graph.box.numpy()
        inherent = sample.inherent
        if self.minima is not None:
            try:
                inherent = self.minima.of(*particles, inherent)
            except InputError as error:
                raise InputError(f"configuration {name}, inherent structure: {error}") from error
        record = Record(name, *particles, temperature, times, species=sample.species, inherent=inherent)
        record.arrays = dict(sample.arrays)
        return record

    def _wanted(self, targets: Targets) -> Targets:
        """The targets without those that were not asked for."""
        unwanted = {name for letter, names in LETTERS.items() if letter not in self.letters for name in names}
        present = {field.name for field in dataclasses.fields(targets)}
        without: dict[str, Any] = dict.fromkeys(unwanted & present)
        return dataclasses.replace(targets, **without)


def _filled(value: float | None, given: Any) -> float | None:
    """A value of the file, or the one that the caller gave in its place."""
    if value is not None or given is None:
        return value
    given = np.atleast_1d(given)
    return float(given[0]) if len(given) == 1 else None


def _marking_last(records: list[Named]) -> Iterator[tuple[str, Callable[[], Record], bool]]:
    return ((name, make, place == len(records)) for place, (name, make) in enumerate(records, 1))

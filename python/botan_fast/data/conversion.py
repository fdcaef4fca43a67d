"""From files in any readable format to one HDF5 data set."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..checks import positive
from ..errors import DataError, InputError
from ..files import FilePath, is_file, name_of, printable
from ..formats import Configuration, holds_frames, is_layout, iterate_groups, stated
from ..physics.targets import Targets
from ..quantities import LETTERS
from ..terminal import progress_bar
from .build import build_sample
from .dataset import Dataset
from .inputs import Stored, over_names, told_to_be_chosen, unique_names
from .marks import a_stranger, finished_inputs, identity
from .output import exists_already
from .record import Record, TimeRecord
from .schema import is_dataset, parts_folder
from .selection import Choice, Numbers
from .sources import find_files
from .species import SpeciesOrder
from .writer import DatasetWriter

__all__ = ["convert"]

_Named: TypeAlias = tuple[str, Callable[[], Record]]  # the name of a record, and what makes it


def convert(
    inputs: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    cutoff: float | None = None,
    box: Array | None = None,
    density: float | None = None,
    time: Numbers = None,
    temperature: Numbers = None,
    species: Sequence[str] | None = None,
    targets: Iterable[str] = ("S", "E"),
    append: bool = False,
    force: bool = False,
    progress: bool = False,
    report: Callable[[Path], Any] | None = None,
) -> Path:
    """Compute graphs and targets of configurations once, and store them in an HDF5 data set (see `Dataset`).

    Each finished configuration is safe on the disk at once. After a kill or Ctrl-C the same call continues where it
    stopped; the result is the one of a call that was never interrupted. Configurations are named by their files; where
    files in different folders have one name, by their folders too. Data sets among the inputs, such as the
    shards of `botan-fast simulate`, are merged. A configuration that several inputs hold at different times becomes
    one with all of them, such as the ten files of the authors' (isoconfig_N4096T0.44_401_tc01.npz to _tc10.npz), which
    become isoconfig_N4096T0.44_401.

    Parameters
    ----------
    inputs : path, glob pattern, or list of them
        Files in any format of `botan_fast.formats`, patterns of layouts, and data sets. Their order is the order in
        the data set.
    output : path
        The data set. One that is finished is not overwritten, unless `append` or `force` is given.
    cutoff : float, optional
        Pairs closer than this, in units of sigma_AA, get E_ij. By default that of the data sets involved, else 2.0.
    box, density : optional
        Periodic box of the files, see `load_samples`.
    time, temperature : float or list of float, optional
        Time and temperature of the data in Lennard-Jones units, where the files do not tell; where they tell, which
        of them to take (by default all). Files with several times that they do not name need a list of all of them.
        Where only names of files tell, one value that none of them has is what the caller knows better: it counts.
    species : list of str, optional
        Names of the types 0 (A), 1 (B), ..., see `load_samples`. The data set keeps the names.
    targets : str or list of str
        Letters of the targets to compute, see `isoconfigurational_targets`: S always, and any of E, R, C, D, L. Files
        without trajectories give those that they hold.
    append : bool
        Add to a data set that exists; input files that it has already are skipped.
    force : bool
        Overwrite `output`.
    progress : bool
        Show a progress bar on standard error, when that is a terminal.
    report : callable, optional
        Called with `output` when that is complete, before the last sign goes that it was interrupted: after a kill in
        `report` the same call finds its finished work and calls it again.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InputError
        `output` exists, or what an interrupted call with other inputs left of it; an argument is wrong, two
        configurations have one name and temperature, or one configuration is there twice, with no or the same time. Of
        files with one run each, the message has the layout that joins them. Nothing of the call stays then.
    DataError
        An input is missing or broken, or its positions do not fit the box. What was finished before stays.

    Warns
    -----
    BotanFastWarning
        The targets are of one run, type 0 is the minority, or `time` or `temperature` contradict the names of files.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.zeros(100, int), initial_positions=x, positions=x[None] + 0.1)
    >>> path = bf.convert(folder.name + "/*.npz", folder.name + "/data.h5", time=13.0, temperature=0.44)
    >>> print(bf.Dataset(path).describe().splitlines()[1])
      temperature 0.44, time 13: 1 configurations, 1 runs
    """
    letters = _check_targets(targets)
    Choice(temperature, time)  # checks them
    if density is not None:
        density = positive("density", density)
    if not str(output) or Path(output).is_dir():
        raise InputError(f"output = '{output}' is not the name of a file; give one, such as data.h5")
    output = Path(output)
    files = find_files(inputs)
    _check_output(output, files, append, force)
    if cutoff is None:
        cutoff = next((Dataset(file).cutoff for file in [*([output] * append), *files] if is_dataset(file)), 2.0)
    settings = {
        "cutoff": cutoff,
        "box": _plain(box),
        "density": density,
        "time": _plain(time),
        "temperature": _plain(temperature),
        "targets": letters,
    }
    order = SpeciesOrder(species)
    if species is not None:
        settings["species"] = list(order.given or ())
    given = over_names(files, time, temperature)
    reading = _Reading(cutoff, box, density, temperature, time, letters, order, given)
    wanted = [file for file in files if told_to_be_chosen(file, time, temperature, given)]
    provenance = {"command": "convert", **settings}
    with DatasetWriter(
        output, cutoff=cutoff, provenance=provenance, settings=settings, overwrite=force, append=append
    ) as writer:
        if not (append or writer.complete) and (stranger := a_stranger(writer, files, settings)) is not None:
            if not force:
                raise InputError(
                    f"output = '{output}' was begun with other inputs ({stranger}) and interrupted; repeat with those "
                    "too, add to it with append=True (--append), or overwrite it with force=True (--force)"
                )
            writer.clear()
        done, names, known = finished_inputs(writer), unique_names(files), Stored(writer, files)
        for file in progress_bar(wanted, show=progress, desc="converting", unit="file"):
            digest = identity(file, settings)
            finished, complete = done.get(digest, (set(), False))
            if complete:
                continue
            for name, make, last in reading.records(file, finished.__contains__):
                name = printable(name, 1000)
                name = names[file] if name == printable(name_of(file), 1000) else name
                if name not in finished:
                    record = make()
                    record.name = name
                    try:
                        known.join(record, file)
                    except InputError:
                        # The inputs were wrong: whoever leaves one out must not find it in the data set all the same.
                        writer.withdraw()
                        raise
                    if record.name in finished:
                        continue
                    mark = f"{file} [{digest}{' last' if last else ''}]"
                    record.source = "\n".join(filter(None, (mark, record.source)))
                    writer.add(record)
                    known.add(record, file)
        order.check_found()
        known.say()
        writer.close(None if report is None else lambda: report(output))
    return output


class _Reading:
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
    ) -> None:
        self.cutoff, self.box, self.density, self.letters = cutoff, box, density, letters
        self.temperature, self.time, self.order, self.over_names = temperature, time, order, over_names

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

    def _chosen(self, file: Path, choice: Choice, group: list[Configuration]) -> _Named | None:
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
        graph = sample.graph
        assert graph.box is not None  # and the graph of one has one box
        places = sample.positions.numpy()  # in the box, also where the file tells none
        particles = places, graph.types.numpy(), graph.box.numpy()
        return Record(first.name, *particles, temperature, times, species=names)

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
        graph = sample.graph
        assert graph.box is not None  # the graph of one configuration has one box
        return Record(
            sample.name,
            sample.positions.numpy(),
            graph.types.numpy(),
            graph.box.numpy(),
            temperature,
            times,
            source=sample.source,
            species=sample.species,
            energy=sample.energy,
        )

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


def _marking_last(records: list[_Named]) -> Iterator[tuple[str, Callable[[], Record], bool]]:
    return ((name, make, place == len(records)) for place, (name, make) in enumerate(records, 1))


def _check_targets(targets: Any) -> str:
    letters = "".join(targets) if isinstance(targets, (str, list, tuple)) and all(map(str, targets)) else str(targets)
    for letter in letters:
        if letter not in LETTERS:
            raise InputError(f"targets has {letter!r}; give letters of {', '.join(LETTERS)}")
    if "S" not in letters:
        raise InputError(f"targets = {targets!r} lacks S, which every data set has; add it")
    return "".join(letter for letter in LETTERS if letter in letters)


def _check_output(output: Path, files: list[Path], append: bool, force: bool) -> None:
    if append and force:
        raise InputError("append and force are both given; give one of them")
    if not is_file(output) and not output.exists():
        return
    if any(file.exists() and file.samefile(output) for file in files):
        raise InputError(
            f"output = '{output}' is among the inputs; name another file, or leave it out and append to it"
        )
    if not (parts_folder(output).is_dir() or append or force):
        raise InputError(exists_already(output))


def _plain(value: Any) -> Any:
    """A number, array or list as JSON can hold it."""
    return None if value is None else np.asarray(value, dtype=np.float64).tolist()

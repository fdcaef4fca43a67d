"""From files in any readable format to one HDF5 data set."""

import dataclasses
import hashlib
import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .dataset_format import is_dataset, parts_folder
from .dataset_writer import DatasetWriter
from .errors import BotanFastError, InputError
from .formats import Configuration, read
from .hdf5_dataset import Dataset
from .records import Record, TimeRecord
from .samples import _build_sample, find_files
from .selection import Choice
from .targets import Targets, isoconfigurational_targets

__all__ = ["convert"]

# Letters of the targets, as isoconfigurational_targets has them, and their fields of Targets.
LETTERS = {
    "S": ("propensity",),
    "E": ("pair_change",),
    "R": ("relative_propensity",),
    "D": ("nonaffine_displacement", "local_strain"),
    "L": ("local_displacement",),
}


def convert(
    inputs,
    output,
    *,
    cutoff: float | None = None,
    box=None,
    density: float | None = None,
    time=None,
    temperature=None,
    targets=("S", "E"),
    append: bool = False,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Compute graphs and targets of configurations once, and store them in an HDF5 data set (see `Dataset`).

    Each finished configuration is safe on the disk at once. After a kill or Ctrl-C the same call continues where it
    stopped; the result is the one of a call that was never interrupted. Configurations are named by their files; where
    files in different folders have one name, by their folders too. Data sets among the inputs, such as the
    shards of `botan-fast simulate`, are merged. A configuration that several inputs hold at different times becomes
    one with all of them.

    Parameters
    ----------
    inputs : path, glob pattern, or list of them
        Files in any format of `botan_fast.formats`, and data sets. Their order is the order in the data set.
    output : path
        The data set. One that is finished is not overwritten, unless `append` or `force` is given.
    cutoff : float, optional
        Pairs closer than this, in units of sigma_AA, get E_ij. By default that of the data sets involved, else 2.0.
    box, density : optional
        Periodic box of the files, see `load_samples`.
    time, temperature : float or list of float, optional
        Time and temperature of the data in Lennard-Jones units, where the files do not tell; where they tell, which
        of them to take (by default all).
    targets : str or list of str
        Letters of the targets to compute, see `isoconfigurational_targets`: S always, and any of E, R, D, L. Files
        without trajectories give those that they hold.
    append : bool
        Add to a data set that exists; input files that it has already are skipped.
    force : bool
        Overwrite `output`.
    progress : bool
        Show a progress bar on standard error, when that is a terminal.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InputError
        `output` exists, an argument is wrong, or two configurations have one name and temperature.
    DataError
        An input is missing or broken, or its positions do not fit the box. What was finished before stays.

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
    reading = _Reading(cutoff, box, density, temperature, time, letters)
    provenance = {"command": "convert", **settings}
    show = progress and sys.stderr.isatty()
    with DatasetWriter(output, cutoff=cutoff, provenance=provenance, settings=settings, overwrite=force) as writer:
        done, names = _finished(writer), _unique_names(files)
        for file in tqdm(files, desc="converting", unit="file", disable=not show):
            identity = _identity(file, settings)
            finished, number = done.get(identity, (set(), None))
            if len(finished) == number:
                continue
            for place, (count, make) in enumerate(reading.records(file), 1):
                if place not in finished:
                    record = make()
                    if record.name == file.stem:
                        record.name = names[file]
                    record.source = "\n".join(filter(None, (f"{file} [{identity} {place}/{count}]", record.source)))
                    writer.add(record)
    return output


class _Reading:
    """How the configurations of a file become records."""

    def __init__(self, cutoff, box, density, temperature, time, letters: str):
        self.cutoff, self.box, self.density, self.letters = cutoff, box, density, letters
        self.temperature, self.time = temperature, time

    def records(self, file: Path) -> Iterator[tuple[int, object]]:
        """For each record of the file, the number of all of them and a function that makes it."""
        return self._of_dataset(file) if is_dataset(file) else self._of_file(file)

    def _of_file(self, file: Path):
        configurations = self._chosen(file, read(file), lambda c: (c.temperature, c.time))
        groups = [
            [configuration for configuration, _ in group]
            for _, group in itertools.groupby(
                zip(configurations, itertools.count()), key=lambda pair: _group_key(pair[0])
            )
        ]
        for group in groups:
            yield len(groups), lambda group=group: self._record(group)

    def _record(self, group: list[Configuration]) -> Record:
        """One record of the configurations that differ in their time alone."""
        first, times, sample = group[0], [], None
        for c in group:
            sample = _build_sample(c, self.cutoff, False, self.box, self.density, require_targets=False)
            targets = sample.targets
            if c.trajectories is not None and set(self.letters) - {"S", "E"}:
                try:
                    targets = isoconfigurational_targets(c.positions, c.trajectories, sample.graph, which=self.letters)
                except BotanFastError as error:
                    raise type(error)(f"{c.path}: {error}") from error
            if targets is not None:
                times.append(TimeRecord.from_targets(_filled(c.time, self.time), self._wanted(targets), sample.graph))
        temperature = _filled(first.temperature, self.temperature)
        graph = sample.graph
        return Record(first.name, first.positions, graph.types.numpy(), graph.box.numpy(), temperature, times)

    def _of_dataset(self, file: Path):
        dataset = Dataset(file)
        numbered = list(zip(dataset.temperature_time_pairs(), dataset.groups, range(len(dataset)), strict=True))
        numbered = self._chosen(file, numbered, lambda entry: entry[0])
        groups = [list(group) for _, group in itertools.groupby(numbered, key=lambda entry: entry[1])]
        for group in groups:
            yield len(groups), lambda group=group: self._merged(dataset, group)

    def _merged(self, dataset: Dataset, group: list) -> Record:
        times = []
        for _, _, index in group:
            sample = dataset.load(index, cutoff=self.cutoff)
            if sample.has_targets:
                time = _filled(sample.time, self.time)
                times.append(TimeRecord.from_targets(time, self._wanted(sample.targets), sample.graph))
        temperature = _filled(sample.temperature, self.temperature)
        graph = sample.graph
        return Record(
            sample.name,
            sample.positions.numpy(),
            graph.types.numpy(),
            graph.box.numpy(),
            temperature,
            times,
            source=sample.source,
        )

    def _wanted(self, targets: Targets) -> Targets:
        """The targets without those that were not asked for."""
        unwanted = {name for letter, names in LETTERS.items() if letter not in self.letters for name in names}
        present = {field.name for field in dataclasses.fields(targets)}
        return dataclasses.replace(targets, **dict.fromkeys(unwanted & present))

    def _chosen(self, file: Path, items: list, of) -> list:
        """The items whose temperature and time are wanted; what the file does not tell, the caller does."""
        choice = Choice(self.temperature, self.time, several=True)
        try:
            pairs = [of(item) for item in items]
            filled = [(_filled(temperature, self.temperature), _filled(time, self.time)) for temperature, time in pairs]
            chosen = list(itertools.compress(items, choice.among(filled)))
            if not chosen:
                choice.check_found()
                raise InputError(f"no configuration has {choice.describe()}; choose others")
        except InputError as error:
            raise InputError(f"{file}: {error}") from None
        return chosen


def _group_key(c: Configuration) -> tuple:
    return c.name, c.temperature, c.positions.tobytes()


def _filled(value: float | None, given) -> float | None:
    """A value of the file, or the one that the caller gave in its place."""
    if value is not None or given is None:
        return value
    given = np.atleast_1d(given)
    return float(given[0]) if len(given) == 1 else None


def _finished(writer: DatasetWriter) -> dict[str, tuple[set[int], int]]:
    """For each input file that the data set knows: which of its records are stored, and how many it has."""
    done: dict[str, tuple[set[int], int]] = {}
    for source in writer.sources():
        for identity, place, count in re.findall(r"\[([0-9a-f]{16}) (\d+)/(\d+)\]$", source):
            done.setdefault(identity, (set(), int(count)))[0].add(int(place))
    return done


def _unique_names(files: list[Path]) -> dict[Path, str]:
    """A name for each file: its own without the ending, preceded by its folders as far as it takes to be unique."""
    same: dict[str, set[Path]] = {}
    for file in files:
        same.setdefault(file.stem, set()).add(file)
    names = {}
    for stem, group in same.items():
        parts = {file: (stem, *reversed(file.absolute().parts[1:-1])) for file in group}
        depth = 1
        while len({path[:depth] for path in parts.values()}) < len(group) and depth < max(map(len, parts.values())):
            depth += 1
        names |= {file: "_".join(reversed(path[:depth])) for file, path in parts.items()}
    return names


def _identity(file: Path, settings: dict) -> str:
    """Tells whether a file was converted already, with the same settings, and has not changed since."""
    try:
        status = file.stat()
    except OSError:
        return ""  # the reader reports it
    what = [str(file.resolve()), status.st_size, status.st_mtime_ns, settings]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _check_targets(targets) -> str:
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
    if not output.exists():
        return
    if any(file.exists() and file.samefile(output) for file in files):
        raise InputError(
            f"output = '{output}' is among the inputs; name another file, or leave it out and append to it"
        )
    if not (parts_folder(output).is_dir() or append or force):
        raise InputError(
            f"output = '{output}' exists; add to it with append=True (--append), or overwrite it with force=True "
            "(--force)"
        )


def _plain(value):
    """A number, array or list as JSON can hold it."""
    return None if value is None else np.asarray(value, dtype=np.float64).tolist()

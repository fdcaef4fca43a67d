"""From files to samples: the graph and the targets of every configuration, built once and kept in memory."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..errors import DataError, InputError, warn
from ..files import FilePath
from ..formats import Configuration, holds_frames, iterate_groups, read_trajectory, stated
from ..formats.trajectory import Trajectory
from ..log import logger
from ..quantities import NODE_TARGETS
from ..terminal import progress_bar
from .build import build_sample
from .dataset import Dataset
from .runs import remedy_for_runs
from .sample import Sample
from .selection import Choice, NotHeld, Numbers, SeveralValues
from .sources import open_sources
from .species import SpeciesOrder
from .structure import Structure
from .twins import Known
from .words import refuse_twice, words_on_samples

__all__ = ["Data", "given_samples", "load_samples", "read_samples"]

_LOG = logger(__name__)

Foreign: TypeAlias = Any  # Atoms of ASE, Universe of MDAnalysis, DataCollection of OVITO
# Paths may be patterns. A list holds files, data sets and objects of other packages, or samples.
Data: TypeAlias = FilePath | Dataset | Sample | Foreign | Sequence[FilePath | Dataset | Sample | Foreign]


def load_samples(
    data: Data,
    *,
    cutoff: float = 2.0,
    self_edges: bool = False,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    node_target: str = "S",
    require_targets: bool = True,
    progress: bool = False,
    halves: bool = False,
) -> list[Sample]:
    """Read configurations, and build the graph and the targets of each once.

    The targets are averages over the R runs of the isoconfigurational ensemble (Shiba et al., J. Chem. Phys. 158,
    084503 (2023)): S_i = <|r_i(t) - r_i(0)|> and E_ij = <|r_ij(t)| - |r_ij(0)|>.

    Parameters
    ----------
    data : path, glob pattern, Dataset, list of them, or list of Sample
        Files in any format of `botan_fast.formats`, or HDF5 data sets, see `Dataset`. The names that a pattern matches
        are sorted naturally (2 before 10); a list keeps its order. Samples are returned as they are, after a check of
        their cutoff and self edges. Objects in memory are taken too: Atoms of ASE, a Universe of MDAnalysis, a
        DataCollection of OVITO (`botan_fast.formats.objects`). Where targets are required, a list of Atoms is the
        frames of one run, and a Universe the run that it holds; else each Atoms is a configuration, and a Universe is
        taken at its current frame.
    cutoff : float
        Edges are pairs closer than this, in units of sigma_AA.
    self_edges : bool
        Does every particle also have an edge to itself (the older node-targeting model)?
    box : float, (D,) or (D, D) array, optional
        Periodic box for every file: the edge of a cube, edge lengths, or a cell matrix of row vectors. Overrides the
        file's box. All files must then have the same number of particles.
    density : float, optional
        Number density N / L^D of a cubic box, in place of `box`. The authors' npz files hold no box; their default
        is 1.2.
    temperature, time : float or list of float, optional
        Which of the temperatures and times to take, in Lennard-Jones units. Data that hold several need a choice; a
        list chooses several.
    species : list of str, optional
        Names of the types 0 (A), 1 (B), ..., such as ["Si", "Ge"], where the data name their species otherwise or in
        another order. All of them must be named. Data without names have A, B, ...: ["B", "A"] exchanges the two.
    node_target : {"S", "R", "C", "D", "G", "L"}
        Node target to compute beside S_i, see `isoconfigurational_targets`; a data set must hold it.
    require_targets : bool
        Refuse files without trajectories; otherwise their samples have targets = None.
    progress : bool
        Show a progress bar on standard error, when that is a terminal.
    halves : bool
        Compute the targets of the two halves of the runs too (`Sample.halves`), of which `evaluate` finds the ceiling
        that the number of runs sets; of files with two runs or more, at twice the time and memory of targets.

    Returns
    -------
    list of Sample
        On the CPU.

    Raises
    ------
    DataError
        A file is missing or broken, no file matches a pattern, the positions do not fit the box, or two files number
        their species differently.
    InputError
        An argument is wrong, the box is smaller than twice the cutoff, or the data hold several temperatures or times
        and none is chosen; the message lists them. Two samples are the same configuration at the same or at unknown
        times: of files that hold one run each, the message has the layout that joins them.

    Warns
    -----
    BotanFastWarning
        The targets are of one run, several times are mixed, or type 0 is the minority.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> box = (100 / 1.2) ** (1 / 3)
    >>> x = np.random.default_rng(0).random((100, 3)) * box
    >>> np.savez(folder.name + "/a.npz", types=np.zeros(100, int), initial_positions=x, positions=x[None] + 0.1)
    >>> [sample] = bf.load_samples(folder.name + "/*.npz")
    >>> sample.graph.num_nodes, sample.targets.num_runs
    (100, 1)
    """
    return read_samples(
        data,
        cutoff=cutoff,
        self_edges=self_edges,
        box=box,
        density=density,
        temperature=temperature,
        time=time,
        species=species,
        node_target=node_target,
        require_targets=require_targets,
        progress=progress,
        halves=halves,
    )


def read_samples(
    data: Data,
    *,
    cutoff: float,
    self_edges: bool,
    box: Array | None,
    density: float | None,
    temperature: Numbers,
    time: Numbers,
    species: Sequence[str] | None,
    node_target: str,
    require_targets: bool,
    progress: bool,
    time_optional: bool = False,
    joined: bool = False,
    structure: Structure | None = None,
    halves: bool = False,
) -> list[Sample]:
    """`load_samples` with three options more.

    With `time_optional`, configurations that hold several times come once and without targets when no time is chosen;
    without it that is refused (`SeveralValues`). With `joined`, each time will have a column of its own (`join_times`):
    that there are several needs neither a choice nor a word. With a `structure` of other pairs than those of the
    positions, the samples of files hold E_ij of these too.
    """
    if node_target not in NODE_TARGETS:
        raise InputError(f"node_target = {node_target!r}; choose one of {', '.join(map(repr, NODE_TARGETS))}")
    given = given_samples(data)
    if given is not None:
        if box is not None or density is not None:
            raise InputError("box and density belong to files; these samples have their graphs already")
        if temperature is not None or time is not None:
            raise InputError("temperature and time choose from files and data sets; give those samples alone")
        if species is not None:
            raise InputError("species numbers the species of files and data sets; give it where these are loaded")
        given = [_check_sample(sample, cutoff, self_edges, node_target, require_targets) for sample in given]
        _refuse_twins(given, {}, require_targets)
        return given
    if box is not None and density is not None:
        raise InputError(f"box = {box} and density = {density} are both given; give one of them")
    if density is not None and not (np.isfinite(density) and density > 0):
        raise InputError(f"density = {density} must be a positive number")
    choice = Choice(temperature, time, several=("time",) if time_optional or joined else False)
    order, once = SpeciesOrder(species), time_optional and time is None
    samples: list[Sample] = []
    origins: dict[int, Path] = {}
    sources, begun = open_sources(data, runs=require_targets), monotonic()
    told = [stated(source) if isinstance(source, Path) else (None, None) for source in sources]
    choice.among(told)  # an error lists all that the names of files tell, and no file is read for it
    with _progress(progress) as bar:
        for source, pair in zip(sources, told, strict=True):
            if pair[1] is not None and not choice.among([pair])[0]:
                continue
            if isinstance(source, (Path, Trajectory)):
                build = {"cutoff": cutoff, "self_edges": self_edges, "box": box, "density": density}
                build |= {
                    "require_targets": require_targets,
                    "structure": structure,
                    "halves": halves,
                    "which": "SE" + node_target.replace("S", ""),
                }
                loaded = _from_groups(source, choice, order, build, samples, once)
            else:
                if box is not None or density is not None:
                    raise InputError(f"box and density are for files that hold no box; {source.path} holds one")
                loaded = _from_dataset(source, choice, order, cutoff, self_edges, once)
            for sample in loaded:
                _check_sample(sample, cutoff, self_edges, node_target, require_targets)
                if isinstance(source, Path):
                    origins[len(samples)] = source
                samples.append(sample)
                bar.update()
    choice.check_found()
    if not samples:
        raise NotHeld.of("time", f"no configuration has {choice.describe()} together; choose others")
    order.check_found()
    _refuse_twins(samples, origins, require_targets)
    words_on_samples(samples, targets=require_targets, joined=joined)
    _LOG.info("read %d configurations of %d files, %.1f s", len(samples), len(sources), monotonic() - begun)
    return samples


def _refuse_twins(samples: list[Sample], origins: dict[int, Path], require_targets: bool) -> None:
    """InputError where a configuration is there twice, unless at known times: its targets would be trained in turns.

    `origins` has the file of each sample that is not of a data set. A prediction is the same for both; it is not asked.
    """
    if not require_targets:
        return
    known: Known[int] = Known()
    for number, sample in enumerate(samples):
        positions = np.asarray(sample.positions)
        for other in known.same(positions, sample.types):
            pair = other, number
            before, this = ((samples[k].name, samples[k].temperature, samples[k].time) for k in pair)
            files = [origins[k] for k in pair if k in origins]
            if len(files) == 2 and files[0] != files[1]:
                before, this = (
                    (str(file), *known_of[1:]) for file, known_of in zip(files, (before, this), strict=True)
                )
                given = list(dict.fromkeys(origins.values()))
                refuse_twice(before, this, functools.partial(remedy_for_runs, files[0], files[1], given))
            refuse_twice(before, this)
        known.add(positions, sample.types, number)


def _from_groups(
    source: Path | Trajectory,
    choice: Choice,
    order: SpeciesOrder,
    build: dict[str, Any],
    before: list[Sample],
    once: bool,
) -> Iterator[Sample]:
    # All times of a configuration come together, so that an error can list them.
    path = source if isinstance(source, Path) else source.path
    for configurations in _groups(source, build["require_targets"]):
        chosen = list(itertools.compress(configurations, choice.among((c.temperature, c.time) for c in configurations)))
        if once and len(chosen) > 1:
            chosen = [dataclasses.replace(chosen[0], trajectories=None, propensity=None, time=None, time_index=None)]
        if sum(c.time is None for c in chosen) > 1:
            raise SeveralValues.of(
                "time",
                f"{path}: the file has {len(chosen)} times and does not tell which; convert it to a data set with all "
                "of them, in its order, in time=",
            )
        for configuration in chosen:
            if build["box"] is not None and before and len(before[0].positions) != len(configuration.types):
                raise InputError(
                    f"box = {build['box']} is given for files of different particle numbers: "
                    f"{len(before[0].positions)} in {before[0].name}, {len(configuration.types)} in {path}; "
                    "load them apart, or give density="
                )
            types, names = order.apply(configuration.types, configuration.species, str(configuration.path))
            yield build_sample(dataclasses.replace(configuration, types=types, species=names), **build)


def _groups(source: Path | Trajectory, require_targets: bool) -> Iterator[list[Configuration]]:
    if isinstance(source, Path):
        yield from iterate_groups(source) if require_targets else _static_at_least(source)
    elif require_targets and source.count > 1:
        yield source.run()
    else:
        yield [source.static()]


def _static_at_least(source: Path) -> Iterator[list[Configuration]]:
    """As `iterate_groups`; of a file whose frames make no run, such as wrapped ones, the first frame with a word."""
    try:
        groups = list(iterate_groups(source)) if holds_frames(source) else iterate_groups(source)
    except DataError as error:
        trajectory = read_trajectory(source)
        if trajectory is None or trajectory.count == 1:
            raise
        warn(f"{error}; the first frame is taken alone, without targets")
        groups = [[trajectory.static(0)]]
    yield from groups


def _from_dataset(
    dataset: Dataset, choice: Choice, order: SpeciesOrder, cutoff: float, self_edges: bool, once: bool
) -> Iterator[Sample]:
    chosen = list(itertools.compress(range(len(dataset)), choice.among(dataset.temperature_time_pairs())))
    groups = dataset.groups
    times = Counter(groups[index] for index in chosen)
    seen = set()
    for index in chosen:
        several = once and times[groups[index]] > 1
        if several and groups[index] in seen:
            continue
        seen.add(groups[index])
        yield dataset.load(index, cutoff=cutoff, self_edges=self_edges, species=order, targets=not several)


def _progress(show: bool) -> Any:
    return progress_bar(show=show, desc="reading", unit=" configurations", leave=False)


def given_samples(data: Any) -> list[Sample] | None:
    """The samples, when `data` is one or a list of them."""
    if isinstance(data, Sample):
        return [data]
    if isinstance(data, (list, tuple)) and data and all(isinstance(item, Sample) for item in data):
        return list(data)
    return None


def _check_sample(sample: Sample, cutoff: float, self_edges: bool, node_target: str, require_targets: bool) -> Sample:
    if (sample.cutoff, sample.self_edges) != (cutoff, self_edges):
        raise InputError(
            f"sample {sample.name} was built with cutoff = {sample.cutoff} and self_edges = {sample.self_edges}, but "
            f"cutoff = {cutoff} and self_edges = {self_edges} are needed; load it again with these"
        )
    if require_targets and not sample.has_targets:
        raise DataError(f"sample {sample.name} has no targets; training and evaluation need configurations with them")
    if require_targets and not sample.has_node_target(node_target):
        once = ""
        if node_target == "R" and sample.has_node_target("C"):
            once = " (it holds C, relative_propensity, which data sets of format_version 1 called R)"
        raise DataError(
            f"sample {sample.name} does not hold node_target = {node_target!r} ({NODE_TARGETS[node_target]}){once}; "
            f"convert the runs to a data set with targets='SE{node_target}', or train on the runs themselves"
        )
    return sample

"""From files to samples: the graph and the targets of every configuration, built once and kept in memory."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..arrays import Array
from ..errors import DataError, InputError
from ..files import FilePath
from ..formats import iterate_groups
from ..quantities import NODE_TARGETS
from ..terminal import progress_bar
from .build import build_sample
from .dataset import Dataset
from .sample import Sample
from .selection import Choice, Numbers
from .sources import open_sources

__all__ = ["Data", "load_samples"]

# Paths may be patterns. A list holds files and data sets, or samples.
Data: TypeAlias = FilePath | Dataset | Sample | Sequence[FilePath | Dataset | Sample]


def load_samples(
    data: Data,
    *,
    cutoff: float = 2.0,
    self_edges: bool = False,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    node_target: str = "S",
    require_targets: bool = True,
    progress: bool = False,
) -> list[Sample]:
    """Read configurations, and build the graph and the targets of each once.

    The targets are averages over the R runs of the isoconfigurational ensemble (Shiba et al., J. Chem. Phys. 158,
    084503 (2023)): S_i = <|r_i(t) - r_i(0)|> and E_ij = <|r_ij(t)| - |r_ij(0)|>.

    Parameters
    ----------
    data : path, glob pattern, Dataset, list of them, or list of Sample
        Files in any format of `botan_fast.formats`, or HDF5 data sets, see `Dataset`. The names that a pattern matches
        are sorted naturally (2 before 10); a list keeps its order. Samples are returned as they are, after a check of
        their cutoff and self edges.
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
    node_target : {"S", "R", "D", "G", "L"}
        Node target to compute beside S_i, see `isoconfigurational_targets`; a data set must hold it.
    require_targets : bool
        Refuse files without trajectories; otherwise their samples have targets = None.
    progress : bool
        Show a progress bar on standard error, when that is a terminal.

    Returns
    -------
    list of Sample
        On the CPU.

    Raises
    ------
    DataError
        A file is missing or broken, no file matches a pattern, or the positions do not fit the box.
    InputError
        An argument is wrong, the box is smaller than twice the cutoff, or the data hold several temperatures or times
        and none is chosen; the message lists them.

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
    if node_target not in NODE_TARGETS:
        raise InputError(f"node_target = {node_target!r}; choose one of {', '.join(map(repr, NODE_TARGETS))}")
    given = _given_samples(data)
    if given is not None:
        if box is not None or density is not None:
            raise InputError("box and density belong to files; these samples have their graphs already")
        if temperature is not None or time is not None:
            raise InputError("temperature and time choose from files and data sets; give those samples alone")
        return [_check_sample(sample, cutoff, self_edges, node_target, require_targets) for sample in given]
    if box is not None and density is not None:
        raise InputError(f"box = {box} and density = {density} are both given; give one of them")
    if density is not None and not (np.isfinite(density) and density > 0):
        raise InputError(f"density = {density} must be a positive number")
    choice = Choice(temperature, time)
    samples: list[Sample] = []
    with _progress(progress) as bar:
        for source in open_sources(data):
            if isinstance(source, Path):
                build = {"cutoff": cutoff, "self_edges": self_edges, "box": box, "density": density}
                build |= {"require_targets": require_targets, "which": "SE" + node_target.replace("S", "")}
                loaded = _from_file(source, choice, build, samples)
            else:
                if box is not None or density is not None:
                    raise InputError(f"box and density are for files that hold no box; {source.path} holds one")
                loaded = _from_dataset(source, choice, cutoff, self_edges)
            for sample in loaded:
                _check_sample(sample, cutoff, self_edges, node_target, require_targets)
                samples.append(sample)
                bar.update()
    choice.check_found()
    if not samples:
        raise InputError(f"no configuration has {choice.describe()} together; choose others")
    return samples


def _from_file(path: Path, choice: Choice, build: dict[str, Any], before: list[Sample]) -> Iterator[Sample]:
    # All times of a configuration come together, so that an error can list them.
    for configurations in iterate_groups(path):
        chosen = list(itertools.compress(configurations, choice.among((c.temperature, c.time) for c in configurations)))
        if sum(c.time is None for c in chosen) > 1:
            raise InputError(
                f"{path}: the file has {len(chosen)} times and does not tell which; convert it to a data set with all "
                "of them, in its order, in time="
            )
        for configuration in chosen:
            if build["box"] is not None and before and len(before[0].positions) != len(configuration.types):
                raise InputError(
                    f"box = {build['box']} is given for files of different particle numbers: "
                    f"{len(before[0].positions)} in {before[0].name}, {len(configuration.types)} in {path}; "
                    "load them apart, or give density="
                )
            yield build_sample(configuration, **build)


def _from_dataset(dataset: Dataset, choice: Choice, cutoff: float, self_edges: bool) -> Iterator[Sample]:
    chosen = choice.among(dataset.temperature_time_pairs())
    for index in itertools.compress(range(len(dataset)), chosen):
        yield dataset.load(index, cutoff=cutoff, self_edges=self_edges)


def _progress(show: bool) -> Any:
    return progress_bar(show=show, desc="reading", unit=" configurations", leave=False)


def _given_samples(data: Any) -> list[Sample] | None:
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
        raise DataError(
            f"sample {sample.name} does not hold node_target = {node_target!r} ({NODE_TARGETS[node_target]}); "
            f"convert the runs to a data set with targets='SE{node_target}', or train on the runs themselves"
        )
    return sample

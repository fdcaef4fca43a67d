"""From files to samples: the graph and the targets of every configuration, built once and kept in memory."""

import glob
import itertools
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import BotanFastError, DataError, InputError
from ..formats import Configuration, is_pattern, iterate_groups, near_matches
from ..graph.graph import Graph, build_graph
from ..physics.targets import NODE_TARGETS, Targets, isoconfigurational_targets
from .selection import Choice

__all__ = ["Sample", "find_files", "load_samples", "natural_key"]


@dataclass
class Sample:
    """One configuration, ready for training: about 4 MB for 4,096 particles.

    graph        Graph of the configuration
    targets      Targets on the edges of the graph, or None where the file holds no trajectories
    name         name of the configuration, for messages and for the names of result files
    positions    (N, D) float64 tensor on the CPU, as the file holds them
    temperature, time   floats in Lennard-Jones units, or None where the file does not tell

    Examples
    --------
    A configuration that is in memory already, without targets: enough for `predict`.

    >>> import torch
    >>> import botan_fast as bf
    >>> positions = torch.rand(100, 3, dtype=torch.float64) * 5
    >>> graph = bf.build_graph(positions, torch.zeros(100, dtype=torch.int64), [5.0, 5.0, 5.0])
    >>> sample = bf.Sample(graph, None, "mine", positions)
    >>> [prediction] = bf.predict(bf.BOTAN(hidden_size=8, num_steps=1), [sample])
    >>> prediction.name
    'mine'
    """

    graph: Graph
    targets: Targets | None
    name: str
    positions: torch.Tensor
    temperature: float | None = None
    time: float | None = None

    @property
    def cutoff(self) -> float:
        """Cutoff of the graph."""
        return self.graph.cutoff

    @property
    def self_edges(self) -> bool:
        """Does the graph have self edges?"""
        return self.graph.self_edges

    @property
    def has_targets(self) -> bool:
        """Are there targets? Asking does not make them, where they are made on use."""
        return self.targets is not None

    @property
    def has_pair_targets(self) -> bool:
        """Is E_ij among the targets?"""
        return self.targets is not None and self.targets.pair_change is not None

    def has_node_target(self, letter: str) -> bool:
        """Is this node target (a letter of `NODE_TARGETS`) among the targets?"""
        return self.targets is not None and getattr(self.targets, NODE_TARGETS[letter]) is not None

    def to(self, device) -> "Sample":
        """The sample with its graph and targets on `device`."""
        targets = self.targets
        if targets is not None:
            targets = targets.to(device)
        return replace(self, graph=self.graph.to(device), targets=targets)


def load_samples(
    data,
    *,
    cutoff: float = 2.0,
    self_edges: bool = False,
    box=None,
    density: float | None = None,
    temperature=None,
    time=None,
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
        for source in _sources(data):
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


def _from_file(path, choice: Choice, build: dict, before: list[Sample]) -> Iterator[Sample]:
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


def _from_dataset(dataset, choice: Choice, cutoff, self_edges) -> Iterator[Sample]:
    chosen = choice.among(dataset.temperature_time_pairs())
    for index in itertools.compress(range(len(dataset)), chosen):
        yield dataset.load(index, cutoff=cutoff, self_edges=self_edges)


def _sources(data) -> list:
    """The files of other formats as paths, and the data sets, opened."""
    from .dataset import Dataset
    from .schema import finished_parts, is_dataset

    if isinstance(data, Dataset):
        return [data]
    parts = [[item] for item in data] if isinstance(data, (list, tuple)) and data else [data]
    sources = []
    for part in parts:
        if isinstance(part, list) and part and isinstance(part[0], Dataset):
            sources += part
        else:
            for path in find_files(part):
                unfinished = not path.exists() and finished_parts(path)  # Dataset says what to do
                sources.append(Dataset(path) if is_dataset(path) or unfinished else path)
    return sources


def _progress(show: bool):
    from tqdm import tqdm

    return tqdm(desc="reading", unit=" configurations", leave=False, disable=not (show and sys.stderr.isatty()))


def find_files(data) -> list[Path]:
    """The files that a path, a glob pattern, or a list of them names; what a pattern matches is sorted naturally.

    Raises
    ------
    DataError
        when a pattern matches nothing; the message has the pattern and what there is instead.

    Examples
    --------
    >>> from botan_fast.data.loading import find_files
    >>> find_files(["a.npz", "b.npz"])
    [PosixPath('a.npz'), PosixPath('b.npz')]
    """
    if isinstance(data, (str, os.PathLike)):
        data = [data]
    if not isinstance(data, Iterable):
        raise InputError(
            f"data is a {type(data).__name__}; give a path, a glob pattern, a Dataset, or a list of paths or Samples"
        )
    files = []
    for item in data:
        if not isinstance(item, (str, os.PathLike)):
            raise InputError(
                f"data holds a {type(item).__name__}; give paths, glob patterns, or Samples, and do not mix"
            )
        # A name with brackets can be a file itself; the pattern of a layout has its own reader.
        if not glob.has_magic(os.fspath(item)) or Path(item).exists() or is_pattern(item):
            files.append(Path(item))
            continue
        matches = sorted(glob.glob(os.fspath(item), recursive=True), key=natural_key)
        if not matches:
            raise DataError(f"no file matches '{item}'{_instead(item)}")
        files += [Path(match) for match in matches]
    if not files:
        raise InputError("data is empty; give at least one file")
    return files


def natural_key(name: str) -> list:
    """Sort key that puts 2 before 10: digits compare as numbers.

    >>> from botan_fast.data.loading import natural_key
    >>> sorted(["a10", "a2"], key=natural_key)
    ['a2', 'a10']
    """
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]


def _instead(pattern) -> str:
    """What exists in place of the files that a pattern fails to match."""
    path = Path(pattern)
    if glob.has_magic(str(path.parent)) or not path.parent.is_dir():
        return near_matches(path)
    entries = sorted((entry.name for entry in path.parent.iterdir()), key=natural_key)
    if not entries:
        return f"; the folder {path.parent} is empty"
    shown = ", ".join(entries[:3]) + (", ..." if len(entries) > 3 else "")
    return f"; the folder {path.parent} holds {shown}"


def _given_samples(data) -> list[Sample] | None:
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


def build_sample(
    configuration: Configuration, cutoff: float, self_edges: bool, box, density, require_targets: bool, which="SE"
) -> Sample:
    """The sample of what a reader read, with the targets `which` as far as the file has what they are made of."""
    c = configuration
    if require_targets and c.trajectories is None and c.propensity is None:
        raise DataError(f"{c.path}: no trajectories, so no targets; training and evaluation need them")
    box = _box_of(c, box, density)
    targets = None
    try:
        graph = build_graph(c.positions, c.types, box, cutoff=cutoff, self_edges=self_edges)
        if c.trajectories is not None:
            targets = isoconfigurational_targets(c.positions, c.trajectories, graph, which=which)
        elif c.propensity is not None:
            targets = Targets(torch.from_numpy(c.propensity.astype(np.float32)), None, 0)
    except BotanFastError as error:
        raise type(error)(f"{c.path}: {error}") from error
    return Sample(graph, targets, c.name, torch.from_numpy(c.positions), c.temperature, c.time)


def _box_of(configuration: Configuration, box, density: float | None) -> np.ndarray:
    """The periodic box of a configuration, checked against its positions."""
    c = configuration
    number, dimensions = c.positions.shape
    if box is None and density is None and c.box is not None:
        box = c.box
    if box is not None:
        try:
            box = np.asarray(box, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"box = {box!r} is not a number or an array of numbers") from None
        if box.ndim == 0:
            box = np.full(dimensions, float(box))
        if box.shape not in ((dimensions,), (dimensions, dimensions)):
            raise InputError(
                f"box has shape {box.shape} but {c.path} has {dimensions}-dimensional positions; "
                f"give a number, {dimensions} edge lengths, or a {dimensions} x {dimensions} cell matrix"
            )
        edges_wrong = box.ndim == 1 and (box <= 0).any()
        if not np.isfinite(box).all() or edges_wrong or (box.ndim == 2 and np.linalg.matrix_rank(box) < dimensions):
            raise InputError(
                f"box = {box.tolist()} has no volume; edge lengths must be positive, cell vectors independent"
            )
        _check_inside(c, box, f"box = {box.tolist()}")
        return box
    if density is None:
        density = c.density
    if density is None:
        raise DataError(f"{c.path}: the file holds no box; give box= or density=")
    box = np.full(dimensions, (number / density) ** (1 / dimensions))
    origin = f"box edge L = {box[0]:.6g} (from N = {number} and density = {density})"
    _check_inside(c, box, origin)
    _check_filled(c, box, origin)
    return box


def _check_inside(configuration: Configuration, box: np.ndarray, origin: str) -> None:
    """Refuse a box that does not hold all positions in [0, L): the upper face gets a tolerance for rounding."""
    positions = configuration.positions
    # In a triclinic cell the condition is on the fractional coordinates, which end at 1.
    coordinates, ends = (positions, box) if box.ndim == 1 else (positions @ np.linalg.inv(box), np.ones(len(box)))
    lowest, highest = coordinates.min(axis=0), coordinates.max(axis=0)
    kind = "coordinate" if box.ndim == 1 else "fractional coordinate"
    remedy = "give the right one with box= or density="
    for axis in range(len(ends)):
        tolerance = 1e-6 * ends[axis]
        if highest[axis] > ends[axis] + tolerance:
            raise DataError(
                f"{configuration.path}: the largest {kind} along axis {axis} is {highest[axis]:.6g}, outside "
                f"[0, {ends[axis]:.6g}) of the {origin}; {remedy}"
            )
        if lowest[axis] < -tolerance:
            raise DataError(
                f"{configuration.path}: the smallest {kind} along axis {axis} is {lowest[axis]:.6g}, outside "
                f"[0, {ends[axis]:.6g}) of the {origin}; wrap the positions into the box, or {remedy}"
            )


def _check_filled(configuration: Configuration, box: np.ndarray, origin: str) -> None:
    """Refuse a box computed from a density when it is too large: the particles then leave an empty layer at its faces.

    The layer counts as empty when, along every axis, it is three times as wide as the widest gap between the
    particles' coordinates and wider than a quarter of the particle distance. Real configurations of a bulk system,
    crystals included, have no such layer; edges across the faces would be missing without any other sign. A few
    particles say nothing about it.
    """
    ordered = np.sort(configuration.positions, axis=0)
    if len(ordered) < 50:
        return
    layer = box - (ordered[-1] - ordered[0])
    widest = np.diff(ordered, axis=0).max(axis=0)
    distance = (np.prod(box) / len(ordered)) ** (1 / len(box))
    if (layer > np.maximum(3 * widest, 0.25 * distance)).all():
        raise DataError(
            f"{configuration.path}: the largest coordinate is {ordered[-1].max():.6g}, which leaves an empty layer in "
            f"the {origin}; give the right one with box= or density="
        )

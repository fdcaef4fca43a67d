"""Samples of a data set: the arrays as the file holds them, and graph and targets made of them when they are used.

In memory a configuration of 4,096 particles takes 1.1 MB in this form and 4.8 MB as a Graph with Targets. Making these
takes 2 ms, less than a hundredth of a training step, so they are not kept but for the last few.
"""

import dataclasses
import math
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import torch

from ..box import check_box
from ..errors import BotanFastError, DataError, InputError
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..graph.pairs import edge_values, graph_from_pairs, pair_list
from ..physics.targets import Targets
from ..quantities import NODE_TARGETS, TARGETS
from .sample import Sample
from .schema import read_array, read_attribute, read_group, read_text

__all__ = ["Item", "StoredConfiguration", "StoredSample", "read_configuration", "read_targets"]

_KEPT = 8  # samples whose graph is kept: more than a batch has


@dataclass(frozen=True)
class Item:
    """One configuration at one time: what is known without reading an array."""

    group: str  # name in /configurations
    name: str
    temperature: float | None
    time: float | None
    num_runs: int
    index: int | None  # of the time in the configuration; None where the configuration has no targets


@dataclass
class StoredConfiguration:
    """The arrays of a configuration, shared by its samples at different times."""

    positions: torch.Tensor  # (N, D) float64
    types: np.ndarray  # (N,) int32
    box: np.ndarray  # (D,) or (D, D) float64
    pairs: np.ndarray  # (2, P) int32
    cutoff: float
    source: str = ""


class StoredSample(Sample):
    """A `Sample` whose graph and targets are made when they are asked for."""

    def __init__(
        self,
        path: Path,
        item: Item,
        configuration: StoredConfiguration,
        arrays: dict[str, np.ndarray],
        cutoff: float,
        self_edges: bool,
    ):
        self.name, self.temperature, self.time = item.name, item.temperature, item.time
        self.positions = configuration.positions
        self._path, self._num_runs, self._arrays = path, item.num_runs, arrays
        self._configuration, self._cutoff, self._self_edges = configuration, cutoff, self_edges
        self._made = None
        if "pair_change" in arrays and cutoff > configuration.cutoff:
            raise InputError(
                f"cutoff = {cutoff} but {path} holds pairs up to cutoff = {configuration.cutoff}; convert the data "
                "again with the larger cutoff"
            )

    # What Sample's own properties would make the graph for.
    cutoff = property(lambda self: self._cutoff)
    self_edges = property(lambda self: self._self_edges)
    has_targets = property(lambda self: bool(self._arrays))
    has_pair_targets = property(lambda self: "pair_change" in self._arrays)

    def has_node_target(self, letter: str) -> bool:
        return NODE_TARGETS[letter] in self._arrays

    source = property(lambda self: self._configuration.source)

    @property
    def graph(self) -> Graph:
        return self._make()[0]

    @property
    def targets(self) -> Targets | None:
        return self._make()[1] if self._arrays else None

    def to(self, device) -> Sample:
        """The sample on `device`: itself on the CPU, else a Sample with everything there."""
        if torch.device(device).type == "cpu":
            return self
        graph, targets = self._make()
        targets = targets and targets.to(device)
        return Sample(graph.to(device), targets, self.name, self.positions, self.temperature, self.time)

    def __repr__(self) -> str:
        return f"Sample({self.name!r}, temperature={self.temperature}, time={self.time}, N={len(self.positions)})"

    def __reduce__(self):
        state = {**self.__dict__, "_made": None}
        return _restore, (state,)

    def _make(self) -> tuple[Graph, Targets | None]:
        made = self._made
        if made is None:
            graph = self._make_graph()
            made = graph, self._make_targets(graph) if self._arrays else None
            self._made = made
            _keep(self)
        return made

    def _make_graph(self) -> Graph:
        c = self._configuration
        positions = c.positions.numpy()
        try:
            if self._cutoff == c.cutoff:
                return graph_from_pairs(c.pairs, positions, c.types, c.box, c.cutoff, self._self_edges)
            return build_graph(positions, c.types, c.box, cutoff=self._cutoff, self_edges=self._self_edges)
        except BotanFastError as error:
            raise DataError(f"{self._path}: configuration {self.name}: {error}") from error

    def _make_targets(self, graph: Graph) -> Targets:
        arrays = dict.fromkeys(field.name for field in dataclasses.fields(Targets))
        for name, array in self._arrays.items():
            if name == "pair_change":
                array = edge_values(graph, array[self._chosen_pairs(graph)])
            if name in arrays:
                arrays[name] = torch.from_numpy(array)
        return Targets(**{**arrays, "num_runs": self._num_runs})

    def _chosen_pairs(self, graph: Graph):
        """Which of the file's pairs are in the graph: all, unless its cutoff is smaller."""
        c = self._configuration
        if graph.cutoff == c.cutoff:
            return slice(None)
        number = len(self.positions)
        stored, wanted = (pairs[0].astype(np.int64) * number + pairs[1] for pairs in (c.pairs, pair_list(graph)))
        place = np.minimum(np.searchsorted(stored, wanted), max(0, len(stored) - 1))
        if not np.array_equal(stored[place], wanted):
            raise DataError(f"{self._path}: pairs of configuration {self.name} are missing; make the data set again")
        return place


_recent: deque[StoredSample] = deque()
_recent_lock = threading.Lock()


def _keep(sample: StoredSample) -> None:
    with _recent_lock:
        _recent.append(sample)
        if len(_recent) > _KEPT:
            _recent.popleft()._made = None


def _restore(state: dict) -> StoredSample:
    sample = object.__new__(StoredSample)
    sample.__dict__.update(state)
    return sample


def read_configuration(path: Path, group: h5py.Group, cutoff: float) -> StoredConfiguration:
    """The arrays of a configuration, checked."""
    positions = read_array(path, group, "positions", "<f8", (None, None))
    number, dimensions = positions.shape
    box = read_attribute(path, group, "box", "f", (None,) * min(2, np.ndim(group.attrs.get("box", 0.0))))
    try:
        box, _ = check_box(box, dimensions)
    except InputError as error:
        raise DataError(f"{path}: configuration {group.name}: {error}") from error
    types = read_array(path, group, "types", "<i4", (number,))
    pairs = read_array(path, group, "pairs", "<i4", (2, None))
    if number == 0 or dimensions not in (2, 3) or not np.isfinite(positions).all() or types.min() < 0:
        raise DataError(
            f"{path}: configuration {group.name} has positions {positions.shape}; expected finite ones, (N, 2) or "
            "(N, 3), and types from 0; make the data set again"
        )
    return StoredConfiguration(torch.from_numpy(positions), types, box, pairs, cutoff, read_text(path, group, "source"))


def read_targets(path: Path, group: h5py.Group, item: Item, configuration: StoredConfiguration) -> dict:
    """The targets of a configuration at one time, checked: name -> float32 array."""
    if item.index is None:
        return {}
    one = read_group(path, read_group(path, group, "times"), f"{item.index:03d}")
    lengths = {"particle": len(configuration.positions), "pair": configuration.pairs.shape[1]}
    arrays = {name: read_array(path, one, name, "<f4", (lengths[TARGETS[name]],)) for name in TARGETS if name in one}
    for name, array in arrays.items():
        # A finite sum has finite terms only; the exact test settles the rest.
        if not math.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
            raise DataError(f"{path}: {name} of configuration {item.name} is not finite; make the data set again")
    if "propensity" not in arrays:
        raise DataError(f"{path}: configuration {item.name} has no propensity; make the data set again")
    return arrays

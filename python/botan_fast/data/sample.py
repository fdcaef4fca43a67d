"""`Sample`: one configuration, ready for training and prediction."""

import copy
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from ..arrays import Array
from ..graph.graph import Graph
from ..physics.inherent import InherentStructure
from ..physics.targets import Targets
from ..quantities import NODE_TARGETS
from .extras import checked_extras

__all__ = ["Sample", "SampleMaker"]

KEPT = 8  # samples that make their graph on demand and still have it: more than a batch has


class SampleMaker(Protocol):
    """What makes graph and targets of a sample when they are asked for, and what is known of them before."""

    cutoff: float
    self_edges: bool
    targets_held: frozenset[str]  # fields of Targets that it will fill; none: there are no targets
    types: np.ndarray  # (N,) integers
    box: np.ndarray  # (D,) or (D, D) float64
    num_runs: int  # behind the targets; 0: unknown

    def __call__(self) -> tuple[Graph, Targets | None]: ...


class Sample:
    """One configuration, ready for training: about 4 MB for 4,096 particles.

    graph        Graph of the configuration
    targets      Targets on the edges of the graph, or None where the file holds no trajectories
    name         name of the configuration, for messages and for the names of result files
    positions    (N, D) float64 tensor on the CPU, as the file holds them
    temperature, time   floats in Lennard-Jones units, or None where the file does not tell
    source       where the data come from, as a data set tells it; or ""
    species      names of types 0, 1, ... in the words of the data, ("Si", "Ge"), or None
    energy       potential energy per particle in units of epsilon_AA, or None where the file does not tell
    inherent     InherentStructure that the data hold, or None
    arrays       other values that the data hold by name: (N,) or (N, k) of the particles, or one number; float64
    times        of a sample of `join_times`, whose targets are (N, K) and (E, K): the K times; else None
    halves       two samples of the same graph, with the targets of one half of the runs each, or None: only
                 `load_samples(halves=True)` makes them, of files that hold two runs or more

    Samples of a data set make graph and targets when they are asked for, and drop them again when a few others were
    used in between. Two samples are equal when they are the same object.

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

    def __init__(
        self,
        graph: Graph,
        targets: Targets | None,
        name: str,
        positions: torch.Tensor,
        temperature: float | None = None,
        time: float | None = None,
        species: tuple[str, ...] | None = None,
        inherent: InherentStructure | None = None,
        arrays: Mapping[str, Array] | None = None,
    ) -> None:
        self.name, self.positions, self.temperature, self.time = name, positions, temperature, time
        self.source, self.species = "", species
        self.energy: float | None = None
        self.inherent, self.arrays = checked_extras(inherent, arrays, np.asarray(positions))
        self.times: tuple[float, ...] | None = None
        self._maker: SampleMaker | None = None
        self._made: tuple[Graph, Targets | None] | None = (graph, targets)

    @classmethod
    def on_demand(
        cls,
        maker: SampleMaker,
        name: str,
        positions: torch.Tensor,
        temperature: float | None = None,
        time: float | None = None,
        source: str = "",
        species: tuple[str, ...] | None = None,
    ) -> "Sample":
        """A sample whose graph and targets `maker` makes when they are asked for."""
        sample = object.__new__(cls)
        sample.name, sample.positions, sample.temperature, sample.time = name, positions, temperature, time
        sample.source, sample.species, sample.energy = source, species, None
        sample.inherent, sample.arrays, sample.times = None, {}, None
        sample._maker, sample._made = maker, None
        return sample

    halves: tuple["Sample", "Sample"] | None = None
    # Pairs (2, P) as `pair_list` has them and E_ij of each (P,), beyond those of the graph, where a file told them.
    _held_pairs: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def held_pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Pairs (2, P), sorted, and E_ij of each, where more of them are held than the graph has; else None."""
        return getattr(self._maker, "held_pairs", None) if self._held_pairs is None else self._held_pairs

    def make(self) -> tuple[Graph, Targets | None]:
        """Graph and targets; those that are made on demand are not kept."""
        return self._graph_and_targets() if self._maker is None else self._made or self._maker()

    @property
    def graph(self) -> Graph:
        """The graph, made now if need be."""
        return self._graph_and_targets()[0]

    @property
    def targets(self) -> Targets | None:
        """The targets, made now if need be, or None."""
        return self._graph_and_targets()[1] if self.has_targets else None

    @property
    def cutoff(self) -> float:
        """Cutoff of the graph."""
        return (self._maker or self.graph).cutoff

    @property
    def self_edges(self) -> bool:
        """Does the graph have self edges?"""
        return (self._maker or self.graph).self_edges

    @property
    def types(self) -> np.ndarray:
        """(N,) integers, 0 = A, 1 = B, ...; asking makes no graph, nor do the properties below."""
        return self._maker.types if self._maker is not None else self.graph.types.cpu().numpy()

    @property
    def box(self) -> np.ndarray | None:
        """Edge lengths (D,) or row vectors (D, D) float64, or None where the graph has no single box."""
        if self._maker is not None:
            return self._maker.box
        return None if self.graph.box is None else self.graph.box.cpu().numpy()

    @property
    def num_runs(self) -> int:
        """Runs behind the targets; 0 where there are none or nobody knows."""
        if self._maker is not None:
            return self._maker.num_runs
        targets = self._graph_and_targets()[1]
        return 0 if targets is None else targets.num_runs

    @property
    def has_targets(self) -> bool:
        """Are there targets?"""
        if self._maker is not None:
            return bool(self._maker.targets_held)
        return self._graph_and_targets()[1] is not None

    @property
    def has_pair_targets(self) -> bool:
        """Is E_ij among the targets?"""
        return self.holds_target("pair_change")

    def has_node_target(self, letter: str) -> bool:
        """Is this node target (a letter of `NODE_TARGETS`) among the targets?"""
        return self.holds_target(NODE_TARGETS[letter])

    @property
    def on_file(self) -> bool:
        """Are graph and targets made when they are asked for?"""
        return self._maker is not None

    def to(self, device: torch.device | str) -> "Sample":
        """The sample with graph and targets on `device`. One that makes them on demand, on the CPU, is itself there."""
        if self._maker is not None and torch.device(device).type == "cpu":
            return self
        graph, targets = self._graph_and_targets()
        moved = Sample(
            graph.to(device),
            None if targets is None else targets.to(device),
            self.name,
            self.positions,
            self.temperature,
            self.time,
            self.species,
            self.inherent,
            self.arrays,
        )
        moved.source, moved.energy, moved.times = self.source, self.energy, self.times
        moved._held_pairs = self.held_pairs
        if self.halves is not None:
            moved.halves = self.halves[0].to(device), self.halves[1].to(device)
        return moved

    def kept(self) -> "Sample":
        """The sample with graph and targets made for good, for where they are asked for over and over."""
        if self._maker is None:
            return self
        other = copy.copy(self)
        other._made, other._held_pairs, other._maker = self._graph_and_targets(), self.held_pairs, None
        return other

    def __repr__(self) -> str:
        return f"Sample({self.name!r}, temperature={self.temperature}, time={self.time}, N={len(self.positions)})"

    def __getstate__(self) -> dict[str, Any]:
        """What is made on demand is made again by whoever reads the pickle."""
        return self.__dict__ if self._maker is None else {**self.__dict__, "_made": None}

    def holds_target(self, field: str) -> bool:
        """Is this field of `Targets` among the targets?"""
        if self._maker is not None:
            return field in self._maker.targets_held
        targets = self._graph_and_targets()[1]
        return targets is not None and getattr(targets, field) is not None

    def _graph_and_targets(self) -> tuple[Graph, Targets | None]:
        made = self._made  # another thread may drop it at any time
        if made is None:
            assert self._maker is not None  # without one, nothing is ever dropped
            made = self._made = self._maker()
            _drop_after_others(self)
        return made


_recent: deque[Sample] = deque()
_recent_lock = threading.Lock()


def _drop_after_others(sample: Sample) -> None:
    with _recent_lock:
        _recent.append(sample)
        if len(_recent) > KEPT:
            _recent.popleft()._made = None

"""One configuration, ready for training."""

from dataclasses import dataclass, replace

import torch

from ..graph.graph import Graph
from ..physics.targets import Targets
from ..quantities import NODE_TARGETS

__all__ = ["Sample"]


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

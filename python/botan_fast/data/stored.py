"""Samples of a data set: the arrays as the file holds them, and the maker of graph and targets.

In memory a configuration of 4,096 particles takes 1.1 MB in this form and 4.8 MB as a Graph with Targets. Making these
takes 2 ms, less than a hundredth of a training step, so they are not kept but for the last few (`sample.KEPT`).
"""

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ..box import check_box
from ..errors import BotanFastError, DataError, InputError
from ..formats.hdf5 import has_child
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..graph.pairs import edge_values, graph_from_pairs, pair_list
from ..physics.inherent import InherentStructure
from ..physics.targets import Targets
from ..quantities import TARGETS
from .extras import read_extras
from .schema import read_array, read_attribute, read_group, read_species, read_text

__all__ = ["Entry", "StoredArrays", "StoredMaker", "read_configuration", "read_targets"]


@dataclass(frozen=True)
class Entry:
    """One configuration at one time, as a data set lists it: what is known without reading an array."""

    group: str  # name in /configurations
    name: str
    temperature: float | None
    time: float | None
    num_runs: int
    index: int | None  # of the time in the configuration; None where the configuration has no targets
    energy: float | None = None


@dataclass
class StoredArrays:
    """The arrays of a configuration, shared by its samples at different times."""

    positions: torch.Tensor  # (N, D) float64
    types: np.ndarray  # (N,) int32
    box: np.ndarray  # (D,) or (D, D) float64
    pairs: np.ndarray  # (2, P) int32
    cutoff: float
    source: str = ""
    species: tuple[str, ...] | None = None
    inherent: InherentStructure | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


class StoredMaker:
    """Makes graph and targets of one entry from its arrays, see `SampleMaker`."""

    def __init__(
        self,
        path: Path,
        entry: Entry,
        stored: StoredArrays,
        targets: dict[str, np.ndarray],
        cutoff: float,
        self_edges: bool,
    ) -> None:
        self.path, self.entry, self.stored, self.targets = path, entry, stored, targets
        self.cutoff, self.self_edges, self.targets_held = cutoff, self_edges, frozenset(targets)
        self.types, self.box, self.num_runs = stored.types, stored.box, entry.num_runs
        if "pair_change" in targets and cutoff > stored.cutoff:
            raise InputError(
                f"cutoff = {cutoff} but {path} holds pairs up to cutoff = {stored.cutoff}; convert the data "
                "again with the larger cutoff"
            )

    def __call__(self) -> tuple[Graph, Targets | None]:
        graph = self._graph()
        return graph, self._targets(graph) if self.targets else None

    @property
    def held_pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """The file's pairs and E_ij of each, or None where it has none."""
        return (self.stored.pairs, self.targets["pair_change"]) if "pair_change" in self.targets else None

    def _graph(self) -> Graph:
        s = self.stored
        positions = s.positions.numpy()
        try:
            if self.cutoff == s.cutoff:
                return graph_from_pairs(s.pairs, positions, s.types, s.box, s.cutoff, self.self_edges)
            return build_graph(positions, s.types, s.box, cutoff=self.cutoff, self_edges=self.self_edges)
        except BotanFastError as error:
            raise DataError(f"{self.path}: configuration {self.entry.name}: {error}") from error

    def _targets(self, graph: Graph) -> Targets:
        arrays: dict[str, Any] = dict.fromkeys(field.name for field in dataclasses.fields(Targets))
        for name, array in self.targets.items():
            if name == "pair_change":
                array = edge_values(graph, array[self._chosen_pairs(graph)])
            if name in arrays:
                arrays[name] = torch.from_numpy(array)
        return Targets(**{**arrays, "num_runs": self.entry.num_runs})

    def _chosen_pairs(self, graph: Graph) -> slice | np.ndarray:
        """Which of the file's pairs are in the graph: all, unless its cutoff is smaller."""
        s = self.stored
        if graph.cutoff == s.cutoff:
            return slice(None)
        number = len(s.positions)
        held, wanted = (pairs[0].astype(np.int64) * number + pairs[1] for pairs in (s.pairs, pair_list(graph)))
        place = np.minimum(np.searchsorted(held, wanted), max(0, len(held) - 1))
        if not np.array_equal(held[place], wanted):
            raise DataError(
                f"{self.path}: pairs of configuration {self.entry.name} are missing; make the data set again"
            )
        return place


def read_configuration(path: Path, group: h5py.Group, cutoff: float) -> StoredArrays:
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
    source, species = read_text(path, group, "source"), read_species(path, group)
    extras = read_extras(path, group, positions)
    return StoredArrays(torch.from_numpy(positions), types, box, pairs, cutoff, source, species, *extras)


def read_targets(path: Path, group: h5py.Group, entry: Entry, stored: StoredArrays) -> dict[str, np.ndarray]:
    """The targets of a configuration at one time, checked: name -> float32 array."""
    if entry.index is None:
        return {}
    one = read_group(path, read_group(path, group, "times"), f"{entry.index:03d}")
    lengths = {"particle": len(stored.positions), "pair": stored.pairs.shape[1]}
    arrays = {
        name: read_array(path, one, name, "<f4", (lengths[TARGETS[name]],)) for name in TARGETS if has_child(one, name)
    }
    for name, array in arrays.items():
        # A finite sum has finite terms only; the exact test settles the rest.
        if not math.isfinite(array.sum(dtype=np.float64)) and not np.isfinite(array).all():
            raise DataError(f"{path}: {name} of configuration {entry.name} is not finite; make the data set again")
    if "propensity" not in arrays:
        raise DataError(f"{path}: configuration {entry.name} has no propensity; make the data set again")
    return arrays

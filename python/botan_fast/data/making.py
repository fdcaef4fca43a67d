"""What makes the graph of a sample with the structure that a model reads, and remembers what took long."""

import dataclasses
import hashlib
import math
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..arrays import Array
from ..errors import DataError, InputError, warn
from ..files import printable
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..graph.images import edge_vectors, minimum_image
from ..graph.pairs import edge_values, graph_of_pairs, pair_list, pair_values
from ..physics.descriptors import descriptors
from ..physics.inherent import InherentStructure, energy_and_forces, inherent_structure
from ..physics.potential import KOB_ANDERSEN, LennardJones
from ..physics.targets import Targets, isoconfigurational_targets
from ..quantities import NODE_TARGETS
from .extras import STORED_FORCE
from .sample import Sample

if TYPE_CHECKING:
    from .structure import Structure

__all__ = ["MADE", "Kept", "StructureMaker", "check_sample", "hold_pairs", "pairs_of", "shared", "word_on_potentials"]

# Arrays that are made from what every configuration has.
OF_THE_POTENTIAL = ("thermal_energy", "force")  # where the particles are
MADE = ("descriptors", "energy", "displacement", *OF_THE_POTENTIAL, "mean_energy", "temperature", "diameter")


@dataclass(eq=False)
class Kept:
    """What was made of a configuration and took long; the descriptors of the last settings alone, which are large."""

    minima: dict[LennardJones, InherentStructure] = field(default_factory=dict)
    thermal: dict[LennardJones, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    descriptors: dict[Any, np.ndarray] = field(default_factory=dict)


_kept: "weakref.WeakKeyDictionary[Sample, Kept]" = weakref.WeakKeyDictionary()
_making = threading.Lock()  # two threads that ask at once minimise once; each minimisation uses all cores anyway


def shared(samples: Sequence[Sample]) -> list[Kept]:
    """What is kept for each sample; samples of one configuration, such as those at several times, share it."""
    result: list[Kept] = []
    known: dict[bytes, Kept] = {}
    for sample in samples:
        kept = _kept.get(sample)
        if kept is None:
            digest = hashlib.sha256()
            for array in (sample.positions, sample.types, () if sample.box is None else sample.box):
                digest.update(np.ascontiguousarray(array).tobytes())
            key = digest.digest()
            kept = _kept[sample] = known.setdefault(key, Kept())
        result.append(kept)
    return result


class StructureMaker:
    """Makes graph and targets of a sample with structure, see `SampleMaker`; `base` is the sample without."""

    def __init__(self, base: Sample, structure: "Structure", kept: Kept, pair_targets: bool | None) -> None:
        self.base, self.structure, self.kept = base, structure, kept
        self.pairs_needed = pair_targets is True
        self.cutoff, self.self_edges = base.cutoff, base.self_edges
        self.types, self.num_runs = base.types, base.num_runs
        self.box: Any = base.box
        held = {field for letter, field in NODE_TARGETS.items() if base.has_node_target(letter)}
        pairs = base.has_pair_targets and (pair_targets is not False or structure.pairs == "thermal")
        self.targets_held = frozenset(held | ({"pair_change"} if pairs else set()))

    def __call__(self) -> tuple[Graph, Targets | None]:
        graph, targets = self.base.make()
        try:
            if self.structure.pairs != "thermal":
                graph, targets = self._other_pairs(graph, targets)
            given = graph.arrays or {}
            arrays = {
                name: given[name] if name in given else self._array(name, graph) for name in self.structure.arrays
            }
            vectors = graph.inherent_vectors
            if self.structure.inherent_vectors and vectors is None:
                at = edge_vectors(graph, self.minimum.positions, "the inherent structure")
                vectors = torch.from_numpy(at).to(graph.vectors)
        except InputError as error:
            raise InputError(f"{self.base.name}: {error}") from error
        return graph.replace(arrays=arrays, inherent_vectors=vectors), targets

    @property
    def potential(self) -> LennardJones:
        """Whose minimum is wanted."""
        return self.structure.potential or KOB_ANDERSEN

    @property
    def has_minimum(self) -> bool:
        """Is the inherent structure there already?"""
        return is_usable(self.base.inherent, self.structure) or self.potential in self.kept.minima

    @property
    def minimum(self) -> InherentStructure:
        """The inherent structure: of the data, or made, now if need be."""
        held = self.base.inherent
        if held is not None and is_usable(held, self.structure):
            return held
        with _making:
            if self.potential not in self.kept.minima:
                self.kept.minima[self.potential] = inherent_structure(*self._system, self.potential)
            return self.kept.minima[self.potential]

    def remember(self, minimum: InherentStructure) -> None:
        """The inherent structure, made by another process from the same positions and potential."""
        self.kept.minima[self.potential] = minimum

    @property
    def _system(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.asarray(self.base.positions), self.types, self.box

    def _array(self, name: str, graph: Graph) -> torch.Tensor:
        made = self._made_array(name)
        made = np.broadcast_to(made, graph.num_nodes) if made.ndim == 0 else made
        return torch.from_numpy(np.ascontiguousarray(made, np.float32)).to(graph.device)

    def _made_array(self, name: str) -> np.ndarray:
        if name == "descriptors":
            return self._descriptors()
        if name == "energy":
            return self.minimum.energy
        if name == "mean_energy":
            return np.asarray(self.minimum.mean_energy)
        if name == "displacement":
            positions, _, box = self._system
            return np.linalg.norm(minimum_image(self.minimum.positions - positions, box), axis=1)
        if name == "temperature":
            return np.asarray(self.base.temperature, np.float64)
        if name in OF_THE_POTENTIAL:
            with _making:
                if self.potential not in self.kept.thermal:
                    energy, forces = energy_and_forces(*self._system, self.potential)
                    self.kept.thermal[self.potential] = energy, np.linalg.norm(forces, axis=1)
                return self.kept.thermal[self.potential][OF_THE_POTENTIAL.index(name)]
        if name == "diameter" and name not in self.base.arrays:
            return np.diagonal(np.asarray(self.potential.sigma))[self.types]
        return self.base.arrays[name]

    def _descriptors(self) -> np.ndarray:
        minimum = self.minimum if self.structure.descriptors_need_minimum else None
        potential = self.potential if self.structure.descriptors_read_potential else None
        settings = self.structure.descriptors
        key = settings, potential, minimum  # the object itself: an id could be given again
        with _making:
            made = self.kept.descriptors.get(key)
            if made is None:
                made, _ = descriptors(*self._system, inherent=minimum, potential=potential, settings=settings)
                self.kept.descriptors = {key: made}
            return made

    def _other_pairs(self, graph: Graph, targets: Targets | None) -> tuple[Graph, Targets | None]:
        """The graph of the pairs that `structure.pairs` says, and the targets of its edges."""
        positions, types, box = self._system
        pairs = pairs_of(graph, self.minimum, self.structure.pairs)
        other = graph_of_pairs(pairs, positions, types, box, graph.cutoff, graph.self_edges)
        if targets is not None:
            change = self._pair_change(graph, targets, other, pairs) if "pair_change" in self.targets_held else None
            targets = dataclasses.replace(targets, pair_change=change)
        return other.to(graph.device), targets

    def _pair_change(self, graph: Graph, targets: Targets, other: Graph, pairs: np.ndarray) -> torch.Tensor:
        held = self.base.held_pairs
        if held is None:
            assert targets.pair_change is not None  # it is among the targets held
            held = pair_list(graph), pair_values(graph, targets.pair_change)
        number = graph.num_nodes
        known, wanted = (part[0].astype(np.int64) * number + part[1] for part in (held[0], pairs))
        place = np.minimum(np.searchsorted(known, wanted), max(0, len(known) - 1))
        missing = known[place] != wanted if len(known) else np.ones(len(wanted), bool)
        values = held[1][place] if len(known) else np.empty((len(wanted), *held[1].shape[1:]), held[1].dtype)
        values[missing] = np.nan
        if missing.any() and self.pairs_needed:
            edges = np.isin(other.receivers.numpy().astype(np.int64) * number + other.senders.numpy(), wanted[missing])
            farthest = float(other.vectors[torch.from_numpy(edges)].norm(dim=1).max())
            raise DataError(
                f"{self.base.name}: E_ij of {missing.sum()} pairs is not in the data, which are neighbours at the "
                f"inherent structure and up to {farthest:.3g} apart in the data; give the files of the runs in place "
                f"of samples, a data set of convert with cutoff = {math.ceil(10 * farthest) / 10 + 0.2:.1f} or more, "
                "or read pairs = 'thermal'"
            )
        change = torch.from_numpy(edge_values(other, values))
        return change.to(graph.device)


def hold_pairs(sample: Sample, structure: "Structure", trajectories: Array) -> None:
    """Let a sample hold E_ij of the pairs that `structure.pairs` says, from the runs (R, N, D) that its file has."""
    held = None if sample.inherent is None else sample.inherent.potential
    structure = dataclasses.replace(structure, potential=structure.potential or held or KOB_ANDERSEN)
    check_sample(sample, dataclasses.replace(structure, arrays=()))
    [kept] = shared([sample])
    graph, _ = StructureMaker(sample, structure, kept, False)._other_pairs(sample.graph, None)
    targets = isoconfigurational_targets(sample.positions, trajectories, graph, which="E")
    assert targets.pair_change is not None
    sample._held_pairs = pair_list(graph), pair_values(graph, targets.pair_change)


def pairs_of(graph: Graph, minimum: InherentStructure, which: str) -> np.ndarray:
    """(2, P) int32, sorted: the pairs closer than the cutoff at the minimum, with "union" also those of the graph."""
    assert graph.box is not None  # checked before
    there = build_graph(minimum.positions, graph.types.cpu(), graph.box.cpu(), graph.cutoff)
    pairs = pair_list(there)
    if which == "union":
        both = np.concatenate([pair_list(graph), pairs], axis=1).astype(np.int64)
        keys = np.unique(both[0] * graph.num_nodes + both[1])
        pairs = np.stack([keys // graph.num_nodes, keys % graph.num_nodes]).astype(np.int32)
    return pairs


def is_usable(held: InherentStructure | None, structure: "Structure") -> bool:
    """Is it a minimum of the potential that is wanted, as far as anybody knows?"""
    if held is None:
        return False
    if structure.potential is None or held.potential is None:
        return True
    return held.potential == structure.potential and not held.largest_force > STORED_FORCE  # NaN: nobody knows


def check_sample(sample: Sample, structure: "Structure") -> None:
    """InputError in one line for what a sample lacks, before anything is made."""
    name = sample.name
    for wanted in structure.arrays:
        if wanted in sample.arrays or (not sample.on_file and wanted in (sample.graph.arrays or {})):
            continue
        if wanted == "temperature" and sample.temperature is None:
            raise InputError(
                f"{name}: the temperature is unknown and the model reads it; convert the data with temperature=, or "
                "set sample.temperature"
            )
        if wanted not in MADE:
            has = f"the arrays {', '.join(sorted(sample.arrays))} alone" if sample.arrays else "no array by name"
            raise InputError(
                f"{name} has {has}; the model reads {printable(repr(wanted), 80)}; made from positions are "
                f"{', '.join(MADE)}"
            )
    minimise = structure.needs_minimum and not is_usable(sample.inherent, structure)
    reads = bool(set(OF_THE_POTENTIAL) & set(structure.arrays)) or (
        "descriptors" in structure.arrays and structure.descriptors_read_potential
    )
    reads = reads or ("diameter" in structure.arrays and "diameter" not in sample.arrays)
    if (structure.needs_minimum or {*OF_THE_POTENTIAL, "descriptors"} & set(structure.arrays)) and sample.box is None:
        raise InputError(f"{name}: graph.box is None, and the model reads what is made in the box; build it with one")
    if minimise or reads:
        potential = structure.potential or KOB_ANDERSEN
        most = int(sample.types.max(initial=0))
        if most >= potential.num_species:
            raise InputError(
                f"{name} has particles of type {most}, but the potential of the model knows {potential.num_species} "
                "species, counted from 0; use a model of this mixture"
            )


def word_on_potentials(samples: Sequence[Sample], structure: "Structure") -> None:
    """A warning where the data hold minima that the model cannot read."""
    others = [s for s in samples if s.inherent is not None and not is_usable(s.inherent, structure)]
    if others and structure.needs_minimum:
        held = others[0].inherent
        assert held is not None
        same = held.potential == structure.potential
        what = (
            f"is not a minimum (force {held.largest_force:.2g})"
            if same
            else f"is of another potential ({held.potential})"
        )
        warn(
            f"the inherent structure of {others[0].name} {what}, the model reads minima of {structure.potential}: "
            "minimised anew" + (f" for {len(others)} configurations" if len(others) > 1 else "")
        )

"""Samples of one configuration at several times become one sample, whose targets have a column for each time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..graph.graph import Graph
from ..physics.targets import Targets
from ..quantities import TARGETS
from .sample import Sample
from .selection import same_number
from .twins import Known

__all__ = ["join_times"]

_FIELDS = tuple(name for name in TARGETS if name in Targets.__dataclass_fields__)


def join_times(samples: Sequence[Sample], times: Sequence[float]) -> list[Sample]:
    """One sample for each configuration, in the order of the first of its parts.

    A joined sample has `times`, the K times in ascending order, and `time` None. Its targets have the shapes (N, K) and
    (E, K), float32; a time that a configuration lacks is a column of NaN. A field of `Targets` that one of the parts
    does not hold is None. What a data set makes on demand is made on demand here too.

    Parameters
    ----------
    samples : sequence of Sample
        With targets, each at one of `times`. Samples are of one configuration where types, positions and temperature
        agree.
    times : sequence of float
        All times that there are to be columns for, in any order.

    Returns
    -------
    list of Sample

    Raises
    ------
    InputError
        A sample has no targets, another time, or the same one as another sample of its configuration; `times` is empty.

    Examples
    --------
    >>> import torch
    >>> import botan_fast as bf
    >>> from botan_fast.data.times import join_times
    >>> x = torch.tensor([[0.5, 0.0], [1.5, 0.0]], dtype=torch.float64)
    >>> graph = bf.build_graph(x, [0, 1], box=[4.0, 4.0])
    >>> def at(time):
    ...     return bf.Sample(graph, bf.Targets(torch.full((2,), time), torch.zeros(2), 8), "mine", x, time=time)
    >>> [sample] = join_times([at(13.0), at(1.3)], [1.3, 13.0, 130.0])
    >>> sample.times, sample.targets.propensity.tolist()[0]
    ((1.3, 13.0, 130.0), [1.2999999523162842, 13.0, nan])
    """
    wanted = tuple(sorted({float(time) for time in times}))
    if not wanted:
        raise InputError("times = [] is empty; give at least one time")
    known: Known[dict[int, Sample]] = Known()
    groups: list[dict[int, Sample]] = []
    for sample in samples:
        place = next((k for k, time in enumerate(wanted) if same_number(sample.time, time)), None)
        if place is None or not sample.has_targets:
            what = f"time = {sample.time}" if place is None else "no targets"
            raise InputError(f"sample {sample.name} has {what}; join samples with targets at {_listed(wanted)}")
        positions = np.asarray(sample.positions)
        same = [group for group in known.same(positions, sample.types) if _temperature(group) == sample.temperature]
        group = same[0] if same else {}
        if not same:
            groups.append(group)
            known.add(positions, sample.types, group)
        if place in group:
            raise InputError(
                f"the same configuration twice at time {wanted[place]:g}: {group[place].name} and {sample.name}; leave "
                "one of them out"
            )
        group[place] = sample
    return [_joined(group, wanted) for group in groups]


class _Maker:
    """Makes graph and targets of a joined sample, see `SampleMaker`."""

    def __init__(self, parts: dict[int, Sample], number: int) -> None:
        self.parts, self.number = parts, number
        self.first = next(iter(parts.values()))
        self.cutoff, self.self_edges = self.first.cutoff, self.first.self_edges
        self.types, self.num_runs = self.first.types, min(part.num_runs for part in parts.values())
        self.box: Any = self.first.box
        self.targets_held = frozenset(
            name for name in _FIELDS if all(part.holds_target(name) for part in parts.values())
        )

    @property
    def held_pairs(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Pairs (2, P) and E_ij of each (P, K), where all parts hold the same ones beyond those of their graphs."""
        first = self.first.held_pairs
        if first is None:
            return None
        values = np.full((first[0].shape[1], self.number), np.nan, first[1].dtype)
        for place, part in self.parts.items():
            held = part.held_pairs
            if held is None or not np.array_equal(held[0], first[0]):
                return None
            values[:, place] = held[1]
        return first[0], values

    def __call__(self) -> tuple[Graph, Targets | None]:
        graph = self.first.graph
        columns: dict[str, torch.Tensor] = {}
        for place, part in self.parts.items():
            targets = part.targets
            assert targets is not None  # joined are samples with targets
            edges = _places(graph, part.graph)
            for name in self.targets_held:
                values = getattr(targets, name)
                if name not in columns:
                    rows = graph.num_edges if TARGETS[name] == "pair" else graph.num_nodes
                    columns[name] = values.new_full((rows, self.number), torch.nan)
                if edges is None or TARGETS[name] != "pair":
                    columns[name][:, place] = values
                else:
                    columns[name][edges[0], place] = values[edges[1]]
        arrays: dict[str, Any] = dict.fromkeys(_FIELDS) | columns
        return graph, Targets(**arrays, num_runs=self.num_runs)


def _places(graph: Graph, other: Graph) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Edges of `graph` and those of `other` that are the same pairs; None where all are, in this order.

    Positions of two files may differ by rounding, and so may what lies just within the cutoff.
    """
    if torch.equal(graph.senders, other.senders) and torch.equal(graph.receivers, other.receivers):
        return None
    ours, theirs = (g.receivers.long() * graph.num_nodes + g.senders for g in (graph, other))  # ascending
    place = torch.searchsorted(ours, theirs).clamp_(max=len(ours) - 1)
    found = ours[place] == theirs
    return place[found], found.nonzero()[:, 0]


def _joined(parts: dict[int, Sample], times: tuple[float, ...]) -> Sample:
    maker = _Maker(parts, len(times))
    first = maker.first
    name, positions, temperature, species = first.name, first.positions, first.temperature, first.species
    if any(part.on_file for part in parts.values()):
        sample = Sample.on_demand(maker, name, positions, temperature, species=species)
    else:  # at once: their own graphs are no longer needed
        graph, targets = maker()
        sample = Sample(graph, targets, name, positions, temperature, species=species)
        sample._held_pairs = maker.held_pairs
    sample.source, sample.energy = first.source, first.energy
    sample.inherent, sample.arrays = first.inherent, first.arrays
    sample.times = times
    if all(part.halves is not None for part in parts.values()):
        one, other = (
            _joined({place: part.halves[k] for place, part in parts.items() if part.halves is not None}, times)
            for k in (0, 1)
        )
        sample.halves = one, other
    return sample


def _temperature(group: dict[int, Sample]) -> float | None:
    return next(iter(group.values())).temperature


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)

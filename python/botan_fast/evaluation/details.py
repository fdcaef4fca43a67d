"""The scores one by one: by species, by pair of species and distance, their ceiling, and dynamic heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from ..checks import as_array
from ..data.sample import Sample
from ..data.species import letter
from ..errors import InputError
from ..physics.targets import Targets
from ..quantities import FIRST_SHELL
from .ceiling import reliability
from .forward import Outputs, float64_array
from .heterogeneity import Field, field_of, heterogeneity
from .measures import Compared, measures
from .times import Column, num_outputs

__all__ = ["Cell", "Details", "check_windows"]

Window = tuple[float, float]
NO_RUNS = "the data hold targets and not the runs behind them (samples: load_samples, halves=True)"
FEW_RUNS = "targets of one run have no halves to compare"


def check_windows(windows: Any, cutoff: float) -> tuple[float, ...]:
    """The edges of the windows of |r_ij(0)|, two or more; (0, FIRST_SHELL) for None, (0, r) for a number r.

    InputError where they do not ascend from a distance that is not negative, or end beyond the cutoff of the model.

    >>> from botan_fast.evaluation.details import check_windows
    >>> check_windows(None, 2.0), check_windows([0, 1, 2], 2.0)
    ((0.0, 1.35), (0.0, 1.0, 2.0))
    """
    if windows is None:
        return (0.0, min(FIRST_SHELL, cutoff))
    edges = np.atleast_1d(as_array("windows", windows, np.float64)).ravel()
    if len(edges) == 1:
        edges = np.array([0.0, edges[0]])
    if not np.isfinite(edges).all() or len(edges) < 2 or not (np.diff(edges) > 0).all() or edges[0] < 0:
        raise InputError(f"windows = {windows!r}; give ascending distances that are not negative, such as [0, 1.35, 2]")
    if edges[-1] > cutoff:
        raise InputError(
            f"windows end at {edges[-1]:g}, beyond the model's cutoff {cutoff:g}, where it has no pairs; end there"
        )
    return tuple(edges.tolist())


class Cell(NamedTuple):
    """One output on one configuration: by species, and by pair of species and window of distance."""

    species: dict[str, Compared]
    pairs: dict[tuple[str, Window], Compared]
    field: Field | None  # of type A, for its heterogeneity
    runs: int  # behind the targets
    no_ceiling: str | None  # why there is none


class Details:
    """The scores of a model one by one; `evaluate` says what they are.

    `cells` makes of a sample what is known of each of its columns, `summary` the keys of such cells together.
    """

    def __init__(self, config: dict[str, Any], windows: Any = None) -> None:
        self.config, self.several = config, num_outputs(config) > 1
        self.edges = check_windows(windows, config["cutoff"])
        whole = self.edges[0], self.edges[-1]
        self.windows = [whole] if len(self.edges) == 2 else [whole, *pairwise(self.edges)]

    def cells(self, sample: Sample, outputs: Outputs, found: Sequence[Column]) -> list[Cell]:
        """The output for a sample, compared with its targets: a cell for each column."""
        targets = sample.targets
        assert targets is not None  # they were required
        halves, reason = _halves(sample)
        groups = self._groups(sample)
        is_a = sample.types == 0
        name, result = self.config["node_target"], []
        for column in found:
            target, prediction = self._values(targets.node(name), outputs.node, column)
            species: dict[str, Compared] = {}
            pairs: dict[tuple[str, Window], Compared] = {}
            field = None
            if not np.isnan(target).any():  # else it is of a time that this configuration does not have
                nodes = [_column(half.node(name), column) for half in halves]
                for kind in np.unique(sample.types).tolist():
                    mask = sample.types == kind
                    species[letter(kind)] = _compared(prediction, target, mask, nodes, sample.num_runs)
                field = field_of(sample, is_a, target, prediction) if is_a.any() else None
            if outputs.edge is not None and targets.pair_change is not None:
                ours, theirs = self._values(targets.pair_change, outputs.edge, column)
                ends = [_column(half.pair_change, column) for half in halves if half.pair_change is not None]
                if not np.isnan(ours).any():
                    for key, mask in groups.items():
                        pairs[key] = _compared(theirs, ours, mask, ends, sample.num_runs)
            result.append(Cell(species, pairs, field, sample.num_runs, reason))
        return result

    def summary(self, cells: Sequence[Cell], together: bool = True) -> dict[str, Any]:
        """The keys of these cells together; without heterogeneity unless they belong `together`, being of one state."""
        species = {
            name: measures([cell.species[name] for cell in cells if name in cell.species])
            for name in sorted({name for cell in cells for name in cell.species})
        }
        pairs: dict[str, Any] = {}
        for name in sorted({name for cell in cells for name, _ in cell.pairs}):
            rows = []
            for window in self.windows:
                held = [cell.pairs[name, window] for cell in cells if (name, window) in cell.pairs]
                if held:
                    rows.append({"window": list(window), **measures(held)})
            pairs[name] = rows[0] if len(self.windows) == 1 else {**rows[0], "bins": rows[1:]}
        reason = next((cell.no_ceiling for cell in cells if cell.no_ceiling is not None), None)
        ceiling = None
        if cells and reason is None and "A" in species:
            edge = pairs["A-A"]["ceiling"] if "A-A" in pairs else None
            ceiling = {"node": species["A"]["ceiling"], "edge": edge, "runs": min(cell.runs for cell in cells)}
        fields = [cell.field for cell in cells if cell.field is not None]
        return {
            "species": species,
            "pairs": pairs,
            "ceiling": ceiling,
            "ceiling_reason": reason,
            "heterogeneity": heterogeneity(fields) if fields and together else None,
        }

    def _values(self, wanted: torch.Tensor, predicted: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Target and prediction of a column."""
        return _column(wanted, column), predicted[:, column.output] if self.several else predicted

    def _groups(self, sample: Sample) -> dict[tuple[str, Window], np.ndarray]:
        """Of a pair of species and a window of distances: which directed edges; those without any are left out."""
        graph = sample.graph
        senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
        length = np.linalg.norm(float64_array(graph.vectors), axis=1)
        types = sample.types.astype(np.int64)  # in which no number of a pair overflows
        kinds = int(types.max()) + 1
        ends = types[senders], types[receivers]
        species = np.minimum(*ends) * kinds + np.maximum(*ends)  # a number for each pair of them
        found = {}
        for low, high in self.windows:
            near = (length >= low) & (length < high) & (senders != receivers)
            for number in np.flatnonzero(np.bincount(species[near])).tolist():
                one, other = divmod(number, kinds)
                found[f"{letter(one)}-{letter(other)}", (low, high)] = near & (species == number)
        return found


def _column(values: torch.Tensor, column: Column) -> np.ndarray:
    return float64_array(values if column.target is None else values[:, column.target])


def _compared(
    prediction: np.ndarray, target: np.ndarray, mask: np.ndarray, halves: Sequence[np.ndarray], runs: int
) -> Compared:
    known = reliability(halves[0][mask], halves[1][mask], runs) if len(halves) == 2 else None
    return Compared(prediction[mask], target[mask], known)


def _halves(sample: Sample) -> tuple[list[Targets], str | None]:
    """The targets of the two halves of the runs, or none and why."""
    if sample.halves is None:
        return [], FEW_RUNS if sample.num_runs == 1 else NO_RUNS
    found = [half.targets for half in sample.halves]
    return [targets for targets in found if targets is not None], None

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
from ..model.card import ModelCard
from ..physics.targets import Targets
from ..quantities import FIRST_SHELL
from .ceiling import reliability
from .forward import Outputs, float64_array
from .heterogeneity import Field, field_of, heterogeneity
from .measures import Compared, measures
from .times import Column, columns, num_outputs

__all__ = ["Breakdown", "check_windows"]

Window = tuple[float, float]
NO_RUNS = "the data hold targets and not the runs behind them; the ceiling needs two halves of the runs"
FEW_RUNS = "targets of one run have no halves to compare"


def check_windows(windows: Any, cutoff: float) -> tuple[float, ...]:
    """The edges of the windows of |r_ij(0)|, two or more; (0, FIRST_SHELL) for None, (0, r) for a number r.

    InputError where they do not ascend from a distance that is not negative, or end beyond the cutoff of the model.

    >>> from botan_fast.evaluation.breakdown import check_windows
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

    condition: tuple[float | None, float | None]  # temperature and time of the data
    output: int
    species: dict[str, Compared]
    pairs: dict[tuple[str, Window], Compared]
    field: Field | None  # of type A, for its heterogeneity
    runs: int | None  # behind the targets, where there are halves of them
    no_ceiling: str | None  # why there is none


class Breakdown:
    """The scores of a model one by one, configuration by configuration; `evaluate` says what they are.

    `add` takes a sample and the model's output, `attached` puts the keys into what `Tally.result` says.
    """

    def __init__(self, config: dict[str, Any], card: ModelCard | None, windows: Any = None) -> None:
        self.config, self.card, self.several = config, card, num_outputs(config) > 1
        self.edges = check_windows(windows, config["cutoff"])
        self._cells: list[Cell] = []

    def add(self, sample: Sample, outputs: Outputs) -> None:
        """The output for a sample, compared with its targets."""
        targets = sample.targets
        assert targets is not None  # they were required
        halves, reason = _halves(sample)
        groups = self._groups(sample)
        is_a = sample.types == 0
        for column in columns(self.config, self.card, sample):
            name = self.config["node_target"]
            target, prediction = self._values(targets.node(name), outputs.node, column)
            if np.isnan(target).any():
                continue  # a time that this configuration does not have
            parts = [self._target(half.node(name), column) for half in halves]
            species = {
                letter(kind): _compared(prediction, target, sample.types == kind, parts, sample.num_runs)
                for kind in np.unique(sample.types).tolist()
            }
            pairs = {}
            if outputs.edge is not None and targets.pair_change is not None:
                ours, theirs = self._values(targets.pair_change, outputs.edge, column)
                # Halves without E_ij have no ceiling of it.
                ends = [self._target(h.pair_change, column) for h in halves if h.pair_change is not None]
                if not np.isnan(ours).any():
                    pairs = {
                        key: _compared(theirs, ours, mask, ends, sample.num_runs) for key, mask in groups.items()
                    }
            field = field_of(sample, is_a, target, prediction) if is_a.any() else None
            runs = sample.num_runs if halves else None
            cell = Cell((sample.temperature, column.time), column.output, species, pairs, field, runs, reason)
            self._cells.append(cell)

    def attached(self, result: dict[str, Any]) -> dict[str, Any]:
        """The result of `Tally.result` with the scores one by one, in its rows too."""
        cells = self._cells
        if not self.several:
            result = result | self._of(cells)
        outputs = sorted({cell.output for cell in cells})
        if "times" in result:
            rows = zip(result["times"], outputs, strict=True)
            result["times"] = [row | self._of([cell for cell in cells if cell.output == k]) for row, k in rows]
        if "conditions" in result:
            result["conditions"] = [
                row | self._of([cell for cell in cells if cell.condition == (row["temperature"], row["time"])])
                for row in result["conditions"]
            ]
        return result

    def _of(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """The keys that these cells have together."""
        species = {
            name: measures([cell.species[name] for cell in cells if name in cell.species])
            for name in sorted({name for cell in cells for name in cell.species})
        }
        pairs: dict[str, Any] = {}
        whole = self.edges[0], self.edges[-1]
        for name in sorted({name for cell in cells for name, _ in cell.pairs}):
            windows = [whole] if len(self.edges) == 2 else [whole, *pairwise(self.edges)]
            rows = []
            for window in windows:
                held = [cell.pairs[name, window] for cell in cells if (name, window) in cell.pairs]
                if held:
                    rows.append({"window": list(window), **measures(held)})
            pairs[name] = rows[0] if len(windows) == 1 else {**rows[0], "bins": rows[1:]}
        reasons = [cell.no_ceiling for cell in cells if cell.no_ceiling is not None]
        ceiling = None
        if cells and not reasons and "A" in species:
            runs = min(cell.runs for cell in cells if cell.runs is not None)
            edge = pairs["A-A"]["ceiling"] if "A-A" in pairs else None
            ceiling = {"node": species["A"]["ceiling"], "edge": edge, "runs": runs}
        fields = [cell.field for cell in cells if cell.field is not None]
        return {
            "species": species,
            "pairs": pairs,
            "ceiling": ceiling,
            "ceiling_reason": reasons[0] if reasons else None,
            "heterogeneity": heterogeneity(fields) if fields else None,
        }

    def _values(self, wanted: torch.Tensor, predicted: np.ndarray, column: Column) -> tuple[np.ndarray, np.ndarray]:
        """Target and prediction of a column."""
        return self._target(wanted, column), predicted[:, column.output] if self.several else predicted

    @staticmethod
    def _target(wanted: torch.Tensor, column: Column) -> np.ndarray:
        return float64_array(wanted if column.target is None else wanted[:, column.target])

    def _groups(self, sample: Sample) -> dict[tuple[str, Window], np.ndarray]:
        """Of a pair of species and a window of distances: which directed edges; those without any are left out."""
        graph = sample.graph
        senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
        length = np.linalg.norm(float64_array(graph.vectors), axis=1)
        first = np.minimum(sample.types[senders], sample.types[receivers])
        second = np.maximum(sample.types[senders], sample.types[receivers])
        windows = {(self.edges[0], self.edges[-1]): None, **dict.fromkeys(pairwise(self.edges))}
        found = {}
        for low, high in windows:
            near = (length >= low) & (length < high) & (senders != receivers)
            for one, other in np.unique(np.stack([first[near], second[near]]), axis=1).T.tolist():
                mask = near & (first == one) & (second == other)
                found[f"{letter(one)}-{letter(other)}", (low, high)] = mask
        return found


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

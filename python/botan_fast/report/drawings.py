"""Which figures a report has, each with a sentence of what it shows."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..evaluation.prediction import ConfigurationPrediction
from ..figures import actual_against_predicted, bonds_compared, propensity_compared, training_curves, transfer_matrix
from ..files import printable
from ..quantities import FIRST_SHELL, NODE_TARGETS
from .pictures import Picture, picture
from .results import Results
from .runs import Run

__all__ = ["drawings"]


def drawings(run: Run, results: Results | None) -> list[Picture]:
    """Curves of the training; values of the test data against each other; the first configuration in a slice; and of a
    model with several times, each against the data of each.

    Slices are left out for triclinic boxes, which the figures do not cut.

    >>> from botan_fast.report.drawings import drawings
    >>> from botan_fast.report.runs import read_run
    >>> drawings(read_run("ka-t0.44-tau"), None)
    []
    """
    made = [] if not run.history else [_curves(run)]
    if results is not None:
        made += [*_agreements(results), *_slices(results), *_transfers(results)]
    return made


def _curves(run: Run) -> Picture:
    last = run.history[-1]
    text = f"Curves over {len(run.history)} epochs. The training loss ends at {last['train_loss']:.4g}"
    for name, what in (("test_loss", "the test loss"), ("node_pearson", "Pearson of particles")):
        known = [row[name] for row in run.history if row.get(name) is not None]
        text += f", {what} at {known[-1]:.4g}" if known else ""
    return picture(training_curves(run.history), "Training", f"{text}.", "Losses, and scores where they were taken.")


def _agreements(results: Results) -> Iterator[Picture]:
    """Values of all configurations against each other: particles of type A, and A-A pairs of the first shell."""
    for kind in ("node", "edge"):
        pairs = [found for p in results.predictions if (found := _values(p, kind)) is not None]
        actual, predicted = (np.concatenate(part) for part in zip(*pairs, strict=True)) if pairs else ((), ())
        if len(actual) < 3 or np.ptp(actual) == 0 or np.ptp(predicted) == 0:
            continue
        pearson = np.corrcoef(actual, predicted)[0, 1]
        letter = results.predictions[0].node_target if kind == "node" else "E"
        of = "particles of type A" if kind == "node" else f"A-A pairs with r < {FIRST_SHELL:g}, both directions"
        name = rf"${letter}_{'i' if kind == 'node' else '{ij}'}$"
        yield picture(
            actual_against_predicted(actual, predicted, name=name),
            f"{letter}, actual against predicted",
            f"{len(actual)} values of {letter}, actual against predicted, with a correlation of {pearson:.2f}.",
            f"All {of} of the {len(pairs)} test configurations together.",
        )


def _values(p: ConfigurationPrediction, kind: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Actual and predicted values that count for a score, of one configuration; None where one is not known."""
    actual, predicted = (p.target_propensity, p.propensity) if kind == "node" else (p.target_pair_change, p.pair_change)
    if actual is None or predicted is None:
        return None
    is_a = p.types == 0
    chosen = is_a
    if kind == "edge":
        chosen = is_a[p.senders] & is_a[p.receivers] & (p.senders != p.receivers) & (p.distance < FIRST_SHELL)
    actual, predicted = actual[chosen].ravel(), predicted[chosen].ravel()
    known = np.isfinite(actual)
    return actual[known].astype(np.float64), predicted[known].astype(np.float64)


def _slices(results: Results) -> Iterator[Picture]:
    """The first configuration in a slice: S, or the other node target, and E."""
    p, sample = results.predictions[0], results.samples[0]
    box = _edges(p.box)
    if box is None:
        return
    where: dict[str, Any] = {"temperature": sample.temperature}
    if p.positions.shape[1] == 3:
        where["slab"] = (0.5 * box[2] - 0.5, 0.5 * box[2] + 0.5)
    name = printable(p.name, 200)
    time, node = _at_one_time(p, p.target_propensity, p.propensity, sample.time)
    if node is not None and np.ptp(node[0]) > 0:
        word = NODE_TARGETS[p.node_target].replace("_", " ")
        axes = propensity_compared(
            p.positions, p.types, box, *node, label=rf"{word} ${p.node_target}_i$", time=time, **where
        )
        text = f"A slice through {name}: {word} of the simulation, of the model, and the error."
        yield picture(axes, f"{word} in a slice", text, f"{name}, 1 thick, in the middle of the box.")
    time, pairs = _at_one_time(p, p.target_pair_change, p.pair_change, sample.time)
    near = (p.distance < FIRST_SHELL) & (p.senders < p.receivers)
    if pairs is not None:
        near &= np.isfinite(pairs[0])
    if pairs is not None and near.any():
        actual, predicted = (values[near] for values in pairs)
        ends = np.stack((p.senders[near], p.receivers[near]))
        panels = bonds_compared(p.positions, p.types, box, ends, actual, predicted, time=time, **where)
        text = f"A slice through {name}: changes of pair distances of the simulation and of the model, as segments."
        yield picture(panels, "Pairs in a slice", text, f"Pairs of {name} with r < {FIRST_SHELL:g}; E as colour.")


def _at_one_time(
    p: ConfigurationPrediction, actual: np.ndarray | None, predicted: np.ndarray | None, time: float | None
) -> tuple[float | None, tuple[np.ndarray, np.ndarray] | None]:
    """Values at one time: of a model with several, the latest that is known."""
    if actual is None or predicted is None:
        return time, None
    if predicted.ndim == 1:
        return time, (actual, predicted)
    known = [k for k in range(predicted.shape[1]) if not np.isnan(actual[:, k]).all()]
    if not known:
        return time, None
    k = known[-1]
    return (p.times[k] if p.times else None), (actual[:, k], predicted[:, k])


def _edges(box: np.ndarray) -> np.ndarray | None:
    """Edge lengths of an orthorhombic box, else None."""
    if box.ndim == 1:
        return box
    lengths = np.diag(box)
    return lengths if np.array_equal(np.diag(lengths), box) else None


def _transfers(results: Results) -> Iterator[Picture]:
    """Each output of a model with several times against the data of each time."""
    rows = results.scores.get("conditions") or []
    outputs = results.scores.get("outputs") or []
    for kind, what in (("node", "particles"), ("edge", "pairs")):
        held = [row for row in rows if f"{kind}_transfer" in row]
        if len(held) < 2:
            continue
        matrix = np.array([row[f"{kind}_transfer"] for row in held], dtype=np.float64).T
        axes = transfer_matrix(
            matrix,
            [_time(time) for time in outputs],
            [_time(row["time"]) for row in held],
            rows_are="trained at $t$",
            columns_are="tested at $t$",
            label=f"Pearson of {what}",
        )
        text = f"Pearson of {what}: each output of the model with the data of each time."
        yield picture(axes, f"From time to time, {what}", text, f"Pearson of {what}, means over configurations.")


def _time(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"

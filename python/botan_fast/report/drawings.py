"""Which figures a report has, each with a sentence of what it shows."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..evaluation.columns import bonds_of
from ..evaluation.prediction import ConfigurationPrediction
from ..figures import (
    actual_against_predicted,
    bonds_compared,
    propensity_compared,
    spatial_correlation,
    training_curves,
    transfer_matrix,
)
from ..files import printable
from ..physics.field import field_in_slice
from ..quantities import FIRST_SHELL, NODE_TARGETS
from .pictures import Picture, picture
from .results import Results, shown_of
from .runs import Run

__all__ = ["drawings"]

_ARROWS = 1.5  # between them at least: nearer ones would cover the discs at the size of a page
_MOST_ARROWS = 30  # along an edge


def drawings(run: Run, results: Results | None) -> list[Picture]:
    """Curves of the training; values of the test data against each other; the spatial correlation; the first
    configuration in a slice; and of a model with several times, each against the data of each.

    Slices are left out for triclinic boxes, which the figures do not cut.

    >>> from botan_fast.report.drawings import drawings
    >>> from botan_fast.report.runs import read_run
    >>> drawings(read_run("ka-t0.44-tau"), None)
    []
    """
    made = [] if not run.history else [_curves(run)]
    if results is not None:
        made += [*_agreements(results), *_correlation(results), *_slices(results, run.model.kind), *_transfers(results)]
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
        of = "particles of type A" if kind == "node" else f"A-A pairs with r < {FIRST_SHELL:g} σ, both directions,"
        several = f"the {len(pairs)} test configurations together" if len(pairs) > 1 else "the test configuration"
        yield picture(
            actual_against_predicted(actual, predicted, name=_symbol(letter), **_told(results)),
            f"{letter}, actual against predicted",
            f"{len(actual)} values of {letter}, actual against predicted, with a correlation of {pearson:.2f}.",
            f"All {of} of {several}.",
        )


def _told(results: Results) -> dict[str, Any]:
    """T, t and N where the test data have one of each."""
    sets = {name: {getattr(sample, name) for sample in results.samples} for name in ("temperature", "time")}
    found: dict[str, Any] = {name: values.pop() for name, values in sets.items() if len(values) == 1}
    numbers = {len(sample.types) for sample in results.samples}
    return found | ({"number": numbers.pop()} if len(numbers) == 1 else {})


def _correlation(results: Results) -> Iterator[Picture]:
    """G(r) of the actual and the predicted node target, of data of one state."""
    found = (results.scores.get("heterogeneity") or {}).get("correlation")
    if found is None or not any(value is not None for value in found["actual"]):
        return
    letter = results.predictions[0].node_target
    known = [r for r, value in zip(found["r"], found["actual"], strict=True) if value is not None]
    yield picture(
        spatial_correlation(found["r"], found["actual"], found["predicted"], **_told(results)),
        "Spatial correlation",
        f"The correlation of {letter} of two particles, actual and predicted, at distances up to {known[-1]:.3g}.",
        f"How far together particles of type A are fast or slow: correlation of their {letter} against their distance.",
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


def _slices(results: Results, model: str) -> Iterator[Picture]:
    """The first configuration in a slice: S, or the other node target, and E."""
    p, time = shown_of(results)
    box = _edges(p.box)
    if box is None:
        return
    where: dict[str, Any] = {"temperature": results.samples[0].temperature, "time": time, "model": model}
    flat = p.positions.shape[1] == 2
    where["slab"] = None if flat else (box[2] / 2 - 0.5, box[2] / 2 + 0.5)
    name = printable(p.name, 200)
    place = name if flat else f"{name}, 1 σ thick, in the middle of the box"
    of_slice, shown = ("", "A configuration,") if flat else (" in a slice", "A slice through")
    actual, predicted = p.target_propensity, p.propensity
    if actual is not None and predicted is not None and np.ptp(actual) > 0:
        word = NODE_TARGETS[p.node_target].replace("_", " ")
        options = where | {"label": f"{word} {_symbol(p.node_target)}"}
        text = f"{shown} {name}: {word} of the model, of the simulation, and the error."
        caption = f"{place}."
        if results.field is not None:
            options["field"] = field_in_slice(
                p.positions, results.field, box, spacing=max(_ARROWS, float(np.max(box)) / _MOST_ARROWS)
            )
            caption += " Arrows: the local displacement field of the simulation, mean over its runs."
        axes = propensity_compared(p.positions, p.types, box, actual, predicted, **options)
        yield picture(axes, f"{word.capitalize()}{of_slice}", text, caption)
    if p.pair_change is None or p.target_pair_change is None:
        return
    bonds = bonds_of(p)
    known = np.isfinite(bonds.columns["target_pair_change"])
    if known.any():
        actual, predicted = (bonds.columns[column][known] for column in ("target_pair_change", "pair_change"))
        panels = bonds_compared(p.positions, p.types, box, bonds.pairs[known].T, actual, predicted, **where)
        text = f"{shown} {name}: changes of pair distances of the model and of the simulation, as segments."
        caption = f"{place}: pairs with r < {FIRST_SHELL:g} σ. Blue ones come nearer, red ones part."
        yield picture(panels, f"Pairs{of_slice}", text, caption)


def _symbol(letter: str) -> str:
    """A target in a figure, with its unit."""
    return rf"$\mathcal{{{letter}}}_{{{'ij' if letter == 'E' else 'i'}}}\,/\,\sigma_{{AA}}$"


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

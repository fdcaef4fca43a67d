"""Scores and predictions of a run on its test data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..data.field import field_of
from ..data.loading import Data, given_samples
from ..data.sample import Sample
from ..device import Device
from ..errors import BotanFastError, InputError
from ..evaluation.forward import samples_for
from ..evaluation.prediction import ConfigurationPrediction, predict
from ..evaluation.scores import evaluate
from ..files import printable
from .runs import READING_NAMES, Run

__all__ = ["Results", "results_of", "shown_of"]

_VALUES = ("propensity", "pair_change", "target_propensity", "target_pair_change")


@dataclass(frozen=True)
class Results:
    """What a model says about test data.

    scores       as `evaluate` gives them
    samples      the configurations, with their targets
    predictions  one for each, in the same order
    field        (N, D) the local displacement field of the first one, where its file holds the runs
    """

    scores: dict[str, Any]
    samples: list[Sample]
    predictions: list[ConfigurationPrediction]
    field: np.ndarray | None = None


def results_of(
    run: Run,
    data: Data | None = None,
    reading: Mapping[str, Any] | None = None,
    *,
    windows: float | Sequence[float] | None = None,
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> Results | None:
    """Scores and predictions on `data`, or else on the test data that run.toml names; None where there are neither.

    `reading` has box, density, temperature, time and species as for `evaluate`; what is not in it is as in the run.
    The other arguments are those of `evaluate`.

    Raises
    ------
    InputError
        where the test data of run.toml cannot be read any more: it says so, and asks for `data`.
    DataError, InputError
        as `evaluate`.

    Examples
    --------
    >>> from botan_fast.report.results import results_of
    >>> from botan_fast.report.runs import read_run
    >>> print(results_of(read_run("ka-t0.44-tau")))
    None
    """
    given = {name: value for name, value in (reading or {}).items() if value is not None}
    options: dict[str, Any] = dict.fromkeys(READING_NAMES) | run.reading | given
    found = run.test if data is None else data
    if found is None:
        return None
    try:
        samples = samples_for(run.model, found, **options, require_targets=True, progress=progress, halves=True)
    except (BotanFastError, OSError) as error:
        if data is not None:
            raise
        reason = printable(error, 1000)
        raise InputError(f"{printable(run.path)}: its test data cannot be used ({reason}); give data") from error
    held: dict[str, Any] = {"device": device, "precision": precision, "progress": progress}
    scores = evaluate(run.model, samples, windows=windows, **held)
    predictions = list(predict(run.model, samples, **held))
    return Results(scores, samples, predictions, _field(found, predictions[0], samples[0].time))


def shown_of(results: "Results") -> tuple[ConfigurationPrediction, float | None]:
    """The first configuration at one time, and the time: of a model with several, the latest that is known."""
    return _at_one_time(results.predictions[0], results.samples[0].time)


def _at_one_time(p: ConfigurationPrediction, time: float | None) -> tuple[ConfigurationPrediction, float | None]:
    values = {name: getattr(p, name) for name in _VALUES if getattr(p, name) is not None}
    several = [one for one in values.values() if one.ndim == 2]
    if not several:
        return p, time
    actual = next((values[name] for name in ("target_propensity", "target_pair_change") if name in values), several[0])
    known = [k for k in range(actual.shape[1]) if not np.isnan(actual[:, k]).all()]
    column = known[-1] if known else actual.shape[1] - 1
    chosen: dict[str, Any] = {name: one[:, column] if one.ndim == 2 else one for name, one in values.items()}
    return replace(p, times=None, **chosen), p.times[column] if p.times else None


def _field(data: Data, first: ConfigurationPrediction, time: float | None) -> np.ndarray | None:
    """The local displacement field of a configuration, where its runs are at hand: a report is whole without it."""
    shown, at = _at_one_time(first, time)
    if given_samples(data) is not None or (at is None and shown is not first):  # of which time, nobody knows
        return None
    try:
        field = field_of(data, first.name, first.box, at)
    except (BotanFastError, OSError):
        return None
    return field if field is not None and field.shape == first.positions.shape else None

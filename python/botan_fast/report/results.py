"""Scores and predictions of a run on its test data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..data.loading import Data
from ..data.sample import Sample
from ..device import Device
from ..errors import BotanFastError, InputError
from ..evaluation.forward import samples_for
from ..evaluation.prediction import ConfigurationPrediction, predict
from ..evaluation.scores import evaluate
from ..files import printable
from .runs import READING_NAMES, Run

__all__ = ["Results", "results_of"]


@dataclass(frozen=True)
class Results:
    """What a model says about test data.

    scores       as `evaluate` gives them
    samples      the configurations, with their targets
    predictions  one for each, in the same order
    """

    scores: dict[str, Any]
    samples: list[Sample]
    predictions: list[ConfigurationPrediction]


def results_of(
    run: Run,
    data: Data | None = None,
    reading: Mapping[str, Any] | None = None,
    *,
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> Results | None:
    """Scores and predictions on `data`, or else on the test data that run.toml names; None where there are neither.

    `reading` has box, density, temperature, time and species as for `evaluate`; what is not in it is as in the run.

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
        samples = samples_for(run.model, found, **options, require_targets=True, progress=progress)
    except (BotanFastError, OSError) as error:
        if data is not None:
            raise
        reason = printable(error, 1000)
        raise InputError(f"{printable(run.path)}: its test data cannot be used ({reason}); give data") from error
    held: dict[str, Any] = {"device": device, "precision": precision, "progress": progress}
    return Results(evaluate(run.model, samples, **held), samples, list(predict(run.model, samples, **held)))

"""The scores of a run along its way: columns of the history."""

from typing import Any

from ..data.sample import Sample
from ..evaluation.scores import score
from ..model.botan import BOTAN
from .objective import mean_loss
from .settings import TrainingSettings

__all__ = ["score_columns", "test_columns", "time_columns"]

_SCORES = ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled")


def test_columns(
    model: BOTAN, test: list[Sample], validation: list[Sample], settings: TrainingSettings
) -> dict[str, Any]:
    """The loss and the scores on the test, and, where there are such, on the validation configurations."""
    return score_columns(model, test, settings) | (
        {f"validation_{name}": value for name, value in score_columns(model, validation, settings, brief=True).items()}
        if settings.validation
        else {}
    )


def score_columns(
    model: BOTAN, samples: list[Sample], settings: TrainingSettings, brief: bool = False
) -> dict[str, Any]:
    """ "loss" (of a test: "test_loss") and scores; None for each where there is nothing to test.

    With one output and neither target scaling nor species weights, the loss is p node_loss + (1 - p) edge_loss of
    `evaluate`; else that of training (`objective.mean_loss`), in its units.
    """
    names = _SCORES[:2] if brief else _SCORES
    loss_name = "loss" if brief else "test_loss"
    timed = time_columns(model)
    if not samples:
        return dict.fromkeys((loss_name, *names, *timed))
    scores: dict[str, Any] = dict(score(model, samples, precision=settings.precision))
    if model.config["num_outputs"] == 1 and not model.config["scaled"] and settings.species_weights == "particles":
        loss = settings.p * scores["node_loss"] + (1 - settings.p) * (scores["edge_loss"] or 0.0)
    else:
        loss = mean_loss(model, samples, settings)
    card = model.card
    times = card.times if card is not None else ()
    for end in ("node", "edge"):
        for time, of_time in zip(times, scores.get("times", ()), strict=False):
            scores[f"{end}_pearson[t={time:g}]"] = of_time[f"{end}_pearson"]
    # What has no weight in the loss is not trained, and its scores are those of noise.
    noise = {0.0: "node", 1.0: "edge"}.get(settings.p, "no output")
    return {loss_name: loss} | {n: None if n.startswith(noise) else scores.get(n) for n in (*names, *timed)}


def time_columns(model: BOTAN) -> list[str]:
    """Names of the columns of a model with several outputs, by the times of its card."""
    if model.config["num_outputs"] == 1 or model.card is None:
        return []
    return [f"{end}_pearson[t={time:g}]" for end in ("node", "edge") for time in model.card.times]

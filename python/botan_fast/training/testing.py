"""The scores of a run along its way: columns of the history."""

from functools import reduce
from operator import add
from typing import Any

from ..data.sample import Sample
from ..evaluation.scores import Tally, tallies_of
from ..model.botan import BOTAN
from .distributed import Team
from .objective import sample_losses
from .settings import TrainingSettings

__all__ = ["score_columns", "test_columns", "time_columns"]

_SCORES = ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled")


def test_columns(
    model: BOTAN, test: list[Sample], validation: list[Sample], settings: TrainingSettings, team: Team
) -> dict[str, Any]:
    """The loss and the scores on the test, and, where there are such, on the validation configurations."""
    held = score_columns(model, validation, settings, team, brief=True) if settings.validation else {}
    return score_columns(model, test, settings, team) | {f"validation_{name}": value for name, value in held.items()}


def score_columns(
    model: BOTAN, samples: list[Sample], settings: TrainingSettings, team: Team, brief: bool = False
) -> dict[str, Any]:
    """ "loss" (of a test: "test_loss") and scores; None for each where there is nothing to test.

    With one output and neither target scaling nor species weights, the loss is p node_loss + (1 - p) edge_loss of
    `evaluate`; else that of training (`objective.batch_loss`) of each configuration, in its units, and its mean.
    Each process computes for its configurations, and process 0 scores, as it would alone.
    """
    names = _SCORES[:2] if brief else _SCORES
    loss_name = "loss" if brief else "test_loss"
    timed = time_columns(model)
    if not samples:
        return dict.fromkeys((loss_name, *names, *timed))
    plain = model.config["num_outputs"] == 1 and not model.config["scaled"] and settings.species_weights == "particles"
    tallies = team.shared(samples, lambda own: tallies_of(model, own, settings.precision))
    losses = [] if plain else team.shared(samples, lambda own: sample_losses(model, own, settings))
    return team.first(lambda: _columns(model, tallies, losses, settings, loss_name, (*names, *timed)))


def _columns(
    model: BOTAN,
    tallies: list[Tally],
    losses: list[float],
    settings: TrainingSettings,
    loss_name: str,
    names: tuple[str, ...],
) -> dict[str, Any]:
    """What `score_columns` returns: of the tallies and, where the loss does not follow from them, of each sample's."""
    scores = Tally.joined(tallies).result(len(tallies))
    if not losses:
        loss = settings.p * scores["node_loss"] + (1 - settings.p) * (scores["edge_loss"] or 0.0)
    else:
        loss = reduce(add, losses) / len(losses)  # one after the other: sum() compensates from Python 3.12 on
    card = model.card
    times = card.times if card is not None else ()
    for end in ("node", "edge"):
        for time, of_time in zip(times, scores.get("times", ()), strict=False):
            scores[f"{end}_pearson[t={time:g}]"] = of_time[f"{end}_pearson"]
    # What has no weight in the loss is not trained, and its scores are those of noise.
    noise = {0.0: "node", 1.0: "edge"}.get(settings.p, "no output")
    return {loss_name: loss} | {n: None if n.startswith(noise) else scores.get(n) for n in names}


def time_columns(model: BOTAN) -> list[str]:
    """Names of the columns of a model with several outputs, by the times of its card."""
    if model.config["num_outputs"] == 1 or model.card is None:
        return []
    return [f"{end}_pearson[t={time:g}]" for end in ("node", "edge") for time in model.card.times]

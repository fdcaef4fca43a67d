"""What a run holds back of its training data, and what it does with the loss there: early stopping."""

from typing import Any

import numpy as np
import torch

from ..data.sample import Sample
from ..data.twins import Known
from ..errors import InputError
from .settings import TrainingSettings

__all__ = ["check_patience", "epochs_without_gain", "hold_out", "is_over", "loss_column", "result_epoch"]


def hold_out(samples: list[Sample], settings: TrainingSettings) -> tuple[list[Sample], list[Sample]]:
    """The samples to train on, and those that `validation` holds back: whole configurations, chosen by the seed.

    Raises InputError where nothing would be left to train on.
    """
    if not settings.validation:
        return samples, []
    known: Known[int] = Known()
    places: list[int] = []
    for sample in samples:
        positions = np.asarray(sample.positions)
        same = known.same(positions, sample.types)
        places.append(same[0] if same else len(set(places)))
        if not same:
            known.add(positions, sample.types, places[-1])
    total, wanted = len(set(places)), settings.validation
    number = wanted if isinstance(wanted, int) else max(1, round(wanted * total))
    if number >= total:
        raise InputError(
            f"validation = {wanted} of {total} training configurations leaves none to train on; give fewer, or more "
            "training data"
        )
    state = np.random.SeedSequence([settings.seed, 0, 1]).generate_state(1, np.uint64)[0]  # no epoch has this one
    generator = torch.Generator().manual_seed(int(state) >> 1)
    held = set(torch.randperm(total, generator=generator, device="cpu")[:number].tolist())
    parts = ([s for s, place in zip(samples, places, strict=True) if (place in held) == back] for back in (False, True))
    train, validation = parts
    return train, validation


def check_patience(settings: TrainingSettings, test: list[Sample]) -> None:
    if settings.patience and not settings.validation and not test:
        raise InputError(
            f"patience = {settings.patience} needs a loss on data that are not trained on; give validation=, such as "
            "0.1, or test data"
        )


def loss_column(settings: TrainingSettings) -> str:
    """The column of the history that says which model is the best."""
    return "validation_loss" if settings.validation else "test_loss"


def epochs_without_gain(history: list[dict[str, Any]], settings: TrainingSettings) -> int:
    """Epochs between the lowest loss of `loss_column` and the last one; 0 where there is none yet."""
    column = loss_column(settings)
    losses = {row["epoch"]: row[column] for row in history if row.get(column) is not None}
    return max(losses) - min(losses, key=losses.__getitem__) if losses else 0


def result_epoch(history: list[dict[str, Any]], settings: TrainingSettings) -> int:
    """The epoch whose model is the result: the last one, or with patience the one of the lowest loss."""
    last = history[-1]["epoch"] if history else 0
    column = loss_column(settings)
    losses = {row["epoch"]: row[column] for row in history if row.get(column) is not None}
    return min(losses, key=losses.__getitem__) if settings.patience and losses else last


def is_over(history: list[dict[str, Any]], settings: TrainingSettings) -> bool:
    """Has the run all its epochs, or no lower loss since `patience` of them?"""
    patience = settings.patience
    return len(history) >= settings.epochs or 0 < patience <= epochs_without_gain(history, settings)

"""The loop of training over epochs. It is meant to be read."""

import copy
import math
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch

from ..data.sample import Sample
from ..errors import BotanFastError
from ..interruption import Interrupted, deferred
from ..model.botan import BOTAN
from ..terminal import say
from .average import WeightAverage
from .callbacks import Callback
from .objective import batch_loss, make_batch
from .run_directory import RunDirectory, TrainingState, copy_of_weights
from .settings import TrainingSettings
from .testing import test_columns
from .validation import is_over, loss_column

__all__ = ["Learner", "RunData", "TrainingError", "make_learner", "train_epochs"]


class TrainingError(BotanFastError):
    """Training cannot go on: the loss or a gradient is not finite."""


@dataclass
class RunData:
    """The samples of a run: to learn from, to test on, and those held back (`validation`)."""

    train: list[Sample]
    test: list[Sample]
    validation: list[Sample]

    def to(self, device: torch.device) -> "RunData":
        return RunData(*([s.to(device) for s in part] for part in (self.train, self.test, self.validation)))


@dataclass
class Learner:
    """What an epoch changes: the model, the state of its optimizer, and the average of its weights, if any."""

    model: BOTAN
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None

    @property
    def scored(self) -> BOTAN:
        """The model that is scored: that of the averaged weights where there are some."""
        return self.model if self.average is None else self.average.model

    def capture(self, history: list[dict], best_loss: float | None, best: dict[str, torch.Tensor]) -> TrainingState:
        average = None if self.average is None else self.average.model
        return TrainingState.capture(self.model, self.optimizer, history, best_loss, average, best)

    def restore(self, state: TrainingState) -> None:
        state.restore(self.model, self.optimizer, None if self.average is None else self.average.model)

    def result(self, state: TrainingState) -> BOTAN:
        """The model with the `result` of the state; the model itself where these are its weights."""
        if state.result is state.weights:
            return self.model
        model = copy.deepcopy(self.model)
        model.load_state_dict(state.result)
        return model


def make_learner(model: BOTAN, settings: TrainingSettings) -> Learner:
    """Adam (Kingma & Ba), with weight decay AdamW (Loshchilov & Hutter, arXiv:1711.05101)."""
    optimizer: torch.optim.Optimizer
    if settings.weight_decay:
        optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    return Learner(model, optimizer, WeightAverage(model, settings.ema) if settings.ema else None)


def train_epochs(
    learner: Learner,
    state: TrainingState,
    run: RunDirectory | None,
    data: RunData,
    settings: TrainingSettings,
    watchers: list[Callback],
    progress: bool,
) -> TrainingState:
    """The epochs from `state` to the end of the run; its last state. What it saves is saved in `run`."""
    try:
        for watcher in watchers:
            watcher.run_started(state.epochs, settings.epochs, -(-len(data.train) // settings.batch_size))
        for epoch in range(state.epochs, settings.epochs):
            start = perf_counter()
            row = {"epoch": epoch, **_train_epoch(learner, data.train, settings, epoch, watchers)}
            last = epoch == settings.epochs - 1
            tested = (data.test, data.validation) if last or epoch % settings.evaluate_every == 0 else ([], [])
            row |= test_columns(learner.scored, *tested, settings)
            row |= {"seconds": perf_counter() - start, "learning_rate": learner.optimizer.param_groups[0]["lr"]}

            loss, best_loss, best = row[loss_column(settings)], state.best_loss, state.best
            improved = loss is not None and (best_loss is None or loss < best_loss)
            if improved:
                best_loss, best = loss, copy_of_weights(learner.scored) if settings.patience else {}
            state = learner.capture([*state.history, row], best_loss, best)
            last = is_over(state.history, settings)
            if run is not None:
                with deferred():
                    # The best model first: a kill between the two repeats this epoch and writes the same best again.
                    if improved:
                        run.write_best(learner.scored)
                    if last or state.epochs % settings.checkpoint_every == 0:
                        run.save(state, learner.result(state))
            for watcher in watchers:
                watcher.epoch_finished(row, learner.scored)
            if last:
                break
    except (KeyboardInterrupt, TrainingError) as stop:
        with deferred():
            # Back to the last finished epoch, which checkpoint_every may have left unsaved.
            learner.restore(state)
            if run is not None and state.epochs > 0:
                run.save(state, learner.result(state))
        if run is not None:
            _report_interruption(stop, run, state, progress)
        raise
    finally:
        for watcher in watchers:
            watcher.run_ended()
    return state


def _train_epoch(
    learner: Learner, samples: list[Sample], settings: TrainingSettings, epoch: int, watchers: list[Callback]
) -> dict[str, Any]:
    """One pass over the samples in random order. Returns means over the batches: losses and gradient norm."""
    model, optimizer = learner.model, learner.optimizer
    model.train()
    generator = settings.generator(epoch)
    order = torch.randperm(len(samples), generator=generator, device="cpu").tolist()
    totals = [0.0, 0.0, 0.0, 0.0]
    starts = range(0, len(order), settings.batch_size)
    for number, start in enumerate(starts):
        batch = [samples[i] for i in order[start : start + settings.batch_size]]
        loss, node_loss, edge_loss = batch_loss(model, *make_batch(batch, model, settings, generator), settings)

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        values = torch.stack([loss, node_loss, edge_loss, norm]).tolist()
        if not all(map(math.isfinite, values)):
            names = ", ".join(sample.name for sample in batch)
            raise TrainingError(
                f"loss = {values[0]} and gradient norm = {values[3]} in epoch {epoch}, configuration {names}: the last "
                f"good weights are kept; lower learning_rate = {settings.learning_rate} or check that configuration"
            )
        for group in optimizer.param_groups:
            group["lr"] = settings.step_size(epoch, number, len(starts))
        optimizer.step()
        if learner.average is not None:
            learner.average.update(model, epoch * len(starts) + number + 1)
        totals = [total + value for total, value in zip(totals, values, strict=True)]
        for watcher in watchers:
            watcher.batch_finished(epoch, values[0])
    means = [total / len(starts) for total in totals]
    return {
        "train_loss": means[0],
        "train_node_loss": means[1],
        "train_edge_loss": None if model.config["decoders"] == "node" else means[2],
        "gradient_norm": means[3],
    }


def _report_interruption(stop: BaseException, run: RunDirectory, state: TrainingState, progress: bool) -> None:
    kept = f"'{run.path}' holds {state.epochs} finished epochs"
    if isinstance(stop, Interrupted):  # of the command, which says it in its last line
        stop.saved = f"; {kept}"
    elif isinstance(stop, KeyboardInterrupt) and progress:
        say(f"interrupted: {kept}; continue with resume=True (--resume)")

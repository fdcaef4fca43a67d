"""The loop of training over epochs. It is meant to be read."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter

import torch

from ..data.sample import Sample
from ..errors import BotanFastError
from ..interruption import Interrupted, deferred
from ..log import logger
from ..model.published import weights_digest
from ..terminal import say
from .callbacks import Callback
from .distributed import ALONE, Team
from .engine import choose_steps
from .learner import Learner
from .progress import epoch_text
from .run_directory import RunDirectory, TrainingState, copy_of_weights
from .settings import TrainingSettings
from .testing import test_columns
from .validation import is_over, loss_column
from .watchers import CallbackError, should_stop

__all__ = ["RunData", "train_epochs"]

_LOG = logger(__name__)


@dataclass
class RunData:
    """The samples of a run: to learn from, to test on, and those held back (`validation`)."""

    train: list[Sample]
    test: list[Sample]
    validation: list[Sample]

    def to(self, device: torch.device) -> "RunData":
        """With what is scored on `device`. What is learned from, the steps of an epoch bring there in their own way."""
        return RunData(self.train, *([s.to(device) for s in part] for part in (self.test, self.validation)))


def train_epochs(
    learner: Learner,
    state: TrainingState,
    run: RunDirectory | None,
    data: RunData,
    settings: TrainingSettings,
    watchers: list[Callback],
    progress: bool,
    team: Team = ALONE,
) -> TrainingState:
    """The epochs from `state` to the end of the run; its last state. What it saves is saved in `run`.

    Of several processes all take part in each step, process 0 alone has `run` and `watchers`, and its rows of the
    history are everybody's.
    """
    try:
        steps = choose_steps(learner, data.train, settings, team)
        _LOG.info("%s, %d steps in an epoch", type(steps).__name__, steps.num_batches)
        for watcher in watchers:
            watcher.run_started(state.epochs, settings.epochs, steps.num_batches)
        for epoch in range(state.epochs, settings.epochs):
            start = perf_counter()
            row = {"epoch": epoch, **steps.epoch(epoch, watchers)}
            team.check_equal(partial(_digest, learner), f"the weights after epoch {epoch}")
            last = epoch == settings.epochs - 1
            tested = (data.test, data.validation) if last or epoch % settings.evaluate_every == 0 else ([], [])
            row |= test_columns(learner.scored, *tested, settings, team)
            step_size = settings.step_size(epoch, steps.num_batches - 1, steps.num_batches)
            row |= {"seconds": perf_counter() - start, "learning_rate": step_size}
            row = team.first(row.copy)  # its clock is that of process 0

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
            _LOG.info("%s  gradient %.3g", epoch_text(row, settings.epochs), row["gradient_norm"])
            for watcher in watchers:
                watcher.epoch_finished(row, learner.scored)
            state.stopped = None if last else team.first(partial(should_stop, watchers))
            if state.stopped is not None and run is not None:
                with deferred():
                    run.save(state, learner.result(state))  # with the reason
            if last or state.stopped is not None:
                break
    except (KeyboardInterrupt, BotanFastError) as stop:
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


def _digest(learner: Learner) -> str:
    """Of all that the next epoch computes with, but for the optimizer's moments, which show in the weights after it."""
    return weights_digest(learner.model.state_dict()) + weights_digest(learner.scored.state_dict())


def _report_interruption(stop: BaseException, run: RunDirectory, state: TrainingState, progress: bool) -> None:
    kept = f"'{run.path}' holds {state.epochs} finished epochs"
    if isinstance(stop, Interrupted):  # of the command, which says it in its last line
        stop.saved = f"; {kept}"
    elif isinstance(stop, CallbackError) and state.epochs:
        stop.args = (f"{stop}; {kept}, continue with resume=True (--resume)",)
    elif isinstance(stop, KeyboardInterrupt) and progress:
        say(f"interrupted: {kept}; continue with resume=True (--resume)")

"""The callbacks of a run, together: which there are, what they may raise, and whether they end the run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import BotanFastError, InputError, warn
from ..log import logger, tell
from ..terminal import INFO, in_notebook, is_terminal
from .callbacks import Callback, FunctionCallback, OpenedRun
from .progress import LogLines, ProgressBar

if TYPE_CHECKING:
    import torch

    from ..model.botan import BOTAN
    from .run_directory import TrainingState
    from .settings import TrainingSettings

__all__ = [
    "CallbackError",
    "Watcher",
    "as_callbacks",
    "default_callbacks",
    "guarded",
    "log_means",
    "report_stop",
    "should_stop",
]

_LOG = logger(__name__)

Watcher: TypeAlias = Callback | Callable[[dict[str, Any]], Any]  # what callbacks= takes


class CallbackError(BotanFastError):
    """A callback has raised an error, which is the `__cause__` of this one. What the run had finished is saved.

    >>> from botan_fast.callbacks import CallbackError
    >>> issubclass(CallbackError, ValueError)
    True
    """


def as_callbacks(callbacks: Sequence[Watcher]) -> list[Callback]:
    """The callbacks of `train(callbacks=)`, functions too; InputError for anything else."""
    if isinstance(callbacks, Callback) or not isinstance(callbacks, Sequence) or isinstance(callbacks, str):
        raise InputError(f"callbacks = {callbacks!r} is no list; give a list of callbacks and functions")
    found: list[Callback] = []
    for number, one in enumerate(callbacks):
        if isinstance(one, type):
            raise InputError(f"callbacks[{number}] is the class {one.__name__}; give an object, {one.__name__}(...)")
        if not (isinstance(one, Callback) or callable(one)):
            raise InputError(f"callbacks[{number}] = {one!r} is neither a Callback nor a function of a row")
        found.append(one if isinstance(one, Callback) else FunctionCallback(one))
    return found


def default_callbacks(progress: bool) -> list[Callback]:
    """With `progress` a bar in a terminal or a notebook, lines elsewhere."""
    return [ProgressBar() if is_terminal() or in_notebook() else LogLines()] if progress else []


def should_stop(watchers: Sequence[Callback]) -> str | None:
    """Why the run ends here, by the first of its callbacks that wants it; None to go on. The one place that asks.

    >>> from botan_fast.training.callbacks import Callback
    >>> from botan_fast.training.watchers import should_stop
    >>> should_stop([Callback()])
    """
    return next((reason for watcher in watchers if (reason := watcher.reason_to_stop()) is not None), None)


def report_stop(state: TrainingState, progress: bool) -> None:
    """A line about a run that a callback has ended."""
    if state.stopped is not None:
        tell(_LOG, f"stopped after epoch {state.epochs - 1}: {state.stopped}", progress)


def log_means(model: BOTAN, settings: TrainingSettings, device: torch.device) -> None:
    """With what a run computes, for the log: the machine, the model, the kernels."""
    if not _LOG.isEnabledFor(INFO):
        return
    import torch

    from .. import ops
    from ..info import build_info

    info, config = build_info(), model.config
    gpu = f", {info['cuda_device']}" if device.type == "cuda" else ""
    _LOG.info("torch %s on %s, %d threads, %s%s", info["torch"], info["platform"], info["threads"], info["simd"], gpu)
    weights = sum(parameter.numel() for parameter in model.parameters())
    of_model = ("hidden_size", "num_steps", "decoders", "node_target", "node_inputs", "edge_inputs")
    _LOG.info("model of %d weights: %s", weights, ", ".join(f"{name} = {config[name]}" for name in of_model))
    fast = ops.has_fast_path(config["hidden_size"], torch.float32, device, settings.precision)
    _LOG.info("%s, %s", settings.precision, "compiled kernels" if fast else "plain torch")
    _LOG.debug("%s", settings)


def guarded(callbacks: Sequence[Callback]) -> list[Callback]:
    """The callbacks as one, of which an error says whose it is."""
    return [_Together(callbacks)]


class _Together(Callback):
    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = list(callbacks)

    def run_opened(self, run: OpenedRun) -> None:
        for one in self.callbacks:
            _call(one, "run_opened", replace(run))  # with rows of its own

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        for one in self.callbacks:
            _call(one, "run_started", first_epoch, epochs, batches)

    def batch_finished(self, epoch: int, loss: float) -> None:
        for one in self.callbacks:
            _call(one, "batch_finished", epoch, loss)

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        for one in self.callbacks:
            _call(one, "epoch_finished", row, model)

    def reason_to_stop(self) -> str | None:
        reasons = [_call(one, "reason_to_stop") for one in self.callbacks]
        for one, reason in zip(self.callbacks, reasons, strict=True):
            if reason is not None:
                return f"{_name(one)}: {' '.join(str(reason).split())}"
        return None

    def run_ended(self) -> None:
        """All of them end, last ones first, whatever one raises; where the run itself has failed, that is the error."""
        failed = sys.exc_info()[1] is not None
        errors: list[BotanFastError] = []
        for one in reversed(self.callbacks):
            try:
                _call(one, "run_ended")
            except BotanFastError as error:
                errors.append(error)
        if errors and not failed:
            raise errors[0]
        for one_error in errors:
            warn(str(one_error))


def _call(callback: Callback, method: str, *arguments: Any) -> Any:
    try:
        return getattr(callback, method)(*arguments)
    except BotanFastError:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise CallbackError(f"callback {_name(callback)} failed in {method} ({text})") from error


def _name(callback: Callback) -> str:
    if isinstance(callback, FunctionCallback):
        return getattr(callback.function, "__qualname__", None) or type(callback.function).__name__
    return type(callback).__name__

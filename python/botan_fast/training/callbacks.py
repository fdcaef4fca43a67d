"""What watches a training run: the interface, functions, and early stopping. Public as `botan_fast.callbacks`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import did_you_mean

if TYPE_CHECKING:
    from ..model.botan import BOTAN

__all__ = ["Callback", "EarlyStopping", "FunctionCallback", "OpenedRun"]


@dataclass(frozen=True)
class OpenedRun:
    """What is known of a run before its first epoch of this call.

    output    the run folder, or None
    config    what config.json holds: "settings", "model", the data in short
    history   the lines of the epochs that are finished already, one dict each; [] in a new run
    progress  does the run tell how far it is (`train(progress=)`)? Where it does not, callbacks should be silent too

    >>> from botan_fast.callbacks import OpenedRun
    >>> OpenedRun().history
    []
    """

    output: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    progress: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", [dict(row) for row in self.history])  # nobody's but the callback's


class Callback:
    """Base class of callbacks: override what you need. None of the methods may change the run.

    They are called in this order: run_opened, reason_to_stop (of a resumed run), run_started, then for each epoch
    batch_finished, epoch_finished and reason_to_stop, and run_ended. What a method raises ends the run, after what is
    finished has been saved, with a `CallbackError` that names the callback; a BotanFastError is passed on as it is. Of
    several processes of one run the callbacks run in the first.

    Examples
    --------
    >>> from botan_fast.callbacks import Callback
    >>> class Print(Callback):
    ...     def epoch_finished(self, row, model):
    ...         print(row["epoch"], row["train_loss"])

    One that ends the run when it has its time. A resumed run begins to count anew:

    >>> import time
    >>> class Budget(Callback):
    ...     def __init__(self, seconds):
    ...         self.seconds = seconds
    ...     def run_started(self, first_epoch, epochs, batches):
    ...         self.begun = time.monotonic()
    ...     def reason_to_stop(self):
    ...         if hasattr(self, "begun") and time.monotonic() - self.begun > self.seconds:
    ...             return f"{self.seconds} s are over"
    """

    def run_opened(self, run: OpenedRun) -> None:
        """Called once, first: the folder, the settings, and the history so far of a run that is resumed."""

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        """Called once; `batches` is the number of batches in an epoch."""

    def batch_finished(self, epoch: int, loss: float) -> None:
        """Called once for every optimizer step, in their order, with the loss of its batch.

        On a CPU right after the step. On CUDA, where nobody waits for a step, some time later: about twice a second for
        all steps that are finished by then, and at the end of the epoch.
        """

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        """Called after every epoch with its line of the history."""

    def reason_to_stop(self) -> str | None:
        """Why the run should end here, in a line; None to go on. Asked after every epoch."""
        return None

    def run_ended(self) -> None:
        """Called once, also when the run is interrupted or fails."""


class FunctionCallback(Callback):
    """A plain function f(row), called after every epoch; `train(callbacks=[f])` makes one of it.

    >>> from botan_fast.callbacks import FunctionCallback
    >>> losses = []
    >>> callback = FunctionCallback(lambda row: losses.append(row["train_loss"]))
    """

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self.function = function

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self.function(row)


class EarlyStopping(Callback):
    """End a run when a column of the history gets no better.

    After an epoch with a value v of `monitor`, the run ends if the last better value is `patience` epochs old or
    older. With mode "max" v is better than the best so far, b, when v > b + min_delta, with "min" when
    v < b - min_delta; NaN is never better. Epochs without a value, between two evaluations, decide nothing.

    The decision follows from the history alone: a run that is resumed, with the same object or a new one, ends where it
    would have ended; with a larger patience or without this callback it goes on. The result is the model of the last
    epoch. `train(patience=K)` is the rule that belongs to the run: it looks at the loss on the validation, or else the
    test configurations, and keeps the model of the lowest loss. Both may be given.

    Parameters
    ----------
    monitor : str
        A column of history.csv, such as "node_pearson", "test_loss", "validation_node_pearson", "train_loss".
    mode : {"min", "max"}
        Which values are better; by default "min" for losses, "max" for everything else.
    patience : int
        Epochs, at least 1.
    min_delta : float
        By how much a value must be better, not negative.

    Attributes
    ----------
    best, best_epoch
        The best value and its epoch; None before there is one.

    Raises
    ------
    InputError
        for wrong arguments; after the first epoch when the history has no such column, or no values in it.

    Examples
    --------
    >>> from botan_fast.callbacks import EarlyStopping
    >>> stop = EarlyStopping("node_pearson", patience=2)
    >>> for epoch, value in enumerate([0.5, 0.6, 0.6, 0.55]):
    ...     stop.epoch_finished({"epoch": epoch, "node_pearson": value}, None)
    >>> print(stop.reason_to_stop())
    no node_pearson above 0.6 (epoch 1) for 2 epochs
    >>> stop.best, stop.best_epoch
    (0.6, 1)

    In a run: ``bf.train("train.h5", "test.h5", callbacks=[EarlyStopping("node_pearson", patience=20)])``
    """

    def __init__(self, monitor: str, mode: str | None = None, patience: int = 20, min_delta: float = 0.0) -> None:
        if mode is None:
            mode = "min" if monitor.endswith("loss") else "max"
        if mode not in ("min", "max"):
            raise InputError(f"mode = {mode!r}; choose one of 'min', 'max'")
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise InputError(f"patience = {patience!r}; give a whole number of epochs, at least 1")
        if not 0 <= min_delta < math.inf:
            raise InputError(f"min_delta = {min_delta!r}; give a number that is not negative")
        self.monitor, self.mode, self.patience, self.min_delta = monitor, mode, patience, float(min_delta)
        self._begin()

    def _begin(self) -> None:
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._since: int | None = None  # epoch of the best value, or of the first where all are NaN
        self._last: int | None = None  # the last epoch with a value

    def run_opened(self, run: OpenedRun) -> None:
        """Begin anew, with the history of a resumed run."""
        self._begin()
        for row in run.history:
            self._see(row)

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self._see(row)

    def reason_to_stop(self) -> str | None:
        """The reason, once the best value is `patience` epochs old."""
        if self._last is None or self._since is None or self._last - self._since < self.patience:
            return None
        best = "" if self.best is None else f" {'above' if self.mode == 'max' else 'below'} {self.best:.6g}"
        delta = f" by more than {self.min_delta:g}" if self.min_delta and best else ""
        return f"no {self.monitor}{best}{delta} (epoch {self._since}) for {self._last - self._since} epochs"

    def _see(self, row: Mapping[str, Any]) -> None:
        if self.monitor not in row:
            meant = did_you_mean(self.monitor, row, show=repr)
            raise InputError(f"EarlyStopping: the history has no column monitor = {self.monitor!r}{meant}")
        value, epoch = row[self.monitor], row["epoch"]
        if value is None:
            if epoch == 0:  # which is evaluated whatever evaluate_every is
                raise InputError(
                    f"EarlyStopping: monitor = {self.monitor!r} has no values in this run; give the test data, the "
                    "validation or the p that it needs"
                )
            return
        self._last = epoch
        sign = 1 if self.mode == "max" else -1
        if not math.isnan(value) and (self.best is None or sign * (value - self.best) > self.min_delta):
            self.best, self.best_epoch, self._since = value, epoch, epoch
        elif self._since is None:
            self._since = epoch

"""What watches a training run: progress bar, log lines, TensorBoard, and the interface for a user's own."""

import contextlib
import math
import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

from ..files import FilePath
from ..model.botan import BOTAN
from ..terminal import is_terminal, say

__all__ = ["Callback", "FunctionCallback", "LogLines", "ProgressBar", "TensorBoard", "default_callbacks"]


class Callback:
    """Base class of callbacks: override what you need. None of the methods may change the run.

    Examples
    --------
    >>> from botan_fast.training.callbacks import Callback
    >>> class Print(Callback):
    ...     def epoch_finished(self, row, model):
    ...         print(row["epoch"], row["train_loss"])
    """

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        """Called once; `batches` is the number of batches in an epoch."""

    def batch_finished(self, epoch: int, loss: float) -> None:
        """Called once for every optimizer step, in their order, with the loss of its batch.

        On a CPU right after the step. On CUDA, where nobody waits for a step, some time later: about twice a second for
        all steps that are finished by then, and at the end of the epoch.
        """

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        """Called after every epoch with its line of the history."""

    def run_ended(self) -> None:
        """Called once, also when the run is interrupted or fails."""


class FunctionCallback(Callback):
    """A plain function f(row), called after every epoch."""

    def __init__(self, function: Callable[[dict[str, Any]], Any]) -> None:
        self.function = function

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self.function(row)


class ProgressBar(Callback):
    """One bar over all batches of the run, with the latest loss and scores (tqdm, on standard error)."""

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        from tqdm import tqdm

        self.scores: dict[str, str] = {}
        total, begun = epochs * batches, first_epoch * batches
        # Where somebody asks for a bar it is drawn, terminal or not; without a standard error there is nowhere to.
        self.bar = tqdm(
            total=total, initial=begun, unit="batch", desc="training", dynamic_ncols=True, disable=sys.stderr is None
        )

    def batch_finished(self, epoch: int, loss: float) -> None:
        self.bar.set_postfix({"epoch": epoch, "loss": f"{loss:.4f}", **self.scores}, refresh=False)
        self.bar.update()

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self.scores.update(_short_scores(row))
        # The scores of the last epoch too, after which no batch comes: the bar ends with them.
        self.bar.set_postfix({"epoch": row["epoch"], "loss": f"{row['train_loss']:.4f}", **self.scores}, refresh=False)

    def run_ended(self) -> None:
        if hasattr(self, "bar"):
            self.bar.close()


class LogLines(Callback):
    """Lines on standard error for log files, where a bar would be noise: for each evaluated epoch, and one a minute."""

    EVERY = 60.0  # seconds

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        self.epochs, self.batches = epochs, batches
        self.done, self.left = 0, (epochs - first_epoch) * batches
        self.start = self.last = monotonic()

    def batch_finished(self, epoch: int, loss: float) -> None:
        self.done += 1
        if monotonic() - self.last >= self.EVERY:
            batch = self.done % self.batches or self.batches
            self._print([f"epoch {epoch}/{self.epochs}", f"batch {batch}/{self.batches}", f"loss {loss:.4f}"])

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        scores = _short_scores(row)
        if scores or row["epoch"] in (0, self.epochs - 1):
            parts = [f"epoch {row['epoch']}/{self.epochs}", f"loss {row['train_loss']:.4f}"]
            parts += [f"{name} {value}" for name, value in scores.items()]
            self._print([*parts, f"{row['seconds']:.1f} s/epoch"])

    def _print(self, parts: list[str]) -> None:
        self.last = monotonic()
        left = (self.last - self.start) / self.done * (self.left - self.done) if self.done else 0.0
        say("  ".join([*parts, *([f"{_duration(left)} left"] if left else [])]))


class TensorBoard(Callback):
    """Every number of the history as a TensorBoard scalar, in `folder`."""

    def __init__(self, folder: FilePath) -> None:
        from torch.utils.tensorboard import SummaryWriter  # ImportError where TensorBoard is not installed

        self.writer_class, self.folder = SummaryWriter, folder

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        # What a killed run wrote after its last saved epoch is dropped; those epochs come again.
        self.writer = self.writer_class(str(self.folder), purge_step=first_epoch)

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        for name, value in row.items():
            if name != "epoch" and value is not None:
                self.writer.add_scalar(name, value, row["epoch"])

    def run_ended(self) -> None:
        if hasattr(self, "writer"):
            self.writer.close()


def default_callbacks(progress: bool, tensorboard_folder: FilePath | None = None) -> list[Callback]:
    """Progress bar in a terminal, log lines elsewhere; TensorBoard when it is installed and a folder is given."""
    callbacks: list[Callback] = []
    if progress:
        callbacks.append(ProgressBar() if is_terminal() else LogLines())
    if tensorboard_folder is not None:
        with contextlib.suppress(ImportError):
            callbacks.append(TensorBoard(tensorboard_folder))
    return callbacks


def _short_scores(row: dict[str, Any]) -> dict[str, str]:
    names = {"test_loss": "test", "validation_loss": "valid", "node_pearson": "node_r", "edge_pearson": "edge_r"}
    values = {short: row[name] for name, short in names.items() if row.get(name) is not None}
    return {short: "nan" if math.isnan(value) else f"{value:.4f}" for short, value in values.items()}


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{seconds:.0f} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"

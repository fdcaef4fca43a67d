"""How far a run is, for people: a bar in a terminal, lines elsewhere."""

from __future__ import annotations

import math
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..terminal import bar_class, log_lines_shown, say
from .callbacks import Callback

if TYPE_CHECKING:
    from ..model.botan import BOTAN

__all__ = ["LogLines", "ProgressBar", "epoch_text"]


class ProgressBar(Callback):
    """One bar over all batches of the run, with the latest loss and scores (tqdm, on standard error or in a notebook).

    `train(progress=True)` has one in a notebook, and where standard error is a terminal. Given as a
    callback it is drawn in any case:

    >>> from botan_fast.callbacks import ProgressBar
    >>> bar = ProgressBar()
    """

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        self.scores: dict[str, str] = {}
        total, begun = epochs * batches, first_epoch * batches
        # Where somebody asks for a bar it is drawn, terminal or not; without a standard error there is nowhere to.
        self.bar = bar_class()(
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
    """Lines on standard error for log files, where a bar would be noise: for each evaluated epoch, and one a minute.

    `train(progress=True)` has them where standard error is no terminal:

    >>> from botan_fast.callbacks import LogLines
    >>> lines = LogLines()
    """

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
        if (_short_scores(row) or row["epoch"] in (0, self.epochs - 1)) and not log_lines_shown():
            self._print([epoch_text(row, self.epochs)])

    def _print(self, parts: list[str]) -> None:
        self.last = monotonic()
        left = (self.last - self.start) / self.done * (self.left - self.done) if self.done else 0.0
        # The log has each epoch anyhow.
        say("  ".join([*parts, *([f"{_duration(left)} left"] if left else [])]), listened=False)


def epoch_text(row: dict[str, Any], epochs: int) -> str:
    """An epoch in a line.

    >>> from botan_fast.training.progress import epoch_text
    >>> epoch_text({"epoch": 4, "train_loss": 0.25, "node_pearson": 0.5, "seconds": 2.0}, 10)
    'epoch 4/10  loss 0.2500  node_r 0.5000  2.0 s/epoch'
    """
    parts = [f"epoch {row['epoch']}/{epochs}", f"loss {row['train_loss']:.4f}"]
    parts += [f"{name} {value}" for name, value in _short_scores(row).items()]
    return "  ".join([*parts, f"{row['seconds']:.1f} s/epoch"])


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

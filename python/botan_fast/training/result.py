"""What a run of training gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..markup import html_table
from ..model.botan import BOTAN
from ..terminal import in_notebook

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TrainingResult"]

_SHOWN = ("train_loss", "validation_loss", "test_loss", "node_pearson", "edge_pearson")


@dataclass(repr=False)
class TrainingResult:
    """What train() returns.

    model     BOTAN after the last epoch; with `ema` that of the averaged weights, with `patience` the best one. Its
              `card` says what it was trained for
    history   list of dict, one for each epoch; its keys are the columns of history.csv
    output    the run directory, or None
    epoch     the epoch that the model is of: the last one, but with `patience`
    replays   steps of this call that were replays of a CUDA graph, counted on the device (docs/training-gpu.md)
    stopped   why a callback has ended the run before its last epoch, None where none has
    """

    model: BOTAN
    history: list[dict[str, Any]]
    output: Path | None
    epoch: int = -1
    replays: int = 0
    stopped: str | None = None

    def __repr__(self) -> str:
        numbers = "".join(f", {name}={value}" for name, value in self._numbers() if name != "validation_loss")
        output = "" if self.output is None else f", output={str(self.output)!r}"
        return f"TrainingResult({len(self.history)} epochs{numbers}{output})"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [("epochs", len(self.history)), *self._numbers()]
        rows += [] if self.stopped is None else [("stopped", self.stopped)]
        rows += [] if self.output is None else [("output", self.output)]
        card = self.model.card
        rows += [] if card is None else [("trained for", card.trained_for)]
        return html_table("TrainingResult", rows)

    def _numbers(self) -> list[tuple[str, str]]:
        """The scores of the model, those that there are; nothing of a result that somebody has put together oddly."""
        there = -len(self.history) <= self.epoch < len(self.history)
        known = self.history[self.epoch] if there else {}
        return [(name, f"{known[name]:.4g}") for name in _SHOWN if isinstance(known.get(name), (int, float))]

    def plot(self, axes: Sequence[Axes] | None = None) -> tuple[Axes, Axes]:
        """Draw the losses and the scores of the run against the epoch.

        Parameters
        ----------
        axes : two axes to draw into, optional
            By default those of a new figure; in a notebook it is shown below the cell.

        Returns
        -------
        tuple of two matplotlib.axes.Axes
            Of the losses and of the scores. `result.plot()[0].figure.savefig("run.pdf")` writes the figure.

        Raises
        ------
        InputError
            for another number of axes, and for a run without an epoch.

        Examples
        --------
        >>> import botan_fast as bf
        >>> from botan_fast.training.result import TrainingResult
        >>> result = TrainingResult(bf.BOTAN(), [{"epoch": 0, "train_loss": 0.2, "node_pearson": 0.1}], None)
        >>> [ax.get_ylabel() for ax in result.plot()]
        ['loss', 'Pearson']
        """
        from ..figures import PAGE, style, training_curves

        if axes is None and in_notebook():  # which shows the figures of pyplot
            from matplotlib import pyplot

            with style():
                axes = pyplot.subplots(1, 2, figsize=(PAGE, 2.6), layout="constrained")[1]
        return training_curves(self.history, axes=axes)

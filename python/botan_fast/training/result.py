"""What a run of training gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.botan import BOTAN

__all__ = ["TrainingResult"]


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
        last = self.history[self.epoch] if self.history else {}
        names = ("train_loss", "test_loss", "node_pearson", "edge_pearson")
        numbers = "".join(f", {name}={last[name]:.4g}" for name in names if last.get(name) is not None)
        output = "" if self.output is None else f", output={str(self.output)!r}"
        return f"TrainingResult({len(self.history)} epochs{numbers}{output})"

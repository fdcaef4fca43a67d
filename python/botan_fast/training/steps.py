"""The interface of an epoch's steps, and what both implementations of it share.

`eager` calls one operation after the other, `captured` replays a CUDA graph of them; `engine` chooses.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from ..data.sample import Sample
from ..errors import TrainingError
from .callbacks import Callback
from .learner import Learner
from .settings import TrainingSettings

__all__ = ["Steps", "TrainingError"]


class Steps(ABC):
    """The optimizer steps of a run, an epoch at a time."""

    def __init__(self, learner: Learner, samples: Sequence[Sample], settings: TrainingSettings) -> None:
        self.learner, self.settings = learner, settings
        self.names = [sample.name for sample in samples]
        self.num_batches = -(-len(samples) // settings.batch_size)

    def epoch(self, epoch: int, watchers: Sequence[Callback]) -> dict[str, Any]:
        """One pass over the samples in random order. Returns means over the batches: losses and gradient norm.

        Raises TrainingError where one of them is not finite; the weights are then those before that batch.
        """
        self.learner.model.train()
        generator = self.settings.generator(epoch)
        order = torch.randperm(len(self.names), generator=generator, device="cpu").tolist()
        size, totals = self.settings.batch_size, [0.0, 0.0, 0.0, 0.0]
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        for number, values in enumerate(self.run(epoch, batches, generator)):
            self._check(values, epoch, batches[number])
            totals = [total + value for total, value in zip(totals, values, strict=True)]
            for watcher in watchers:
                watcher.batch_finished(epoch, values[0])
        means = [total / self.num_batches for total in totals]
        return {
            "train_loss": means[0],
            "train_node_loss": means[1],
            "train_edge_loss": None if self.learner.model.config["decoders"] == "node" else means[2],
            "gradient_norm": means[3],
        }

    @abstractmethod
    def run(self, epoch: int, batches: list[list[int]], generator: torch.Generator) -> Iterator[list[float]]:
        """One optimizer step for each batch, which holds numbers of samples.

        Yields loss, node loss, edge loss and gradient norm of every batch in turn, some time after its step. Where one
        is not finite the step changes nothing, and nobody asks for more.
        """

    def _check(self, values: Sequence[float], epoch: int, batch: list[int]) -> None:
        if not all(map(math.isfinite, values)):
            names = ", ".join(self.names[i] for i in batch)
            raise TrainingError(
                f"loss = {values[0]} and gradient norm = {values[3]} in epoch {epoch}, configuration {names}: the last "
                f"good weights are kept; lower learning_rate = {self.settings.learning_rate} or check that "
                "configuration"
            )

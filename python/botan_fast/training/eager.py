"""An epoch step by step: one operation after the other, as PyTorch is usually written. The CPU's way."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ..data.sample import Sample
from .batches import PackedBatches
from .learner import Learner
from .objective import Batch, batch_loss, make_batch
from .settings import TrainingSettings
from .steps import Steps

__all__ = ["EagerSteps"]


class EagerSteps(Steps):
    """Every batch is made from its samples; or, with `packed`, by the one kernel that captured steps have."""

    def __init__(
        self,
        learner: Learner,
        samples: Sequence[Sample],
        settings: TrainingSettings,
        packed: PackedBatches | None = None,
    ) -> None:
        super().__init__(learner, samples, settings)
        self._samples = [] if packed else [sample.to(learner.device) for sample in samples]
        self._packed = packed

    def run(self, epoch: int, batches: list[list[int]], generator: torch.Generator) -> Iterator[list[float]]:
        learner, settings = self.learner, self.settings
        for number, batch in enumerate(batches):
            losses = self._backward(batch, generator)
            norm = learner.clip(settings.clip_norm)
            values = torch.stack([*losses, norm]).tolist()
            if all(map(math.isfinite, values)):
                learner.set_step_size(settings.step_size(epoch, number, len(batches)))
                learner.optimizer.step()
                learner.update_average(epoch * len(batches) + number + 1)
            yield values

    def _backward(self, batch: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Make the gradients of a batch; returns its loss, node loss and edge loss, each ()."""
        learner = self.learner
        losses = batch_loss(learner.model, *self._make(batch, generator), self.settings)
        learner.optimizer.zero_grad(set_to_none=True)
        losses[0].backward()
        return losses

    def _make(self, batch: list[int], generator: torch.Generator) -> Batch:
        if self._packed is None:
            return make_batch([self._samples[i] for i in batch], self.learner.model, self.settings, generator)
        made = self._packed.load(self._packed.stage(batch, generator))
        self._packed.passed()
        return made

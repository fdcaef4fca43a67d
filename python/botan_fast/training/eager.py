"""An epoch step by step: one operation after the other, as PyTorch is usually written. The CPU's way."""

import math
from collections.abc import Iterator, Sequence

import torch

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
            loss, node_loss, edge_loss = batch_loss(learner.model, *self._make(batch, generator), settings)
            learner.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            norm = learner.clip(settings.clip_norm)
            values = torch.stack([loss, node_loss, edge_loss, norm]).tolist()
            if all(map(math.isfinite, values)):
                learner.set_step_size(settings.step_size(epoch, number, len(batches)))
                learner.optimizer.step()
                learner.update_average(epoch * len(batches) + number + 1)
            yield values

    def _make(self, batch: list[int], generator: torch.Generator) -> Batch:
        if self._packed is None:
            return make_batch([self._samples[i] for i in batch], self.learner.model, self.settings, generator)
        made = self._packed.load(self._packed.stage(batch, generator))
        self._packed.passed()
        return made

"""An epoch of replays: the whole training step is one CUDA graph, captured once for each size of batch.

The graph holds the kernel that loads the batch, forward and backward pass, the clipping, Adam and the average of
weights. The host queues, for each step, a small copy (what `StepInputs` has) and a replay, and reads the numbers of the
steps, which the graph writes into a record on the device, when there is time: it never waits for the device but at the
end of an epoch, and where it is some steps ahead.
"""

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from ..data.sample import Sample
from ..ops.batches import StepResults, record_step
from ..ops.losses import unit_gradient
from .batches import BatchShape, PackedBatches
from .device_queue import DeviceQueue, Mark
from .learner import Learner
from .objective import batch_loss
from .packing import NotCapturable
from .settings import TrainingSettings
from .steps import Steps

__all__ = ["CapturedSteps"]

WARM_UPS = 2  # steps of each size before its capture
LOOK_EVERY = 0.5  # seconds between two looks at the record within an epoch


class CapturedSteps(Steps):
    """Replays of CUDA graphs. NotCapturable where torch cannot capture the step.

    The bits are those of `EagerSteps` with the same `PackedBatches`. The learner must not be restored afterwards: the
    graphs hold the addresses of its optimizer's state.
    """

    def __init__(
        self,
        learner: Learner,
        samples: Sequence[Sample],
        settings: TrainingSettings,
        batches: PackedBatches,
        queue: DeviceQueue,
    ) -> None:
        super().__init__(learner, samples, settings)
        self._batches, self._queue = batches, queue
        device = queue.device
        record, count = (
            torch.zeros(self.num_batches, 4, device=device),
            torch.zeros(1, dtype=torch.int64, device=device),
        )
        self._results = StepResults(record, torch.zeros((), device=device), torch.ones((), device=device), count)
        self._seen = queue.pinned((self.num_batches, 4), torch.float32)
        self._seen_count = queue.pinned((1,), torch.int64)
        self._replays = 0
        learner.read_from(batches.inputs.step_size, self._results.not_finite, self._results.gradient_scale)
        try:
            self._graphs = dict(self._captured())
        except BaseException:
            learner.read_from(torch.full((1,), settings.learning_rate, device=device), None, None)
            raise

    def run(self, epoch: int, batches: list[list[int]], generator: torch.Generator) -> Iterator[list[float]]:
        settings, average = self.settings, self.learner.average
        shown, copied, mark, last = 0, 0, None, monotonic()
        for number, batch in enumerate(batches):
            weight = 0.0 if average is None else average.weight(epoch * len(batches) + number + 1)
            step_size = settings.step_size(epoch, number, len(batches))
            shape = self._batches.stage(batch, generator, number, step_size, weight)
            self._queue.replay(self._graphs[shape])
            self._batches.passed()
            self._replays += 1
            if mark is None and monotonic() - last >= LOOK_EVERY:
                copied, mark = number + 1, self._look()
            elif mark is not None and mark.done():
                yield from self._seen[shown:copied].tolist()
                shown, mark, last = copied, None, monotonic()
        self._look().wait()
        self.learner.replays = int(self._seen_count)
        if self.learner.replays != self._replays:
            raise RuntimeError(f"{self._replays} replays were queued, but the device counted {self.learner.replays}")
        yield from self._seen[shown:].tolist()

    def _look(self) -> Mark:
        """Queue a copy of the record to the host, and of the number of replays."""
        self._queue.copy(self._seen, self._results.record)
        self._queue.copy(self._seen_count, self._results.steps)
        return self._queue.mark()

    def _step(self, shape: BatchShape) -> None:
        """What is captured: no number comes from the host, and none goes there."""
        learner, settings, inputs = self.learner, self.settings, self._batches.inputs
        losses = batch_loss(learner.model, *self._batches.load(shape), settings)
        learner.optimizer.zero_grad(set_to_none=True)
        losses[0].backward(unit_gradient(losses[0]))
        found = [loss.detach() for loss in losses]
        record_step(found, learner.gradient_norms(), settings.clip_norm, inputs.number, self._results)
        learner.optimizer.step()
        if learner.average is not None:
            learner.average.update_by(learner.model, inputs.average_weight)

    def _captured(self) -> Iterator[tuple[BatchShape, Any]]:
        """A graph for each size of batch. Weights and all else are afterwards as they were before."""
        learner, kept = self.learner, self._state()
        learner.model.train()
        before = set(learner.optimizer.state)
        try:
            for (count, nodes), shape in self._batches.shapes.items():
                batch = self._batches.of_size(count, nodes)
                for _ in range(WARM_UPS):
                    self._batches.stage(batch, torch.Generator().manual_seed(0))
                    self._queue.warm_up(lambda shape=shape: self._step(shape))  # type: ignore[misc]
                    self._batches.passed()
                try:
                    graph = self._queue.capture(lambda shape=shape: self._step(shape))  # type: ignore[misc]
                except torch.OutOfMemoryError:
                    raise
                except RuntimeError as error:
                    raise NotCapturable(f"torch cannot capture it ({str(error).splitlines()[0]})") from error
                yield shape, graph
        finally:
            for parameter, state in learner.optimizer.state.items():
                for tensor in state.values() if parameter not in before else ():
                    tensor.zero_()
            for tensor, value in kept:
                tensor.copy_(value)
            self._results.steps.zero_()
            learner.optimizer.zero_grad(set_to_none=True)  # those of a graph are its own

    @torch.no_grad()
    def _state(self) -> list[tuple[Tensor, Tensor]]:
        """Every tensor that a step changes, and a copy of it."""
        learner = self.learner
        tensors: list[Tensor] = list(learner.model.parameters())
        tensors += [] if learner.average is None else learner.average.model.parameters()
        tensors += [tensor for state in learner.optimizer.state.values() for tensor in state.values()]
        return [(tensor.detach(), tensor.detach().clone()) for tensor in tensors]

"""An epoch's steps that several processes take together: each the share of every batch that is its own.

One sum over the processes in each step: of all gradients and of the losses, in one array. What follows (clipping, Adam,
the average of weights, whether the step counts) each computes for itself from the same bits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..data.sample import Sample
from ..errors import InputError, TrainingError
from .distributed import Team, share_of
from .eager import EagerSteps
from .learner import Learner
from .objective import make_batch
from .settings import TrainingSettings
from .shares import count_targets, share_loss, weights_of

__all__ = ["SharedSteps"]


class SharedSteps(EagerSteps):
    """The steps of a process of several: the same order of samples, rotations and noise as of one process alone."""

    def __init__(self, learner: Learner, samples: Sequence[Sample], settings: TrainingSettings, team: Team) -> None:
        with team.agreed():
            if len(samples) < team.size:
                raise InputError(
                    f"train holds {len(samples)} configurations to learn from, fewer than the {team.size} processes; "
                    f"start {len(samples)}"
                )
            super().__init__(learner, samples, settings)
        self._team = team
        # Each counts a part; a graph that is made on demand is made once for it.
        counted = team.shared(self._samples, lambda own: count_targets(learner.model, own, settings))
        self._counts = team.first(lambda: counted)
        self._parameters = list(learner.model.parameters())
        sizes = [parameter.numel() for parameter in self._parameters]
        # Gradients, who has one, losses (total, node, edge), and how many processes have failed.
        self._buffer = torch.zeros(sum(sizes) + len(sizes) + 4, dtype=torch.float32, device=learner.device)
        *gradients, self._held, self._losses, self._failed = self._buffer.split([*sizes, len(sizes), 3, 1])
        self._gradients = [g.view_as(p) for g, p in zip(gradients, self._parameters, strict=True)]

    def _backward(self, batch: list[int], generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        error = None
        self._buffer.zero_()
        self.learner.optimizer.zero_grad(set_to_none=True)
        try:
            self._own_part(batch, generator)
        except Exception as failed:  # the others wait for this one: they hear of it in the sum
            error = failed
            self._buffer.zero_()
            self._failed.fill_(1)
        self._team.sum_(self._buffer)
        *held, failures = torch.cat([self._held, self._failed]).tolist()
        if failures:
            self._team.settle(error)
        for parameter, gradient, number in zip(self._parameters, self._gradients, held, strict=True):
            parameter.grad = gradient if number else None  # a decoder that the loss does not reach has none
        total, node, edge = self._losses.unbind()
        return total, node, edge

    def _own_part(self, batch: list[int], generator: torch.Generator) -> None:
        """The gradients of the own share of a batch and its part of the losses, into the buffer."""
        own, samples = share_of(len(batch), self._team.rank, self._team.size), [self._samples[i] for i in batch]
        model, settings = self.learner.model, self.settings
        if not own:
            return  # the last batch of an epoch may be smaller; nothing of this epoch is drawn after it
        weights = weights_of([self._counts[i] for i in batch], model, settings)
        total, *parts = share_loss(model, make_batch(samples, model, settings, generator, own), weights, settings)
        total.backward()
        self._losses.copy_(torch.stack([total.detach(), *parts]))
        held = [parameter.grad is not None for parameter in self._parameters]
        places = [gradient for gradient, there in zip(self._gradients, held, strict=True) if there]
        torch._foreach_copy_(places, [p.grad for p in self._parameters if p.grad is not None])  # one launch on a GPU
        self._held.copy_(torch.tensor(held, device="cpu"))

    def _check(self, values: Sequence[float], epoch: int, batch: list[int]) -> None:
        try:
            super()._check(values, epoch, batch)
        except TrainingError as error:  # the same in all of them
            error.elsewhere = self._team.rank > 0
            raise

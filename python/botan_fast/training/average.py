"""The average of weights along a run, which scores better than the last of them."""

import copy

import torch

from ..model.botan import BOTAN

__all__ = ["WeightAverage"]


class WeightAverage:
    """An exponential moving average of the weights of a model, without a memory of its first ones.

    After step t = 1, 2, ... the average is sum_s decay^(t - s) w_s / sum_s decay^(t - s), s = 1 ... t: the mean of the
    weights after the last 1 / (1 - decay) steps, or of all where there were fewer (the correction of Adam, Kingma &
    Ba, arXiv:1412.6980, section 3). In float32, weight by weight:  average += (1 - d) / (1 - d^t) (w_t - average).

    >>> import torch
    >>> import botan_fast as bf
    >>> from botan_fast.training.average import WeightAverage
    >>> model = bf.BOTAN(hidden_size=8, num_steps=1)
    >>> average = WeightAverage(model, 0.5)
    >>> for step, value in enumerate((1.0, 4.0), start=1):
    ...     _ = torch.nn.init.constant_(model.node_encoder.fc1.bias, value)
    ...     average.update(model, step)
    >>> average.model.node_encoder.fc1.bias[0].item()  # (0.5 * 1 + 4) / 1.5
    3.0
    """

    def __init__(self, model: BOTAN, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model), decay

    def weight(self, step: int) -> float:
        """(1 - d) / (1 - d^step), of the weights after optimizer step number `step`, counted from 1."""
        return (1 - self.decay) / (1 - self.decay**step)

    def update(self, model: BOTAN, step: int) -> None:
        """After optimizer step number `step`, counted from 1."""
        weight = self.weight(step)
        with torch.no_grad():
            for ours, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
                ours.lerp_(theirs, weight)

    def update_by(self, model: BOTAN, weight: torch.Tensor) -> None:
        """The same with a weight () on the device: a few launches for all weights, which a CUDA graph can hold."""
        ours: list[torch.Tensor] = list(self.model.parameters())
        theirs: list[torch.Tensor] = list(model.parameters())
        with torch.no_grad():
            steps = torch._foreach_sub(theirs, ours)
            torch._foreach_mul_(steps, weight)
            torch._foreach_add_(ours, steps)

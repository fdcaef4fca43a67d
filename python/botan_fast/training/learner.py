"""What an epoch changes: the model, its optimizer, and the average of its weights."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..model.botan import BOTAN
from .average import WeightAverage
from .run_directory import TrainingState
from .settings import TrainingSettings

__all__ = ["Learner", "make_learner", "works_on_device"]


def works_on_device(device: torch.device) -> bool:
    """Whether step size and number of steps live on the device, where a CUDA graph can read them."""
    return device.type == "cuda"


@dataclass
class Learner:
    """What an epoch changes: the model, the state of its optimizer, and the average of its weights, if any.

    replays   steps that were replays of a captured CUDA graph, counted on the device
    """

    model: BOTAN
    optimizer: torch.optim.Optimizer
    average: WeightAverage | None
    replays: int = 0

    @property
    def scored(self) -> BOTAN:
        """The model that is scored: that of the averaged weights where there are some."""
        return self.model if self.average is None else self.average.model

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def set_step_size(self, value: float) -> None:
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(value)
            else:
                group["lr"] = value

    def read_from(self, step_size: Tensor, not_finite: Tensor | None) -> None:
        """From now on the step size is what stands in that tensor, (1,) float32 on the device.

        A step for which `not_finite` () holds 1 leaves weights and moments as they are: the fused kernel of Adam reads
        it, as of torch's gradient scaler. None: every step counts.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = step_size
        self.optimizer.found_inf = not_finite  # type: ignore[attr-defined]  # read by Adam.step where it is there

    def update_average(self, step: int) -> None:
        """After optimizer step number `step`, counted from 1."""
        if self.average is None:
            return
        if works_on_device(self.device):
            self.average.update_by(self.model, torch.full((), self.average.weight(step), device=self.device))
        else:
            self.average.update(self.model, step)

    def capture(self, history: list[dict], best_loss: float | None, best: dict[str, Tensor]) -> TrainingState:
        average = None if self.average is None else self.average.model
        return TrainingState.capture(self.model, self.optimizer, history, best_loss, average, best)

    def restore(self, state: TrainingState) -> None:
        state.restore(self.model, self.optimizer, None if self.average is None else self.average.model)

    def result(self, state: TrainingState) -> BOTAN:
        """The model with the `result` of the state; the model itself where these are its weights."""
        if state.result is state.weights:
            return self.model
        model = copy.deepcopy(self.model)
        model.load_state_dict(state.result)
        return model


def make_learner(model: BOTAN, settings: TrainingSettings) -> Learner:
    """Adam (Kingma & Ba), with weight decay AdamW (Loshchilov & Hutter, arXiv:1711.05101).

    On CUDA its fused kernel, with step size and number of steps on the device: one launch, and capturable.
    """
    options: dict[str, Any] = {"lr": settings.learning_rate}
    device = next(model.parameters()).device
    if works_on_device(device):
        lr = torch.full((1,), settings.learning_rate, dtype=torch.float32, device=device)
        options = {"lr": lr, "fused": True, "capturable": True}
    optimizer: torch.optim.Optimizer
    if settings.weight_decay:
        optimizer = torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay, **options)
    else:
        optimizer = torch.optim.Adam(model.parameters(), **options)
    return Learner(model, optimizer, WeightAverage(model, settings.ema) if settings.ema else None)

"""What an epoch changes: the model, its optimizer, and the average of its weights."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..model.botan import BOTAN
from ..ops.batches import clip_norm_of, gradient_scale_of
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

    def clip(self, clip_norm: float) -> Tensor:
        """Scale the gradients so that their norm is at most `clip_norm`; returns the norm before, of shape ().

        On a device the optimizer scales them, as in captured steps: max(1, (norm + 1e-6) / clip_norm) divides them.
        """
        if not works_on_device(self.device):
            return torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip_norm)
        norm = clip_norm_of(self.gradient_norms())
        scale = gradient_scale_of(float(norm), clip_norm)
        divisor = torch.tensor(scale, dtype=torch.float32, device=self.device)  # beyond float32 it is infinite
        self.optimizer.grad_scale = divisor  # type: ignore[attr-defined]  # as below
        return norm.to(self.device)

    def gradient_norms(self) -> Tensor:
        """(P,) norms of the gradients that there are, tensor by tensor."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        return torch.stack(torch._foreach_norm(gradients))

    def read_from(self, step_size: Tensor, not_finite: Tensor | None, gradient_scale: Tensor | None) -> None:
        """From now on these tensors on the device are read by the fused kernel of Adam.

        step_size is (1,) float32; a step for which `not_finite` () holds 1 leaves weights and moments as they are;
        gradients are divided by `gradient_scale` (). Without the two every step counts, as it is.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = step_size
        # Attributes that torch's gradient scaler sets, and Adam.step looks for.
        self.optimizer.found_inf = not_finite  # type: ignore[attr-defined]
        self.optimizer.grad_scale = gradient_scale  # type: ignore[attr-defined]

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

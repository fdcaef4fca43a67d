"""The norm of all gradients, for clipping, as one torch operator."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..device import CUDA_KERNELS, kernels_for
from ..errors import InputError
from . import cuda, reference
from .library import fake, library, operator

__all__ = ["Clipping", "clip_scale"]


class Clipping(NamedTuple):
    """What `clip_scale` returns, each float32 of shape ().

    >>> import torch
    >>> from botan_fast.ops.clipping import Clipping
    >>> Clipping(torch.ones(()), torch.ones(()), torch.zeros(())).scale
    tensor(1.)
    """

    norm: Tensor
    scale: Tensor
    found_inf: Tensor


@operator("clip_scale", "(Tensor[] gradients, float max_norm) -> (Tensor, Tensor, Tensor)")
def _clip_scale(gradients: Sequence[Tensor], max_norm: float) -> tuple[Tensor, Tensor, Tensor]:
    return reference.clip_scale(gradients, max_norm)  # 70,000 numbers: no kernel of its own on the CPU


@fake("clip_scale")
def _(gradients: Sequence[Tensor], max_norm: float) -> tuple[Tensor, Tensor, Tensor]:
    norm, scale, found_inf = (gradients[0].new_empty((), dtype=torch.float32) for _ in range(3))
    return norm, scale, found_inf


if CUDA_KERNELS is not None:
    library.impl("clip_scale", partial(cuda.clip_scale, CUDA_KERNELS), "CUDA")


def clip_scale(gradients: Sequence[Tensor], max_norm: float) -> Clipping:
    """The norm of all gradients together, and what clips them, for an optimizer that divides by it.

        norm      = sqrt(sum of g^2 over all numbers of all gradients)
        scale     = max(1, (norm + 1e-6) / max_norm)
        found_inf = 1 where norm is not finite, else 0

    g / scale is what `torch.nn.utils.clip_grad_norm_` leaves of g. torch's fused optimizers take both numbers from the
    device: with `optimizer.grad_scale = scale` and `optimizer.found_inf = found_inf` they divide by the one and leave
    the step out where the other is 1. So clipping costs two launches on CUDA, and nothing waits for a number.

    gradients: one or more, of any shapes, of one dtype and device. The sum is taken in float64, in a fixed order, and
    rounded once: the same bits in every run. No gradient flows through it.
    Raises InputError for no gradients, a max_norm that is not positive, and gradients that differ in dtype or device.

    >>> import torch
    >>> from botan_fast import ops
    >>> ops.clip_scale([torch.tensor([3.0]), torch.tensor([[4.0]])], max_norm=1.0)
    Clipping(norm=tensor(5.), scale=tensor(5.0000), found_inf=tensor(0.))
    """
    gradients = list(gradients)
    if not gradients:
        raise InputError("gradients is empty; give at least one tensor, those of the parameters that have a gradient")
    if not max_norm > 0:
        raise InputError(f"max_norm = {max_norm!r}; the largest norm must be positive")
    like = gradients[0]
    for k, gradient in enumerate(gradients):
        if gradient.dtype != like.dtype or gradient.device != like.device or not gradient.is_floating_point():
            raise InputError(
                f"gradients[{k}] is {gradient.dtype} on {gradient.device} and gradients[0] {like.dtype} on "
                f"{like.device}; give floating-point gradients of one dtype on one device"
            )
    with torch.no_grad():
        if like.device.type != "cpu" and (kernels_for(like.device) is None or like.dtype != torch.float32):
            return Clipping(*reference.clip_scale(gradients, max_norm))
        return Clipping(*_clip_scale(gradients, float(max_norm)))

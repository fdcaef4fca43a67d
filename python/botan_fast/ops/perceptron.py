"""The multilayer perceptron as a torch operator: schema, fake, autograd, dispatch."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .. import _core
from ..device import CUDA_KERNELS, empty
from . import cuda, reference
from .door import mlp_tensors, number_tensor
from .library import address, addresses, differentiable_gradients, fake, given_gradients, library, operator
from .packing import MOST_INPUTS
from .padding import pad_features, pad_mlp
from .precision import (
    PRECISIONS,
    check_precision,
    has_fast_path,
    in_transform,
    padded_width,
    precision_on_cpu,
    warn_of_plain_torch,
)

__all__ = ["mlp"]


@operator("mlp", "(Tensor x, Tensor[] weights, int precision, Tensor? packed=None) -> Tensor")
def _mlp(x: Tensor, weights: Sequence[Tensor], precision: int, packed: Tensor | None = None) -> Tensor:
    x, weights = mlp_tensors(x, weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    y = empty(rows, hidden) if len(weights) == 4 else empty(rows)
    _core.mlp_forward(
        rows,
        inputs,
        hidden,
        addresses(weights),
        address(x),
        address(y),
        precision_on_cpu(precision),
        torch.get_num_threads(),
    )
    return y


@fake("mlp")
def _(x: Tensor, weights: Sequence[Tensor], precision: int, packed: Tensor | None = None) -> Tensor:
    rows, hidden = x.shape[0], weights[0].shape[0]
    return x.new_empty((rows, hidden) if len(weights) == 4 else (rows,))


@operator(
    "mlp_backward",
    "(Tensor x, Tensor[] weights, Tensor y, Tensor grad_y, bool need_grad_x, int precision, Tensor? packed=None)"
    " -> (Tensor, Tensor[])",
)
def _mlp_backward(
    x: Tensor,
    weights: Sequence[Tensor],
    y: Tensor,
    grad_y: Tensor,
    need_grad_x: bool,
    precision: int,
    packed: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    x, weights = mlp_tensors(x, weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    shape = (rows,) if len(weights) == 6 else (rows, hidden)
    y, grad_y = number_tensor("y", y, shape, x, "x"), number_tensor("grad_y", grad_y, shape, x, "x")
    grad_x = empty(rows, inputs) if need_grad_x else x.new_empty(0)
    gradients = [torch.empty_like(w) for w in weights]
    _core.mlp_backward(
        rows,
        inputs,
        hidden,
        addresses(weights),
        address(x),
        address(y),
        address(grad_y),
        address(grad_x) if need_grad_x else 0,
        addresses(gradients),
        precision_on_cpu(precision),
        torch.get_num_threads(),
    )
    return grad_x, gradients


@fake("mlp_backward")
def _(x: Any, weights: Any, y: Any, grad_y: Any, need_grad_x: bool, precision: int, packed: Any = None) -> Any:
    return x.new_empty(x.shape if need_grad_x else 0), [w.new_empty(w.shape) for w in weights]


def _mlp_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weights, ctx.precision, packed = inputs
    ctx.save_for_backward(x, output, packed, *weights)


def _mlp_autograd(ctx: Any, grad_y: Tensor) -> Any:
    x, y, packed, *weights = ctx.saved_tensors
    if torch.is_grad_enabled():

        def plain(x: Tensor, *weights: Tensor) -> list[Tensor]:
            return [reference.mlp(x, list(weights), PRECISIONS[ctx.precision])]

        grad_x, *gradients = differentiable_gradients(plain, [x, *weights], [grad_y])
        return given_gradients(ctx, grad_x, gradients, None, None)
    need_grad_x = ctx.needs_input_grad[0]
    grad_x, gradients = _mlp_backward(x, weights, y, grad_y, need_grad_x, ctx.precision, packed)
    return given_gradients(ctx, grad_x if need_grad_x else None, gradients, None, None)


torch.library.register_autograd("botan_fast::mlp", _mlp_autograd, setup_context=_mlp_setup, lib=library)


if CUDA_KERNELS is not None:
    library.impl("mlp", partial(cuda.mlp, CUDA_KERNELS), "CUDA")
    library.impl("mlp_backward", partial(cuda.mlp_backward, CUDA_KERNELS), "CUDA")


def mlp(x: Tensor, weights: Sequence[Tensor], precision: str = "fp32", packed: Tensor | None = None) -> Tensor:
    """`reference.mlp` in the given precision, by the compiled core where it has a fast path: (M, K) to (M, H),
    or of a decoder to (M,) or (M, O).

    The core knows the third layer of one output; several are a product of torch behind the two layers of the core.
    `packed`: the buffer that `pack_weights` made of these weights in this precision. Where there are no kernels of
    width H, weights get zeros up to `padded_width`, and x too where it has H columns; the result is a slice.

    >>> import torch
    >>> from botan_fast import ops
    >>> from botan_fast.ops import reference
    >>> x, w = torch.randn(5, 3), [torch.randn(64, 3), torch.randn(64), torch.randn(64, 64), torch.randn(64)]
    >>> torch.allclose(ops.mlp(x, w), reference.mlp(x, w), rtol=1e-4, atol=1e-4)
    True
    """
    hidden = weights[0].shape[0]
    check_precision(precision)
    fast = has_fast_path(hidden, x.dtype, x.device, precision) and not in_transform()
    if len(weights) == 6 and weights[4].shape[:1] != (1,):
        mlp_tensors(x, weights)
        return reference.last_layer(mlp(x, weights[:4], precision, packed), weights[4], weights[5], precision)
    if fast and (x.device.type == "cpu" or 1 <= x.shape[-1] <= MOST_INPUTS):
        width = padded_width(hidden, x.device, precision)
        if width is not None and width != hidden:
            x, weights = mlp_tensors(x, weights)  # messages are about the shapes that were given
            features = x.shape[1] == hidden  # of a decoder
            x, weights = pad_features(x, width) if features else x, pad_mlp(weights, width, int(features))
            y = _mlp(x, weights, PRECISIONS.index(precision), packed)
            return y if len(weights) == 6 else y[:, :hidden]
        return _mlp(x, list(weights), PRECISIONS.index(precision), packed)
    warn_of_plain_torch(x, hidden, precision)
    x, weights = mlp_tensors(x, weights)
    return reference.mlp(x, weights, precision)

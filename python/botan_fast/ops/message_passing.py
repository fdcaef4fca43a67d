"""Message passing as a torch operator: schema, fake, autograd, dispatch.

Deterministic: results are bitwise equal between runs and for any number of threads.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from .. import _core
from ..device import CUDA_KERNELS, empty
from . import cuda, reference
from .door import TOPOLOGY_NAMES, backward_tensors, processor_tensors, same_device, topology_tensors
from .history import history_members
from .library import addresses, differentiable_gradients, fake, given_gradients, library, operator
from .padding import pad_features, pad_processor
from .precision import (
    PRECISIONS,
    check_precision,
    check_save_memory,
    has_fast_path,
    in_transform,
    padded_width,
    precision_on_cpu,
    warn_of_plain_torch,
)

__all__ = ["processor"]

# `topology` is [senders, receivers, row_ptr, sender_order, sender_ptr], all int32; `weights` the four tensors of
# MLP_e, then the four of MLP_n. Besides x and e the operator returns what its backward needs; empty unless `keep`.


@operator(
    "processor",
    "(Tensor? x, Tensor? e, Tensor x0, Tensor e0, Tensor[] topology, Tensor[] weights, int num_steps, bool keep,"
    " int precision, bool save_memory, Tensor? packed=None)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _processor(
    x: Tensor | None,
    e: Tensor | None,
    x0: Tensor,
    e0: Tensor,
    topology: Sequence[Tensor],
    weights: Sequence[Tensor],
    num_steps: int,
    keep: bool,
    precision: int,
    save_memory: bool,
    packed: Any = None,
) -> tuple[Tensor, ...]:
    (x, e, x0, e0), weights = processor_tensors(x, e, x0, e0, weights)
    topology = topology_tensors(topology, x0, e0, look=True)
    (nodes, hidden), room = x0.shape, e0.shape[0]
    edges = int(topology[2][-1])  # of a graph with a capacity fewer than there is room for: the core does not see it
    x_out, e_out = empty(nodes, hidden), empty(room, hidden)
    e_out[edges:] = 0
    kept = history_members(nodes, room, hidden, num_steps, keep, precision, save_memory)
    history = [empty(*s, dtype=d) for s, d in kept]
    _core.processor_forward(
        (nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory),
        addresses(topology),
        addresses(weights),
        addresses((x, e, x0, e0)),
        addresses((x_out, e_out)),
        addresses(history) if keep else [0] * 4,
        keep,
        precision_on_cpu(precision),
        torch.get_num_threads(),
    )
    return x_out, e_out, *history


@fake("processor")
def _(
    x: Any,
    e: Any,
    x0: Tensor,
    e0: Tensor,
    topology: Any,
    weights: Any,
    num_steps: int,
    keep: bool,
    precision: int,
    save_memory: bool,
    packed: Any = None,
) -> tuple[Tensor, ...]:
    history = history_members(x0.shape[0], e0.shape[0], x0.shape[1], num_steps, keep, precision, save_memory)
    return x0.new_empty(x0.shape), e0.new_empty(e0.shape), *(x0.new_empty(s, dtype=d) for s, d in history)


@operator(
    "processor_backward",
    "(Tensor? x, Tensor? e, Tensor x0, Tensor e0, Tensor[] topology, Tensor[] weights, int num_steps, "
    "Tensor[] outputs, Tensor? grad_x_out, Tensor? grad_e_out, int precision, bool save_memory, Tensor? packed=None)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor[])",
)
def _processor_backward(
    x: Tensor | None,
    e: Tensor | None,
    x0: Tensor,
    e0: Tensor,
    topology: Sequence[Tensor],
    weights: Sequence[Tensor],
    num_steps: int,
    outputs: Sequence[Tensor],
    grad_x_out: Tensor | None,
    grad_e_out: Tensor | None,
    precision: int,
    save_memory: bool,
    packed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    (x, e, x0, e0), weights = processor_tensors(x, e, x0, e0, weights)
    topology = topology_tensors(topology, x0, e0, look=False)  # the forward pass has looked
    outputs, grad_x_out, grad_e_out = backward_tensors(x0, e0, outputs, grad_x_out, grad_e_out)
    (nodes, hidden), room, edges = x0.shape, e0.shape[0], int(topology[2][-1])
    grad_x = None if x is None else empty(nodes, hidden)
    grad_e = None if e is None else empty(room, hidden)
    grad_x0, grad_e0 = empty(nodes, hidden), empty(room, hidden)
    for gradient in (grad_e0, grad_e):
        if gradient is not None:
            gradient[edges:] = 0
    gradients = [torch.empty_like(w) for w in weights]
    _core.processor_backward(
        (nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory),
        addresses(topology),
        addresses(weights),
        addresses((x, e, x0, e0, outputs[0])),
        addresses(outputs[1:]),
        addresses((grad_x_out, grad_e_out, grad_x, grad_e, grad_x0, grad_e0)),
        addresses(gradients),
        precision_on_cpu(precision),
        torch.get_num_threads(),
    )
    grad_x, grad_e = (x0.new_empty(0) if g is None else g for g in (grad_x, grad_e))
    return grad_x, grad_e, grad_x0, grad_e0, gradients


@fake("processor_backward")
def _(
    x: Any,
    e: Any,
    x0: Tensor,
    e0: Tensor,
    topology: Any,
    weights: Any,
    num_steps: int,
    outputs: Any,
    grad_x_out: Any,
    grad_e_out: Any,
    precision: int,
    save_memory: bool,
    packed: Any = None,
) -> Any:
    return (
        x0.new_empty(0 if x is None else x.shape),
        x0.new_empty(0 if e is None else e.shape),
        x0.new_empty(x0.shape),
        e0.new_empty(e0.shape),
        [w.new_empty(w.shape) for w in weights],
    )


def _processor_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, e, x0, e0, topology, weights, ctx.num_steps, keep, ctx.precision, ctx.save_memory, packed = inputs
    ctx.num_topology, ctx.num_weights = len(topology), len(weights)
    ctx.keep = keep
    x_out, _, *history = output  # the backward pass does without e_out: 42 MB at N = 4096
    ctx.save_for_backward(packed, x, e, x0, e0, *topology, *weights, x_out, *history)
    ctx.set_materialize_grads(False)  # a zero gradient of e alone would be 42 MB at N = 4096


def _processor_autograd(ctx: Any, grad_x_out: Tensor | None, grad_e_out: Tensor | None, *_: Any) -> Any:
    if not ctx.keep:
        raise RuntimeError("botan_fast::processor ran with keep=False; gradients need keep=True")
    packed, x, e, x0, e0, *rest = ctx.saved_tensors
    topology, rest = rest[: ctx.num_topology], rest[ctx.num_topology :]
    weights, outputs = rest[: ctx.num_weights], rest[ctx.num_weights :]
    if grad_x_out is None and grad_e_out is None:
        return given_gradients(ctx, None, None, None, None, [None] * len(topology), [None] * len(weights), *(None,) * 5)
    if torch.is_grad_enabled():

        def plain(x: Tensor, e: Tensor, x0: Tensor, e0: Tensor, *weights: Tensor) -> tuple[Tensor, Tensor]:
            edge_weights, node_weights = list(weights[:4]), list(weights[4:])
            senders, receivers = topology[:2]
            return reference.processor(
                x, e, x0, e0, senders, receivers, edge_weights, node_weights, ctx.num_steps, PRECISIONS[ctx.precision]
            )

        state = differentiable_gradients(plain, [x, e, x0, e0, *weights], [grad_x_out, grad_e_out])
        return given_gradients(ctx, *state[:4], [None] * len(topology), state[4:], *(None,) * 5)
    grad_x, grad_e, grad_x0, grad_e0, gradients = _processor_backward(
        x,
        e,
        x0,
        e0,
        topology,
        weights,
        ctx.num_steps,
        outputs,
        grad_x_out,
        grad_e_out,
        ctx.precision,
        ctx.save_memory,
        packed,
    )
    return given_gradients(
        ctx,
        None if x is None else grad_x,
        None if e is None else grad_e,
        grad_x0,
        grad_e0,
        [None] * len(topology),
        gradients,
        *(None,) * 5,
    )


torch.library.register_autograd(
    "botan_fast::processor", _processor_autograd, setup_context=_processor_setup, lib=library
)


if CUDA_KERNELS is not None:
    library.impl("processor", partial(cuda.processor, CUDA_KERNELS), "CUDA")
    library.impl("processor_backward", partial(cuda.processor_backward, CUDA_KERNELS), "CUDA")


def processor(
    x: Tensor | None,
    e: Tensor | None,
    x0: Tensor,
    e0: Tensor,
    topology: Sequence[Tensor],
    edge_weights: Sequence[Tensor],
    node_weights: Sequence[Tensor],
    num_steps: int,
    precision: str = "fp32",
    save_memory: bool = False,
    packed: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """`reference.processor` in the given precision, by the compiled core where it has a fast path.

    `topology` is [senders, receivers, row_ptr, sender_order, sender_ptr], int32, edges sorted by receiver; the edges
    that leave node i are sender_order[sender_ptr[i]:sender_ptr[i+1]]. x, x0 (N, H); e, e0 (E, H); float32.
    Gradients flow to x, e, x0, e0 and all weights, to any order: with create_graph=True they are computed in plain
    torch, which is slower and keeps what enters each step.

    For gradients the fast path keeps, besides inputs and results, 2 n - 1 node arrays (N, H) float32 and n edge arrays
    (E, H): e after each step but the last, and one constant; in "bf16" n of bfloat16 and the constant in float32.
    With `save_memory` it keeps only e before the steps 4, 8, ...: (n - 1) // 4 edge arrays, float32 or bfloat16. The
    others are computed again during the backward pass, which on the CPU holds the constant and at most two of them at a
    time. Results and gradients have the same bits. `reference.processor` keeps what enters each step.

    `packed` is the buffer that `pack_weights` made of [*edge_weights, *node_weights] in this precision. Where there are
    no kernels of width H, features and weights get zeros up to `padded_width`, and the results are slices.

    >>> import torch
    >>> from botan_fast import ops
    >>> w = [torch.ones(64, 256), torch.zeros(64), torch.eye(64), torch.zeros(64)]
    >>> v = [torch.ones(64, 192), torch.zeros(64), torch.eye(64), torch.zeros(64)]
    >>> index = torch.tensor([0], dtype=torch.int32)
    >>> topology = [index, index + 1, torch.tensor([0, 0, 1], dtype=torch.int32), index,
    ...             torch.tensor([0, 1, 1], dtype=torch.int32)]
    >>> x, e = ops.processor(None, None, torch.ones(2, 64), torch.ones(1, 64), topology, w, v, 1)
    >>> x[:, 0], e[0, 0]
    (tensor([  128., 16512.]), tensor(256.))
    """
    check_precision(precision)
    check_save_memory(save_memory)
    weights = [*edge_weights, *node_weights]
    if num_steps == 0:
        return x0 if x is None else x, e0 if e is None else e
    if in_transform() or not has_fast_path(x0.shape[1], x0.dtype, x0.device, precision):
        warn_of_plain_torch(x0, x0.shape[1], precision)
        (x, e, x0, e0), weights = processor_tensors(x, e, x0, e0, weights)
        senders, receivers = topology[:2]
        for name, tensor in zip(TOPOLOGY_NAMES, topology, strict=False):  # an edge_index has the first two alone
            same_device(name, tensor, x0, "x0")
        return reference.processor(
            x, e, x0, e0, senders, receivers, weights[:4], weights[4:], num_steps, precision, save_memory
        )
    hidden, width = x0.shape[1], padded_width(x0.shape[1], x0.device, precision)
    if width is not None and width != hidden:
        state, weights = processor_tensors(x, e, x0, e0, weights)  # messages are about the shapes that were given
        x, e = pad_features(state[0], width), pad_features(state[1], width)
        x0, e0 = pad_features(state[2], width), pad_features(state[3], width)
        weights = pad_processor(weights, width)
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, e, x0, e0, *weights))
    number = PRECISIONS.index(precision)
    x, e, *_ = _processor(x, e, x0, e0, list(topology), weights, num_steps, keep, number, save_memory, packed)
    return (x, e) if width == hidden else (x[:, :hidden], e[:, :hidden])

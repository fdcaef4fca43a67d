"""The compiled operations as torch operators: schema, fake, autograd, dispatch.

Here `mlp`, `processor` and their backward; `ops_sums` and `ops_loss` define the others. Only these modules, and
`ops_cuda` for them, call the compute functions of the compiled core. All operators are deterministic: results are
bitwise equal between runs and for any number of threads.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import _core, ops_cuda, reference
from .errors import InputError
from .operators import address, addresses, dense, dense_or_none, empty, fake, library, operator
from .ops_loss import Loss, loss
from .ops_sums import scatter_sum, segment_sum

__all__ = [
    "Loss",
    "check_precision",
    "check_save_memory",
    "has_fast_path",
    "loss",
    "mlp",
    "processor",
    "scatter_sum",
    "segment_sum",
]

PRECISIONS = ("fp32", "bf16", "tf32")  # operators take the position in this list, as the core does


def has_fast_path(hidden_size: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether the compiled core handles this feature width and dtype on this device; else `reference` runs.

    >>> import torch
    >>> from botan_fast import ops
    >>> ops.has_fast_path(64, torch.float32, torch.device("cpu"))
    True
    >>> ops.has_fast_path(48, torch.float32, torch.device("cpu"))
    False
    """
    if dtype != torch.float32:
        return False
    if device.type == "cuda":
        return ops_cuda.has_message_passing(device.index or 0, hidden_size)
    return device.type == "cpu" and hidden_size in _FAST_SIZES


_FAST_SIZES = frozenset(size for size in range(8, 513, 8) if _core.has_fast_path(size))


def check_precision(precision: str) -> str:
    """`precision`, after a check that it is one; raises InputError.

    >>> from botan_fast import ops
    >>> ops.check_precision("bf16")
    'bf16'
    """
    if precision not in PRECISIONS:
        raise InputError(f"precision = {precision!r}; choose one of {', '.join(map(repr, PRECISIONS))}")
    return precision


def check_save_memory(save_memory: bool) -> bool:
    """`save_memory`, after a check that it is True or False; raises InputError.

    >>> from botan_fast import ops
    >>> ops.check_save_memory(True)
    True
    """
    if not isinstance(save_memory, bool):
        raise InputError(f"save_memory = {save_memory!r}; give True or False")
    return save_memory


def _on_cpu(precision: int) -> int:
    """The precision that the CPU computes in: it has no tf32, and fp32 is closer than that asks for."""
    return PRECISIONS.index("fp32") if PRECISIONS[precision] == "tf32" else precision


# ---- mlp ------------------------------------------------------------------------------------------------------


@operator("mlp", "(Tensor x, Tensor[] weights, int precision) -> Tensor")
def _mlp(x: Tensor, weights: Sequence[Tensor], precision: int) -> Tensor:
    x, weights = x.contiguous(), dense(weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    y = empty(rows, hidden) if len(weights) == 4 else empty(rows)
    _core.mlp_forward(
        rows, inputs, hidden, addresses(weights), address(x), address(y), _on_cpu(precision), torch.get_num_threads()
    )
    return y


@fake("mlp")
def _(x, weights, precision):
    rows, hidden = x.shape[0], weights[0].shape[0]
    return x.new_empty((rows, hidden) if len(weights) == 4 else (rows,))


@operator(
    "mlp_backward",
    "(Tensor x, Tensor[] weights, Tensor y, Tensor grad_y, bool need_grad_x, int precision) -> (Tensor, Tensor[])",
)
def _mlp_backward(
    x: Tensor, weights: Sequence[Tensor], y: Tensor, grad_y: Tensor, need_grad_x: bool, precision: int
) -> tuple[Tensor, list[Tensor]]:
    x, weights, grad_y = x.contiguous(), dense(weights), grad_y.contiguous()
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
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
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    return grad_x, gradients


@fake("mlp_backward")
def _(x, weights, y, grad_y, need_grad_x, precision):
    return x.new_empty(x.shape if need_grad_x else 0), [torch.empty_like(w) for w in weights]


def _mlp_setup(ctx, inputs, output):
    x, weights, ctx.precision = inputs
    ctx.save_for_backward(x, output, *weights)


@once_differentiable
def _mlp_autograd(ctx, grad_y):
    x, y, *weights = ctx.saved_tensors
    need_grad_x = ctx.needs_input_grad[0]
    grad_x, gradients = _mlp_backward(x, weights, y, grad_y, need_grad_x, ctx.precision)
    return grad_x if need_grad_x else None, gradients, None


torch.library.register_autograd("botan_fast::mlp", _mlp_autograd, setup_context=_mlp_setup, lib=library)


def mlp(x: Tensor, weights: Sequence[Tensor], precision: str = "fp32") -> Tensor:
    """`reference.mlp` in the given precision, by the compiled core where it has a fast path: (M, K) to (M, H) or (M,).

    >>> import torch
    >>> from botan_fast import ops, reference
    >>> x, w = torch.randn(5, 3), [torch.randn(64, 3), torch.randn(64), torch.randn(64, 64), torch.randn(64)]
    >>> torch.allclose(ops.mlp(x, w), reference.mlp(x, w), rtol=1e-4, atol=1e-4)
    True
    """
    inputs, hidden = x.shape[1], weights[0].shape[0]
    if has_fast_path(hidden, x.dtype, x.device) and (x.device.type == "cpu" or 1 <= inputs <= hidden):
        return _mlp(x, list(weights), PRECISIONS.index(check_precision(precision)))
    return reference.mlp(x, list(weights), check_precision(precision))


# ---- processor ------------------------------------------------------------------------------------------------
# `topology` is [senders, receivers, row_ptr, sender_order, sender_ptr], all int32; `weights` the four tensors of
# MLP_e, then the four of MLP_n. Besides x and e the operator returns what its backward needs; empty unless `keep`.


def _history(
    num_nodes: int, num_edges: int, hidden: int, num_steps: int, keep: bool, precision: int, save_memory: bool = False
):
    """Shapes and dtypes of ProcessorHistory's members."""
    bf16 = PRECISIONS[precision] == "bf16"
    kept_edges = (num_steps - 1) // _core.SAVED_STEPS if save_memory else num_steps if bf16 else num_steps - 1
    shapes = [
        (num_steps - 1, num_nodes, hidden),
        (kept_edges, num_edges, hidden),
        (num_steps, num_nodes, hidden),
        (0,) if save_memory else (num_edges, hidden),
    ]
    stored = torch.bfloat16 if bf16 else torch.float32
    dtypes = [torch.float32, stored, torch.float32, stored]
    return zip(shapes if keep else [(0,)] * 4, dtypes, strict=True)


@operator(
    "processor",
    "(Tensor? x, Tensor? e, Tensor x0, Tensor e0, Tensor[] topology, Tensor[] weights, int num_steps, bool keep,"
    " int precision, bool save_memory)"
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    x, e, x0, e0 = dense_or_none(x), dense_or_none(e), x0.contiguous(), e0.contiguous()
    topology, weights = dense(topology), dense(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    x_out, e_out = empty(nodes, hidden), empty(edges, hidden)
    kept = _history(nodes, edges, hidden, num_steps, keep, precision, save_memory)
    history = [empty(*s, dtype=d) for s, d in kept]
    _core.processor_forward(
        (nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory),
        addresses(topology),
        addresses(weights),
        addresses((x, e, x0, e0)),
        addresses((x_out, e_out)),
        addresses(history) if keep else [0] * 4,
        keep,
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    return x_out, e_out, *history


@fake("processor")
def _(x, e, x0, e0, topology, weights, num_steps, keep, precision, save_memory):
    history = _history(x0.shape[0], e0.shape[0], x0.shape[1], num_steps, keep, precision, save_memory)
    return torch.empty_like(x0), torch.empty_like(e0), *(x0.new_empty(s, dtype=d) for s, d in history)


@operator(
    "processor_backward",
    "(Tensor? x, Tensor? e, Tensor x0, Tensor e0, Tensor[] topology, Tensor[] weights, int num_steps, "
    "Tensor[] outputs, Tensor? grad_x_out, Tensor? grad_e_out, int precision, bool save_memory) -> ("
    "Tensor, Tensor, Tensor, Tensor, Tensor[])",
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
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    x, e, x0, e0 = dense_or_none(x), dense_or_none(e), x0.contiguous(), e0.contiguous()
    grad_x_out, grad_e_out = dense_or_none(grad_x_out), dense_or_none(grad_e_out)
    topology, weights = dense(topology), dense(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    grad_x = None if x is None else empty(nodes, hidden)
    grad_e = None if e is None else empty(edges, hidden)
    grad_x0, grad_e0 = empty(nodes, hidden), empty(edges, hidden)
    gradients = [torch.empty_like(w) for w in weights]
    _core.processor_backward(
        (nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory),
        addresses(topology),
        addresses(weights),
        addresses((x, e, x0, e0, outputs[0])),
        addresses(outputs[1:]),
        addresses((grad_x_out, grad_e_out, grad_x, grad_e, grad_x0, grad_e0)),
        addresses(gradients),
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    grads = (x0.new_empty(0) if g is None else g for g in (grad_x, grad_e, grad_x0, grad_e0))
    return *grads, gradients


@fake("processor_backward")
def _(x, e, x0, e0, topology, weights, num_steps, outputs, grad_x_out, grad_e_out, precision, save_memory):
    return (
        x0.new_empty(0) if x is None else torch.empty_like(x),
        x0.new_empty(0) if e is None else torch.empty_like(e),
        torch.empty_like(x0),
        torch.empty_like(e0),
        [torch.empty_like(w) for w in weights],
    )


def _processor_setup(ctx, inputs, output):
    x, e, x0, e0, topology, weights, ctx.num_steps, keep, ctx.precision, ctx.save_memory = inputs
    ctx.num_topology, ctx.num_weights = len(topology), len(weights)
    ctx.keep = keep
    x_out, _, *history = output  # the backward pass does without e_out: 42 MB at N = 4096
    ctx.save_for_backward(x, e, x0, e0, *topology, *weights, x_out, *history)
    ctx.set_materialize_grads(False)  # a zero gradient of e alone would be 42 MB at N = 4096


@once_differentiable
def _processor_autograd(ctx, grad_x_out, grad_e_out, *_):
    if not ctx.keep:
        raise RuntimeError("botan_fast::processor ran with keep=False; gradients need keep=True")
    x, e, x0, e0, *rest = ctx.saved_tensors
    topology, rest = rest[: ctx.num_topology], rest[ctx.num_topology :]
    weights, outputs = rest[: ctx.num_weights], rest[ctx.num_weights :]
    if grad_x_out is None and grad_e_out is None:
        return None, None, None, None, [None] * len(topology), [None] * len(weights), None, None, None, None
    grad_x, grad_e, grad_x0, grad_e0, gradients = _processor_backward(
        x, e, x0, e0, topology, weights, ctx.num_steps, outputs, grad_x_out, grad_e_out, ctx.precision, ctx.save_memory
    )
    return (
        None if x is None else grad_x,
        None if e is None else grad_e,
        grad_x0,
        grad_e0,
        [None] * len(topology),
        gradients,
        None,
        None,
        None,
        None,
    )


torch.library.register_autograd(
    "botan_fast::processor", _processor_autograd, setup_context=_processor_setup, lib=library
)


if ops_cuda.core is not None:
    for _name in ("mlp", "mlp_backward", "processor_backward"):
        library.impl(_name, partial(getattr(ops_cuda, _name), ops_cuda.core), "CUDA")
    library.impl("processor", partial(ops_cuda.processor, ops_cuda.core, _history), "CUDA")


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
) -> tuple[Tensor, Tensor]:
    """`reference.processor` in the given precision, by the compiled core where it has a fast path.

    `topology` is [senders, receivers, row_ptr, sender_order, sender_ptr], int32, edges sorted by receiver; the edges
    that leave node i are sender_order[sender_ptr[i]:sender_ptr[i+1]]. x, x0 (N, H); e, e0 (E, H); float32.
    Gradients flow to x, e, x0, e0 and all weights. First derivatives only on the fast path; `reference.processor`
    has all.

    For gradients the fast path keeps, besides inputs and results, 2 n - 1 node arrays (N, H) float32 and n edge arrays
    (E, H): e after each step but the last, and one constant; in "bf16" n of bfloat16 and the constant in float32.
    With `save_memory` it keeps only e before the steps 4, 8, ...: (n - 1) // 4 edge arrays, float32 or bfloat16. The
    others are computed again during the backward pass, which on the CPU holds the constant and at most two of them at a
    time. Results and gradients have the same bits. `reference.processor` keeps what enters each step.

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
    if num_steps == 0:
        return x0 if x is None else x, e0 if e is None else e
    if not has_fast_path(x0.shape[1], x0.dtype, x0.device):
        parts = list(edge_weights), list(node_weights)
        return reference.processor(x, e, x0, e0, *topology[:2], *parts, num_steps, precision, save_memory)
    weights = [*edge_weights, *node_weights]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, e, x0, e0, *weights))
    number = PRECISIONS.index(precision)
    x, e, *_ = _processor(x, e, x0, e0, list(topology), weights, num_steps, keep, number, save_memory)
    return x, e

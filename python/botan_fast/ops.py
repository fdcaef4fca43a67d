"""The compiled operations as torch operators: schema, fake, autograd, dispatch.

Operators live in `torch.ops.botan_fast`: `mlp`, `processor` and their backward, `segment_sum`, its transpose
`segment_expand`, `scatter_sum`, and `loss`. This is the only module that calls the compute functions of the compiled
core. All are deterministic: results are bitwise equal between runs and for any number of threads.
"""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import _core, ops_cuda, reference
from .errors import InputError

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

_LARGE = 1 << 20  # bytes; smaller arrays are torch's own


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
        return ops_cuda.core is not None and ops_cuda.core.has_message_passing(device.index or 0, hidden_size)
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


def _empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """An uninitialised tensor; large ones come from the core's pool, which reuses their pages."""
    count = int(np.prod(shape, dtype=np.int64))
    num_bytes = dtype.itemsize * count
    if num_bytes < _LARGE:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(_core.PooledBuffer(num_bytes), dtype=dtype, count=count).view(shape)


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [_address(t) for t in tensors]


def _dense(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


def _dense_or_none(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


_library = torch.library.Library("botan_fast", "DEF")


def _operator(name: str, schema: str):
    """Defines botan_fast::name with the decorated function as its CPU kernel, and gives back the operator.

    The low-level registration: `torch.library.custom_op` would import the whole of torch's compiler, seconds of it, at
    the first call of a process.
    """

    def register(kernel):
        _library.define(name + schema)
        _library.impl(name, kernel, "CPU")
        return getattr(torch.ops.botan_fast, name).default

    return register


def _fake(name: str):
    return torch.library.register_fake(f"botan_fast::{name}", lib=_library)


# ---- sums -----------------------------------------------------------------------------------------------------

_SUM_DTYPES = {torch.float32: "f32", torch.float64: "f64"}


def _flat(values: Tensor) -> tuple[Tensor, int]:
    """Dense values and the number of numbers in a row."""
    return values.contiguous(), int(np.prod(values.shape[1:], dtype=np.int64))


def _segment_kernel(name: str, values: Tensor, row_ptr: Tensor):
    return getattr(_core, f"{name}_{_SUM_DTYPES[values.dtype]}_{'i32' if row_ptr.dtype == torch.int32 else 'i64'}")


def _check_row_ptr(row_ptr: Tensor, num_rows: int):
    if row_ptr[0] != 0 or row_ptr[-1] != num_rows or (row_ptr.diff() < 0).any():
        raise InputError(
            f"row_ptr goes from {int(row_ptr[0])} to {int(row_ptr[-1])}; "
            f"it must rise from 0 to the number of rows of values, {num_rows}, and never fall"
        )


@_operator("segment_sum", "(Tensor values, Tensor row_ptr) -> Tensor")
def _segment_sum(values: Tensor, row_ptr: Tensor) -> Tensor:
    (values, width), row_ptr, count = _flat(values), row_ptr.contiguous(), len(row_ptr) - 1
    _check_row_ptr(row_ptr, len(values))
    out = values.new_empty((count, *values.shape[1:]))
    kernel = _segment_kernel("segment_sum", values, row_ptr)
    kernel(_address(values), len(values), width, _address(row_ptr), count, _address(out), torch.get_num_threads())
    return out


@_fake("segment_sum")
def _(values, row_ptr):
    return values.new_empty((row_ptr.shape[0] - 1, *values.shape[1:]))


@_operator("segment_expand", "(Tensor values, Tensor row_ptr, SymInt num_rows) -> Tensor")
def _segment_expand(values: Tensor, row_ptr: Tensor, num_rows: int) -> Tensor:
    (values, width), row_ptr = _flat(values), row_ptr.contiguous()
    out = values.new_empty((num_rows, *values.shape[1:]))
    kernel = _segment_kernel("segment_expand", values, row_ptr)
    kernel(_address(values), len(values), width, _address(row_ptr), num_rows, _address(out), torch.get_num_threads())
    return out


@_fake("segment_expand")
def _(values, row_ptr, num_rows):
    return values.new_empty((num_rows, *values.shape[1:]))


@_operator("scatter_sum", "(Tensor values, Tensor index, SymInt dim_size) -> Tensor")
def _scatter_sum(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    (values, width), index = _flat(values), index.to(torch.int64).contiguous()
    out = values.new_empty((dim_size, *values.shape[1:]))
    kernel = getattr(_core, f"scatter_sum_{_SUM_DTYPES[values.dtype]}")
    kernel(_address(values), len(values), width, _address(index), dim_size, _address(out), torch.get_num_threads())
    return out


@_fake("scatter_sum")
def _(values, index, dim_size):
    return values.new_empty((dim_size, *values.shape[1:]))


if ops_cuda.core is not None:
    for _name in ("segment_sum", "segment_expand", "scatter_sum"):
        _library.impl(_name, partial(getattr(ops_cuda, _name), ops_cuda.core), "CUDA")


def _has_sums(values: Tensor) -> bool:
    on_device = values.device.type == "cpu" or (values.device.type == "cuda" and ops_cuda.core is not None)
    return on_device and values.dtype in _SUM_DTYPES


def _segment_setup(ctx, inputs, output):
    ctx.num_rows = inputs[0].shape[0]
    ctx.save_for_backward(inputs[1])


def _segment_expand_setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[1])


def _scatter_setup(ctx, inputs, output):
    ctx.save_for_backward(inputs[1])


# Each gradient is the transposed sum, itself differentiable: derivatives of any order.
torch.library.register_autograd(
    "botan_fast::segment_sum",
    lambda ctx, grad: (_segment_expand(grad, ctx.saved_tensors[0], ctx.num_rows), None),
    setup_context=_segment_setup,
    lib=_library,
)
torch.library.register_autograd(
    "botan_fast::segment_expand",
    lambda ctx, grad: (_segment_sum(grad, ctx.saved_tensors[0]), None, None),
    setup_context=_segment_expand_setup,
    lib=_library,
)
torch.library.register_autograd(
    "botan_fast::scatter_sum",
    lambda ctx, grad: (grad.index_select(0, ctx.saved_tensors[0]), None, None),
    setup_context=_scatter_setup,
    lib=_library,
)


def _check_index(name: str, index: Tensor, at_least: int):
    if not isinstance(index, Tensor) or index.ndim != 1 or index.dtype not in (torch.int32, torch.int64):
        found = f"{tuple(index.shape)} {index.dtype}" if isinstance(index, Tensor) else type(index).__name__
        raise InputError(f"{name} is {found}; it must be a one-dimensional int32 or int64 tensor")
    if index.shape[0] < at_least:
        raise InputError(f"{name} is empty; it holds one number more than there are segments")


def segment_sum(values: Tensor, row_ptr: Tensor) -> Tensor:
    """out_i = sum of values_k over row_ptr_i <= k < row_ptr_{i+1}: the sum over incoming edges of a sorted graph.

    Args:
        values: (E, ...) floating tensor.
        row_ptr: (N+1,) int32 or int64, rising from 0 to E; equal neighbours mean an empty segment, whose sum is 0.

    Returns (N, ...) of the dtype of `values`. float32 and float64 are summed in float64 and rounded once; other
    dtypes, devices, and CUDA in a build without it run in plain torch. Differentiable to any order in `values`.
    Raises InputError when row_ptr does not rise from 0 to E; on CUDA, where that check would wait for the device, a
    segment outside of `values` is a device assertion, as in torch's own indexing.

    >>> import torch, botan_fast as bf
    >>> bf.segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([3., 0., 4.])
    """
    _check_index("row_ptr", row_ptr, 1)
    if _has_sums(values):
        return _segment_sum(values, row_ptr)
    if not torch.compiler.is_compiling():
        _check_row_ptr(row_ptr, len(values))
    return reference.segment_sum(values, row_ptr)


def scatter_sum(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    """out_i = sum of values_k over all k with index_k = i, index in any order.

    Args:
        values: (E, ...) floating tensor.
        index: (E,) int32 or int64 in [0, dim_size).
        dim_size: rows of the result; a row that no index names is 0.

    Returns (dim_size, ...) of the dtype of `values`. float32 and float64 are summed in float64 and rounded once, on the
    CPU in the order of k, on CUDA in an order that follows from index alone, so the result repeats bit by bit; other
    dtypes, devices, and CUDA in a build without it run in plain torch. Differentiable to any order in `values`.
    Raises InputError when a shape does not fit, and ValueError when an index is outside (on CUDA a device assertion).

    >>> import torch, botan_fast as bf
    >>> bf.scatter_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 3)
    tensor([2., 0., 5.])
    """
    _check_index("index", index, 0)
    if index.shape[0] != values.shape[0]:
        raise InputError(f"index has {index.shape[0]} entries and values {values.shape[0]} rows; they must be equal")
    if dim_size < 0:
        raise InputError(f"dim_size = {dim_size}; it must not be negative")
    if _has_sums(values):
        return _scatter_sum(values, index, dim_size)
    return reference.scatter_sum(values, index, dim_size)


# ---- mlp ------------------------------------------------------------------------------------------------------


@_operator("mlp", "(Tensor x, Tensor[] weights, int precision) -> Tensor")
def _mlp(x: Tensor, weights: Sequence[Tensor], precision: int) -> Tensor:
    x, weights = x.contiguous(), _dense(weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    y = _empty(rows, hidden) if len(weights) == 4 else _empty(rows)
    _core.mlp_forward(
        rows, inputs, hidden, _addresses(weights), _address(x), _address(y), _on_cpu(precision), torch.get_num_threads()
    )
    return y


@_fake("mlp")
def _(x, weights, precision):
    rows, hidden = x.shape[0], weights[0].shape[0]
    return x.new_empty((rows, hidden) if len(weights) == 4 else (rows,))


@_operator(
    "mlp_backward",
    "(Tensor x, Tensor[] weights, Tensor y, Tensor grad_y, bool need_grad_x, int precision) -> (Tensor, Tensor[])",
)
def _mlp_backward(
    x: Tensor, weights: Sequence[Tensor], y: Tensor, grad_y: Tensor, need_grad_x: bool, precision: int
) -> tuple[Tensor, list[Tensor]]:
    x, weights, grad_y = x.contiguous(), _dense(weights), grad_y.contiguous()
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    grad_x = _empty(rows, inputs) if need_grad_x else x.new_empty(0)
    gradients = [torch.empty_like(w) for w in weights]
    _core.mlp_backward(
        rows,
        inputs,
        hidden,
        _addresses(weights),
        _address(x),
        _address(y),
        _address(grad_y),
        _address(grad_x) if need_grad_x else 0,
        _addresses(gradients),
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    return grad_x, gradients


@_fake("mlp_backward")
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


torch.library.register_autograd("botan_fast::mlp", _mlp_autograd, setup_context=_mlp_setup, lib=_library)


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


SAVED_STEPS = 4  # kSavedSteps of the core


def _history(
    num_nodes: int, num_edges: int, hidden: int, num_steps: int, keep: bool, precision: int, save_memory: bool = False
):
    """Shapes and dtypes of ProcessorHistory's members."""
    bf16 = PRECISIONS[precision] == "bf16"
    kept_edges = (num_steps - 1) // SAVED_STEPS if save_memory else num_steps if bf16 else num_steps - 1
    shapes = [
        (num_steps - 1, num_nodes, hidden),
        (kept_edges, num_edges, hidden),
        (num_steps, num_nodes, hidden),
        (0,) if save_memory else (num_edges, hidden),
    ]
    stored = torch.bfloat16 if bf16 else torch.float32
    dtypes = [torch.float32, stored, torch.float32, stored]
    return zip(shapes if keep else [(0,)] * 4, dtypes, strict=True)


@_operator(
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
    x, e, x0, e0 = _dense_or_none(x), _dense_or_none(e), x0.contiguous(), e0.contiguous()
    topology, weights = _dense(topology), _dense(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    x_out, e_out = _empty(nodes, hidden), _empty(edges, hidden)
    kept = _history(nodes, edges, hidden, num_steps, keep, precision, save_memory)
    history = [_empty(*s, dtype=d) for s, d in kept]
    _core.processor_forward(
        nodes,
        edges,
        _addresses(topology),
        hidden,
        num_steps,
        weights[0].shape[1] == 6 * hidden,
        _addresses(weights),
        *_addresses((x, e, x0, e0, x_out, e_out)),
        _addresses(history) if keep else [0] * 4,
        save_memory,
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    return x_out, e_out, *history


@_fake("processor")
def _(x, e, x0, e0, topology, weights, num_steps, keep, precision, save_memory):
    history = _history(x0.shape[0], e0.shape[0], x0.shape[1], num_steps, keep, precision, save_memory)
    return torch.empty_like(x0), torch.empty_like(e0), *(x0.new_empty(s, dtype=d) for s, d in history)


@_operator(
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
    x, e, x0, e0 = _dense_or_none(x), _dense_or_none(e), x0.contiguous(), e0.contiguous()
    grad_x_out, grad_e_out = _dense_or_none(grad_x_out), _dense_or_none(grad_e_out)
    topology, weights = _dense(topology), _dense(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    grad_x = None if x is None else _empty(nodes, hidden)
    grad_e = None if e is None else _empty(edges, hidden)
    grad_x0, grad_e0 = _empty(nodes, hidden), _empty(edges, hidden)
    gradients = [torch.empty_like(w) for w in weights]
    _core.processor_backward(
        nodes,
        edges,
        _addresses(topology),
        hidden,
        num_steps,
        weights[0].shape[1] == 6 * hidden,
        _addresses(weights),
        *_addresses((x, e, x0, e0, outputs[0])),
        _addresses(outputs[1:]),
        save_memory,
        *_addresses((grad_x_out, grad_e_out, grad_x, grad_e, grad_x0, grad_e0)),
        _addresses(gradients),
        _on_cpu(precision),
        torch.get_num_threads(),
    )
    empty = x0.new_empty(0)
    return empty if grad_x is None else grad_x, empty.clone() if grad_e is None else grad_e, grad_x0, grad_e0, gradients


@_fake("processor_backward")
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
    "botan_fast::processor", _processor_autograd, setup_context=_processor_setup, lib=_library
)


if ops_cuda.core is not None:
    for _name in ("mlp", "mlp_backward", "processor_backward"):
        _library.impl(_name, partial(getattr(ops_cuda, _name), ops_cuda.core), "CUDA")
    _library.impl("processor", partial(ops_cuda.processor, ops_cuda.core, _history), "CUDA")


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


# ---- loss -----------------------------------------------------------------------------------------------------
# The gradient of the total is made in the pass that adds up the squares, and only scaled in the backward pass. A part
# that is not given has neither prediction nor target. A gradient that is not kept is empty.


def _loss_gradient(prediction: Tensor, target: Tensor, weight: float, row_ptr: Tensor | None) -> Tensor:
    """2 weight (prediction - target) / count, in the roundings of torch's own backward pass."""
    count = prediction.shape[0] if row_ptr is None else row_ptr[-1]
    gradient = (prediction - target).mul_(2 * (prediction.new_tensor(weight) / count))
    if row_ptr is None:
        return gradient
    return torch.where(torch.arange(len(gradient), device=gradient.device) < count, gradient, 0)


@_operator(
    "loss",
    "(Tensor? node, Tensor? edge, Tensor? node_target, Tensor? edge_target, Tensor? row_ptr, float p, "
    "bool keep_node, bool keep_edge) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _loss(
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    row_ptr: Tensor | None,
    p: float,
    keep_node: bool,
    keep_edge: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    # The CPU has no kernel of its own: with the backward pass this is a thousandth of a training step.
    losses = reference.loss(node, edge, node_target, edge_target, p, row_ptr)
    empty = losses[0].new_empty
    return (
        *losses,
        _loss_gradient(node, node_target, p, None) if keep_node else empty(0),
        _loss_gradient(edge, edge_target, 1 - p, row_ptr) if keep_edge else empty(0),
    )


@_fake("loss")
def _(node, edge, node_target, edge_target, row_ptr, p, keep_node, keep_edge):
    like = edge if node is None else node
    kept = (torch.empty_like(t) if keep else like.new_empty(0) for t, keep in ((node, keep_node), (edge, keep_edge)))
    return *(like.new_empty(()) for _ in range(3)), *kept


def _loss_setup(ctx, inputs, output):
    *_, ctx.keep_node, ctx.keep_edge = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[3:])
    ctx.set_materialize_grads(False)


@once_differentiable
def _loss_autograd(ctx, grad, *_):
    node, edge = ctx.saved_tensors
    keep_node, keep_edge = (keep and grad is not None for keep in (ctx.keep_node, ctx.keep_edge))
    return node * grad if keep_node else None, edge * grad if keep_edge else None, *(None,) * 6


torch.library.register_autograd("botan_fast::loss", _loss_autograd, setup_context=_loss_setup, lib=_library)
if ops_cuda.core is not None:
    _library.impl("loss", partial(ops_cuda.loss, ops_cuda.core), "CUDA")


class Loss(NamedTuple):
    """What `loss` returns, each of shape (): total = p node + (1 - p) edge; only the total has a gradient."""

    total: Tensor
    node: Tensor
    edge: Tensor


def loss(
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    p: float,
    row_ptr: Tensor | None = None,
) -> Loss:
    """The loss of BOTAN with its gradient, in one pass (Shiba et al., J. Chem. Phys. 158, 084503 (2023)).

        total = p mean_i (S_hat_i - S_i)^2 + (1 - p) mean_ij (E_hat_ij - E_ij)^2

    over all particles and all directed edges, of a graph or a batch of them.

    Args:
        node, node_target: (N,) predictions S_hat and targets S, floating; either None: that part is 0.
        edge, edge_target: (E,) likewise E_hat and E.
        p: weight of the nodes, in [0, 1].
        row_ptr: (N+1,) integers; then the edges are the first row_ptr[N] of E numbers, and the others are not
            counted: for graphs with room for more edges (`build_graph(capacity=...)`).

    Returns `Loss`, of the dtype of the predictions, to which targets are converted. Gradients, of first order, flow to
    the predictions from `total` alone; a prediction whose part has no weight gets none, rather than zeros, and does not
    make the total nan. The mean over nothing is nan. Deterministic; on CUDA in float32 without waiting for the device.
    Raises InputError for p outside [0, 1], shapes that do not fit, and predictions without any target.

    >>> import torch
    >>> from botan_fast import ops
    >>> node = torch.ones(4, requires_grad=True)
    >>> loss = ops.loss(node, torch.ones(6), torch.zeros(4), torch.full((6,), 3.0), p=0.25)
    >>> loss.total.backward()
    >>> loss.total.item(), loss.node.item(), loss.edge.item(), node.grad
    (3.25, 1.0, 4.0, tensor([0.1250, 0.1250, 0.1250, 0.1250]))
    """
    if not 0 <= p <= 1:
        raise InputError(f"p = {p!r}; the weight of the node loss lies in [0, 1]")
    node, node_target = _loss_part("node", node, node_target)
    edge, edge_target = _loss_part("edge", edge, edge_target)
    some = edge if node is None else node
    if some is None:
        raise InputError("neither node nor edge has both prediction and target; a loss needs at least one of them")
    if row_ptr is not None:
        _check_index("row_ptr", row_ptr, 1)
    if node is not None and edge is not None and node.dtype != edge.dtype:
        raise InputError(f"node is {node.dtype} and edge {edge.dtype}; they must be equal")
    # What has no weight is cut off here, so that the backward pass does not reach its decoder.
    node = node.detach() if node is not None and p == 0 else node
    edge = edge.detach() if edge is not None and p == 1 else edge
    if not _has_loss(some):
        total, *parts = reference.loss(node, edge, node_target, edge_target, p, row_ptr)
        return Loss(total, *(part.detach() for part in parts))
    keep = (torch.is_grad_enabled() and t is not None and t.requires_grad for t in (node, edge))
    if row_ptr is not None:
        row_ptr = row_ptr.to(torch.int32)
    return Loss(*_loss(node, edge, node_target, edge_target, row_ptr, p, *keep)[:3])


def _has_loss(prediction: Tensor) -> bool:
    if prediction.device.type == "cuda":
        return ops_cuda.core is not None and prediction.dtype == torch.float32
    return prediction.device.type == "cpu"


def _loss_part(name: str, prediction: Tensor | None, target: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Both or neither; the target in the dtype of the prediction."""
    if prediction is None or target is None:
        return None, None
    if prediction.ndim != 1 or prediction.shape != target.shape or not prediction.is_floating_point():
        raise InputError(
            f"{name} is {prediction.dtype} of shape {tuple(prediction.shape)} and {name}_target has shape "
            f"{tuple(target.shape)}; both are one number for each {name}, predictions floating"
        )
    return prediction, target.to(prediction.dtype)

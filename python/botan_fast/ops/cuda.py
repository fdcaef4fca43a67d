"""The CUDA kernels as functions of torch tensors: device, stream, workspace and output, then one call of the core.

`kernels` is the submodule `_core.cuda`, or in tests the host emulation, which takes CPU tensors. Nothing here waits for
the device: torch's current stream is used, memory comes from torch's allocator, so all of it can be captured in a
CUDA graph.
"""

from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..device import DTYPES, stream_of, workspace_of
from ..errors import InputError
from .door import (
    backward_tensors,
    index_tensor,
    mlp_tensors,
    number_tensor,
    processor_tensors,
    same_device,
    topology_tensors,
)
from .history import history_members

__all__ = [
    "load_batch",
    "loss",
    "mlp",
    "mlp_backward",
    "pack",
    "processor",
    "processor_backward",
    "record_step",
    "scatter_sum",
    "segment_expand",
    "segment_sum",
]


def _flat(values: Tensor) -> tuple[Tensor, int]:
    return values.contiguous(), int(np.prod(values.shape[1:], dtype=np.int64))


def _kernel(kernels: ModuleType, name: str, values: Tensor, row_ptr: Tensor) -> Any:
    return getattr(kernels, f"{name}_{DTYPES[values.dtype]}_{'i32' if row_ptr.dtype == torch.int32 else 'i64'}")


def segment_sum(kernels: ModuleType, values: Tensor, row_ptr: Tensor, order: Tensor | None = None) -> Tensor:
    """`reference.segment_sum` of values, or of values[order] without making that array; order of row_ptr's dtype."""
    (values, width), row_ptr = _flat(values), index_tensor("row_ptr", row_ptr, values, "values")
    order = None if order is None else index_tensor("order", order, values, "values").to(row_ptr.dtype)
    count = len(row_ptr) - 1
    out = values.new_empty((count, *values.shape[1:]))
    num_order = len(values if order is None else order)
    num_bytes = kernels.segment_sum_workspace_bytes(num_order, width, count)
    workspace = workspace_of(num_bytes, values)
    _kernel(kernels, "segment_sum", values, row_ptr)(
        *stream_of(values),
        values.data_ptr(),
        len(values),
        width,
        row_ptr.data_ptr(),
        count,
        0 if order is None else order.data_ptr(),
        num_order,
        out.data_ptr(),
        workspace.data_ptr(),
        num_bytes,
    )
    return out


def segment_expand(kernels: ModuleType, values: Tensor, row_ptr: Tensor, num_rows: int) -> Tensor:
    """out_k = values_i for row_ptr_i <= k < row_ptr_{i+1}: (N, ...) to (num_rows, ...)."""
    (values, width), row_ptr = _flat(values), index_tensor("row_ptr", row_ptr, values, "values")
    out = values.new_empty((num_rows, *values.shape[1:]))
    _kernel(kernels, "segment_expand", values, row_ptr)(
        *stream_of(values), values.data_ptr(), len(values), width, row_ptr.data_ptr(), num_rows, out.data_ptr()
    )
    return out


def scatter_sum(kernels: ModuleType, values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    """`reference.scatter_sum`: a stable sort of the index, then `segment_sum` in that order."""
    ordered, order = index_tensor("index", index, values, "values").to(torch.int64).sort(stable=True)
    row_ptr = torch.empty(dim_size + 1, dtype=torch.int64, device=values.device)
    kernels.row_ptr_of_sorted(*stream_of(values), ordered.data_ptr(), len(ordered), dim_size, row_ptr.data_ptr())
    return segment_sum(kernels, values, row_ptr, order)


_T = TypeVar("_T", Tensor, Tensor | None)


def _aligned(tensor: _T) -> _T:
    """The tensor dense and aligned to 16 bytes, as every allocation is; a copy where it is a view that is not."""
    if tensor is None:
        return None
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % 16 else tensor


def _all_aligned(tensors: Sequence[_T]) -> list[_T]:
    return [_aligned(t) for t in tensors]


def _addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [0 if t is None else t.data_ptr() for t in tensors]


# ---- packed weights -------------------------------------------------------------------------------------------


def pack(
    kernels: ModuleType, weights: Sequence[Tensor], counts: Sequence[int], backward: bool, precision: int
) -> list[Tensor]:
    """The operator `pack`: a buffer for each part."""
    like, first = weights[0], 0
    hidden, parts, buffers = like.shape[0], [], []
    for count in counts:
        part, first = [w.contiguous() for w in weights[first : first + count]], first + count
        inputs = part[0].shape[1]
        num_bytes = kernels.packed_bytes(inputs, count == 8, hidden, backward, precision)
        buffers.append(workspace_of(num_bytes, like))
        parts.append((part, (inputs, _addresses(part), buffers[-1].data_ptr())))
    kernels.pack_weights(*stream_of(like), [addresses for _, addresses in parts], hidden, backward, precision)
    return buffers


def _packed_address(
    kernels: ModuleType, packed: Tensor | None, weights: Sequence[Tensor], backward: bool, precision: int
) -> int:
    """Where the packed weights lie, after a check of their size; 0: the call packs its own."""
    if packed is None:
        return 0
    hidden, inputs = weights[0].shape
    needed = kernels.packed_bytes(inputs, len(weights) == 8, hidden, backward, precision)
    same_device("packed", packed, weights[0], "W1")
    if packed.dtype != torch.uint8 or packed.ndim != 1 or packed.numel() < needed or not packed.is_contiguous():
        raise InputError(
            f"packed is {packed.dtype} of shape {tuple(packed.shape)}; these weights need {needed} bytes of uint8: "
            "those that pack_weights made of them in this precision, with gradients enabled for a backward pass"
        )
    return packed.data_ptr()


# ---- message passing ------------------------------------------------------------------------------------------


def processor(
    kernels: ModuleType,
    x: Tensor | None,
    e: Tensor | None,
    x0: Tensor,
    e0: Tensor,
    topology: Sequence[Tensor],
    weights: Sequence[Tensor],
    num_steps: int,
    keep: bool,
    precision: int,
    save_memory: bool = False,
    packed: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """The operator `processor`."""
    given, weights = processor_tensors(x, e, x0, e0, weights)
    x, e = _aligned(given[0]), _aligned(given[1])
    x0, e0 = _aligned(given[2]), _aligned(given[3])
    state = (x, e, x0, e0)
    topology, weights = _all_aligned(topology_tensors(topology, x0, e0, look=False)), _all_aligned(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    shape = nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory
    results = [torch.empty_like(x0), torch.empty_like(e0)]
    members = history_members(nodes, edges, hidden, num_steps, keep, precision, save_memory)
    kept = [x0.new_empty(s, dtype=d) for s, d in members]
    stream = stream_of(x0)
    num_bytes = kernels.processor_forward_workspace_bytes(*stream, shape, keep, precision)
    workspace = workspace_of(num_bytes, x0)
    kernels.processor_forward(
        *stream,
        shape,
        _addresses(topology),
        _addresses(weights),
        _addresses(state),
        _addresses(results),
        _addresses(kept),
        keep,
        precision,
        _packed_address(kernels, packed, weights, False, precision),
        workspace.data_ptr(),
        num_bytes,
    )
    return *results, *kept


def processor_backward(
    kernels: ModuleType,
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
    save_memory: bool = False,
    packed: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor, list[Tensor]]:
    """The operator `processor_backward`."""
    given, weights = processor_tensors(x, e, x0, e0, weights)
    x, e = _aligned(given[0]), _aligned(given[1])
    x0, e0 = _aligned(given[2]), _aligned(given[3])
    state = (x, e, x0, e0)
    outputs, *grad_outputs = backward_tensors(x0, e0, outputs, grad_x_out, grad_e_out)
    outputs, grad_outputs = _all_aligned(outputs), _all_aligned(grad_outputs)
    topology, weights = _all_aligned(topology_tensors(topology, x0, e0, look=False)), _all_aligned(weights)
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    shape = nodes, edges, hidden, num_steps, weights[0].shape[1] == 6 * hidden, save_memory
    grads = [None if t is None else torch.empty_like(t) for t in state]
    gradients = [torch.empty_like(w) for w in weights]
    stream = stream_of(x0)
    num_bytes = kernels.processor_backward_workspace_bytes(*stream, shape, precision)
    workspace = workspace_of(num_bytes, x0)
    kernels.processor_backward(
        *stream,
        shape,
        _addresses(topology),
        _addresses(weights),
        _addresses([*state, outputs[0]]),
        _addresses(outputs[1:]),
        _addresses([*grad_outputs, *grads]),
        _addresses(gradients),
        precision,
        _packed_address(kernels, packed, weights, True, precision),
        workspace.data_ptr(),
        num_bytes,
    )
    grad_x, grad_e, grad_x0, grad_e0 = (x0.new_empty(0) if g is None else g for g in grads)
    return grad_x, grad_e, grad_x0, grad_e0, gradients


# ---- multilayer perceptrons -----------------------------------------------------------------------------------


def mlp(
    kernels: ModuleType, x: Tensor, weights: Sequence[Tensor], precision: int, packed: Tensor | None = None
) -> Tensor:
    """The operator `mlp`, for 1 <= K <= 65536."""
    x, weights = mlp_tensors(x, weights)
    x, weights = _aligned(x), _all_aligned(weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    y = x.new_empty((rows, hidden) if len(weights) == 4 else (rows,))
    stream = stream_of(x)
    num_bytes = kernels.mlp_workspace_bytes(*stream, rows, inputs, hidden, False, precision)
    workspace = workspace_of(num_bytes, x)
    kernels.mlp_forward(
        *stream,
        rows,
        inputs,
        hidden,
        _addresses(weights),
        x.data_ptr(),
        y.data_ptr(),
        precision,
        _packed_address(kernels, packed, weights, False, precision),
        workspace.data_ptr(),
        num_bytes,
    )
    return y


def mlp_backward(
    kernels: ModuleType,
    x: Tensor,
    weights: Sequence[Tensor],
    y: Tensor,
    grad_y: Tensor,
    need_grad_x: bool,
    precision: int,
    packed: Tensor | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """The operator `mlp_backward`; y is not read."""
    x, weights = mlp_tensors(x, weights)
    (rows, inputs), hidden = x.shape, weights[0].shape[0]
    grad_y = number_tensor("grad_y", grad_y, (rows,) if len(weights) == 6 else (rows, hidden), x, "x")
    x, weights, grad_y = _aligned(x), _all_aligned(weights), _aligned(grad_y)
    grad_x = torch.empty_like(x) if need_grad_x else None
    gradients = [torch.empty_like(w) for w in weights]
    stream = stream_of(x)
    num_bytes = kernels.mlp_workspace_bytes(*stream, rows, inputs, hidden, True, precision)
    workspace = workspace_of(num_bytes, x)
    kernels.mlp_backward(
        *stream,
        rows,
        inputs,
        hidden,
        _addresses(weights),
        x.data_ptr(),
        grad_y.data_ptr(),
        0 if grad_x is None else grad_x.data_ptr(),
        _addresses(gradients),
        precision,
        _packed_address(kernels, packed, weights, True, precision),
        workspace.data_ptr(),
        num_bytes,
    )
    return x.new_empty(0) if grad_x is None else grad_x, gradients


# ---- loss -----------------------------------------------------------------------------------------------------


def loss(
    kernels: ModuleType,
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    row_ptr: Tensor | None,
    p: float,
    keep_node: bool,
    keep_edge: bool,
) -> tuple[Tensor, ...]:
    """The operator `loss`, for float32."""
    like = edge if node is None else node
    assert like is not None  # one of the two is given
    named = {"node": node, "edge": edge, "node_target": node_target, "edge_target": edge_target}
    tensors = _all_aligned(
        [None if t is None else number_tensor(name, t, t.shape, like, "the prediction") for name, t in named.items()]
    )
    if row_ptr is not None:
        row_ptr = index_tensor("row_ptr", row_ptr, like, "the prediction").to(torch.int32)
    results = [like.new_empty(()) for _ in range(3)]
    parts = []
    for prediction, target, weight, keep in zip(
        tensors[:2], tensors[2:], (p, 1 - p), (keep_node, keep_edge), strict=True
    ):
        gradient = like.new_empty(0) if prediction is None or not keep else torch.empty_like(prediction)
        capacity = 0 if prediction is None else prediction.shape[0]
        parts.append((prediction is not None, *_addresses((prediction, target)), capacity, weight, gradient.data_ptr()))
        results.append(gradient)
    num_bytes = kernels.loss_workspace_bytes(parts[0][3], parts[1][3])
    workspace = workspace_of(num_bytes, like)
    num_edges = 0 if row_ptr is None else row_ptr.data_ptr() + 4 * (row_ptr.shape[0] - 1)
    kernels.loss(*stream_of(like), *parts, num_edges, *_addresses(results[:3]), workspace.data_ptr(), num_bytes)
    return tuple(results)


# ---- a captured training step -----------------------------------------------------------------------------------


def load_batch(
    kernels: ModuleType, source: Sequence[Tensor], choice: Sequence[Tensor], batch: Sequence[Tensor]
) -> None:
    """The operator `load_batch`, its tensors checked."""
    types, _, numbers, senders, _, _, vectors, _, targets = source
    room = batch[0].shape[0], batch[3].shape[0]
    columns = vectors.shape[1], numbers.shape[1], choice[2].shape[1], targets.shape[1]
    given = [t if t.numel() else None for t in (*source, *choice, *batch)]
    kernels.load_batch(
        *stream_of(types),
        _addresses(given[:9]),
        (types.shape[0], senders.shape[0]),
        _addresses(given[9:13]),
        choice[1].shape[0],
        _addresses(given[13:]),
        (*room, *columns),
    )


def record_step(
    kernels: ModuleType,
    losses: Sequence[Tensor],
    norms: Tensor,
    clip_norm: float,
    batch: Tensor,
    results: Sequence[Tensor],
) -> None:
    """The operator `record_step`."""
    record, (count,) = results[0], norms.shape
    numbers = [number_tensor("a loss of the step", t, (), record, "record") for t in losses]
    numbers.append(number_tensor("norms", norms, (count,), record, "record"))
    place = index_tensor("batch", batch, record, "record")
    kernels.record_step(
        *stream_of(record),
        _addresses(numbers),
        count,
        clip_norm,
        place.data_ptr(),
        record.shape[0],
        _addresses(results),
    )

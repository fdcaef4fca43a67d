"""The CUDA kernels as functions of torch tensors: device, stream, workspace and output, then one call of the core.

`core` is the submodule `_core.cuda`, or in tests the host emulation, which takes CPU tensors. Nothing here waits for
the device: torch's current stream is used, memory comes from torch's allocator, so all of it can be captured in a
CUDA graph.
"""

from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from . import _core

__all__ = ["core", "scatter_sum", "segment_expand", "segment_sum"]

core: ModuleType | None = getattr(_core, "cuda", None)  # None in a build without CUDA kernels

DTYPES = {torch.float32: "f32", torch.float64: "f64"}


def stream_of(tensor: Tensor) -> tuple[int, int]:
    """Index of the tensor's device and the handle of torch's current stream there; (0, 0) for the host emulation.

    >>> import torch
    >>> from botan_fast import ops_cuda
    >>> ops_cuda.stream_of(torch.zeros(1))
    (0, 0)
    """
    if tensor.device.type != "cuda":
        return 0, 0
    return tensor.device.index, torch.cuda.current_stream(tensor.device).cuda_stream


def workspace_of(num_bytes: int, like: Tensor) -> Tensor:
    """Scratch memory on the device of `like`; keep it alive until the call that uses it is queued.

    >>> import torch
    >>> from botan_fast import ops_cuda
    >>> len(ops_cuda.workspace_of(12, torch.zeros(1)))
    12
    """
    return torch.empty(num_bytes, dtype=torch.uint8, device=like.device)


def _flat(values: Tensor) -> tuple[Tensor, int]:
    return values.contiguous(), int(np.prod(values.shape[1:], dtype=np.int64))


def _kernel(core: ModuleType, name: str, values: Tensor, row_ptr: Tensor):
    return getattr(core, f"{name}_{DTYPES[values.dtype]}_{'i32' if row_ptr.dtype == torch.int32 else 'i64'}")


def segment_sum(core: ModuleType, values: Tensor, row_ptr: Tensor, order: Tensor | None = None) -> Tensor:
    """`reference.segment_sum` of values, or of values[order] without making that array; order of row_ptr's dtype."""
    (values, width), row_ptr, count = _flat(values), row_ptr.contiguous(), len(row_ptr) - 1
    out = values.new_empty((count, *values.shape[1:]))
    num_order = len(values if order is None else order)
    num_bytes = core.segment_sum_workspace_bytes(num_order, width, count)
    workspace = workspace_of(num_bytes, values)
    _kernel(core, "segment_sum", values, row_ptr)(
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


def segment_expand(core: ModuleType, values: Tensor, row_ptr: Tensor, num_rows: int) -> Tensor:
    """out_k = values_i for row_ptr_i <= k < row_ptr_{i+1}: (N, ...) to (num_rows, ...)."""
    (values, width), row_ptr = _flat(values), row_ptr.contiguous()
    out = values.new_empty((num_rows, *values.shape[1:]))
    _kernel(core, "segment_expand", values, row_ptr)(
        *stream_of(values), values.data_ptr(), len(values), width, row_ptr.data_ptr(), num_rows, out.data_ptr()
    )
    return out


def scatter_sum(core: ModuleType, values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    """`reference.scatter_sum`: a stable sort of the index, then `segment_sum` in that order."""
    ordered, order = index.to(torch.int64).sort(stable=True)
    row_ptr = torch.empty(dim_size + 1, dtype=torch.int64, device=values.device)
    core.row_ptr_of_sorted(*stream_of(values), ordered.data_ptr(), len(ordered), dim_size, row_ptr.data_ptr())
    return segment_sum(core, values, row_ptr, order)

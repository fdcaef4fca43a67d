"""Sums over segments and by index as torch operators: `segment_sum`, its transpose `segment_expand`, `scatter_sum`.

All are deterministic: results are bitwise equal between runs and for any number of threads.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _core
from ..device import CUDA_KERNELS, DTYPES, kernels_for
from ..errors import InputError
from . import cuda, reference
from .door import index_tensor, same_device
from .library import address, bad_input, check_index, fake, library, operator
from .precision import in_transform

__all__ = ["has_kernels", "scatter_sum", "segment_sum"]


def _flat(values: Tensor) -> tuple[Tensor, int]:
    """Dense values and the number of numbers in a row."""
    return values.contiguous(), int(np.prod(values.shape[1:], dtype=np.int64))


def _segment_kernel(name: str, values: Tensor, row_ptr: Tensor) -> Callable[..., None]:
    return getattr(_core, f"{name}_{DTYPES[values.dtype]}_{'i32' if row_ptr.dtype == torch.int32 else 'i64'}")


def _check_row_ptr(row_ptr: Tensor, num_rows: int) -> None:
    if row_ptr[0] != 0 or row_ptr[-1] != num_rows or (row_ptr.diff() < 0).any():
        raise InputError(
            f"row_ptr goes from {int(row_ptr[0])} to {int(row_ptr[-1])}; "
            f"it must rise from 0 to the number of rows of values, {num_rows}, and never fall"
        )


@operator("segment_sum", "(Tensor values, Tensor row_ptr) -> Tensor")
def _segment_sum(values: Tensor, row_ptr: Tensor) -> Tensor:
    (values, width), row_ptr = _flat(values), index_tensor("row_ptr", row_ptr, values, "values")
    count = len(row_ptr) - 1
    out = values.new_empty((count, *values.shape[1:]))
    kernel = _segment_kernel("segment_sum", values, row_ptr)
    with bad_input():
        kernel(address(values), len(values), width, address(row_ptr), count, address(out), torch.get_num_threads())
    return out


@fake("segment_sum")
def _(values: Tensor, row_ptr: Tensor) -> Tensor:
    return values.new_empty((row_ptr.shape[0] - 1, *values.shape[1:]))


@operator("segment_expand", "(Tensor values, Tensor row_ptr, SymInt num_rows) -> Tensor")
def _segment_expand(values: Tensor, row_ptr: Tensor, num_rows: int) -> Tensor:
    (values, width), row_ptr = _flat(values), index_tensor("row_ptr", row_ptr, values, "values")
    if len(row_ptr) != len(values) + 1:
        raise InputError(f"row_ptr has {len(row_ptr)} entries; {len(values)} rows of values need {len(values) + 1}")
    out = values.new_empty((num_rows, *values.shape[1:]))
    kernel = _segment_kernel("segment_expand", values, row_ptr)
    with bad_input():
        kernel(address(values), len(values), width, address(row_ptr), num_rows, address(out), torch.get_num_threads())
    return out


@fake("segment_expand")
def _(values: Tensor, row_ptr: Tensor, num_rows: int) -> Tensor:
    return values.new_empty((num_rows, *values.shape[1:]))


@operator("scatter_sum", "(Tensor values, Tensor index, SymInt dim_size) -> Tensor")
def _scatter_sum(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    (values, width), index = _flat(values), index_tensor("index", index, values, "values").to(torch.int64)
    out = values.new_empty((dim_size, *values.shape[1:]))
    kernel = getattr(_core, f"scatter_sum_{DTYPES[values.dtype]}")
    with bad_input():
        kernel(address(values), len(values), width, address(index), dim_size, address(out), torch.get_num_threads())
    return out


@fake("scatter_sum")
def _(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    return values.new_empty((dim_size, *values.shape[1:]))


if CUDA_KERNELS is not None:
    for _name in ("segment_sum", "segment_expand", "scatter_sum"):
        library.impl(_name, partial(getattr(cuda, _name), CUDA_KERNELS), "CUDA")


def has_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the core sums numbers of this type on this device; else `reference` runs.

    >>> import torch
    >>> from botan_fast.ops import sums
    >>> sums.has_kernels(torch.device("cpu"), torch.float32), sums.has_kernels(torch.device("cpu"), torch.float16)
    (True, False)
    """
    return dtype in DTYPES and (device.type == "cpu" or kernels_for(device) is not None)


def _segment_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.num_rows = inputs[0].shape[0]
    ctx.save_for_backward(inputs[1])


def _segment_expand_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[1])


def _scatter_setup(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
    ctx.save_for_backward(inputs[1])


# Each gradient is the transposed sum, itself differentiable: derivatives of any order.
torch.library.register_autograd(
    "botan_fast::segment_sum",
    lambda ctx, grad: (_segment_expand(grad, ctx.saved_tensors[0], ctx.num_rows), None),
    setup_context=_segment_setup,
    lib=library,
)
torch.library.register_autograd(
    "botan_fast::segment_expand",
    lambda ctx, grad: (_segment_sum(grad, ctx.saved_tensors[0]), None, None),
    setup_context=_segment_expand_setup,
    lib=library,
)
torch.library.register_autograd(
    "botan_fast::scatter_sum",
    lambda ctx, grad: (grad.index_select(0, ctx.saved_tensors[0]), None, None),
    setup_context=_scatter_setup,
    lib=library,
)


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
    check_index("row_ptr", row_ptr, 1)
    same_device("row_ptr", row_ptr, values, "values")
    if has_kernels(values.device, values.dtype) and not in_transform():
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
    CPU in the order of k, on CUDA in an order that follows from index alone, so the result repeats bit for bit; other
    dtypes, devices, and CUDA in a build without it run in plain torch. Differentiable to any order in `values`.
    Raises InputError when a shape does not fit or an index is outside (on CUDA a device assertion).

    >>> import torch, botan_fast as bf
    >>> bf.scatter_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 3)
    tensor([2., 0., 5.])
    """
    check_index("index", index, 0)
    same_device("index", index, values, "values")
    if index.shape[0] != values.shape[0]:
        raise InputError(f"index has {index.shape[0]} entries and values {values.shape[0]} rows; they must be equal")
    if dim_size < 0:
        raise InputError(f"dim_size = {dim_size}; it must not be negative")
    if has_kernels(values.device, values.dtype) and not in_transform():
        return _scatter_sum(values, index, dim_size)
    return reference.scatter_sum(values, index, dim_size)

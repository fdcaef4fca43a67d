"""Arrays of other libraries on a GPU as torch tensors and back, without copies: CuPy, and what has
`__cuda_array_interface__`."""

import contextlib
from typing import Any, TypeAlias

import torch

__all__ = ["Array", "as_tensor", "current_stream", "is_cupy", "like"]

# A NumPy, torch or CuPy array, or nested lists of numbers: what `as_tensor` and `checks.as_array` take. No type covers
# them, and CuPy need not be installed.
Array: TypeAlias = Any


def is_cupy(value: Array) -> bool:
    """Whether `value` is a CuPy array; CuPy is not imported for it.

    >>> import numpy as np
    >>> from botan_fast import arrays
    >>> arrays.is_cupy(np.zeros(3))
    False
    """
    return type(value).__module__.partition(".")[0] == "cupy"


def as_tensor(value: Array) -> Any:
    """A CuPy array (through DLPack), or another array with `__cuda_array_interface__`, as the torch tensor of the same
    memory; everything else as it is.

    >>> from botan_fast import arrays
    >>> arrays.as_tensor([1.0])
    [1.0]
    """
    if is_cupy(value):
        return torch.from_dlpack(value)
    if not isinstance(value, torch.Tensor) and hasattr(value, "__cuda_array_interface__"):
        return torch.as_tensor(value, device="cuda")
    return value


def like(example: Array, tensor: torch.Tensor) -> Any:
    """`tensor` as an array of the library that `example` is of: CuPy (zero copy), torch, and NumPy for all others.

    >>> import numpy as np, torch
    >>> from botan_fast import arrays
    >>> arrays.like(np.zeros(1), torch.ones(2))
    array([1., 1.], dtype=float32)
    """
    if isinstance(example, torch.Tensor):
        return tensor
    if is_cupy(example):
        import cupy

        return cupy.from_dlpack(tensor) if tensor.is_cuda else cupy.asarray(tensor.numpy())
    return tensor if tensor.is_cuda else tensor.numpy()


def current_stream(value: Array) -> contextlib.AbstractContextManager[Any]:
    """A context in which torch works on CuPy's current stream where `value` is a CuPy array; else it changes nothing.

    >>> from botan_fast import arrays
    >>> with arrays.current_stream([1.0]):
    ...     pass
    """
    if not (is_cupy(value) and torch.cuda.is_available()):
        return contextlib.nullcontext()
    import cupy

    handle, device = cupy.cuda.get_current_stream().ptr, value.device.id
    stream = torch.cuda.ExternalStream(handle, device) if handle else torch.cuda.default_stream(device)
    return torch.cuda.stream(stream)

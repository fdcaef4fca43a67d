"""What the modules with torch operators share: their library, registration, addresses and memory on the CPU.

Operators live in `torch.ops.botan_fast`; the other modules of this folder define them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError

__all__ = ["address", "addresses", "check_index", "dense", "dense_or_none", "fake", "library", "operator"]


def address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [address(t) for t in tensors]


def dense(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [t.contiguous() for t in tensors]


def dense_or_none(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.contiguous()


library = torch.library.Library("botan_fast", "DEF")


def operator(name: str, schema: str):
    """Defines botan_fast::name with the decorated function as its CPU kernel, and gives back the operator.

    The low-level registration: `torch.library.custom_op` would import the whole of torch's compiler, seconds of it, at
    the first call of a process.
    """

    def register(kernel):
        library.define(name + schema)
        library.impl(name, kernel, "CPU")
        return getattr(torch.ops.botan_fast, name).default

    return register


def fake(name: str):
    return torch.library.register_fake(f"botan_fast::{name}", lib=library)


def check_index(name: str, index: Tensor, at_least: int):
    if not isinstance(index, Tensor) or index.ndim != 1 or index.dtype not in (torch.int32, torch.int64):
        found = f"{tuple(index.shape)} {index.dtype}" if isinstance(index, Tensor) else type(index).__name__
        raise InputError(f"{name} is {found}; it must be a one-dimensional int32 or int64 tensor")
    if index.shape[0] < at_least:
        raise InputError(f"{name} is empty; it holds one number more than there are segments")

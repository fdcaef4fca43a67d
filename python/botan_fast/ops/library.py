"""What the modules with torch operators share: their library, registration, addresses and memory on the CPU.

Operators live in `torch.ops.botan_fast`; the other modules of this folder define them.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError

__all__ = [
    "address",
    "addresses",
    "bad_input",
    "check_index",
    "differentiable_gradients",
    "fake",
    "given_gradients",
    "library",
    "operator",
]


def address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def addresses(tensors: Sequence[Tensor | None]) -> list[int]:
    return [address(t) for t in tensors]


library = torch.library.Library("botan_fast", "DEF")


def operator(name: str, schema: str) -> Callable[[Callable[..., Any]], Any]:
    """Defines botan_fast::name with the decorated function as its CPU kernel, and gives back the operator.

    The low-level registration: `torch.library.custom_op` would import the whole of torch's compiler, seconds of it, at
    the first call of a process.
    """

    def register(kernel: Callable[..., Any]) -> Any:
        library.define(name + schema)
        library.impl(name, kernel, "CPU")
        return getattr(torch.ops.botan_fast, name).default

    return register


def fake(name: str) -> Callable[[Callable[..., Any]], Any]:
    """Registers what botan_fast::name gives for tensors without numbers: those of a tracer, or of the device meta.

    torch takes this also when one tensor alone is on meta. Then it is refused: the result would be uninitialised.
    """

    def register(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def checked(*arguments: Any) -> Any:
            nested = [a if isinstance(a, (list, tuple)) else [a] for a in arguments]
            devices = {t.device for part in nested for t in part if isinstance(t, Tensor)}
            if len(devices) > 1:
                shown = " and ".join(sorted(map(str, devices)))
                raise InputError(f"{name} was given tensors on {shown}; put all on one device, for example by .to()")
            return function(*arguments)

        return torch.library.register_fake(f"botan_fast::{name}", checked, lib=library)

    return register


@contextlib.contextmanager
def bad_input() -> Iterator[None]:
    """What the core refuses inside the block is bad input: ValueError becomes InputError."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from None


def differentiable_gradients(
    function: Callable[..., Sequence[Tensor]], inputs: Sequence[Tensor | None], grad_outputs: Sequence[Tensor | None]
) -> list[Tensor | None]:
    """The gradients of `function` with respect to each input, differentiable again: plain torch, for create_graph=True.

    The kernels' own backward passes are no functions that torch can differentiate. Without this the second-order part
    would be missing from a gradient, and nothing would say so.
    """
    # Aliases: one tensor may be several inputs, and each has a gradient of its own.
    aliases = [t if t is None or not t.requires_grad else t.view_as(t) for t in inputs]
    given = [(o, g) for o, g in zip(function(*aliases), grad_outputs, strict=True) if g is not None]
    wanted = [k for k, t in enumerate(aliases) if t is not None and t.requires_grad]
    outputs, weights = zip(*given, strict=True)
    found = torch.autograd.grad(
        outputs,
        [t for t in aliases if t is not None and t.requires_grad],
        weights,
        create_graph=True,
        allow_unused=True,
        materialize_grads=True,
    )
    gradients: list[Tensor | None] = [None] * len(inputs)
    for k, gradient in zip(wanted, found, strict=True):
        gradients[k] = gradient
    return gradients


def given_gradients(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
    """What a backward function returns: torch wants one entry for each argument that was given, and none for those at
    the end that were left to their defaults."""
    return gradients[: len(ctx.needs_input_grad)]


def check_index(name: str, index: Tensor, at_least: int) -> None:
    if not isinstance(index, Tensor) or index.ndim != 1 or index.dtype not in (torch.int32, torch.int64):
        found = f"{tuple(index.shape)} {index.dtype}" if isinstance(index, Tensor) else type(index).__name__
        raise InputError(f"{name} is {found}; it must be a one-dimensional int32 or int64 tensor")
    if index.shape[0] < at_least:
        raise InputError(f"{name} is empty; it holds one number more than there are segments")

"""How matrix products are computed, and which widths have kernels."""

import torch

from .. import _core
from ..device import CUDA_KERNELS, cuda_index, kernels_for
from ..errors import InputError, warn

__all__ = [
    "AUTO",
    "PRECISIONS",
    "check_precision",
    "check_save_memory",
    "has_fast_path",
    "has_message_passing",
    "in_transform",
    "padded_width",
    "resolve_precision",
    "warn_if_slow",
    "warn_of_plain_torch",
]

PRECISIONS = ("fp32", "bf16", "tf32")  # operators take the position in this list, as the core does
AUTO = "auto"  # what train, evaluate, predict and the commands take besides, see resolve_precision


def has_fast_path(hidden_size: int, dtype: torch.dtype, device: torch.device, precision: str = "fp32") -> bool:
    """Whether the compiled core handles this feature width and dtype on this device; else `reference` runs.

    Widths from 1 to 128 do: see `padded_width`. On a GPU the shared memory decides too, which depends on the precision.

    >>> import torch
    >>> from botan_fast import ops
    >>> ops.has_fast_path(48, torch.float32, torch.device("cpu"))
    True
    >>> ops.has_fast_path(48, torch.float64, torch.device("cpu"))
    False
    """
    return dtype == torch.float32 and padded_width(hidden_size, device, precision) is not None


COMPILED_WIDTHS = tuple(size for size in range(8, 513, 8) if _core.has_fast_path(size))  # of the CPU


def padded_width(hidden_size: int, device: torch.device, precision: str = "fp32") -> int | None:
    """The width H in which the core computes features of this width: the next one for which there are kernels.

    On a CPU the next of 16, 32, 48, 64, 96 and 128, on CUDA of 32, 64 and 128, as far as the GPU has the shared memory
    for it. Weights and features of another width get zeros (`padding.py`). None above 128 and on other devices: there
    plain torch computes.

    >>> import torch
    >>> from botan_fast import ops
    >>> [ops.padded_width(size, torch.device("cpu")) for size in (7, 24, 64, 128, 129)]
    [16, 32, 64, 128, None]
    """
    if hidden_size < 1 or device.type not in ("cpu", "cuda"):
        return None
    for width in COMPILED_WIDTHS:
        if width >= hidden_size and (device.type == "cpu" or has_message_passing(cuda_index(device), width, precision)):
            return width
    return None


def has_message_passing(device_index: int, hidden_size: int, precision: str = "fp32") -> bool:
    """Whether this build has kernels of this width, and the device the shared memory that they take.

    >>> from botan_fast.ops.precision import has_message_passing
    >>> has_message_passing(0, 48)  # no kernels of this width: it is padded to 64
    False
    """
    kernels = kernels_for(torch.device("cuda", device_index))
    number = PRECISIONS.index(precision)
    return kernels is not None and kernels.has_message_passing(device_index, hidden_size, number)


# What torch.compiler.assume_constant_result sets; that function would import the whole compiler here. Without it a
# traced model is cut in two at this call.
has_message_passing._dynamo_marked_constant = True  # type: ignore[attr-defined]  # functions have none for mypy


def in_transform() -> bool:
    """Whether a transform of torch.func (grad, vmap, jvp, hessian, ...) or forward-mode differentiation is at work.

    The operators then run in plain torch. They have no rules for these, and torch leaves a tangent out of a result
    without a word.

    >>> import torch
    >>> from botan_fast.ops.precision import in_transform
    >>> in_transform(), torch.func.vmap(lambda x: x + in_transform())(torch.zeros(2))
    (False, tensor([1., 1.]))
    """
    return torch._C._functorch.maybe_current_level() is not None or torch.autograd.forward_ad._current_level >= 0


in_transform._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as above


def check_precision(precision: str, auto: bool = False) -> str:
    """`precision`, after a check that it is one, or, where `auto` is allowed, that; raises InputError.

    >>> from botan_fast import ops
    >>> ops.check_precision("bf16"), ops.check_precision("auto", auto=True)
    ('bf16', 'auto')
    """
    choices = (*PRECISIONS, AUTO) if auto else PRECISIONS
    if precision not in choices:
        raise InputError(f"precision = {precision!r}; choose one of {', '.join(map(repr, choices))}")
    return precision


def resolve_precision(precision: str, device: torch.device, hidden_size: int | None = None) -> str:
    """The precision that computes: of "auto" the fastest one here that keeps the learning curve of fp32.

    That is "bf16" on a CPU with AVX512-BF16 and on a GPU with kernels for this width, "fp32" elsewhere: without such
    units bf16 is no faster, and plain torch rounds in further operations. On CUDA no time has been measured: there bf16
    moves half of the bytes, and its definition is the one whose learning curve is known (docs/precision.md).
    `hidden_size` is the width of the network, None for a model without one. Raises InputError for other values.

    >>> import torch
    >>> from botan_fast import ops
    >>> ops.resolve_precision("tf32", torch.device("cpu"), 64)
    'tf32'
    >>> ops.resolve_precision("auto", torch.device("cpu"), 256)  # which plain torch computes
    'fp32'
    """
    if check_precision(precision, auto=True) != AUTO:
        return precision
    if hidden_size is None or not has_fast_path(hidden_size, torch.float32, device, "bf16"):
        return "fp32"
    return "bf16" if device.type == "cuda" or _core.simd_level() == "avx512_bf16" else "fp32"


def check_save_memory(save_memory: bool) -> bool:
    """`save_memory`, after a check that it is True or False; raises InputError.

    >>> from botan_fast import ops
    >>> ops.check_save_memory(True)
    True
    """
    if not isinstance(save_memory, bool):
        raise InputError(f"save_memory = {save_memory!r}; give True or False")
    return save_memory


def precision_on_cpu(precision: int) -> int:
    """The precision that the CPU computes in: it has no tf32, and fp32 is closer than that asks for."""
    return PRECISIONS.index("fp32") if PRECISIONS[precision] == "tf32" else precision


_warned: set[str] = set()


def warn_if_slow(hidden_size: int, precision: str, device: torch.device) -> None:
    """A warning, once for each reason, where results are right but come slowly.

    >>> import torch, warnings
    >>> from botan_fast.ops.precision import warn_if_slow
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error")
    ...     warn_if_slow(256, "fp32", torch.device("cpu"))
    Traceback (most recent call last):
    botan_fast.errors.BotanFastWarning: hidden_size = 256 runs in plain torch, slowly; there are kernels up to 128
    """
    level, reasons = _core.simd_level(), []
    if device.type == "cuda" and CUDA_KERNELS is None:
        reasons.append("this build has no CUDA kernels and computes in plain torch; build with BOTAN_FAST_CUDA=ON")
    elif device.type == "cuda" and kernels_for(device) is None:
        pass  # kernels_for has said why
    elif device.type == "cuda" and hidden_size <= COMPILED_WIDTHS[-1]:
        if not has_fast_path(hidden_size, torch.float32, device, precision):
            reasons.append(
                f"the GPU has too little shared memory for hidden_size = {hidden_size} in precision = {precision!r}, "
                "which runs in plain torch, slowly; a smaller hidden_size, or 'bf16', takes less"
            )
    elif not has_fast_path(hidden_size, torch.float32, device):
        reasons.append(
            f"hidden_size = {hidden_size} runs in plain torch, slowly; there are kernels up to {COMPILED_WIDTHS[-1]}"
        )
    elif device.type == "cpu" and level == "generic":
        reasons.append("this processor has neither AVX2 nor AVX-512, for which the kernels are made: they run slowly")
    if device.type == "cpu" and precision == "bf16" and level != "avx512_bf16":
        reasons.append(
            "precision = 'bf16' is no faster than 'fp32' on this processor, which has no AVX512-BF16; it saves memory"
        )
    for reason in reasons:
        if reason not in _warned:
            _warned.add(reason)
            warn(reason)


def warn_of_plain_torch(tensor: torch.Tensor, hidden_size: int, precision: str) -> None:
    """Once for each reason, that an operator on a GPU runs in plain torch for want of kernels.

    Nothing is said of other dtypes, of transforms of torch.func, nor while torch.compile traces: there the kernels are
    not expected.

    >>> import torch
    >>> from botan_fast.ops.precision import warn_of_plain_torch
    >>> warn_of_plain_torch(torch.zeros(1, 48), 48, "fp32")  # on the CPU training and evaluation say it
    """
    if tensor.device.type != "cuda" or tensor.dtype != torch.float32 or in_transform():
        return
    if not torch.compiler.is_compiling():
        warn_if_slow(hidden_size, precision, tensor.device)

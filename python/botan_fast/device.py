"""Device, stream and memory of a tensor, and the compiled kernels for it."""

from types import ModuleType
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from . import _core
from .errors import InputError, warn

__all__ = [
    "CUDA_KERNELS",
    "DTYPES",
    "Device",
    "choose_device",
    "empty",
    "kernels_for",
    "release_memory",
    "stream_of",
    "workspace_of",
]

Device: TypeAlias = torch.device | str | None  # as an argument; None: whoever reads it decides

CUDA_KERNELS: ModuleType | None = getattr(_core, "cuda", None)  # None in a build without them
DTYPES = {torch.float32: "f32", torch.float64: "f64"}  # how the core's functions of several types are named
LARGE = 1 << 20  # bytes; smaller arrays are torch's own


def kernels_for(device: torch.device) -> ModuleType | None:
    """The compiled CUDA kernels for what lies on `device`; None on a CPU, in a build without CUDA, and on a GPU whose
    compute capability is below 8.0, which is said once.

    >>> import torch
    >>> from botan_fast.device import kernels_for
    >>> kernels_for(torch.device("cpu")) is None
    True
    """
    if device.type != "cuda" or CUDA_KERNELS is None:
        return None
    return CUDA_KERNELS if _can_run(cuda_index(device)) else None


def cuda_index(device: torch.device) -> int:
    """The number of a CUDA device; of "cuda" alone that of the current one.

    >>> import torch
    >>> from botan_fast.device import cuda_index
    >>> cuda_index(torch.device("cuda:1"))
    1
    """
    if device.index is not None:
        return device.index
    return torch.cuda.current_device() if torch.cuda.is_available() else 0


_runs: dict[tuple[ModuleType, int], bool] = {}  # what _can_run has found


def _can_run(index: int) -> bool:
    """Whether device `index` can run the kernels of this build."""
    assert CUDA_KERNELS is not None  # kernels_for has looked
    if (CUDA_KERNELS, index) not in _runs:
        try:
            able, capability = CUDA_KERNELS.can_run(index), CUDA_KERNELS.compute_capability(index)
        except RuntimeError as error:
            if not torch.cuda.is_available():
                return True  # a tracer asks for a GPU that is elsewhere, and nothing will be launched here
            warn(f"cuda:{index}: the CUDA kernels of this build cannot run ({error}); plain torch computes, slowly")
            able, capability = False, None
        _runs[CUDA_KERNELS, index] = able
        if not able and capability is not None:
            major, minor = divmod(capability, 10)
            warn(
                f"cuda:{index} has compute capability {major}.{minor}, and the CUDA kernels need 8.0 (A100, RTX 30 and "
                "later): there plain torch computes, slowly, and graphs and targets come from the CPU"
            )
    return _runs[CUDA_KERNELS, index]


# What torch.compiler.assume_constant_result sets; that function would import the whole compiler here. A traced model
# asks once, at compile time.
_can_run._dynamo_marked_constant = True  # type: ignore[attr-defined]  # functions have none for mypy


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """An uninitialised tensor on the CPU; large ones come from the core's pool, which reuses their pages.

    On the CPU whatever torch.set_default_device says: its address goes to the core.

    >>> from botan_fast.device import empty
    >>> empty(2, 3).shape
    torch.Size([2, 3])
    """
    count = int(np.prod(shape, dtype=np.int64))
    num_bytes = dtype.itemsize * count
    if num_bytes < LARGE:
        return torch.empty(shape, dtype=dtype, device="cpu")
    return torch.frombuffer(_core.PooledBuffer(num_bytes), dtype=dtype, count=count).view(shape)


def release_memory() -> None:
    """Gives what the core's pool keeps for the next call back to the system.

    >>> from botan_fast.device import release_memory
    >>> release_memory()
    """
    _core.pool_trim()


def stream_of(tensor: Tensor) -> tuple[int, int]:
    """Index of the tensor's device and the handle of torch's current stream there; (0, 0) for the host emulation.

    >>> import torch
    >>> from botan_fast.device import stream_of
    >>> stream_of(torch.zeros(1))
    (0, 0)
    """
    if tensor.device.type != "cuda":
        return 0, 0
    return tensor.device.index, torch.cuda.current_stream(tensor.device).cuda_stream


def workspace_of(num_bytes: int, like: Tensor) -> Tensor:
    """Scratch memory on the device of `like`; keep it alive until the call that uses it is queued.

    >>> import torch
    >>> from botan_fast.device import workspace_of
    >>> len(workspace_of(12, torch.zeros(1)))
    12
    """
    return torch.empty(num_bytes, dtype=torch.uint8, device=like.device)


def choose_device(device: Device = None, default: torch.device | None = None) -> torch.device:
    """The torch device for `device`; when None, `default`, or else the GPU if torch has one, or else the CPU.

    Examples
    --------
    >>> from botan_fast.device import choose_device
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return default if default is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device = {device!r} is not a torch device; use 'cpu', 'cuda' or 'cuda:1'") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device = '{device}' but torch {torch.__version__} finds no CUDA device; use device='cpu'")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise InputError(f"device = '{device}' but the last CUDA device is 'cuda:{last}'; use one of those")
    if chosen.type == "cpu" and (chosen.index or 0) > 0:
        raise InputError(f"device = '{device}': there is one CPU; use device='cpu', and threads for its cores")
    if chosen.type not in ("cpu", "cuda"):
        try:
            torch.zeros(1, device=chosen).cpu()  # holds numbers, and this torch can compute there
        except Exception as error:  # every backend raises another one
            reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
            raise InputError(
                f"device = '{device}' cannot be used by torch {torch.__version__} here ({reason}); use 'cpu' or 'cuda'"
            ) from None
    return chosen

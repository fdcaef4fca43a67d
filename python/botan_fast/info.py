"""What this installation is: versions, instruction set, threads, devices."""

import platform

__all__ = ["build_info"]


def build_info() -> dict[str, str | int | bool]:
    """Versions and capabilities of this installation, for bug reports and benchmark records.

    Returns
    -------
    dict
        `version` of botan_fast; `torch`, `numpy`, `python`, `platform`; `simd`, the instruction set that the CPU
        kernels use here ("avx512_bf16", "avx512", "avx2" or "generic"; the environment variable BOTAN_FAST_SIMD forces
        a narrower one); `threads`, the number that they use (torch.get_num_threads()); `cuda`, whether CUDA kernels are
        built in, `cuda_device`, the name of the GPU that torch finds ("" without), `cuda_architectures`, for which GPUs
        the kernels are ("80-real 90-real 90-virtual"; "" without), `cuda_toolkit`, the version of nvcc; `cuda_absent`,
        why there are no CUDA kernels and how to get them ("" where they are built in).

    Examples
    --------
    >>> import botan_fast as bf
    >>> bf.build_info()["version"] == bf.__version__
    True
    """
    import numpy as np
    import torch

    from . import __version__, _core

    cuda = getattr(_core, "cuda", None)
    return {
        "version": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "simd": _core.simd_level(),
        "threads": torch.get_num_threads(),
        "cuda": cuda is not None,
        "cuda_device": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "cuda_architectures": cuda.architectures if cuda else "",
        "cuda_toolkit": cuda.toolkit_version if cuda else "",
        "cuda_absent": _core.cuda_absent,
    }

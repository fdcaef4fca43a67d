"""The host emulation as a fixture. BOTAN_FAST_CUDA_HOST_SANITIZE=1 takes the build with address and undefined-behaviour
sanitizers; it needs libasan loaded before Python (docs/kernels.md)."""

import os

import pytest

from botan_fast.ops import reference
from tests.cuda_host.build import load
from tests.helpers.kernel_precision import round_to_tf32


@pytest.fixture(scope="session")
def cuda_host():
    """The module botan_fast_cuda_host, compiled where needed; without a compiler every test that asks for it fails."""
    return load(sanitize=os.environ.get("BOTAN_FAST_CUDA_HOST_SANITIZE") == "1")


@pytest.fixture
def emulator(cuda_host):
    """The module with seed 0, four multiprocessors, shared memory and tensor cores of an H100, whatever ran before."""
    cuda_host.set_seed(0)
    cuda_host.set_max_shared_bytes(227 << 10)
    cuda_host.set_num_multiprocessors(4)
    cuda_host.set_compute_capability(90)
    cuda_host.set_ampere(False)
    return cuda_host


@pytest.fixture
def rounding(monkeypatch):
    """The precision of `reference` that rounds factors as a precision of the kernels does."""

    def choose(precision):
        if precision == "tf32":  # the definition of bf16 with another rounding
            monkeypatch.setattr(reference._Round, "forward", staticmethod(round_to_tf32))
            for name in ("_stored", "_gradient_stored"):  # in float32
                monkeypatch.setattr(reference, name, lambda x: x)
        return "fp32" if precision == "fp32" else "bf16"

    return choose

"""The host emulation as a fixture. BOTAN_FAST_CUDA_HOST_SANITIZE=1 takes the build with address and undefined-behaviour
sanitizers; it needs libasan loaded before Python (docs/kernels.md)."""

import os

import pytest

from tests.cuda_host.build import load


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

"""The two ceilings of the machine: memory bandwidth and the rate of a large float32 matrix product."""

import torch


def test_copy_bandwidth(measure):
    source = torch.ones(64 * 2**20)  # 256 MB, far larger than any cache
    target = torch.zeros_like(source)
    measure("copy", "torch", None, lambda: target.copy_(source), rounds=20, bytes=2 * 4 * source.numel())


def test_matrix_product(measure):
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    measure("matrix_product", "torch", None, lambda: torch.mm(a, b, out=out), rounds=20, flops=2 * size**3)

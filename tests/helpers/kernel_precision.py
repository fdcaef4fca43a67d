"""How far the emulated kernels may be from the definition in float64, and the definition of each precision."""

import torch

from tests.helpers.random_graphs import relative_l2

# Relative L2. bf16 is compared with its definition, which rounds where the kernels do; one bfloat16 that falls to the
# other side moves a result by 1e-3 of its size. fp32 is bound to 1e-5 for any size; these are small.
TOLERANCE = {"fp32": 2e-6, "bf16": 2e-3, "tf32": 1e-3}


def round_to_tf32(_, x):
    bits = x.float().view(torch.int32)
    return ((bits + 0x1000) & -0x2000).view(torch.float32).to(x.dtype)


def assert_close(got, expected, tolerance):
    assert got.shape == expected.shape
    if expected.numel() and expected.norm() > 0:
        assert relative_l2(got, expected) < tolerance
    else:
        assert got.abs().sum() == 0

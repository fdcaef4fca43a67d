"""The norm of gradients on CUDA through the host emulation."""

import math

import pytest
import torch

from botan_fast.ops import cuda, reference
from tests.helpers.random_graphs import relative_l2

# numbers of each gradient: a block takes 4096, a launch 160 gradients
SIZES = [[1], [4096], [4097, 3], [0, 5, 0], [1] * 161 + [9000], [16384, 64, 4096, 1]]


def gradients_of(sizes, scale=1.0):
    generator = torch.Generator().manual_seed(len(sizes))
    return [scale * torch.randn(size, generator=generator) for size in sizes]


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e6])
def test_clip_scale(emulator, sizes, max_norm):
    gradients = gradients_of(sizes)
    emulator.clear_launches()
    norm, scale, found_inf = cuda.clip_scale(emulator, gradients, max_norm)
    exact = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients))
    assert relative_l2(norm, torch.tensor(exact, dtype=torch.float64)) < 1e-7
    assert relative_l2(scale, torch.tensor(max(1, (exact + 1e-6) / max_norm), dtype=torch.float64)) < 1e-7
    assert found_inf == 0
    assert sum(emulator.launches().values()) == (3 if len(sizes) > 160 else 2)


def test_the_same_bits_in_any_order_of_threads(emulator):
    gradients = gradients_of([16384, 64, 4096, 1])
    first = cuda.clip_scale(emulator, gradients, 1.0)
    for seed in (1, 2, 3):
        emulator.set_seed(seed)
        for a, b in zip(cuda.clip_scale(emulator, gradients, 1.0), first, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", [0, 5000])
def test_what_is_not_finite_is_found(emulator, value, place):
    gradients = gradients_of([3, 6000])
    gradients[1][place] = value
    norm, scale, found_inf = cuda.clip_scale(emulator, gradients, 1.0)
    want = reference.clip_scale(gradients, 1.0)
    assert found_inf == 1
    assert (norm.isnan(), scale.isnan()) == (want[0].isnan(), want[1].isnan())


@pytest.mark.parametrize("size", [1e-30, 1e18, 3e37])
def test_small_and_large_numbers(emulator, size):
    """Squares in float64 neither vanish nor overflow."""
    for got, want in zip(
        cuda.clip_scale(emulator, gradients_of([50], size), 1.0),
        reference.clip_scale(gradients_of([50], size), 1.0),
        strict=True,
    ):
        assert torch.equal(got, want) or relative_l2(got, want) < 1e-7


def test_what_is_refused(emulator):
    with pytest.raises(ValueError, match=r"max_norm = 0.000000; it must be positive"):
        emulator.clip_scale(0, 0, [64], [5], 0.0, 64, 64, 64, 64, 64)
    with pytest.raises(ValueError, match=r"clip_scale: workspace_bytes = 8; .* asks for 16"):
        emulator.clip_scale(0, 0, [64], [5000], 1.0, 64, 64, 64, 64, 8)
    with pytest.raises(ValueError, match="gradient 0 has -1 numbers"):
        emulator.clip_scale(0, 0, [64], [-1], 1.0, 64, 64, 64, 64, 64)

"""Multilayer perceptrons on CUDA through the host emulation: values and all gradients."""

import pytest
import torch

from botan_fast import ops
from botan_fast.ops import cuda, reference
from tests.helpers.kernel_precision import TOLERANCE, assert_close
from tests.helpers.random_graphs import random_mlp

SMALL = 99 << 10  # bytes of shared memory


def run_mlp(emulator, x, weights, grad, need_grad_x, precision):
    number = ops.PRECISIONS.index(precision)
    y = cuda.mlp(emulator, x, weights, number)
    grad_x, gradients = cuda.mlp_backward(emulator, x, weights, y, grad, need_grad_x, number)
    return [y, *([grad_x] if need_grad_x else []), *gradients]


def check_mlp(emulator, rows, inputs, hidden, decode, precision, definition):
    """Values and all gradients; the first random input whose ReLUs keep clear of their kink."""
    generator = torch.Generator().manual_seed(rows + inputs + hidden)
    weights = random_mlp(inputs, hidden, generator, decode)
    x = torch.randn(rows, inputs, generator=generator)
    grad = torch.randn(rows, *([] if decode else [hidden]), generator=generator)
    leaves = [t.double().requires_grad_() for t in (x, *weights)]
    y = reference.mlp(leaves[0], leaves[1:], definition)
    want = [y.detach(), *torch.autograd.grad((y * grad).sum(), leaves, allow_unused=True, materialize_grads=True)]
    for a, b in zip(run_mlp(emulator, x, weights, grad, True, precision), want, strict=True):
        assert_close(a, b, TOLERANCE[precision])
    for a, b in zip(run_mlp(emulator, x, weights, grad, False, precision), [want[0], *want[2:]], strict=True):
        assert_close(a, b, TOLERANCE[precision])


@pytest.mark.parametrize("decode", [False, True])
@pytest.mark.parametrize(("rows", "inputs"), [(0, 3), (1, 1), (17, 3), (130, 32), (300, 20)])
def test_mlp(emulator, rounding, rows, inputs, decode):
    check_mlp(emulator, rows, inputs, 32, decode, "fp32", rounding("fp32"))


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(
    ("inputs", "hidden", "decode"), [(3, 32, False), (32, 32, True), (3, 64, True), (128, 128, True)]
)
def test_mlp_precisions(emulator, rounding, precision, inputs, hidden, decode):
    check_mlp(emulator, 40, inputs, hidden, decode, precision, rounding(precision))


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(
    ("rows", "inputs", "hidden", "decode"),
    [(0, 33, 32, False), (1, 33, 32, False), (300, 42, 32, False), (130, 250, 32, True), (40, 61, 32, False),
     (40, 600, 32, False), (40, 96, 64, False), (140, 250, 64, True), (40, 250, 128, False)],
)  # fmt: skip
def test_mlp_of_more_inputs_than_features(emulator, rounding, rows, inputs, hidden, decode, precision):
    """The sums over inputs are longer than those of other tests: their tolerance, too."""
    check_mlp(emulator, rows, inputs, hidden, decode, precision, rounding(precision))


def test_mlp_repeats(emulator):
    generator = torch.Generator().manual_seed(0)
    weights, x = random_mlp(32, 32, generator, True), torch.randn(300, 32, generator=generator)
    grad = torch.randn(300, generator=generator)
    first = run_mlp(emulator, x, weights, grad, True, "bf16")
    for seed in (1, 2):
        emulator.set_seed(seed)
        for a, b in zip(run_mlp(emulator, x, weights, grad, True, "bf16"), first, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(
    ("inputs", "hidden", "decode"), [(3, 64, False), (64, 64, True), (90, 64, False), (128, 128, True)]
)
def test_mlp_in_small_shared_memory(emulator, rounding, precision, inputs, hidden, decode):
    emulator.set_max_shared_bytes(SMALL)
    check_mlp(emulator, 200, inputs, hidden, decode, precision, rounding(precision))

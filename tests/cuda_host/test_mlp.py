"""Multilayer perceptrons on CUDA through the host emulation: values and all gradients."""

import pytest
import torch

from botan_fast import ops
from botan_fast.ops import reference
from tests.helpers.emulated_networks import assert_close, check_mlp, run_mlp
from tests.helpers.processor_case import open_or_closed
from tests.helpers.random_graphs import random_mlp


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


@pytest.mark.parametrize(("hidden", "rows"), [(64, 6400), (128, 2560)])
def test_many_rows_of_one_block(emulator, hidden, rows):
    """Long sums of terms of one sign, as `test_many_edges_of_one_block`."""
    emulator.set_num_multiprocessors(1)
    generator = torch.Generator().manual_seed(0)
    weights, x = random_mlp(hidden, hidden, generator), torch.randn(rows, hidden, generator=generator)
    open_or_closed(weights)
    grad = 1 + torch.rand(rows, hidden, generator=generator)
    leaves = [t.double().requires_grad_() for t in (x, *weights)]
    y = reference.mlp(leaves[0], leaves[1:])
    want = [y.detach(), *torch.autograd.grad((y * grad).sum(), leaves)]
    for a, b in zip(run_mlp(emulator, x, weights, grad, True, "fp32"), want, strict=True):
        assert_close(a, b, 1e-5)

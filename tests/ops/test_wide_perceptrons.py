"""Perceptrons of many inputs (encoders that read descriptors) and of several outputs (decoders of all times)."""

import pytest
import torch

from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.processor_case import leaves
from tests.helpers.random_graphs import random_mlp, relative_l2

WIDE = [2, 21, 42, 61, 250]


def case(rows, inputs, hidden, outputs=0, seed=0):
    """x and weights whose ReLUs all keep clear of their kink in float64, which is then no matter of rounding."""
    g = torch.Generator().manual_seed(seed)
    weights = random_mlp(inputs, hidden, g)
    if outputs:
        weights += [torch.randn(outputs, hidden, generator=g) * hidden**-0.5, torch.randn(outputs, generator=g)]
    x = torch.randn(4 * rows, inputs, generator=g)
    z = reference.linear(x.double(), weights[0].double(), weights[1].double())
    z2 = reference.linear(z.relu(), weights[2].double(), weights[3].double())
    clear = (torch.minimum(z.abs().amin(1), z2.abs().amin(1)) > 2e-5).nonzero().flatten()
    assert len(clear) >= rows
    return [x[clear[:rows]].contiguous(), *weights]


def results(tensors, dtype, precision, function):
    inputs = leaves(tensors, dtype)
    y = function(inputs[0], inputs[1:], precision)
    factor = 1 + torch.randn(y.shape, generator=torch.Generator().manual_seed(5)).to(dtype)
    return [y, *torch.autograd.grad((y * factor).sum(), inputs)]


@pytest.mark.parametrize("hidden", [32, 64, 128])
@pytest.mark.parametrize("inputs", WIDE)
def test_float32_against_float64(inputs, hidden):
    tensors = case(97, inputs, hidden)
    fast, exact = (
        results(tensors, torch.float32, "fp32", ops.mlp),
        results(tensors, torch.float64, "fp32", reference.mlp),
    )
    for a, b in zip(fast, exact, strict=True):
        assert a.shape == b.shape
        assert relative_l2(a, b) < 2e-6


@pytest.mark.parametrize("hidden", [32, 64, 128])
@pytest.mark.parametrize("inputs", WIDE)
def test_bf16_against_its_definition(inputs, hidden):
    """A number at the border of two bfloat16 may go to either side: see tests/integration/test_precision.py."""
    agree = []
    for seed in range(12):
        tensors = case(40, inputs, hidden, seed=seed)
        fast = results(tensors, torch.float32, "bf16", ops.mlp)
        defined = results(tensors, torch.float64, "bf16", reference.mlp)
        agree.append(max(relative_l2(a, b) for a, b in zip(fast, defined, strict=True)))
        assert agree[-1] < 0.1
        if agree[-1] < 1e-5:
            return
    raise AssertionError(f"no case agrees: {agree}")


@pytest.mark.parametrize("hidden", [32, 20])
@pytest.mark.parametrize("outputs", [1, 2, 10])
@pytest.mark.parametrize("rows", [0, 1, 97])
def test_several_outputs(rows, outputs, hidden):
    tensors = case(rows, hidden, hidden, outputs)
    fast, exact = (
        results(tensors, torch.float32, "fp32", ops.mlp),
        results(tensors, torch.float64, "fp32", reference.mlp),
    )
    assert fast[0].shape == ((rows,) if outputs == 1 else (rows, outputs))
    for a, b in zip(fast, exact, strict=True):
        assert a.shape == b.shape
        assert relative_l2(a, b) < 2e-6 or not rows


def test_each_of_several_outputs_is_a_decoder_of_its_own():
    x, *weights = case(97, 64, 64, outputs=3)
    together = ops.mlp(x, weights)
    for k in range(3):
        alone = ops.mlp(x, [*weights[:4], weights[4][k : k + 1], weights[5][k : k + 1]])
        torch.testing.assert_close(together[:, k], alone, rtol=1e-5, atol=1e-6)
    rounded = ops.mlp(x, weights, "bf16")
    assert 1e-4 < relative_l2(rounded, together.double()) < 2e-2


def test_repeats():
    tensors = case(300, 250, 32)
    for precision in ("fp32", "bf16"):
        first, again = (results(tensors, torch.float32, precision, ops.mlp) for _ in range(2))
        for a, b in zip(first, again, strict=True):
            assert torch.equal(a, b)


def test_wrong_shapes_of_several_outputs():
    x, *weights = case(9, 32, 32, outputs=3)
    for place, wrong, message in (
        (4, torch.ones(3, 31), r"W3 has shape \(3, 31\).*must be \(3, 32\)"),
        (5, torch.ones(2), r"b3 has shape \(2,\).*must be \(3,\)"),
        (4, torch.ones(0, 32), r"b3 has shape \(3,\)"),
    ):
        changed = list(weights)
        changed[place] = wrong
        with pytest.raises(InputError, match=message):
            ops.mlp(x, changed)

"""The norm of gradients: against torch's own clipping, in its optimizers, as an operator."""

import math

import pytest
import torch

from botan_fast import ops
from botan_fast.errors import InputError


def gradients_of(scale=1.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [scale * torch.randn(shape, generator=generator).to(dtype) for shape in ((64, 3), (64,), (5000,), ())]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("max_norm", [0.01, 50.0, 1e4])
def test_as_torch_clips(max_norm, dtype):
    gradients = gradients_of(dtype=dtype)
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    got = ops.clip_scale(gradients, max_norm)
    torch.testing.assert_close(got.norm, norm.float(), rtol=1e-6, atol=0)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        torch.testing.assert_close(gradient / got.scale, parameter.grad, rtol=1e-6, atol=1e-9)
    assert got.found_inf == 0


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_a_fused_optimizer_takes_both_numbers(scale):
    """Adam with grad_scale and found_inf is Adam on clipped gradients, and does nothing where they are not finite."""
    gradients = gradients_of(scale)
    start = gradients_of()
    stepped = []
    for fused in (True, False):
        parameters = [torch.nn.Parameter(s.clone()) for s in start]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient.clone()
        optimizer = torch.optim.Adam(parameters, lr=0.1, fused=fused)
        if fused:
            _, optimizer.grad_scale, optimizer.found_inf = ops.clip_scale([p.grad for p in parameters], 1.0)
        else:
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        stepped.append([p.detach().clone() for p in parameters])
        if fused:
            parameters[0].grad[0, 0] = math.nan
            _, optimizer.grad_scale, optimizer.found_inf = ops.clip_scale([p.grad for p in parameters], 1.0)
            optimizer.step()
            for parameter, before in zip(parameters, stepped[0], strict=True):
                assert torch.equal(parameter, before)
    for a, b in zip(*stepped, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_found(value):
    gradients = gradients_of()
    gradients[2][77] = value
    assert ops.clip_scale(gradients, 1.0).found_inf == 1


@pytest.mark.parametrize(
    ("gradients", "max_norm", "text"),
    [
        ([], 1.0, "gradients is empty"),
        ([torch.ones(2)], 0.0, "max_norm = 0.0; the largest norm must be positive"),
        ([torch.ones(2)], math.nan, "max_norm = nan"),
        ([torch.ones(2), torch.ones(2).double()], 1.0, r"gradients\[1\] is torch.float64 on cpu and gradients\[0\]"),
        ([torch.ones(2, dtype=torch.int64)], 1.0, r"gradients\[0\] is torch.int64"),
        ([torch.ones(2), torch.ones(2, device="meta")], 1.0, r"gradients\[1\] is torch.float32 on meta"),
    ],
)
def test_what_is_refused(gradients, max_norm, text):
    with pytest.raises(InputError, match=text):
        ops.clip_scale(gradients, max_norm)


def test_opcheck():
    torch.library.opcheck(torch.ops.botan_fast.clip_scale, (gradients_of(), 1.0))


def test_opcheck_pack():
    weights = [torch.randn(32, 3), torch.randn(32), torch.randn(32, 32), torch.randn(32)]
    torch.library.opcheck(torch.ops.botan_fast.pack, (weights, [4], True, 0))
    # and where the operators take what it gives
    buffer = torch.ops.botan_fast.pack(weights, [4], True, 0)[0]
    leaves = [torch.randn(7, 3, requires_grad=True), *(w.clone().requires_grad_() for w in weights)]
    torch.library.opcheck(torch.ops.botan_fast.mlp, (leaves[0], leaves[1:], 0, buffer))

"""Message passing and perceptrons through the host emulation, beside their definition in float64."""

import torch

from botan_fast import ops
from botan_fast.ops import cuda, reference
from tests.helpers.random_graphs import random_mlp, relative_l2

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


def run(emulator, case, precision, use=(True, True), save_memory=False):
    """Outputs, then gradients of x, e, x0, e0 (those that exist) and weights."""
    number, tensors = ops.PRECISIONS.index(precision), case.tensors
    arguments = *tensors[:4], case.topology, tensors[4:]
    outputs = cuda.processor(emulator, *arguments, case.steps, True, number, save_memory)
    kept = [outputs[0], *outputs[2:]]
    grads = [w if u else None for w, u in zip((case.weight_x, case.weight_e), use, strict=True)]
    *inputs, weights = cuda.processor_backward(emulator, *arguments, case.steps, kept, *grads, number, save_memory)
    return [*outputs[:2], *(g for g, t in zip(inputs, tensors[:4], strict=True) if t is not None), *weights]


def expected(case, precision, use=(True, True)):
    leaves = [None if t is None else t.double().requires_grad_() for t in case.tensors]
    outputs = reference.processor(
        *leaves[:4], *case.topology[:2], leaves[4:8], leaves[8:], case.steps, precision=precision
    )
    return [*(o.detach() for o in outputs), *case.gradients(outputs, leaves, use)]


def check(emulator, case, precision="fp32", definition="fp32", use=(True, True)):
    for got, want in zip(run(emulator, case, precision, use), expected(case, definition, use), strict=True):
        assert_close(got, want, TOLERANCE[precision])


def assert_same_bits(got, expected):
    for a, b in zip(got, expected, strict=True):
        assert torch.equal(a, b)


# ---- multilayer perceptrons -----------------------------------------------------------------------------------


def run_mlp(emulator, x, weights, grad, need_grad_x, precision):
    number = ops.PRECISIONS.index(precision)
    y = cuda.mlp(emulator, x, weights, number)
    grad_x, gradients = cuda.mlp_backward(emulator, x, weights, y, grad, need_grad_x, number)
    return [y, *([grad_x] if need_grad_x else []), *gradients]


def check_mlp(emulator, rows, inputs, hidden, decode, precision, definition):
    """Values and all gradients."""
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

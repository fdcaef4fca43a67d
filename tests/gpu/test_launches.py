"""Launches of a training step on the device: how many, early or not, and the norm of the gradients."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

import botan_fast as bf
from botan_fast import ops
from botan_fast.ops import reference
from tests.helpers.device_checks import crystal
from tests.helpers.random_graphs import relative_l2


def make_step(device):
    """A training step of the default model with everything but the loading of a configuration."""
    torch.manual_seed(0)
    graph, model = crystal(5).to(device), bf.BOTAN().to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    targets = [torch.rand(n, device=device) for n in (graph.num_nodes, graph.num_edges)]
    unit = ops.unit_gradient(targets[0].new_zeros(()))

    def step():
        optimizer.zero_grad()
        prediction = model(graph)
        ops.loss(*prediction, *targets, 0.4).total.backward(unit)
        gradients = [p.grad for p in model.parameters()]
        _, optimizer.grad_scale, optimizer.found_inf = ops.clip_scale(gradients, 1.0)
        optimizer.step()

    return model, step


def digest(device, captured):
    """The weights after five steps, called one by one or replayed."""
    model, step = make_step(device)
    if captured:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
        for _ in range(4):
            graph.replay()
    else:
        for _ in range(5):
            step()
    return [p.detach().cpu() for p in model.parameters()]


def test_launches_of_a_training_step(device):
    _, step = make_step(device)
    step()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        step()
        torch.cuda.synchronize()
    kernels = [e.name for e in recorded.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    kernels = [name for name in kernels if not name.startswith(("Memset", "Memcpy"))]
    assert len(kernels) <= 61, kernels


def test_the_same_bits_captured_or_not_and_early_or_not(device, tmp_path):
    """Kernels that begin before the one before has ended read what it wrote: the bits say so."""
    first = digest(device, captured=False)
    for other in (digest(device, captured=False), digest(device, captured=True)):
        for a, b in zip(other, first, strict=True):
            assert torch.equal(a, b)
    program = (
        "import sys, torch; from tests.gpu.test_launches import digest; "
        "torch.save(digest(torch.device('cuda', int(sys.argv[1])), captured=False), sys.argv[2])"
    )
    path, environment = str(tmp_path / "in_order.pt"), {**os.environ, "BOTAN_FAST_EARLY_LAUNCH": "0"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program, str(device.index), path], env=environment, cwd=root, check=True)
    in_order = torch.load(path)
    for a, b in zip(in_order, first, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("sizes", [[1], [0, 4097, 64], [100_000] * 170])
def test_clip_scale(device, sizes):
    gradients = [torch.randn(size, generator=torch.Generator().manual_seed(size)) for size in sizes]
    on_device = [g.to(device) for g in gradients]
    got, again = ops.clip_scale(on_device, 0.5), ops.clip_scale(on_device, 0.5)
    for a, b, want in zip(got, again, reference.clip_scale(gradients, 0.5), strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a.cpu(), want) or relative_l2(a.cpu(), want) < 1e-7
    on_device[-1][-1] = torch.nan
    assert ops.clip_scale(on_device, 0.5).found_inf == 1

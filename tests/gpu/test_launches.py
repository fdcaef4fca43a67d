"""Launches of a training step on the device: how many, and early or not."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

import botan_fast as bf
from botan_fast import ops
from tests.helpers.device_checks import crystal


def make_step(device):
    """A training step of the default model with everything but the loading of a configuration."""
    torch.manual_seed(0)
    graph, model = crystal(5).to(device), bf.BOTAN().to(device)
    optimizer = torch.optim.Adam(model.parameters(), fused=True, capturable=True)
    targets = [torch.rand(n, device=device) for n in (graph.num_nodes, graph.num_edges)]
    batch = torch.zeros(1, dtype=torch.int64, device=device)
    record, not_finite, scale = (torch.zeros(n, device=device) for n in ((1, 4), (), ()))
    results = ops.batches.StepResults(record, not_finite, scale, batch.new_zeros(1))
    optimizer.grad_scale, optimizer.found_inf = scale, not_finite
    unit = ops.unit_gradient(targets[0].new_zeros(()))

    def step():
        optimizer.zero_grad()
        prediction = model(graph)
        loss = ops.loss(*prediction, *targets, 0.4).total
        loss.backward(unit)
        norms = torch.stack(torch._foreach_norm([p.grad for p in model.parameters()]))
        ops.batches.record_step([loss.detach()] * 3, norms, 1.0, batch, results)
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
    assert len(kernels) <= 64, kernels


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


def test_another_value_of_the_variable_is_refused(device):
    program = "import torch; from tests.gpu.test_launches import make_step; make_step(torch.device('cuda'))[1]()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "BOTAN_FAST_EARLY_LAUNCH": "off"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "BOTAN_FAST_EARLY_LAUNCH = 'off'; set it to 0" in done.stderr

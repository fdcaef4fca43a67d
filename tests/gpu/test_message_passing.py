"""Message passing and the model on the device against the CPU: values, gradients, repeats, streams, CUDA graphs."""

import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from tests.helpers.device_checks import GRADIENT, MODEL_GRADIENT, OUTPUT, clear_model, crystal
from tests.helpers.processor_case import clear_case, open_or_closed_case
from tests.helpers.random_graphs import relative_l2


def train_step(model, graph, precision):
    model.zero_grad()
    prediction = model(graph, precision)
    loss = (prediction.node**2).mean() + ((prediction.edge - graph.vectors[:, 0]) ** 2).mean()
    loss.backward()
    return [prediction.node.detach(), prediction.edge.detach(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("precision", ops.PRECISIONS)
def test_model(device, precision):
    graph, model = crystal(), clear_model(precision)
    exact = train_step(model.double(), graph, "fp32")
    on_device = graph.to(device)
    got = train_step(model.float().to(device), on_device, precision)
    for i, (a, b) in enumerate(zip(got, exact, strict=True)):
        assert relative_l2(a.cpu(), b) < (OUTPUT if i < 2 else MODEL_GRADIENT)[precision]
    for a, b in zip(train_step(model, on_device, precision), got, strict=True):
        assert torch.equal(a, b)


# Small inputs with ReLUs that differ from row to row, and large ones with ReLUs that do not.
SMALL, LARGE = [(1, 0), (5, 0), (1, 300), (7, 97)], [(1, 300), (300, 20_000), (3, 5000)]
INPUTS = [(clear_case, *size) for size in SMALL] + [(open_or_closed_case, *size) for size in LARGE]


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("hidden", [32, 64, 128])
@pytest.mark.parametrize(("make", "nodes", "edges"), INPUTS)
def test_processor(device, make, nodes, edges, hidden, precision):
    case = make(nodes, edges, hidden, steps=2, skip=True, start=True)

    def results(where, dtype, precision):
        t = [x.to(where, dtype).requires_grad_() for x in case.tensors]
        topology = [x.to(where) for x in case.topology]
        x, e = ops.processor(*t[:4], topology, t[4:8], t[8:], 2, precision=precision)
        loss = (x * case.weight_x.to(x)).sum() + (e * case.weight_e.to(e)).sum()
        return [x.detach(), e.detach(), *torch.autograd.grad(loss, t, materialize_grads=True, allow_unused=True)]

    got, exact = results(device, torch.float32, precision), results("cpu", torch.float64, "fp32")
    for i, (a, b) in enumerate(zip(got, exact, strict=True)):
        if b.norm() == 0:
            assert not a.any()
        else:
            assert relative_l2(a.cpu(), b) < (OUTPUT if i < 2 else GRADIENT)[precision]


@pytest.mark.parametrize("precision", ops.PRECISIONS)
def test_one_cuda_graph_for_several_configurations(device, precision):
    """Captured once with room for more edges; replayed on another configuration of as many particles."""
    torch.manual_seed(0)
    model = bf.BOTAN().to(device).processor
    graphs = [crystal(10, seed).to(device) for seed in (0, 1)]
    room = max(len(g.senders) for g in graphs) + 100
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(1000, 64, generator=generator).to(device)
    e0 = torch.randn(room, 64, generator=generator).to(device)
    weights = [p.detach().requires_grad_() for p in model.parameters()]

    def topology(graph):
        edges = [graph.senders, graph.receivers, graph.row_ptr, graph.reverse, graph.row_ptr]
        return [torch.cat([t, t.new_zeros(room - len(t))]) if len(t) == len(graph.senders) else t for t in edges]

    static = [t.clone() for t in topology(graphs[0])]

    def step():
        x, e = ops.processor(None, None, x0, e0, static, weights[:4], weights[4:], 3, precision=precision)
        return [x.detach(), e.detach(), *torch.autograd.grad(x.sum() + e.sum(), weights)]

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    side.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        out = step()
    for graph in graphs:
        for to, source in zip(static, topology(graph), strict=True):
            to.copy_(source)
        captured.replay()
        for a, b in zip(out, step(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("hidden", [7, 24, 48, 100, 129])  # padded to 32, 64 and 128, and in plain torch
def test_other_widths(device, hidden):
    torch.manual_seed(0)
    graph, model = crystal(8), bf.BOTAN(hidden_size=hidden)
    expected = model(graph).node
    assert relative_l2(model.to(device)(graph.to(device)).node.cpu(), expected.double()) < 1e-5

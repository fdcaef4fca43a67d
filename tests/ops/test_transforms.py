"""Transforms of torch.func, forward-mode derivatives, and tensors of the device meta, through every operator."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, hessian, jacfwd, jvp, vmap

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import InputError
from tests.helpers.random_graphs import relative_l2


@pytest.fixture(scope="module")
def case():
    """A graph, and one model in float32 and in float64, which plain torch computes."""
    rng = np.random.default_rng(0)
    graph = bf.build_graph(rng.random((10, 3)) * 4.2, np.arange(10) % 5 // 4, [4.2] * 3)
    torch.manual_seed(0)
    model = bf.BOTAN(hidden_size=64, num_steps=2)
    return graph, model, copy.deepcopy(model).double()


def energy(model, graph):
    return lambda vectors: model(graph.replace(vectors=vectors)).node.square().sum()


TRANSFORMS = {
    "jvp": lambda f, v: jvp(f, (v,), (torch.linspace(-1, 1, v.numel(), dtype=v.dtype).view_as(v),))[1],
    "grad": lambda f, v: grad(f)(v),
    "grad of grad": lambda f, v: grad(lambda u: grad(f)(u).square().sum())(v),
    "jacfwd": lambda f, v: jacfwd(f)(v),
    "vmap": lambda f, v: vmap(f)(torch.stack([v, 2 * v])),
    "hessian": lambda f, v: hessian(lambda s: f(torch.cat([s, v[3:]])))(v[:3]),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_model_under_transform(case, name):
    graph, model, exact = case
    got = TRANSFORMS[name](energy(model, graph), graph.vectors)
    expected = TRANSFORMS[name](energy(exact, graph), graph.vectors.double())
    assert relative_l2(got, expected) < 1e-5


def test_gradient_of_weights_under_functional_call(case):
    graph, model, _ = case
    weights = dict(model.named_parameters())
    got = grad(lambda w: functional_call(model, w, (graph,)).node.square().sum())(weights)
    model.zero_grad()
    model(graph).node.square().sum().backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            assert relative_l2(got[name], parameter.grad.double()) < 1e-5
    model.zero_grad()


SUMS = {
    "segment_sum": lambda v: bf.segment_sum(v, torch.tensor([0, 1, 3])),
    "scatter_sum": lambda v: bf.scatter_sum(v, torch.tensor([1, 0, 1]), 2),
    "loss": lambda v: ops.loss(v, v, torch.zeros(3, dtype=v.dtype), torch.ones(3, dtype=v.dtype), 0.4).total,
}


@pytest.mark.parametrize("name", SUMS)
def test_tangent_of_sums_and_loss(name):
    v, direction = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.3, 1.0, -1.0])
    step = 1e-6 * direction.double()
    expected = (SUMS[name](v.double() + step) - SUMS[name](v.double() - step)) / 2e-6
    assert torch.allclose(jvp(SUMS[name], (v,), (direction,))[1].double(), expected, rtol=1e-5)
    with torch.autograd.forward_ad.dual_level():
        dual = SUMS[name](torch.autograd.forward_ad.make_dual(v, direction))
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    assert torch.allclose(tangent.double(), expected, rtol=1e-5)


MIXED = {
    "model on meta, graph on the CPU": lambda graph: bf.BOTAN(64, num_steps=2).to("meta")(graph),
    "graph on meta": lambda graph: bf.BOTAN(64, num_steps=2)(graph.to("meta")),
    "width without kernels": lambda graph: bf.BOTAN(40, num_steps=2).to("meta")(graph),
    "layer, one tensor": lambda graph: bf.BOTANLayer(64)(
        torch.ones(10, 64, device="meta"), *(torch.ones(n, 64) for n in (graph.num_edges, 10, graph.num_edges)), graph
    ),
    "layer, graph alone on the CPU": lambda graph: bf.BOTANLayer(64).to("meta")(
        *(torch.ones(n, 64, device="meta") for n in (10, graph.num_edges, 10, graph.num_edges)), graph
    ),
    "MLP": lambda graph: bf.MLP(64, 64).to("meta")(torch.ones(3, 64)),
    "segment_sum": lambda graph: bf.segment_sum(torch.ones(3), torch.tensor([0, 3], device="meta")),
    "scatter_sum": lambda graph: bf.scatter_sum(torch.ones(1), torch.tensor([0], device="meta"), 2),
    "loss": lambda graph: ops.loss(torch.ones(3), None, torch.ones(3, device="meta"), None, 1.0),
}


@pytest.mark.parametrize("name", MIXED)
def test_one_tensor_on_meta_is_refused(case, name):
    with pytest.raises(InputError, match=r"(cpu and meta|meta and x0? cpu|on (cpu|meta) and \w+ on (cpu|meta)); put"):
        MIXED[name](case[0])


def test_all_on_meta(case):
    graph, model, _ = case
    prediction = copy.deepcopy(model).to("meta")(graph.to("meta"))
    assert prediction.node.shape == (10,)
    assert prediction.node.device.type == "meta"

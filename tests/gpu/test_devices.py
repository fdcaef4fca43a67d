"""Tensors on two devices: one clear error, whichever argument it is, and never an address of the other one."""

import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import InputError
from tests.helpers.device_checks import crystal
from tests.helpers.processor_case import Case
from tests.helpers.random_graphs import random_mlp

PLACE = r"put (both|all) on one device"


def refused(function, arguments, device):
    """Every tensor in turn on the CPU, the others on the device; and all on the device is right."""
    there = [a.to(device) for a in arguments]
    function(*there)
    for k, argument in enumerate(arguments):
        mixed = [*there[:k], argument, *there[k + 1 :]]
        with pytest.raises(InputError, match=PLACE):
            function(*mixed)


@pytest.mark.parametrize("hidden", [64, 48, 129])  # with kernels, padded, and in plain torch
def test_processor(device, hidden):
    case = Case(7, 97, hidden, start=True, steps=2)

    def run(*t):
        return ops.processor(*t[:4], t[12:], t[4:8], t[8:12], 2)

    refused(run, [*case.tensors, *case.topology], device)


def test_processor_backward(device):
    case = Case(7, 97, start=True, steps=2)
    library = torch.ops.botan_fast
    t, topology = [x.to(device) for x in case.tensors], [x.to(device) for x in case.topology]
    x, e, *kept = library.processor(*t[:4], topology, t[4:], 2, True, 0, False)
    arrays = [a.cpu() for a in (x, *kept, torch.ones_like(x), torch.ones_like(e))]

    def run(*a):
        return library.processor_backward(*t[:4], topology, t[4:], 2, list(a[:5]), a[5], a[6], 0, False)

    refused(run, arrays, device)


@pytest.mark.parametrize("decode", [False, True])
def test_mlp(device, decode):
    g = torch.Generator().manual_seed(0)
    x, weights = torch.randn(50, 3, generator=g), random_mlp(3, 64, g, decode)
    refused(lambda x, *w: ops.mlp(x, list(w)), [x, *weights], device)
    y = ops.mlp(x, weights)
    library = torch.ops.botan_fast

    def backward(x, grad_y, *w):
        return library.mlp_backward(x, list(w), y.to(device), grad_y, True, 0)

    refused(backward, [x, torch.ones_like(y), *weights], device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the last in plain torch
def test_loss(device, dtype):
    numbers = [torch.rand(n, dtype=dtype) for n in (5, 8, 5, 8)]
    refused(lambda a, b, c, d: ops.loss(a, b, c, d, 0.4), numbers, device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])  # the last in plain torch
def test_sums(device, dtype):
    values, row_ptr = torch.rand(6, 3).to(dtype), torch.tensor([0, 2, 6])
    refused(bf.segment_sum, [values, row_ptr], device)
    refused(lambda v, i: bf.scatter_sum(v, i, 3), [values, torch.tensor([0, 1, 1, 2, 0, 1])], device)
    if dtype != torch.float16:
        refused(lambda v, r: torch.ops.botan_fast.segment_expand(v, r, 6), [values[:2], row_ptr], device)


def test_a_model_and_a_graph(device):
    graph, model = crystal(5), bf.BOTAN(num_steps=1)
    with pytest.raises(InputError, match="graph lies on cuda:0 and model on cpu; put both on one device"):
        model(graph.to(device))
    with pytest.raises(InputError, match="graph lies on cpu and model on cuda:0; put both on one device"):
        model.to(device)(graph)

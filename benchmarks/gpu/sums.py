"""Benchmarks on a GPU: sums over edges and the loss, beside plain torch, and a copy of the same size."""

from functools import partial

import torch

import botan_fast as bf
from benchmarks.gpu.runner import Benchmarks, Prepared
from botan_fast import ops
from botan_fast.ops import reference

WIDTH = 64


def copy(nodes, edges, machine):
    source = torch.randn(edges, WIDTH, device=machine.device)
    target = torch.empty_like(source)

    def check():
        assert torch.equal(target, source)

    return Prepared(lambda: target.copy_(source), check, 2 * source.nbytes)


def segment_sum(nodes, edges, machine, plain=False):
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(nodes, (edges,), generator=generator)
    row_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(index, minlength=nodes).cumsum(0)])
    values = torch.randn(edges, WIDTH, generator=generator).to(machine.device)
    index, row_ptr = index.sort()[0].to(machine.device), row_ptr.int().to(machine.device)
    expected = torch.zeros(nodes, WIDTH, dtype=torch.float64, device=machine.device)
    expected.index_add_(0, index, values.double())

    def run():
        return values.new_zeros(nodes, WIDTH).index_add_(0, index, values) if plain else bf.segment_sum(values, row_ptr)

    def check():
        torch.testing.assert_close(run().double(), expected, rtol=1e-4, atol=1e-4)

    return Prepared(run, check, values.nbytes + row_ptr.nbytes + nodes * WIDTH * 4)


def loss(nodes, edges, machine, plain=False, captured=False):
    """The loss and its gradients; captured as one CUDA graph."""
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(n, generator=generator).to(machine.device) for n in (nodes, edges, nodes, edges)]
    leaves = [t.requires_grad_() for t in tensors[:2]]

    def step():
        total = (reference if plain else ops).loss(*tensors, 0.4)[0]
        return [total.detach(), *torch.autograd.grad(total, leaves)]

    difference = [(a.detach() - b).double() for a, b in zip(leaves, tensors[2:], strict=True)]
    expected = [0.4 * difference[0].square().mean() + 0.6 * difference[1].square().mean()]
    expected += [2 * weight * d / len(d) for weight, d in zip((0.4, 0.6), difference, strict=True)]
    run, out = machine.capture(step) if captured else (step, None)

    def check():
        run()
        for a, b in zip(step() if out is None else out, expected, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-5, atol=1e-12)

    return Prepared(run, check, 3 * 4 * (nodes + edges))


def benchmarks(nodes=4096, edges=166_484) -> Benchmarks:
    return {
        "copy (E, 64) float32": partial(copy, nodes, edges),
        "segment_sum (E, 64) float32": partial(segment_sum, nodes, edges),
        "torch index_add (E, 64) float32": partial(segment_sum, nodes, edges, plain=True),
        "loss and gradient": partial(loss, nodes, edges),
        "loss and gradient, CUDA graph": partial(loss, nodes, edges, captured=True),
        "loss and gradient, plain torch": partial(loss, nodes, edges, plain=True),
    }

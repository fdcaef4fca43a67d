"""One input of the message-passing steps, run by the compiled operators and by their definition in float64."""

import torch

from botan_fast import ops
from botan_fast.ops import reference
from tests.helpers.random_graphs import cosine, random_mlp, random_topology, relative_l2

TOLERANCE = 1e-5  # relative L2 of outputs and gradients against float64


def leaves(tensors, dtype):
    return [None if t is None else t.detach().to(dtype).requires_grad_() for t in tensors]


def assert_same(fast, exact):
    for f, x in zip(fast, exact, strict=True):
        assert f.shape == x.shape
        if x.numel() and x.norm() > 0:
            assert relative_l2(f, x) < TOLERANCE
            assert cosine(f, x) > 1 - 1e-9
        else:
            assert f.abs().sum() == 0


# A ReLU whose input is zero within rounding goes either way, and the gradients of the two ways differ. The tests
# compare derivatives, so they take the first random input whose ReLUs all keep clear of the kink.
KINK = 4e-6


def clear_of_kinks(run):
    """Whether every input of a ReLU in `run()` is farther from zero than rounding in float32 can move it."""
    smallest = [float("inf")]
    relu = torch.relu

    def watched(z):
        if z.numel():
            smallest.append(float(z.detach().abs().min()))
        return relu(z)

    torch.relu = watched
    try:
        with torch.no_grad():
            run()
    finally:
        torch.relu = relu
    return min(smallest) > KINK


def clear_case(*arguments, seed=0, **options):
    for trial in range(seed, seed + 1000):
        case = Case(*arguments, seed=trial, **options)
        if clear_of_kinks(lambda: case.exact([None if t is None else t.double() for t in case.tensors])):  # noqa: B023
            return case
    raise AssertionError("no input without a ReLU at its kink")


def open_or_closed(parameters):
    """Changes weights, small from now on, and biases, +-4 by turns: half of the units are open and half closed, for
    every row. So no ReLU comes near its kink in inputs of any size, and long sums have terms of one sign."""
    with torch.no_grad():
        for tensor in parameters:
            if tensor.ndim == 2:
                tensor *= 0.25
            else:
                tensor.copy_(4 * (1 - 2 * (torch.arange(len(tensor)) % 2)))


def open_or_closed_case(nodes, edges, hidden, **options):
    """An input with such weights; those of sums over edges are divided by the number of edges of a node."""
    case = Case(nodes, edges, hidden, **options)
    open_or_closed(case.tensors[4:])
    case.tensors[8][:, 2 * hidden :] /= max(1, edges // max(1, nodes))
    return case


class Case:
    """One input of the processor, run by `ops` in float32 and by `reference` in float64."""

    def __init__(self, nodes, edges, hidden=64, steps=3, skip=False, start=False, symmetric=False, seed=0):
        g = torch.Generator().manual_seed(seed)
        self.steps = steps
        self.topology = random_topology(nodes, edges, g, symmetric)
        edges = len(self.topology[0])
        rand = lambda rows: torch.randn(rows, hidden, generator=g)  # noqa: E731
        state = [rand(nodes), rand(edges)] if start else [None, None]
        self.tensors = [*state, rand(nodes), rand(edges)]
        self.tensors += random_mlp((6 if skip else 4) * hidden, hidden, g) + random_mlp(3 * hidden, hidden, g)
        self.weight_x, self.weight_e = rand(nodes), rand(edges)

    def fast(self, t):
        return ops.processor(*t[:4], self.topology, t[4:8], t[8:12], self.steps)

    def exact(self, t):
        return reference.processor(*t[:4], *self.topology[:2], t[4:8], t[8:12], self.steps)

    def gradients(self, outputs, inputs, use=(True, True)):
        loss = sum(
            (o * w.to(o.dtype)).sum() for o, w, u in zip(outputs, (self.weight_x, self.weight_e), use, strict=True) if u
        )
        present = [t for t in inputs if t is not None]
        return torch.autograd.grad(loss, present, allow_unused=True, materialize_grads=True)

    def check(self, use=(True, True)):
        """Values and all gradients."""
        fast_in, exact_in = leaves(self.tensors, torch.float32), leaves(self.tensors, torch.float64)
        fast, exact = self.fast(fast_in), self.exact(exact_in)
        assert_same(fast, exact)
        assert_same(self.gradients(fast, fast_in, use), self.gradients(exact, exact_in, use))

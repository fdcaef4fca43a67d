"""The loss and its gradient: against the formula in float64, against torch's own backward pass, as an operator."""

import math

import pytest
import torch

from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.loss_numbers import by_hand, evaluated, numbers
from tests.helpers.random_graphs import relative_l2

WEIGHTS = [0.0, 0.4, 1.0]


@pytest.mark.parametrize("p", WEIGHTS)
@pytest.mark.parametrize(("nodes", "edges"), [(1, 1), (5, 12), (4096, 10_001)])
def test_loss(nodes, edges, p):
    tensors = numbers(nodes, edges)
    expected = list(by_hand(*tensors, p))
    got = evaluated(tensors, p)
    for name, weight, gradient, want in zip(("node", "edge"), (p, 1 - p), got[3:], expected[3:], strict=True):
        assert (gradient is None) == (weight == 0), name  # none, rather than zeros
        if weight > 0:
            assert relative_l2(gradient, want) < 2e-7
    for value, want in zip(got[:3], expected[:3], strict=True):
        assert value.dtype == torch.float32
        assert value.shape == ()
        assert value.item() == pytest.approx(want.item(), rel=1e-6)


@pytest.mark.parametrize("p", WEIGHTS)
def test_the_bits_of_torch_s_own_backward_pass(p):
    """So that a run gives what it gave before there was an operator."""
    for seed, (nodes, edges) in enumerate([(3, 7), (80, 1001), (4096, 16_648)]):
        tensors = numbers(nodes, edges, seed)
        node, edge = (t.clone().requires_grad_() for t in tensors[:2])
        losses = reference.loss(node, edge, *tensors[2:], p)
        losses[0].backward()
        for got, want in zip(evaluated(tensors, p), [*losses, node.grad, edge.grad], strict=True):
            assert (got is None) == (want is None)
            if got is not None:
                assert torch.equal(got, want)


@pytest.mark.parametrize("p", WEIGHTS)
def test_gradcheck(p):
    node, edge, *targets = numbers(3, 5, dtype=torch.float64)
    row_ptr = torch.tensor([0, 2, 2, 4])
    for pointers in (None, row_ptr):
        for function in (ops.loss, reference.loss):
            assert torch.autograd.gradcheck(
                lambda a, b: function(a, b, *targets, p, pointers)[0],  # noqa: B023
                (node.clone().requires_grad_(), edge.clone().requires_grad_()),
            )


@pytest.mark.parametrize("p", WEIGHTS)
@pytest.mark.parametrize("room", [False, True])
def test_several_outputs(p, room):
    """(N, K) and (E, K): the mean over all of them, of the present edges alone where there is room for more."""
    node, edge, node_target, edge_target = (t.reshape(-1, 3) for t in numbers(9, 21))
    row_ptr = torch.tensor([0, 2, 3, 5]) if room else None
    present = 5 if room else 7
    leaves = [node.clone().requires_grad_(), edge.clone().requires_grad_()]
    loss = ops.loss(*leaves, node_target, edge_target, p, row_ptr)
    exact = [t.double().requires_grad_() for t in (node, edge)]
    node_loss = (exact[0] - node_target.double()).square().mean()
    edge_loss = (exact[1] - edge_target.double())[:present].square().mean()
    total = p * node_loss + (1 - p) * edge_loss
    for value, want in zip(loss, (total, node_loss, edge_loss), strict=True):
        assert value.item() == pytest.approx(want.item(), rel=1e-6)
    loss.total.backward()
    total.backward()
    for leaf, want, weight in zip(leaves, exact, (p, 1 - p), strict=True):
        assert (leaf.grad is None) == (weight == 0)
        if weight:
            assert leaf.grad.shape == want.shape
            assert relative_l2(leaf.grad, want.grad) < 1e-6
    with pytest.raises(InputError, match=r"shape \(3, 3\) and node_target has shape \(3,\)"):
        ops.loss(node, edge, node_target[:, 0], edge_target, 0.4)


def test_the_incoming_gradient_scales():
    tensors = numbers(9, 20)
    once, thrice = evaluated(tensors, 0.4), evaluated(tensors, 0.4, scale=3.0)
    for a, b in zip(once[3:], thrice[3:], strict=True):
        assert torch.equal(3 * a, b)


def test_two_backward_passes_agree():
    node, edge, *targets = numbers(9, 20)
    node.requires_grad_()
    total = ops.loss(node, edge, *targets, 0.4).total
    first, second = (torch.autograd.grad(total, node, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_only_the_total_has_a_gradient():
    node, edge, *targets = numbers(9, 20)
    loss = ops.loss(node.requires_grad_(), edge, *targets, 0.4)
    assert [t.requires_grad for t in loss] == [True, False, False]
    with torch.no_grad():
        assert not ops.loss(node, edge, *targets, 0.4).total.requires_grad
    assert not ops.loss(node, edge.detach(), *targets, 0.0).total.requires_grad


def test_second_derivatives():
    """Of the square of the total: 2 g_i sum_j g_j + 2 total 2 p / N for the gradient g of the total."""
    node, edge, *targets = numbers(9, 20)
    node.requires_grad_()
    total = ops.loss(node, edge, *targets, 0.4).total
    (gradient,) = torch.autograd.grad(total.square(), node, create_graph=True)
    gradient.sum().backward()
    g = 2 * 0.4 * (node.detach() - targets[0]).double() / 9
    assert relative_l2(node.grad, 2 * g * g.sum() + 2 * total.item() * 2 * 0.4 / 9) < 1e-6


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_nodes_only(p):
    """A model without edge decoder, and data without edge targets: that part is 0."""
    node, edge, node_target, edge_target = numbers(6, 11)
    for missing in ((None, edge_target), (edge, None), (None, None)):
        leaf = node.clone().requires_grad_()
        loss = ops.loss(leaf, missing[0], node_target, missing[1], p)
        loss.total.backward()
        assert loss.edge == 0
        assert loss.total.item() == pytest.approx(p * loss.node.item())
        assert relative_l2(leaf.grad, 2 * p * (node.double() - node_target) / 6) < 2e-7


def test_edges_only():
    _, edge, node_target, edge_target = numbers(6, 11)
    edge.requires_grad_()
    loss = ops.loss(None, edge, node_target, edge_target, 0.4)
    loss.total.backward()
    assert loss.node == 0
    assert relative_l2(edge.grad, 1.2 * (edge.detach().double() - edge_target) / 11) < 2e-7


def test_a_capacity_beyond_the_edges():
    """Only row_ptr says how many edges there are; what lies beyond is not looked at and has the gradient zero."""
    tensors = numbers(3, 9)
    want = evaluated(tensors, 0.4)
    for beyond in (0.0, math.inf, math.nan):
        more = [t if len(t) == 3 else torch.cat([t, torch.full((4,), beyond)]) for t in tensors]
        got = evaluated(more, 0.4, torch.tensor([0, 4, 4, 9]))
        assert [t.item() for t in got[:3]] == pytest.approx([t.item() for t in want[:3]], rel=1e-6)
        assert torch.equal(got[3], want[3])
        assert torch.equal(got[4][:9], want[4])
        assert not got[4][9:].any()


@pytest.mark.parametrize(("nodes", "edges"), [(0, 0), (3, 0), (0, 5)])
def test_the_mean_over_nothing_is_not_a_number(nodes, edges):
    total, node_loss, edge_loss, *gradients = evaluated(numbers(nodes, edges), 0.4)
    assert total.isnan()
    assert node_loss.isnan() == (nodes == 0)
    assert edge_loss.isnan() == (edges == 0)
    assert [g.shape for g in gradients] == [(nodes,), (edges,)]
    # and it does not matter where it has no weight
    assert evaluated(numbers(3, 0), 1.0)[0].isfinite()
    assert evaluated(numbers(0, 5), 0.0)[0].isfinite()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_is_not_hidden(bad):
    tensors = numbers(5, 8)
    tensors[1][2] = bad
    total, node_loss, edge_loss, node_gradient, edge_gradient = evaluated(tensors, 0.4)
    assert not total.isfinite()
    assert not edge_loss.isfinite()
    assert node_loss.isfinite()
    assert node_gradient.isfinite().all()
    assert (~edge_gradient.isfinite()).nonzero().tolist() == [[2]]
    assert evaluated(tensors, 1.0)[0].isfinite()  # where it has no weight it does no harm


@pytest.mark.parametrize("size", [1e-18, 1e-6, 1e6, 1e17])
def test_small_and_large_numbers(size):
    tensors = [t * size for t in numbers(50, 300)]
    got, want = evaluated(tensors, 0.4), by_hand(*tensors, 0.4)
    for a, b in zip(got, want, strict=True):
        assert relative_l2(a, b) < 1e-6


def test_targets_take_the_dtype_of_predictions():
    node, edge, *targets = numbers(5, 8, dtype=torch.float64)
    loss = ops.loss(node, edge, *(t.float() for t in targets), 0.4)
    assert loss.total.dtype == torch.float64


def test_strided_predictions():
    tensors = numbers(10, 24)
    want = evaluated([t[::2].clone() for t in tensors], 0.4)
    node, edge = (t.clone().requires_grad_() for t in tensors[:2])
    loss = ops.loss(node[::2], edge[::2], *(t[::2] for t in tensors[2:]), 0.4)
    loss.total.backward()
    for a, b in zip([*loss, node.grad[::2], edge.grad[::2]], want, strict=True):
        assert torch.equal(a.detach(), b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 1.5}, r"p = 1.5; .*\[0, 1\]"),
        ({"p": math.nan}, r"p = nan"),
        ({"node": torch.ones(4, 1)}, r"node is torch.float32 of shape \(4, 1\) and node_target has shape \(4,\)"),
        ({"edge_target": torch.ones(1)}, r"edge is .* of shape \(6,\) and edge_target has shape \(1,\)"),
        ({"node": torch.ones(4, dtype=torch.int64)}, r"node is torch.int64 .*floating"),
        ({"edge": torch.ones(6, dtype=torch.float64)}, r"node is torch.float32 and edge torch.float64"),
        ({"node": None, "edge_target": None}, "neither node nor edge has both"),
        ({"row_ptr": torch.ones(5)}, "row_ptr is .*float32"),
    ],
)
def test_what_is_refused(change, message):
    arguments = {"node": torch.ones(4), "edge": torch.ones(6), "p": 0.4, "row_ptr": None}
    arguments |= {"node_target": torch.zeros(4), "edge_target": torch.zeros(6)} | change
    with pytest.raises(InputError, match=message):
        ops.loss(**arguments)


@pytest.mark.parametrize(("p", "keep"), [(0.4, (True, True)), (1.0, (True, False)), (0.4, (False, True))])
@pytest.mark.parametrize("pointers", [None, [0, 3, 6]])
def test_opcheck(p, keep, pointers):
    tensors = numbers(4, 8)
    for tensor, kept in zip(tensors[:2], keep, strict=True):
        tensor.requires_grad_(kept)
    row_ptr = None if pointers is None else torch.tensor(pointers, dtype=torch.int32)
    torch.library.opcheck(torch.ops.botan_fast.loss, (*tensors, row_ptr, p, *keep))


def test_opcheck_of_one_part():
    node, _, target, _ = numbers(4, 8)
    torch.library.opcheck(
        torch.ops.botan_fast.loss, (node.requires_grad_(), None, target, None, None, 0.4, True, False)
    )


def test_inside_compile():
    tensors = numbers(7, 19)

    def gradients(function):
        leaves = [t.clone().requires_grad_() for t in tensors[:2]]
        total = function(*leaves)
        return [total.detach(), *torch.autograd.grad(total, leaves)]

    def function(node, edge):
        return ops.loss(2 * node, edge.tanh(), *tensors[2:], 0.4).total

    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    for a, b in zip(gradients(compiled), gradients(function), strict=True):
        assert relative_l2(a, b.double()) < 1e-6


@pytest.mark.parametrize("p", WEIGHTS)
@pytest.mark.parametrize("columns", [1, 3])
def test_the_gradient_of_one(p, columns):
    """The same bits as without; leaves, and several passes through one graph, keep gradients of their own."""
    tensors = [t if columns == 1 else t.unflatten(0, (-1, columns)) for t in numbers(6, 9)]
    wanted, found = [], []
    for unit, gradients in ((False, wanted), (True, found)):
        for own in (False, True):  # predictions are leaves, or not
            leaves = [t.clone().requires_grad_() for t in tensors[:2]]
            predictions = leaves if own else [2 * t for t in leaves]
            total = ops.loss(*predictions, *tensors[2:], p).total
            for _ in range(2):
                total.backward(ops.unit_gradient(total) if unit else None, retain_graph=True)
            gradients += [t.grad for t in leaves]
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        assert a is None or torch.equal(a, b)


def test_a_one_that_was_written_to_is_not_one():
    node, target = torch.ones(4, requires_grad=True), torch.zeros(4)
    total = ops.loss(2 * node, None, target, None, 1).total
    unit = ops.unit_gradient(total)
    assert ops.unit_gradient(total) is unit
    unit.mul_(3)
    (gradient,) = torch.autograd.grad(total, node, unit)
    torch.testing.assert_close(gradient, torch.full((4,), 6.0))
    assert ops.unit_gradient(total) == 1

"""The loss on CUDA through the host emulation, called as the operator calls it."""

import math

import pytest
import torch

from botan_fast import device
from botan_fast.ops import cuda, losses
from tests.helpers.loss_numbers import by_hand, numbers
from tests.helpers.random_graphs import relative_l2

# particles, edges: a block takes 1024 numbers of one kind, a thread four
SIZES = [(1, 1), (1, 3), (4, 5), (1023, 1024), (1025, 2051), (7, 4096)]


def run(emulator, tensors, p, row_ptr=None, keep=(True, True)):
    return cuda.loss(emulator, *tensors, row_ptr, p, *keep)


def pointers(nodes, count):
    return torch.tensor([0] * nodes + [count], dtype=torch.int32)


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("nodes", "edges"), SIZES)
def test_loss(emulator, nodes, edges, p):
    tensors = numbers(nodes, edges)
    for got, want in zip(run(emulator, tensors, p), by_hand(*tensors, p), strict=True):
        assert got.dtype == torch.float32
        assert got.shape == want.shape
        assert torch.equal(got, want.float()) or relative_l2(got, want) < 1e-7  # in float64, rounded once


def test_as_in_the_definition_at_full_size(emulator):
    """4096 particles, more than 256 chunks of edges: each thread of the second kernel adds up more than one."""
    tensors = numbers(4096, 270_001)
    for got, want in zip(run(emulator, tensors, 0.4), by_hand(*tensors, 0.4), strict=True):
        assert relative_l2(got, want) < 1e-7


@pytest.mark.parametrize(("nodes", "edges"), [(1025, 2051), (4, 5)])
def test_the_same_bits_in_any_order_of_threads(emulator, nodes, edges):
    tensors = numbers(nodes, edges)
    first = run(emulator, tensors, 0.4)
    for seed in (1, 2, 3):
        emulator.set_seed(seed)
        for a, b in zip(run(emulator, tensors, 0.4), first, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("beyond", [math.nan, math.inf, 0.0])
@pytest.mark.parametrize(("count", "room"), [(1023, 1025), (5, 3000), (1024, 1024), (0, 6)])
def test_a_capacity_beyond_the_edges(emulator, count, room, beyond):
    """Only row_ptr says how many edges there are: the same bits, and no gradient beyond."""
    tensors = numbers(6, count)
    want = run(emulator, tensors, 0.4)
    more = [t if len(t) == 6 else torch.cat([t, t.new_full((room - count,), beyond)]) for t in tensors]
    got = run(emulator, more, 0.4, pointers(6, count))
    for a, b in zip(got[:4], want[:4], strict=True):
        assert torch.equal(a.nan_to_num(nan=-1), b.nan_to_num(nan=-1))
    assert torch.equal(got[4][:count], want[4])
    assert not got[4][count:].any()


@pytest.mark.parametrize("count", [-1, 9])
def test_a_number_of_edges_outside_stops_the_kernel(emulator, count):
    with pytest.raises(RuntimeError, match=r"kernel loss.*the number of edges is not larger than the room for them"):
        run(emulator, numbers(3, 8), 0.4, pointers(3, count))


@pytest.mark.parametrize(("nodes", "edges"), [(0, 0), (3, 0), (0, 5)])
def test_the_mean_over_nothing_is_not_a_number(emulator, nodes, edges):
    total, node, edge, *gradients = run(emulator, numbers(nodes, edges), 0.4)
    assert total.isnan()
    assert node.isnan() == (nodes == 0)
    assert edge.isnan() == (edges == 0)
    assert [g.shape for g in gradients] == [(nodes,), (edges,)]
    assert run(emulator, numbers(3, 0), 1.0)[0].isfinite()
    assert run(emulator, numbers(0, 5), 0.0)[0].isfinite()


@pytest.mark.parametrize("p", [0.4, 1.0])
def test_one_part(emulator, p):
    node, edge, node_target, edge_target = numbers(30, 70)
    total, node_loss, edge_loss, gradient, nothing = run(
        emulator, (node, None, node_target, None), p, keep=(True, False)
    )
    want = by_hand(node, edge, node_target, edge_target, p)
    assert relative_l2(node_loss, want[1]) < 1e-7
    assert relative_l2(total, p * want[1]) < 1e-7
    assert relative_l2(gradient, want[3]) < 1e-7
    assert edge_loss == 0
    assert nothing.shape == (0,)
    total, node_loss, edge_loss, *_ = run(emulator, (None, edge, None, edge_target), 0.4, keep=(False, True))
    assert node_loss == 0
    assert relative_l2(total, 0.6 * edge_loss.double()) < 1e-7


def test_a_gradient_that_is_not_kept(emulator):
    tensors = numbers(30, 70)
    want = run(emulator, tensors, 0.4)
    got = run(emulator, tensors, 0.4, keep=(False, True))
    assert got[3].shape == (0,)
    for i in (0, 1, 2, 4):
        assert torch.equal(got[i], want[i])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 1029, 2050])
def test_what_is_not_finite_is_not_hidden(emulator, bad, place):
    tensors = numbers(5, 2051)
    tensors[1][place] = bad
    total, node, edge, node_gradient, edge_gradient = run(emulator, tensors, 0.4)
    assert not total.isfinite()
    assert not edge.isfinite()
    assert node.isfinite()
    assert node_gradient.isfinite().all()
    assert (~edge_gradient.isfinite()).nonzero().tolist() == [[place]]
    assert run(emulator, tensors, 1.0)[0].isfinite()


@pytest.mark.parametrize("size", [1e-19, 1e-6, 1e6, 1e18])
def test_small_and_large_numbers(emulator, size):
    tensors = [t * size for t in numbers(50, 300)]
    for got, want in zip(run(emulator, tensors, 0.4), by_hand(*tensors, 0.4), strict=True):
        assert relative_l2(got, want) < 2e-7


def test_addresses_that_are_not_aligned(emulator):
    tensors = numbers(9, 50)
    want = run(emulator, tensors, 0.4)
    shifted = [torch.cat([t.new_zeros(1), t])[1:] for t in tensors]
    assert shifted[1].data_ptr() % 16
    for a, b in zip(run(emulator, shifted, 0.4), want, strict=True):
        assert torch.equal(a, b)


def test_what_is_refused(emulator):
    fine, nothing = (True, 64, 64, 5000, 0.4, 64), (False, 0, 0, 0, 0.6, 0)
    needed = emulator.loss_workspace_bytes(5000, 0)
    assert needed == 5 * 8
    with pytest.raises(ValueError, match=f"loss: workspace_bytes = 8; .* asks for {needed}"):
        emulator.loss(0, 0, fine, nothing, 0, 64, 64, 64, 64, 8)
    for change, text in (
        ((True, 64, 64, -1, 0.4, 64), "node.capacity = -1; it must be 0 or more"),
        ((False, 0, 0, 5, 0.4, 0), "node.capacity = 5; it must be 0 where the part is not given"),
        ((True, 64, 64, 5, -0.5, 64), "node.weight = -0.5.*must not be negative"),
        ((True, 64, 68, 5, 0.4, 64), "an array of node is not aligned to 16 bytes"),
    ):
        with pytest.raises(ValueError, match=text):
            emulator.loss(0, 0, change, nothing, 0, 64, 64, 64, 64, 64)


def test_where_the_loss_runs(emulator, monkeypatch):
    """CUDA tensors in float32 go to the kernel where the build has it, others to plain torch."""
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(device, "CUDA_KERNELS", None)
    assert not losses.has_kernels(gpu, torch.float32)
    monkeypatch.setattr(device, "CUDA_KERNELS", emulator)
    assert losses.has_kernels(gpu, torch.float32)
    assert not losses.has_kernels(gpu, torch.float64)

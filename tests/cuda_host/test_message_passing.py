"""Message passing on CUDA through the host emulation: values and all gradients."""

import pytest
import torch

from botan_fast import ops
from botan_fast.ops import cuda
from tests.helpers.emulated_networks import assert_close, assert_same_bits, check, expected, run
from tests.helpers.processor_case import Case, clear_case, open_or_closed_case


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("start", [False, True])
def test_processor(emulator, skip, start):
    check(emulator, clear_case(13, 150, 32, skip=skip, start=start))


@pytest.mark.parametrize("hidden", [64, 128])
def test_hidden_sizes(emulator, hidden):
    check(emulator, clear_case(6, 40, hidden, steps=2, skip=True))


@pytest.mark.parametrize("hidden", [32, 64, 128])
def test_sums_of_ampere(emulator, hidden):
    """Its tensor cores cut off more, and more often."""
    emulator.set_ampere(True)
    check(emulator, clear_case(6, 40, hidden, steps=2))


@pytest.mark.parametrize(
    ("ampere", "hidden", "edges"), [(False, 32, 100_000), (True, 32, 20_000), (False, 64, 6400), (False, 128, 3200)]
)
def test_many_edges_of_one_block(emulator, ampere, hidden, edges):
    """Weight gradients are sums over all of them, of terms of one sign. Tensor cores cut off each sum, towards zero:
    with one sum of all edges in them each of these cases misses the bound by a factor of 2 to 5."""
    emulator.set_ampere(ampere)
    emulator.set_num_multiprocessors(1)
    case = open_or_closed_case(2, edges, hidden, steps=1)
    for got, want in zip(run(emulator, case, "fp32"), expected(case, "fp32"), strict=True):
        assert_close(got, want, 1e-5)


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
@pytest.mark.parametrize(("hidden", "skip", "start"), [(32, True, True), (32, False, False), (64, False, True)])
def test_precisions(emulator, rounding, precision, hidden, skip, start):
    case = Case(12, 100, hidden, steps=2, skip=skip, start=start)
    check(emulator, case, precision, rounding(precision))


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_wide_precisions(emulator, rounding, precision):
    # an input whose ReLUs do not lie within the rounding of sums of rounded numbers
    check(emulator, Case(5, 30, 128, steps=2, seed=1), precision, rounding(precision))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("nodes", "edges"), [(0, 0), (1, 0), (9, 0), (1, 1), (2, 1), (1, 300), (7, 97), (40, 3), (3, 700), (17, 128)]
)
def test_sizes(emulator, rounding, precision, nodes, edges):
    """No node, no edge, empty receivers, degree 1, degrees above the tile, and sizes on and off the tile."""
    case = clear_case(nodes, edges, 32, steps=2)
    check(emulator, case, precision, rounding(precision))


def test_as_many_blocks_as_an_h100_has(emulator):
    """264 blocks leave partial sums, or twice as many of narrow weights: the second stage has its full length."""
    case = clear_case(530, 700, 32, steps=2)
    few = run(emulator, case, "fp32")
    emulator.set_num_multiprocessors(132)
    check(emulator, case)
    got = run(emulator, case, "fp32")
    for seed in (1, 2):
        emulator.set_seed(seed)
        for a, b in zip(run(emulator, case, "fp32"), got, strict=True):
            assert torch.equal(a, b)
    for a, b in zip(got[:2], few[:2], strict=True):
        assert torch.equal(a, b)  # of gradients the last bits depend on the number of blocks


@pytest.mark.parametrize("use", [(True, False), (False, True)])
def test_one_output_used(emulator, use):
    check(emulator, clear_case(10, 90, 32, steps=2), use=use)


def test_seven_steps_on_a_symmetric_graph(emulator):
    check(emulator, clear_case(20, 60, 32, steps=7, symmetric=True))


@pytest.mark.parametrize("precision", ops.PRECISIONS)
def test_the_same_bits_in_any_order_of_threads(emulator, precision):
    case = Case(11, 330, 32, steps=2, start=True)
    first = run(emulator, case, precision)
    for seed in (1, 2, 3):
        emulator.set_seed(seed)
        for a, b in zip(run(emulator, case, precision), first, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_nothing_kept_gives_the_same(emulator, precision, steps):
    case = Case(11, 200, 32, steps=steps)
    number = ops.PRECISIONS.index(precision)
    arguments = *case.tensors[:4], case.topology, case.tensors[4:], steps
    kept, not_kept = (cuda.processor(emulator, *arguments, keep, number) for keep in (True, False))
    assert torch.equal(kept[0], not_kept[0])
    assert torch.equal(kept[1], not_kept[1])
    assert all(t.numel() == 0 for t in not_kept[2:])


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize(
    ("hidden", "steps", "skip", "start"),
    [
        (32, 1, False, True),
        (32, 2, True, False),
        (32, 4, False, False),
        (32, 5, True, True),
        (32, 9, False, True),
        (64, 3, False, True),
        (128, 3, True, False),
    ],
)
def test_less_memory_gives_the_same(emulator, precision, hidden, steps, skip, start):
    """The same bits, but for gradients of weights that are sums over nodes: those are added up in another order."""
    case = Case(9, 140 if hidden == 32 else 70, hidden, steps=steps, skip=skip, start=start)
    want, got = run(emulator, case, precision), run(emulator, case, precision, save_memory=True)
    assert_same_bits(got[:-8], want[:-8])
    for i, (a, b) in enumerate(zip(got[-8:], want[-8:], strict=True)):
        if i in (0, 4, 6, 7) and steps > 1:  # MLP_e's W1; MLP_n's W1, W2 and b2
            assert_close(a, b, 1e-6)
        else:
            assert torch.equal(a, b)


def test_what_is_kept(emulator):
    """Of edges e before step 4 alone, in the type it is computed with."""
    case = Case(9, 140, 32, steps=7)
    arguments = emulator, *case.tensors[:4], case.topology, case.tensors[4:], case.steps, True
    for number, dtype in ((0, torch.float32), (1, torch.bfloat16)):
        _, _, x, e, sums, c = cuda.processor(*arguments, number, True)
        assert x.shape == (6, 9, 32)
        assert sums.shape == (7, 9, 32)
        assert e.shape == (1, 140, 32)
        assert e.dtype == dtype
        assert c.numel() == 0
        all_of_e = cuda.processor(*arguments, number, False)[3]
        assert torch.equal(e[0], all_of_e[4 if dtype == torch.bfloat16 else 3])


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("save_memory", [False, True])
def test_arrays_with_a_capacity_beyond_the_edges(emulator, precision, save_memory):
    """Only row_ptr says how many edges there are: the same bits, and zeros beyond the edges."""
    case = Case(9, 140, 32, steps=2, start=True)
    want = run(emulator, case, precision)
    senders, receivers, row_ptr, order, sender_ptr = case.topology
    more = lambda t, value: torch.cat([t, t.new_full((60, *t.shape[1:]), value)])  # noqa: E731
    case.topology = [more(senders, -1), more(receivers, -1), row_ptr, more(order, -1), sender_ptr]
    for i in (1, 3):
        case.tensors[i] = more(case.tensors[i], torch.nan)
    case.weight_e = more(case.weight_e, torch.nan)
    for got, full in zip(run(emulator, case, precision, save_memory=save_memory), want, strict=True):
        if got.shape != full.shape:
            assert not got[140:].any()
            got = got[:140]
        if save_memory:
            assert_close(got, full, 1e-6)
        else:
            assert torch.equal(got, full)


def test_addresses_that_are_not_aligned(emulator):
    case = Case(8, 50, 32, steps=2, start=True)
    want = run(emulator, case, "fp32")

    def shift(t):
        return torch.cat([t.new_zeros(1), t.flatten()])[1:].view(t.shape)

    case.tensors = [shift(t) for t in case.tensors]
    case.topology = [shift(t) for t in case.topology]
    assert case.tensors[3].data_ptr() % 16
    for a, b in zip(run(emulator, case, "fp32"), want, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("which", "place", "value", "text"),
    [
        (0, 3, 9, "every sender and receiver is a node"),
        (0, 3, -1, "every sender and receiver is a node"),
        (2, -1, 41, "row_ptr rises from 0 to the number of edges"),
    ],
)
def test_indices_outside_stop_the_kernel(emulator, which, place, value, text):
    case = Case(9, 40, 32, steps=1)
    case.topology[which][place] = value
    with pytest.raises(RuntimeError, match=text):
        run(emulator, case, "fp32")


def test_an_order_outside_stops_the_kernel(emulator):
    case = Case(9, 40, 32, steps=1)
    case.topology[3][5] = 40
    with pytest.raises(RuntimeError, match="every number in sender_order is an edge"):
        run(emulator, case, "fp32")


def test_what_is_refused(emulator):
    with pytest.raises(ValueError, match="hidden_size = 48; CUDA kernels exist for 32, 64 and 128"):
        emulator.processor_forward_workspace_bytes(0, 0, (4, 4, 48, 1, False, False), True, 0)
    with pytest.raises(ValueError, match=r"num_steps = 0; .*steps at least 1"):
        emulator.processor_backward_workspace_bytes(0, 0, (4, 4, 64, 0, False, False), 0)
    with pytest.raises(ValueError, match=r"num_inputs = 0; .* inputs 1 to 65536"):
        emulator.mlp_workspace_bytes(0, 0, 10, 0, 64, False, 0)
    shape = (4, 4, 64, 2, False, False)
    needed = emulator.processor_forward_workspace_bytes(0, 0, shape, False, 0)
    with pytest.raises(ValueError, match=f"processor_forward: workspace_bytes = 8; .* asks for {needed}"):
        emulator.processor_forward(0, 0, shape, [0] * 5, [0] * 8, [0] * 4, [0] * 2, [0] * 4, False, 0, 0, 64, 8)


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("value", [torch.nan, -torch.nan, torch.inf])
def test_what_is_not_finite_is_not_hidden(emulator, precision, value):
    """One edge that is not finite spoils its own result and its receiver's, and no other."""
    case = Case(9, 40, 32, steps=1)
    case.tensors[3][7, 5] = value
    x, e = run(emulator, case, precision)[:2]
    receiver = int(case.topology[1][7])
    assert not e[7].isfinite().all()
    assert not x[receiver].isfinite().all()
    assert e[torch.arange(40) != 7].isfinite().all()
    assert x[torch.arange(9) != receiver].isfinite().all()

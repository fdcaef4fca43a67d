"""The loss on the device against float64: values, gradients, repeats, room for more edges, CUDA graphs."""

import pytest
import torch

from botan_fast import ops
from tests.helpers.loss_numbers import by_hand, evaluated, numbers
from tests.helpers.random_graphs import relative_l2


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("nodes", "edges"), [(1, 1), (1000, 1001), (4096, 166_484), (100, 3_000_000)])
def test_loss(device, nodes, edges, p):
    tensors = numbers(nodes, edges)
    on_device = [t.to(device) for t in tensors]
    got, again = (evaluated(on_device, p) for _ in range(2))
    for i, (a, b, want) in enumerate(zip(got, again, by_hand(*tensors, p), strict=True)):
        assert (a is None) == (i > 2 and (p == 0, p == 1)[i - 3])
        if a is not None:
            assert relative_l2(a.cpu(), want) < 1e-7
            assert torch.equal(a, b)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_dtypes_run_in_plain_torch(device, dtype):
    tensors = numbers(10, 1000, dtype=dtype)
    for a, b in zip(evaluated([t.to(device) for t in tensors], 0.4), evaluated(tensors, 0.4), strict=True):
        assert relative_l2(a.cpu(), b.double()) < (1e-12 if dtype == torch.float64 else 2e-2)


def test_one_cuda_graph_for_several_configurations(device):
    """Captured once with room for 3000 edges; replayed with other numbers of them."""
    node, edge, *targets = (t.to(device) for t in numbers(1000, 3000))
    row_ptr = torch.zeros(1001, dtype=torch.int32, device=device)
    leaves = [node.requires_grad_(), edge.requires_grad_()]

    def step():
        loss = ops.loss(node, edge, *targets, 0.4, row_ptr)
        return [*loss, *torch.autograd.grad(loss.total, leaves)]

    row_ptr[-1] = 3000
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        step()
    side.synchronize()
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        out = step()
    for count in (3000, 1025, 7):
        row_ptr[-1] = count
        captured.replay()
        got = [t.detach().clone() for t in out]
        for a, b in zip(got, step(), strict=True):
            assert torch.equal(a, b)
        want = by_hand(*(t.detach().cpu()[: 1000 if len(t) == 1000 else count] for t in (*leaves, *targets)), 0.4)
        for a, b in zip(got, want, strict=True):
            assert relative_l2(a[: len(b)].cpu() if b.ndim else a.cpu(), b) < 1e-7
        assert not got[4][count:].any()

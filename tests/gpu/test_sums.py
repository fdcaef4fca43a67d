"""segment_sum and scatter_sum on the device against the CPU, their gradients, streams, and CUDA graphs."""

import pytest
import torch

import botan_fast as bf


def inputs(num_rows, num_segments, width, dtype, device):
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(num_segments, (num_rows,), generator=generator)
    index[: num_rows // 3] = num_segments // 2  # a long segment
    row_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(index, minlength=num_segments).cumsum(0)])
    values = torch.randn(num_rows, *width, dtype=dtype, generator=generator)
    return values.to(device), row_ptr.to(device), index.to(device)


def assert_same(got, expected):
    tolerance = 1.2e-7 if got.dtype == torch.float32 else 1e-13
    torch.testing.assert_close(got.cpu(), expected, rtol=tolerance, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("width", [(), (3,), (64,), (130,)], ids=str)
@pytest.mark.parametrize(("num_rows", "num_segments"), [(1, 1), (1000, 300), (20_000, 4), (160_000, 4096)])
def test_sums_and_gradients(device, num_rows, num_segments, width, dtype):
    values, row_ptr, index = inputs(num_rows, num_segments, width, dtype, device)
    for name, where in (("segment_sum", row_ptr), ("scatter_sum", index)):
        more = (num_segments,) if name == "scatter_sum" else ()
        leaf, host = values.clone().requires_grad_(), values.cpu().requires_grad_()
        out, expected = getattr(bf, name)(leaf, where, *more), getattr(bf, name)(host, where.cpu(), *more)
        assert_same(out.detach(), expected.detach())
        assert torch.equal(getattr(bf, name)(leaf, where, *more), out)
        weights = torch.randn_like(expected)
        (out * weights.to(device)).sum().backward()
        (expected * weights).sum().backward()
        assert torch.equal(leaf.grad.cpu(), host.grad)


def test_a_graph_replays(device):
    values, row_ptr, _ = inputs(160_000, 4096, (64,), torch.float32, device)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        bf.segment_sum(values, row_ptr)
    side.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = bf.segment_sum(values, row_ptr)
    values.mul_(2)
    graph.replay()
    assert torch.equal(out, bf.segment_sum(values, row_ptr))

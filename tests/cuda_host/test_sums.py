"""The sums on CUDA through the host emulation, called as the operators call them."""

import pytest
import torch

from botan_fast import device
from botan_fast.ops import cuda, reference, sums

SHAPES = [(0, 0), (0, 4), (1, 1), (2, 5), (97, 10), (400, 90)]  # rows, segments
WIDTHS = [(), (1,), (3,), (64,), (2, 5), (132,), (0,)]


def random_segments(num_rows, num_segments, integer=torch.int32, seed=0):
    """Sorted destinations with gaps and one crowded segment among them, and their offsets."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randint(max(num_segments, 1), (num_rows,), generator=generator).sort()[0] // 3 * 3
    index[num_rows // 2 :] = index[num_rows // 2] if num_rows else 0
    counts = torch.bincount(index, minlength=num_segments)[:num_segments]
    return index, torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).to(integer)


def values_of(num_rows, width, dtype, seed=1):
    return torch.randn(num_rows, *width, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def assert_sums(got, expected):
    """`expected` in float64. Sums are in float64 and rounded once: half a unit of the last place of float32."""
    tolerance = 6e-8 if got.dtype == torch.float32 else 1e-14
    assert got.shape == expected.shape
    torch.testing.assert_close(got.double(), expected, rtol=tolerance, atol=1e-14)


@pytest.mark.parametrize("integer", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
@pytest.mark.parametrize(("num_rows", "num_segments"), SHAPES)
def test_segment_sum_and_expand(emulator, num_rows, num_segments, width, dtype, integer):
    _, row_ptr = random_segments(num_rows, num_segments, integer)
    values = values_of(num_rows, width, dtype)
    assert_sums(cuda.segment_sum(emulator, values, row_ptr), reference.segment_sum(values.double(), row_ptr))
    rows = values_of(num_segments, width, dtype)
    expanded = torch.repeat_interleave(rows, row_ptr.diff().long(), dim=0)
    assert torch.equal(cuda.segment_expand(emulator, rows, row_ptr, num_rows), expanded)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("width", WIDTHS, ids=str)
@pytest.mark.parametrize(("num_rows", "num_segments"), SHAPES)
def test_scatter_sum(emulator, num_rows, num_segments, width, dtype):
    index, _ = random_segments(num_rows, num_segments)
    index = index[torch.randperm(num_rows, generator=torch.Generator().manual_seed(2))]
    values = values_of(num_rows, width, dtype)
    got = cuda.scatter_sum(emulator, values, index.int(), num_segments)
    assert_sums(got, reference.scatter_sum(values.double(), index, num_segments))


# rows, segments: a long one among short ones, taken by a whole block; few, cut into parts; one that holds all
@pytest.mark.parametrize(("num_rows", "num_segments"), [(1500, 40), (3000, 3), (2600, 1)])
@pytest.mark.parametrize("width", [(1,), (6,), (64,), (136,)], ids=str)
def test_long_segments(emulator, num_rows, num_segments, width):
    _, row_ptr = random_segments(num_rows, num_segments)
    assert row_ptr.diff().max() > 512
    values = values_of(num_rows, width, torch.float32)
    first = cuda.segment_sum(emulator, values, row_ptr)
    assert_sums(first, reference.segment_sum(values.double(), row_ptr))
    for seed in (1, 2):  # another order of threads and blocks: the same bits
        emulator.set_seed(seed)
        assert torch.equal(cuda.segment_sum(emulator, values, row_ptr), first)


def test_addresses_that_are_not_aligned(emulator):
    """A view that begins in the middle of 16 bytes takes the path of single numbers."""
    _, row_ptr = random_segments(60, 12)
    values = values_of(1, (60 * 8 + 1,), torch.float32)[0, 1:].reshape(60, 8)
    assert values.data_ptr() % 16 == 4
    assert_sums(cuda.segment_sum(emulator, values, row_ptr), reference.segment_sum(values.double(), row_ptr))
    rows = values[:12]
    assert torch.equal(
        cuda.segment_expand(emulator, rows, row_ptr, 60), torch.repeat_interleave(rows, row_ptr.diff(), dim=0)
    )


@pytest.mark.parametrize("bad", [[0, 3, 2, 4], [0, 2, 5], [0, -1, 4]])
def test_segments_outside_stop_the_kernel(emulator, bad):
    with pytest.raises(RuntimeError, match=r"kernel segment_sum.*row_ptr rises from 0 to the number of rows"):
        cuda.segment_sum(emulator, torch.zeros(4, 2), torch.tensor(bad, dtype=torch.int32))


@pytest.mark.parametrize("bad", [[1, 2, 4], [0, 2, 3]])
def test_rows_without_a_segment_stop_the_kernel(emulator, bad):
    with pytest.raises(RuntimeError, match=r"kernel segment_expand.*row_ptr rises from 0 to the number of rows"):
        cuda.segment_expand(emulator, torch.zeros(2, 2), torch.tensor(bad), 4)


@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_index_outside_stops_the_kernel(emulator, bad):
    with pytest.raises(RuntimeError, match=r"index is (not negative|smaller than dim_size)"):
        cuda.scatter_sum(emulator, torch.zeros(4, 2), torch.tensor([0, 2, bad, 1]), 3)


def test_order_outside_stops_the_kernel(emulator):
    order, row_ptr = torch.tensor([0, 4]), torch.tensor([0, 2])
    with pytest.raises(RuntimeError, match="every number in order is a row of values"):
        cuda.segment_sum(emulator, torch.zeros(4, 2), row_ptr, order)


def test_a_workspace_that_is_too_small_is_refused(emulator):
    assert emulator.segment_sum_workspace_bytes(100_000, 64, 4096) == 0
    needed = emulator.segment_sum_workspace_bytes(100_000, 64, 2)
    assert needed > 0
    with pytest.raises(ValueError, match=f"segment_sum: workspace_bytes = 8; .* asks for {needed}"):
        emulator.segment_sum_f32_i32(0, 0, 0, 100_000, 64, 0, 2, 0, 100_000, 0, 64, 8)


def test_where_sums_run(emulator, monkeypatch):
    """CUDA tensors go to the kernels where the build has them, otherwise to plain torch, as other dtypes do."""
    gpu = torch.device("cuda", 0)
    monkeypatch.setattr(device, "CUDA_KERNELS", None)
    assert not sums.has_kernels(gpu, torch.float32)
    monkeypatch.setattr(device, "CUDA_KERNELS", emulator)
    assert sums.has_kernels(gpu, torch.float32)
    assert not sums.has_kernels(gpu, torch.float16)

"""The compiled sums, called as the operators call them: addresses, sizes, threads."""

import numpy as np
import pytest

from botan_fast import _core

FLOATS = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}
INTEGERS = {np.dtype(np.int32): "i32", np.dtype(np.int64): "i64"}


def segment(operation, values, row_ptr, out_rows, threads=2):
    out = np.full((out_rows, values.shape[1]), np.nan, values.dtype)
    function = getattr(_core, f"{operation}_{FLOATS[values.dtype]}_{INTEGERS[row_ptr.dtype]}")
    last = (row_ptr.ctypes.data, len(row_ptr) - 1, out.ctypes.data, threads)
    if operation == "segment_expand":
        last = (row_ptr.ctypes.data, out_rows, out.ctypes.data, threads)
    function(values.ctypes.data, *values.shape, *last)
    return out


def scatter(values, index, dim_size, threads=2):
    out = np.full((dim_size, values.shape[1]), np.nan, values.dtype)
    function = getattr(_core, f"scatter_sum_{FLOATS[values.dtype]}")
    function(values.ctypes.data, *values.shape, index.ctypes.data, dim_size, out.ctypes.data, threads)
    return out


def random_segments(num_rows, num_segments, seed=0):
    """Sorted destinations with gaps, one crowded segment among them, and their offsets."""
    rng = np.random.default_rng(seed)
    index = np.sort(rng.integers(0, max(num_segments, 1), num_rows) // 3 * 3)
    index[num_rows // 2 :] = index[num_rows // 2] if num_rows else 0
    row_ptr = np.concatenate([[0], np.bincount(index, minlength=num_segments).cumsum()])
    return index.astype(np.int64), row_ptr[: num_segments + 1]


def expected_sum(values, index, num_segments):
    """Sums in float64 in the order of the rows, rounded once."""
    out = np.zeros((num_segments, values.shape[1]))
    np.add.at(out, index, values.astype(np.float64))
    return out.astype(values.dtype)


SHAPES = [(0, 0), (0, 4), (1, 1), (2, 5), (97, 10), (1000, 300)]


@pytest.mark.parametrize("integer", INTEGERS, ids=str)
@pytest.mark.parametrize("real", FLOATS, ids=str)
@pytest.mark.parametrize("width", [0, 1, 3, 63, 64, 65, 130])
@pytest.mark.parametrize(("num_rows", "num_segments"), SHAPES)
def test_segment_sum_and_expand(num_rows, num_segments, width, real, integer):
    index, row_ptr = random_segments(num_rows, num_segments)
    row_ptr = row_ptr.astype(integer)
    values = np.random.default_rng(1).standard_normal((num_rows, width)).astype(real)
    sums = segment("segment_sum", values, row_ptr, num_segments)
    np.testing.assert_array_equal(sums, expected_sum(values, index, num_segments))
    np.testing.assert_array_equal(segment("segment_expand", sums, row_ptr, num_rows), sums[index])


@pytest.mark.parametrize("real", FLOATS, ids=str)
@pytest.mark.parametrize("width", [0, 1, 3, 63, 64, 65, 130])
@pytest.mark.parametrize(("num_rows", "num_segments"), SHAPES)
def test_scatter_sum(num_rows, num_segments, width, real):
    rng = np.random.default_rng(2)
    index = rng.permutation(random_segments(num_rows, num_segments)[0])
    values = rng.standard_normal((num_rows, width)).astype(real)
    np.testing.assert_array_equal(scatter(values, index, num_segments), expected_sum(values, index, num_segments))


def test_scatter_of_sorted_rows_is_the_segment_sum():
    index, row_ptr = random_segments(3000, 200)
    values = np.random.default_rng(3).standard_normal((3000, 64)).astype(np.float32)
    np.testing.assert_array_equal(scatter(values, index, 200), segment("segment_sum", values, row_ptr, 200))


def test_threads_change_nothing():
    """Enough elements for many tasks, and one segment that holds half of the rows."""
    rng = np.random.default_rng(4)
    index, row_ptr = random_segments(40_000, 900)
    values = rng.standard_normal((40_000, 70)).astype(np.float32)
    shuffled = rng.permutation(index)
    for threads in (2, 3, 8):
        for once in (
            lambda t: segment("segment_sum", values, row_ptr, 900, t),
            lambda t: scatter(values, shuffled, 900, t),
            lambda t: segment("segment_expand", values[:900], row_ptr, 40_000, t),
        ):
            assert once(1).tobytes() == once(threads).tobytes()


def test_long_float32_sums_keep_their_digits():
    """A million terms: a running float32 sum would be off by a percent."""
    values = np.full((1_000_000, 1), 0.1, np.float32)
    row_ptr = np.array([0, len(values)])
    np.testing.assert_allclose(segment("segment_sum", values, row_ptr, 1), 1e6 * np.float64(np.float32(0.1)), rtol=1e-7)


@pytest.mark.parametrize(
    ("row_ptr", "message"),
    [
        ([1, 2, 4], r"row_ptr\[0\] = 1 must be 0"),
        ([0, 3, 2, 4], r"row_ptr\[2\] = 2 is smaller than row_ptr\[1\] = 3"),
        ([0, 2, 3], r"row_ptr\[-1\] = 3 must equal the 4 rows of values"),
        ([0, 2, 5], r"row_ptr\[-1\] = 5 must equal the 4 rows of values"),
    ],
)
def test_bad_row_ptr(row_ptr, message):
    values = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match=message):
        segment("segment_sum", values, np.array(row_ptr, np.int32), len(row_ptr) - 1)
    with pytest.raises(ValueError, match=message):
        segment("segment_expand", values[: len(row_ptr) - 1], np.array(row_ptr, np.int64), 4)


@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_index_outside(bad):
    values = np.zeros((4, 2))
    with pytest.raises(ValueError, match=rf"index\[2\] = {bad} is outside \[0, 3\)"):
        scatter(values, np.array([0, 2, bad, 1]), 3)

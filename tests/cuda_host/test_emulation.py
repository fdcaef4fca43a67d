"""The host emulation itself: what it computes, and that it finds what is broken."""

import math
import os
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from tests.cuda_host import build

SEEDS = range(20)


def reversed_blocks(emulator, name, barrier, seed, threads=64):
    emulator.set_seed(seed)
    values = np.arange(4 * threads, dtype=np.float32) if name == "reverse" else np.arange(threads, dtype=np.float32)
    out = np.full_like(values, -1)
    if name == "reverse":
        emulator.reverse(values.ctypes.data, out.ctypes.data, 4, threads, barrier)
        return np.array_equal(out, values.reshape(4, threads)[:, ::-1].ravel())
    emulator.warp_reverse(values.ctypes.data, out.ctypes.data, threads, barrier)
    return np.array_equal(out, values.reshape(-1, 32)[:, ::-1].ravel())


@pytest.mark.parametrize("name", ["reverse", "warp_reverse"])
def test_a_missing_barrier_shows_under_every_seed(emulator, name):
    assert all(reversed_blocks(emulator, name, True, seed) for seed in SEEDS)
    assert not any(reversed_blocks(emulator, name, False, seed) for seed in SEEDS)


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize("barrier", [True, False])
def test_a_missing_wait_shows(emulator, wait, barrier):
    threads = 32
    values = np.arange(8 * threads, dtype=np.float32)
    expected = values.reshape(2, threads, 4)[:, ::-1].copy()
    expected[1, ::2] = 0  # thread t reads what n - 1 - t copied; odd threads wrote zeros
    out = np.zeros_like(values)
    emulator.copy(values.ctypes.data, out.ctypes.data, threads, wait, barrier)
    assert np.array_equal(out, expected.ravel()) == (wait and barrier)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("divergent_barrier", r"kernel divergent_barrier, block \(0, 0, 0\), thread .*divergent barrier"),
        (
            "lonely_warp_operation",
            r"can never complete: 16 thread\(s\) .* wait at __shfl_sync \(test_kernels.cu:",
        ),
        ("foreign_lane", r"shuffles from lane 20, which is not in the mask"),
        ("unnamed_lane", r"__syncwarp: the mask does not name the calling lane"),
        ("device_check", r"thread \(3, 0, 0\): thread 3 may not be here"),
    ],
)
def test_broken_kernels_are_reported(emulator, name, message):
    with pytest.raises(RuntimeError, match=message):
        getattr(emulator, name)()
    assert reversed_blocks(emulator, "reverse", True, 0)  # and the next launch runs


@pytest.mark.parametrize(
    "shape", [(0, 1, 32, 0), (1, 0, 32, 0), (1, 65536, 32, 0), (1, 1, 1025, 0), (1, 1, 32, 240_000)]
)
def test_impossible_launches_are_refused(emulator, shape):
    with pytest.raises(RuntimeError, match="kernel launch_shape: invalid configuration"):
        emulator.launch_shape(*shape)


def test_warp_operations(emulator):
    n = 64
    out = np.zeros((18, n), np.int32)
    emulator.warp_operations(out.ctypes.data, n)
    t = np.arange(n)
    lane, first = t % 32, t // 32 * 32
    eighth = lane // 8 * 8
    bits = sum(1 << i for i in range(0, 32, 3))
    expected = [
        first + 5,
        first + (lane + 1) % 32,
        first + eighth + 1,
        np.where(lane < 3, t, t - 3),
        np.where(lane % 8 < 3, t, t - 3),
        np.where(lane > 28, t, t + 3),
        np.where(lane % 8 > 4, t, t + 3),
        first + (lane ^ 6),
        np.full(n, np.uint32(bits).astype(np.int32)),
        t < 32,
        t >= 32,
        np.array([sum(1 << j for j in range(32) if j // 10 == i // 10) for i in lane]).astype(np.uint32).view(np.int32),
        np.where(t < 32, 31 * 16, 31 * 16 + 32 * 32),
        first,
        first + 31,
        np.full(n, 13),
        np.ones(n),
        np.zeros(n),
    ]
    np.testing.assert_array_equal(out, np.array(expected).astype(np.int32))


def test_masks_of_half_a_warp_and_threads_that_end_early(emulator):
    for seed in SEEDS:
        emulator.set_seed(seed)
        out = np.full(64, -1, np.int32)
        emulator.partial_masks(out.ctypes.data)
        np.testing.assert_array_equal(out[:48], (np.arange(48) ^ 1) + 1600)
        np.testing.assert_array_equal(out[48:], -1)


def test_atomics(emulator):
    blocks, threads = 5, 96
    count, total = np.zeros(3, np.int32), np.zeros(1, np.float32)
    least, slots = np.full(1, 99, np.int32), np.zeros(blocks * threads, np.uint64)
    addresses = [array.ctypes.data for array in (count, total, least, slots)]
    emulator.atomics(*addresses, blocks, threads)
    assert count.tolist() == [blocks * threads, blocks * threads, 7]
    assert (total[0], least[0]) == (blocks * threads / 2, -10)
    assert not np.array_equal(slots, np.arange(blocks * threads))  # threads came in another order than their numbers
    np.testing.assert_array_equal(np.sort(slots), np.arange(blocks * threads))


def test_named_barrier(emulator):
    for seed in SEEDS:
        emulator.set_seed(seed)
        out = np.zeros(32, np.int32)
        emulator.named_barrier(out.ctypes.data)
        np.testing.assert_array_equal(out, 3 * np.arange(32)[::-1])


def tf32(x):
    """Nearest number with 10 fraction bits, ties away from zero."""
    return ((np.asarray(x, np.float32).view(np.uint32) + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32)


def bf16(x):
    """Nearest number with 7 fraction bits, ties to even, through torch."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32)).bfloat16().float().numpy()


@pytest.mark.parametrize(("name", "depth", "rounded"), [("mma_tf32", 8, tf32), ("mma_bf16", 16, bf16)])
def test_matrix_products(emulator, name, depth, rounded):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((16, depth)).astype(np.float32), rng.standard_normal((depth, 8)).astype(np.float32)
    c = rng.standard_normal((16, 8)).astype(np.float32)
    expected = c + rounded(a).astype(np.float64) @ rounded(b).astype(np.float64)
    assert np.abs(expected - (c + a.astype(np.float64) @ b)).max() > 1e-5  # the rounding is seen
    getattr(emulator, name)(a.ctypes.data, b.ctypes.data, c.ctypes.data)
    np.testing.assert_allclose(c, expected, rtol=1e-6, atol=1e-6)


def cut_off_sum(terms, bits, exponents):
    """Terms (Fractions) aligned to the largest exponent, cut to `bits` bits behind it, added and cut to float32."""
    if not any(terms):
        return Fraction(0)
    unit = Fraction(2) ** (max(e for t, e in zip(terms, exponents, strict=True) if t) - bits)
    total = sum(int(t / unit) for t in terms) * unit  # int() goes towards zero
    if not total:
        return total
    size = abs(total)
    ulp = Fraction(2) ** (math.frexp(size)[1] - 24)  # of float32; the sizes here are far from its limits
    return int(total / ulp) * ulp


@pytest.mark.parametrize(("name", "depth", "rounded"), [("mma_tf32", 8, tf32), ("mma_bf16", 16, bf16)])
@pytest.mark.parametrize("ampere", [False, True])
def test_sums_are_cut_off_as_tensor_cores_do(emulator, name, depth, rounded, ampere):
    """Against exact fractions; terms of many sizes and signs, so that both cuts are seen."""
    rng = np.random.default_rng(3)
    sizes = 2.0 ** rng.integers(-14, 4, (16, depth))
    a = rounded((rng.standard_normal((16, depth)) * sizes).astype(np.float32))
    b = rounded(rng.standard_normal((depth, 8)).astype(np.float32))
    c = (rng.standard_normal((16, 8)) * 2.0 ** rng.integers(-20, 6, (16, 8))).astype(np.float32)
    emulator.set_ampere(ampere)
    got = c.copy()
    getattr(emulator, name)(a.ctypes.data, b.ctypes.data, got.ctypes.data)

    exponent = lambda x: math.frexp(float(x))[1] - 1  # noqa: E731
    bits, step = (24, depth // 2) if ampere else (25, depth)
    nearest = 0
    for m in range(16):
        for n in range(8):
            value = Fraction(float(c[m, n]))
            exact = value + sum(Fraction(float(x)) * Fraction(float(y)) for x, y in zip(a[m], b[:, n], strict=True))
            for k in range(0, depth, step):
                pairs = list(zip(a[m, k : k + step], b[k : k + step, n], strict=True))
                terms = [Fraction(float(x)) * Fraction(float(y)) for x, y in pairs] + [value]
                exponents = [exponent(x) + exponent(y) for x, y in pairs] + [exponent(value)]
                value = cut_off_sum(terms, bits, exponents)
            assert Fraction(float(got[m, n])) == value
            nearest += got[m, n] == np.float32(float(exact))
    assert nearest < 100  # of 128: rounding to nearest is another result


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_through_tensor_cores(emulator, value):
    a, b, c = np.ones((16, 8), np.float32), np.ones((8, 8), np.float32), np.zeros((16, 8), np.float32)
    a[3, 5] = value
    emulator.mma_tf32(a.ctypes.data, b.ctypes.data, c.ctypes.data)
    np.testing.assert_array_equal(c[3], np.full(8, value, np.float32))
    assert (np.delete(c, 3, 0) == 8).all()


def test_an_early_kernel_waits_in_every_thread(emulator):
    values, out = np.arange(40, dtype=np.float32), np.zeros(40, np.float32)
    emulator.early(values.ctypes.data, out.ctypes.data, 40, False, False)
    np.testing.assert_array_equal(out, 2 * values)
    with pytest.raises(RuntimeError, match=r"kernel early.*the thread ends without wait_for_earlier_kernels"):
        emulator.early(values.ctypes.data, out.ctypes.data, 40, True, False)
    with pytest.raises(RuntimeError, match=r"kernel early.*let_later_kernels_begin before wait_for_earlier_kernels"):
        emulator.early(values.ctypes.data, out.ctypes.data, 40, False, True)


def test_launches_are_counted(emulator):
    emulator.clear_launches()
    assert reversed_blocks(emulator, "reverse", True, 0)
    assert reversed_blocks(emulator, "reverse", True, 1)
    assert reversed_blocks(emulator, "warp_reverse", True, 0)
    assert emulator.launches() == {"reverse": 2, "warp_reverse": 1}


def test_transposed_matrices(emulator):
    matrices = np.arange(4 * 64, dtype=np.uint16).reshape(4, 8, 8)
    out = np.zeros_like(matrices)
    emulator.transpose(matrices.ctypes.data, out.ctypes.data)
    np.testing.assert_array_equal(out, matrices.transpose(0, 2, 1))


def test_rounding(emulator):
    rng = np.random.default_rng(1)
    ties = np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11, -1 - 2.0**-11, 1 + 2.0**-8, 1 + 3 * 2.0**-8], np.float32)
    x = np.concatenate([ties, [0, -0.0, np.inf, -np.inf], rng.standard_normal(1000)]).astype(np.float32)
    as_tf32, as_bf16 = np.zeros(len(x), np.uint32), np.zeros(len(x), np.uint32)
    emulator.rounding(x.ctypes.data, as_tf32.ctypes.data, as_bf16.ctypes.data, len(x))
    finite = np.isfinite(x)
    np.testing.assert_array_equal(as_tf32.view(np.float32)[finite], tf32(x[finite]))
    np.testing.assert_array_equal(as_tf32.view(np.float32)[~finite], x[~finite])
    np.testing.assert_array_equal((as_bf16 << 16).view(np.float32), bf16(x))


def test_old_objects_are_removed(tmp_path):
    """Those of yesterday stay: another branch may need them again."""
    for name, days in (("old.o", 8), ("new.o", 1), ("old/module.so", 9), ("new/module.so", 2)):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        for p in (path, *([path.parent] if "/" in name else [])):
            os.utime(p, (time.time() - 86400 * days,) * 2)
    build._remove_unused(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "new.o"]


def test_a_missing_compiler_is_said(monkeypatch, tmp_path):
    """A fresh cache, so that something has to be compiled."""
    program = "from tests.cuda_host import build; build.ROOT = __import__('pathlib').Path(build.ROOT); "
    program += "build.FLAGS.append('-DFRESH'); build.build()"
    monkeypatch.setenv("CXX", str(tmp_path / "no-compiler"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no-compiler not found; a C++17 compiler is needed, named by the variable CXX" in done.stderr

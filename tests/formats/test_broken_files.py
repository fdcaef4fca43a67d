"""Damaged files of every format: one clear DataError within a second, whatever the damage."""

import contextlib
import resource
import time
import warnings

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.fuzz.files import FORMATS
from tests.helpers.format_files import write_all

SECONDS = 1.0


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("whole"))


@contextlib.contextmanager
def little_memory(extra: int = 1 << 30):
    """An allocation of more than `extra` bytes fails, so that a size that a file only declares shows."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    old = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


def attempt(path) -> bool:
    """Read a file; True when it was readable after all."""
    message, start = None, time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            configurations = read(path)
        except DataError as error:
            message = str(error)
    assert time.perf_counter() - start < SECONDS
    if message is not None:
        assert "\n" not in message
        assert str(path.parent) in message
        return False
    for c in configurations:
        assert np.isfinite(c.positions).all()
        assert c.types.shape == c.positions.shape[:1]
    return True


def test_whole_files_are_readable(whole):
    assert sorted(whole) == sorted(FORMATS)
    for path in whole.values():
        assert attempt(path), path


@pytest.mark.parametrize("name", FORMATS)
def test_truncated(whole, tmp_path, name):
    content = whole[name].read_bytes()
    path = tmp_path / "a.dat"
    ends = {0, 1, 3, 8, 100, 511, 512, 513, *np.linspace(0, len(content) - 1, 25).astype(int)}
    with little_memory():
        for end in sorted(end for end in ends if end < len(content)):
            path.write_bytes(content[:end])
            readable = attempt(path)
            # A text can end after a whole frame or section, a description anywhere.
            assert not readable or name in ("lammps", "lammps data", "xyz", "plain xyz", "layout"), end


def mutations(content: bytes, number: int, seed: int):
    """Flipped bits, overwritten and extreme numbers, pieces missing, doubled or swapped; half of them in the header."""
    rng = np.random.default_rng(seed)
    extremes = [
        b"\xff" * 8,
        b"\x00" * 8,
        b"\xff\xff\xff\x7f",
        b"\x00\x00\x00\x80",
        b"99999999",
        b"-1",
        b"nan ",
        b"1e9 ",
    ]
    for k in range(number):
        changed = bytearray(content)
        for _ in range(rng.integers(1, 4)):
            reach = len(changed) if rng.random() < 0.5 else min(len(changed), 600)
            at = int(rng.integers(0, max(reach, 1)))
            length = int(rng.integers(1, 40))
            match k % 6:
                case 0:
                    changed[at] ^= 1 << int(rng.integers(0, 8))
                case 1:
                    extreme = extremes[rng.integers(len(extremes))]
                    changed[at : at + len(extreme)] = extreme
                case 2:
                    del changed[at : at + length]
                case 3:
                    changed[at:at] = changed[at : at + length]
                case 4:
                    changed[at : at + length] = rng.bytes(length)
                case 5:
                    other = int(rng.integers(0, len(changed)))
                    changed[at : at + length] = changed[other : other + length]
            if not changed:
                break
        yield bytes(changed)


@pytest.mark.parametrize("name", FORMATS)
def test_fuzzed(whole, tmp_path, name):
    path = tmp_path / "a.dat"
    with little_memory():
        for content in mutations(whole[name].read_bytes(), 100, seed=FORMATS.index(name)):
            path.write_bytes(content)
            attempt(path)


def test_a_gzip_bomb_and_an_npz_bomb(tmp_path):
    import gzip

    path = tmp_path / "a.dump.gz"
    path.write_bytes(gzip.compress(b"ITEM: TIMESTEP\n0\n" + b" " * 300_000_000, compresslevel=1))
    with little_memory(), pytest.raises(DataError, match="expands to more than 100 times its size"):
        read(path)


def test_an_npz_that_declares_more_than_it_holds(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, types=np.zeros(9, int), positions=np.zeros((9, 3)), box=np.ones(3))
    content = path.read_bytes()
    # The header is checked by no checksum that reading it needs; the numbers are padded by spaces.
    assert content.count(b"'shape': (9, 3), }       ") == 1
    path.write_bytes(content.replace(b"'shape': (9, 3), }       ", b"'shape': (99999999, 3), }"))
    with little_memory(), pytest.raises(DataError, match=r"positions declares shape \(99999999, 3\)|damaged"):
        read(path)

"""Compressed text: gzip, bzip2, xz and zstd by content, whole or refused in one line, with bounded memory."""

import bz2
import contextlib
import gzip
import itertools
import lzma
import struct
import sys
import zlib

import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from botan_fast.formats.text import read_text, text_head
from tests.helpers.format_files import frames_of, lammps_text, simulation, xyz_text


def zstd(content: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor(write_content_size=False).compress(content)


COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "zstd": zstd}


@pytest.fixture(params=COMPRESS)
def compress(request):
    return COMPRESS[request.param]


@pytest.mark.parametrize("text", [lammps_text, xyz_text])
@pytest.mark.parametrize("pieces", [1, 3])
def test_compressed_by_content(tmp_path, compress, text, pieces):
    """One stream, or several one behind the other, as parallel compressors and `cat` make them."""
    s = simulation(number=400)
    whole = text(s, frames_of(s)).encode()
    ends = np.linspace(0, len(whole), pieces + 1).astype(int)
    parts = [compress(whole[i:j]) for i, j in itertools.pairwise(ends)]
    (tmp_path / "a.dat").write_bytes(b"".join(parts))
    assert read_text(tmp_path / "a.dat") == whole
    for k, c in enumerate(read(tmp_path / "a.dat")):
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-9)


def test_truncated_and_damaged(tmp_path, compress):
    s = simulation(number=400)
    whole = lammps_text(s, frames_of(s)).encode()
    content = compress(whole)
    path = tmp_path / "a.dat"
    for end in (9, 40, 600, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:end])
        with pytest.raises(DataError, match=r"a\.dat.*(damaged|no format does)") as error:
            read(path)
        assert "\n" not in str(error.value)
    for place in np.linspace(6, len(content) - 1, 40).astype(int):
        changed = bytearray(content)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        with contextlib.suppress(DataError):  # and nothing else
            read(path)


def test_a_bomb(tmp_path, compress):
    path = tmp_path / "a.dat"
    path.write_bytes(compress(b"ITEM: TIMESTEP\n0\n" + b" " * 30_000_000))
    with pytest.raises(DataError, match="expands to more than 100 times its size"):
        read(path)


def test_xz_that_asks_for_much_memory(tmp_path):
    path = tmp_path / "a.dat"
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    content = bytearray(lzma.compress(b"ITEM: TIMESTEP\n", filters=filters))
    assert content[16] == 16  # the size of the dictionary, 2**20; 2**29 is 34
    content[16] = 34
    content[20:24] = struct.pack("<I", zlib.crc32(bytes(content[12:20])))
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"truncated or damaged \(Memory usage limit"):
        read_text(path)


def test_zstd_without_its_package(tmp_path, monkeypatch):
    for name in ("zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, name, None)
    path = tmp_path / "dump.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(100))
    for reader in (read, read_text):
        with pytest.raises(DataError, match=r"compressed by zstd.*\(zstd -d '.*dump\.zst'\).*botan_fast\[formats\]"):
            reader(path)


def test_the_head_of_what_is_not_compressed():
    assert text_head(b"ITEM: TIMESTEP") == b"ITEM: TIMESTEP"
    assert text_head(b"BZh9" + bytes(100)) == b""

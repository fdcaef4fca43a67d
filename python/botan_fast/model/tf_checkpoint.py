"""Read TensorFlow V2 checkpoints ("tensor bundles") without TensorFlow.

A checkpoint with prefix P is P.index, a sorted string table of tensor name -> entry (dtype, shape, place, checksum),
and P.data-00000-of-00001, the raw little-endian tensors. The table consists of blocks of prefix-compressed keys, each
followed by one byte of compression type and a masked CRC-32C; a footer of 48 bytes points to the index block. Entries
are protocol-buffer messages. All of it is small enough to decode here, and nothing in such a file can run code.
"""

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import CheckpointError

__all__ = ["TensorBundle", "bundle_prefix", "crc32c", "is_index_file", "masked_crc32c"]

_MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
_FOOTER_BYTES = 48
# The published checkpoint has an index of 2.5 kB with keys of 60 bytes. The limits keep a hostile file, whose
# compressed keys may expand without end, from filling the memory.
_MAX_INDEX_BYTES = 1 << 20
_MAX_KEY_BYTES = 1024
_DTYPES = {1: "<f4", 2: "<f8", 19: "<f2"}  # the numbers of TensorFlow's DataType


class _Corrupt(Exception):
    """The bytes do not follow the format; the message says where."""


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, bits reversed
        table.append(byte)
    return table


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli) of ``data``.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    table, crc = _CRC_TABLE, 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """CRC-32C as these files store it: rotated and shifted, so that checksums of checksums stay good."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def is_index_file(path: str | os.PathLike) -> bool:
    """Whether the file ends with the magic number of a sorted string table."""
    with open(path, "rb") as file:
        if file.seek(0, os.SEEK_END) < _FOOTER_BYTES:
            return False
        file.seek(-8, os.SEEK_END)
        return file.read() == _MAGIC


def bundle_prefix(path: str | os.PathLike) -> Path:
    """The prefix of the checkpoint that ``path`` (prefix, index or data file) belongs to.

    >>> str(bundle_prefix("t044_s09.ckpt.data-00000-of-00001")), str(bundle_prefix("t044_s09.ckpt"))
    ('t044_s09.ckpt', 't044_s09.ckpt')
    """
    path = Path(path)
    return path.with_name(re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name))


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise _Corrupt("a number runs past the end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _Corrupt("a number has more than 10 bytes")


def _fields(message: bytes) -> list[tuple[int, int | bytes]]:
    """(field number, value) of a protocol-buffer message, in the order of the file."""
    found: list[tuple[int, int | bytes]] = []
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == 0:
            value, at = _varint(message, at)
            found.append((key >> 3, value))
            continue
        if wire == 2:
            size, at = _varint(message, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Corrupt(f"an entry has wire type {wire}")
        if at + size > len(message):
            raise _Corrupt("an entry is cut short")
        part = message[at : at + size]
        found.append((key >> 3, part if wire == 2 else int.from_bytes(part, "little")))
        at += size
    return found


_T = TypeVar("_T", int, bytes)


def _typed(value: int | bytes, kind: type[_T]) -> _T:
    if not isinstance(value, kind):
        raise _Corrupt("an entry has a field of the wrong type")
    return value


def _block(table: bytes, offset: int, size: int) -> dict[bytes, bytes]:
    """Keys and values of one block, after its checksum."""
    if offset + size + 5 > len(table) - _FOOTER_BYTES:
        raise _Corrupt("a block lies outside the file")
    content = table[offset : offset + size]
    if masked_crc32c(table[offset : offset + size + 1]) != int.from_bytes(
        table[offset + size + 1 : offset + size + 5], "little"
    ):
        raise _Corrupt(f"the checksum of the block at byte {offset} is wrong")
    if table[offset + size] != 0:
        kind = "snappy" if table[offset + size] == 1 else f"type {table[offset + size]}"
        raise _Corrupt(f"its index is compressed ({kind}), which is not supported; write it uncompressed")
    if size < 4:
        raise _Corrupt("a block is too short")
    # The restart points at the end of a block serve binary search; reading all entries in turn needs none of them.
    end = size - 4 - 4 * int.from_bytes(content[-4:], "little")
    if end < 0:
        raise _Corrupt("a block has more restart points than bytes")
    entries, key, at = {}, b"", 0
    while at < end:
        shared, at = _varint(content, at)
        fresh, at = _varint(content, at)
        length, at = _varint(content, at)
        if shared > len(key) or at + fresh + length > end or shared + fresh > _MAX_KEY_BYTES:
            raise _Corrupt("a block entry has impossible lengths")
        key = key[:shared] + content[at : at + fresh]
        entries[key] = content[at + fresh : at + fresh + length]
        at += fresh + length
    return entries


def _handle(data: bytes, at: int = 0) -> tuple[int, int, int]:
    offset, at = _varint(data, at)
    size, at = _varint(data, at)
    return offset, size, at


def _read_table(table: bytes) -> dict[bytes, bytes]:
    if len(table) < _FOOTER_BYTES or table[-8:] != _MAGIC:
        raise _Corrupt("the magic number at its end is missing: the file is truncated or something else")
    footer = table[-_FOOTER_BYTES:-8]
    at = _handle(footer)[2]  # first the meta index, which these tables leave empty
    offset, size, _ = _handle(footer, at)
    entries: dict[bytes, bytes] = {}
    end = 0
    for handle in _block(table, offset, size).values():
        offset, size, _ = _handle(handle)
        if offset < end:  # no block is read twice
            raise _Corrupt("its blocks overlap")
        end = offset + size
        entries.update(_block(table, offset, size))
    return entries


@dataclass(frozen=True)
class _Entry:
    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    checksum: int
    sliced: bool


def _entry(message: bytes) -> _Entry:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}  # protocol buffers leave out zeros
    shape: list[int] = []
    sliced = False
    for field, value in _fields(message):
        if field in numbers:
            numbers[field] = _typed(value, int)
        elif field == 2:
            for inner, dimension in _fields(_typed(value, bytes)):
                if inner == 2:
                    sizes = [_typed(v, int) for f, v in _fields(_typed(dimension, bytes)) if f == 1]
                    shape.append(sizes[-1] if sizes else 0)
        elif field == 7:
            sliced = True
    return _Entry(numbers[1], tuple(shape), numbers[3], numbers[4], numbers[5], numbers[6], sliced)


class TensorBundle:
    """The tensors of a TensorFlow V2 checkpoint.

    Opening reads and verifies the whole index (a few kB); ``read`` fetches one tensor and verifies its checksum.

    Parameters
    ----------
    path
        Prefix of the checkpoint, or its ``.index`` or ``.data-00000-of-00001`` file.

    Raises
    ------
    CheckpointError
        A file is missing, truncated, corrupt, compressed, or big-endian.
    """

    def __init__(self, path: str | os.PathLike):
        self.prefix = bundle_prefix(path)
        index = self.prefix.with_name(self.prefix.name + ".index")
        if not index.is_file() and Path(path).is_file() and is_index_file(path):
            index = Path(path)  # an index under another name: its data can still lie beside it
        self.index = index
        try:
            if index.stat().st_size > _MAX_INDEX_BYTES:
                raise _Corrupt(f"it has more than {_MAX_INDEX_BYTES} bytes")
            table = _read_table(index.read_bytes())
            if b"" not in table:
                raise _Corrupt("it has no header entry")
            header = dict(_fields(table.pop(b"")))
            self._shards = _typed(header.get(1, 1), int)
            self._entries = {name.decode(): _entry(value) for name, value in table.items()}
        except OSError as error:
            raise CheckpointError(f"path = '{index}' cannot be read ({error.strerror}); give the prefix") from None
        except (_Corrupt, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"path = '{index}' is not a readable TensorFlow checkpoint index: {error}; fetch the file again"
            ) from None
        if header.get(2, 0) != 0:
            raise CheckpointError(f"path = '{index}' is a big-endian checkpoint; write it on a little-endian machine")

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of all tensors, the optimizer's included."""
        return {name: entry.shape for name, entry in self._entries.items()}

    def read(self, name: str) -> np.ndarray:
        """One floating-point tensor as a little-endian array of its own dtype and shape."""
        entry = self._entries[name]
        where = f"path = '{self.index}': tensor '{name}'"
        if entry.sliced:
            raise CheckpointError(f"{where} is stored in slices, which is not supported; save it unpartitioned")
        if entry.dtype not in _DTYPES:
            raise CheckpointError(f"{where} has TensorFlow dtype {entry.dtype}; floating-point tensors are expected")
        dtype = np.dtype(_DTYPES[entry.dtype])
        if entry.size != math.prod(entry.shape) * dtype.itemsize:
            raise CheckpointError(f"{where} has {entry.size} bytes, not what shape {entry.shape} takes; fetch it again")
        data = self.prefix.with_name(f"{self.prefix.name}.data-{entry.shard:05d}-of-{self._shards:05d}")
        try:
            with open(data, "rb") as file:
                if entry.offset + entry.size > file.seek(0, os.SEEK_END):
                    raise CheckpointError(f"path = '{data}' is truncated: '{name}' lies past its end; fetch it again")
                file.seek(entry.offset)
                raw = file.read(entry.size)
        except OSError as error:
            raise CheckpointError(
                f"path = '{data}' cannot be read ({error.strerror}); the data file must lie beside its .index file"
            ) from None
        if masked_crc32c(raw) != entry.checksum:
            raise CheckpointError(f"path = '{data}' is corrupt: the checksum of '{name}' is wrong; fetch it again")
        return np.frombuffer(raw, dtype).reshape(entry.shape)

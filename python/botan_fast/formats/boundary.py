"""Which faces of an H5MD box are periodic, whatever kind of text says so.

Python writes a list of str as text of variable length, which HDF5 keeps in heaps of the file. The library follows the
addresses of such text wherever a damaged file says, see `hdf5.attribute`; so here the few words are looked up by hand.
The layout of attributes and heaps: sections III.E and IV.A of the HDF5 File Format Specification, version 3.
"""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

import h5py

from .hdf5 import attribute

__all__ = ["boundary_of"]

_HEAP = b"GCOL\x01\x00\x00\x00"
_WORDS = (b"periodic", b"none")
# Against files made to take long: no honest one has so many boxes, or such heaps of short words.
MOST = 1000
LONGEST_HEAP = 1 << 14


def boundary_of(path: Path, box: h5py.Group) -> list[bytes] | None:
    """The boundary along each axis, or None where the file does not tell.

    Of several boxes with text of variable length in one file, the one that is not periodic counts.
    """
    if "boundary" not in box.attrs:
        return None
    stored = attribute(path, box, "boundary")
    if stored is not None:
        return [bytes(word) for word in stored.ravel().tolist()] if stored.dtype.kind == "S" else None
    content = box.attrs.get_id("boundary")
    if h5py.check_string_dtype(content.dtype) is None or not content.shape or content.shape[0] > 3:
        return None
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        found = list(_boundaries(memory, int(content.shape[0])))
    return next((words for words in found if b"none" in words), found[0] if found else None)


def _boundaries(memory: mmap.mmap, size: int) -> Iterator[list[bytes]]:
    """The words of each attribute of this name: behind the name, its type and shape come `size` references to them."""
    at = -1
    for _ in range(MOST):
        at = memory.find(b"boundary\0", at + 1)
        if at < 0:
            return
        for place in range(at + 9, min(at + 128, len(memory) - 16 * size)):
            words = [_word(memory, *struct.unpack_from("<IQI", memory, place + 16 * k)) for k in range(size)]
            if all(word in _WORDS for word in words):
                yield [word for word in words if word is not None]
                break


def _word(memory: mmap.mmap, length: int, heap: int, number: int) -> bytes | None:
    """The object of a heap that a reference means; None where there is none of this length."""
    if length > 9 or heap > len(memory) - 32 or memory[heap : heap + len(_HEAP)] != _HEAP:
        return None
    (size,) = struct.unpack_from("<Q", memory, heap + len(_HEAP))
    place, end = heap + 16, min(heap + size, len(memory), heap + LONGEST_HEAP)
    while place + 16 <= end:
        found, _, _, bytes_of = struct.unpack_from("<HHIQ", memory, place)
        if found == number:
            return memory[place + 16 : place + 16 + length].rstrip(b"\0") if bytes_of >= length else None
        if found == 0:  # what is free begins here
            return None
        place += 16 + (bytes_of + 7) // 8 * 8
    return None

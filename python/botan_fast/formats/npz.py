"""NumPy's npz archives, read with clear errors and without pickle. Not a format: several formats live in an npz."""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

__all__ = ["is_zip", "npz_keys", "read_npz"]

# Deflate makes data smaller by this factor at best.
MAX_RATIO = 1100
# What zipfile, zlib and NumPy raise for damaged archives.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    ValueError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    OSError,
    OverflowError,
    MemoryError,
    SyntaxError,
    TypeError,
)


def is_zip(head: bytes) -> bool:
    """Does a file that begins with `head` look like a zip archive, which an npz is?"""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in an npz; DataError when the archive is truncated or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            # They go into messages of one line; a damaged name can hold anything.
            return ["".join(c if c.isprintable() else "?" for c in name) for name in names]
    except _BROKEN as error:
        raise DataError(f"{path}: truncated or damaged npz ({error}); copy or download the file again") from error


def read_npz(path: Path, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The arrays `keys` of an npz, and those of `optional` that it has.

    DataError when one of `keys` is missing, or one is damaged, larger than the file can hold, or not of numbers.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [key for key in keys if key not in names]
            if missing:
                raise DataError(
                    f"{path}: the npz has no {', '.join(missing)}; it holds {', '.join(names) or 'nothing'}"
                )
            wanted = [key for key in keys + optional if key in names]
            for key in wanted:
                _refuse_false_size(path, archive, key)
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in wanted}
    except DataError:
        raise
    except _BROKEN as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: truncated or damaged npz ({reason}); copy or download the file again") from error
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: {key} has dtype {array.dtype}; expected numbers")
    return arrays


def _refuse_false_size(path: Path, archive: zipfile.ZipFile, key: str) -> None:
    """DataError when an array claims more than its part of the file can hold: np.load would make room for it first."""
    name = key if key in archive.namelist() else key + ".npy"
    member = archive.getinfo(name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    declared = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and declared > member.file_size:
        raise DataError(f"{path}: {key} declares shape {shape} but the file holds {member.file_size} bytes of it")
    if member.compress_size > path.stat().st_size or member.file_size > MAX_RATIO * member.compress_size + 4096:
        raise DataError(f"{path}: {key} expands to {member.file_size} bytes, which the file cannot hold; it is damaged")

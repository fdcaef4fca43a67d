"""NumPy's npz archives, read with clear errors and without pickle. Not a format: several formats live in an npz."""

import math
import struct
import zipfile
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import printable
from .sizes import refuse_expansion

__all__ = ["is_zip", "npz_keys", "read_npz", "shown_keys"]

# Of the list of members at the end of an archive: some ten thousand of them, which take 20 MB when they are read.
MAX_DIRECTORY = 1 << 20


def is_zip(head: bytes) -> bool:
    """Does a file that begins with `head` look like a zip archive, which an npz is?"""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in an npz; DataError when the archive is truncated or damaged."""
    try:
        with _open(path) as archive:
            # They go into messages of one line; a damaged name can hold anything.
            return [printable(name.removesuffix(".npy"), 80) for name in archive.namelist()]
    except DataError:
        raise
    # zipfile tells damage by any of Python's exceptions.
    except Exception as error:
        raise _damaged(path, error) from error


def shown_keys(keys: list[str]) -> str:
    """The names of the arrays for a message: the first ten."""
    more = f" and {len(keys) - 10} more" if len(keys) > 10 else ""
    return ", ".join(printable(key, 80) for key in keys[:10]) + more


def read_npz(path: Path, keys: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The arrays `keys` of an npz, and those of `optional` that it has.

    DataError when one of `keys` is missing, or one is damaged, larger than the file can hold, or not of numbers.
    """
    try:
        with _open(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            missing = [key for key in keys if key not in names]
            if missing:
                raise DataError(
                    f"{path}: the npz has no {', '.join(missing)}; it holds {shown_keys(names) or 'nothing'}"
                )
            wanted = [key for key in keys + optional if key in names]
            if twice := [key for key in wanted if names.count(key) > 1]:
                raise DataError(f"{path}: the npz holds {twice[0]} twice; write the file again with one")
            refuse_expansion(path, sum(_declared(path, archive, key) for key in wanted))
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in wanted}
    except DataError:
        raise
    # Damage shows in zipfile, zlib, tokenize, NumPy: by any of Python's exceptions.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = printable(str(error).split("\n")[0] or type(error).__name__, 120)
    return DataError(f"{path}: truncated or damaged npz ({reason}); copy or download the file again")


def _open(path: Path) -> zipfile.ZipFile:
    """The archive, after a look at how long its list of members is: opening it makes an object of each."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(0, size - (1 << 16) - 98))  # a comment may follow the end record, and the 64-bit one precede it
        tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    length = struct.unpack_from("<I", tail, end + 12)[0] if 0 <= end <= len(tail) - 22 else 0
    # The record for archives beyond 4 GB, in front of its locator, where zipfile looks for it.
    record = tail[max(0, end - 76) : max(0, end)]
    if len(record) == 76 and record.startswith(b"PK\x06\x06") and record[56:60] == b"PK\x06\x07":
        [length] = struct.unpack_from("<Q", record, 40)
    if length > MAX_DIRECTORY:
        raise DataError(f"{path}: the npz lists too many arrays ({length} bytes of names); put few into one file")
    return zipfile.ZipFile(path)


def _declared(path: Path, archive: zipfile.ZipFile, key: str) -> int:
    """The bytes that an array takes by its header, which np.load would make room for at once.

    DataError when the archive holds fewer, or the array is not one of numbers.
    """
    name = key if key in archive.namelist() else key + ".npy"
    member = archive.getinfo(name)
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    if dtype.hasobject:
        raise DataError(
            f"{path}: {key} holds Python objects (dtype object), which only a program could unpack; "
            f"save numbers, such as np.array({key}, dtype=float)"
        )
    if dtype.kind not in "fiub":
        of_species = " (0 = A, 1 = B, ...)" if key == "types" else ""
        raise DataError(f"{path}: {key} has dtype {printable(dtype, 40)}; expected numbers{of_species}")
    declared = math.prod(shape) * dtype.itemsize
    if declared > member.file_size:
        raise DataError(f"{path}: {key} declares shape {shape} but the file holds {member.file_size} bytes of it")
    if member.compress_size > path.stat().st_size:
        raise DataError(f"{path}: {key} is longer than the file, which is truncated or damaged; copy it again")
    return declared

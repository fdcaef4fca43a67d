"""NumPy's npz archives, read with clear errors and without pickle. Not a format: several formats live in an npz."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from ..errors import DataError

__all__ = ["is_zip", "npz_keys", "read_npz"]


def is_zip(head: bytes) -> bool:
    """Does a file that begins with `head` look like a zip archive, which an npz is?"""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def npz_keys(path: Path) -> list[str]:
    """Names of the arrays in an npz; DataError when the archive is truncated or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise DataError(f"{path}: truncated or damaged npz ({error}); copy or download the file again") from error


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays `keys` of an npz; DataError when one is missing, damaged, or not an array of numbers."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive.files]
            if missing:
                raise DataError(
                    f"{path}: the npz has no {', '.join(missing)}; it holds {', '.join(archive.files) or 'nothing'}"
                )
            arrays = {key: archive[key] for key in keys}
    except DataError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: truncated or damaged npz ({reason}); copy or download the file again") from error
    for key, array in arrays.items():
        if array.dtype.kind not in "fiub":
            raise DataError(f"{path}: {key} has dtype {array.dtype}; expected numbers")
    return arrays

"""HDF5 files, read with clear errors and without trusting the sizes that they declare. Not a format by itself."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError

__all__ = ["attribute", "dataset", "is_hdf5", "open_hdf5", "read_array"]

# A compressed chunk of HDF5 (deflate) holds at most this many times its own size.
MAX_RATIO = 1100


def is_hdf5(head: bytes) -> bool:
    return head.startswith(b"\x89HDF\r\n\x1a\n")


@contextlib.contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; whatever the library finds wrong while the block runs becomes a DataError."""
    try:
        with h5py.File(path, "r", locking=False) as file:
            yield file
    except DataError:
        raise
    # h5py has no class of its own for broken files: OSError, RuntimeError, KeyError, ValueError, TypeError, ...
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, UnicodeError) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DataError(f"{path}: truncated or damaged HDF5 ({reason}); copy or write the file again") from error


def dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The dataset `name` of `group`, or None; DataError for a link to another file and for what is not a dataset."""
    link = group.get(name, getlink=True)
    if link is None:
        return None
    if not isinstance(link, h5py.HardLink):
        raise DataError(f"{path}: {group.name}/{name} is a link; expected a dataset of this file")
    item = group[name]
    if not isinstance(item, h5py.Dataset):
        raise DataError(f"{path}: {item.name} is a group; expected a dataset")
    if item.external is not None or item.is_virtual:
        raise DataError(f"{path}: {item.name} keeps its data in another file; expected a dataset of this file")
    return item


def attribute(path: Path, item: h5py.HLObject, name: str) -> np.ndarray | None:
    """The numbers or strings of fixed length in an attribute; None where there is none, or it has other content.

    Strings of variable length are left alone: the library follows their addresses wherever a damaged file says, and may
    not come back.
    """
    if name not in item.attrs:
        return None
    content = item.attrs.get_id(name)
    if content.dtype.kind not in "fiubS" or content.shape is None or content.get_storage_size() > 1 << 16:
        return None
    return np.asarray(item.attrs[name])


def read_array(path: Path, item: h5py.Dataset, selection: Any = ()) -> np.ndarray:
    """The numbers of a dataset, after a check that the file can hold them."""
    if item.dtype.kind not in "fiub":
        raise DataError(f"{path}: {item.name} has dtype {item.dtype}; expected numbers")
    if item.shape is None:
        raise DataError(f"{path}: {item.name} is empty; expected numbers")
    declared, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
    if item.size and (stored > path.stat().st_size or declared > MAX_RATIO * stored):
        raise DataError(f"{path}: {item.name} declares shape {item.shape} but the file stores {stored} bytes of it")
    return item[selection]

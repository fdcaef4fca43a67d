"""HDF5 files, read with clear errors and without trusting the sizes that they declare. Not a format by itself."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import DataError
from ..files import printable
from .sizes import refuse_expansion

__all__ = ["attribute", "child", "dataset", "has_child", "is_hdf5", "open_hdf5", "read_array"]

# A compressed chunk of HDF5 (deflate) holds at most this many times its own size.
MAX_RATIO = 1100
_LINKS = 16  # soft links one after the other


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
    except Exception as error:
        reason = printable(str(error).split("\n")[0] or type(error).__name__, 120)
        raise DataError(f"{path}: truncated or damaged HDF5 ({reason}); copy or write the file again") from error


def has_child(group: h5py.Group, name: str) -> bool:
    """Does a group have a link of this name, whatever it leads to? Unlike `name in group`, this follows none."""
    return group.id.links.exists(name.encode())


def child(path: Path, group: h5py.Group, name: str | bytes) -> h5py.Group | h5py.Dataset | None:
    """The group or dataset `name` of `group`, or None where there is no such link.

    Links are looked at before they are followed, because to follow one opens whatever file it names, a pipe too. Soft
    links within the file are followed step by step. A name that is no UTF-8 is bytes, as h5py gives it.

    Raises
    ------
    DataError
        The link leads to another file, in a circle or to nothing, or the item is no group or dataset.
    """
    return _follow(path, group, name, _LINKS)


def _follow(path: Path, group: h5py.Group, name: str | bytes, steps: int) -> h5py.Group | h5py.Dataset | None:
    links, key = group.id.links, name if isinstance(name, bytes) else name.encode()
    where = f"{path}: {printable(str(group.name).rstrip('/'), 80)}/{printable(key.decode('utf-8', 'replace'), 80)}"
    if not links.exists(key):
        return None
    kind = links.get_info(key).type
    if kind == h5py.h5l.TYPE_SOFT:
        target = links.get_val(key).decode("utf-8", "replace")
        item: h5py.Group | h5py.Dataset | None = group.file["/"] if target.startswith("/") else group
        for part in target.split("/"):
            if part in ("", "."):
                continue
            item = _follow(path, item, part, steps - 1) if isinstance(item, h5py.Group) and steps else None
        if item is None:
            raise DataError(
                f"{where} is a link to {printable(target, 80)}, which leads to nothing; write the data there"
            )
        return item
    if kind != h5py.h5l.TYPE_HARD:
        other = links.get_val(key)[0].decode("utf-8", "replace") if kind == h5py.h5l.TYPE_EXTERNAL else "elsewhere"
        raise DataError(
            f"{where} is a link to another file ({printable(other, 80)}), which is not followed; "
            "copy the data into one file"
        )
    item = group[name]
    if not isinstance(item, (h5py.Group, h5py.Dataset)):
        raise DataError(f"{where} is a {type(item).__name__}; expected a group or a dataset")
    return item


def dataset(path: Path, group: h5py.Group, name: str) -> h5py.Dataset | None:
    """The dataset `name` of `group`, or None; DataError for what keeps its data elsewhere or is not a dataset."""
    item = child(path, group, name)
    if item is None:
        return None
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
        of_species = " (0 = A, 1 = B, ...)" if str(item.name).endswith("/types") else ""
        raise DataError(f"{path}: {item.name} has dtype {item.dtype}; expected numbers{of_species}")
    if item.shape is None:
        raise DataError(f"{path}: {item.name} is empty; expected numbers")
    declared, stored = item.size * item.dtype.itemsize, item.id.get_storage_size()
    if item.size and (stored > path.stat().st_size or declared > MAX_RATIO * stored):
        raise DataError(f"{path}: {item.name} declares shape {item.shape} but the file stores {stored} bytes of it")
    refuse_expansion(path, declared, item.name)
    return item[selection]

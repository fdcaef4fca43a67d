"""The layout of the HDF5 data set (docs/dataset.md), and how its parts are read without trusting the file.

Files come from strangers: links out of the file, external and virtual storage, foreign filters, strings and objects of
variable length are refused, and no array is allocated before its bytes are known to be in the file. HDF5 checksums the
metadata of files written with `LIBVER`, and Fletcher's sum guards each chunk of the arrays.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..errors import BotanFastError, DataError
from ..files import FilePath, is_file, near_matches, printable
from ..formats.hdf5 import MAX_RATIO, has_child, is_hdf5
from ..formats.sizes import refuse_expansion

__all__ = [
    "FORMAT",
    "LIBVER",
    "UNITS",
    "VERSION",
    "finished_parts",
    "is_dataset",
    "known_number",
    "number_of_axes",
    "open_dataset",
    "parts_folder",
    "read_array",
    "read_attribute",
    "read_group",
    "read_json",
    "read_particles",
    "read_species",
    "read_text",
    "reading",
    "write_array",
    "write_species",
    "write_text",
]

FORMAT = "botan_fast data set"
VERSION = 2
LIBVER = ("v110", "v110")  # the oldest file format of HDF5 whose metadata all have checksums
UNITS = "Lennard-Jones: length sigma_AA, temperature epsilon_AA / k_B, time sigma_AA sqrt(m / epsilon_AA)"
_CHUNK = 1 << 18  # elements of a chunk at most: 1 to 2 MB
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}


def is_dataset(path: FilePath) -> bool:
    """Is the file an HDF5 file that says it is a botan_fast data set? The content decides, never the name."""
    if not is_file(path):
        return False
    try:
        with open(path, "rb") as file:
            if not is_hdf5(file.read(8)):
                return False
        with h5py.File(path, "r", locking=False) as file:
            return _text(file.attrs.get("format")) == FORMAT
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return False


@contextlib.contextmanager
def reading(path: FilePath) -> Iterator[None]:
    """Turn whatever HDF5 reports inside the block into one DataError that names the file."""
    try:
        yield
    except BotanFastError:
        raise
    # h5py reports damage with most of Python's built-in exceptions, MemoryError included.
    except (OSError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: truncated or damaged data set ({reason}); copy it or make it again") from error


def open_dataset(path: FilePath) -> h5py.File:
    """Open a data set for reading, after a check that it is one and that this version reads it."""
    path = Path(path)
    if not is_file(path):
        if path.is_dir():
            raise DataError(f"{path} is a directory; name the data set file in it")
        raise DataError(f"{path}: no such file{_unfinished(path) or near_matches(path)}")
    with open(path, "rb") as file:
        head = file.read(8)
    if not is_hdf5(head):
        raise DataError(f"{path} begins with {head!r}, which is not HDF5; make a data set with botan-fast convert")
    with reading(path):
        # The file is never written in place, so reading needs no lock; some network file systems have none.
        file = h5py.File(path, "r", locking=False)
        try:
            found = _text(file.attrs.get("format"))
            if found != FORMAT:
                raise DataError(
                    f"{path} is an HDF5 file but not a botan_fast data set (format = {found!r}); "
                    "make one of it with botan-fast convert"
                )
            version = int(read_attribute(path, file, "format_version", "i", ()))
            if not 1 <= version <= VERSION:
                raise DataError(
                    f"{path}: format_version = {version} but this botan_fast reads versions up to {VERSION}; "
                    "update botan_fast"
                )
        except BaseException:
            file.close()
            raise
    return file


def read_group(path: FilePath, parent: h5py.Group, name: str) -> h5py.Group:
    """A group that lies in this file, not behind a link."""
    if not _is_own(parent, name):
        raise DataError(f"{path}: {parent.name} has no group {printable(name)} of its own; make the data set again")
    group = parent[name]
    if not isinstance(group, h5py.Group):
        raise DataError(f"{path}: {group.name} is not a group; make the data set again")
    return group


def _is_own(group: h5py.Group, name: str) -> bool:
    """Is there a link of this name that leads to an item of this file? Asked before it is followed."""
    return has_child(group, name) and group.id.links.get_info(name.encode()).type == h5py.h5l.TYPE_HARD


def number_of_axes(path: FilePath, group: h5py.Group, name: str) -> int:
    """1 or 2, of an array whose shape depends on what it holds; `read_array` says what is wrong with another."""
    if not _is_own(group, name) or not isinstance(group[name], h5py.Dataset):
        return 1
    return min(max(len(group[name].shape or ()), 1), 2)


def read_array(path: FilePath, group: h5py.Group, name: str, dtype: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A checked array; None in `shape` stands for any length."""
    if not _is_own(group, name):
        raise DataError(f"{path}: {group.name} has no array {name} of its own; make the data set again")
    stored = group[name]
    if not isinstance(stored, h5py.Dataset):
        raise DataError(f"{path}: {group.name}/{name} is not an array; make the data set again")
    fits = len(stored.shape or ()) == len(shape) and all(
        want is None or want == have for want, have in zip(shape, stored.shape or (), strict=True)
    )
    if stored.dtype != np.dtype(dtype) or stored.shape is None or not fits:
        expected = "(" + ", ".join("any" if n is None else str(n) for n in shape) + ")"
        raise DataError(
            f"{path}: {stored.name} is {stored.dtype} {stored.shape}, expected {np.dtype(dtype)} {expected}; "
            "make the data set again"
        )
    _check_storage(path, stored)
    result = np.empty(stored.shape, dtype)
    if result.size:
        stored.read_direct(result)
    return result


def _check_storage(path: FilePath, stored: h5py.Dataset) -> None:
    """Refuse storage that could point elsewhere, run foreign code, or claim more than the file holds."""
    properties = stored.id.get_create_plist()
    filters = {properties.get_filter(k)[0] for k in range(properties.get_nfilters())}
    if stored.external or stored.is_virtual or properties.get_layout() != h5py.h5d.CHUNKED or not filters <= _FILTERS:
        raise DataError(f"{path}: {stored.name} is not stored in chunks of this file; make the data set again")
    chunks = 1
    for length, chunk in zip(stored.shape, stored.chunks, strict=True):
        chunks *= -(-length // chunk)
    held = stored.id.get_storage_size()
    largest = MAX_RATIO * held if h5py.h5z.FILTER_DEFLATE in filters else held
    if stored.id.get_num_chunks() != chunks or stored.nbytes > largest or held > os.path.getsize(path):
        raise DataError(
            f"{path}: {stored.name} should have {stored.nbytes} bytes but the file holds {held}; "
            "copy the data set or make it again"
        )
    refuse_expansion(Path(path), stored.nbytes, stored.name)


def read_attribute(
    path: FilePath, item: h5py.HLObject, name: str, kinds: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """A checked numeric attribute as an array; None in `shape` stands for any length."""
    if name not in item.attrs:
        raise DataError(f"{path}: {item.name} has no attribute {name}; make the data set again")
    identifier = item.attrs.get_id(name)
    if identifier.dtype.kind not in kinds or math.prod(identifier.shape) > 1 << 20:
        found = f"{identifier.dtype} {identifier.shape}"
        raise DataError(f"{path}: attribute {name} of {item.name} is {found}; make the data set again")
    value = np.asarray(item.attrs[name])
    if value.ndim != len(shape) or any(n is not None and n != m for n, m in zip(shape, value.shape, strict=True)):
        raise DataError(f"{path}: attribute {name} of {item.name} has shape {value.shape}; make the data set again")
    return value


def read_text(path: FilePath, item: h5py.HLObject, name: str) -> str:
    """A text attribute, '' where it is missing."""
    if name not in item.attrs:
        return ""
    kind = h5py.check_string_dtype(item.attrs.get_id(name).dtype)  # texts of variable length are what h5py writes
    text = _text(item.attrs[name]) if kind is not None and (kind.length or 0) <= 1 << 20 else None
    if text is None:
        raise DataError(f"{path}: attribute {name} of {item.name} is not text; make the data set again")
    return text


def read_json(path: FilePath, item: h5py.HLObject, name: str) -> dict[str, Any]:
    """An attribute that holds a JSON object, {} where it is missing."""
    text = read_text(path, item, name)
    value = json.loads(text) if text else {}
    return value if isinstance(value, dict) else {}


def read_species(path: FilePath, group: h5py.Group) -> tuple[str, ...] | None:
    """Names of types 0, 1, ... of a configuration; None where the file, or a file of an older version, has none."""
    text = read_text(path, group, "species")
    names = json.loads(text) if text else None
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise DataError(f"{path}: attribute species of {group.name} is {text[:40]!r}; expected a list of names")
    return None if names is None else tuple(names)


def write_species(group: h5py.Group, species: tuple[str, ...] | None) -> None:
    """Write the names of types 0, 1, ..., where there are any."""
    if species is not None:
        write_text(group, "species", json.dumps(list(species)))


def write_text(item: h5py.HLObject, name: str, text: str) -> None:
    """Write a text attribute of fixed length: HDF5 does not checksum those of variable length."""
    data = text.encode("utf-8", "backslashreplace")  # the bytes of a file name may be no UTF-8
    item.attrs.create(name, np.array(data, dtype=h5py.string_dtype("utf-8", max(1, len(data)))))


def write_array(group: h5py.Group, name: str, array: np.ndarray, compress: bool = False) -> None:
    """Write an array in checksummed chunks, compressed where it pays.

    Positions and targets are noise in most of their bits: deflate saves 4 to 15 % of them and takes five times the
    reading time. The columns of a pair list shrink to a sixth.
    """
    # Rows of a chunk are whole in an (N, D) array; a (2, P) array is cut along its columns.
    chunks = list(array.shape)
    if array.ndim == 2 and array.shape[0] == 2 and array.shape[1] > 3:
        chunks = [1, min(_CHUNK, array.shape[1])]
    elif array.size > _CHUNK:
        chunks[0] = max(1, _CHUNK // max(1, array.size // array.shape[0]))
    filters = {"shuffle": True, "compression": "gzip", "compression_opts": 1} if compress else {}
    if array.size == 0:  # chunks of an array that cannot grow must not exceed it
        filters["maxshape"] = (None,) * array.ndim
    group.create_dataset(name, data=array, chunks=tuple(max(1, n) for n in chunks), fletcher32=True, **filters)


def known_number(value: Any) -> float | None:
    """A temperature or time as a float; None for NaN, which says 'unknown' in a file."""
    return None if value is None or np.isnan(value) else float(value)


def parts_folder(path: FilePath) -> Path:
    """The folder of the finished configurations of a data set that is being written."""
    path = Path(path)
    return path.with_name(path.name + ".parts")


def finished_parts(path: FilePath) -> list[Path]:
    """The files in that folder, in the order of their configurations."""
    return sorted(parts_folder(path).glob("[0-9]*.h5"))


def _unfinished(path: Path) -> str:
    number = len(finished_parts(path))
    if number == 0:
        return ""
    return f"; {parts_folder(path)} holds {number} finished configurations, repeat the command that was interrupted"


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, (bytes, np.bytes_)):
        return bytes(value).decode("utf-8", errors="replace")
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind == "S":
        return bytes(value[()]).decode("utf-8", errors="replace")
    return None


def read_particles(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, D) and types (N,) in the group `name` of the configurations of a file."""
    with open_dataset(path) as file, reading(path):
        group = read_group(path, read_group(path, file, "configurations"), name)
        positions = read_array(path, group, "positions", "<f8", (None, None))
        return positions, read_array(path, group, "types", "<i4", (len(positions),))

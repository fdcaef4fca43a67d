"""All readers of single files, and the choice of one by a file's content."""

import itertools
from pathlib import Path

from ..errors import DataError
from ..files import is_file, near_matches, printable
from . import (
    extended_xyz,
    glassbench,
    glassy_dynamics,
    h5md,
    hoomd_gsd,
    lammps,
    lammps_data,
    plain,
    plain_xyz,
    pyg_botan,
)
from .configuration import Reader
from .hdf5 import is_hdf5, open_hdf5
from .npz import is_zip, npz_keys, shown_keys
from .text import refuse_compressed, text_head

__all__ = ["FILE_READERS", "choose"]

FILE_READERS: tuple[Reader, ...] = (
    pyg_botan,
    glassbench,
    glassy_dynamics,
    lammps,
    lammps_data,
    plain_xyz,
    extended_xyz,
    hoomd_gsd,
    h5md,
    plain,
)


def choose(path: Path, readers: tuple[Reader, ...] = FILE_READERS) -> Reader:
    """The reader for the content of a file.

    Raises
    ------
    DataError
        The file is missing or broken, or no reader knows it; the message says what it holds and what is expected.
    """
    if not is_file(path) and path.is_dir():
        raise DataError(f"{path} is a directory; name the files in it, for example '{path / '*.npz'}'")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file{near_matches(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    for reader in readers:
        if reader.recognises(path, head):
            return reader
    expected = [reader.EXPECTED for reader in readers]
    if not head:
        found = "is empty"
    elif is_zip(head):
        found = f"is an npz with {shown_keys(npz_keys(path)) or 'no arrays'}"
        expected = [text for text in expected if "npz" in text]
    elif is_hdf5(head):
        with open_hdf5(path) as file:
            names = [printable(name, 40) for name in itertools.islice(file, 10)]
            found = f"is an HDF5 file with {', '.join(names) or 'nothing'}"
        expected = [text for text in expected if "HDF5" in text or "H5MD" in text]
    else:
        refuse_compressed(path, head)
        found = f"begins with {(text_head(head, path) or head)[:8]!r}, which no format does"
    raise DataError(f"{path} {found}; expected {'; '.join(expected)}")

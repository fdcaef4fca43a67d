"""Readers, one module for each file format. A file's content chooses the reader, never its name."""

import difflib
from pathlib import Path

from ..errors import DataError
from . import pyg_botan
from .base import Configuration, Reader
from .npz import is_zip, npz_keys

__all__ = ["READERS", "Configuration", "near_matches", "read"]

READERS: tuple[Reader, ...] = (pyg_botan,)


def read(path) -> list[Configuration]:
    """Read every configuration of one file, in any format of `READERS`.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    list of Configuration
        NumPy arrays, checked: shapes agree, coordinates are finite, types are not negative.

    Raises
    ------
    DataError
        The file is missing, broken, or of a format that no reader knows; the message says what it holds and what is
        expected.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.formats import read
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3))
    >>> np.savez(folder.name + "/a.npz", types=np.zeros(100, int), initial_positions=x, positions=x[None])
    >>> read(folder.name + "/a.npz")[0].positions.shape
    (100, 3)
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a directory; name the files in it, for example '{path / '*.npz'}'")
    try:
        with open(path, "rb") as file:
            head = file.read(512)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file{near_matches(path)}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    for reader in READERS:
        if reader.recognises(path, head):
            return reader.read(path)
    expected = "; ".join(reader.EXPECTED for reader in READERS)
    if not head:
        found = "is empty"
    elif is_zip(head):
        found = f"is an npz with {', '.join(npz_keys(path)) or 'no arrays'}"
    else:
        found = f"begins with {head[:8]!r}, which is not an npz"
    raise DataError(f"{path} {found}; expected {expected}")


def near_matches(path: Path) -> str:
    """'; did you mean ...?' with the names in the same folder that come closest, or where the path stops existing."""
    folder = path.parent
    if not folder.is_dir():
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return f"; the path exists only up to {folder}"
    names = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir()], n=3)
    return f"; did you mean {' or '.join(str(folder / name) for name in names)}?" if names else ""

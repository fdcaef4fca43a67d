"""Readers, one module for each file format. A file's content chooses the reader, never its name."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..files import FilePath, is_file, near_matches
from . import ensembles
from .configuration import Configuration, Reader
from .pattern import is_pattern
from .registry import FILE_READERS, choose

__all__ = ["READERS", "Configuration", "is_layout", "is_pattern", "iterate", "iterate_groups", "near_matches", "read"]

READERS: tuple[Reader, ...] = (*FILE_READERS, ensembles)


def read(path: FilePath) -> list[Configuration]:
    """Read every configuration of one file, in any format of `READERS`, or of the files that a pattern describes.

    Parameters
    ----------
    path : str or Path
        The file; or a pattern with placeholders, such as 'T0.44/{configuration}/run{run}/frame{time}.dump'.

    Returns
    -------
    list of Configuration
        NumPy arrays, checked: shapes agree, coordinates are finite, types are not negative, trajectories are
        unwrapped. A configuration with several target times comes once for each of them, in the order of time.

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
    return list(iterate(path))


def iterate(path: FilePath, skip: Callable[[str], bool] | None = None) -> Iterator[Configuration]:
    """The same configurations as `read`, one after the other: of a pattern, only one is in memory at a time.

    Of a pattern, the configurations whose name `skip` says yes to are left out, and their files are not read.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.formats import iterate
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.savez(folder.name + "/a.npz", types=[0, 1], positions=[[0.5, 0.5], [4.5, 1.5]], box=5.0)
    >>> [c.types.tolist() for c in iterate(folder.name + "/a.npz")]
    [[0, 1]]
    """
    for group in iterate_groups(path, skip):
        yield from group


def iterate_groups(path: FilePath, skip: Callable[[str], bool] | None = None) -> Iterator[list[Configuration]]:
    """The same configurations, those that differ in their time alone together.

    Of a pattern, the configurations whose name `skip` says yes to are left out, and their files are not read.
    """
    path = Path(path)
    if is_layout(path):
        yield from ensembles.iterate_groups(path, skip)
        return
    reader = choose(path, READERS)
    with np.errstate(all="ignore"):  # numbers that are not finite have their own check at the end
        configurations = reader.read(path)
    for _, group in itertools.groupby(configurations, key=lambda c: (c.name, c.temperature)):
        yield list(group)


def is_layout(path: FilePath) -> bool:
    """Does the path describe many files, as a pattern or as the TOML file of one?"""
    path = Path(path)
    return (is_pattern(path) and not is_file(path)) or choose(path, READERS) is ensembles

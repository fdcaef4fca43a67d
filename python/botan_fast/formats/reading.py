"""Readers, one module for each file format. A file's content chooses the reader, never its name."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import FilePath, is_file, name_of, near_matches
from . import ensembles, pyg_botan
from .configuration import Configuration, Reader
from .frames import in_order
from .pattern import is_pattern
from .registry import FILE_READERS, choose
from .trajectory import Trajectory

__all__ = [
    "READERS",
    "Configuration",
    "holds_frames",
    "is_layout",
    "is_pattern",
    "iterate",
    "iterate_groups",
    "near_matches",
    "read",
    "read_trajectory",
    "stated",
]

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


def stated(path: Path) -> tuple[float | None, float | None]:
    """Temperature and time of a file of which only the name tells them: an authors' npz. None each where it does not.

    >>> from pathlib import Path
    >>> from botan_fast.formats import stated
    >>> stated(Path("no_file_T0.44_tc07.npz"))
    (None, None)
    """
    told = pyg_botan.told_by_name(path)
    with contextlib.suppress(DataError):  # a broken file has its error when it is read
        if told != (None, None) and path.is_file() and choose(path, READERS) is pyg_botan:
            return told[0], told[1] if pyg_botan.dimensions(path) == 3 else None
    return None, None


def holds_frames(path: Path) -> bool:
    """Does a file hold frames of one run, rather than all runs of a configuration? No for layouts."""
    return not is_layout(path) and hasattr(choose(path, READERS), "read_frames")


def read_trajectory(path: FilePath) -> Trajectory | None:
    """The frames of a file, each by itself, in the order of time; None where its format holds no frames.

    The places of all frames are in memory, nothing else. Unlike in a run, boxes may differ from frame to frame.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.formats.reading import read_trajectory
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "a.xyz"
    ...     _ = file.write_text("1\\ntime = 0\\nA 1 2 3\\n1\\ntime = 5\\nA 1 2 4\\n")
    ...     trajectory = read_trajectory(file)
    >>> trajectory.name, trajectory.count, trajectory.frame(1).time
    ('a', 2, 5.0)
    """
    path = Path(path)
    reader = choose(path, READERS)
    read_frames = getattr(reader, "read_frames", None)
    if read_frames is None:
        return None
    with np.errstate(all="ignore"):  # numbers that are not finite have their own check
        frames = in_order(path, read_frames(path), moving=False)
    if not frames:
        raise DataError(f"{path}: the file holds no frame")
    return Trajectory(name_of(path), path, len(frames), frames.__getitem__)


def is_layout(path: FilePath) -> bool:
    """Does the path describe many files, as a pattern or as the TOML file of one?"""
    path = Path(path)
    return (is_pattern(path) and not is_file(path)) or choose(path, READERS) is ensembles

"""One process at a time: a lock that the system takes back when its process ends, however it ends."""

import contextlib
import fcntl
import os

from .files import FilePath

__all__ = ["Lock"]


class Lock:
    """An exclusive lock on a file that exists for it alone; `acquire` takes it, `release` gives it back.

    Made as filelock does it, with one thing more: the file may go when it is released, and the folder with it. A
    process that opened the file just before holds a lock on nothing then; it looks whether its file is the one that
    has the name, and begins anew. File systems without locks, some of the network, lock nothing.
    """

    def __init__(self, descriptor: int, path: FilePath) -> None:
        self._descriptor: int | None = descriptor
        self._path = path

    @classmethod
    def acquire(cls, path: FilePath) -> "Lock | None":
        """The lock, or None when another holds it. OSError where the file cannot be made.

        >>> import tempfile
        >>> from botan_fast.lock import Lock
        >>> folder = tempfile.TemporaryDirectory()
        >>> lock = Lock.acquire(folder.name + "/.lock")
        >>> Lock.acquire(folder.name + "/.lock") is None
        True
        >>> lock.release()
        """
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                with contextlib.suppress(OSError):  # the last one: a file system without locks
                    try:
                        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        os.close(descriptor)
                        return None
                if _same(descriptor, path):
                    return cls(descriptor, path)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def release(self) -> None:
        """Remove the file and give the lock back. A second call does nothing."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                if _same(self._descriptor, self._path):
                    os.unlink(self._path)  # before the lock goes: afterwards the name may be another's
            os.close(self._descriptor)
            self._descriptor = None


def _same(descriptor: int, path: FilePath) -> bool:
    """Is the open file the one that has the name?"""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

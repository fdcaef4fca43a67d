"""Who works on a task: claims that hold on one machine and on a disk that many share (NFS, Lustre, BeeGFS).

A task's folder holds, for K = 1, 2, ...:

    claim.K      who took the task for the K-th time: `Owner`; its time of change is the owner's heartbeat
    child.K      number and start of the process that does the work
    released.K   the owner has given the task back: it is done, has failed, or the owner was asked to stop

**Taking.** A claim is written under a temporary name and gets its own by `os.link`, which fails where the name exists:
on every such disk one process wins, and the claim is whole from the first moment. claim.K+1 is made only by one who
saw claim.K, and no claim is ever removed, so the numbers have no gap, and who makes claim.K+1 knows that K was the
last. One who looked long ago, or at an old copy of the folder (NFS keeps one for up to a minute), tries a number that
is there already, and loses. The highest claim counts: taking over a claim is making the next one, not changing the
old.

**When.** A task may be taken when it has no claim, or the last is released or stale (`Watch`). Stale is a claim

- whose owner's process is gone, seen from the same machine, boot and name space of processes: at once; or
- without a heartbeat for the owner's `patience`. An age is the difference of two times that the file server gave, of
  the claim and of a file touched now, never of the local clock. Where servers take the clients' clocks (Lustre) these
  may differ, so the claim must also have been seen unchanged for 2.5 heartbeats on the looker's own monotonic clock.
  Seen unchanged for the whole `patience` suffices alone. A claim is opened for this: NFS asks the server then.

**After taking**, before anything is done: look again whether the task is done. Who released K recorded the task's end
before; the link to claim.K+1 and the folder opened anew both ask the server. Then no process of an earlier claim may
be left (`Claim.clear`): those on this machine are ended and waited for. The owner of a claim that was taken for its
age may live elsewhere, cut off or suspended: two heartbeats are waited. An owner looks at every heartbeat whether
there is a higher claim, and then kills its child at once and records nothing; it looks again before it records an end.
Its lock on a run folder, which the network keeps for it, is removed (`child.remove_locks`). What is left is an owner
that is suspended alone, without its child, on another machine.

**Late records.** An owner that was suspended between its last look and its record says what is true, that its child
has ended with 0. done.json is made once, like a claim, and counts before failed.json: a finished task stays finished.

**kill -9.** Before the link: a temporary file is left, which the next owner removes. After it: the claim is stale. The
child starts only after child.K is written: it waits for a line from the owner, and where the owner dies first it reads
the end instead and never begins. Later it sees that its parent is gone (BOTAN_FAST_PARENT), saves itself and ends, and
the next owner waits for that, however many owners died meanwhile: it looks at all child.J. After the child's end and
before done.json: the command runs again, finds itself finished, and ends with 0. After done.json nobody asks for
claims.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .alive import end_process, host_name, is_alive, machine, start_of

__all__ = ["PATIENCE", "Claim", "Look", "Owner", "Watch", "create", "look", "remove_leftovers", "take"]

PATIENCE = 120.0  # seconds without a heartbeat after which a claim is stale; above the minute that NFS keeps attributes
_BEATS = 8  # heartbeats in that time
_SAVING = 60.0  # seconds that the process of an owner who is gone has to save itself
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}


@dataclass(frozen=True)
class Owner:
    """What a claim says about the worker that made it.

    worker     its name, as `sweep status` shows it
    host       its machine, for people
    machine    its machine, for comparisons: see `alive.machine`
    pid, start its process: see `alive.start_of`
    patience   seconds without a heartbeat after which others may take the task over
    """

    worker: str
    host: str
    machine: str
    pid: int
    start: str
    patience: float

    @classmethod
    def read(cls, content: Any) -> Owner:
        """The owner of a claim's content; TypeError or ValueError where it is none."""
        owner = cls(**content)
        words = (owner.worker, owner.host, owner.machine, owner.start)
        if not all(isinstance(word, str) for word in words) or type(owner.pid) is not int or owner.pid < 1:
            raise TypeError
        if not 0 < owner.patience < 1e6:
            raise ValueError
        return owner

    @classmethod
    def this_process(cls, patience: float = PATIENCE) -> Owner:
        """The owner that this process is."""
        pid = os.getpid()
        return cls(f"{host_name()}-{pid}", host_name(), machine(), pid, start_of(pid) or "", patience)


def create(path: Path, content: bytes, durable: bool = False) -> bool:
    """Make a file with this content unless there is one of its name; True for the one process that made it.

    `durable` waits for the disk: for a record that must outlive a loss of power, which no claim needs to.

    OSError, with `path` as its file name, where the disk is full or the folder cannot be written to.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.sweep.claims import create
    >>> folder = tempfile.TemporaryDirectory()
    >>> create(Path(folder.name, "claim.1"), b"mine"), create(Path(folder.name, "claim.1"), b"too late")
    (True, False)
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        try:
            _write(temporary, content, durable)
            return _link(temporary, path, content)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _link(temporary: Path, path: Path, content: bytes) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        # On NFS an answer may be lost; asked once more, the server finds the name that it has just made.
        with contextlib.suppress(FileNotFoundError):  # the winner has cleared the folder of temporary files
            again = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)  # what is opened is asked for anew
            try:
                return os.fstat(again).st_nlink > 1
            finally:
                os.close(again)
        return False
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return False  # an owner has cleared the folder of temporary files: it was faster
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without links: exclusive all the same, but a kill can leave a claim of nobody known.
        try:
            _write(path, content, durable=False)
        except FileExistsError:
            return False
    return True


def _write(path: Path, content: bytes, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        while content:
            content = content[os.write(descriptor, content) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class Look:
    """What one listing of a task's folder shows.

    number     the highest claim; 0 without one
    released   it is released
    children   the claims under which a process was started
    names      all names in the folder
    """

    number: int = 0
    released: bool = False
    children: tuple[int, ...] = ()
    names: frozenset[str] = frozenset()


def look(folder: Path) -> Look:
    """List a task's folder. One that is not there yet is empty.

    A listing, not a question for one name: that a name is missing NFS may answer from memory, for up to a minute.
    """
    try:
        names = frozenset(os.listdir(folder))
    except FileNotFoundError:
        return Look()
    numbers: dict[str, list[int]] = {"claim": [0], "released": [], "child": []}
    for name in names:
        if found := re.fullmatch(r"(claim|released|child)\.([1-9][0-9]{0,8})", name):
            numbers[found[1]].append(int(found[2]))
    number = max(numbers["claim"])
    return Look(number, number in numbers["released"], tuple(sorted(numbers["child"])), names)


class Watch:
    """The eye of one process on the claims of others: it remembers when it saw each of them change.

    `clock` is a file in the sweep's folder that it may touch; where it cannot, as one who only looks, the local clock
    stands in.
    """

    def __init__(self, clock: Path) -> None:
        self.clock = clock
        self._asked: tuple[float, float] | None = None
        self._owners: dict[Path, Owner] = {}
        self._seen: dict[Path, tuple[int, float]] = {}  # its heartbeat, and when this process saw it first

    def now(self) -> float:
        """The time of the file server, in seconds; it is asked once a second."""
        here = time.monotonic()
        if self._asked is None or here - self._asked[0] > 1.0:
            self._asked = here, self._ask()
        at, there = self._asked
        return there + (here - at)

    def _ask(self) -> float:
        with contextlib.suppress(OSError):
            os.utime(self.clock)
            return os.stat(self.clock).st_mtime
        mine = self.clock.with_name(f".{self.clock.name}.{secrets.token_hex(6)}.tmp")
        with contextlib.suppress(OSError):  # the clock is another user's, or not there yet
            descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                return os.fstat(descriptor).st_mtime
            finally:
                os.close(descriptor)
                os.unlink(mine)
        return time.time()

    def owner(self, claim: Path) -> Owner | None:
        """Who made a claim; None where it does not say."""
        if claim not in self._owners:
            with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
                self._owners[claim] = Owner.read(json.loads(claim.read_bytes()))
        return self._owners.get(claim)

    def is_free(self, folder: Path, seen: Look) -> bool:
        """May a task be taken, as far as its claims say?"""
        return seen.number == 0 or seen.released or self.is_stale(folder / f"claim.{seen.number}")

    def owner_is_gone(self, claim: Path) -> bool:
        """Is the owner's process known not to exist any more?"""
        owner = self.owner(claim)
        return owner is not None and owner.machine == machine() != "" and not is_alive(owner.pid, owner.start)

    def is_stale(self, claim: Path) -> bool:
        """May a claim that is not released be taken over?"""
        if self.owner_is_gone(claim):
            return True
        silence, unchanged, patience = self._silence(claim)
        return unchanged >= patience or (silence >= patience and unchanged >= 2.5 * patience / _BEATS)

    def is_fresh(self, claim: Path) -> bool:
        """Does a claim's owner live, as far as its heartbeat says?"""
        silence, _, patience = self._silence(claim)
        return not self.owner_is_gone(claim) and silence < patience

    def _silence(self, claim: Path) -> tuple[float, float, float]:
        """Seconds since the last heartbeat by the server's clock, and since this process saw it; the patience."""
        owner = self.owner(claim)
        patience = PATIENCE if owner is None else owner.patience
        here = time.monotonic()  # before the look: this process may be suspended between any two lines
        try:
            with open(claim, "rb") as file:  # NFS asks the server when a file is opened
                beat = os.fstat(file.fileno()).st_mtime_ns
        except OSError:  # changed beneath us: the next look tells
            return 0.0, 0.0, patience
        if self._seen.get(claim, (None,))[0] != beat:
            self._seen[claim] = (beat, here)
        return self.now() - beat / 1e9, here - self._seen[claim][1], patience


class Claim:
    """A task that this process has taken: it keeps the claim alive, in a thread, until `release`.

    number     K of claim.K
    lost       called once, in the thread, when another has taken the task over
    elsewhere  after `clear`: a worker on another machine had the task and did not give it back
    """

    def __init__(self, folder: Path, number: int, owner: Owner, earlier: Look, wait: float) -> None:
        self.folder, self.number, self.owner = folder, number, owner
        self.lost: Callable[[], None] = lambda: None
        self.elsewhere = False
        self._earlier, self._wait = earlier, wait
        self._ended = threading.Event()
        self._superseded = False
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        path = self.folder / f"claim.{self.number}"
        while not self._ended.wait(self.owner.patience / _BEATS):
            with contextlib.suppress(OSError):
                os.utime(path)
            if not self.holds():
                self.lost()
                return

    def holds(self) -> bool:
        """Is this still the claim that counts? Asks the file server."""
        with contextlib.suppress(OSError):  # a server that does not answer takes no other claim either
            seen = look(self.folder)
            self._superseded |= seen.number > self.number or not seen.names  # or the folder is gone
        return not self._superseded

    def clear(self, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Make sure that nothing of an earlier claim is at work; True once that is so.

        False when `stopped` says so, the claim is lost, or a process cannot be ended.
        """
        if not self.holds():  # it was asleep: what is there now may be the next owner's
            return False
        remove_leftovers(self.folder)
        watch = Watch(self.folder)
        for number in self._earlier.children:
            if f"released.{number}" in self._earlier.names:  # the owner saw its end
                continue
            earlier = watch.owner(self.folder / f"claim.{number}")
            if earlier is None or earlier.machine != machine() or not machine():
                self.elsewhere = True
                continue
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                child = json.loads((self.folder / f"child.{number}").read_bytes())
                if not end_process(child["pid"], child["start"], _SAVING, stopped):
                    return False
        until = time.monotonic() + self._wait
        while time.monotonic() < until:
            if stopped() or not self.holds():
                return False
            time.sleep(min(0.2, self._wait / 4))
        return self.holds() and not stopped()

    def record_child(self, pid: int) -> None:
        """Write down which process does the work; to be called before it begins with it."""
        create(self.folder / f"child.{self.number}", _json({"pid": pid, "start": start_of(pid) or ""}))

    def release(self, seconds: float = 0.0) -> None:
        """Give the task back, having worked on it for some seconds. Where the disk is full the claim becomes stale."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)  # a file server that does not answer is not waited for
        with contextlib.suppress(OSError):
            create(self.folder / f"released.{self.number}", _json({"seconds": round(seconds, 3)}))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed in a task's folder.

    For the task's owner, and once it is done: who writes one now is too late, and fares as one who lost a race.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if re.fullmatch(r"\..+\.[0-9a-f]{12}\.tmp(\..*)?", name):
                with contextlib.suppress(OSError):
                    os.unlink(folder / name)


def take(folder: Path, seen: Look, owner: Owner, watch: Watch) -> Claim | None:
    """Claim a task that `Watch.is_free` says may be taken, as one look at it showed; None when another was faster.

    The folder must exist. Before the task is begun: look again at what is recorded, and `Claim.clear`.
    """
    wait, old = 0.0, folder / f"claim.{seen.number}"
    if seen.number > 0 and not seen.released and not watch.owner_is_gone(old):
        earlier = watch.owner(old)
        wait = 2 * (PATIENCE if earlier is None else earlier.patience) / _BEATS
    if not create(folder / f"claim.{seen.number + 1}", _json(asdict(owner))):
        return None
    return Claim(folder, seen.number + 1, owner, seen, wait)


def _json(content: object) -> bytes:
    return (json.dumps(content) + "\n").encode()

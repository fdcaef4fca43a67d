"""One worker's life: it takes the first task that is due, carries it out, records its end, until nothing is left.

Any number of workers may be at it, on this machine or others that share the disk; what makes that safe is in `claims`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import select
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import FilePath, write_bytes
from ..terminal import say
from .child import INTERRUPTED, Child, Resources, environment, explain, remove_locks, write_options
from .claims import PATIENCE, Claim, Owner, create, look, take
from .manifest import Task
from .shares import tasks_of
from .states import Board, State, read_json
from .status import duration

__all__ = ["SIGNALS", "Summary", "Worker", "handled", "work"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)  # upon which a worker stops in order
_SAVING = 60.0  # seconds that a task has to save itself
_TRIES = 3  # times that a task may be killed from outside, in one worker's life, before it counts as failed
_ARGV = "botan_fast.sweep.child:task_argv"


@dataclass
class Summary:
    """What a worker has done.

    done     tasks that it finished
    failed   tasks that failed in its hands
    stopped  the signal that asked it to stop, or None
    """

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stopped: int | None = None


class Worker:
    """One worker of the sweep in `folder`; `run` is its life, `stop` ends it in order.

    Parameters
    ----------
    folder
        Of the sweep: it holds manifest.json.
    shard
        (i, n): only part i of n of the tasks, i = 1 ... n.
    stages
        Only tasks of these stages.
    wait
        False: end when there is nothing to take now, in place of waiting for what tasks need.
    linger
        Stay until the tasks that others run are done too, to take them over if need be.
    skip_failed
        Do not try again what failed before.
    retry_before
        Try again what failed before this moment, seconds of the file server's clock; by default, the worker's begin.
    threads, device
        Of each task; None leaves them to the task.
    stale
        Seconds without a heartbeat after which others may take this worker's task over.
    argv
        "module:function" of what makes a task's command, see `child.task_argv`.
    parent
        Process id of who started it: the worker stops when that is no longer its parent.
    quiet
        No lines on standard error about each task.

    Raises
    ------
    DataError
        The folder holds no sweep.
    InputError
        An argument is wrong, or the folder cannot be written to.
    """

    def __init__(
        self,
        folder: FilePath,
        *,
        shard: tuple[int, int] | None = None,
        stages: Sequence[str] | None = None,
        wait: bool = True,
        linger: bool = False,
        skip_failed: bool = False,
        retry_before: float | None = None,
        threads: int | None = None,
        device: str | None = None,
        stale: float = PATIENCE,
        argv: str = _ARGV,
        parent: int | None = None,
        quiet: bool = True,
    ) -> None:
        self._board = Board(folder)
        self._tasks = tasks_of(self._board, shard, stages)
        self._shard, self._stages = shard, stages
        if not 0.01 <= stale <= 86400:
            raise InputError(f"stale = {stale}: give seconds, best more than 60, at most 86400")
        self._make_clock()
        if not skip_failed:
            now = self._board.watch.now()
            if retry_before is not None and math.isnan(retry_before):
                raise InputError("retry_before = nan: give seconds")
            # Of the future, it would try again without end.
            self._board.retry_before = now if retry_before is None else min(now, retry_before)
        self._owner = Owner.this_process(stale)
        self._wait_for_needs, self._linger = wait, linger
        self._resources, self._parent, self._quiet = Resources(threads, device), parent, quiet
        module, _, name = argv.partition(":")
        self._argv = getattr(import_module(module), name)
        self._stopped: int | None = None
        self._wake, self._bell = os.pipe()
        os.set_blocking(self._bell, False)
        self._interruptions: Counter[str] = Counter()
        self._said: set[str] = set()
        self.summary = Summary()

    def _make_clock(self) -> None:
        clock = self._board.watch.clock
        try:
            clock.parent.mkdir(exist_ok=True)
            os.close(os.open(clock, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))
        except OSError as error:
            if not os.access(clock.parent, os.W_OK):
                raise InputError(f"folder = '{self._board.folder}' cannot be written to ({error.strerror})") from error

    # ---- stopping ---------------------------------------------------------------------------------------------------

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop in order: the task saves itself and is given back. From a signal handler or another thread; at once."""
        if self._stopped is None:
            self._stopped = number
        with contextlib.suppress(OSError):  # the pipe is full of bells, or closed
            os.write(self._bell, b"!")

    def close(self) -> None:
        """Give back what a worker holds that is never to run; `run` does it itself."""
        bell, self._bell = self._bell, -1
        if bell >= 0:
            os.close(bell)
            os.close(self._wake)

    def _stopping(self) -> bool:
        if self._parent is not None and os.getppid() != self._parent:
            self.stop()
        return self._stopped is not None

    def _sleep(self, seconds: float) -> None:
        """Until then, or until `stop`."""
        if self._stopped is not None:
            time.sleep(min(seconds, 0.05))  # the bell rings on
        else:
            select.select([self._wake], [], [], seconds)

    # ---- tasks ------------------------------------------------------------------------------------------------------

    def run(self) -> Summary:
        """Work until nothing is left that this worker could do, or `stop`.

        OSError where the disk is full or the folder can no longer be written to; the task is given back then too.
        """
        pause = 0.05
        try:
            while not self._stopping():
                taken = self._take_one()
                if taken is not None:
                    self._carry_out(*taken)
                    pause = 0.05
                elif self._is_over():
                    break
                else:
                    self._sleep(pause * random.uniform(0.7, 1.3))  # many that began together should not ask together
                    pause = min(1.5 * pause, max(5.0, 0.02 * len(self._tasks)))
        finally:
            self.close()
        self.summary.stopped = self._stopped
        return self.summary

    def _take_one(self) -> tuple[Task, Claim] | None:
        """Claim the first task that can be taken; after a race that another won, any."""
        self._board.begin_round()
        tasks = list(self._tasks)
        while tasks and not self._stopping():
            task = tasks.pop(0)
            state = self._board.state(task.name)
            if state.kind == "ready":
                place = self._board.place(task.name)
                place.mkdir(parents=True, exist_ok=True)
                if (claim := take(place, state.seen, self._owner, self._board.watch)) is not None:
                    return task, claim
                random.shuffle(tasks)
        return None

    def _is_over(self) -> bool:
        """Is nothing left that this worker could ever do?"""
        states = {task.name: self._board.state(task.name) for task in self._tasks}
        if self._more_tasks(states):
            return False
        kinds = {state.kind for state in states.values()}
        if "ready" in kinds or not kinds & {"waiting", "running"}:
            return "ready" not in kinds  # another was faster: look again
        if not self._wait_for_needs:
            return True
        if "waiting" in kinds:
            self._say_what_for(states)
            return False
        held = [name for name, state in states.items() if state.kind == "running"]
        claims = [self._board.place(name) / f"claim.{states[name].seen.number}" for name in held]
        return not self._linger and all(map(self._board.watch.is_fresh, claims))

    def _more_tasks(self, states: dict[str, State]) -> bool:
        """With a search: does it give a further trial, or has another worker got one from it?"""
        search = self._board.manifest.search
        if search is None or (self._stages is not None and search["task"]["stage"] not in self._stages):
            return False
        from .search import more_tasks

        before = len(self._tasks)
        more_tasks(self._board.folder)
        self._board.read()
        self._tasks = tasks_of(self._board, self._shard, self._stages)
        return len(self._tasks) > before

    def _say_what_for(self, states: dict[str, State]) -> None:
        """Once for each: which tasks of other shards or stages this worker waits for."""
        mine = {task.name for task in self._tasks}
        needs = {state.need for state in states.values() if state.kind == "waiting"} - mine - self._said
        if needs and not self._quiet:
            names = sorted(needs)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            say(f"botan-fast: waiting for {', '.join(names[:3])}{more}, of another shard or stage")
        self._said |= needs

    def _carry_out(self, task: Task, claim: Claim) -> None:
        place = self._board.place(task.name)
        began = time.monotonic()
        try:
            seen = look(place)  # anew, see `claims`
            if "done.json" in seen.names:
                self._board.finished(task.name, seen)
            elif not self._board.has_failed(task.name, seen) and claim.clear(self._stopping):
                self._run_child(task, place, claim, attempts=len(seen.children) + 1)
            elif not self._stopping() and claim.holds() and not self._board.has_failed(task.name, seen):
                reason = "a process of an earlier worker cannot be ended; end it, and repeat the command"
                self._fail(task, place, {"reason": reason, "status": None, "attempts": len(seen.children)})
        except OSError as error:
            # Suspended while it wrote: the next owner has removed the temporary file, and what it was for is no matter.
            if not claim.holds():
                self._say(f"{task.name} is another worker's now")
            elif not (isinstance(error, FileNotFoundError) and place.is_dir()) or self._is_last_try(task):
                raise  # else one who woke up too late has removed it
        finally:
            claim.release(time.monotonic() - began)

    def _run_child(self, task: Task, place: Path, claim: Claim, attempts: int) -> None:
        """Carry out a task that is ours, and record how it ends."""
        began = time.monotonic()
        write_options(task, place)
        if claim.elsewhere:
            remove_locks(task, self._board.folder)
        argv = self._argv(task, place, self._resources)
        self._say(f"{task.name} begins")
        child = Child(argv, environment(self._resources, os.environ), place / "log.txt")
        try:
            claim.record_child(child.pid)
            claim.lost = child.kill
            if claim.holds():  # before `lost` was set it may have been taken over
                child.begin()
                status = self._end_of(child)
            else:
                return
        finally:
            child.close()
        if not claim.holds():
            self._say(f"{task.name} is another worker's now")
            return
        seconds = time.monotonic() - began
        record = {"seconds": round(seconds + _earlier_seconds(place), 3), "attempts": attempts,
                  "host": self._owner.host, "finished": _now()}  # fmt: skip
        if status == 0:
            create(place / "done.json", _json(record), durable=True)
            with contextlib.suppress(OSError):
                os.unlink(place / "failed.json")
            self._board.finished(task.name, look(place))
            self.summary.done.append(task.name)
            self._say(f"{task.name} done in {duration(seconds)}")
        elif not self._is_interruption(task, status):
            reason = explain(status, child.last_words)
            self._fail(task, place, {"reason": reason, "status": status, **record})

    def _end_of(self, child: Child) -> int:
        """Wait for a process; when the worker is asked to stop, the process is, too."""
        pause, until = 0.005, None
        while (status := child.poll()) is None:
            if self._stopping() and until is None:
                child.send(signal.SIGTERM)
                until = time.monotonic() + _SAVING
            elif until is not None and time.monotonic() > until:
                child.kill()
            self._sleep(pause)
            pause = min(1.2 * pause, 0.25)
        return status

    def _is_interruption(self, task: Task, status: int) -> bool:
        """Did a process end because somebody wanted it to, so that it is neither done nor failed?"""
        if status not in INTERRUPTED:
            return False
        if not self._stopping():
            self._sleep(1.0)  # a signal to all processes of a job may reach the task before its worker
        if self._stopping():
            return True
        if self._is_last_try(task):
            return False
        self._say(f"{task.name} was killed ({explain(status, str)}), and is tried again")
        return True

    def _is_last_try(self, task: Task) -> bool:
        self._interruptions[task.name] += 1
        return self._interruptions[task.name] >= _TRIES

    def _fail(self, task: Task, place: Path, record: dict[str, Any]) -> None:
        write_bytes(place / "failed.json", _json(record))
        self.summary.failed.append(task.name)
        self._say(f"{task.name} failed: {record['reason']}; see {place / 'log.txt'}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            say(f"botan-fast: {text}")


def work(folder: FilePath, **options: Any) -> Summary:
    """The life of one worker in this process: `Worker(folder, **options).run()`, which SIGINT, SIGTERM, SIGHUP and
    SIGUSR1 stop in order where this is the main thread.

    >>> import tempfile
    >>> from botan_fast.sweep.manifest import Manifest
    >>> from botan_fast.sweep.worker import work
    >>> folder = tempfile.TemporaryDirectory()
    >>> Manifest([]).write(folder.name)
    >>> work(folder.name)
    Summary(done=[], failed=[], stopped=None)
    """
    worker = Worker(folder, **options)
    with handled(worker.stop):
        return worker.run()


@contextlib.contextmanager
def handled(stop: Any) -> Iterator[None]:
    """Call `stop(number)` for each signal during the block, in the main thread; what is ignored stays ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, lambda number, _: stop(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _earlier_seconds(place: Path) -> float:
    """Seconds of earlier claims, which were given back: of a task that was interrupted."""
    total = 0.0
    for number in look(place).children:
        seconds = read_json(place / f"released.{number}").get("seconds")
        total += seconds if isinstance(seconds, (int, float)) else 0.0
    return total


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(content: object) -> bytes:
    return (json.dumps(content) + "\n").encode()

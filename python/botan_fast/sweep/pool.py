"""Several workers on this machine, each a process with cores or a GPU of its own, and one line about the whole sweep.

The pool does no task and holds no claim. A worker that dies is replaced; whatever dies, the pool too, the same command
goes on: the claims tell. Ctrl-C reaches the pool alone, since each worker leads a group of its own; it asks the workers
to stop, they ask their tasks, which save themselves. A worker whose pool is gone stops in the same order.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import IO, Any

from ..errors import BotanFastError, InputError
from ..files import FilePath
from ..terminal import is_terminal, progress_bar, say
from .child import safe_path
from .claims import remove_leftovers
from .seats import Seat, seats
from .states import Board
from .status import Progress, line
from .worker import Summary, Worker, handled

__all__ = ["MOST_WORKERS", "Pool", "run_pool"]

MOST_WORKERS = 1024
_STOPPING = 90.0  # seconds that workers have to stop, more than they give their tasks
_QUICK = 3.0  # seconds of life below which a death is a quick one
_MOST_QUICK = 30  # quick deaths in a row after which there is something wrong with this machine
_LOOK = 1.0  # seconds between two looks at the whole sweep


@dataclass
class _Post:
    """The place of one worker, and who has it now."""

    seat: Seat
    process: subprocess.Popen | None = None
    words: IO[bytes] | None = None  # its standard error
    began: float = 0.0
    quick: int = 0


class Pool:
    """`workers` processes that work on the sweep in `folder` until all is done.

    Parameters
    ----------
    folder, **options
        As of `Worker`. With `linger` (here the default) they stay until tasks that others run are done too.
    workers
        How many; more than cores share them, with one thread each.
    device
        "cuda": each worker sees one GPU, those that are visible in turn. "cpu": none is used.
    threads
        Of each task; by default the cores of its worker.
    progress
        A bar, or lines where nobody looks at a terminal, on standard error.

    Raises
    ------
    InputError
        An argument is wrong, no GPU is there, or the folder cannot be written to.
    DataError
        The folder holds no sweep.
    """

    def __init__(
        self,
        folder: FilePath,
        *,
        workers: int,
        device: str | None = None,
        threads: int | None = None,
        progress: bool = True,
        **options: Any,
    ) -> None:
        if not 1 <= workers <= MOST_WORKERS:
            raise InputError(f"workers = {workers}: give 1 to {MOST_WORKERS}, best no more than cores")
        options = {"linger": True, **options}
        if options.get("retry_before") is None:  # one moment for all, those too that take the place of dead ones
            options["retry_before"] = Board(folder).watch.now()
        Worker(folder, **options).close()  # the same checks, before anything is started
        self._posts = [_Post(seat) for seat in seats(workers, device, threads)]
        retry_before = float("-inf") if options.get("skip_failed") else options["retry_before"]
        self._board = Board(folder, retry_before)
        self._progress, self._show = Progress(self._board), progress
        self._order = {"folder": str(folder)}
        self._options = {**options, "device": device and device.split(":")[0], "parent": os.getpid(), "quiet": True}
        self._stopped: int | None = None
        self._error = ""

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop in order; from a signal handler or another thread."""
        if self._stopped is None:
            self._stopped = number

    def run(self) -> Summary:
        """Run the workers until nothing is left for them, or `stop`; signals are the caller's, see `work`.

        BotanFastError with the line of a worker that could not go on, such as one about a full disk.
        """
        before = {name for name, state in self._board.states().items() if state.kind == "done"}
        look, said = 0.0, ""
        with progress_bar(total=len(self._board.manifest), show=self._show, bar_format=_BAR) as bar:
            try:
                for post in self._posts:
                    self._start(post)
                while self._stopped is None and self._keep_running():
                    if time.monotonic() >= look:
                        began = time.monotonic()
                        said = self._tell(bar, said)
                        look = time.monotonic() + max(_LOOK, 20 * (time.monotonic() - began))
                    time.sleep(0.05)
            finally:
                self._end_all()
            found = self._progress.look()
            self._tell(bar, said, found)
        if found["done"] == found["tasks"]:
            for task in self._board.manifest:
                remove_leftovers(self._board.place(task.name))
        if self._error:
            raise BotanFastError(self._error)
        states = self._board.states()
        done = [name for name, state in states.items() if state.kind == "done" and name not in before]
        return Summary(done, [row["name"] for row in found["failed_tasks"]], self._stopped)

    def _tell(self, bar: Any, said: str, found: dict[str, Any] | None = None) -> str:
        """Show how far the sweep is; where nobody looks, a line when a task has ended. Returns what was said last."""
        found = self._progress.look() if found is None else found
        words = line(found)
        if is_terminal():
            bar.n, bar.total = found["done"], found["tasks"]
            bar.set_postfix_str(words.partition(", ")[2])
        key = f"{found['done']} {found['failed']}"
        if key != said:  # somebody gets on with it
            for post in self._posts:
                post.quick = 0
        if self._show and not is_terminal() and key != said:
            say(f"botan-fast: {words}")
        return key

    # ---- processes --------------------------------------------------------------------------------------------------

    def _start(self, post: _Post) -> None:
        options = {**self._options, "threads": post.seat.threads}
        order = json.dumps({**self._order, "cores": post.seat.cores, "options": options})
        environment = {**os.environ, **safe_path()}
        if post.seat.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = post.seat.gpu
        post.words = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        post.process = subprocess.Popen(
            [sys.executable, "-m", "botan_fast.sweep", order],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=post.words,
            env=environment,
            start_new_session=True,
        )
        post.began = time.monotonic()

    def _keep_running(self) -> bool:
        """Replace the workers that died; False when all have ended, or one could not go on."""
        running = False
        for post in self._posts:
            if post.process is None:
                continue
            status = post.process.poll()
            if status is None:
                running = True
            elif status == 0:
                self._forget(post)
            elif status > 0:
                self._error = self._last_words(post) or f"a worker ended with status {status} without a word"
                return False
            else:  # killed
                post.quick = post.quick + 1 if time.monotonic() - post.began < _QUICK else 0
                words = self._last_words(post)
                self._forget(post)
                if post.quick >= _MOST_QUICK:
                    name = signal.Signals(-status).name
                    self._error = (
                        words or f"workers are killed by {name} as soon as they begin; look at the system's log"
                    )
                    return False
                self._start(post)
                running = True
        return running

    def _last_words(self, post: _Post) -> str:
        if post.words is None:
            return ""
        post.words.seek(0)
        lines = post.words.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def _forget(self, post: _Post) -> None:
        if post.words is not None:
            post.words.close()
        post.process = post.words = None

    def _end_all(self) -> None:
        """Ask all workers to stop and wait for them; those that do not end are killed."""
        there = [post for post in self._posts if post.process is not None]
        for post in there:
            self._send(post, signal.SIGTERM)
        deadline = time.monotonic() + _STOPPING
        for post in there:
            assert post.process is not None
            try:
                post.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._send(post, signal.SIGKILL)
                post.process.wait()
            self._forget(post)

    def _send(self, post: _Post, number: int) -> None:
        assert post.process is not None
        with contextlib.suppress(OSError):
            post.process.send_signal(number)


_BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} tasks{postfix}"


def run_pool(folder: FilePath, **options: Any) -> Summary:
    """`Pool(folder, **options).run()`, which SIGINT, SIGTERM, SIGHUP and SIGUSR1 stop in order.

    >>> import tempfile
    >>> from botan_fast.sweep.manifest import Manifest
    >>> from botan_fast.sweep.pool import run_pool
    >>> folder = tempfile.TemporaryDirectory()
    >>> Manifest([]).write(folder.name)
    >>> run_pool(folder.name, workers=1, progress=False)
    Summary(done=[], failed=[], stopped=None)
    """
    pool = Pool(folder, **options)
    with handled(pool.stop):
        return pool.run()

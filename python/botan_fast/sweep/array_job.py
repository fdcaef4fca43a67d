"""What a job of a cluster does: it starts workers on the sweep's folder, and stops them in order before it is killed.

The job itself is a process of submitit, the workers are an ordinary command beneath it, `botan-fast sweep`. submitit
calls `checkpoint` in a signal handler, on top of what the main thread was doing; work in the same process could not go
on until the handler returns, and so could not save. Neither torch nor submitit is imported here before it is needed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

__all__ = ["ArrayJob"]

_POLL = 0.05  # seconds between two looks whether the workers have ended
_UNFINISHED = 143  # the status of a job that was asked to end, as a shell reports SIGTERM


class ArrayJob:
    """One job of an array. submitit keeps it in a file as the name of this class and two plain values.

    Parameters
    ----------
    arguments
        Of the Python interpreter: the command that works on the sweep, "-m", "botan_fast", "sweep", ...
    patience
        Seconds that the workers have to save and to give their claims back, before they are killed.

    Examples
    --------
    >>> from botan_fast.sweep.array_job import ArrayJob
    >>> ArrayJob(["-c", "print('worked')"], patience=1.0)()
    0
    """

    def __init__(self, arguments: Sequence[str], patience: float) -> None:
        self.arguments = tuple(arguments)
        self.patience = patience
        self._workers: subprocess.Popen[bytes] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return ArrayJob, (self.arguments, self.patience)

    def __call__(self) -> int:
        """Run the workers until nothing is left for them; the status that they end with.

        On a cluster this process ends with that status, unless it is 0, so that sacct shows what went wrong.
        """
        command = [sys.executable, *self.arguments]
        # Workers end by themselves when this process is killed: see `botan_fast.interruption`.
        variables = {**os.environ, "BOTAN_FAST_PARENT": str(os.getpid())}
        with self._terminated_in_order():
            with _signal_of_time_outs_blocked():
                self._workers = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL)
            try:
                status = self._wait(None)
            finally:
                self._stop()
        ended, self._workers = self._workers, None  # in this order: from here on a handler has nobody to stop
        ended.wait()
        assert status is not None  # without a limit the wait ends with the workers
        if status and _own_process():
            sys.exit(status)
        return status

    def checkpoint(self) -> DelayedSubmission:
        """Stop the workers in order; what goes on when the job is started again. Called by submitit, in its handler."""
        from submitit.helpers import DelayedSubmission

        self._stop()
        return DelayedSubmission(ArrayJob(self.arguments, self.patience))

    def _stop(self) -> None:
        """SIGTERM to the workers, and SIGKILL to those that have not ended after `patience` seconds."""
        workers = self._workers
        if workers is None:
            return
        for number, limit in ((signal.SIGTERM, self.patience), (signal.SIGKILL, None)):
            if self._wait(0.0) is None:
                os.kill(workers.pid, number)
                self._wait(limit)

    def _wait(self, limit: float | None) -> int | None:
        """The status of the workers, as a shell has it; None if they are still there after `limit` seconds.

        They are not reaped by this: a handler may ask for them while the main thread is waiting, where the lock of
        `Popen.wait` would be held for ever, and a process number that is reaped could be another's.
        """
        assert self._workers is not None
        flags = os.WEXITED | os.WNOWAIT | (0 if limit is None else os.WNOHANG)
        end = time.monotonic() + (limit or 0.0)
        while True:
            found = os.waitid(os.P_PID, self._workers.pid, flags)
            if found is not None:
                return found.si_status if found.si_code == os.CLD_EXITED else 128 + found.si_status
            if time.monotonic() >= end:
                return None
            time.sleep(_POLL)

    @contextlib.contextmanager
    def _terminated_in_order(self) -> Iterator[None]:
        """SIGTERM (scancel, the beginning of a preemption) stops the workers while the job lives on.

        submitit passes over SIGTERM, and with the cgroups of SLURM nobody else gets it: without this the workers would
        learn of scancel by SIGKILL. The job does not end before `patience` has passed: where it is preempted, SLURM
        puts it back into the queue, but not if it has ended as if it were done. Not in the executor "debug", whose
        process is the user's command with handlers of its own.
        """
        if not _own_process():
            yield
            return

        def end(number: int, frame: object) -> None:
            start = time.monotonic()
            self._stop()
            if os.environ["SUBMITIT_EXECUTOR"] == "slurm":
                time.sleep(max(0.0, self.patience - (time.monotonic() - start)))
            sys.exit(_UNFINISHED)

        before = signal.signal(signal.SIGTERM, end)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)


def _own_process() -> bool:
    """Is this process a job's own? With the executor "debug" it is the command of the user."""
    return os.environ.get("SUBMITIT_EXECUTOR") in ("slurm", "local")


@contextlib.contextmanager
def _signal_of_time_outs_blocked() -> Iterator[None]:
    """What is started in here inherits that submitit's signal is blocked: SLURM may send it to every process of a job,
    and one without a handler would die of it, unsaved, before this job could ask it to end."""
    name = "SIG" + os.environ.get("SUBMITIT_PREEMPT_SIGNAL", "USR2").removeprefix("SIG")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.Signals[name]})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

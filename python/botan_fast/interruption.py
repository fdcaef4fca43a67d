"""Ctrl-C, SIGTERM, SIGHUP (the end of a terminal) and SIGUSR1 (the end of a job's time, where SLURM is asked to say it
beforehand). In the command: at once where nothing has to be tidied up, else in order, and never by half.

`install` is for the command alone; in a library it is the caller who decides what a signal does. Its handler ends the
process in the first milliseconds, while modules load and where work leaves nothing behind. Inside of `orderly` it
raises `Interrupted`, a KeyboardInterrupt, so that the block tidies up; who presses again changes nothing for some
seconds, until the command has said what is kept. Inside of `deferred` a signal waits: what is being saved is saved
whole, in a library too.

In a job of SLURM, SIGUSR1 does not end a command at once: a minute or two is left, and a job that ends by itself does
not come back. It waits until there is something to tidy up, and a command that is done before ends as if there had been
no signal. `at_once` is for commands that do not go on when they are repeated.

A command whose environment has BOTAN_FAST_PARENT, the process id of what started it (the worker of a sweep), looks each
second whether that process is still its parent. When it is not, however it ended, the command sends itself SIGTERM.
"""

from __future__ import annotations

import _thread  # threading takes 2.5 ms to load, a quarter of the start of a command
import os
import signal
import sys
from time import monotonic, sleep

TYPE_CHECKING = False  # as in typing, whose import would take as long as all the others here
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

__all__ = [
    *("PARENT", "Interrupted", "at_once", "begin", "deferred", "end", "finish", "has_worker", "in_a_job", "install"),
    *("orderly", "status"),
]

PARENT = "BOTAN_FAST_PARENT"  # variable of the environment
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
_EVERY = 1.0  # seconds between two looks at the parent
_PATIENCE = 5.0  # seconds of tidying up in which pressing again changes nothing
_open = 0  # blocks that have to tidy up
_first: int | None = None  # the signal that asked to stop
_raised = -_PATIENCE  # when the handler raised last
_finished = False  # the command has said how it ended
_worker: int | None = None  # process id of the worker that started this command
_patient = False  # SIGUSR1 waits for a block that tidies up
_due = False  # and is waiting


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 in the command.

    saved   what is kept, for the line that the command ends with; ""
    """

    saved = ""


def install() -> None:
    """Handle the signals for the command, and watch its parent where PARENT says so.

    What its caller ignores stays ignored, as under nohup. Main thread alone.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _handle)
    signal.signal(signal.SIGALRM, _handle)
    if sys.unraisablehook is not _unraisable:
        global _next_hook
        _next_hook, sys.unraisablehook = sys.unraisablehook, _unraisable
    _watch_parent()
    global _patient
    _patient = in_a_job()


def in_a_job() -> bool:
    """Does this process decide for its job of SLURM? The first of its step, or of torchrun, unless a worker started it.

    >>> import os
    >>> from unittest import mock
    >>> from botan_fast.interruption import in_a_job
    >>> with mock.patch.dict(os.environ, {"SLURM_JOB_ID": "17", "SLURM_PROCID": "1"}):
    ...     in_a_job()
    False
    """
    first = all(os.environ.get(name, "0") == "0" for name in ("SLURM_PROCID", "RANK"))
    return bool(os.environ.get("SLURM_JOB_ID")) and first and not has_worker()


def at_once() -> None:
    """SIGUSR1 ends this command as the other signals do, also where it has come already."""
    global _patient
    _patient = False
    if _due:
        _end()


def _watch_parent() -> None:
    global _worker
    # Taken out: what this command starts is a child of this one, not of its worker.
    text = os.environ.pop(PARENT, None)
    if text is None:
        return
    if not (text.isascii() and text.isdigit()):
        os.write(2, f"botan-fast: error: {PARENT} = {text!r}; give the process id of the parent\n".encode())
        os._exit(2)
    _worker = int(text)
    if signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL:  # submitit's, to whole process groups, for the worker
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    # A plain thread: nothing waits for it at the end. The signal goes to the main thread, which may be asleep.
    _thread.start_new_thread(_end_with, (_worker, _thread.get_ident()))


def _end_with(parent: int, main: int) -> None:
    while os.getppid() == parent:
        sleep(_EVERY)
    while True:  # a signal that comes while the main thread is about to fall asleep does not wake it: look, and again
        signal.pthread_kill(main, signal.SIGTERM)
        sleep(_EVERY)
        if _first is not None or _finished:
            return


def has_worker() -> bool:
    """Has the worker of a sweep started this command? It is then the worker that decides how things go on.

    >>> from botan_fast.interruption import has_worker
    >>> has_worker()
    False
    """
    return _worker is not None


def finish() -> None:
    """The command is done and says so with its status: from here on a signal changes nothing.

    Inside of `deferred`, whose handlers are others for a moment, it holds as well.
    """
    global _finished
    _finished = True
    for number in _SIGNALS:
        if signal.getsignal(number) is _handle:
            signal.signal(number, signal.SIG_IGN)


def status() -> int | None:
    """The status of a command that a signal has asked to stop: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 138 SIGUSR1.

    None without a signal.

    >>> from botan_fast.interruption import status
    >>> status()
    """
    return None if _first is None else 128 + _first


def _handle(number: int, frame: FrameType | None) -> None:
    global _first, _raised
    if _finished:
        return
    if number != signal.SIGALRM:
        _first = _first or number
        if monotonic() - _raised < _PATIENCE:
            return  # what has to be tidied up may be done already, but the command's last line is still to come
    if not _open:
        if _patient and number == signal.SIGUSR1:
            global _due
            _due = True
            return
        _end()
    _raised = monotonic()
    raise Interrupted


def _end() -> NoReturn:
    finish()  # a second signal in here would say it once more
    try:
        os.write(2, b"botan-fast: interrupted\n")
    finally:
        os._exit(status() or 130)


def _unraisable(unraisable: Any) -> None:
    # Raised inside of a destructor or of a callback from C, where Python drops exceptions: again, a moment later.
    if issubclass(unraisable.exc_type, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        _next_hook(unraisable)


_next_hook = sys.unraisablehook


def begin() -> None:
    """From here on there is something to tidy up, until `end`. A signal that waited for it ends the command here."""
    global _open, _due, _raised
    if _due:
        _due, _raised = False, monotonic()
        raise Interrupted
    _open += 1


def end() -> None:
    """What `begin` began is tidied up."""
    global _open
    _open -= 1


class orderly:
    """A block that tidies up behind itself when a signal ends it.

    >>> from botan_fast.interruption import orderly
    >>> with orderly():
    ...     pass  # write a file, and remove it after any exception
    """

    def __enter__(self) -> None:
        begin()

    def __exit__(self, *_: object) -> None:
        end()


class deferred:
    """A block during which those signals wait; what they do then is what they would have done.

    Threads other than the main one get no signals: there it does nothing.

    >>> from botan_fast.interruption import deferred
    >>> with deferred():
    ...     pass  # write several files that belong together
    """

    def __enter__(self) -> None:
        self._waiting: list[tuple[int, FrameType | None]] = []
        self._before: dict[int, Any] = {}
        for number in (*_SIGNALS, signal.SIGALRM):
            before = signal.getsignal(number)
            if callable(before):
                try:
                    signal.signal(number, self._wait)
                except ValueError:  # not the main thread
                    return
                self._before[number] = before

    def _wait(self, number: int, frame: FrameType | None) -> None:
        self._waiting.append((number, frame))

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        if self._waiting:
            number, frame = self._waiting[0]
            self._before[number](number, frame)

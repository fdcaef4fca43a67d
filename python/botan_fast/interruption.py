"""Ctrl-C, SIGTERM and SIGHUP (the end of a terminal). In the command: at once where nothing has to be tidied up,
else in order, and never by half.

`install` is for the command alone; in a library it is the caller who decides what a signal does. Its handler ends the
process in the first milliseconds, while modules load and where work leaves nothing behind. Inside of `orderly` it
raises `Interrupted`, a KeyboardInterrupt, so that the block tidies up; who presses again changes nothing for some
seconds, until the command has said what is kept. Inside of `deferred` a signal waits: what is being saved is saved
whole, in a library too.
"""

from __future__ import annotations

import os
import signal
import sys
from time import monotonic

TYPE_CHECKING = False  # as in typing, whose import would take as long as all the others here
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

__all__ = ["Interrupted", "begin", "deferred", "end", "finish", "install", "orderly", "status"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE = 5.0  # seconds of tidying up in which pressing again changes nothing
_open = 0  # blocks that have to tidy up
_first: int | None = None  # the signal that asked to stop
_raised = -_PATIENCE  # when the handler raised last
_finished = False  # the command has said how it ended


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP in the command.

    saved   what is kept, for the line that the command ends with; ""
    """

    saved = ""


def install() -> None:
    """Handle Ctrl-C, SIGTERM and SIGHUP for the command. What its caller ignores stays ignored, as under nohup."""
    for number in _SIGNALS:
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _handle)
    signal.signal(signal.SIGALRM, _handle)
    if sys.unraisablehook is not _unraisable:
        global _next_hook
        _next_hook, sys.unraisablehook = sys.unraisablehook, _unraisable


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
    """The status of a command that a signal has asked to stop: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP; None without one.

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
        finish()  # a second signal in here would say it once more
        try:
            os.write(2, b"botan-fast: interrupted\n")
        finally:
            os._exit(status() or 130)
    _raised = monotonic()
    raise Interrupted


def _unraisable(unraisable: Any) -> None:
    # Raised inside of a destructor or of a callback from C, where Python drops exceptions: again, a moment later.
    if issubclass(unraisable.exc_type, Interrupted):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    else:
        _next_hook(unraisable)


_next_hook = sys.unraisablehook


def begin() -> None:
    """From here on there is something to tidy up, until `end`."""
    global _open
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

"""Where a command's log lines go: standard error with -v, and the file of --log-file.

On standard error -v shows INFO and -vv DEBUG, each line above the progress bar. --quiet takes bars and progress away
and leaves log lines: with -v they are all that is seen. The file gets DEBUG whatever is seen, and what the command
says besides: warnings, the line of an error and its traceback.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from time import monotonic

from .. import __version__
from ..terminal import INFO, listeners, show_log_lines

__all__ = ["ERROR", "WARNING", "add_arguments", "keep_traceback", "logging_to"]

WARNING, ERROR = 30, 40  # as in logging, which is loaded where it is asked for
_open = 0  # blocks of logging_to that log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add -v and --log-file, which every command has."""
    text = "log lines on standard error, with --quiet these alone; -vv more of them"
    parser.add_argument("-v", "--verbose", action="count", default=0, help=text)
    parser.add_argument("--log-file", metavar="FILE", help="append a detailed log to FILE")


@contextlib.contextmanager
def logging_to(verbose: int, path: str | None, argv: Sequence[str]) -> Iterator[None]:
    """Inside the block log lines go where the options say. InputError when the file cannot be written to."""
    global _open
    if not verbose and path is None:  # nothing is loaded for it
        yield
        return
    import logging

    from ..log import ROOT, FileHandler, ScreenHandler

    root, began = logging.getLogger(ROOT), monotonic()
    file = None if path is None else FileHandler(path)
    handlers: list[logging.Handler] = [] if file is None else [file]
    if verbose:
        handlers.append(ScreenHandler(logging.DEBUG if verbose > 1 else logging.INFO))
    before = root.level
    root.setLevel(min(handler.level for handler in handlers))
    for handler in handlers:
        root.addHandler(handler)
    if file is not None:
        listeners.append(file.said)
        file.said(f"botan-fast {__version__} on {os.uname().nodename}: botan-fast {shlex.join(argv)}", INFO)
    show_log_lines(verbose > 0)
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        show_log_lines(False)
        if file is not None:
            listeners.remove(file.said)
            file.said(f"ended after {monotonic() - began:.1f} s", INFO)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(before)


def keep_traceback() -> None:
    """The traceback of the error that is handled, for the log file alone."""
    if _open:
        from ..log import FILE_ONLY, ROOT, logger

        logger(ROOT).debug("traceback of what ended the command", exc_info=True, extra=FILE_ONLY)

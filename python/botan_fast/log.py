"""Python's logging: the loggers "botan_fast.*", silent until somebody listens.

Somebody is the command, with -v or --log-file, or whoever configures `logging` in a program of their own. INFO is what
a run reads, computes with and gives; DEBUG the files that it writes on the way. Warnings are `errors.warn`, not these.
"""

import contextlib
import logging
import os

from .errors import InputError
from .files import FilePath
from .terminal import log_lines_shown, say

__all__ = ["FILE_ONLY", "ROOT", "FileHandler", "ScreenHandler", "logger", "tell"]

ROOT = "botan_fast"
FILE_ONLY = {"file_only": True}  # extra= of a record that is not for standard error

logging.getLogger(ROOT).addHandler(logging.NullHandler())


def logger(name: str) -> logging.Logger:
    """The logger of a module, `logger(__name__)`.

    >>> from botan_fast.log import logger
    >>> logger("botan_fast.data.loading").info("read %d configurations", 3)
    """
    return logging.getLogger(name)


def tell(log: logging.Logger, text: str, show: bool) -> None:
    """A line of INFO; on standard error too where progress is shown, unless the log is there already (-v).

    >>> from botan_fast.log import logger, tell
    >>> tell(logger("botan_fast.training"), "stopped after epoch 3", show=False)
    """
    log.info("%s", text)
    if show and not log_lines_shown():
        say(text, listened=False)


class ScreenHandler(logging.Handler):
    """Lines on standard error, above a progress bar; at level DEBUG with the names of their loggers."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        name = "%(name)s: " if level < logging.INFO else ""
        self.setFormatter(logging.Formatter(f"%(asctime)s {name}%(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "file_only"):
            say(self.format(record), listened=False)


class FileHandler(logging.StreamHandler):
    """Lines at the end of a file: date and time, process, level, logger, message.

    Raises InputError where the file cannot be written to. Where that fails later, such as on a full disk, one warning
    says so, and the work goes on.
    """

    def __init__(self, path: FilePath) -> None:
        self.path, self.failed = os.fspath(path), False
        try:
            # Not blocking: a pipe that nobody reads is refused rather than waited for.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            stream = os.fdopen(os.open(path, flags, 0o666), "a", encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"log_file = '{self.path}' cannot be written to ({reason}); name another file") from None
        super().__init__(stream)
        self.setLevel(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))

    def said(self, message: str, level: int) -> None:
        """A line that was said on standard error (`terminal.listeners`)."""
        self.handle(logging.LogRecord(ROOT, level, "", 0, message, None, None))

    def handleError(self, record: logging.LogRecord) -> None:
        if not self.failed:
            self.failed = True
            say(f"botan-fast: warning: --log-file {self.path} cannot be written to any more", listened=False)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk left in the buffer
            self.stream.close()
        super().close()

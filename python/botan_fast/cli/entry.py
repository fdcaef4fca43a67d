"""The loop over the commands: one line for every mistake, and what Ctrl-C leaves to say."""

import argparse
import codecs
import contextlib
import errno
import os
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import TextIO

from .. import __version__, interruption
from ..errors import BotanFastError, BotanFastWarning
from ..processes import check_command, speaks
from ..terminal import say
from . import baseline, bench, collect, convert, demo, evaluate, figures, info, predict, report, simulate, sweep, train
from .config import Config, add_config
from .logs import ERROR, WARNING, add_arguments, keep_traceback, logging_to
from .parser import Parser, UsageError, with_options
from .requeue import requeue

__all__ = ["COMMANDS", "command_parser", "main"]

# In the order of --help.
COMMANDS = (train, evaluate, predict, baseline, convert, simulate, sweep, collect, figures, report, demo, bench, info)
_BROKEN_PIPE = 141  # as a shell reports a program that writes where nobody reads


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process, which then also handles Ctrl-C, SIGTERM,
        SIGHUP and SIGUSR1 at any moment (see `botan_fast.interruption`).

    Returns
    -------
    int
        0: done. 2: wrong arguments, bad input or a full disk, after one line on standard error. 130: interrupted by
        Ctrl-C, 143: by SIGTERM, 129: by SIGHUP, 138: by SIGUSR1, after one line, with everything finished saved. 141:
        nobody reads standard output.

    Examples
    --------
    >>> from botan_fast.cli import main
    >>> main(["evaluate", "--model", "missing.safetensors", "--data", "missing.npz"])
    2
    """
    if argv is not None:
        return _main(list(argv))
    interruption.install()
    _prepare_streams()
    warnings.showwarning = _warn  # type: ignore[assignment]  # takes what it does not look at as *_
    status = _main(sys.argv[1:])
    interruption.finish()
    return status


def _main(argv: list[str]) -> int:
    with contextlib.ExitStack() as log:  # open until the last line is said
        return _run(argv, log)


def _run(argv: list[str], log: contextlib.ExitStack) -> int:
    command, common, arguments = None, argparse.Namespace(debug=False), argparse.Namespace()
    try:
        try:
            command, common, arguments = _parse(argv)
        except SystemExit as stop:  # --help and --version
            status = int(stop.code or 0)
        else:
            check_command(command.NAME)
            if speaks(command.NAME):
                log.enter_context(logging_to(common.verbose, common.log_file, argv))
            given = argparse.Namespace(**vars(arguments))  # a command may change its own
            if not hasattr(command, "interrupted"):
                interruption.at_once()  # it does not go on when it is repeated
            with _warnings_in_one_line():
                status = command.run(given)
        _flush()
        return status
    except UsageError as error:
        return _fail(error) if speaks(next(iter(argv), None)) else 2
    except KeyboardInterrupt as stop:
        keep_traceback()
        return _interrupted(stop, command, arguments, argv)
    except BrokenPipeError:
        _forget_output()
        return _BROKEN_PIPE
    except Exception as error:
        keep_traceback()
        if interruption.status() is not None:  # a library made another error of the interruption
            return _interrupted(error, command, arguments, argv)
        if common.debug:
            raise
        if getattr(error, "elsewhere", False):
            return 2
        if isinstance(error, BotanFastError):
            return _fail(with_options(str(error), arguments, common))
        if isinstance(error, OSError):
            place = error.filename
            if place is None and error.errno in (errno.ENOSPC, errno.EBADF, errno.EIO):  # of files we know the names
                place = "standard output"
                _forget_output()
            return _fail(f"{place or 'system'}: {error.strerror or error}")
        if isinstance(error, MemoryError):
            return _fail(f"the memory of this machine does not suffice{f' ({error})' if str(error) else ''}")
        raise


def _interrupted(
    stop: BaseException, command: ModuleType | None, arguments: argparse.Namespace, argv: list[str]
) -> int:
    """The line after Ctrl-C, SIGTERM or SIGUSR1, and the status. What is saved is saved by now."""
    interruption.finish()  # another signal would say it once more
    more = getattr(stop, "saved", "")
    with contextlib.suppress(Exception):
        if command is not None and hasattr(command, "interrupted"):
            again, text = requeue(command, arguments)  # before the line: it says whether the job goes on by itself
            more += text
            if not again:
                more += command.interrupted(arguments, argv)
    if speaks(None if command is None else command.NAME):
        say(f"botan-fast: interrupted{more}", WARNING)
    return interruption.status() or 130


def command_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command line, and that of each command by its name.

    >>> from botan_fast.cli.entry import command_parser
    >>> list(command_parser()[1])[:3]
    ['train', 'evaluate', 'predict']
    """
    parser = Parser(prog="botan-fast", description="Train and use BOTAN, the graph neural network for glassy dynamics.")
    parser.add_argument("--version", action="version", version=f"botan-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(command.NAME, help=command.DESCRIPTION, description=command.DESCRIPTION)
        one.add_argument("--debug", action="store_true", help="show the traceback of an error")
        add_arguments(one)
        if hasattr(command, "TABLE"):
            add_config(one)
        command.add_arguments(one)
    return parser, commands.choices


def _parse(argv: list[str]) -> tuple[ModuleType, argparse.Namespace, argparse.Namespace]:
    """The command, the arguments that all commands have (debug, verbose, log_file), and the command's own."""
    parser, parsers = command_parser()
    by_name = {command.NAME: command for command in COMMANDS}
    config = None
    if argv and argv[0] in by_name:
        parsers[argv[0]].check_options(argv[1:])
        config = Config(by_name[argv[0]], COMMANDS, argv[1:])
        config.fill(parsers[argv[0]])
    options = vars(parser.parse_args(argv))
    command = by_name[options.pop("command")]
    common = argparse.Namespace(**{name: options.pop(name) for name in ("debug", "verbose", "log_file")})
    return command, common, argparse.Namespace(**options) if config is None else config.arguments(options)


@contextlib.contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print each `BotanFastWarning` once, as one line on standard error, while the block runs."""
    seen = set()
    with warnings.catch_warnings():
        plain = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: object, **rest: object) -> None:
            if not issubclass(category, BotanFastWarning):
                plain(message, category, *place, **rest)  # type: ignore[arg-type]
            elif (text := " ".join(str(message).split())) not in seen:
                seen.add(text)
                say(f"botan-fast: warning: {text}", WARNING)

        warnings.simplefilter("always", BotanFastWarning)
        warnings.showwarning = show
        yield


def _fail(message: object) -> int:
    # One line, whatever a message quotes from elsewhere.
    say(f"botan-fast: error: {' '.join(str(message).split())}", ERROR)
    return 2


def _warn(message: Warning | str, category: type[Warning], filename: str, *_: object) -> None:
    """A warning as one line. Others than ours have no remedy here, and a traceback's worth of source is no help."""
    if filename.startswith(os.path.dirname(os.path.dirname(__file__))):
        say(f"botan-fast: warning: {' '.join(str(message).split())}", WARNING)


def _prepare_streams() -> None:
    """Standard streams that can be written to, whatever the process was started with.

    Where a stream is closed the next file that is opened would get its number, and what a library prints there.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name in ("stdout", "stderr"):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)
        elif hasattr(stream, "reconfigure"):
            codecs.register_error("botan_fast", _as_it_can_be_shown)
            stream.reconfigure(errors="botan_fast")


def _as_it_can_be_shown(error: UnicodeError) -> tuple[bytes, int]:
    """Bytes of a file name as they are; any other character that the terminal cannot show as its code."""
    assert isinstance(error, UnicodeEncodeError)
    text = error.object[error.start : error.end]
    parts = [
        bytes([ord(c) - 0xDC00]) if "\udc80" <= c <= "\udcff" else c.encode("ascii", "backslashreplace") for c in text
    ]
    return b"".join(parts), error.end


def _flush() -> None:
    """What is still in the buffer of standard output goes out now, where a full disk is an error like others."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        _forget_output()
        raise BotanFastError(f"standard output cannot be written to ({error})") from None


def _forget_output() -> None:
    """Send what is left in the buffer of standard output nowhere: Python would try again when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)

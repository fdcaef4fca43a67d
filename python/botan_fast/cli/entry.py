"""The loop over the commands: one line for every mistake, and what Ctrl-C leaves to say."""

import argparse
import contextlib
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from .. import __version__
from ..errors import BotanFastError, BotanFastWarning
from . import bench, convert, demo, evaluate, info, predict, simulate, train
from .parser import Parser, UsageError

__all__ = ["COMMANDS", "main"]

COMMANDS = (train, evaluate, predict, convert, simulate, demo, bench, info)  # in the order of --help


def main(argv: list[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0: done. 2: wrong arguments or bad input, after one line on standard error. 130: interrupted by Ctrl-C.

    Examples
    --------
    >>> from botan_fast.cli import main
    >>> main(["evaluate", "--model", "missing.safetensors", "--data", "missing.npz"])
    2
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    try:
        command, debug, arguments = _parse(argv)
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except UsageError as error:
        return _fail(error)
    try:
        with _warnings_in_one_line():
            return command.run(arguments)
    except BotanFastError as error:
        if debug:
            raise
        return _fail(error)
    except OSError as error:
        if debug:
            raise
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        more = command.interrupted(arguments, argv) if hasattr(command, "interrupted") else ""
        print(f"botan-fast: interrupted{more}", file=sys.stderr)
        return 130


def _parse(argv: list[str]) -> tuple[ModuleType, bool, argparse.Namespace]:
    """The command, whether to show tracebacks, and the command's own arguments."""
    parser = Parser(prog="botan-fast", description="Train and use BOTAN, the graph neural network for glassy dynamics.")
    parser.add_argument("--version", action="version", version=f"botan-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(command.NAME, help=command.DESCRIPTION, description=command.DESCRIPTION)
        one.add_argument("--debug", action="store_true", help="show the traceback of an error")
        command.add_arguments(one)
    if argv and argv[0] in commands.choices:
        commands.choices[argv[0]].check_options(argv[1:])
    options = vars(parser.parse_args(argv))
    by_name = {command.NAME: command for command in COMMANDS}
    return by_name[options.pop("command")], options.pop("debug"), argparse.Namespace(**options)


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
                print(f"botan-fast: warning: {text}", file=sys.stderr)

        warnings.simplefilter("always", BotanFastWarning)
        warnings.showwarning = show
        yield


def _fail(message: object) -> int:
    # One line, whatever a message quotes from elsewhere.
    print(f"botan-fast: error: {' '.join(str(message).split())}", file=sys.stderr)
    return 2

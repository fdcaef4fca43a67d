"""The botan-fast command. Imports that take time are inside the functions that need them: --help answers at once."""

import argparse
import shlex
import sys

from .. import __version__
from ..errors import BotanFastError
from .evaluate import _add_evaluate
from .info import _add_info
from .options import _set_threads
from .parser import _add_command, _Parser, _UsageError
from .predict import _add_predict
from .train import _add_train

__all__ = ["main"]


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
        arguments = _parse(argv)
    except SystemExit as stop:  # --help and --version
        return int(stop.code or 0)
    except _UsageError as error:
        return _fail(error)
    try:
        return arguments.run(arguments)
    except BotanFastError as error:
        if arguments.debug:
            raise
        return _fail(error)
    except OSError as error:
        if arguments.debug:
            raise
        return _fail(f"{error.filename or 'system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("botan-fast: interrupted", file=sys.stderr)
        if arguments.command == "train":
            again = argv if arguments.resume else [*argv, "--resume"]
            print(f"continue with: botan-fast {shlex.join(again)}", file=sys.stderr)
        return 130


def _fail(message) -> int:
    # One line, whatever a message quotes from elsewhere.
    print(f"botan-fast: error: {' '.join(str(message).split())}", file=sys.stderr)
    return 2


# ---- the commands -----------------------------------------------------------------------------------------------


# ---- arguments --------------------------------------------------------------------------------------------------


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="botan-fast", description="Train and use BOTAN, the graph neural network for glassy dynamics."
    )
    parser.add_argument("--version", action="version", version=f"botan-fast {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    known = {
        "train": _add_train(commands),
        "evaluate": _add_evaluate(commands),
        "predict": _add_predict(commands),
        "convert": _add_convert(commands),
        "simulate": _add_simulate(commands),
        "demo": _add_demo(commands),
        "bench": _add_bench(commands),
        "info": _add_info(commands),
    }
    if argv and argv[0] in known:
        known[argv[0]].check_options(argv[1:])
    return parser.parse_args(argv)


def _add_simulate(commands) -> _Parser:
    from . import simulate

    parser = _add_command(commands, "simulate", simulate.run, simulate.DESCRIPTION)
    simulate.add_arguments(parser)
    return parser


def _add_convert(commands) -> _Parser:
    from . import convert

    parser = _add_command(commands, "convert", convert.run, convert.DESCRIPTION)
    convert.add_arguments(parser)
    return parser


def _add_demo(commands) -> _Parser:
    from . import demo_command

    parser = _add_command(commands, "demo", demo_command.run, demo_command.DESCRIPTION)
    demo_command.add_arguments(parser)
    return parser


def _add_bench(commands) -> _Parser:
    from . import bench

    def run(arguments) -> int:
        _set_threads(arguments)
        return bench.run(arguments)

    parser = _add_command(commands, "bench", run, bench.DESCRIPTION)
    bench.add_arguments(parser)
    return parser

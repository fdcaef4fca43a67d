"""botan-fast bench: the command line of `benchmark`. Imports that take time are inside the functions."""

import sys

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Check results and measure speed and memory on this machine, in about a minute, beside plain torch."


def add_arguments(parser) -> None:
    """Add the arguments of the command to an argparse parser."""
    add = parser.add_argument
    add("--size", type=int, default=4096, metavar="N", help="particles of the synthetic configuration")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--json", metavar="FILE", help="write all measurements to FILE")
    add("--quiet", action="store_true", help="no progress on standard error")


def run(arguments) -> int:
    """Run the command; returns the exit status."""
    import json
    from pathlib import Path

    from ..bench.benchmark import benchmark
    from ..bench.table import table
    from ..errors import InputError
    from ..files import atomic_write

    # What can be wrong is found before the minute of work.
    if arguments.json is not None:
        folder = Path(arguments.json).resolve().parent
        if not folder.is_dir():
            raise InputError(f"--json = '{arguments.json}': folder '{folder}' does not exist; create it first")
        if Path(arguments.json).is_dir():
            raise InputError(f"--json = '{arguments.json}' is a folder; give the name of a file")
    say = None if arguments.quiet else (lambda message: print(f"{message} ...", file=sys.stderr, flush=True))
    record = benchmark(arguments.size, progress=say)
    if arguments.json is not None:
        with atomic_write(arguments.json) as path:
            path.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))
    if arguments.json is not None:
        print(f"wrote {arguments.json}")
    return 0

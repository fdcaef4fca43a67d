"""botan-fast collect: the table of a sweep."""

import argparse
import sys
from pathlib import Path

from ..errors import InputError
from ..terminal import say

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "collect"
DESCRIPTION = "Print the results of a sweep as one table (CSV): a row for each result of a finished task."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("folder", metavar="DIR", help="folder of a sweep")
    parser.add_argument("--output", "-o", metavar="FILE.csv", help="write the table to FILE instead, in one step")
    parser.add_argument(
        "--complete", action="store_true", help="end with status 1 where a task is not finished, or has failed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..files import write_bytes
    from ..sweep.table import collect

    output = arguments.output
    if output is not None and (not output or Path(output).is_dir()):
        raise InputError(f"--output = {output!r} is not the name of a file; give one, such as table.csv")
    table = collect(arguments.folder)
    for line in table.missing:
        say(f"botan-fast: {line}")
    if output is None:
        sys.stdout.write(table.csv())
    else:
        write_bytes(output, table.csv().encode())
        print(f"{len(table.rows)} rows: {output}")
    return 1 if arguments.complete and table.missing else 0

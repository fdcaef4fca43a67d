"""botan-fast convert: configurations and their targets into one HDF5 data set."""

import argparse
import sys
from pathlib import Path

from ..interruption import finish
from .options import add_options, data_options, in_order, set_threads, training_with

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "interrupted", "run"]

NAME = "convert"
DESCRIPTION = "Store configurations and their targets in an HDF5 data set; merge data sets."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="files of any readable format, data sets, or quoted glob patterns")
    add("--output", "-o", required=True, metavar="FILE.h5", help="the data set; an interrupted one is continued")
    add("--append", action="store_true", help="add to a data set that exists")
    add_options(parser, "--force", help="overwrite a data set that exists")
    add_options(parser, "--time", help="time of the data; where the files tell, which to take")
    add_options(parser, "--temperature", help="temperature, in the same manner")
    add("--targets", default="SE", metavar="LETTERS", help="targets to store: S, and any of E, R, C, D, L")
    add("--inherent", action="store_true", help="store inherent structures too, of the Kob-Andersen potential")
    add("--cutoff", type=float, help="largest pair distance of E (default: 2, or that of the data sets)")
    add_options(parser, "--box", "--density", "--species", "--threads", "--quiet")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..data.conversion import convert
    from ..data.dataset import Dataset

    def report(path: Path) -> None:
        dataset = Dataset(path)
        print(dataset.describe())
        if dataset.has_targets:
            print(f"next: {training_with(dataset)}")
        sys.stdout.flush()
        finish()

    set_threads(arguments.threads)
    convert(
        in_order(arguments.inputs),
        arguments.output,
        **data_options(arguments),
        cutoff=arguments.cutoff,
        targets=arguments.targets,
        inherent=arguments.inherent,
        append=arguments.append,
        force=arguments.force,
        progress=not arguments.quiet,
        report=report,
    )
    return 0


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """What is kept."""
    # Where Ctrl-C came during its import, importing it again can fail, and nothing was begun.
    schema = sys.modules.get("botan_fast.data.schema")
    number = len(schema.finished_parts(arguments.output)) if schema else 0
    return f"; {number} finished configurations are kept, repeat the command to continue" if number else ""

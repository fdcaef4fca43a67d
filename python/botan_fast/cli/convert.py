"""botan-fast convert: configurations and their targets into one HDF5 data set."""

import argparse
import sys
from pathlib import Path

from ..data.options import CONVERT
from ..interruption import finish
from .arguments import add_options
from .options import data_options, potential, set_threads, training_with

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "interrupted", "run"]

NAME = "convert"
DESCRIPTION = "Store configurations and their targets in an HDF5 data set; merge data sets."
TABLE = CONVERT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


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
        arguments.inputs,
        arguments.output,
        **data_options(arguments),
        cutoff=arguments.cutoff,
        targets=arguments.targets,
        inherent=arguments.inherent,
        potential=potential(arguments.potential),
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

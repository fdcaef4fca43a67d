"""botan-fast report: one page of HTML about runs."""

import argparse

from ..report.options import REPORT
from .arguments import add_options
from .options import data_options, set_threads

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "run"]

NAME = "report"
DESCRIPTION = "Write one page of HTML about runs: scores, curves, figures, and particles that turn."
TABLE = REPORT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..device import choose_device
    from ..report.write import write_report

    set_threads(arguments.threads)
    path = write_report(
        arguments.runs,
        arguments.output,
        data=arguments.data,
        title=arguments.title,
        force=arguments.force,
        **data_options(arguments),
        windows=arguments.windows,
        device=choose_device(arguments.device),
        precision=arguments.precision,
        progress=not arguments.quiet,
    )
    print(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    return 0

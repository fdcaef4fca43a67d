"""botan-fast figures: the figures of the paper, of runs, sweeps and simulations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..data.options import QUIET, READING, THREADS
from ..errors import BotanFastError, InputError
from ..evaluation.options import DEVICE
from ..figures.options import FIGURES, FORMATS
from ..terminal import say
from .arguments import add_options
from .options import data_options, set_threads

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "run"]

NAME = "figures"
DESCRIPTION = "Draw the figures that runs, sweeps, predictions and simulations allow, and say what is left out and why."
TABLE = (*FIGURES, *READING, DEVICE, THREADS, QUIET)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from .drawing import Gallery, draw_predictions, draw_runs, draw_tables
    from .found import find

    set_threads(arguments.threads)
    output = Path(arguments.output)
    if not arguments.output or (output.exists() and not output.is_dir()):
        raise InputError(f"--output = '{arguments.output}' is not the name of a folder; give one")
    formats = [arguments.formats] if isinstance(arguments.formats, str) else arguments.formats
    unknown = next((kind for kind in formats if kind not in FORMATS), None)
    if unknown is not None:
        raise InputError(f"--formats = {unknown!r} is none of {', '.join(FORMATS)}; give one or more of them")
    if arguments.axis not in range(3):
        raise InputError(f"--axis = {arguments.axis} is no direction of a box; give 0, 1 or 2")
    runs = [arguments.runs] if isinstance(arguments.runs, str) else arguments.runs
    found = [find(path) for path in runs]
    gallery = Gallery(output, formats, arguments.force)
    draw_runs(gallery, found)
    draw_tables(gallery, [row for one in found for row in one.rows])
    to_see = [one for one in found if one.model is not None or one.predictions]
    for one in to_see:
        name = one.name if len(to_see) > 1 else ""
        data = arguments.data if arguments.data is not None else one.data
        try:
            seen = _seen(one, data, arguments)
        except BotanFastError as error:
            gallery.leave_out(f"predictions of {one.name}", str(error))
        else:
            draw_predictions(gallery, seen, name, data, arguments.slab, arguments.axis)
    if not to_see:
        gallery.leave_out("propensity, bonds, pair-change, agreement", "no RUN is a run folder or predictions")
    if not gallery.drawn:
        of_predictions = [line for line in gallery.left_out if line.startswith("predictions of")]
        raise InputError(f"there is nothing to draw: {'; '.join(of_predictions or gallery.left_out)}")
    for path in gallery.write():
        print(path)
    for line in (*(line for one in found for line in one.missing), *gallery.left_out):
        say(f"botan-fast: left out: {line}")
    return 0


def _seen(found: Any, data: Any, arguments: argparse.Namespace) -> list[Any]:
    """The predictions of a run's model, or those in files."""
    from ..device import choose_device
    from .seen import from_files, from_model

    if found.model is None:
        told = {name: getattr(arguments, name) for name in ("temperature", "time")}
        return list(from_files(found.predictions, {k: v[0] if v and len(v) == 1 else None for k, v in told.items()}))
    if data is None:
        raise InputError("its test data are not known; name data with --data")
    given = {name: value for name, value in data_options(arguments).items() if value is not None}
    options = {**(found.reading if arguments.data is None else {}), **given}
    return list(
        from_model(found, data, {**_NO_READING, **options}, choose_device(arguments.device), not arguments.quiet)
    )


_NO_READING = {option.name: None for option in READING}

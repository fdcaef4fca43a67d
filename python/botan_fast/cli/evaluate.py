"""botan-fast evaluate: the scores of a model."""

import argparse
import json
import math
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..evaluation.options import EVALUATE
from ..files import is_file, write_bytes
from .arguments import add_options
from .options import data_options, set_threads
from .scores_table import scores_table

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "run"]

NAME = "evaluate"
DESCRIPTION = "Print the scores of a model on configurations with trajectories."
TABLE = EVALUATE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..device import choose_device
    from ..evaluation.forward import named_model
    from ..evaluation.rows import scores_csv
    from ..evaluation.scores import evaluate
    from ..evaluation.seeds import evaluate_seeds

    set_threads(arguments.threads)
    if arguments.output is not None:
        _check_output(arguments.output, arguments.force)
    options = data_options(arguments) | {
        "windows": arguments.windows,
        "device": choose_device(arguments.device),
        "precision": arguments.precision,
        "progress": not (arguments.quiet or arguments.json),
    }
    if arguments.seeds:
        if arguments.rotations:
            raise InputError("--seeds scores each model alone, --rotations makes an ensemble; give one of them")
        scores = evaluate_seeds(arguments.model, arguments.data, **options)
    else:
        scores = evaluate(named_model(arguments.model, arguments.rotations), arguments.data, **options)
    if arguments.output is not None:
        text = scores_csv(scores) if _is_csv(arguments.output) else _json(scores) + "\n"
        write_bytes(arguments.output, text.encode())
    print(_json(scores) if arguments.json else scores_table(scores))
    return 0


def _check_output(output: str, force: bool) -> None:
    """Refuse, before the work, a file that is there and a folder that is not."""
    path = Path(output)
    if not output or path.is_dir():
        raise InputError(f"--output = {output!r} is not the name of a file; give one, such as scores.json")
    if not path.parent.is_dir():
        raise InputError(f"--output = '{output}': folder '{path.parent}' does not exist; create it first")
    if is_file(path) and not force:
        raise InputError(f"--output = '{output}' exists; name another file, or overwrite it with --force")


def _is_csv(output: str) -> bool:
    return Path(output).suffix.lower() == ".csv"


def _json(scores: dict) -> str:
    def number(value: Any) -> Any:  # JSON has no NaN and no infinity
        if isinstance(value, dict):
            return {name: number(part) for name, part in value.items()}
        if isinstance(value, list):
            return [number(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(number(scores))

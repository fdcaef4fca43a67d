"""botan-fast info: what this installation is, or what a model is."""

import argparse
import json
from dataclasses import asdict, replace

from ..evaluation.options import JSON, MODEL
from .arguments import add_options

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "info"
DESCRIPTION = "Print versions, instruction set, threads and devices; with --model, what a model was trained for."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    text = "tell of this model: a file, run folder, .pth, TensorFlow prefix"
    add_options(parser, (replace(MODEL, several=False, metavar=None, required=False, help=text), JSON))


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..info import build_info

    if arguments.model is not None:
        print(_model(arguments.model, arguments.json))
        return 0
    info = build_info()
    if arguments.json:
        print(json.dumps(info))
        return 0
    # Two facts that are easily taken for one another.
    cuda = f"kernels built: {'yes' if info['cuda'] else 'no'}, device: {info.pop('cuda_device') or 'none'}"
    absent = info.pop("cuda_absent")
    for name, value in {**info, "cuda": cuda}.items():
        print(f"{name:20}{value}".rstrip())
    if absent:
        print(f"no CUDA kernels: {absent}")  # pip shows nothing of a build that succeeds: here a user learns it
    return 0


def _model(path: str, as_json: bool) -> str:
    from ..model.checkpoint import load_model

    model = load_model(path)
    card = model.card
    if as_json:
        return json.dumps({"config": model.config, "card": None if card is None else asdict(card)})
    known = [("trained for", "unknown: the file has no model card")] if card is None else card.describe()
    lines = [*known, *((name.replace("_", " "), value) for name, value in model.config.items())]
    return "\n".join(f"{name:20}{value}" for name, value in lines)

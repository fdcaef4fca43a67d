"""botan-fast train: a model from configurations with trajectories."""

import argparse
import shlex

from ..processes import find_place, speaks
from ..training.options import TRAIN
from .arguments import add_options
from .options import data_options_text, set_threads, structure_options

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "interrupted", "run"]

NAME = "train"
DESCRIPTION = "Train a model on configurations with trajectories."
TABLE = TRAIN


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `train`, with its default, apart from threads."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..training.loop import train

    options = vars(arguments) | structure_options(arguments)
    set_threads(options.pop("threads"))
    train_files, test_files = options.pop("train"), options.pop("test")
    quiet = options.pop("quiet")
    result = train(train_files, test_files, progress=not quiet, **options)
    if not speaks(NAME):
        return 0
    last = result.history[result.epoch]
    labels = {"node_pearson": "node Pearson", "edge_pearson": "edge Pearson", "validation_loss": "validation loss"}
    scores = "".join(f", {label} {last[name]:.4f}" for name, label in labels.items() if last.get(name) is not None)
    print(f"{len(result.history)} epochs, train loss {last['train_loss']:.5f}{scores}")
    assert result.output is not None  # --output is required
    best = ", best.safetensors" if (result.output / "best.safetensors").exists() else ""
    print(f"model and history: {result.output} (last.safetensors{best}, history.csv)")
    data = shlex.join(test_files or train_files) + data_options_text(arguments)
    print(f"next: botan-fast predict --model {shlex.quote(str(result.output))} --data {data} -o predictions")
    return 0


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """The command that continues the run."""
    if find_place() is not None:
        return f"; continue with the same command{'' if arguments.resume else ' and --resume'}"
    again = argv if arguments.resume else [*argv, "--resume"]
    return f"; continue with: botan-fast {shlex.join(again)}"

"""botan-fast baseline: ridge regression on descriptors, what a network must beat."""

import argparse
import shlex
from typing import Any

from ..training.options import BASELINE
from .arguments import add_options
from .options import data_options_text, set_threads, structure_options

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "run"]

NAME = "baseline"
DESCRIPTION = "Fit a linear baseline (ridge regression on descriptors) to configurations with trajectories."
TABLE = BASELINE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `train_baseline`, with its default."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..training.baseline import train_baseline

    options: dict[str, Any] = vars(arguments) | structure_options(arguments)
    set_threads(options.pop("threads"))
    train_files, test_files, quiet = options.pop("train"), options.pop("test"), options.pop("quiet")
    result = train_baseline(train_files, test_files, progress=not quiet, **options)
    columns = result.model.node_input_mean.shape[0]
    print(f"{len(result.penalties)} regressions on {columns} columns, {result.seconds['fit']:.0f} s")
    labels = {"node_pearson": "node Pearson", "edge_pearson": "edge Pearson"}
    scores = [f"{label} {result.scores[name]:.4f}" for name, label in labels.items() if result.scores.get(name)]
    if scores:
        print(", ".join(scores))
    print(f"model and scores: {result.output} (last.safetensors, baseline.json)")
    data = shlex.join(test_files or train_files) + data_options_text(arguments)
    print(f"next: botan-fast predict --model {shlex.quote(str(result.output))} --data {data} -o predictions")
    return 0

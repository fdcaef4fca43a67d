"""botan-fast baseline: ridge regression on descriptors, what a network must beat."""

import argparse
import shlex
from typing import Any

from .options import (
    DATA_HELP,
    DATA_OPTIONS,
    STRUCTURE_OPTIONS,
    add_options,
    data_options,
    data_options_text,
    in_order,
    set_threads,
    structure_options,
)

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "baseline"
DESCRIPTION = "Fit a linear baseline (ridge regression on descriptors) to configurations with trajectories."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `train_baseline`, with its default."""
    add = parser.add_argument
    add("--train", nargs="+", required=True, metavar="DATA", help=f"training configurations: {DATA_HELP}")
    add("--test", nargs="+", metavar="DATA", help="test configurations, for the scores")
    add("--output", "-o", required=True, metavar="DIR", help="folder for the model and its scores")
    add("--force", action="store_true", help="fit again where DIR holds a baseline")
    add("--penalty", type=float, metavar="L", help="of the ridge (default: by leaving configurations out)")
    add("--no-edges", dest="edges", action="store_false", help="the propensity alone, no pair changes")
    add_options(parser, "--node-inputs", help="descriptors (default), energy, displacement, ...")
    add_options(parser, "--edge-inputs", help="radial, inherent (default: both)")
    add("--node-target", help="node target: S propensity (default), R, C, D, G or L")
    add("--cutoff", type=float, help="largest pair distance of an edge (default: 2)")
    add_options(parser, *STRUCTURE_OPTIONS, *DATA_OPTIONS, "--threads", "--quiet")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..training.baseline import train_baseline

    options: dict[str, Any] = vars(arguments) | data_options(arguments) | structure_options(arguments)
    set_threads(options.pop("threads"))
    train_files, test_files, quiet = options.pop("train"), options.pop("test"), options.pop("quiet")
    given = {name: value for name, value in options.items() if value is not None}
    result = train_baseline(in_order(train_files), test_files and in_order(test_files), progress=not quiet, **given)
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

"""botan-fast evaluate: the scores of a model."""

import argparse
import json
import math
from typing import Any

from .options import DATA_OPTIONS, RUN_OPTIONS, add_options, data_options, in_order, set_threads

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "evaluate"
DESCRIPTION = "Print the scores of a model on configurations with trajectories."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, "--model", "--data", "--json", "--precision", *DATA_OPTIONS, *RUN_OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..device import choose_device
    from ..evaluation.scores import evaluate

    set_threads(arguments.threads)
    scores = evaluate(
        arguments.model,
        in_order(arguments.data),
        **data_options(arguments),
        device=choose_device(arguments.device),
        precision=arguments.precision,
        progress=not (arguments.quiet or arguments.json),
    )
    print(_json(scores) if arguments.json else _table(scores))
    return 0


def _json(scores: dict) -> str:
    def number(value: Any) -> Any:  # JSON has no NaN and no infinity
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps({name: number(value) for name, value in scores.items()})


def _table(scores: dict) -> str:
    def number(name: str | None) -> str:
        if name is None:
            return ""
        return "-" if scores[name] is None else f"{scores[name]:.5f}"

    lines = [f"{'':42}{'mean over':>16}{'pooled':>10}", f"{'':42}{'configurations':>16}"]
    for label, mean, pooled in (
        ("node Pearson (type A)", "node_pearson", "node_pearson_pooled"),
        ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson", "edge_pearson_pooled"),
        ("node loss (mean squared error)", "node_loss", None),
        ("edge loss (mean squared error)", "edge_loss", None),
    ):
        lines.append(f"{label:42}{number(mean):>16}{number(pooled):>10}".rstrip())
    return "\n".join([*lines, f"{scores['num_configurations']} configurations"])

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
    from ..evaluation.scores import evaluate

    set_threads(arguments.threads)
    if arguments.output is not None:
        _check_output(arguments.output, arguments.force)
    scores = evaluate(
        named_model(arguments.model, arguments.rotations),
        arguments.data,
        **data_options(arguments),
        windows=arguments.windows,
        device=choose_device(arguments.device),
        precision=arguments.precision,
        progress=not (arguments.quiet or arguments.json),
    )
    if arguments.output is not None:
        write_bytes(arguments.output, (_json(scores) + "\n").encode())
    print(_json(scores) if arguments.json else _table(scores))
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


def _json(scores: dict) -> str:
    def number(value: Any) -> Any:  # JSON has no NaN and no infinity
        if isinstance(value, dict):
            return {name: number(part) for name, part in value.items()}
        if isinstance(value, list):
            return [number(part) for part in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return json.dumps(number(scores))


def _table(scores: dict) -> str:
    def number(name: str | None) -> str:
        if name is None:
            return ""
        return "-" if scores[name] is None else f"{scores[name]:.5f}"

    lines = [f"{'':42}{'mean over':>16}{'pooled':>10}", f"{'':42}{'configurations':>16}"]
    if "times" in scores:
        lines.append(f"mean over {len(scores['times'])} times")
    for label, mean, pooled in (
        ("node Pearson (type A)", "node_pearson", "node_pearson_pooled"),
        ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson", "edge_pearson_pooled"),
        ("node loss (mean squared error)", "node_loss", None),
        ("edge loss (mean squared error)", "edge_loss", None),
    ):
        lines.append(f"{label:42}{number(mean):>16}{number(pooled):>10}".rstrip())
    lines.append(f"{scores['num_configurations']} configurations")
    lines += _of_members(scores)
    rows = scores.get("conditions") or scores.get("times", [])
    if rows:
        lines += ["", *_rows(rows)]
    for name in ("node", "edge"):
        if any(f"{name}_transfer" in row for row in rows):
            lines += ["", *_transfer(name, rows, scores["outputs"])]
    return "\n".join(lines)


def _of_members(scores: dict) -> list[str]:
    """Of an ensemble: its members, what it gains over them, and what its spread tells."""
    members = scores.get("members", [])
    lines = ["", f"{'member':>11}{'node':>12}{'edge':>12}"] if members else []
    for number, row in enumerate(members, start=1):
        lines.append(f"{number:>11}{_cell(row['node_pearson']):>12}{_cell(row['edge_pearson']):>12}")
    if members:
        gains = []
        for name in ("node_pearson", "edge_pearson"):
            known = [row[name] for row in members if row[name] is not None]
            gains.append(f"{scores[name] - sum(known) / len(known):+.5f}" if known else "-")
        lines.append(f"{'gain':>11}{gains[0]:>12}{gains[1]:>12}   over the mean of the members")
    if "calibration" in scores:
        found = scores["calibration"]
        lines += ["", f"node spread and error, Pearson {_cell(found['pearson'])}; by fifths of the spread"]
        lines.append(f"{'spread':>11}" + "".join(f"{row['spread']:>12.5f}" for row in found["bins"]))
        lines.append(f"{'error':>11}" + "".join(f"{row['error']:>12.5f}" for row in found["bins"]))
    return lines


def _rows(rows: list[dict]) -> list[str]:
    """A line for each temperature and time of the data."""
    names = ("node_pearson", "node_pearson_pooled", "edge_pearson", "edge_pearson_pooled")
    lines = [
        f"{'temperature':>11}{'time':>12}{'node':>10}{'pooled':>10}{'edge':>10}{'pooled':>10}{'configurations':>16}"
    ]
    for row in rows:
        cells = "".join(f"{_cell(row[name]):>10}" for name in names)
        where = f"{_value(row.get('temperature')):>11}{_value(row['time']):>12}"
        lines.append(f"{where}{cells}{row['num_configurations']:>16}")
    return lines


def _transfer(name: str, rows: list[dict], times: list) -> list[str]:
    """Each output of a model against the data of each temperature and time."""
    heads = [f"t={_value(time)}" for time in times]
    lines = [f"{name} Pearson of each output with the data of each line", f"{'temperature':>11}{'time':>12}"]
    lines[-1] += "".join(f"{head:>12}" for head in heads)
    for row in rows:
        cells = "".join(f"{_cell(value):>12}" for value in row.get(f"{name}_transfer", ()))
        lines.append(f"{_value(row.get('temperature')):>11}{_value(row['time']):>12}{cells}")
    return lines


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"

"""The table of a sweep: one row for each result, as tidy data (a variable is a column, an observation a row)."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import BotanFastError
from ..files import FilePath
from .expansion import output_of
from .manifest import Manifest, Task
from .results import SCORES, baseline_rows, evaluate_rows, train_rows

__all__ = ["COLUMNS", "Table", "collect"]

# Always there, in this order; the other keys of grids come after `node_target`.
_FIRST = ("task", "stage", "command", "temperature", "time", "seed", "p", "num_steps", "recipe", "node_target")
_LAST = (
    *SCORES,
    *("validation_node_pearson", "validation_edge_pearson"),
    *("train_loss", "train_node_loss", "train_edge_loss", "validation_loss", "test_loss", "node_loss", "edge_loss"),
    *("num_configurations", "num_train", "pretrained", "epoch", "epochs", "seconds", "host"),
)
COLUMNS = (*_FIRST, *_LAST)
_READERS = {"train": train_rows, "baseline": baseline_rows, "evaluate": evaluate_rows}


@dataclass
class Table:
    """The rows of a sweep's table, as `collect` gives them.

    columns    names
    rows       dict for each row, numbers as they are in the files; what is unknown is left out
    missing    a line for each task that has no row yet, or whose output cannot be read
    """

    columns: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def csv(self) -> str:
        """As text: numbers in the shortest form that gives them back, nothing for what is unknown."""
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([_cell(row.get(name)) for name in self.columns] for row in self.rows)
        return text.getvalue()


def collect(folder: FilePath) -> Table:
    """The table of a sweep: a row for each result of the tasks that are done, in the order of the plan.

    It is the same text in whatever order, by whomever and in however many pieces the tasks were done, but for the last
    two columns, seconds and host.

    DataError where the folder holds no sweep.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    keys = dict.fromkeys(key for task in manifest for key in task.keys if key not in COLUMNS)
    table = Table([*_FIRST, *keys, *_LAST])
    for task in manifest:
        state = folder / "tasks" / task.name
        done = _read(state / "done.json")
        if done is None:
            failed = _read(state / "failed.json")
            reason = "not finished" if failed is None else f"failed: {failed.get('reason', 'no reason is recorded')}"
            table.missing.append(f"{task.name}: {reason}")
        elif task.command in _READERS:
            try:
                found = _READERS[task.command](folder / output_of(task))
            except BotanFastError as error:
                table.missing.append(f"{task.name}: {error}")
                continue
            table.rows += [
                _identity(task) | row | {name: done.get(name) for name in ("seconds", "host")} for row in found
            ]
    return table


def _identity(task: Task) -> dict[str, Any]:
    """What the plan says of a task: its place in the grid, and the options that have columns."""
    row: dict[str, Any] = {"task": task.name, "stage": task.stage, "command": task.command}
    names = ("temperature", "time", "seed", "p", "num_steps", "recipe", "node_target")
    row |= {name: task.options[name] for name in names if name in task.options}
    if task.command == "train":
        row.setdefault("recipe", "paper")
    return row | dict(task.keys)


def _read(path: Path) -> dict[str, Any] | None:
    """What a worker wrote of a task, or None; one that cannot be read counts as not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _cell(value: Any) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, (list, tuple)):
        return " ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True)
    if isinstance(value, bool):
        return str(value).lower()
    # 13 and 13.0 are one number, and nan is none.
    if isinstance(value, float):
        return "" if value != value else repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    return str(value)

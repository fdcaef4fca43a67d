"""What the outputs of tasks say, read without torch: history.csv, config.json, baseline.json, scores."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import printable

__all__ = ["SCORES", "TRAIN_COLUMNS", "baseline_rows", "evaluate_rows", "train_rows"]

SCORES = ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled")
TRAIN_COLUMNS = (
    *SCORES,
    *("validation_node_pearson", "validation_edge_pearson"),
    *("train_loss", "train_node_loss", "train_edge_loss", "validation_loss", "test_loss"),
)
_LONGEST_HEADER = 10_000_000  # bytes; a model has some thousand
_AT_TIME = re.compile(r"(.+)\[t=(.+)\]")


def train_rows(run: Path) -> list[dict[str, Any]]:
    """The row of the epoch that a run's result is of: the last one, or with patience the one of the lowest loss.

    Of a model for several times, a row for each with its coefficients, where they were computed.
    """
    config, history = _json(run / "config.json"), _history(run / "history.csv")
    settings, model = _part(config, "settings", run), _part(config, "model", run)
    row = _result(history, settings)
    common: dict[str, Any] = {name: settings.get(name) for name in ("seed", "p")}
    common |= {"num_steps": model.get("num_steps"), "node_target": model.get("node_target")}
    common |= {name: row.get(name) for name in TRAIN_COLUMNS}
    common["pretrained"] = int(bool(config.get("init")))
    common |= {"epoch": int(row["epoch"]), "epochs": len(history)} | _of_card(run)
    times: dict[float, dict[str, Any]] = {}
    for name, value in row.items():
        if (match := _AT_TIME.fullmatch(name)) and value is not None:
            times.setdefault(float(match[2]), {})[match[1]] = value
    if not times:
        return [common]
    pooled = dict.fromkeys(name for name in SCORES if name.endswith("pooled"))
    return [{**common, **pooled, "time": time, **times[time]} for time in sorted(times)]


def baseline_rows(run: Path) -> list[dict[str, Any]]:
    """The scores of a baseline on its test data."""
    said = _json(run / "baseline.json")
    model = _part(said, "model", run)
    common = {"node_target": model.get("node_target")} | _of_card(run)
    return [common | row for row in _rows(_part(said, "scores", run))]


def evaluate_rows(file: Path) -> list[dict[str, Any]]:
    """The scores of `evaluate`: a row for each temperature and time of the data, or for each time of the model."""
    return _rows(_json(file))


def _rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = scores.get("conditions") or scores.get("times") or [scores]
    names = (*SCORES, "node_loss", "edge_loss", "num_configurations")
    where = ("temperature", "time") if rows[0] is not scores else ()
    return [{name: row[name] for name in (*where, *names) if row.get(name) is not None} for row in rows]


def _of_card(run: Path) -> dict[str, Any]:
    """Number, temperature and time of the training data, from the card in the header of the model's file, if there."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        with open(run / "last.safetensors", "rb") as file:
            # As safetensors lays it out: the length of a JSON text in eight bytes, and the text.
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(length, _LONGEST_HEADER)))
        card = json.loads(header["__metadata__"]["card"])
        if isinstance(card["num_configurations"], int):
            found["num_train"] = card["num_configurations"]
        for name, values in (("temperature", card["temperatures"]), ("time", card["times"])):
            if values and all(isinstance(value, (int, float)) for value in values):
                found[name] = values
    return found


def _result(history: list[dict[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """As `botan_fast.training.validation.result_epoch` has it."""
    column = "validation_loss" if settings.get("validation") else "test_loss"
    known = [row for row in history if row.get(column) is not None]
    return min(known, key=lambda row: row[column]) if settings.get("patience") and known else history[-1]


def _history(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [
                {name: float(value) if value else None for name, value in row.items()} for row in csv.DictReader(file)
            ]
        if not rows or any(row.get("epoch") is None for row in rows):
            raise ValueError("it has no epochs")
        return rows
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise _broken(path, error) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda word: math.nan)
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
        return content
    except (OSError, ValueError, RecursionError) as error:
        raise _broken(path, error) from error


def _part(content: Mapping[str, Any], name: str, run: Path) -> dict[str, Any]:
    value = content.get(name)
    if not isinstance(value, dict):
        raise DataError(f"{run}: its files do not say {name}; repeat the task")
    return value


def _broken(path: Path, error: BaseException) -> DataError:
    reason = printable(getattr(error, "strerror", None) or error)
    return DataError(f"{path} cannot be read ({reason}); remove the done.json of its task, and it is repeated")

"""Which rows of a table belong into one figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .inputs import table

__all__ = ["plain", "scans", "transfer_of"]

# What makes two results incomparable, beside what the figure is against. Seeds are the spread that a figure shows.
_SETTINGS = ("command", "recipe", "node_target", "temperature", "time", "p", "num_steps", "num_train", "source",
             "pretrained", "epochs")  # fmt: skip


def scans(rows: Sequence[Mapping[str, Any]], x: str, score: str) -> list[dict[str, Any]]:
    """The rows that differ in `x` and in nothing else but their seeds: those of scans with two values or more.

    Of a sweep of everything, only the scans with more than half as many values as the longest one are kept: two models
    at every time are no scan of p, where one time has ten. An empty list where there is no scan.

    >>> from botan_fast.figures.tables import scans
    >>> rows = [{"p": p, "time": t, "node_pearson": 0.5} for t in (1, 2) for p in ((0, 0.4, 1) if t == 1 else (1,))]
    >>> [row["p"] for row in scans(rows, "p", "node_pearson")]
    [0.0, 0.4, 1.0]
    """
    known = [row for row in rows if _number(row.get(x)) is not None and _number(row.get(score)) is not None]
    if not known:
        return []
    # With fewer configurations a run of as many steps has more epochs; p = 1 has no edges to be pretrained on.
    free = {"num_train": ("epochs",), "p": ("pretrained",)}.get(x, ())
    settings = [name for name in _SETTINGS if name != x and name not in free]
    groups: dict[tuple, list[dict[str, Any]]] = {}
    for row in table("rows", known, x, score):
        groups.setdefault(tuple(plain(row.get(name)) for name in settings), []).append(row)
    if x == "p":
        groups = {key: _of_one_start(own) for key, own in groups.items()}
    sizes = {key: len({row[x] for row in own}) for key, own in groups.items()}
    least = max(2, max(sizes.values()) // 2 + 1)
    return [row for key, own in groups.items() if sizes[key] >= least for row in own]


def _of_one_start(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of rows with p < 1 those that began alike, pretrained or not: as most values of p did."""
    values: dict[Any, set[float]] = {}
    for row in rows:
        if row["p"] < 1:
            values.setdefault(plain(row.get("pretrained")), set()).add(row["p"])
    start = max(values, key=lambda one: len(values[one]), default=None)
    return [row for row in rows if row["p"] == 1 or plain(row.get("pretrained")) == start]


def transfer_of(
    rows: Sequence[Mapping[str, Any]], score: str = "node_pearson"
) -> tuple[list[list[float | None]], list[float], list[float]]:
    """The transfer matrix of a sweep: (matrix, temperatures of training, temperatures of the data); medians over seeds.

    The rows with `source`, the temperature of the training, as the plan `paper` names it. Where none of them is on data
    of the own temperature, the diagonal is of the runs themselves: rows of `train` with that temperature, and with the
    `source_time` of the others where they have it.
    Three empty lists where no row has a source.

    >>> from botan_fast.figures.tables import transfer_of
    >>> run = {"command": "train", "p": 0.4, "time": 4120, "temperature": 0.44, "node_pearson": 0.75}
    >>> far = {"command": "evaluate", "source": 0.44, "source_time": 4120, "temperature": 0.64, "node_pearson": 0.5}
    >>> transfer_of([run, far])
    ([[0.75, 0.5]], [0.44], [0.44, 0.64])
    """
    moved = [row for row in rows if None not in (_number(row.get(name)) for name in ("source", "temperature", score))]
    if not moved:
        return [], [], []
    cells: dict[tuple[float, float], list[float]] = {}
    times: dict[float, set[float | None]] = {}
    for row in table("rows", moved, "source", "temperature", score):
        cells.setdefault((row["source"], row["temperature"]), []).append(row[score])
        times.setdefault(row["source"], set()).add(_number(row.get("source_time")))
    evaluated = set(cells)
    for each in rows:
        own = _number(each.get("temperature"))
        p, value = _number(each.get("p")), _number(each.get(score))
        if own is None or own not in times or value is None or each.get("command") != "train" or p in (0, 1):
            continue
        if (own, own) in evaluated:
            continue
        if (each.get("node_target") or "S") == "S" and times[own] & {None, _number(each.get("time"))}:
            cells.setdefault((own, own), []).append(value)
    sources = sorted(times)
    targets = sorted({column for _, column in cells})
    matrix = [
        [float(np.median(cells[row, column])) if (row, column) in cells else None for column in targets]
        for row in sources
    ]
    return matrix, sources, targets


def _number(value: Any) -> float | None:
    found = plain(value)
    return found if isinstance(found, float) and np.isfinite(found) else None


def plain(value: Any) -> Any:
    """A number as a float, whatever wrote it, a list of one value as that; None for what is empty; else a text.

    >>> from botan_fast.figures.tables import plain
    >>> plain("0.440"), plain([0.44]), plain(""), plain("paper")
    (0.44, 0.44, None, 'paper')
    """
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)

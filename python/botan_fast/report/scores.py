"""Scores as rows of tables: a value, its interval over configurations, and what it is of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cell", "Table", "comparison", "condition_table", "score_table"]

_FIRST = (
    ("particles of type A", "node_pearson", "node_pearson_pooled", "node_loss"),
    ("A-A pairs, r < 1.35", "edge_pearson", "edge_pearson_pooled", "edge_loss"),
)
_MEASURES = (
    ("Pearson", "pearson"),
    ("pooled", "pearson_pooled"),
    ("Spearman", "spearman"),
    ("slope", "slope"),
    ("mean squared error", "loss"),
    ("ceiling", "ceiling"),
)


@dataclass(frozen=True)
class Cell:
    """A number in a table as text, and its interval, "" where it has none.

    >>> from botan_fast.report.scores import Cell
    >>> Cell.of(0.51234, [0.48, 0.55])
    Cell(text='0.512', interval='0.480 to 0.550')
    >>> Cell.of(None)
    Cell(text='–', interval='')
    """

    text: str
    interval: str = ""

    @classmethod
    def of(cls, value: Any, interval: Any = None) -> "Cell":
        """A number with three digits behind the point, or three in all where it is small."""
        if not _known(value):
            return cls("–")
        between = isinstance(interval, Sequence) and len(interval) == 2 and all(map(_known, interval))
        return cls(_number(value), f"{_number(interval[0])} to {_number(interval[1])}" if between else "")


@dataclass(frozen=True)
class Table:
    """A table: its caption, the heads of its columns, and rows, each a name and as many cells as there are heads."""

    caption: str
    heads: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def score_table(scores: Mapping[str, Any]) -> Table:
    """What `evaluate` says of one model: a row for each species and each kind of pair, as far as it tells of them.

    >>> from botan_fast.report.scores import score_table
    >>> table = score_table({"node_pearson": 0.5, "node_loss": 0.01, "num_configurations": 2})
    >>> table.heads, [name for name, cells in table.rows]
    (['Pearson', 'pooled', 'mean squared error'], ['particles of type A'])
    """
    number = scores.get("num_configurations", 0)
    caption = f"Means over {number} configuration{'' if number == 1 else 's'}"
    caption += f" and {len(scores['times'])} times" if scores.get("times") else ""
    detailed = [(f"particles of type {name}", row) for name, row in scores.get("species", {}).items()]
    detailed += [(_pairs(name, row), row) for name, row in scores.get("pairs", {}).items()]
    if not detailed:
        return Table(caption, ["Pearson", "pooled", "mean squared error"], _first_rows(scores))
    measures = [(head, name) for head, name in _MEASURES if any(_known(row.get(name)) for _, row in detailed)]
    rows = []
    for label, row in detailed:
        intervals = row.get("interval") or {}
        rows.append((label, [Cell.of(row.get(name), intervals.get(name)) for _, name in measures]))
    some = any(cell.interval for _, cells in rows for cell in cells)
    caption += "; below each, the interval that holds the mean with 95 %" if some else ""
    return Table(caption, [head for head, _ in measures], rows)


def condition_table(scores: Mapping[str, Any]) -> Table | None:
    """A row for each temperature and time, where `evaluate` tells of several; else None."""
    rows = scores.get("conditions") or scores.get("times")
    if not rows:
        return None
    made = []
    for row in rows:
        temperature, time = row.get("temperature"), row.get("time")
        names = [] if temperature is None else [f"T = {temperature:g}"]
        names += [] if time is None else [f"t = {time:g}"]
        made.append((", ".join(names) or "unknown", _main_cells(row)))
    return Table("Pearson, by temperature and time", ["particles of type A", "A-A pairs, r < 1.35"], made)


def comparison(named: Iterable[tuple[str, Mapping[str, Any] | None]]) -> Table:
    """A row for each run, with its node and edge score; dashes for one without scores."""
    rows = [(name, _main_cells(scores or {})) for name, scores in named]
    return Table("Pearson of each run", ["particles of type A", "A-A pairs, r < 1.35"], rows)


def _main_cells(scores: Mapping[str, Any]) -> list[Cell]:
    intervals = scores.get("intervals") or {}
    return [Cell.of(scores.get(name), intervals.get(name)) for name in ("node_pearson", "edge_pearson")]


def _first_rows(scores: Mapping[str, Any]) -> list[tuple[str, list[Cell]]]:
    intervals = scores.get("intervals") or {}
    rows = []
    for label, *names in _FIRST:
        if any(scores.get(name) is not None for name in names):
            rows.append((label, [Cell.of(scores.get(name), intervals.get(name)) for name in names]))
    return rows


def _pairs(name: str, row: Mapping[str, Any]) -> str:
    window = row.get("window")
    return f"{name} pairs, {_window(window)}" if isinstance(window, Sequence) and len(window) == 2 else f"{name} pairs"


def _window(window: Sequence[float]) -> str:
    low, high = window
    return f"r < {high:g}" if low == 0 else f"{low:g} ≤ r < {high:g}"


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.3g}"

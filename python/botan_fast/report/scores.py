"""Scores as rows of tables: a value, its interval over configurations, and what it is of."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "UNKNOWN",
    "Cell",
    "Table",
    "ceiling_note",
    "comparison",
    "condition_table",
    "heterogeneity_table",
    "score_table",
]

COEFFICIENT = 3  # digits behind the point
_FIRST = (
    ("particles of type A", "node_pearson", "node_pearson_pooled", "node_loss"),
    ("A-A pairs, r < 1.35 σ", "edge_pearson", "edge_pearson_pooled", "edge_loss"),
)
_MEASURES = (
    ("Pearson", "pearson", COEFFICIENT),
    ("ceiling", "ceiling", COEFFICIENT),
    ("pooled", "pearson_pooled", COEFFICIENT),
    ("Spearman", "spearman", COEFFICIENT),
    ("slope", "slope", 2),
    ("MSE / σ²", "loss", None),
)


_MAIN = ("particles of type A", "ceiling", "A-A pairs, r < 1.35 σ", "ceiling")
UNKNOWN = "–"


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
    def of(cls, value: Any, interval: Any = None, digits: int | None = None) -> "Cell":
        """A number with so many digits behind the point, by default with three in all; its interval has as many."""
        if not _known(value):
            return cls(UNKNOWN)
        digits = _digits(value) if digits is None else digits
        between = isinstance(interval, Sequence) and len(interval) == 2 and all(map(_known, interval))
        ends = [_number(end, digits) for end in interval] if between else []
        return cls(_number(value, digits), " to ".join(ends))


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
    (['Pearson', 'pooled', 'MSE / σ²'], ['particles of type A'])
    """
    number = scores.get("num_configurations", 0)
    caption = f"Means over {number} configuration{'' if number == 1 else 's'}"
    caption += f" and {len(scores['times'])} times" if scores.get("times") else ""
    detailed = [(f"particles of type {name}", row) for name, row in scores.get("species", {}).items()]
    for name, whole in scores.get("pairs", {}).items():
        detailed += [(_pairs(name, row), row) for row in (whole, *whole.get("bins", ()))]
    if not detailed:
        return Table(caption, ["Pearson", "pooled", "MSE / σ²"], _first_rows(scores))
    measures = [one for one in _MEASURES if any(_known(row.get(one[1])) for _, row in detailed)]
    rows = []
    for label, row in detailed:
        intervals = row.get("interval") or {}
        rows.append((label, [Cell.of(row.get(name), intervals.get(name), digits) for _, name, digits in measures]))
    some = any(cell.interval for _, cells in rows for cell in cells)
    caption += "; below each, its 95 % interval over configurations" if some else ""
    caption += "; MSE: the mean squared error" if any(name == "loss" for _, name, _ in measures) else ""
    return Table(caption, [head for head, *_ in measures], rows)


def ceiling_note(scores: Mapping[str, Any]) -> str:
    """What the ceiling is, or why there is none; "" where `evaluate` tells neither.

    >>> from botan_fast.report.scores import ceiling_note
    >>> ceiling_note({"ceiling_reason": "targets of one run have no halves to compare"})
    'No ceiling: targets of one run have no halves to compare.'
    """
    if scores.get("ceiling_reason"):
        return f"No ceiling: {scores['ceiling_reason']}."
    if not scores.get("ceiling"):
        return ""
    runs = scores["ceiling"]["runs"]
    return (
        f"Ceiling: the Pearson that a perfect model would have, for the targets are means over {runs} runs and hold "
        "their noise (from two halves of the runs, after Spearman and Brown)."
    )


def heterogeneity_table(scores: Mapping[str, Any]) -> Table | None:
    """chi_4 of the actual and of the predicted values, where `evaluate` has it: of several configurations of a state.

    >>> from botan_fast.report.scores import heterogeneity_table
    >>> chi = {"actual": 2.0, "predicted": 1.5, "interval": {"actual": [1.0, 3.0], "predicted": None}}
    >>> made = heterogeneity_table({"heterogeneity": {"species": "A", "length": 0.1, "chi_4": chi}})
    >>> made.rows[0][1][0]
    Cell(text='2.00', interval='1.00 to 3.00')
    """
    held = scores.get("heterogeneity") or {}
    found = held.get("chi_4")
    if not found:
        return None
    cells = [Cell.of(found[name], (found.get("interval") or {}).get(name)) for name in ("actual", "predicted")]
    caption = (
        f"Dynamic heterogeneity: fluctuations between configurations of the number of particles of type "
        f"{held['species']} that have moved less than the median, {Cell.of(held['length']).text} σ"
    )
    return Table(caption, ["simulation", "model"], [("χ₄", cells)])


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
    return _without_unknown(Table("Pearson, by temperature and time", _MAIN, made))


def comparison(named: Iterable[tuple[str, Mapping[str, Any] | None]]) -> Table:
    """A row for each run, with its node and edge score and their ceilings; dashes for one without scores."""
    rows = [(name, _main_cells(scores or {})) for name, scores in named]
    return _without_unknown(
        Table("Pearson of each run; below each, its 95 % interval over configurations", _MAIN, rows)
    )


def _main_cells(scores: Mapping[str, Any]) -> list[Cell]:
    intervals, ceiling = scores.get("intervals") or {}, scores.get("ceiling") or {}
    cells = []
    for kind in ("node", "edge"):
        name = f"{kind}_pearson"
        cells += [
            Cell.of(scores.get(name), intervals.get(name), COEFFICIENT),
            Cell.of(ceiling.get(kind), digits=COEFFICIENT),
        ]
    return cells


def _without_unknown(table: Table) -> Table:
    """Without columns of ceilings that nobody knows."""
    kept = [
        k
        for k, head in enumerate(table.heads)
        if head != "ceiling" or any(cells[k].text != UNKNOWN for _, cells in table.rows)
    ]
    rows = [(name, [cells[k] for k in kept]) for name, cells in table.rows]
    return Table(table.caption, [table.heads[k] for k in kept], rows)


def _first_rows(scores: Mapping[str, Any]) -> list[tuple[str, list[Cell]]]:
    intervals = scores.get("intervals") or {}
    rows = []
    for label, *names in _FIRST:
        if any(scores.get(name) is not None for name in names):
            digits = [None if name.endswith("loss") else COEFFICIENT for name in names]
            cells = [Cell.of(scores.get(n), intervals.get(n), d) for n, d in zip(names, digits, strict=True)]
            rows.append((label, cells))
    return rows


def _pairs(name: str, row: Mapping[str, Any]) -> str:
    window = row.get("window")
    return f"{name} pairs, {_window(window)}" if isinstance(window, Sequence) and len(window) == 2 else f"{name} pairs"


def _window(window: Sequence[float]) -> str:
    low, high = window
    return f"r < {high:g} σ" if low == 0 else f"{low:g} ≤ r < {high:g} σ"


def _known(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _digits(value: float) -> int:
    """How many digits behind the point show three of a number."""
    return min(12, max(0, 2 - math.floor(math.log10(abs(value)))) if value else 3)


def _number(value: float, digits: int) -> str:
    shown = f"{value:.{digits}f}"
    return shown.replace("-", "−") if float(shown) else "0"

"""The scores of a model as a table on the screen."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["one_by_one", "scores_table"]

WIDTH = 80  # of a screen
_OUTPUTS = 4  # of a model that have a line beside each other
_STATES = 4  # temperatures and times of which the screen shows all scores; more would bury the others
_FIRST = (
    ("node Pearson (type A)", "node_pearson", "node_pearson_pooled"),
    ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson", "edge_pearson_pooled"),
    ("node loss (mean squared error)", "node_loss", None),
    ("edge loss (mean squared error)", "edge_loss", None),
)


def scores_table(scores: Mapping[str, Any]) -> str:
    """What `evaluate` prints: the scores of the paper, then those one by one, then what is particular to a model."""
    lines = [f"{'':42}{'mean over':>16}{'pooled':>10}", f"{'':42}{'configurations':>16}"]
    if "times" in scores:
        lines.append(f"mean over {len(scores['times'])} times")
    for label, mean, pooled in _FIRST:
        cells = f"{_cell(scores[mean]):>16}{_cell(scores[pooled]) if pooled else '':>10}"
        lines.append(f"{label:42}{cells}".rstrip())
    lines.append(_number(scores["num_configurations"], "configuration"))
    lines += _of_seeds(scores)
    lines += _of_members(scores)
    rows = scores.get("conditions") or scores.get("times", [])
    lines += one_by_one(scores)
    if rows:
        lines += ["", *(_ranges(rows) if "range" in rows[0] else _rows(rows))]
        if len(rows) > _STATES:
            lines.append("one by one they are in --json, and in the file of --output")
        for row in rows if len(rows) <= _STATES else ():
            lines += one_by_one(row, f" at temperature {_value(row.get('temperature'))}, time {_value(row['time'])}")
    for name in ("node", "edge"):
        if any(f"{name}_transfer" in row for row in rows):
            lines += ["", *_transfer(name, rows, scores["outputs"])]
    return "\n".join(lines)


def one_by_one(scores: Mapping[str, Any], where: str = "") -> list[str]:
    """A line for each species, and for each pair of species and window; the ceiling and chi_4 below."""
    if not scores.get("species") and not scores.get("pairs"):
        return []
    groups = _groups(scores)
    size = max(17, *map(len, groups))
    head = f"{'':{size}}{'Pearson':>8}{'95 % interval':>19}{'ceiling':>8}{'Spearman':>9}{'slope':>9}{'loss':>10}"
    lines = ["", f"one by one{where}", head] if where else ["", head]
    lines += [f"{label:{size}}{_line(found)}" for label, found in groups.items()]
    if all(found["num_configurations"] == 1 for found in groups.values()):
        lines.append("no intervals: they are over configurations, and need two of them")
    if scores["ceiling_reason"] is not None:
        lines += textwrap.wrap(f"no ceiling: {scores['ceiling_reason']}", WIDTH)
    elif scores["ceiling"] is not None:
        lines.append(f"ceiling: the Pearson of a perfect model with targets of {scores['ceiling']['runs']} runs")
    heterogeneity = scores["heterogeneity"]
    if heterogeneity is not None and heterogeneity["chi_4"] is not None:
        found = heterogeneity["chi_4"]
        interval = {name: _interval(value) for name, value in found["interval"].items()}
        lines.append(
            f"chi_4 (type A): actual {found['actual']:.4g} {interval['actual']}".rstrip()
            + f", predicted {found['predicted']:.4g} {interval['predicted']}".rstrip()
        )
    return lines


def _groups(scores: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Groups of particles and of pairs by their names on the screen."""
    found = {f"node {name}": of_species for name, of_species in scores["species"].items()}
    for name, whole in scores["pairs"].items():
        for of_window in (whole, *whole.get("bins", ())):
            low, high = of_window["window"]
            window = f"r<{high:g}" if low == 0 else f"{low:g}-{high:g}"
            found[f"edge {name} {window}"] = of_window
    return found


def _line(found: Mapping[str, Any]) -> str:
    slope = found["slope"]
    return (
        f"{found['pearson']:>8.4f}{_interval(found['interval']['pearson'], '.4f'):>19}"
        f"{'-' if found['ceiling'] is None else format(found['ceiling'], '.4f'):>8}"
        f"{found['spearman']:>9.4f}{slope:>9{'.4f' if not abs(slope) >= 100 else '.2e'}}{found['loss']:>10.4g}"
    )


def _interval(interval: Sequence[float] | None, form: str = ".4g") -> str:
    return "" if interval is None else f"[{interval[0]:{form}}, {interval[1]:{form}}]"


def _of_seeds(scores: Mapping[str, Any]) -> list[str]:
    """Of trainings that differ in their seed: how far the scores scatter, and each of them."""
    if "seeds" not in scores:
        return []
    lines = ["", f"{_number(len(scores['seeds']), 'seed')}; above are medians"]
    lines.append(f"{'':30}{'median':>10}{'best':>10}{'worst':>10}")
    for name, found in scores["range"].items():
        if found is not None:
            cells = "".join(f"{found[key]:>10.5f}" for key in ("median", "best", "worst"))
            lines.append(f"{name.replace('_', ' '):30}{cells}")
    if scores["range_of_groups"]:
        for label, of_group in _groups(scores["range_of_groups"]).items():
            cells = "".join(f"{of_group['pearson'][key]:>10.5f}" for key in ("median", "best", "worst"))
            lines.append(f"{f'Pearson, {label}':30}{cells}")
    lines += ["", f"{'node':>10}{'edge':>10}  model"]
    for one in scores["seeds"]:
        lines.append(f"{_cell(one['node_pearson']):>10}{_cell(one['edge_pearson']):>10}  {one['model']}")
    return lines


def _of_members(scores: Mapping[str, Any]) -> list[str]:
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


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
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


def _ranges(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of seeds, a line for each temperature and time: median, best and worst as the figures of the paper have them."""
    keys = ("median", "best", "worst")
    lines = [
        f"{'Pearson':21}{'node':>27}{'edge':>27}".rstrip(),
        f"{'temperature':>11}{'time':>10}" + "".join(f"{key:>9}" for key in keys * 2),
    ]
    for row in rows:
        found = [row["range"][f"{name}_pearson"] or dict.fromkeys(keys) for name in ("node", "edge")]
        cells = "".join(f"{_cell(one[key]):>9}" for one in found for key in keys)
        lines.append(f"{_value(row.get('temperature')):>11}{_value(row['time']):>10}{cells}")
    return lines


def _transfer(name: str, rows: Sequence[Mapping[str, Any]], times: Sequence[Any]) -> list[str]:
    """Each output of a model against the data of each temperature and time, some outputs beside each other."""
    lines = [f"{name} Pearson of each output with the data of each line"]
    for first in range(0, len(times), _OUTPUTS):
        chosen = slice(first, first + _OUTPUTS)
        heads = [f"t={_value(time)}" for time in times[chosen]]
        lines.append(f"{'temperature':>11}{'time':>12}" + "".join(f"{head:>12}" for head in heads))
        for row in rows:
            cells = "".join(f"{_cell(value):>12}" for value in row.get(f"{name}_transfer", ())[chosen])
            lines.append(f"{_value(row.get('temperature')):>11}{_value(row['time']):>12}{cells}")
    return lines


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.5f}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"

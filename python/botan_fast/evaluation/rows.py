"""The scores of `evaluate` as tidy rows: one for each model, temperature, time, and group of particles or pairs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["COLUMNS", "score_rows", "scores_csv"]

_WITH_INTERVAL = ("pearson", "spearman", "loss", "slope", "pearson_pooled", "slope_pooled")
COLUMNS = (
    *("model", "temperature", "time", "of", "group", "window_low", "window_high", "num_configurations", "number"),
    *(f"{name}{end}" for name in _WITH_INTERVAL for end in ("", "_low", "_high")),
    *("spearman_pooled", "reliability", "ceiling", "chi_4", "chi_4_predicted"),
)
"""The columns of the table: what a row is of, then measures with the ends of their 95 % intervals."""


def score_rows(scores: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each group of particles ("node": A, B, ...) and of pairs ("edge": A-A, ..., and window of r_ij(0)).

    Of data at several temperatures or times the rows of each. Of several seeds the rows of each model, and behind them
    those of `model` "median", "best" and "worst", of each coefficient by itself. Keys are of `COLUMNS`, and those
    without a value are left out; `chi_4` is in the row of the node target of type A. What a table cannot hold, the
    spatial correlation and the transfer between times, is in the dict alone.

    >>> from botan_fast.evaluation.rows import score_rows
    >>> interval = {"pearson": [0.6, 0.8]}
    >>> of_a = {"number": 80, "num_configurations": 3, "pearson": 0.7, "interval": interval}
    >>> score_rows({"time": 13.0, "species": {"A": of_a}, "pairs": {}})[0]["pearson_low"]
    0.6
    """
    if "seeds" in scores:
        each = [{"model": one["model"], **row} for one in scores["seeds"] for row in score_rows(one)]
        return each + [row for key in ("median", "best", "worst") for row in _over_seeds(scores, key)]
    return [where | row for state, where in _states(scores) for row in _groups(state)]


def scores_csv(scores: Mapping[str, Any]) -> str:
    """`score_rows` as CSV (RFC 4180, lines end in a line feed), numbers in the shortest form that gives them back.

    Nothing stands for what is unknown, or no number.

    >>> from botan_fast.evaluation.rows import scores_csv
    >>> scores_csv({"species": {}, "pairs": {}}).split(",")[:3]
    ['model', 'temperature', 'time']
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for row in score_rows(scores):
        known = {key: value for key, value in row.items() if not isinstance(value, float) or math.isfinite(value)}
        writer.writerow(known)
    return text.getvalue()


def _states(scores: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], dict[str, Any]]]:
    """The scores of each temperature and time, and the columns that say which."""
    for state in scores.get("conditions") or scores.get("times") or [scores]:
        yield state, {name: state[name] for name in ("temperature", "time") if state.get(name) is not None}


def _over_seeds(scores: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
    """Rows of the "median", "best" or "worst" of the seeds."""
    for state, where in _states(scores):
        of_groups = state.get("range_of_groups", {})
        for kind, of in (("species", "node"), ("pairs", "edge")):
            for name, whole in of_groups.get(kind, {}).items():
                for found in (whole, *whole.get("bins", ())):
                    row = {"model": key, **where, "of": of, "group": name}
                    if "window" in found:
                        row["window_low"], row["window_high"] = found["window"]
                    known = {score: value for score, value in found.items() if isinstance(value, Mapping)}
                    yield row | {
                        "num_configurations": state["num_configurations"],
                        **{score: value[key] for score, value in known.items()},
                    }


def _groups(state: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, found in state.get("species", {}).items():
        row = {"of": "node", "group": name, **_row(found)}
        heterogeneity = state.get("heterogeneity")
        if heterogeneity is not None and heterogeneity["species"] == name and heterogeneity["chi_4"] is not None:
            row["chi_4"] = heterogeneity["chi_4"]["actual"]
            row["chi_4_predicted"] = heterogeneity["chi_4"]["predicted"]
        yield row
    for name, whole in state.get("pairs", {}).items():
        for found in (whole, *whole.get("bins", ())):
            low, high = found["window"]
            yield {"of": "edge", "group": name, "window_low": low, "window_high": high, **_row(found)}


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    row = {name: found[name] for name in COLUMNS if found.get(name) is not None}
    for name, interval in found["interval"].items():
        if interval is not None:
            row[f"{name}_low"], row[f"{name}_high"] = interval
    return row

"""The grid of a stage: tables of values become rows, and rows become names of tasks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import product
from typing import Any

from ..files import printable
from ..paper import TAU_ALPHA, times_of
from .plan import refuse

__all__ = ["label", "rows", "shard_suffix", "task_name"]

_MOST = 100_000  # rows of one stage
_LONGEST = 150  # characters of a task's name, which gets endings
# Short words of keys in names; others are written out.
_SHORT = {"temperature": "T", "time": "t", "num_steps": "n", "node_target": ""}


def rows(grid: tuple[Mapping[str, Any], ...], where: str) -> list[dict[str, Any]]:
    """The points of a grid: of each table the product of its lists, the last key fastest; of several, one by one.

    >>> from botan_fast.sweep.grid import rows
    >>> rows(({"temperature": 0.64, "time": "tau_alpha", "seed": [0, 1]},), "plan.toml: stage botan")
    [{'temperature': 0.64, 'time': 16.5, 'seed': 0}, {'temperature': 0.64, 'time': 16.5, 'seed': 1}]
    """
    found: list[dict[str, Any]] = []
    for table in grid:
        for key, value in table.items():
            _check(key, value, where)
        # The times of a word depend on the temperature, which may stand behind it.
        first = {key: value for key, value in table.items() if not (key == "time" and isinstance(value, str))}
        number = 1
        for key, value in first.items():
            number *= len(_values(key, value, where))
        if number > _MOST:
            refuse(where, f"grid has {number} points, more than {_MOST}; make several plans of it")
        for point in product(*(_values(key, value, where) for key, value in first.items())):
            row = dict(zip(first, point, strict=True))
            if len(first) == len(table):
                found.append(row)
                continue
            times = _times(table["time"], row, where)
            found += [{key: time if key == "time" else row[key] for key in table} for time in times]
    return found


def _check(key: str, value: Any, where: str) -> None:
    values = value if isinstance(value, list) else [value]
    if not values:
        refuse(where, f"grid: {printable(key)} = [] has no value; give one, or leave {printable(key)} out")
    for one in values:
        flat = one if isinstance(one, list) else [one]
        if not all(isinstance(part, (str, int, float)) for part in flat):
            refuse(where, f"grid: {printable(key)} = {printable(one, 60)}; give texts, numbers, true or false")


def _values(key: str, value: Any, where: str) -> list[Any]:
    if key == "shard" and isinstance(value, int):
        if isinstance(value, bool) or not 0 < value <= _MOST:
            refuse(where, f"grid: shard = {value}; give the number of shards, such as 8, or a list such as ['1/8']")
        return [f"{number}/{value}" for number in range(1, value + 1)]
    return value if isinstance(value, list) else [value]


def _times(word: str, row: Mapping[str, Any], where: str) -> list[float]:
    if word not in ("paper", "tau_alpha"):
        refuse(where, f"grid: time = {printable(word)!r}; give numbers, 'paper' (Table I) or 'tau_alpha'")
    temperature = row.get("temperature")
    if not isinstance(temperature, (int, float)):
        refuse(where, f"grid: time = '{word}' depends on the temperature; give temperature in the same table")
    times = times_of(temperature)
    if times is None:
        known = ", ".join(f"{at:g}" for at in TAU_ALPHA)
        refuse(where, f"grid: time = '{word}' at temperature = {temperature:g}; known at {known}, else give numbers")
    if word == "paper":
        return list(times)
    return [next(tau for at, tau in TAU_ALPHA.items() if times_of(at) == times)]


def label(key: str, value: Any) -> str:
    """A value in the name of a task: T0.44, t4120, seed0, p0.4, n7.

    >>> from botan_fast.sweep.grid import label
    >>> label("temperature", 0.5), label("num_steps", 7), label("node_target", "R"), label("recipe", "a/b c")
    ('T0.5', 'n7', 'R', 'recipe=a_b_c')
    """
    parts = value if isinstance(value, list) else [value]
    text = "+".join(f"{part:.10g}" if isinstance(part, float) else str(part) for part in parts)
    text = re.sub(r"[^A-Za-z0-9.+-]+", "_", text)
    between = "" if key in _SHORT or not text[:1].isalpha() else "="
    return f"{_SHORT.get(key, key)}{between}{text}"


def shard_suffix(value: Any, where: str) -> str:
    """The end of the name of a shard's file: ".2-of-8" of "2/8", as `simulate` writes it; "" without one."""
    if value is None:
        return ""
    match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", str(value))
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        refuse(where, f"shard = {printable(value)!r} must be 'i/n' with i from 1 to n, for example '1/8'")
    return f".{int(match[1])}-of-{int(match[2])}"


def task_name(stage: str, row: Mapping[str, Any], where: str) -> str:
    """The name of a task: its stage and its place in the grid; a shard comes last.

    >>> from botan_fast.sweep.grid import task_name
    >>> task_name("botan", {"temperature": 0.44, "time": 4120.0, "seed": 0}, "plan.toml")
    'botan-T0.44-t4120-seed0'
    >>> task_name("data", {"temperature": 0.44, "shard": "2/8"}, "plan.toml")
    'data-T0.44.2-of-8'
    """
    labels = [label(key, value) for key, value in row.items() if key != "shard"]
    name = "-".join([stage, *labels]) + shard_suffix(row.get("shard"), where)
    if len(name) > _LONGEST:
        refuse(where, f"a task would be called {printable(name, 80)}, {len(name)} letters; give fewer or shorter keys")
    return name

"""What the RUNs of `botan-fast figures` are, and what they hold."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import BotanFastError, InputError
from ..files import is_file, near_matches, printable

if TYPE_CHECKING:
    from ..simulation.result import SimulationResult

__all__ = ["Found", "Simulated", "find"]

_READING = ("box", "density", "temperature", "time", "species")


@dataclass
class Simulated:
    """F_s of a simulation: the times, each configuration's curve, and where it was."""

    result: SimulationResult
    temperature: float
    number: int


@dataclass
class Found:
    """What there is to draw of one RUN.

    name         for files and titles
    history      rows of epochs
    rows         scores, as `collect` gives them; those of `evaluate` with `node_ceiling` and `edge_ceiling`
    transfer     by "node" and "edge": matrix, times of the outputs, times of the data, for a model of several times
    model        of a run folder, with `data`, its test data, and `reading`, what it was told of them; or a file or name
    predictions  files of `predict`
    simulated    checks of simulations, of each temperature
    missing      what could not be read of it, in a line each
    """

    name: str
    history: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    transfer: dict[str, tuple[list, list, list]] = field(default_factory=dict)
    model: Path | str | None = None
    data: Any = None
    reading: dict[str, Any] = field(default_factory=dict)
    predictions: list[Path] = field(default_factory=list)
    simulated: list[Simulated] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def find(run: str) -> Found:
    """What the path of a RUN holds; InputError where it is none of the kinds that there are."""
    from ..model.shipped import shipped_models

    path = Path(run)
    found = Found(path.resolve().name if path.is_dir() else path.stem)
    if path.is_dir():
        if (path / "manifest.json").exists():
            _sweep(found, path)
        elif (path / "history.csv").exists() or (path / "baseline.json").exists():
            _run(found, path)
        elif files := _predictions(path):
            found.predictions = files
        else:
            raise InputError(
                f"RUN = '{run}' is a folder without a run (history.csv, baseline.json), a sweep (manifest.json) or "
                "predictions (.npz); name one of these"
            )
    elif run in shipped_models():
        found.model, found.name = run, run
    elif not is_file(path):
        raise InputError(f"RUN = '{run}' does not exist{near_matches(path)}")
    elif path.suffix == ".json":
        _scores(found, path)
    elif path.suffix == ".csv":
        _table(found, path)
    elif path.suffix == ".npz":
        found.predictions = [path]
    elif path.suffix in (".h5", ".hdf5"):
        _simulation(found, path)
    elif path.suffix in (".safetensors", ".pth"):
        found.model = path
    else:
        raise InputError(
            f"RUN = '{run}' is none of .json, .csv, .npz, .h5, .safetensors and .pth, nor a folder; name one of these"
        )
    return found


def _sweep(found: Found, path: Path) -> None:
    from ..sweep.table import collect

    table = collect(path)
    found.rows = table.rows
    if table.missing:
        more = f", and {len(table.missing) - 1} more" if len(table.missing) > 1 else ""
        found.missing = [f"tasks of the sweep without a result: {table.missing[0]}{more}"]


def _run(found: Found, path: Path) -> None:
    from ..option import read_toml
    from ..sweep.results import baseline_rows, train_rows

    found.model = path
    if (path / "history.csv").exists():
        found.history = _csv(path / "history.csv")
        found.rows = [{"command": "train", **row} for row in train_rows(path)]
    else:
        found.rows = [{"command": "baseline", **row} for row in baseline_rows(path)]
    try:
        options = read_toml(path / "run.toml")
    except InputError as error:
        found.missing.append(f"{error}; its test data are not known, --data names others")
        return
    found.data = options.get("test")
    found.reading = {name: options[name] for name in _READING if name in options}


def _scores(found: Found, path: Path) -> None:
    from ..sweep.results import evaluate_rows

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"RUN = '{path}' cannot be read ({printable(error)}); give the scores of botan-fast evaluate --output"
        ) from None
    found.rows = [{"command": "evaluate", **row} for row in evaluate_rows(path)]
    conditions, outputs = content.get("conditions") or [], content.get("outputs") or []
    for row, whole in zip(found.rows, conditions or content.get("times") or [content], strict=True):
        ceiling = whole.get("ceiling")
        if isinstance(ceiling, Mapping):
            row |= {f"{end}_ceiling": ceiling[end] for end in ("node", "edge") if ceiling.get(end) is not None}
    for end in ("node", "edge"):
        held = [row for row in conditions if row.get(f"{end}_transfer")]
        if held:
            matrix = [list(cells) for cells in zip(*(row[f"{end}_transfer"] for row in held), strict=True)]
            found.transfer[end] = (matrix, outputs, [_condition(row) for row in held])


def _condition(row: Mapping[str, Any]) -> str:
    parts = [(f"{row[name]:g}") for name in ("temperature", "time") if row.get(name) is not None]
    return ", ".join(parts)


def _table(found: Found, path: Path) -> None:
    rows = _csv(path)
    if rows and "epoch" in rows[0] and "task" not in rows[0]:
        found.history = rows
    else:
        found.rows = rows


def _csv(path: Path) -> list[dict[str, Any]]:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows: list[dict[str, Any]] = [dict(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"RUN = '{path}' cannot be read ({printable(error)}); give a CSV file") from None
    if not rows or None in rows[0]:
        raise InputError(f"RUN = '{path}' holds no table; give the CSV of botan-fast collect, or history.csv of a run")
    return rows


def _predictions(folder: Path) -> list[Path]:
    from ..files import natural_key

    return sorted(folder.glob("*.npz"), key=lambda path: natural_key(path.name))


def _simulation(found: Found, path: Path) -> None:
    """The reports in the work folder of `simulate`, which may be deleted when the data set is done."""
    from ..simulation.protocol import Protocol
    from ..simulation.result import ConfigurationCheck, SimulationResult

    work = path.with_name(path.name + ".work")
    for folder in sorted(work.glob("T*")):
        try:
            options = json.loads((folder / "protocol.json").read_text(encoding="utf-8"))
            known = {name: _tuples(value) for name, value in options.items() if name in Protocol.__dataclass_fields__}
            protocol = Protocol(**known)
            reports = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("reports/*.json"))]
            checks = [ConfigurationCheck(**{k: _tuples(v) for k, v in report.items()}) for report in reports]
        except (OSError, ValueError, TypeError, BotanFastError) as error:
            found.missing.append(f"{folder} cannot be read ({printable(error)})")
            continue
        if checks:
            result = SimulationResult(path, protocol.target_times, checks, protocol.wave_number)
            found.simulated.append(Simulated(result, protocol.temperature, protocol.num_particles))
    if not found.simulated:
        found.missing.append(f"F_s(k, t): {work} of simulate, with its measurements, is not there")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value

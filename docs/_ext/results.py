"""Results for the figures of the gallery; `python -m benchmarks.figures` wrote them into benchmarks/results/figures."""

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks/results/figures"

# Scattering functions, a correlation function, and the machine, versions and commit of all of them.
RECORD = json.loads((FOLDER / "record.json").read_text(encoding="utf-8"))
# Of all results T = 0.64, N = 1,000; of predictions the time is that at which F_s has fallen to about 0.3.
TOLD = {"temperature": 0.64, "time": 16.5}
NUMBER = 1000


def table(*stages: str) -> list[dict[str, str]]:
    """Rows of the table of `botan-fast collect`: of these stages of the plan, or all."""
    with open(FOLDER / "table.csv", newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if not stages or row["stage"] in stages]


def history() -> list[dict[str, str]]:
    """The epochs of one run, as in its history.csv."""
    with open(FOLDER / "history.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def held_out() -> SimpleNamespace:
    """A configuration that the model has not seen: what the simulation says of it, and what the model.

    `positions`, `types`, `box`; `actual` and `predicted` S_i; `field`, the local displacement field of each particle;
    `pairs` (2, P) with i < j and r_ij(0) < 1.5, their `distances`, `actual_pairs` and `predicted_pairs`, E_ij.
    """
    with np.load(FOLDER / "held_out.npz") as file:
        return SimpleNamespace(
            **{name: file[name].astype(np.int64 if name == "pairs" else file[name].dtype) for name in file}
        )

"""What is kept of the study of the gallery: rows in short, and files that agree with themselves and with the plan."""

import csv
import json
import sys

import numpy as np
import pytest

from benchmarks import figures, machine
from botan_fast.option import read_toml
from botan_fast.sweep.table import Table


def test_rows_in_short():
    row = dict.fromkeys(figures.COLUMNS) | {"time": [16.5], "node_pearson": 0.123456789, "host": "somewhere"}
    [short] = figures.rounded(Table([], [row]))
    assert list(short) == list(figures.COLUMNS)
    assert (short["time"], short["node_pearson"]) == (16.5, "0.123457")


def test_an_unfinished_study_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "FOLDER", tmp_path / "results")
    monkeypatch.setattr(figures, "collect", lambda study: Table([], [], ["task botan-seed0 is waiting"]))
    monkeypatch.setattr(sys, "argv", ["figures", str(tmp_path)])
    with pytest.raises(SystemExit, match="is not finished: task botan-seed0 is waiting; continue it"):
        figures.main()
    assert not (tmp_path / "results").exists()


def test_the_held_out_configuration():
    with np.load(figures.FOLDER / "held_out.npz") as file:
        kept = {name: file[name] for name in file}
    i, j = kept["pairs"].astype(int)
    assert (i < j).all()
    apart = (kept["positions"][i] - kept["positions"][j]).astype(np.float64)
    apart -= kept["box"] * np.round(apart / kept["box"])
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), kept["distances"], atol=1e-5)
    assert kept["distances"].max() < 1.5
    assert len(kept["types"]) == len(kept["actual"]) == len(kept["predicted"]) == len(kept["field"]) == 1000
    # a particle moves at least as far as its mean displacement
    assert (kept["actual"] > 0).all()
    a = kept["types"] == 0
    assert np.corrcoef(kept["actual"][a], kept["predicted"][a])[0, 1] > 0.3


def test_the_table_has_what_the_plan_asks_for():
    plan = read_toml(machine.RESULTS.parent / "plans/figures.toml")
    with open(figures.FOLDER / "table.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    trained = [stage["name"] for stage in plan["stage"] if stage["command"] in ("train", "baseline", "evaluate")]
    assert {row["stage"] for row in rows} == set(trained)
    [botan] = [stage for stage in plan["stage"] if stage["name"] == "botan"]
    found = [(float(row["time"]), int(row["seed"])) for row in rows if row["stage"] == "botan"]
    grid = botan["grid"]
    assert sorted(found) == sorted((time, seed) for time in grid["time"] for seed in grid["seed"])


def test_the_record_says_where_it_is_from():
    record = json.loads((figures.FOLDER / "record.json").read_text())
    assert {"machine", "versions", "commit", "date", "plan"} <= set(record)
    curves = np.array(record["scattering"]["configurations"])
    assert curves.shape == (20, len(record["scattering"]["times"]))
    assert (np.diff(curves, axis=1) < 0).all()  # F_s falls

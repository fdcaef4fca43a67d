"""The table: what each kind of task gives, and that it is the same text however the tasks came about."""

import csv
import io
import json
import random

import pytest

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import DataError
from botan_fast.sweep.expansion import output_of
from botan_fast.sweep.manifest import Manifest, Task
from botan_fast.sweep.table import COLUMNS, collect
from tests.helpers.structured import several
from tests.helpers.tiny_data import TINY


def table_of(folder):
    return list(csv.DictReader(io.StringIO(collect(folder).csv())))


def done(folder, task, **more):
    place = folder / "tasks" / task
    place.mkdir(parents=True, exist_ok=True)
    (place / "done.json").write_text(json.dumps({"seconds": 1.5, "host": "here", "attempts": 2, **more}))


def fake_run(folder, name, rows, patience=0, **settings):
    run = folder / "runs" / name
    run.mkdir(parents=True)
    settings = {"p": 0.4, "seed": 3, "patience": patience, "validation": 0, **settings}
    model = {"num_steps": 7, "node_target": "S"}
    (run / "config.json").write_text(json.dumps({"settings": settings, "model": model}))
    with open(run / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


ROWS = [
    {"epoch": 0, "train_loss": 0.3, "test_loss": 0.1 + 0.2, "node_pearson": 0.1, "edge_pearson": "", "seconds": 2.0},
    {"epoch": 1, "train_loss": 0.2, "test_loss": 0.25, "node_pearson": 0.5, "edge_pearson": "", "seconds": 2.0},
    {"epoch": 2, "train_loss": 0.1, "test_loss": 0.28, "node_pearson": 0.4, "edge_pearson": "", "seconds": 2.0},
]


def test_a_row_of_a_run_is_that_of_its_result(tmp_path):
    tasks = [Task("a", "s", "train", {"time": [13.0]}), Task("b", "s", "train"), Task("c", "s", "train")]
    Manifest(tasks).write(tmp_path)
    fake_run(tmp_path, "a", ROWS)
    fake_run(tmp_path, "b", ROWS, patience=2)
    fake_run(tmp_path, "c", ROWS[:1])
    for name in "abc":
        done(tmp_path, name)
    a, b, c = table_of(tmp_path)
    assert (a["epoch"], a["test_loss"], a["node_pearson"], a["epochs"]) == ("2", "0.28", "0.4", "3")
    assert (b["epoch"], b["test_loss"], b["node_pearson"], b["epochs"]) == ("1", "0.25", "0.5", "3")
    assert c["test_loss"] == "0.30000000000000004"  # every bit of it
    assert (a["time"], a["p"], a["seed"], a["num_steps"], a["node_target"]) == ("13", "0.4", "3", "7", "S")
    assert (a["recipe"], a["edge_pearson"], a["temperature"]) == ("paper", "", "")
    assert (a["seconds"], a["host"], a["command"], a["stage"]) == ("1.5", "here", "train", "s")
    assert list(a) == list(COLUMNS)
    assert COLUMNS[-2:] == ("seconds", "host")


def test_further_keys_of_the_grid_are_columns(tmp_path):
    tasks = [
        Task("a", "s", "train", {}, (), {"ema": 0.9, "seed": 3}),
        Task("b", "s", "train", {}, (), {"width": [1, 2]}),
    ]
    Manifest(tasks).write(tmp_path)
    for name in "ab":
        fake_run(tmp_path, name, ROWS)
        done(tmp_path, name)
    a, b = table_of(tmp_path)
    assert (a["ema"], a["width"], b["ema"], b["width"]) == ("0.9", "", "", "1 2")
    assert list(a).index("node_pearson") - list(a).index("node_target") == 3


def test_several_times_of_one_model_are_rows(tmp_path):
    Manifest([Task("a", "s", "train", {"time": [0.5, 4.0]})]).write(tmp_path)
    row = {"epoch": 0, "train_loss": 0.5, "node_pearson": 0.3, "node_pearson_pooled": 0.2}
    fake_run(tmp_path, "a", [row | {"node_pearson[t=4]": 0.25, "node_pearson[t=0.5]": 0.35}])
    done(tmp_path, "a")
    found = [
        (row["time"], row["node_pearson"], row["node_pearson_pooled"], row["train_loss"]) for row in table_of(tmp_path)
    ]
    assert found == [("0.5", "0.35", "", "0.5"), ("4", "0.25", "", "0.5")]


def test_the_numbers_are_those_of_the_commands(tiny_data, tmp_path):
    """A run, a baseline and an evaluation, in the folders where a sweep has them."""
    data = [f"{tiny_data}/train/*.npz", f"{tiny_data}/test/*.npz"]
    commands = {"run": "train", "line": "baseline", "score": "evaluate", "data": "convert"}
    tasks = [Task(name, "s", command) for name, command in commands.items()]
    Manifest(tasks).write(tmp_path)
    (tmp_path / "scores").mkdir()
    run = bf.train(*data, epochs=2, output=tmp_path / output_of(tasks[0]), progress=False, **TINY)
    inputs = {"node_inputs": ["energy"], "edge_inputs": ["radial"]}
    line = bf.train_baseline(
        several((1, 2)), several((3,)), output=tmp_path / output_of(tasks[1]), progress=False, **inputs
    )
    command = [
        "evaluate",
        "--model",
        str(run.output),
        "--data",
        data[1],
        "-o",
        str(tmp_path / output_of(tasks[2])),
        "--quiet",
    ]
    assert main(command) == 0
    for task in tasks:
        done(tmp_path, task.name)
    first, second, third = table_of(tmp_path)  # a data set has no row
    last = run.history[-1]
    for name in (
        "train_loss",
        "test_loss",
        "node_pearson",
        "edge_pearson",
        "node_pearson_pooled",
        "edge_pearson_pooled",
    ):
        assert float(first[name]) == last[name], name
    assert first["epochs"] == "2"
    assert float(second["node_pearson_pooled"]) == line.scores["node_pearson_pooled"]
    assert float(second["node_loss"]) == line.scores["node_loss"]
    scores = bf.evaluate(bf.load_model(run.output), data[1])
    assert float(third["edge_pearson"]) == scores["edge_pearson"]
    assert third["num_configurations"] == "2"


def test_conditions_of_an_evaluation_are_rows(tmp_path):
    Manifest([Task("e", "e", "evaluate", {"temperature": [0.44, 0.64]})]).write(tmp_path)
    (tmp_path / "scores").mkdir()
    rows = [
        {"temperature": t, "time": 4.0, "node_pearson": t / 2, "node_loss": 0.5, "edge_pearson": None}
        for t in (0.44, 0.64)
    ]
    (tmp_path / "scores/e.json").write_text(json.dumps({"node_pearson": 0.3, "conditions": rows}))
    done(tmp_path, "e")
    found = [(row["temperature"], row["time"], row["node_pearson"], row["edge_pearson"]) for row in table_of(tmp_path)]
    assert found == [("0.44", "4", "0.22", ""), ("0.64", "4", "0.32", "")]


def test_the_order_is_that_of_the_plan(tmp_path):
    names = [f"run-seed{k}" for k in range(12)]
    Manifest([Task(name, "run", "train") for name in names]).write(tmp_path)
    order = names[:]
    random.Random(1).shuffle(order)
    for k, name in enumerate(order):
        fake_run(tmp_path, name, ROWS)
        done(tmp_path, name, seconds=float(k))
    assert [row["task"] for row in table_of(tmp_path)] == names


def test_what_is_missing_is_said(tmp_path, capsys):
    Manifest([Task(name, "s", "train") for name in "abcd"]).write(tmp_path)
    fake_run(tmp_path, "a", ROWS)
    for name in "ac":
        done(tmp_path, name)
    (tmp_path / "tasks/b").mkdir()
    (tmp_path / "tasks/b/failed.json").write_text(json.dumps({"reason": "p = 2.0: too large", "status": 2}))
    file = tmp_path / "table.csv"
    assert main(["collect", str(tmp_path), "-o", str(file)]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"1 rows: {file}\n"
    lines = printed.err.splitlines()
    assert lines[0] == "botan-fast: b: failed: p = 2.0: too large"
    assert lines[1].startswith("botan-fast: c: ")
    assert "config.json cannot be read" in lines[1]
    assert lines[2] == "botan-fast: d: not finished"
    assert main(["collect", str(tmp_path)]) == 0
    assert capsys.readouterr().out == file.read_text()
    assert main(["collect", str(tmp_path), "--complete"]) == 1


def test_complete_is_status_0_where_all_is_done(tmp_path, capsys):
    Manifest([Task("a", "s", "train")]).write(tmp_path)
    fake_run(tmp_path, "a", ROWS)
    done(tmp_path, "a")
    assert main(["collect", str(tmp_path), "--complete"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", ["", "epoch,train_loss\n", "epoch\nx\n", "a,b\n1,2\n", "epoch\n1,2,3\n"])
def test_a_broken_history_is_a_line(tmp_path, content):
    Manifest([Task("a", "s", "train")]).write(tmp_path)
    fake_run(tmp_path, "a", ROWS)
    (tmp_path / "runs/a/history.csv").write_text(content)
    done(tmp_path, "a")
    table = collect(tmp_path)
    assert table.rows == []
    assert "cannot be read" in table.missing[0]
    assert "and it is repeated" in table.missing[0]


def test_no_sweep(tmp_path):
    with pytest.raises(DataError, match="holds no sweep"):
        collect(tmp_path)

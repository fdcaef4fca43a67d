"""Benchmarks by width, of large systems, threads and processes measure what they say and write it down."""

import json

import pytest

from benchmarks import large, machine, processes, threads, widths


def test_a_step_by_its_width(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    widths.main(["24", "--particles", "256", "--rounds", "1"])
    head, line, _ = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ["H", "computed", "as"]
    assert line.split()[:2] == ["24", "32"]
    [row] = json.loads(next((tmp_path / "widths").iterdir()).read_text())["rows"]
    assert row["width"] == 24
    assert min(row["seconds"], row["plain"], row["gflops"]) > 0


def test_a_large_system(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    large.main(["--particles", "300,500", "--random"])
    rows = json.loads(next((tmp_path / "large/random").iterdir()).read_text())["timings"]
    assert [row["particles"] for row in rows] == [300, 500]
    assert all(row["positions"] == "random" and row["prediction_seconds"] > 0 for row in rows)
    capsys.readouterr()
    large.main(["--particles", "300", "--alone"])
    assert json.loads(capsys.readouterr().out)["positions"] == "liquid"


def test_threads_beside_a_yardstick(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    threads.main(["--particles", "300", "--operations", "build_graph", "--threads", "2"])
    [entry] = json.loads(next((tmp_path / "threads").iterdir()).read_text())["timings"]
    assert entry["particles"] == 300
    with pytest.raises(SystemExit):
        threads.main(["--operations", "graphs"])


def test_processes_train_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    processes.main(["--particles", "200", "--processes", "2", "--rounds", "1"])
    [entry] = json.loads(next((tmp_path / "processes").iterdir()).read_text())["timings"]
    assert entry["bytes"] == 4 * entry["weights"] == 4 * 62_594  # of docs/training.md
    assert entry["largest_difference_of_losses"] < 1e-5
    assert entry["sum"] < entry["processes_of_one_thread"]

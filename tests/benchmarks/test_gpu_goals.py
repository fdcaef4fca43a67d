"""What benchmarks/gpu makes of its results: goals, kernels of a trace, times."""

import pytest

from benchmarks.gpu import goals
from benchmarks.gpu.machine import Machine, busy_us, kernels_of


def timed(name, median_us, **facts):
    return {"name": name, "median_us": median_us, **facts}


def rows_of(results):
    return {(row["goal"], row["precision"]): row for row in goals.compare(results)}


def test_goals():
    results = [
        timed("training step, fp32", 1000.0, peak_bytes=0.7e9, fraction_of_floor=0.4),
        timed("training step, tf32", 900.0),
        timed("training step, tf32, CUDA graph", 800.0, fraction_of_floor=0.6),
        {"name": "training step, bf16", "error": "RuntimeError: no"},
        timed("training step, pyg", 8000.0),
        timed("training step, split_compiled", 3500.0),
        timed("inference, bf16", 300.0),
        timed("inference, bf16, CUDA graph", 200.0),
    ]
    rows = rows_of(results)
    pyg = "training step against PyG"
    assert {"eager": 8.0, "cuda_graph": None, "met": True, "against": "pyg"}.items() <= rows[pyg, "fp32"].items()
    assert rows[pyg, "tf32"]["eager"] == pytest.approx(8000 / 900)
    assert rows[pyg, "tf32"]["cuda_graph"] == 10
    assert rows[pyg, "tf32"]["met"] is True  # by the replay
    assert rows[pyg, "bf16"]["met"] is None
    assert rows["training step against torch.compile", "fp32"]["met"] is True
    assert rows["training step against torch.compile", "tf32"]["cuda_graph"] == pytest.approx(4.375)
    assert rows["training step, fraction of the floor", "fp32"]["met"] is False
    assert rows["training step, fraction of the floor", "tf32"]["met"] is True
    inference = rows["inference, milliseconds", "bf16"]
    assert {"eager": 0.3, "cuda_graph": 0.2, "met": True}.items() <= inference.items()
    assert rows["training step, peak gigabytes", "fp32"]["met"] is False
    lines = [line.split() for line in goals.table(list(rows.values())).splitlines()]
    assert len(lines) == 1 + len(goals.GOALS)
    assert lines[1][-6:] == ["pyg", "6", "8", "-", "-", "yes"]
    assert lines[10][-7:] == ["at", "most", "0.6", "0.7", "-", "-", "NO"]


def test_goals_of_training_runs():
    """A captured step of 1.2 ms, 96 % of it in kernels: 8 minutes for 400 configurations and 1000 epochs."""
    facts = {"minutes": 8.0, "kernel_share": 0.96, "launches": 75.0}
    rows = rows_of([timed("train, tf32", 1200.0, **facts), timed("train, fp32", 2400.0, minutes=16.0)])
    minutes = rows["train, 400 x 1000 steps, minutes", "tf32"]
    assert {"eager": None, "cuda_graph": None, "train": 8.0, "wanted": 10, "met": True}.items() <= minutes.items()
    assert rows["train, 400 x 1000 steps, minutes", "fp32"]["met"] is False
    assert rows["train, share of time in kernels", "tf32"]["met"] is True
    assert rows["train, share of time in kernels", "fp32"]["met"] is None
    assert rows["train, launches per step", "tf32"]["met"] is False


def test_the_authors_sequence_stands_in_for_pyg():
    """Where PyG is missing or fails."""
    results = [timed("training step, fp32", 1000.0), timed("training step, authors", 5000.0)]
    for pyg in ([], [{"name": "training step, pyg", "error": "ImportError: no"}]):
        row = rows_of(results + pyg)["training step against PyG", "fp32"]
        assert row["against"] == "authors"
        assert row["eager"] == 5
        assert row["met"] is False


def test_nothing_measured():
    assert all(row["met"] is None for row in goals.compare([]))
    assert goals.table(goals.compare([])).count("not measured") == len(goals.GOALS)


def test_kernels_of_a_trace():
    """Events as torch's profiler writes them; times in us."""
    launch = {"registers per thread": 40, "shared memory": 1024, "grid": [3, 1, 1], "block": [128, 1, 1], "stream": 7}
    kernel = {"ph": "X", "cat": "kernel", "name": "edge_forward", "args": launch}
    events = [
        *({**kernel, "dur": time} for time in (10.0, 12.0, 20.0, 10.0)),
        {"ph": "X", "cat": "gpu_memset", "name": "Memset (Device)", "dur": 1, "args": {}},
        {"ph": "X", "cat": "cpu_op", "name": "aten::add", "dur": 100, "args": {}},
        {"ph": "M", "name": "process_name"},
    ]
    first, second = kernels_of(events, 2)
    assert first == {
        "name": "edge_forward",
        "calls": 2.0,
        "median_us": 11.0,
        "mean_us": 13.0,
        "us_per_run": 26.0,
        "registers": 40,
        "shared_bytes": 1024,
        "grid": [3, 1, 1],
        "block": [128, 1, 1],
    }
    assert second["name"] == "Memset (Device)"
    assert second["calls"] == 0.5


def test_kernels_that_overlap_count_once():
    def event(start, duration, **facts):
        return {"ph": "X", "cat": "kernel", "name": "a", "ts": start, "dur": duration, **facts}

    events = [event(0, 10), event(5, 10), event(6, 2), event(30, 5), event(33, 100, cat="cpu_op"), {"ph": "M"}]
    assert busy_us(events) == 20
    assert busy_us([]) == 0


def test_the_wall_clock():
    machine = Machine("cpu")
    times = machine.measure(lambda: sum(range(1000)), repeats=8)
    assert 0 < times["low_quartile_us"] <= times["median_us"] <= times["high_quartile_us"]

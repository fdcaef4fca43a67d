"""README's table of a GPU: empty until there is a measurement, then made from its file."""

import json
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.gpu import table
from botan_fast.bench import gpu
from botan_fast.bench.clock import Clock

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def record():
    """As the command writes it, with times of our own choice in milliseconds."""
    times = {("training_step", "fp32"): (2.4, 1.8), ("training_step", "bf16"): (2.0, 1.05)}
    found = gpu.benchmark_gpu(128, clock=Clock("cpu", lambda run: run() is None or 1000.0, most=2))
    for row in found["rows"]:
        eager, replay = times.get((row["operation"], row["precision"]), (1, 0.5))
        median = 18e-3 if row["implementation"] == "plain_torch" else 1e-3 * (replay if row["captured"] else eager)
        row["median"] = median
        if "floor" in row:
            row |= {"fraction_of_floor": 0.9e-3 / median, "edge_steps_per_second": 1.168e6 / median}
        if "peak_bytes" in row:
            row["peak_bytes"] = 569e6
    found["machine"]["gpu"] = "A GPU"
    found["date"] = "2026-01-02"
    return found


def test_rows(record):
    lines = table.table(record, "a.json").splitlines()
    assert "| training step, fp32 | 18.0 ms | 2.40 ms | 1.80 ms | **10.0×** | 50 % | 0.65 × 10⁹ |" in lines
    assert "| training step, bf16 | 18.0 ms | 2.00 ms | 1.05 ms | **17.1×** | 86 % | 1.11 × 10⁹ |" in lines
    assert "| graph |  | 1.00 ms | 0.50 ms |  |  |  |" in lines
    assert "| targets from 32 runs |  | 1.00 ms |  |  |  |  |" in lines
    assert len(lines) == 2 + 3 + 3 + 2 + 2
    for part in ("A GPU", "2026-01-02", "0.57 GB in fp32", "[a.json](benchmarks/results/gpu/a.json)"):
        assert part in lines[-1]


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository in which something else was measured on a GPU, too."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "performance.md").write_text("")
    (tmp_path / "README.md").write_text("before\n<!-- gpu:begin -->\nold\n<!-- gpu:end -->\nafter\n")
    results = tmp_path / "results"
    (results / "gpu").mkdir(parents=True)
    (results / "gpu" / "check.json").write_text(json.dumps({"device": "A GPU", "date": "2027-01-01", "results": []}))
    (results / "cpu.json").write_text(
        json.dumps({"machine": {"cpu": "A CPU"}, "date": "2026-01-01", "timings": [], "profile": []})
    )
    monkeypatch.setattr(report, "RESULTS", results)
    return tmp_path


def test_without_a_measurement(root):
    report.main(["--root", str(root)])
    assert (root / "README.md").read_text() == (
        "before\n<!-- gpu:begin -->\nNot measured on a GPU.\n<!-- gpu:end -->\nafter\n"
    )
    report.main(["--root", str(root), "--check"])


def test_the_newest_measurement(root, record):
    folder = root / "results" / "gpu"
    for name, date in (("old.json", "2026-01-02"), ("new.json", "2026-02-01")):
        (folder / name).write_text(json.dumps(record | {"date": date}))
    report.main(["--root", str(root)])
    text = (root / "README.md").read_text()
    assert "results/gpu/new.json" in text
    assert "Not measured" not in text
    report.main(["--root", str(root), "--check"])
    report.main(["--root", str(root), str(folder / "old.json")])  # one that is named
    assert "results/gpu/old.json" in (root / "README.md").read_text()
    report.main(["--root", str(root), "--check"])  # what README names is checked
    (root / "README.md").write_text((root / "README.md").read_text().replace("1.80 ms", "0.80 ms"))
    with pytest.raises(SystemExit, match=r"README\.md is not what old\.json gives"):
        report.main(["--root", str(root), "--check"])


def test_readme_says_once_what_was_not_measured():
    """And says it nowhere where there is a measurement."""
    text = (ROOT / "README.md").read_text()
    measured = table.choose(text, ROOT / "benchmarks" / "results", check=True) is not None
    assert text.lower().count("measured on a gpu") == (0 if measured else 1)

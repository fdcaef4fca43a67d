"""botan-fast bench: numbers that make sense, no numbers for wrong results, and one line for every mistake."""

import json
import signal
import subprocess
import sys
import time

import pytest
import torch

from botan_fast import _core
from botan_fast.bench import benchmark, table
from botan_fast.cli import main
from botan_fast.ops import reference
from tests.helpers.command_line import error_line

SIZE = 128


@pytest.fixture(autouse=True)
def _keep_threads():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def short(monkeypatch):
    """One round of everything: what is printed matters here, not how precise it is."""
    monkeypatch.setattr(benchmark, "ceilings", lambda: CEILINGS)
    monkeypatch.setattr(
        benchmark, "measured_times", lambda function, rounds, budget, fewest: [timed(function)] * fewest
    )


CEILINGS = {"matrix_product_flops_per_second": 1e12, "copy_bytes_per_second": 2e10}


def timed(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def test_bench(short, tmp_path, capsys):
    file = tmp_path / "bench.json"
    assert main(["bench", "--size", str(SIZE), "--threads", "1", "--json", str(file)]) == 0
    printed = capsys.readouterr()
    record = json.loads(file.read_text())
    assert record["threads"] == 1
    assert record["size"] == SIZE
    assert record["edges"] == benchmark.problem(SIZE).graph.num_edges
    rows = {(r["operation"], r["implementation"], r["precision"]): r for r in record["rows"]}
    assert {("build_graph", "botan_fast", None), ("targets", "botan_fast", None)} < rows.keys()
    for operation in ("inference", "training_step"):
        for precision in benchmark.PRECISIONS:
            row = rows[operation, "botan_fast", precision]
            assert row["fraction_of_matrix_rate"] == pytest.approx(row["flops"] / row["median"] / 1e12)
        theirs = rows[operation, "plain_torch", "fp32"]
        assert theirs["flops"] == rows[operation, "botan_fast", "fp32"]["flops"]
    step = rows["training_step", "botan_fast", "fp32"]
    assert 5e7 < step["peak_bytes"] < 2e9
    assert table.table(record) in printed.out
    line = next(line for line in printed.out.splitlines() if line.startswith("training step, fp32"))
    assert table.duration(step["median"]) in line
    assert f"{rows['training_step', 'plain_torch', 'fp32']['median'] / step['median']:.1f}x" in line
    assert _core.simd_level() in printed.out
    assert f"peak memory of a training step, fp32: {step['peak_bytes'] / 1e9:.2f} GB" in printed.out
    assert "checking results" in printed.err


@pytest.mark.parametrize(
    ("module", "name", "wrong", "message"),
    [
        (
            reference,
            "processor",
            lambda x, e: (x, 1.01 * e),
            "edge predictions in fp32 of botan_fast and of plain torch",
        ),
        (benchmark, "build_graph", None, "build_graph gives other edges"),
        (benchmark, "isoconfigurational_targets", None, "pair_change of botan_fast"),
    ],
)
def test_wrong_results_are_not_timed(short, monkeypatch, capsys, module, name, wrong, message):
    right = getattr(module, name)

    def other_cutoff(*arguments, cutoff):
        return right(*arguments, cutoff=0.99 * cutoff)

    def other_change(*arguments):
        targets = right(*arguments)
        targets.pair_change.mul_(1.01)
        return targets

    replacement = {"build_graph": other_cutoff, "isoconfigurational_targets": other_change}.get(
        name, lambda *arguments: wrong(*right(*arguments))
    )
    monkeypatch.setattr(module, name, replacement)
    assert message in error_line(["bench", "--size", SIZE, "--quiet"], capsys)


def test_mistakes(tmp_path, capsys):
    assert "size = 50; give at least 100" in error_line(["bench", "--size", 50], capsys)
    assert "GB; give at most" in error_line(["bench", "--size", 10**9], capsys)
    assert "--threads = 0" in error_line(["bench", "--threads", 0], capsys)
    assert "does not exist" in error_line(["bench", "--json", tmp_path / "none" / "a.json"], capsys)
    assert "is a folder" in error_line(["bench", "--json", tmp_path], capsys)
    assert "did you mean --size" in error_line(["bench", "--sizes", 100], capsys)


def test_interrupt():
    command = [sys.executable, "-m", "botan_fast.cli", "bench"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert "checking results" in process.stderr.readline()
        process.send_signal(signal.SIGINT)  # once, in the first milliseconds of the check
        out, error = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert out == ""
    assert error.splitlines()[-1] == "botan-fast: interrupted"
    assert "Traceback" not in error


def test_kernel_timers_count_while_on():
    layer, x = benchmark.untrained().edge_encoder, torch.ones(5000, 3)

    def calls():
        layer(x).sum().backward()
        return {name: n for name, (seconds, n) in _core.kernel_times().items() if n and seconds > 0}

    try:
        _core.set_kernel_timers(True)
        once = calls()
        assert once.keys() == {"encoder_forward", "encoder_backward"}
        assert calls() == {name: 2 * n for name, n in once.items()}
        _core.set_kernel_timers(True)
        assert calls() == once
    finally:
        _core.set_kernel_timers(False)
    assert calls() == {}

"""benchmarks/gpu without a GPU: all benchmarks on the CPU at tiny sizes, by a clock that is made up."""

import importlib.util
import json
import os
import subprocess
import sys
from functools import partial

import pytest
import torch

from benchmarks.gpu import check, goals, graph, networks, runner, sums
from benchmarks.gpu.machine import Machine, NotRun, kernels_of, matmul_precision
from botan_fast.bench import floor

NODES = 100
TICK = 250.0  # microseconds that everything takes


def fake_timer(run):
    run()
    return TICK


def tiny_machine():
    return Machine("cpu", fake_timer, lambda function: torch.compile(function, backend="eager"), most=2)


def tiny_benchmarks():
    found = networks.benchmarks(NODES, 150) | sums.benchmarks(50, 400)
    return found | graph.benchmarks((80, 100), 2, 300)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The result file of all benchmarks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # they would wait for each other on arrays this small
    output = tmp_path_factory.mktemp("results") / "cpu.json"
    try:
        assert check.run_benchmarks(tiny_machine(), tiny_benchmarks(), output, side=16, copied=4096) == []
    finally:
        torch.set_num_threads(threads)
    return json.loads(output.read_text())


def named(record):
    return {result["name"]: result for result in record["results"]}


def test_every_benchmark_gives_a_time(record):
    assert set(named(record)) == set(tiny_benchmarks())
    assert all(result["median_us"] == TICK for result in record["results"])
    expected = {
        "training step, fp32",
        "training step, bf16, CUDA graph",
        "inference, tf32",
        "inference, split_compiled",
    }
    expected |= {"training step, authors", "training step, tf32, save_memory", "training step, N=150, save_memory"}
    assert expected < set(named(record))
    assert ("training step, pyg" in named(record)) == (importlib.util.find_spec("torch_geometric") is not None)


def test_what_a_result_file_says(record):
    assert {"device", "driver", "torch", "torch_cuda", "triton", "commit", "date", "cuda_toolkit"} < set(record)
    assert record["ceilings"] == {
        "copy": pytest.approx(2 * 4096 / (TICK * 1e-6)),
        **dict.fromkeys(("float32", "tf32", "bf16"), pytest.approx(2 * 16**3 / (TICK * 1e-6))),
    }
    edges = named(record)["inference, fp32"]["edges"]
    for train, precision in ((True, "fp32"), (False, "bf16")):
        result = named(record)[networks.title(train, "botan_fast", precision)]
        flops = (floor.training_flops if train else floor.forward_flops)(NODES, edges)
        assert result["flops"] == flops
        assert result["bytes"] == networks.bytes_of(edges, train, precision)
        seconds = max(
            result["bytes"] / record["ceilings"]["copy"],
            flops / record["ceilings"][{"fp32": "float32"}.get(precision, precision)],
        )
        assert result["fraction_of_floor"] == pytest.approx(seconds / (TICK * 1e-6))
        assert result["gigabytes_per_second"] == pytest.approx(result["bytes"] / TICK / 1e3)


def test_kernels_of_our_networks(record):
    for name, result in named(record).items():
        ours = name.split(", ")[1:2] in [[precision] for precision in networks.PRECISIONS]
        ours = ours and not name.endswith(networks.CAPTURED)
        assert ("kernels" in result) == ours, name
    kernels = named(record)["training step, fp32"]["kernels"]
    assert [k["calls"] for k in kernels if k["name"] == "botan_fast::processor_backward"] == [1.0]
    assert sum(k["us_per_run"] for k in kernels) > 0


def test_the_goals_are_compared(record):
    rows = record["goals"]
    assert len(rows) == 10
    ratios = [row for row in rows if row["against"]]
    assert len(ratios) == 5
    assert all(row["eager"] == row["cuda_graph"] == 1 and row["met"] is False for row in ratios)
    inference = next(row for row in rows if row["goal"].startswith("inference"))
    assert inference["eager"] == TICK / 1e3
    assert inference["met"] is True  # at most 0.25
    memory = next(row for row in rows if "gigabytes" in row["goal"])
    assert memory["eager"] is memory["met"] is None  # the CPU has no peak


def test_a_wrong_result_is_an_error(tmp_path, capsys, monkeypatch):
    """It is reported, the others run, and it is among the failed."""
    make = networks.benchmarks(NODES)["inference, fp32"]
    monkeypatch.setitem(networks.TOLERANCES, "fp32", (0, 0, 0, 0))

    def no_room(machine):
        raise NotRun("3 GB are free")

    def broken(machine):
        raise ValueError("no such thing\nat all")

    benchmarks = {"wrong": make, "broken": broken, "large": no_room, "copy": partial(sums.copy, 5, 9)}
    output = tmp_path / "cpu.json"
    failed = check.run_benchmarks(tiny_machine(), benchmarks, output, side=4, copied=64)
    assert failed == ["wrong", "broken"]
    wrong, broken_result, large, copied = json.loads(output.read_text())["results"]
    assert "node predictions: relative error" in wrong["error"]
    assert broken_result["error"] == "ValueError: no such thing\nat all"
    assert large == {"name": "large", "not_run": "3 GB are free"}
    assert copied["median_us"] == TICK
    printed = capsys.readouterr().out
    assert "ERROR: ValueError: no such thing\n" in printed
    assert "NOT RUN: 3 GB are free" in printed
    assert "not measured" in printed


def test_times_outlive_the_profiler(tmp_path, monkeypatch, capsys):
    machine, output = tiny_machine(), tmp_path / "cpu.json"
    make = partial(networks.prepare, "botan_fast", False, NODES, "fp32")

    def fail(run):
        raise RuntimeError("CUPTI is not permitted")

    for kernels, failed in ((fail, ["inference, fp32"]), (lambda run: [], [])):
        monkeypatch.setattr(machine, "kernels", kernels)
        benchmarks = {"inference, fp32": make}
        assert check.run_benchmarks(machine, benchmarks, output, side=4, copied=64) == failed
        assert json.loads(output.read_text())["results"][0]["median_us"] == TICK
    printed = capsys.readouterr().out
    assert "ERROR: profiler: RuntimeError: CUPTI is not permitted" in printed
    assert "(the profiler saw no kernel)" in printed


@pytest.mark.parametrize("precision", networks.PRECISIONS)
def test_the_checks_can_fail(precision):
    """Weights moved by a few per cent are found in every precision."""
    machine = tiny_machine()
    network = networks.Network(machine, "botan_fast", NODES, precision)
    network.check(machine, NODES, network.step(True), True, precision)
    network.check(machine, NODES, network.step(False), False, precision)
    with torch.no_grad():
        network.module.processor.edge_mlp.fc2.weight.mul_(1.2)
    for train in (True, False):
        with pytest.raises(AssertionError, match="from float64"):
            network.check(machine, NODES, network.step(train), train, precision)


def test_the_million_needs_room(monkeypatch):
    machine = tiny_machine()
    monkeypatch.setattr(machine, "free_bytes", lambda: 79.6e9)
    with pytest.raises(NotRun, match="80 GB are free; 100 are wanted"):
        networks.million(150, machine)


def test_ceilings_that_fail_do_not_stop_the_benchmarks(tmp_path, monkeypatch):
    machine = tiny_machine()

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(machine, "ceilings", fail)
    output = tmp_path / "cpu.json"
    assert check.run_benchmarks(machine, {"copy": partial(sums.copy, 5, 9)}, output) == ["ceilings"]
    result = json.loads(output.read_text())["results"][0]
    assert result["gigabytes_per_second"] == pytest.approx(2 * 9 * 64 * 4 / TICK / 1e3)
    assert "fraction_of_floor" not in result


def test_the_precision_of_torch_is_put_back():
    assert torch.get_float32_matmul_precision() == "highest"
    seen = []

    def body():
        with matmul_precision("high"):
            seen.append(torch.get_float32_matmul_precision())
            raise KeyError

    with pytest.raises(KeyError):
        body()
    assert seen == ["high"]
    assert torch.get_float32_matmul_precision() == "highest"


# ---- numbers ------------------------------------------------------------------------------------------------------


def test_floor():
    ceilings = {"copy": 4e12, "float32": 50e12, "tf32": 300e12, "bf16": 600e12}
    assert runner.floor_us(ceilings, 4e9, 1, "fp32") == pytest.approx(1000)  # memory
    assert runner.floor_us(ceilings, 1, 1e11, "fp32") == pytest.approx(1000)  # three tf32 products
    assert runner.floor_us(ceilings | {"tf32": 60e12}, 1, 1e11, "fp32") == pytest.approx(2000)  # float32 units
    assert runner.floor_us(ceilings, 1, 3e11, "tf32") == pytest.approx(1000)
    assert runner.floor_us(ceilings, 1, 6e11, "bf16") == pytest.approx(1000)


def test_bytes_of_bf16_are_fewer():
    """One (E, 64) array is 256 bytes an edge in float32, half of that where it is stored as bfloat16."""
    assert networks.bytes_of(1, False, "fp32") == 256 * 25
    assert networks.bytes_of(1, True, "tf32") == 256 * 75
    assert networks.bytes_of(1, True, "bf16") == 256 * (19 + 57 / 2)


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
    table = goals.table(list(rows.values()))
    assert len(table.splitlines()) == 11
    lines = [line.split() for line in table.splitlines()]
    assert lines[1][-5:] == ["pyg", "6", "8", "-", "yes"]
    assert lines[-1][-6:] == ["at", "most", "0.6", "0.7", "-", "NO"]


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
    assert goals.table(goals.compare([])).count("not measured") == 10


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


def test_the_wall_clock():
    machine = Machine("cpu")
    times = machine.measure(lambda: sum(range(1000)), repeats=8)
    assert 0 < times["low_quartile_us"] <= times["median_us"] <= times["high_quartile_us"]


# ---- command ------------------------------------------------------------------------------------------------------


class Commands(list):
    """In place of running a command, keeps it, and says that it fails or not."""

    succeed = True

    def call(self, title, command):
        self.append(command)
        return self.succeed


@pytest.fixture
def commands(monkeypatch):
    """The commands of a run on a machine with a GPU; the benchmarks stand there by their names."""
    found = Commands()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(check.shutil, "which", lambda name: "/bin/" + name)
    monkeypatch.setattr("benchmarks.gpu.machine.Machine", tiny_machine)
    monkeypatch.setattr(check, "call", found.call)
    monkeypatch.setattr(check, "run_benchmarks", lambda machine, chosen, output: found.append(list(chosen)) or [])
    return found


@pytest.mark.parametrize("status", [0, 3])
def test_the_exit_status_of_a_command_tells(status):
    assert check.call("a command", [sys.executable, "-c", f"raise SystemExit({status})"]) == (status == 0)


def test_the_build_comes_first(commands):
    commands.succeed = False
    assert check.main([]) == 1
    [build] = commands  # nothing else runs without it
    assert "cmake.define.BOTAN_FAST_CUDA=ON" in build


@pytest.mark.parametrize(("only", "count"), [("tests", 1), ("sanitizer", 2), ("benchmarks,tests", 2)])
def test_only_chooses_the_stages(commands, only, count):
    assert check.main(["--no-build", "--only", only]) == 0
    assert len(commands) == count
    with pytest.raises(SystemExit):
        check.main(["--only", "test"])


def test_what_fails_does_not_stop_the_rest(commands, capsys):
    commands.succeed = False
    assert check.main(["--no-build", "--select", "^inference, fp32$"]) == 1
    tests, memcheck, racecheck, benchmarks = commands
    assert tests[1:] == ["-m", "pytest", "-q", "tests/gpu"]
    assert memcheck[:3] == ["/bin/compute-sanitizer", "--tool", "memcheck"]
    assert racecheck[2] == "racecheck"
    assert racecheck[-2:] == ["-k", check.SANITIZED]
    assert benchmarks == ["inference, fp32"]
    failed = "failed: tests on the GPU, compute-sanitizer memcheck, compute-sanitizer racecheck"
    assert failed in capsys.readouterr().out


def test_a_machine_without_compute_sanitizer(commands, monkeypatch, capsys):
    monkeypatch.setattr(check.shutil, "which", lambda name: None)
    assert check.main(["--no-build", "--only", "sanitizer"]) == 0
    assert commands == []
    assert "compute-sanitizer: NOT RUN" in capsys.readouterr().out


def test_the_command():
    """As a person calls it, where there is no GPU for torch to see."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmarks.gpu.check", "--no-build"]
    done = subprocess.run(command, cwd=check.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "torch sees no GPU\n"


def test_what_the_sanitizer_runs():
    """The selection names tests of every file of tests/gpu, and none that is large."""
    code = "import torch, pytest, sys; torch.cuda.is_available = lambda: True; sys.exit(pytest.main(sys.argv[1:]))"
    options = ["--collect-only", "-q", "--no-header", "-p", "no:cacheprovider", "tests/gpu", "-k", check.SANITIZED]
    command = [sys.executable, "-c", code, *options]
    done = subprocess.run(command, cwd=check.ROOT, capture_output=True, text=True, check=False)
    names = [line for line in done.stdout.splitlines() if "::" in line]
    for part in ("test_message_passing.py::test_processor[", "test_message_passing.py::test_one_cuda_graph"):
        assert any(part in name for name in names), (part, done.stdout, done.stderr)
    assert any("test_training_step.py" in name for name in names)
    for part in ("test_loss.py::test_loss[", "test_loss.py::test_one_cuda_graph", "test_sums.py", "test_graph.py"):
        assert any(part in name for name in names), part
    assert not [name for name in names if "000000" in name or "166484" in name or "4096" in name]
    assert len(names) < 150

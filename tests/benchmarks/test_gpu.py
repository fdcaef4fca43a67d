"""benchmarks/gpu without a GPU: all benchmarks on the CPU at tiny sizes, by a clock that is made up."""

import importlib.util
import json
from functools import partial

import pytest
import torch

from benchmarks.gpu import measure, networks, sums, training
from benchmarks.gpu.machine import NotRun
from botan_fast.bench import floor
from tests.helpers.gpu_benchmarks import NODES, TICK, run_all, tiny_benchmarks, tiny_machine


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """The result file of all benchmarks."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # they would wait for each other on arrays this small
    output = tmp_path_factory.mktemp("results") / "cpu.json"
    try:
        assert measure.run_benchmarks(tiny_machine(), tiny_benchmarks(), output, side=16, copied=4096) == []
    finally:
        torch.set_num_threads(threads)
    return json.loads(output.read_text())


def named(record):
    return {result["name"]: result for result in record["results"]}


def test_every_benchmark_gives_a_time(record):
    assert set(named(record)) == set(tiny_benchmarks())
    missing = {name: result["not_run"] for name, result in named(record).items() if "not_run" in result}
    assert missing.keys() == {"training step, meshgraphnet", "inference, meshgraphnet"}
    assert all("physicsnemo" in reason for reason in missing.values())
    timed = [r for r in record["results"] if r["name"] not in missing and not r["name"].startswith("train, ")]
    assert all(result["median_us"] == TICK for result in timed)
    expected = {
        "training step, fp32",
        "training step, bf16, CUDA graph",
        "inference, tf32",
        "inference, split_compiled",
    }
    expected |= {
        "training step, authors",
        "training step, tf32, save_memory",
        networks.LARGEST,
        "clipping and Adam, fused",
    }
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
        assert result["bytes"] == floor.gpu_bytes(edges, train, precision)
        assert result["edge_steps_per_second"] == pytest.approx(7 * edges / (TICK * 1e-6))
        seconds = max(
            result["bytes"] / record["ceilings"]["copy"],
            flops / record["ceilings"][{"fp32": "float32"}.get(precision, precision)],
        )
        assert result["fraction_of_floor"] == pytest.approx(seconds / (TICK * 1e-6))
        assert result["gigabytes_per_second"] == pytest.approx(result["bytes"] / TICK / 1e3)


def test_kernels_of_our_networks(record):
    for name, result in named(record).items():
        ours = name.split(", ")[1:2] in [[precision] for precision in networks.PRECISIONS]
        ours = ours and not name.endswith(networks.CAPTURED) and not name.startswith("train, ")
        assert ("kernels" in result) == ours, name
    kernels = named(record)["training step, fp32"]["kernels"]
    assert [k["calls"] for k in kernels if k["name"] == "botan_fast::processor_backward"] == [1.0]
    assert sum(k["us_per_run"] for k in kernels) > 0


def test_the_goals_are_compared(record):
    rows = record["goals"]
    assert len(rows) == 18
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
    (wrong, broken_result, large, copied), failed = run_all(tiny_machine(), benchmarks, output)
    assert failed == ["wrong", "broken"]
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
        [result], names = run_all(machine, benchmarks, output)
        assert names == failed
        assert result["median_us"] == TICK
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


@pytest.mark.parametrize(("free", "number"), [(79.6e9, 930_000), (20e9, 230_000), (140e9, 1_000_000)])
def test_the_largest_system_follows_from_free_memory(monkeypatch, free, number):
    """Of 80 and 140 GB, and where something else fills the card."""
    machine, seen = tiny_machine(), []
    monkeypatch.setattr(machine, "free_bytes", lambda: free)

    def stop(number, **_):
        seen.append(number)
        raise KeyError

    monkeypatch.setattr(networks, "dense_liquid", stop)
    with pytest.raises(KeyError):
        networks.largest(machine)
    assert seen == [number]


def test_what_the_largest_system_says(record):
    result = named(record)[networks.LARGEST]
    assert result["nodes"] == 150
    assert result["sized"] == "inf GB free"
    assert result["edge_steps_per_second"] == pytest.approx(7 * result["edges"] / (TICK * 1e-6))


def test_no_room_for_a_large_system(monkeypatch):
    machine = tiny_machine()
    monkeypatch.setattr(machine, "free_bytes", lambda: 0.5e9)
    with pytest.raises(NotRun, match=r"0\.5 GB are free; 0\.8 are wanted"):
        networks.largest(machine)


def test_runs_of_train(record):
    """Per step: one second more for two epochs more of two configurations."""
    for precision in networks.PRECISIONS:
        result = named(record)[training.title(precision)]
        assert result["steps"] == 4
        assert result["median_us"] == pytest.approx(1e6 / 4)
        assert result["minutes"] == pytest.approx(0.25 * 400 * 1000 / 60)
        assert result["edge_steps_per_second"] == pytest.approx(7 * result["edges"] * 4, rel=1e-6)
        assert result["kernel_us"] > 0
        assert result["kernel_share"] == pytest.approx(result["kernel_us"] / result["median_us"])
        assert 0 < result["kernel_share_profiled"] <= 1
        assert result["launches"] > 10  # torch's operators stand in for kernels
        assert result["graph_replays"] == 0


def test_a_later_call_adds_to_the_file(tmp_path):
    output = tmp_path / "cpu.json"
    copy, other = partial(sums.copy, 5, 9), partial(sums.copy, 5, 7)
    run_all(tiny_machine(), {"copy": copy, "inference, bf16": copy}, output)
    results, _ = run_all(tiny_machine(), {"copy": other, "loss": copy}, output)
    assert [result["name"] for result in results] == ["inference, bf16", "copy", "loss"]
    assert results[1]["bytes"] < results[0]["bytes"]  # the newer one
    goal = next(row for row in json.loads(output.read_text())["goals"] if row["goal"].startswith("inference"))
    assert goal["eager"] == TICK / 1e3  # of the first call
    assert list(tmp_path.iterdir()) == [output]


def test_results_of_another_device_are_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "Machine", tiny_machine)
    output = tmp_path / "a.json"
    output.write_text(json.dumps({"device": "another", "results": []}))
    assert measure.main(["operations", "--select", "^copy", "--output", str(output)]) == 2
    assert "holds results of another; give another --output" in capsys.readouterr().err
    assert json.loads(output.read_text()) == {"device": "another", "results": []}


def test_ceilings_that_fail_do_not_stop_the_benchmarks(tmp_path, monkeypatch):
    machine = tiny_machine()

    def fail(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(machine, "ceilings", fail)
    output = tmp_path / "cpu.json"
    [result], failed = run_all(machine, {"copy": partial(sums.copy, 5, 9)}, output)
    assert failed == ["ceilings"]
    assert result["gigabytes_per_second"] == pytest.approx(2 * 9 * 64 * 4 / TICK / 1e3)
    assert "fraction_of_floor" not in result

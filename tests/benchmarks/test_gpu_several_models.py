"""benchmarks/gpu/several_models.py without a GPU: processes that train on the CPU, and a stand-in for MPS."""

import doctest
import json
import os

import pytest

from benchmarks.gpu import several_models
from benchmarks.gpu.several_models import Trainer, throughput, together
from tests.helpers.gpu_benchmarks import NODES, run_all, tiny_machine

# A control daemon of MPS: it writes down what it is asked, and with which folders.
DAEMON = """#!/bin/sh
[ "$1" = -d ] || read line
echo "$1$line $CUDA_MPS_PIPE_DIRECTORY $(ls -d "$CUDA_MPS_LOG_DIRECTORY")" >> "$MPS_CALLS"
"""


@pytest.fixture
def daemon(tmp_path, monkeypatch):
    """The calls of the stand-in."""
    program = tmp_path / several_models.MPS
    program.write_text(DAEMON)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("MPS_CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def test_examples():
    assert doctest.testmod(several_models).failed == 0


def test_the_throughput_of_processes_that_overlap():
    """One takes a second for an epoch of 10 steps, the other two: 15 steps a second while both train."""
    one = [float(second) for second in range(3, 30)]
    two = [float(second) for second in range(5, 40, 2)]
    found = throughput([one, two], 10)
    assert found["steps_per_second_of_each"] == pytest.approx([10, 5])
    assert found["median_us"] == pytest.approx(1e6 / 15)
    assert found["seconds"] == 24  # from the first end of the later one to the last end of the earlier one


def test_what_is_measured():
    names = list(several_models.benchmarks())
    assert names[:3] == ["1 model alone, fp32", "2 models at once, fp32", "4 models at once, fp32"]
    assert names[3:] == [f"{name}, MPS" for name in names[:3]]


def test_processes_that_did_not_train_at_the_same_time():
    with pytest.raises(RuntimeError, match="did not train at the same time"):
        throughput([[1.0, 2.0], [2.0, 3.0]], 10)


def test_all_on_the_cpu(tmp_path, daemon):
    makes = several_models.benchmarks(NODES, 2, seconds=0.3, processes=(2,))
    output = tmp_path / "results.json"
    results, failed = run_all(tiny_machine(), makes, output)
    assert failed == []
    found = {result["name"]: result for result in results}
    assert list(found) == ["2 models at once, fp32", "2 models at once, fp32, MPS"]
    for result in results:
        assert len(result["steps_per_second_of_each"]) == result["processes"]
        assert result["median_us"] == pytest.approx(1e6 / result["steps_per_second"])
        assert result["seconds"] > 0
        assert "bytes_of_each" not in result  # a CPU does not say
    assert [result["mps"] for result in results] == [False, True]
    assert {"commit", "torch", "date"} < set(json.loads(output.read_text()))
    calls = [line.split() for line in daemon.read_text().splitlines()]
    assert [call[0] for call in calls] == ["-d", "quit"] * 2  # for the check and the measurement
    assert all(start[1:] == end[1:] and "mps" in start[1] for start, end in zip(calls[::2], calls[1::2], strict=True))


def test_without_mps_it_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    makes = several_models.benchmarks(NODES, 2, seconds=0.1, processes=(1,))
    [_, result], failed = run_all(tiny_machine(), makes, tmp_path / "results.json")
    assert result["not_run"] == "nvidia-cuda-mps-control is not installed"
    assert failed == []


def test_mps_that_does_not_start(tmp_path, monkeypatch):
    program = tmp_path / several_models.MPS
    program.write_text("#!/bin/sh\necho no permission >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(several_models.NotRun, match="no permission"), several_models.mps():
        pass


def test_a_model_that_learns_something_else_is_found(monkeypatch):
    prepared = several_models.benchmarks(NODES, 2, seconds=0.1)["1 model alone, fp32"](tiny_machine())
    right = several_models.train

    def wrong(*arguments):
        result = right(*arguments)
        for row in result.history:
            row["train_loss"] *= 1.05
        return result

    monkeypatch.setattr(several_models, "train", wrong)
    with pytest.raises(AssertionError, match=r"loss off by 0\.0"):
        prepared.check()


def test_a_process_that_ends_is_an_error_at_once(capfd):
    with Trainer(NODES, 2, "no such precision", "cpu", {}) as trainer:
        with pytest.raises(RuntimeError, match="has ended"):
            together([trainer], 1, 0.0)
        assert trainer.process.poll() not in (None, 0)
    assert "no such precision" in capfd.readouterr().err

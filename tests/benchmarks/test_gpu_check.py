"""benchmarks.gpu.check: each stage once on the CPU with stand-ins, its limits, and what stays when one is stopped."""

import doctest
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.gpu import check, commands, stages
from benchmarks.gpu.record import read_record
from tests.helpers.gpu_benchmarks import TICK

PASSES = [sys.executable, "-c", "print('done')"]
FAILS = [sys.executable, "-c", "raise SystemExit(3)"]
# `python -m benchmarks.gpu.measure` on the CPU, at tiny sizes.
MEASURE = """
import functools, sys
from benchmarks.gpu import graph, measure, networks, sums, training
from tests.helpers.gpu_benchmarks import NODES, tiny_machine
import torch
torch.set_num_threads(1)
measure.Machine = tiny_machine
measure.GROUPS = {
    "networks": lambda: networks.benchmarks(NODES, 150, 10),
    "training": lambda: training.benchmarks(NODES, 2, (1, 3)),
    "operations": lambda: sums.benchmarks(50, 400) | graph.benchmarks((80, 100), 2, 300),
}
measure.run_benchmarks = functools.partial(measure.run_benchmarks, side=4, copied=64)
sys.exit(measure.main(sys.argv[1:]))
"""
# compute-sanitizer: what it was asked, and the lines of pytest under it.
SANITIZER = """#!/bin/sh
echo "caching: $PYTORCH_NO_CUDA_MEMORY_CACHING; $1 $2"
echo "tests/gpu/test_loss.py::test_loss[1-1-0.0] PASSED [ 50%]"
echo "tests/gpu/test_loss.py::test_loss[1-1-0.4] FAILED [100%]"
exit 1
"""


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine with a GPU of compute capability 9.0 and the package; torch is not asked."""
    answers = {check.ASK: "Stand In 100|9|0", check.INSTALLED: "90-real"}
    monkeypatch.setattr(check, "ask", answers.get)
    return answers


@pytest.fixture
def replaced(monkeypatch):
    """replaced(build=[...]): commands in the place of those of a stage."""

    def replace(**found):
        for name, command in found.items():
            monkeypatch.setattr(commands, name, lambda *_, command=command: command)

    return replace


def stages_in(output):
    return read_record(output)["stages"]


# ---- each stage --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", ["networks", "training", "operations"])
def test_benchmarks(monkeypatch, tmp_path, group):
    """In the process of their own, into the file of the call."""
    right = commands.measure
    monkeypatch.setattr(commands, "measure", lambda *facts: [sys.executable, "-c", MEASURE, *right(*facts)[3:]])
    output = tmp_path / "new" / "a.json"
    select = {"networks": "inference, (fp32|bf16)|largest|meshgraphnet", "training": "", "operations": ""}[group]
    assert check.main(["--stage", group, "--select", select, "--output", str(output)]) == 0
    record = json.loads(output.read_text())
    assert record["stages"][group]["ended"] == "passed"
    assert len(record["results"]) > 4
    assert any(result.get("median_us") == TICK for result in record["results"])
    assert record["ceilings"]
    log = (tmp_path / "new" / f"a-{group}.log").read_text()
    for result in record["results"]:
        assert result["name"] in log


def test_tests(monkeypatch, tmp_path):
    """pytest with a test that passes, one that fails and one that hangs beyond the limit."""
    (tmp_path / "test_it.py").write_text(
        "import time\ndef test_a(): pass\ndef test_b(): assert False\ndef test_c(): time.sleep(600)\n"
    )
    command = [word if word != "tests/gpu" else str(tmp_path / "test_it.py") for word in commands.PYTEST]
    monkeypatch.setattr(commands, "tests", lambda: [*command, "--rootdir", str(tmp_path), "-c", os.devnull])
    monkeypatch.setitem(check.LIMITS, "tests", 8)
    output = tmp_path / "a.json"
    assert check.main(["--stage", "tests", "--output", str(output)]) == 1
    facts = stages_in(output)["tests"]
    assert facts["ended"] == "stopped at its limit"
    assert facts["passed"] == 1
    [failed] = facts["failed"]
    assert failed.endswith("test_it.py::test_b")
    assert 8 <= facts["seconds"] < 30
    log = (tmp_path / "a-tests.log").read_text()
    assert "test_it.py::test_c" in log
    assert "assert False" in log  # pytest was interrupted, and says what failed


def test_sanitizer(monkeypatch, tmp_path, capsys):
    program = tmp_path / "compute-sanitizer"
    program.write_text(SANITIZER)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    output = tmp_path / "a.json"
    assert check.main(["--stage", "sanitizer", "--output", str(output)]) == 1
    found = stages_in(output)
    assert list(found) == ["memcheck", "initcheck", "racecheck"]
    for tool, facts in found.items():
        assert facts["ended"] == "failed"
        assert facts["passed"] == 1
        assert facts["failed"] == ["tests/gpu/test_loss.py::test_loss[1-1-0.4]"]
        assert (tmp_path / f"a-{tool}.log").read_text().startswith(f"caching: 1; --tool {tool}\n")
    printed = capsys.readouterr().out
    assert "failed: memcheck, initcheck, racecheck" in printed
    assert "failed, 1 tests passed, 1 failed" in printed


def test_a_machine_without_compute_sanitizer(replaced, tmp_path, capsys):
    replaced(sanitizer=None)
    output = tmp_path / "a.json"
    assert check.main(["--stage", "racecheck", "--output", str(output)]) == 0
    assert stages_in(output)["racecheck"]["ended"] == "not run"
    assert "racecheck: NOT RUN, compute-sanitizer is not installed" in capsys.readouterr().out


def test_build_and_bench(monkeypatch, tmp_path, capsys):
    """What they are called with; how long the build took is in the file and in the table."""
    seen = []
    monkeypatch.setattr(commands, "build", lambda *facts: seen.append(facts) or PASSES)
    monkeypatch.setattr(commands, "bench", lambda file: [sys.executable, "-c", f"open({str(file)!r}, 'w').write('x')"])
    wheel, output = tmp_path / "a.whl", tmp_path / "a.json"
    wheel.touch()
    assert check.main(["--stage", "bench", "--wheel", str(wheel), "--output", str(output)]) == 0
    assert check.main(["--stage", "build", "--output", str(output)]) == 0
    assert seen == [((9, 0), wheel), ((9, 0), None)]  # a wheel is installed first in every call
    assert (tmp_path / "a-bench.json").read_text() == "x"
    assert stages_in(output)["build"]["seconds"] >= 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line[:1] == ["build"]][-1][2:] == ["270", "passed"]


# ---- order, failures, limits -------------------------------------------------------------------------------------


def test_the_order_and_what_fails(replaced, tmp_path, capsys):
    replaced(build=PASSES, tests=FAILS, bench=PASSES, measure=FAILS, sanitizer=PASSES)
    output = tmp_path / "a.json"
    assert check.main(["--output", str(output)]) == 1
    assert list(stages_in(output)) == list(check.LIMITS)
    assert stages_in(output)["tests"]["status"] == 3
    assert "failed: tests, networks, training, several, operations\n" in capsys.readouterr().out


@pytest.mark.parametrize("installed", [True, False])
def test_a_build_that_fails(replaced, machine, tmp_path, installed, capsys):
    replaced(build=FAILS, tests=PASSES)
    if not installed:
        machine[check.INSTALLED] = None
    output = tmp_path / "a.json"
    assert check.main(["--stage", "build,tests", "--output", str(output)]) == 1
    assert list(stages_in(output)) == (["build", "tests"] if installed else ["build"])
    printed = capsys.readouterr()
    if installed:
        assert "going on with the installed package (90-real)" in printed.out
        assert "failed: build\n" in printed.out
    else:
        assert "nothing is installed" in printed.err
        assert "failed: build, tests\n" in printed.out


def test_names_of_stages():
    assert check.stages_of("sanitizer,build", False) == ["build", "memcheck", "initcheck", "racecheck"]
    assert check.stages_of("benchmarks", True) == ["build", "bench", "networks", "training", "several", "operations"]
    with pytest.raises(ValueError, match="--stage test: choose of build, tests, bench"):
        check.stages_of("test", False)


def test_mistakes(capsys, machine):
    for arguments in (["--stage", "test"], ["--wheel", "none.whl"]):
        with pytest.raises(SystemExit) as ended:
            check.main(arguments)
        assert ended.value.code == 2
    assert "--wheel none.whl: there is no such file" in capsys.readouterr().err
    for answer, message in (("", "torch sees no GPU\n"), (None, "torch cannot be imported\n")):
        machine[check.ASK] = answer
        assert check.main(["--stage", "build"]) == 1
        assert capsys.readouterr().err == message


def test_the_time_of_all_stages(replaced, tmp_path):
    """A stage gets what is left; one for which nothing is left has failed."""
    replaced(tests=[sys.executable, "-c", "import time; time.sleep(60)"], bench=PASSES)
    output = tmp_path / "a.json"
    assert check.main(["--stage", "tests,bench", "--within", "0.5", "--output", str(output)]) == 1
    found = stages_in(output)
    assert found["tests"]["ended"] == "stopped at its limit"
    assert found["bench"] == {"ended": "not run", "reason": "the time was over"}


def test_the_default_file():
    path = check.default_output("NVIDIA H100 80GB HBM3")
    assert path.parent == commands.ROOT / "benchmarks" / "results" / "gpu"
    assert path.name.startswith("nvidia-h100-80gb-hbm3-20")


def test_the_command():
    """As a person calls it, where there is no GPU for torch to see."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmarks.gpu.check", "--stage", "build"]
    done = subprocess.run(command, cwd=commands.ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "torch sees no GPU\n"


def running(process_id):
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def ends(process_id, within=10.0):
    """Whether the process is gone soon."""
    until = time.monotonic() + within
    while running(process_id) and time.monotonic() < until:
        time.sleep(0.05)
    return not running(process_id)


# A process that ignores what asks it to end, with a child of its own.
STUBBORN = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_IGN)
child = os.fork()
if child:
    print("child", child)
    print("half a line", end="", flush=True)
time.sleep(600)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_the_whole_group_is_killed_at_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "GRACE", 0.2)
    log = tmp_path / "a.log"
    ended = stages.run_limited([sys.executable, "-c", STUBBORN], 1.5, log)
    assert ended.timed_out
    assert ended.status == -signal.SIGKILL
    assert ended.word == "stopped at its limit"
    assert ended.seconds < 10
    first, second = log.read_text().splitlines()
    assert second == "half a line"
    assert ends(int(first.split()[1]))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_what_a_command_leaves_running_ends_with_it(tmp_path):
    code = "import os, time\nchild = os.fork()\nif child == 0: time.sleep(600)\nprint(child)"
    ended = stages.run_limited([sys.executable, "-c", code], 30, tmp_path / "a.log")
    assert (ended.status, ended.timed_out, ended.word) == (0, False, "passed")
    assert ended.seconds < 20
    assert ends(int((tmp_path / "a.log").read_text()))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc")
def test_who_ends_the_check_ends_its_stage(tmp_path):
    """As `timeout` does: the stage is in another process group, and does not go on alone."""
    program = f"""
import sys
from benchmarks.gpu import check, commands
check.ask = lambda code: "Stand In|9|0"
commands.tests = lambda: [sys.executable, "-c", "import os, time; print('stage', os.getpid()); time.sleep(600)"]
sys.exit(check.main(["--stage", "tests", "--output", {str(tmp_path / "a.json")!r}]))
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=commands.ROOT, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.startswith("stage "):
                break
        process.terminate()
        process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert ends(int(line.split()[1]))


def test_lines_of_pytest():
    assert doctest.testmod(stages).failed == 0
    assert stages.test_results("") == {"passed": 0, "failed": [], "running": None}
    text = "tests/gpu/a.py::b[x y] PASSED [ 9%]\ntests/gpu/a.py::c ERROR\n= 1 passed, 1 error ="
    assert stages.test_results(text) == {"passed": 1, "failed": ["tests/gpu/a.py::c"], "running": None}

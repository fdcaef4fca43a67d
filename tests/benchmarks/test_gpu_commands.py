"""The commands of benchmarks.gpu.check exist, take their options, and select tests that exist."""

import ast
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from benchmarks.gpu import check, commands, measure
from tests.helpers.command_line import error_line
from tests.helpers.gpu_benchmarks import tiny_machine

# Options of compute-sanitizer and their values, as "Compute Sanitizer", section "Command Line Options", has them.
DOCUMENTED = {
    "--tool": {"memcheck", "racecheck", "initcheck", "synccheck"},
    "--target-processes": {"application-only", "all"},
    "--report-api-errors": {"all", "explicit", "no"},
    "--error-exitcode": None,  # a number
}


@pytest.fixture
def sanitizer(monkeypatch):
    """As on a machine that has one."""
    monkeypatch.setattr(commands.shutil, "which", lambda name, path=None: f"/bin/{name}")


def collected(command):
    """The ids of the tests that a pytest command selects where there is a GPU."""
    assert command[:3] == [sys.executable, "-m", "pytest"]
    code = "import torch, pytest, sys; torch.cuda.is_available = lambda: True; sys.exit(pytest.main(sys.argv[1:]))"
    options = [*command[3:], "--collect-only", "-qq", "--no-header"]
    done = subprocess.run([sys.executable, "-c", code, *options], cwd=commands.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(re.findall(r"^(tests/\S+::.+)$", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def every_test():
    return collected(commands.tests())


@pytest.fixture(scope="module")
def selected():
    """Of each tool of the sanitizer: the tests that run under it."""
    tests = {tool: [*commands.PYTEST, "-k", expression] for tool, expression in commands.SANITIZED.items()}
    return {tool: collected(command) for tool, command in tests.items()}


def test_all_tests_are_collected(every_test):
    files = {path.name for path in (commands.ROOT / "tests" / "gpu").glob("test_*.py")}
    assert {name.split("::")[0].removeprefix("tests/gpu/") for name in every_test} == files


def test_what_the_sanitizer_runs(every_test, selected):
    """Tests of every file, none that is large; less where a tool takes longer."""
    assert all(names < every_test for names in selected.values())
    for file in ("test_message_passing", "test_training_step", "test_loss", "test_sums", "test_graph", "test_engine"):
        assert any(f"/{file}.py::" in name for name in selected["memcheck"]), file
    for part in re.findall(r"test_\w+", commands.SANITIZED["memcheck"]):
        assert any(f"::{part}" in name for name in selected["memcheck"]), part
    precisions = {re.search(r"fp32|tf32|bf16", name)[0] for name in selected["initcheck"]}
    assert precisions == {"fp32", "tf32", "bf16"}
    assert selected["racecheck"] < selected["initcheck"] < selected["memcheck"]
    assert selected["racecheck"]
    assert len(selected["memcheck"]) < 60
    assert not [name for name in selected["memcheck"] if re.search("000000|166484|4096|20000-64|20000-128", name)]


def functions_that_capture():
    """Names of tests in tests/gpu with a CUDA graph, which the sanitizer's environment does not allow."""
    for path in sorted((commands.ROOT / "tests" / "gpu").glob("test_*.py")):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_source_segment(source, node)
                if "CUDAGraph" in text or "cuda.graph(" in text:
                    yield f"{path.name}::{node.name}"


def test_no_graph_is_captured_under_the_sanitizer(every_test, selected):
    capturing = list(functions_that_capture())
    assert len(capturing) > 2
    assert all(any(f"/{name}" in test for test in every_test) for name in capturing)
    assert not [test for test in selected["memcheck"] for name in capturing if re.search(rf"/{name}(\[|$)", test)]


@pytest.mark.parametrize("tool", commands.SANITIZED)
def test_options_of_compute_sanitizer(sanitizer, tool):
    command = commands.sanitizer(tool)
    at = command.index(sys.executable)
    options = dict(zip(command[1:at:2], command[2:at:2], strict=True))
    assert options.keys() == DOCUMENTED.keys()
    for name, value in options.items():
        assert value in DOCUMENTED[name] if DOCUMENTED[name] else int(value) != 0
    assert options["--tool"] == tool
    assert command[at + 1 : at + 3] == ["-m", "pytest"]
    assert command[-2:] == ["-k", commands.SANITIZED[tool]]
    assert commands.SANITIZER_ENVIRONMENT == {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}


def test_the_installed_compute_sanitizer():
    program = shutil.which("compute-sanitizer")
    if program is None:
        pytest.skip("compute-sanitizer is not installed")
    text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(option in text for option in DOCUMENTED)


def test_a_machine_without_compute_sanitizer(monkeypatch):
    monkeypatch.setattr(commands.shutil, "which", lambda name, path=None: None)
    assert commands.sanitizer("memcheck") is None


def test_the_build_asks_for_one_architecture_and_no_network():
    command = commands.build((9, 0))
    assert {"--no-build-isolation", "--no-deps"} < set(command)
    assert "cmake.define.BOTAN_FAST_CUDA=ON" in command
    assert "cmake.define.CMAKE_CUDA_ARCHITECTURES=90-real" in command
    assert "cmake.define.CMAKE_CUDA_ARCHITECTURES=120-real" in commands.build((12, 0))
    cmake = (commands.ROOT / "cmake" / "Cuda.cmake").read_text()
    assert all(name in cmake for name in ("BOTAN_FAST_CUDA", "CMAKE_CUDA_ARCHITECTURES"))
    assert {"--no-index", "--no-deps"} < set(commands.build((9, 0), Path("a.whl")))


@pytest.mark.parametrize("wheel", [None, Path("botan_fast-0.1.0-cp312-cp312-linux_x86_64.whl")])
@pytest.mark.parametrize("wrong", [[], ["--no-such-option"]])
def test_pip_takes_the_options(wheel, wrong):
    """With --help at the end pip reads the options and does nothing."""
    command = [*commands.build((9, 0), wheel), *wrong, "--help"]
    done = subprocess.run(command, cwd=commands.ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) == (not wrong), done.stderr


def test_the_command_of_the_bench_stage(monkeypatch, tmp_path, capsys):
    """It is parsed, and ends where it looks for the GPU."""
    command = commands.bench(tmp_path / "a.json")
    assert command[:3] == [sys.executable, "-m", "botan_fast"]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "finds no CUDA device" in error_line(command[3:], capsys)
    assert "unknown option --no-such-option" in error_line([*command[3:], "--no-such-option"], capsys)


@pytest.mark.parametrize("group", measure.GROUPS)
def test_the_commands_of_the_benchmarks(monkeypatch, tmp_path, group):
    seen = []
    pattern = "alone" if group == "several" else "32|copy"
    monkeypatch.setattr(measure, "Machine", tiny_machine)
    monkeypatch.setattr(
        measure, "run_benchmarks", lambda machine, found, output: seen.append((list(found), output)) or []
    )
    for select in ("", pattern):
        command = commands.measure(group, tmp_path / "a.json", select)
        assert command[:3] == [sys.executable, "-m", "benchmarks.gpu.measure"]
        assert measure.main(command[3:]) == 0
    (everything, output), (some, _) = seen
    assert output == tmp_path / "a.json"
    assert some == [name for name in everything if re.search(pattern, name)]
    assert 0 < len(some) < len(everything)
    assert group in check.LIMITS


def test_a_stage_for_each_group_and_tool():
    assert set(check.LIMITS) == {"build", "tests", "bench", *measure.GROUPS, *commands.SANITIZED}
    assert list(check.LIMITS)[:2] == ["build", "tests"]
    assert list(check.LIMITS)[-3:] == list(commands.SANITIZED)
    make = partial(check.command_of, capability=(9, 0), output=Path("a.json"))
    options = check.parser().parse_args([])
    assert len({str(make(stage, options=options)) for stage in ("build", "tests", "bench", *measure.GROUPS)}) == 7


def test_stages_fit():
    """Eight minutes each, and the calls of benchmarks/README.md ten."""
    assert max(check.LIMITS.values()) <= 480
    text = (commands.ROOT / "benchmarks" / "README.md").read_text()
    described = {name: int(limit) for name, limit in re.findall(r"^\| (\w+) \| (\d+) s \|", text, re.MULTILINE)}
    assert described == check.LIMITS
    calls = re.findall(r"^python3 -m benchmarks\.gpu\.check .*$", text, re.MULTILINE)
    assert len(calls) == 4
    done = []
    for call in calls:
        options = check.parser().parse_args(call.split()[3:])
        assert options.wheel is not None
        assert options.within < 600  # with what the command itself takes
        stages = check.stages_of(options.stage, True)
        assert sum(check.limit_of(stage, True) for stage in stages) <= 600
        done += [stage for stage in stages if stage != "build"]
    assert sorted(done) == sorted(set(check.LIMITS) - {"build"})

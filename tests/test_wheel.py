"""cmake/build_wheel.py and check_wheel.py: is a wheel fit for other machines? And is the module of this build?"""

import doctest
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import botan_fast as bf
from botan_fast import _core

CMAKE = Path(__file__).parents[1] / "cmake"


@pytest.fixture(scope="module")
def scripts():
    """(check_wheel, build_wheel), which are run from their folder."""
    sys.path.insert(0, str(CMAKE))
    try:
        yield [importlib.import_module(name) for name in ("check_wheel", "build_wheel")]
    finally:
        sys.path.remove(str(CMAKE))


@pytest.fixture
def linux():
    if sys.platform != "linux" or shutil.which("objdump") is None:
        pytest.skip("wheels are checked on Linux, with objdump")


def wheel_of(path, **files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"botan_fast/{name}", content)
    return path


def test_examples_run(scripts):
    for script in scripts:
        assert doctest.testmod(script).failed == 0
    assert doctest.testmod(scripts[0]).attempted > 0


GOOD = {"libraries": ["libc.so.6", "libstdc++.so.6"], "exported": ["PyInit__core", "_ZTISt9exception"]}
GOOD |= {"undefined": ["memcpy", "cudnn_is_no_function_of_the_runtime"], "versions": {"GLIBC": (2, 34)}}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({}, None),
        ({"versions": {"GLIBC": (2, 35), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13)}}, None),
        ({"versions": {"GLIBC": (2, 38)}}, "needs GLIBC_2.38, newer than 2.35 of Ubuntu 22.04"),
        ({"versions": {"GLIBCXX": (3, 4, 32)}}, "needs GLIBCXX_3.4.32"),
        ({"libraries": ["libc.so.6", "libcudart.so.13"]}, "needs libcudart.so.13"),
        ({"exported": ["PyInit__core", "_ZZN10botan_fast4cuda7kernelsE"]}, "exports 1 symbols of its own"),
        ({"exported": []}, "does not export PyInit__core"),
        ({"undefined": ["cudaMalloc"]}, "shares symbols of the CUDA runtime, such as cudaMalloc"),
        ({"exported": ["PyInit__core", "__cudaRegisterFunction"]}, "such as __cudaRegisterFunction"),
        ({"undefined": ["cuLaunchKernel"]}, "such as cuLaunchKernel"),
    ],
)
def test_complaints(scripts, facts, message):
    found = scripts[0].complaints(scripts[0].Module(**(GOOD | facts)))
    if message is None:
        assert found == []
    else:
        [line] = found
        assert message in line


def test_the_module_of_this_build(scripts, linux, tmp_path, capsys):
    """It shares no symbol of ours and none of the CUDA runtime, and an interpreter with nothing else imports it.

    Whether its libc is old enough is a matter of the machine that it was built on.
    """
    check_wheel = scripts[0]
    file = Path(_core.__file__)
    wheel = wheel_of(tmp_path / "a.whl", **{file.name: file.read_bytes()})
    found = [line for line in check_wheel.check(wheel, set(), sys.executable) if "newer than" not in line]
    assert found == []
    cuda = getattr(_core, "cuda", None)
    printed = capsys.readouterr().out
    assert f"{_core.simd_level()}; CUDA: {cuda.architectures if cuda else 'none'}" in printed
    names = cuda.architectures.split() if cuda else []
    real = sorted(int(name.removesuffix("-real")) for name in names if "virtual" not in name)
    assert f"code for compute capability {', '.join(map(str, real)) or 'none'}" in printed


def test_what_a_wheel_lacks(scripts, linux, tmp_path, capsys):
    check_wheel, file = scripts[0], Path(_core.__file__)
    wheel = wheel_of(tmp_path / "a.whl", **{file.name: file.read_bytes()})
    assert "has no code for compute capability 77" in check_wheel.check(wheel, {77})
    assert check_wheel.main([str(wheel), "--architectures", "77"]) == 1
    assert "has no code for compute capability 77" in capsys.readouterr().err
    empty = wheel_of(tmp_path / "b.whl", **{"__init__.py": ""})
    assert check_wheel.check(empty, set()) == ["holds 0 compiled modules botan_fast/_core*.so instead of one"]
    two = wheel_of(tmp_path / "c.whl", **{"_core.cpython-311.so": "", "_core.cpython-312.so": ""})
    assert "holds 2 compiled modules" in check_wheel.check(two, set())[0]


def test_a_module_that_cannot_be_imported(scripts, linux, tmp_path):
    text = Path(shutil.which("objdump")).read_bytes()  # a program, not a module
    wheel = wheel_of(tmp_path / "a.whl", **{"_core.so": text, "_core.abi3.so": text})
    assert scripts[0].check(wheel, set()) != []
    wheel = wheel_of(tmp_path / "b.whl", **{"_core.abi3.so": text})
    found = scripts[0].check(wheel, set(), sys.executable)
    assert any("cannot be imported by" in line for line in found)
    assert any("does not export PyInit__core" in line for line in found)


def test_the_command_builds_and_checks(scripts, monkeypatch, tmp_path, capsys):
    build_wheel, calls = scripts[1], []

    def run(command, cwd):
        calls.append(command)
        (tmp_path / "botan_fast-1-cp312.whl").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(build_wheel.subprocess, "run", run)
    for complaints in ([], ["needs GLIBC_2.38"]):
        monkeypatch.setattr(build_wheel, "check", lambda *facts, found=complaints: calls.append(facts) or found)
        arguments = ["--python", "python3.12", "--architectures", "90,80", "--output", str(tmp_path)]
        assert build_wheel.main(arguments) == len(complaints)
    command, facts = calls[:2]
    assert command[:4] == ["python3.12", "-m", "pip", "wheel"]
    assert "cmake.define.CMAKE_CUDA_ARCHITECTURES=80-real;90-real" in command
    assert facts == (tmp_path / "botan_fast-1-cp312.whl", {80, 90}, "python3.12")
    printed = capsys.readouterr()
    assert "runs on Linux from glibc 2.35 on" in printed.out
    assert "needs GLIBC_2.38" in printed.err


def test_no_new_wheel_is_an_error(scripts, monkeypatch, tmp_path, capsys):
    """An old one in the folder is not taken for it."""
    (tmp_path / "botan_fast-0-cp312.whl").touch()
    monkeypatch.setattr(scripts[1].subprocess, "run", lambda command, cwd: subprocess.CompletedProcess(command, 0))
    assert scripts[1].main(["--output", str(tmp_path)]) == 1
    assert "pip wrote 0 wheels" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [False, True])
def test_pip_takes_the_options(scripts, wrong, tmp_path):
    """With --help at the end pip reads the options and does nothing."""
    command = scripts[1].command(sys.executable, [80, 90], tmp_path)
    command = [*command, *(["--no-such-option"] if wrong else []), "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == (not wrong), done.stderr


def test_the_installed_package_is_run(scripts, monkeypatch, capsys):
    """cmake/check_installed.py, the test of every wheel, and that it finds what is wrong."""
    check = importlib.import_module("check_installed")
    assert check.main() == 0
    assert " edges, error " in capsys.readouterr().out
    for has in (False, True):
        info = bf.build_info() | {"cuda": has, "cuda_absent": "" if has else "switched off"}
        monkeypatch.setattr(bf, "build_info", lambda info=info: info)
        assert check.main(["--cuda"]) == (0 if has else 1)
        assert has or "switched off" in capsys.readouterr().err
    build_graph = bf.build_graph
    monkeypatch.setattr(bf, "build_graph", lambda *arguments, cutoff: build_graph(*arguments, cutoff=1.9))
    assert check.main() == 1
    assert capsys.readouterr().err.startswith("wrong: ")


def test_spills_count_where_they_are_forbidden(scripts, tmp_path, capsys):
    """cmake/check_ptxas_report.py: CI compiles for all GPUs, and kernels may not spill on two of them."""
    check = importlib.import_module("check_ptxas_report")
    report = [
        f"Compiling entry function 'f' for 'sm_{number}'\n{spills} bytes stack frame, {spills} bytes spill stores, "
        "0 bytes spill loads\nUsed 32 registers\n"
        for number, spills in ((90, 0), (120, 8))
    ]
    (tmp_path / "a.ptxas.txt").write_text("".join(report))
    assert check.main([str(tmp_path)]) == 1
    assert check.main([str(tmp_path), "--architectures", "120"]) == 1
    assert check.main([str(tmp_path), "--architectures", "90"]) == 0
    assert "sm_120: 1 kernels, at most 32 registers, 1 with spills" in capsys.readouterr().out
    assert check.main([str(tmp_path), "--architectures", "80,90"]) == 1
    assert "no kernel was compiled for sm_80" in capsys.readouterr().err

"""cmake/CudaChoice.cmake: BOTAN_FAST_CUDA=AUTO builds CUDA kernels where a GPU could run them, and says why not."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHOICE = Path(__file__).parents[1] / "cmake" / "CudaChoice.cmake"
ASK = "pip install -C cmake.define.BOTAN_FAST_CUDA=ON ."
TRACES = [
    *("/dev/nvidia0", "/dev/nvidia3", "/dev/nvidiactl", "/proc/driver/nvidia/version"),
    *("/dev/nvhost-gpu", "/dev/nvhost-ctrl-gpu", "/dev/nvgpu", "/etc/nv_tegra_release"),
    *("/usr/lib/x86_64-linux-gnu/libcuda.so.1", "/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1"),
    *("/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1"),
    "/opt/driver/bin/nvidia-smi",
]
# What machines without a GPU have: other devices, every WSL, a CUDA toolkit with its stub of the driver.
NO_TRACES = [
    *("/dev/null", "/dev/dxg", "/dev/dri/card0", "/dev/nvme0", "/dev/nvidia-caps", "/usr/lib/wsl/lib/libdxcore.so"),
    *("/usr/local/cuda/bin/nvcc", "/usr/local/cuda/lib64/stubs/libcuda.so.1", "/usr/lib64/libcudart.so.13"),
]


@pytest.fixture
def call(tmp_path):
    """call("function(arguments)", "variable") -> (the variable's value, what CMake says)."""
    program = shutil.which("cmake")
    if program is None:
        pytest.skip("cmake is not installed")

    def run(statement: str, *variables: str) -> tuple[list[str], str]:
        script = tmp_path / "script.cmake"
        lines = [f'message(STATUS "{name}=${{{name}}}")' for name in variables]
        script.write_text("\n".join([f'include("{CHOICE}")', statement, *lines]))
        environment = {**os.environ, "PATH": f"/usr/bin:relative::{'/opt/driver/bin'}"}
        done = subprocess.run([program, "-P", script], capture_output=True, text=True, env=environment)
        values = [line.split("=", 1)[1] for line in done.stdout.splitlines() if line.startswith("-- ")]
        return values, done.stderr

    return run


def machine(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


@pytest.mark.parametrize("trace", TRACES)
def test_a_gpu_is_found(call, tmp_path, trace):
    root = machine(tmp_path / "root", *NO_TRACES, trace)
    assert call(f'botan_fast_find_gpu(gpu "{root}")', "gpu")[0] == [trace]


def test_no_gpu_is_found(call, tmp_path):
    root = machine(tmp_path / "root", *NO_TRACES)
    assert call(f'botan_fast_find_gpu(gpu "{root}")', "gpu") == ([""], "")


def test_of_this_machine(call):
    """Without a root it looks at the machine itself."""
    [found], _ = call("botan_fast_find_gpu(gpu)", "gpu")
    assert found == "" or Path(found).exists()
    if Path("/dev/nvidiactl").exists():
        assert found


@pytest.mark.parametrize(
    ("option", "gpu", "wants", "reason"),
    [
        ("AUTO", "/dev/nvidia0", "ON", ""),
        ("auto", "", "OFF", f"no GPU was found when this was built. To build them all the same, where nvcc is: {ASK}"),
        ("ON", "", "ON", ""),
        ("ON", "/dev/nvidia0", "ON", ""),
        ("OFF", "/dev/nvidia0", "OFF", "switched off when this was built (BOTAN_FAST_CUDA=OFF)"),
    ],
)
def test_the_option(call, option, gpu, wants, reason):
    assert call(f'botan_fast_wants_cuda({option} "{gpu}" wants why)', "wants", "why") == ([wants, reason], "")


def test_a_bad_option(call):
    values, errors = call('botan_fast_wants_cuda(YES "" wants why)', "wants")
    assert values == []
    assert "BOTAN_FAST_CUDA = YES; it must be AUTO, ON or OFF" in " ".join(errors.split())


def test_a_gpu_without_nvcc(call):
    [why], _ = call("botan_fast_without_nvcc(AUTO /dev/nvidia0 why)", "why")
    assert why.startswith("a GPU was found (/dev/nvidia0) but no working nvcc when this was built.")
    assert why.endswith(ASK)
    values, errors = call("botan_fast_without_nvcc(ON /dev/nvidia0 why)", "why")
    assert values == []
    assert "BOTAN_FAST_CUDA = ON, but no working CUDA compiler was found" in " ".join(errors.split())

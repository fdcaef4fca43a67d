"""The commands of benchmarks.gpu.check: what each stage calls."""

import importlib.util
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PYTHON = [sys.executable, "-m"]
PYTEST = [*PYTHON, "pytest", "-v", "tests/gpu", "-p", "no:cacheprovider"]  # -v: a line for each test, as it ends
# Tests of tests/gpu that are small enough for a slowdown of ten to a hundred, and cover every kernel; none that
# captures a CUDA graph, for which torch needs the allocator that is switched off here.
SMALL_STEP = "test_a_small_training_step and False"  # without save_memory
SANITIZED = {
    "memcheck": (
        "test_a_small_training_step"
        " or (test_processor and 7-97)"
        " or (test_loss and 1000-1001 and not cuda_graph)"
        " or (test_sums_and_gradients and (1000-300 or 20000-4))"
        " or (test_graph_and_pairs and box0)"
        " or test_a_dense_cluster"
        " or test_a_batch"
        " or test_the_batch_on_the_device or test_the_numbers_of_a_step"
        " or (test_targets and cubic and float32)"
    ),
    "initcheck": SMALL_STEP,
    "racecheck": f"{SMALL_STEP} and not tf32",
}
# Without its own memory of freed blocks torch asks CUDA for each array, so that an access beyond an array is found and
# not taken for one to its neighbour in the same block.
SANITIZER_ENVIRONMENT = {"PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}


def build(capability: tuple[int, int], wheel: Path | None = None) -> list[str]:
    """Install the package: from a wheel, or compiled for the GPU that is there alone. Neither asks for a network."""
    if wheel is not None:
        return [*PYTHON, "pip", "install", "-q", "--no-deps", "--no-index", "--force-reinstall", str(wheel)]
    defines = {"BOTAN_FAST_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": f"{capability[0]}{capability[1]}-real"}
    settings = [word for name, value in defines.items() for word in ("-C", f"cmake.define.{name}={value}")]
    return [*PYTHON, "pip", "install", "-q", "--no-build-isolation", "--no-deps", *settings, "."]


def tests() -> list[str]:
    """The tests on the GPU; one that hangs ends after two minutes where pytest-timeout is installed."""
    timeout = ["--timeout=120"] if importlib.util.find_spec("pytest_timeout") else []
    return [*PYTEST, "--durations=10", *timeout]


def bench(output: Path) -> list[str]:
    """`botan-fast bench` on the GPU, whose file README's table is made from."""
    return [*PYTHON, "botan_fast", "bench", "--device", "cuda", "--json", str(output)]


def measure(group: str, output: Path, select: str = "") -> list[str]:
    """Benchmarks of a group of benchmarks.gpu.measure."""
    command = [*PYTHON, "benchmarks.gpu.measure", group, "--output", str(output)]
    return [*command, "--select", select] if select else command


def sanitizer(tool: str) -> list[str] | None:
    """compute-sanitizer with one of its tools; None where it is not installed.

    Our launches check their own errors; those that libraries cause and handle are not reported.
    """
    program = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if program is None:
        return None
    options = ["--tool", tool, "--error-exitcode", "1", "--target-processes", "all", "--report-api-errors", "no"]
    return [program, *options, *PYTEST, "-k", SANITIZED[tool]]

"""Compiles the C++ core and `driver.cpp` for 64-bit Arm, with the flags of CMakeLists.txt, into one static program."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["COMPILER", "EMULATOR", "build", "missing"]

ROOT = Path(__file__).parents[2]
CORE = ROOT / "csrc"
COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64"
COMMON = ["-std=c++17", "-O3", "-Wall", "-Wextra", "-Wno-psabi", "-fno-math-errno", "-fno-trapping-math"]


def missing() -> list[str]:
    """The programs that are needed and not installed."""
    return [program for program in (COMPILER, EMULATOR) if shutil.which(program) is None]


def build(folder: Path) -> Path:
    """The program, in `folder`."""
    sources = [*sorted(CORE.glob("cpu/**/*.cpp")), Path(__file__).with_name("driver.cpp")]
    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(lambda source: _compile(source, folder), sources))
    program = folder / "driver"
    _run([COMPILER, "-static", "-pthread", *objects, "-o", program])
    return program


def _compile(source: Path, folder: Path) -> Path:
    # As on every machine, geometry is never contracted: what it computes must not depend on the machine.
    contract = "off" if source.parent.name == "geometry" else "fast"
    options = [f"-ffp-contract={contract}", "-DBOTAN_FAST_SIMD=generic", f"-I{CORE}"]
    target = folder / f"{source.stem}.o"
    _run([COMPILER, *COMMON, *options, "-c", source, "-o", target])
    return target


def _run(command: list[str | Path]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Builds a wheel with CUDA kernels for another machine, and checks that it will run there.

    python cmake/build_wheel.py [--python PYTHON] [--architectures 80,90] [--output dist]

PYTHON is an interpreter of the version that the other machine has (default: this one). nvcc and a C++ compiler must be
there, a GPU need not. The wheel is that of `pip wheel`; `check_wheel` then reads its symbols, the libraries and the
versions of glibc and libstdc++ that it asks for, and the architectures in it, and imports its module.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from check_wheel import check

ROOT = Path(__file__).resolve().parents[1]


def command(python: str, architectures: list[int], output: Path) -> list[str]:
    """The call of pip."""
    targets = ";".join(f"{number}-real" for number in architectures)
    defines = {"BOTAN_FAST_CUDA": "ON", "CMAKE_CUDA_ARCHITECTURES": targets}
    settings = [word for name, value in defines.items() for word in ("-C", f"cmake.define.{name}={value}")]
    return [python, "-m", "pip", "wheel", "--no-deps", "-w", str(output), *settings, str(ROOT)]


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="interpreter of the version to build for")
    parser.add_argument("--architectures", default="80,90", help="compute capabilities, such as 80,90 (A100, H100)")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the wheel")
    options = parser.parse_args(arguments)
    try:
        numbers = sorted({int(number) for number in options.architectures.split(",")})
    except ValueError:
        parser.error(f"--architectures {options.architectures}: give numbers such as 80,90")
    before = {wheel: wheel.stat().st_mtime_ns for wheel in options.output.glob("botan_fast-*.whl")}
    if subprocess.run(command(options.python, numbers, options.output), cwd=ROOT).returncode != 0:
        return 1
    made = [w for w in options.output.glob("botan_fast-*.whl") if before.get(w) != w.stat().st_mtime_ns]
    if len(made) != 1:
        print(f"pip wrote {len(made)} wheels into {options.output} instead of one", file=sys.stderr)
        return 1
    found = check(made[0], set(numbers), options.python)
    for line in found:
        print(f"{made[0].name} {line}", file=sys.stderr)
    print(f"{made[0]}: {'NOT fit for other machines' if found else 'runs on Linux from glibc 2.35 on'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Compiles the kernels of csrc/cuda for the CPU, with the emulation beside this file, into a Python module.

Objects are kept in build/cuda_host, named by a hash of what they are made from: only what changed is compiled again.
What no build has used for a week is removed.
By hand: python -m tests.cuda_host.build [address]
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAME = "botan_fast_cuda_host"
# Contraction off: a product and a sum are fused only where the source says so. -O1: half the compile time of -O2.
FLAGS = [
    "-std=c++17",
    "-O1",
    "-g1",
    "-fPIC",
    "-fvisibility=hidden",
    "-ffp-contract=off",
    "-fmax-errors=5",
    "-DBOTAN_FAST_CUDA_HOST",
]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]  # g++ does not know "#pragma unroll"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"]


def _run(command: list[str], made: str):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} not found; a C++17 compiler is needed, named by the variable CXX") from None
    if done.returncode:
        raise RuntimeError(f"{made} does not compile:\n{' '.join(command)}\n{done.stderr}")


def open_sources() -> list[Path]:
    return sorted([*(ROOT / "csrc").rglob("*.cu"), ROOT / "csrc/bindings/cuda.cpp", *HERE.glob("*.c*[pu]")])


def _headers() -> list[Path]:
    return sorted([*(ROOT / "csrc").rglob("*.h"), *(ROOT / "csrc").rglob("*.cuh"), *HERE.glob("*.h")])


def _remove_unused(cache: Path, age: float = 7 * 86400):
    """Removes objects and modules that no build has used for `age` seconds; other runs may do the same meanwhile."""
    for path in cache.iterdir():
        newest = max((p.stat().st_mtime for p in [path, *(path.iterdir() if path.is_dir() else [])]), default=0)
        if time.time() - newest > age:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def build(sanitize: bool = False) -> Path:
    """Builds the module and returns its path."""
    import pybind11

    compiler = os.environ.get("CXX") or shutil.which("c++") or "c++"
    flags = [*FLAGS, *(SANITIZE if sanitize else []), f"-I{ROOT / 'csrc'}", f"-I{HERE}"]
    python = [f"-I{sysconfig.get_path('include')}", f"-I{pybind11.get_include()}"]
    cache = ROOT / "build" / "cuda_host"
    cache.mkdir(parents=True, exist_ok=True)
    common = hashlib.sha256(repr((compiler, flags, WARNINGS, python, sys.version)).encode())
    for header in _headers():
        common.update(str(header.relative_to(ROOT)).encode() + b"\0" + header.read_bytes())

    def compiled(source: Path) -> Path:
        key = common.copy()
        key.update(source.read_bytes())
        target = cache / f"{source.stem}-{key.hexdigest()[:16]}.o"
        if not target.exists():
            part = target.with_suffix(f".{os.getpid()}.o")  # two test runs may build at once
            own = [] if "pybind11" in source.read_text() else WARNINGS
            command = [compiler, *flags, *own, *[f"-isystem{path[2:]}" for path in python]]
            _run([*command, "-x", "c++", "-c", str(source), "-o", str(part)], str(source.relative_to(ROOT)))
            part.replace(target)
        return target

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compiled, open_sources()))
    for used in objects:
        used.touch()
    _remove_unused(cache)
    key = hashlib.sha256(repr([common.hexdigest(), *(o.name for o in objects)]).encode()).hexdigest()[:16]
    module = cache / key / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not module.exists():
        module.parent.mkdir(exist_ok=True)
        part = module.with_suffix(f".{os.getpid()}")
        link = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
        _run([compiler, *flags, "-shared", *link, *map(str, objects), "-o", str(part)], NAME)
        part.replace(module)
    module.touch()
    return module


def load(sanitize: bool = False) -> ModuleType:
    """The module, built where needed."""
    spec = importlib.util.spec_from_file_location(NAME, build(sanitize))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    print(build("address" in sys.argv[1:]))

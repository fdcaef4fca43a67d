"""Reads the compiled module of a wheel: does it run on other machines, and for which GPUs has it code?

    python cmake/check_wheel.py WHEEL [--architectures 80,90] [--python PYTHON]

Needs `objdump` (binutils). Prints what was found; what is wrong is named, and the exit status is then 1. With --python,
the module is imported by that interpreter, which needs nothing installed.
"""

import argparse
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

# What Ubuntu 22.04 has, and every later distribution: newest versions of symbols, and the libraries that are always
# there. The CUDA runtime is inside of the module, the driver is asked for by name at run time.
LIMITS = {"GLIBC": (2, 35), "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GCC": (12, 0, 0)}
LIBRARIES = {
    *("libstdc++.so.6", "libgcc_s.so.1", "libm.so.6", "libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"),
    *("ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"),
}
MODULE = "PyInit__core"  # all that anybody looks for in the module
CUDA_SYMBOL = re.compile(r"^_*cu(da)?[A-Z]")  # of the runtime or the driver: cudaMalloc, __cudaRegisterFunction, cuInit
FAT_BINARY, MACHINE_CODE = 0xBA55ED50, 2  # nvcc's container of device code, and the kind of entry that is no PTX
IMPORT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("_core", sys.argv[1])
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
cuda = getattr(core, "cuda", None)
kernels = f"{cuda.architectures} by nvcc {cuda.toolkit_version}" if cuda else "none"
print(f"imported by Python {sys.version_info.major}.{sys.version_info.minor}: {core.simd_level()}; CUDA: {kernels}")
"""


class Module(NamedTuple):
    """What the dynamic section of a shared library says."""

    libraries: list[str]
    exported: list[str]  # names that others may find in it
    undefined: list[str]  # names that it finds in others
    versions: dict[str, tuple[int, ...]]  # the newest of each family of versions: {"GLIBC": (2, 34)}


def read(headers: str, symbols: str) -> Module:
    """From what `objdump -p` and `objdump -T` print.

    >>> found = read("  NEEDED               libc.so.6", '''
    ... 0000000000000000      DF *UND*\\t0000000000000000 (GLIBC_2.2.5) memcpy
    ... 0000000000000000      DF *UND*\\t0000000000000000 (GLIBC_2.34) dlsym
    ... 0000000000001000 g    DF .text\\t0000000000000010  Base        PyInit__core''')
    >>> found.libraries, found.exported, found.undefined, found.versions
    (['libc.so.6'], ['PyInit__core'], ['memcpy', 'dlsym'], {'GLIBC': (2, 34)})
    """
    exported, undefined, versions = [], [], {}
    for line in symbols.splitlines():
        if not re.match(r"[0-9a-f]{8,} ", line):
            continue
        (undefined if "*UND*" in line else exported).append(line.split()[-1])
    for family, number in re.findall(r"\b(GLIBCXX|GLIBC|CXXABI|GCC)_([0-9.]+)\b", headers + symbols):
        version = tuple(int(part) for part in number.split("."))
        versions[family] = max(version, versions.get(family, version))
    return Module(re.findall(r"NEEDED\s+(\S+)", headers), exported, undefined, versions)


def complaints(module: Module) -> list[str]:
    """Why the module may fail on another machine, or disturb others in a process; empty where it is right."""
    found = []
    for library in module.libraries:
        if library not in LIBRARIES:
            found.append(f"needs {library}, which another machine may lack; link it statically")
    for family, version in module.versions.items():
        if version > LIMITS[family]:
            wanted, limit = (".".join(map(str, v)) for v in (version, LIMITS[family]))
            found.append(f"needs {family}_{wanted}, newer than {limit} of Ubuntu 22.04; build on an older system")
    if MODULE not in module.exported:
        found.append(f"does not export {MODULE}")
    own = [name for name in module.exported if "botan_fast" in name]
    if own:
        found.append(f"exports {len(own)} symbols of its own, such as {own[0]}; compile with hidden visibility")
    runtime = [name for name in (*module.exported, *module.undefined) if CUDA_SYMBOL.match(name)]
    if runtime:
        found.append(f"shares symbols of the CUDA runtime, such as {runtime[0]}; link it statically")
    return found


def architectures(binary: bytes) -> set[int]:
    """Compute capabilities (80, 90) that the device code in a binary is compiled for; PTX does not count.

    >>> import struct
    >>> entry = struct.pack("<HHIQIIHHI", 2, 0x101, 64, 8, 0, 0, 0, 1, 90).ljust(72, b"-")
    >>> architectures(b"......" + struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(entry)) + entry)
    {90}
    """
    found = set()
    for match in re.finditer(re.escape(struct.pack("<I", FAT_BINARY)), binary):
        try:
            _, _, header, size = struct.unpack_from("<IHHQ", binary, match.start())
            entry, end = match.start() + header, match.start() + header + size
            while entry < end:
                kind, _, header, size, _, _, _, _, capability = struct.unpack_from("<HHIQIIHHI", binary, entry)
                if kind == MACHINE_CODE:
                    found.add(capability)
                if header + size == 0:
                    break
                entry += header + size
        except struct.error:  # four bytes that look like the mark
            continue
    return found


def check(wheel: Path, wanted: set[int], python: str | None = None) -> list[str]:
    """What is wrong with the wheel; prints what it is."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(r"botan_fast/_core\.[^/]*\.so", name)]
        if len(names) != 1:
            return [f"holds {len(names)} compiled modules botan_fast/_core*.so instead of one"]
        path = Path(archive.extract(names[0], folder))
        headers, symbols = (
            subprocess.run(["objdump", option, path], capture_output=True, text=True, check=True).stdout
            for option in ("-p", "-T")
        )
        module, built = read(headers, symbols), architectures(path.read_bytes())
        newest = ", ".join(f"{family} {'.'.join(map(str, v))}" for family, v in sorted(module.versions.items()))
        print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB; {names[0]}: {path.stat().st_size / 1e6:.1f} MB")
        print(f"libraries: {', '.join(module.libraries)}; newest symbols: {newest}")
        print(f"code for compute capability {', '.join(map(str, sorted(built))) or 'none'}")
        found = complaints(module)
        if wanted - built:
            found.append(f"has no code for compute capability {', '.join(map(str, sorted(wanted - built)))}")
        if python:
            # without -E and the working directory's modules: what a bare machine does
            done = subprocess.run([python, "-I", "-c", IMPORT, path], capture_output=True, text=True)
            print(done.stdout, end="")
            if done.returncode != 0:
                found.append(f"cannot be imported by {python}: {(done.stderr.strip().splitlines() or ['killed'])[-1]}")
    return found


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--architectures", default="", help="capabilities that it must have code for: 80,90")
    parser.add_argument("--python", help="an interpreter of the wheel's version, to import the module with")
    options = parser.parse_args(arguments)
    wanted = {int(number) for number in options.architectures.split(",") if number}
    found = check(options.wheel, wanted, options.python)
    for line in found:
        print(f"{options.wheel.name} {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""What the machine is and what it could do."""

import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

__all__ = ["ceilings", "cores", "cpu_model", "peak_bytes"]


def cpu_model() -> str:
    """What the processor calls itself.

    >>> from botan_fast.bench.machine import cpu_model
    >>> isinstance(cpu_model(), str)
    True
    """
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    if platform.system() == "Darwin":
        done = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """Main memory of the machine."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """The largest resident size of this process so far."""
    status = Path("/proc/self/status")
    if status.exists():
        # ru_maxrss of Linux also counts what the parent process held when it started this one; VmHWM does not.
        found = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # macOS counts bytes, others kB


def ceilings(rounds: int = 20) -> dict[str, float]:
    """The two limits of the machine with torch's threads: FLOP/s of a large float32 matrix product, bytes/s of a copy.

    The best of `rounds`. A copy of n bytes counts 2 n: it reads and writes.

    >>> from botan_fast.bench.machine import ceilings
    >>> sorted(ceilings(rounds=1))
    ['copy_bytes_per_second', 'matrix_product_flops_per_second']
    """
    size = 2048
    a, b, out = torch.randn(size, size), torch.randn(size, size), torch.empty(size, size)
    source = torch.ones(32 * 2**20)  # 128 MB, larger than caches
    target = torch.zeros_like(source)
    product = min(measured_times(lambda: torch.mm(a, b, out=out), rounds))
    copy = min(measured_times(lambda: target.copy_(source), rounds))
    return {
        "matrix_product_flops_per_second": 2 * size**3 / product,
        "copy_bytes_per_second": 2 * 4 * source.numel() / copy,
    }


def measured_times(
    function: Callable[[], Any], rounds: int, budget: float = float("inf"), fewest: int = 1
) -> list[float]:
    """Durations of at most `rounds` calls after one to warm up; fewer, but `fewest`, beyond `budget` seconds."""
    function()
    found: list[float] = []
    while len(found) < rounds and (len(found) < fewest or sum(found) < budget):
        start = perf_counter()
        function()
        found.append(perf_counter() - start)
    return found

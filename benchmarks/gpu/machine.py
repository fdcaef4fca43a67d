"""Where a GPU is measured: `botan_fast.bench.clock.Clock`, single kernels by the profiler, and what the device is.

A `Machine` of device "cpu" is for the tests of these benchmarks: the same steps by the wall clock, no graphs, no peaks.
"""

import json
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import torch

from botan_fast.bench.clock import Clock


class NotRun(Exception):
    """A benchmark that this machine has no room or no package for; the text says why. Not a failure."""


class Machine(Clock):
    """One device; `compile` stands for torch.compile."""

    def __init__(
        self, device: str = "cuda", timer: Callable | None = None, compile: Callable | None = None, most: int = 50
    ):
        super().__init__(device, timer, most)
        self.compile = compile or (lambda function: torch.compile(function, dynamic=False, fullgraph=True))

    def kernels(self, run: Callable, repeats: int = 10) -> list[dict]:
        """Every kernel of run(), `kernels_of` the trace of torch's profiler."""
        repeats = min(repeats, self.most)
        run()
        self.synchronize()
        profile = self.profiler()
        with profile:
            for _ in range(repeats):
                run()
            self.synchronize()
        return kernels_of(events_of(profile), repeats, self.device_events)

    def seconds(self, run: Callable) -> float:
        """Of one call by the wall clock, until the device has done all of it."""
        self.synchronize()
        start = perf_counter()
        run()
        self.synchronize()
        return perf_counter() - start

    def profiler(self) -> torch.profiler.profile:
        """Of the device alone: what Python calls would be most of a trace, and of what tracing costs."""
        kinds = torch.profiler.ProfilerActivity
        return torch.profiler.profile(activities=[kinds.CUDA if self.cuda else kinds.CPU])

    @property
    def device_events(self) -> tuple[str, ...]:
        """The kinds of events that take the device's time; the operators of torch stand in for them on a CPU."""
        return DEVICE_EVENTS if self.cuda else ("cpu_op",)

    def describe(self) -> dict:
        """Device, driver and versions."""
        import botan_fast as bf

        facts = {"device": "cpu", "driver": None, **bf.build_info(), "torch_cuda": torch.version.cuda}
        if self.cuda:
            properties = torch.cuda.get_device_properties(self.device)
            facts |= {
                "device": properties.name,
                "capability": f"{properties.major}.{properties.minor}",
                "multiprocessors": properties.multi_processor_count,
                "memory_bytes": properties.total_memory,
                "driver": driver_version(),
            }
        for package in ("triton", "torch_geometric"):
            try:
                facts[package] = __import__(package).__version__
            except Exception:  # not there, or broken beside this torch: numbers come without it
                facts[package] = None
        return facts


def driver_version() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0].strip()
    except (OSError, subprocess.CalledProcessError):
        return None


DEVICE_EVENTS = ("kernel", "gpu_memcpy", "gpu_memset")
# What kineto says of a launch, and our name for it.
LAUNCH = {
    "registers per thread": "registers",
    "shared memory": "shared_bytes",
    "grid": "grid",
    "block": "block",
    "est. achieved occupancy %": "occupancy_percent",
}


def events_of(profile: torch.profiler.profile) -> list[dict]:
    """The events of a finished profile, as its trace file has them; times in microseconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(path))
        return json.loads(path.read_text())["traceEvents"]


def busy_us(events: list[dict], kinds: tuple[str, ...] = DEVICE_EVENTS) -> float:
    """Microseconds in which at least one event of these kinds ran: kernels that overlap count once."""
    spans = sorted(
        (float(event["ts"]), float(event["ts"]) + float(event["dur"]))
        for event in events
        if event.get("ph") == "X" and event.get("cat") in kinds
    )
    total, until = 0.0, float("-inf")
    for start, end in spans:
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def kernels_of(events: list[dict], repeats: int, kinds: tuple[str, ...] = DEVICE_EVENTS) -> list[dict]:
    """Of the events of a trace: name, calls per run, median, mean and sum per run in us, largest sum first."""
    times, launches = defaultdict(list), {}
    for event in events:
        if event.get("ph") == "X" and event.get("cat") in kinds:
            times[event["name"]].append(float(event["dur"]))
            arguments = event.get("args", {})
            launches[event["name"]] = {ours: arguments[name] for name, ours in LAUNCH.items() if name in arguments}
    rows = [
        {
            "name": name,
            "calls": len(found) / repeats,
            "median_us": statistics.median(found),
            "mean_us": statistics.fmean(found),
            "us_per_run": sum(found) / repeats,
            **launches[name],
        }
        for name, found in times.items()
    ]
    return sorted(rows, key=lambda row: -row["us_per_run"])

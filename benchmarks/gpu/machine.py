"""Where a GPU is measured: time, memory, CUDA graphs, single kernels and ceilings of one device.

A `Machine` of device "cpu" is for the tests of these benchmarks: the same steps by the wall clock, no graphs, no peaks.
"""

import gc
import json
import statistics
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter

import torch

WARM_UP = 5
FLUSHED = 256 << 20  # bytes written before every timed run: more than the L2 cache of any device


class NotRun(Exception):
    """A benchmark that this machine has no room for; the text says why. Not a failure."""


class Machine:
    """One device.

    timer(run) gives the microseconds of one call, `compile` stands for torch.compile, and nothing is timed more than
    `most` times.
    """

    def __init__(
        self, device: str = "cuda", timer: Callable | None = None, compile: Callable | None = None, most: int = 50
    ):
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        self.timer = timer or (self._events if self.cuda else wall_clock)
        self.compile = compile or (lambda function: torch.compile(function, dynamic=False, fullgraph=True))
        self.most = most
        self._flush = None

    def measure(self, run: Callable, repeats: int = 50) -> dict[str, float]:
        """Median and quartiles in microseconds, after a warm-up."""
        repeats = min(repeats, self.most)
        for _ in range(WARM_UP if repeats > WARM_UP else 1):
            self.timer(run)
        times = [self.timer(run) for _ in range(repeats)]
        self._flush = None
        low, median, high = statistics.quantiles(times, n=4)
        return {"median_us": median, "low_quartile_us": low, "high_quartile_us": high, "repeats": repeats}

    def _events(self, run: Callable) -> float:
        """By CUDA events; the L2 cache is overwritten before."""
        if self._flush is None:
            self._flush = torch.empty(FLUSHED, dtype=torch.uint8, device=self.device)
        self._flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return 1e3 * start.elapsed_time(end)

    def synchronize(self):
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def capture(self, step: Callable) -> tuple[Callable, object]:
        """`step` as one CUDA graph: what replays it, and its results, which every replay writes again."""
        if not self.cuda:
            out = step()
            return step, out
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side):
            for _ in range(3):
                step()
        torch.cuda.current_stream(self.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = step()
        return graph.replay, out

    def free_bytes(self) -> float:
        self.release()
        return torch.cuda.mem_get_info(self.device)[0] if self.cuda else float("inf")

    def allocated(self) -> int:
        self.release()
        return torch.cuda.memory_allocated(self.device) if self.cuda else 0

    def peak_bytes(self, run: Callable, before: int) -> int | None:
        """Most memory in use during run(), less `before`, what was `allocated` before its inputs were made."""
        if not self.cuda:
            run()
            return None
        self.release()
        torch.cuda.reset_peak_memory_stats(self.device)
        run()
        self.synchronize()
        return torch.cuda.max_memory_allocated(self.device) - before

    def release(self):
        if self.cuda:
            gc.collect()
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()

    def kernels(self, run: Callable, repeats: int = 10) -> list[dict]:
        """Every kernel of run(), `kernels_of` the trace of torch's profiler."""
        repeats = min(repeats, self.most)
        run()
        self.synchronize()
        kinds = torch.profiler.ProfilerActivity
        activities = [kinds.CPU, kinds.CUDA] if self.cuda else [kinds.CPU]
        with torch.profiler.profile(activities=activities) as profile:
            for _ in range(repeats):
                run()
            self.synchronize()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            profile.export_chrome_trace(str(path))
            events = json.loads(path.read_text())["traceEvents"]
        return kernels_of(events, repeats, DEVICE_EVENTS if self.cuda else ("cpu_op",))

    def ceilings(self, copied: int = 1 << 30, side: int = 8192) -> dict[str, float]:
        """copy: bytes read and written per second; float32, tf32, bf16: operations per second of torch.matmul."""
        source = torch.ones(copied // 4, device=self.device)
        target = torch.empty_like(source)
        found = {"copy": 2e6 * source.nbytes / self.measure(partial(target.copy_, source))["median_us"]}
        assert torch.equal(source, target)
        del source, target
        for name, dtype in (("float32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
            a, b = (torch.randn(side, side, device=self.device, dtype=dtype) for _ in range(2))
            with matmul_precision("high" if name == "tf32" else "highest"):
                time = self.measure(partial(torch.matmul, a, b), repeats=20)["median_us"]
            found[name] = 2e6 * side**3 / time
        return found

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
            except ImportError:
                facts[package] = None
        return facts


def wall_clock(run: Callable) -> float:
    start = perf_counter()
    run()
    return 1e6 * (perf_counter() - start)


@contextmanager
def matmul_precision(precision: str):
    """torch's flag for float32 products ("highest": no TF32), put back at the end."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


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

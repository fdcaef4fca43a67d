"""Time, memory, CUDA graphs and ceilings of one device.

A `Clock` of the device "cpu" takes the same steps by the wall clock, without graphs and peaks: what is measured on a
GPU can be tried without one.
"""

import gc
import statistics
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Any, TypeAlias

import torch

from ..device import Device

__all__ = ["Clock", "matmul_precision", "wall_clock"]

WARM_UP = 5
FLUSHED = 256 << 20  # bytes read before every timed run: more than the second cache of any device holds

Run: TypeAlias = Callable[[], Any]


class Clock:
    """Of one device. `timer(run)` gives the microseconds of one call, and nothing is timed more than `most` times.

    >>> from botan_fast.bench.clock import Clock
    >>> times = Clock("cpu").measure(lambda: sum(range(1000)), repeats=8)
    >>> 0 < times["low_quartile_us"] <= times["median_us"] <= times["high_quartile_us"]
    True
    """

    def __init__(self, device: Device = "cuda", timer: Callable[[Run], float] | None = None, most: int = 50):
        self.device = torch.device("cuda" if device is None else device)
        self.cuda = self.device.type == "cuda"
        self.timer = timer or (self._events if self.cuda else wall_clock)
        self.most = most
        self._flushed: torch.Tensor | None = None

    def measure(self, run: Run, repeats: int = 50) -> dict[str, float]:
        """Median and quartiles in microseconds, after a warm-up."""
        repeats = min(repeats, self.most)
        for _ in range(WARM_UP if repeats > WARM_UP else 1):
            self.timer(run)
        times = [self.timer(run) for _ in range(repeats)]
        self._flushed = None
        low, median, high = statistics.quantiles(times, n=4)
        return {"median_us": median, "low_quartile_us": low, "high_quartile_us": high, "repeats": repeats}

    def _events(self, run: Run) -> float:
        """By CUDA events, with nothing of the run before in the second cache."""
        self.flush()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        return 1e3 * start.elapsed_time(end)

    def flush(self, num_bytes: int = FLUSHED) -> None:
        """Fill the second cache by reading: lines that were written would be written back inside of the timed run."""
        if self._flushed is None:
            self._flushed = torch.ones(num_bytes // 4, device=self.device)
        self._flushed.sum()

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize(self.device)

    def capture(self, step: Run) -> tuple[Run, Any]:
        """`step` as one CUDA graph: what replays it, and its results, which every replay writes again."""
        if not self.cuda:
            out = step()
            return step, out
        side = torch.cuda.Stream(self.device)
        side.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(side), warnings.catch_warnings():
            # of an optimizer that is made to be captured: here it warms up
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
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

    def peak_bytes(self, run: Run, before: int) -> int | None:
        """Most memory in use during run(), less `before`, what was `allocated` before its inputs were made."""
        if not self.cuda:
            run()
            return None
        self.release()
        torch.cuda.reset_peak_memory_stats(self.device)
        run()
        self.synchronize()
        return torch.cuda.max_memory_allocated(self.device) - before

    def release(self) -> None:
        """Give memory that nothing uses back to the device."""
        if self.cuda:
            gc.collect()
            torch.cuda.synchronize(self.device)
            torch.cuda.empty_cache()

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


def wall_clock(run: Run) -> float:
    start = perf_counter()
    run()
    return 1e6 * (perf_counter() - start)


@contextmanager
def matmul_precision(precision: str) -> Iterator[None]:
    """torch's flag for float32 products ("highest": no TF32), put back at the end."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)

"""Everything that needs a GPU, in one run: build, tests, compute-sanitizer, benchmarks.

    python scripts/gpu_check.py [--no-build] [--no-sanitizer] [--output FILE]

Writes benchmarks/results/<device>-<date>.json. To add a benchmark, decorate a function with @benchmark("name"): it
returns (run, bytes moved at least, check), where check() asserts that run() is correct before anything is timed.
"""

import argparse
import datetime
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

from gpu_graph_benchmarks import register

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = {}


def benchmark(name):
    def register(make):
        BENCHMARKS[name] = make
        return make

    return register


@benchmark("copy (E, 64) float32")
def _copy():
    import torch

    source = torch.randn(EDGES, 64, device="cuda")
    target = torch.empty_like(source)

    def check():
        assert torch.equal(target, source)

    return lambda: target.copy_(source), 2 * source.nbytes, check


EDGES, NODES = 166_484, 4096


def _segments():
    import torch

    generator = torch.Generator().manual_seed(0)
    index = torch.randint(NODES, (EDGES,), generator=generator)
    row_ptr = torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(index, minlength=NODES).cumsum(0)])
    return torch.randn(EDGES, 64, generator=generator).cuda(), index.sort()[0].cuda(), row_ptr.int().cuda()


def _sum_benchmark(make_run):
    import torch

    values, index, row_ptr = _segments()
    run = make_run(values, index, row_ptr)
    expected = torch.zeros(NODES, 64, dtype=torch.float64, device="cuda").index_add(0, index, values.double())

    def check():
        torch.testing.assert_close(run().double(), expected, rtol=1e-4, atol=1e-4)

    return run, values.nbytes + row_ptr.nbytes + NODES * 64 * 4, check


@benchmark("segment_sum (E, 64) float32")
def _segment_sum():
    import botan_fast as bf

    return _sum_benchmark(lambda values, index, row_ptr: lambda: bf.segment_sum(values, row_ptr))


@benchmark("torch index_add (E, 64) float32")
def _index_add():
    return _sum_benchmark(
        lambda values, index, row_ptr: lambda: values.new_zeros(NODES, 64).index_add_(0, index, values)
    )


register(benchmark)


def measure(run, repeats=50) -> dict[str, float]:
    """Median and quartiles in microseconds by CUDA events; the second cache is overwritten before every run."""
    import torch

    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for repeat in range(repeats + 5):
        flush.zero_()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        end.synchronize()
        if repeat >= 5:
            times.append(1e3 * start.elapsed_time(end))
    low, median, high = statistics.quantiles(times, n=4)
    return {"median_us": median, "low_quartile_us": low, "high_quartile_us": high}


def run_benchmarks() -> list[dict]:
    results = []
    for name, make in BENCHMARKS.items():
        run, num_bytes, check = make()
        run()
        check()
        result = {"name": name, **measure(run)}
        result["gigabytes_per_second"] = num_bytes / result["median_us"] / 1e3
        results.append(result)
        share = result["gigabytes_per_second"] / results[0]["gigabytes_per_second"]
        print(f"{name:40}{result['median_us']:10.1f} us{result['gigabytes_per_second']:10.0f} GB/s{share:8.0%} of copy")
    return results


def call(title: str, command: list[str]):
    print(f"== {title}", flush=True)
    subprocess.run(command, cwd=ROOT, check=True)


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-build", action="store_true")
    parser.add_argument("--no-sanitizer", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    if not options.no_build:
        pip = [sys.executable, "-m", "pip", "install", "-q", "-C", "cmake.define.BOTAN_FAST_CUDA=ON", "."]
        call("build", pip)
    import torch

    if not torch.cuda.is_available():
        print("torch sees no GPU", file=sys.stderr)
        return 1
    pytest = [sys.executable, "-m", "pytest", "-q", "tests/gpu"]
    call("tests on the GPU", pytest)
    sanitizer = shutil.which("compute-sanitizer")
    if options.no_sanitizer or not sanitizer:
        print("== compute-sanitizer: NOT RUN" + ("" if sanitizer else ", it is not installed"))
    else:
        for tool in ("memcheck", "racecheck"):
            command = [sanitizer, "--tool", tool, "--error-exitcode", "1", "--target-processes", "all", *pytest]
            call(f"compute-sanitizer {tool}", [*command, "-k", "1000"])
    print("== benchmarks", flush=True)
    from botan_fast import build_info

    name, today = torch.cuda.get_device_name(), datetime.date.today().isoformat()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    results = {"device": name, "date": today, "commit": commit, **build_info(), "results": run_benchmarks()}
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    output = options.output or ROOT / "benchmarks" / "results" / f"{slug}-{today}.json"
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(f"wrote {output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

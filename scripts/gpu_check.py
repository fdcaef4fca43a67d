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
from functools import partial
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


def _network():
    """A disturbed crystal of NODES particles and the paper's network with weights from seed 0."""
    import torch

    import botan_fast as bf

    generator, side = torch.Generator().manual_seed(0), round(NODES ** (1 / 3))
    axis = torch.arange(side, dtype=torch.float64)
    positions = torch.cartesian_prod(axis, axis, axis) + 0.2 * torch.rand(side**3, 3, generator=generator)
    types = torch.randint(2, (side**3,), generator=generator)
    graph = bf.build_graph(positions.numpy(), types.numpy(), [float(side)] * 3, cutoff=2.15).to("cuda")
    torch.manual_seed(0)
    return bf.BOTAN().cuda(), graph


def _edge_arrays(graph, in_float32: int, stored: int, precision: str) -> int:
    """Bytes of so many (E, 64) arrays in float32 and so many as they are stored between steps."""
    return graph.num_edges * 64 * (4 * in_float32 + (2 if precision == "bf16" else 4) * stored)


def _in_plain_torch(step):
    """The step with the operators replaced by their definition, which is eager torch on the device."""
    from unittest import mock

    from botan_fast import ops

    with mock.patch.object(ops, "has_fast_path", return_value=False):
        return step()


TOLERANCE = {"fp32": 1e-4, "tf32": 2e-2, "bf16": 5e-2}


def _network_benchmark(precision, train, plain=False):
    import torch

    model, graph = _network()

    def step():
        with torch.set_grad_enabled(train):
            prediction = model(graph, precision)
        if not train:
            return [prediction.node, prediction.edge]
        loss = (prediction.node**2).mean() + (prediction.edge**2).mean()
        return [prediction.node, prediction.edge, *torch.autograd.grad(loss, list(model.parameters()))]

    def check():
        for got, want in zip(step(), _in_plain_torch(step) if not plain else step(), strict=True):
            assert (got - want).norm() <= TOLERANCE[precision] * want.norm()

    # Arrays that each step must move: forward c and e in, e out; backward also dz in, out and gathered, and grad c in
    # and out. Before and after: e0 in, c out; at the end grad c, e0, dz in, grad e0 out.
    num_bytes = _edge_arrays(graph, 7 + 2, 14, precision)
    if train:
        num_bytes += _edge_arrays(graph, 21 + 4, 28 + 1, precision)
    return (lambda: _in_plain_torch(step)) if plain else step, num_bytes, check


for _precision in ("fp32", "tf32", "bf16"):
    BENCHMARKS[f"inference, {_precision}"] = partial(_network_benchmark, _precision, False)
    BENCHMARKS[f"training step, {_precision}"] = partial(_network_benchmark, _precision, True)
BENCHMARKS["inference, plain torch"] = partial(_network_benchmark, "fp32", False, True)
BENCHMARKS["training step, plain torch"] = partial(_network_benchmark, "fp32", True, True)


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

"""A training step by its feature width H, beside plain torch: `python -m benchmarks.widths [H ...]`.

For each width the median time of a step in fp32, in rounds that alternate, and the rate of arithmetic: the FLOPs that a
network of width H needs (`botan_fast.bench.floor`) by the time, so that zeros which a width is padded with count as
time alone. BOTAN_FAST_SIMD=avx2 measures a narrower instruction set. Into benchmarks/results/widths/.
"""

import argparse
import statistics
from collections.abc import Sequence
from time import perf_counter

import torch

from benchmarks import machine
from botan_fast import BOTAN, ops
from botan_fast.bench.benchmark import fused, plain_torch, problem, training_step
from botan_fast.bench.floor import training_flops

WIDTHS = (16, 24, 48, 64, 96)


def measure(hidden: int, particles: int, rounds: int) -> dict[str, float]:
    """Medians in seconds and GFLOP/s, of the kernels and of plain torch."""
    task = problem(particles)
    torch.manual_seed(0)
    models = [BOTAN(hidden_size=hidden) for _ in range(2)]
    predictions = fused(models[0], task.graph, "fp32"), plain_torch(models[1], task.graph)
    steps = [training_step(m, predict, task.targets) for m, predict in zip(models, predictions, strict=True)]
    seconds: list[list[float]] = [[], []]
    for number in range(rounds + 1):
        for step, times in zip(steps, seconds, strict=True):
            start = perf_counter()
            step()
            if number:  # the first warms up
                times.append(perf_counter() - start)
    own, plain = (statistics.median(times) for times in seconds)
    flops = training_flops(task.graph.num_nodes, task.graph.num_edges, hidden)
    return {"width": hidden, "seconds": own, "plain": plain, "gflops": flops / own / 1e9}


def table(rows: Sequence[dict[str, float]]) -> str:
    """A line for each width."""
    lines = ["  H  computed as      step  plain torch  ratio  GFLOP/s"]
    for row in rows:
        hidden = int(row["width"])
        padded = ops.padded_width(hidden, torch.device("cpu"))
        lines.append(
            f"{hidden:3d}{padded or 'torch':>13}{1e3 * row['seconds']:7.0f} ms{1e3 * row['plain']:10.0f} ms"
            f"{row['plain'] / row['seconds']:7.1f}{row['gflops']:9.0f}"
        )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A training step by its feature width, beside plain torch.")
    parser.add_argument("widths", nargs="*", type=int, default=WIDTHS, metavar="H", help="feature widths")
    parser.add_argument("--particles", type=int, default=4096, metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args(argv)
    rows = [measure(hidden, arguments.particles, arguments.rounds) for hidden in arguments.widths]
    print(table(rows))
    about = {"particles": arguments.particles, "precision": "fp32", "rounds": arguments.rounds}
    machine.write_record(machine.RESULTS / "widths", **about, rows=rows)


if __name__ == "__main__":
    main()

"""What `save_memory=True` saves and costs on this CPU: `python -m benchmarks.save_memory`.

Writes benchmarks/results/save_memory/<device>-<date>.json: for each precision the time of a training step with over
without, in rounds that alternate, and the peak memory of processes of their own at two sizes, whose difference gives
the bytes of a particle.
"""

import json
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import torch

from benchmarks import machine
from benchmarks.inputs import model, problem
from benchmarks.peers.authors import training_step
from botan_fast.bench.benchmark import PRECISIONS
from botan_fast.bench.machine import cores, peak_bytes

SIZES = (4096, 16384)
ROUNDS = 15


def step_of(particles: int, precision: str, save_memory: bool):
    """A function without arguments that makes one training step."""
    task, network = problem(particles), model()
    targets = task.targets.propensity, task.targets.pair_change
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    return lambda: training_step(lambda: network(task.graph, precision, save_memory), optimizer, *targets)


def time_ratio(particles: int, precision: str, rounds: int) -> dict[str, float]:
    """Medians in seconds without and with, and the median of their ratios."""
    steps = [step_of(particles, precision, save_memory) for save_memory in (False, True)]
    pairs = []
    for number in range(rounds + 1):
        pair = []
        for step in steps:
            start = perf_counter()
            step()
            pair.append(perf_counter() - start)
        if number:  # the first warms up
            pairs.append(pair)
    without, with_it = zip(*pairs, strict=True)
    return {
        "seconds": statistics.median(without),
        "seconds_save_memory": statistics.median(with_it),
        "time_ratio": statistics.median(b / a for a, b in pairs),
    }


def peak(particles: int, precision: str, save_memory: bool) -> int:
    """Peak memory in bytes of a process that makes three training steps, all included."""
    call = f"from benchmarks.save_memory import print_peak; print_peak({particles}, {precision!r}, {save_memory})"
    command = [sys.executable, "-c", f"import torch; torch.set_num_threads({torch.get_num_threads()}); {call}"]
    return json.loads(subprocess.run(command, cwd=machine.ROOT, check=True, capture_output=True, text=True).stdout)


def print_peak(particles: int, precision: str, save_memory: bool):
    step = step_of(particles, precision, save_memory)
    for _ in range(3):
        step()
    print(peak_bytes())


def measure(sizes: tuple[int, int] = SIZES, rounds: int = ROUNDS) -> list[dict]:
    """One row for each precision."""
    rows = [{"precision": p, "particles": sizes[0], **time_ratio(sizes[0], p, rounds)} for p in PRECISIONS]
    cases = [(size, row["precision"], save_memory) for row in rows for save_memory in (False, True) for size in sizes]
    with ThreadPoolExecutor(max(1, cores() // torch.get_num_threads())) as pool:  # as many processes as have cores
        peaks = dict(zip(cases, pool.map(lambda case: peak(*case), cases), strict=True))
    for row in rows:
        for name, save_memory in (("", False), ("_save_memory", True)):
            small, large = (peaks[size, row["precision"], save_memory] for size in sizes)
            row[f"peak_bytes{name}"] = small
            row[f"bytes_per_particle{name}"] = (large - small) / (sizes[1] - sizes[0])
    return rows


def main() -> Path:
    return machine.write_record(machine.RESULTS / "save_memory", sizes=SIZES, results=measure())


if __name__ == "__main__":
    main()

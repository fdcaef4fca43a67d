"""Time and memory of predictions for large systems, slab by slab: `python -m benchmarks.large --particles 262144`.

Each in a fresh process: seconds of the graph and of the prediction, peak_bytes of the process, and bytes_per_particle,
by how much that grew after the graph; into benchmarks/results/large/. Particles are those of `dense_liquid`, or
uniformly random (--random): in planes of a crystal edges reach less far than in a liquid, and less is in memory.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine
from benchmarks.inputs import model
from botan_fast.bench.machine import peak_bytes
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", default="262144", help="numbers, separated by commas")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--random", action="store_true", help="uniformly random positions")
    parser.add_argument("--alone", action="store_true", help="measure in this process and print, without a file")
    options = parser.parse_args(arguments)
    numbers = [int(text) for text in options.particles.split(",")]
    if options.alone:
        print(json.dumps(measure(numbers[0], options.random, options.precision)))
        return
    timings = []
    for number in numbers:
        command = [sys.executable, "-m", "benchmarks.large", "--alone", f"--particles={number}"]
        command += [f"--precision={options.precision}", *(["--random"] if options.random else [])]
        answer = subprocess.run(command, cwd=machine.ROOT, check=True, capture_output=True, text=True).stdout
        timings.append(json.loads(answer.splitlines()[-1]))
        print(timings[-1], flush=True)
    machine.write_record(machine.RESULTS / "large" / ("random" if options.random else "liquid"), timings=timings)


def measure(number: int, random: bool, precision: str) -> dict:
    """One prediction: graph and network with initial weights."""
    length = (number / DENSITY) ** (1 / 3)
    if random:
        positions = np.random.default_rng(0).random((number, 3)) * length
    else:
        positions = dense_liquid(number, num_runs=1)["initial_positions"]
    start = time.perf_counter()
    graph = bf.build_graph(positions, np.arange(number) % 2, np.full(3, length))
    built, before = time.perf_counter(), peak_bytes()
    net = model("separate")
    with torch.no_grad():
        net(graph, precision)
    done = time.perf_counter()
    return {
        "particles": number,
        "edges": graph.num_edges,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "positions": "random" if random else "liquid",
        "graph_seconds": built - start,
        "prediction_seconds": done - built,
        "peak_bytes": peak_bytes(),
        "bytes_per_particle": (peak_bytes() - before) / number,
    }


if __name__ == "__main__":
    main()

"""Time and memory of a prediction for a large system, slab by slab: `python -m benchmarks.large --particles 262144`.

Prints a line of JSON: seconds of the graph and of the prediction, peak_bytes of the process, and bytes_per_particle, by
how much that grew after the graph. Particles are those of `dense_liquid`, or uniformly random (--random): in planes of
a crystal edges reach less far than in a liquid, and a little less is in memory.
"""

import argparse
import json
import time

import numpy as np
import torch

import botan_fast as bf
from benchmarks.inputs import model
from botan_fast.bench.machine import peak_bytes
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", type=int, default=262_144)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--random", action="store_true", help="uniformly random positions")
    options = parser.parse_args(arguments)
    length = (options.particles / DENSITY) ** (1 / 3)
    if options.random:
        positions = np.random.default_rng(0).random((options.particles, 3)) * length
    else:
        positions = dense_liquid(options.particles, num_runs=1)["initial_positions"]
    start = time.perf_counter()
    graph = bf.build_graph(positions, np.arange(options.particles) % 2, np.full(3, length))
    built, before = time.perf_counter(), peak_bytes()
    net = model("separate")
    with torch.no_grad():
        net(graph, options.precision)
    done = time.perf_counter()
    result = {
        "particles": options.particles,
        "edges": graph.num_edges,
        "threads": torch.get_num_threads(),
        "precision": options.precision,
        "graph_seconds": built - start,
        "prediction_seconds": done - built,
        "peak_bytes": peak_bytes(),
        "bytes_per_particle": (peak_bytes() - before) / options.particles,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()

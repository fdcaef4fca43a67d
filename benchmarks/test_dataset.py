"""Loading an HDF5 data set: 400 configurations of 4,096 particles, the size of the paper's training set.

Each round is a process of its own, which also tells the peak of its memory. The limits are those of the design: 20 s on
two cores and 2 GB. Run with `pytest benchmarks/test_dataset.py --benchmark-only`.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.graph.pairs import pair_list

CONFIGURATIONS, PARTICLES, DENSITY = 400, 4096, 1.2
LOAD = """
import json, resource, sys, time
import botan_fast as bf
bf.Dataset, bf.load_samples
imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
samples = bf.load_samples(bf.Dataset(sys.argv[1]))
loaded = time.perf_counter()
edges = sum(sample.graph.num_edges for sample in samples)
end = time.perf_counter()
print(json.dumps({
    "samples": len(samples), "edges": edges, "load_s": loaded - start, "graphs_s": end - loaded,
    "imported_mb": imported / 1024, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Random configurations: the pairs are as many as in the liquid, and compress no better."""
    path = tmp_path_factory.mktemp("large") / "large.h5"
    rng = np.random.default_rng(0)
    box = (PARTICLES / DENSITY) ** (1 / 3)
    types = (np.arange(PARTICLES) % 5 == 4).astype(int)
    with bf.DatasetWriter(path) as writer:
        for k in range(CONFIGURATIONS):
            positions = rng.random((PARTICLES, 3)) * box
            number = pair_list(bf.build_graph(positions, types, box)).shape[1]
            change = (0.1 * rng.standard_normal(number)).astype(np.float32)
            time = bf.TimeRecord(4120.0, 32, rng.random(PARTICLES).astype(np.float32), change)
            writer.add(bf.Record(f"conf_{k}", positions, types, box, 0.44, [time]))
    return path


def test_load(benchmark, large):
    benchmark.group = f"load {CONFIGURATIONS} configurations, N = {PARTICLES}"
    found = []

    def load():
        done = subprocess.run([sys.executable, "-c", LOAD, str(large)], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))

    benchmark.pedantic(load, rounds=3)
    worst = {name: max(result[name] for result in found) for name in found[0]}
    benchmark.extra_info |= {"operation": "load_dataset", "implementation": "botan_fast", **worst}
    benchmark.extra_info |= {"particles": PARTICLES, "threads": torch.get_num_threads(), "input": "random points"}
    benchmark.extra_info["file_mb"] = large.stat().st_size / 1e6
    assert worst["samples"] == CONFIGURATIONS
    assert worst["load_s"] + worst["graphs_s"] < 20
    assert worst["peak_mb"] < 2000

"""Graphs of many kinds of boxes, and a checksum of them: `python -m tests.helpers.graph_digest` prints it.

It prints the instruction set first, which BOTAN_FAST_SIMD bounds: one process has one.
"""

import hashlib

import numpy as np

import botan_fast as bf
from tests.helpers import brute_force
from tests.helpers.graph_checks import arrays

TILTED = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])


def clustered(rng, num_nodes, box, dimensions):
    """Dense droplets and an almost empty rest: cells with hundreds of particles beside empty ones."""
    lengths = np.broadcast_to(box, dimensions)
    centres = rng.random((3, dimensions)) * lengths
    droplets = centres[rng.integers(3, size=num_nodes)] + rng.normal(0, 0.04, (num_nodes, dimensions)) * lengths
    gas = rng.random((num_nodes, dimensions)) * lengths
    return np.where(rng.random((num_nodes, 1)) < 0.8, droplets, gas)


def digest():
    """A checksum of graphs and pair lists of many kinds of boxes."""
    total = hashlib.sha256()
    rng = np.random.default_rng(7)
    for box in (
        [7.0] * 3,
        [4.1, 30.0, 9.0],
        [4.1, 5.0, 5.5],
        [20.0, 31.0],
        TILTED,
        TILTED * 3,
        np.diag([9.0, 8.0, 7.0]),
    ):
        dimensions = len(box)
        for positions in (rng.random((700, dimensions)) @ brute_force.as_cell(box, dimensions), None):
            if positions is None:
                positions = clustered(rng, 400, 4.0, dimensions)
            graph = bf.build_graph(positions, np.zeros(len(positions), int), box, 1.9 if np.ndim(box) == 1 else 1.6)
            pairs = bf.neighbor_list("ijdDS", positions, box, 1.6, True)
            for array in (*arrays(graph).values(), *pairs):
                total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


if __name__ == "__main__":
    print(bf.build_info()["simd"], digest())

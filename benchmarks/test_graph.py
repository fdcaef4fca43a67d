"""Neighbour list, graph and targets, beside vesin and matscipy where they are installed."""

import importlib.util
from functools import lru_cache

import numpy as np
import pytest
import torch

import botan_fast as bf
from benchmarks.inputs import CUTOFF
from benchmarks.peers import authors
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

PEERS = [name for name in ("vesin", "matscipy") if importlib.util.find_spec(name)]
SORTED = ["vesin_sorted"] if "vesin" in PEERS else []
IMPLEMENTATIONS = {
    "neighbor_list": ["botan_fast", *PEERS, *SORTED],
    # What the peers give here is the plain list, without order, row pointers and opposite edges.
    "build_graph": ["botan_fast", "authors", *PEERS],
    "targets": ["botan_fast", "authors"],
}


def pair_lister(name, task):
    """A function without arguments that gives i, j, D with D = r_j - r_i."""
    cell = np.eye(3) * task.length
    if name == "botan_fast":
        return lambda: bf.neighbor_list("ijD", task.positions, np.diag(cell), CUTOFF)
    if name == "authors":
        return lambda: flat(*authors.distance_matrix_edges(task.positions, task.length, CUTOFF)[:2])
    if name == "matscipy":
        from matscipy.neighbours import neighbour_list

        return lambda: neighbour_list("ijD", positions=task.positions, cell=cell, pbc=[True] * 3, cutoff=CUTOFF)
    from vesin import NeighborList

    lists = NeighborList(
        cutoff=CUTOFF, full_list=True, sorted=name == "vesin_sorted", n_threads=torch.get_num_threads()
    )
    return lambda: lists.compute(task.positions, cell, True, "ijD")


SWEEP = [512, 4096, 32_768, 262_144, 1_048_576]
SWEEP_ROUNDS = {512: 30, 4096: 30, 32_768: 10, 262_144: 3, 1_048_576: 1}  # a call of a peer may take many seconds


class Positions:
    """What `pair_lister` needs of a problem, without targets: those of a million particles would not fit in memory."""

    def __init__(self, number):
        self.positions = dense_liquid(number, num_runs=0)["initial_positions"]
        self.length = (number / DENSITY) ** (1 / 3)


@lru_cache(maxsize=1)
def sweep_positions(number):
    return Positions(number)


def pair_checksum(i, j, number):
    """Number of pairs and a sum over their hashes, modulo 2**64: equal for equal sets in any order."""
    key = np.asarray(i).astype(np.uint64)
    key *= np.uint64(number)
    key += np.asarray(j).astype(np.uint64)
    key *= np.uint64(0x9E3779B97F4A7C15)
    key ^= key >> np.uint64(29)
    key *= np.uint64(0xBF58476D1CE4E5B9)
    return len(key), int(key.sum())


@lru_cache(maxsize=1)
def sweep_checksum(number):
    """That of matscipy where it is installed, else of the graph itself: the tests hold it against brute force."""
    task = sweep_positions(number)
    if "matscipy" in PEERS and number < 1_000_000:
        return pair_checksum(*pair_lister("matscipy", task)()[:2], number)
    graph = bf.build_graph(task.positions, np.zeros(number, int), task.length, cutoff=CUTOFF)
    return pair_checksum(graph.senders, graph.receivers, number)


def flat(edge_index, vectors):
    return *edge_index, vectors


def check_pairs(pairs, graph):
    """The pairs are the edges of the graph, with their vectors."""
    i, j, vectors = (np.asarray(a) for a in pairs)
    order = np.lexsort((i, j))  # by j, then i
    np.testing.assert_array_equal(i[order], graph.senders.numpy())
    np.testing.assert_array_equal(j[order], graph.receivers.numpy())
    np.testing.assert_allclose(vectors[order], graph.vectors.numpy(), atol=1e-5)


def test_neighbor_list(measure, task, implementation, particles):
    """The arrays i, j and D."""
    function = pair_lister(implementation, task)
    check_pairs(function(), task.graph)
    measure("neighbor_list", implementation, particles, function)


def test_build_graph(measure, task, implementation, particles):
    """The whole graph: order, vectors, row pointers, opposite edges."""
    if implementation != "botan_fast":
        function = pair_lister(implementation, task)
        check_pairs(function(), task.graph)
    else:
        box = np.full(3, task.length)

        def function():
            return bf.build_graph(task.positions, task.types, box, cutoff=CUTOFF)

        check_pairs((*function().edge_index, function().vectors), task.graph)
    measure("build_graph", implementation, particles, function, rounds=3 if implementation == "authors" else 30)


def sweep_cases():
    """A million particles take the sorted list of vesin, and matscipy, too long for a benchmark."""
    names = ["botan_fast", *PEERS, *SORTED]
    return [(n, name) for n in SWEEP for name in names if n < SWEEP[-1] or name in ("botan_fast", "vesin")]


@pytest.mark.parametrize(("number", "name"), sweep_cases())
def test_graph_sweep(benchmark, number, name):
    """The whole graph from 512 to a million particles; the peers give the plain list. Records ns_per_particle."""
    task = sweep_positions(number)
    if name == "botan_fast":
        types = np.zeros(number, dtype=np.int64)

        def function():
            return bf.build_graph(task.positions, types, task.length, cutoff=CUTOFF)

        graph = function()
        found = pair_checksum(graph.senders, graph.receivers, number)
        num_edges = graph.num_edges
        del graph
    else:
        function = pair_lister(name, task)
        found = pair_checksum(*function()[:2], number)
        num_edges = found[0]
    assert found == sweep_checksum(number)
    benchmark.group = f"graph_sweep, N = {number}"
    benchmark.extra_info |= {
        "operation": "graph_sweep",
        "implementation": name,
        "particles": number,
        "edges": num_edges,
        "input": "synthetic",
        "threads": torch.get_num_threads(),
    }
    benchmark.pedantic(function, rounds=max(SWEEP_ROUNDS[number], 5) if name == "botan_fast" else SWEEP_ROUNDS[number])
    if benchmark.stats:
        benchmark.extra_info["ns_per_particle"] = benchmark.stats.stats.median / number * 1e9


def test_targets(measure, task, implementation, particles):
    """Propensity and pair change from 32 runs, for a graph that exists."""
    edge_index = task.inputs.edge_index.numpy()
    distance = np.linalg.norm(task.inputs.vectors.double().numpy(), axis=1)

    def ours():
        found = bf.isoconfigurational_targets(task.positions, task.final, task.graph)
        return found.propensity, found.pair_change[task.graph.reverse.long()]

    def theirs():
        return authors.average_targets(task.positions, task.final, edge_index, distance, task.length)

    for a, b in zip(ours(), theirs(), strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(b), abs=1e-5)
    if implementation == "authors":
        measure("targets", implementation, particles, theirs, rounds=5)
    else:
        measure(
            "targets",
            implementation,
            particles,
            lambda: bf.isoconfigurational_targets(task.positions, task.final, task.graph),
        )

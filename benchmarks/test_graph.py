"""Neighbour list, graph and targets, beside vesin and matscipy where they are installed."""

import importlib.util

import numpy as np
import pytest
import torch

import botan_fast as bf

from . import authors
from .inputs import CUTOFF

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

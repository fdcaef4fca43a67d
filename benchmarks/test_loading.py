"""From a file of the authors' format to graph and targets in memory."""

import torch

import botan_fast as bf
from benchmarks.peers import authors

IMPLEMENTATIONS = {"loading": ["botan_fast", "authors"]}


def test_loading(measure, task, implementation, particles):
    [ours] = bf.load_samples(task.path)
    # Above that size, what test_graph checks part by part.
    theirs = authors.load(task.path) if particles <= authors.LARGEST_MATRIX else task.inputs
    order = ours.graph.reverse.long()
    assert torch.equal(ours.graph.edge_index[:, order], theirs.edge_index)
    torch.testing.assert_close(ours.graph.vectors[order], theirs.vectors, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.targets.propensity, theirs.propensity, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.targets.pair_change[order], theirs.pair_change, rtol=0, atol=1e-5)
    if implementation == "authors":
        measure("loading", implementation, particles, lambda: authors.load(task.path), rounds=5)
    else:
        measure("loading", implementation, particles, lambda: bf.load_samples(task.path))

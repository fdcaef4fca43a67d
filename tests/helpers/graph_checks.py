"""What every graph must satisfy, and its comparison with the definition."""

import numpy as np

import botan_fast as bf
from tests.helpers import brute_force


def random_positions(num_nodes, box, dimensions, seed=0):
    cell = brute_force.as_cell(box, dimensions)
    return np.random.default_rng(seed).random((num_nodes, dimensions)) @ cell


def arrays(graph):
    return {
        name: getattr(graph, name).numpy()
        for name in ("senders", "receivers", "vectors", "row_ptr", "reverse", "types")
    }


def check_structure(graph):
    """What holds for every graph: order, row_ptr, reverse, exact symmetry."""
    a = arrays(graph)
    assert [a[k].dtype for k in ("senders", "receivers", "row_ptr", "reverse")] == [np.int32] * 4
    assert a["vectors"].dtype == np.float32
    key = a["receivers"].astype(np.int64) * max(graph.num_nodes, 1) + a["senders"]
    assert (np.diff(key) > 0).all()
    assert a["row_ptr"][0] == 0
    np.testing.assert_array_equal(np.diff(a["row_ptr"]), np.bincount(a["receivers"], minlength=graph.num_nodes))
    reverse = a["reverse"]
    np.testing.assert_array_equal(reverse[reverse], np.arange(graph.num_edges))
    np.testing.assert_array_equal(a["senders"][reverse], a["receivers"])
    np.testing.assert_array_equal(a["vectors"][reverse], -a["vectors"])
    # sender_order and sender_ptr list the edges that leave each node
    leaving = a["senders"][graph.sender_order.numpy()]
    np.testing.assert_array_equal(leaving, np.repeat(np.arange(graph.num_nodes), np.diff(graph.sender_ptr.numpy())))


def check_against_brute_force(positions, box, cutoff, self_edges=False):
    graph = bf.build_graph(positions, np.zeros(len(positions), int), box, cutoff, self_edges)
    receivers, senders, vectors = brute_force.edges(positions, box, cutoff, self_edges)
    np.testing.assert_array_equal(graph.receivers, receivers)
    np.testing.assert_array_equal(graph.senders, senders)
    np.testing.assert_allclose(graph.vectors, vectors, atol=1e-6)
    check_structure(graph)

    i, j, d, D, S = bf.neighbor_list("ijdDS", positions, box, cutoff, self_edges)
    np.testing.assert_array_equal(i, receivers)
    np.testing.assert_array_equal(j, senders)
    np.testing.assert_allclose(D, -vectors, atol=1e-12)
    np.testing.assert_array_equal(d, np.sqrt((D**2).cumsum(1)[:, -1]))
    cell = brute_force.as_cell(box, positions.shape[1])
    np.testing.assert_allclose(
        positions[j] - positions[i] + S @ cell, D, atol=1e-12 * max(1, np.abs(positions).max(initial=0))
    )
    assert (d < cutoff).all()
    return graph

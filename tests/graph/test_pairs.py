"""Graphs from the pairs that a data set stores."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.graph.pairs import edge_values, graph_from_pairs, pair_list, pair_values
from tests.helpers.records import EDGE, GRAPH_ARRAYS
from tests.helpers.tiny_data import tiny_arrays


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("kind", ["orthorhombic", "tilted", "tight"])
def test_a_graph_from_pairs_is_that_of_the_search_bit_for_bit(kind, dimensions, self_edges):
    rng = np.random.default_rng(dimensions)
    for number in (0, 1, 2, 150):
        box = rng.uniform(4.5, 8, dimensions)
        positions = rng.uniform(-3, 12, (number, dimensions))
        if kind == "tilted":
            box = np.diag(box) + np.tril(rng.uniform(-0.4, 0.4, (dimensions, dimensions)), -1)
        if kind == "tight":  # a grid whose pairs lie at half of a box of just twice the cutoff, and share coordinates
            box = np.full(dimensions, 4.0)
            positions = np.unique(np.round(rng.uniform(0, 4, (number, dimensions))) % 4, axis=0)
        types = np.arange(len(positions)) % 3
        wanted = bf.build_graph(positions, types, box, self_edges=self_edges)
        found = graph_from_pairs(pair_list(wanted), positions, types, box, 2.0, self_edges)
        for name in GRAPH_ARRAYS:
            one, two = getattr(found, name).numpy(), getattr(wanted, name).numpy()
            assert one.dtype == two.dtype, name
            assert one.tobytes() == two.tobytes(), name
        values = rng.random(found.num_edges).astype(np.float32)
        both = edge_values(found, pair_values(found, values))
        np.testing.assert_array_equal(both, both[found.reverse.numpy()])
        assert (both[(found.senders == found.receivers).numpy()] == 0).all()
        np.testing.assert_array_equal(pair_values(found, both), pair_values(found, values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, ::-1], r"pairs\[:, 1\] is not in order"),
        (lambda p: p[::-1], r"pairs\[:, 0\] must be two particles i < j"),
        (lambda p: np.where(p == p.max(), 80, p), "must be two particles"),
        (lambda p: p - 1, "must be two particles"),
        (lambda p: np.array([[0], [np.setdiff1d(np.arange(1, 80), p[1][p[0] == 0])[0]]]), "not closer than the cutoff"),
    ],
)
def test_wrong_pairs(change, message):
    arrays = tiny_arrays(0)
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], EDGE)
    pairs = change(pair_list(graph))
    with pytest.raises(InputError, match=message):
        graph_from_pairs(pairs, arrays["initial_positions"], arrays["types"], EDGE, 2.0)

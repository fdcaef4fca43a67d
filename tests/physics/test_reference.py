"""Targets on a graph of other positions than those where the runs start (reference=)."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from tests.helpers import brute_force
from tests.physics.test_targets import BOXES, configuration


def inherent_case(box, num_nodes=60, num_runs=9, seed=0, **options):
    """Positions of the graph, positions where the runs start a little beside them, the runs, the graph."""
    inherent, _, graph = configuration(box, num_nodes, seed=seed, **options)
    rng = np.random.default_rng(seed + 1)
    start = inherent + 0.15 * rng.standard_normal(inherent.shape)
    return inherent, start, start + 0.4 * rng.standard_normal((num_runs, *start.shape)), graph


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_everything_is_relative_to_the_reference(box):
    inherent, start, runs, graph = inherent_case(box)
    targets = bf.isoconfigurational_targets(inherent, runs, graph, reference=start)
    senders, receivers = graph.edge_index.numpy()
    propensity, change = brute_force.targets(start, runs, box, senders, receivers)
    np.testing.assert_allclose(targets.propensity, propensity, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(targets.pair_change, change, rtol=1e-6, atol=1e-6)
    assert torch.equal(targets.pair_change[graph.reverse], targets.pair_change)
    of_inherent = brute_force.targets(inherent, runs, box, senders, receivers)[1]
    assert np.abs(of_inherent - change).max() > 0.05  # the other start would show


@pytest.mark.parametrize("box", [BOXES["cubic"], BOXES["tilted 2D"]])
def test_local_targets_have_the_neighbours_at_the_reference(box):
    inherent, start, runs, graph = inherent_case(box)
    found = bf.isoconfigurational_targets(inherent, runs, graph, "SERCDL", reference=start)
    thermal = bf.build_graph(start, np.zeros(len(start), int), box)
    assert thermal.num_edges != graph.num_edges
    expected = bf.isoconfigurational_targets(start, runs, thermal, "SERCDL")
    for letter in "SRCDLG":
        assert torch.equal(found.node(letter), expected.node(letter)), letter


def test_the_own_positions_as_reference_change_nothing():
    inherent, _, runs, graph = inherent_case(6.0, self_edges=True)
    found = bf.isoconfigurational_targets(inherent, runs, graph, reference=inherent)
    expected = bf.isoconfigurational_targets(inherent, runs, graph)
    assert torch.equal(found.propensity, expected.propensity)
    assert torch.equal(found.pair_change, expected.pair_change)


def test_pairs_far_apart_at_the_reference():
    """A pair of the graph that lies across the box at the reference: the nearest image there, not the graph's."""
    graph = bf.build_graph([[0.5, 0.5], [1.5, 0.5]], [0, 0], box=[6.0, 6.0])
    start = np.array([[0.5, 0.5], [5.5, 0.5]])  # 1.0 apart through the wall
    runs = start[None] + [[0.0, 0.0], [-0.5, 0.0]]
    targets = bf.isoconfigurational_targets([[0.5, 0.5], [1.5, 0.5]], runs, graph, reference=start)
    assert targets.pair_change.tolist() == [0.5, 0.5]
    assert targets.propensity.tolist() == [0.0, 0.5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": np.zeros((59, 3))}, r"reference has shape \(59, 3\); graph needs \(60, 3\)"),
        ({"reference": np.full((60, 3), np.nan)}, r"reference\[0, 0\] = nan is not finite"),
        ({"initial_positions": "start"}, "initial_positions do not belong to graph: edge .* as reference"),
    ],
)
def test_refusals(change, message):
    inherent, start, runs, graph = inherent_case(6.0)
    change = {name: start if isinstance(value, str) else value for name, value in change.items()}
    arguments = {"initial_positions": inherent, "trajectories": runs, "graph": graph, "reference": start, **change}
    with pytest.raises(InputError, match=message):
        bf.isoconfigurational_targets(**arguments)
    batch = bf.batch_graphs([graph, graph])
    with pytest.raises(InputError, match="graph is a batch of 2 graphs"):
        bf.isoconfigurational_targets(inherent, runs, batch, reference=start)

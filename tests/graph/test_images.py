"""Minimum images and edge vectors at other positions, against all images."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.graph.images import edge_vectors, minimum_image
from tests.helpers import brute_force
from tests.helpers.graph_checks import random_positions

BOXES = {
    "cubic": np.full(3, 6.0),
    "orthorhombic": np.array([5.0, 6.5, 9.0]),
    "tilted": np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]]),
    "square": np.array([6.0, 8.0]),
    "tilted 2D": np.array([[9.0, 0.0], [7.5, 5.0]]),
}


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_minimum_image_is_the_shortest(box):
    d = np.random.default_rng(0).normal(0, 20, (500, len(box)))
    nearest = minimum_image(d, box)
    cell = brute_force.as_cell(box, len(box))
    expected = brute_force.nearest_images(d, cell, reach=4)
    np.testing.assert_allclose(np.linalg.norm(nearest, axis=1), np.linalg.norm(expected, axis=1), rtol=1e-12)
    shifts = (d - nearest) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=1e-9)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_edge_vectors(box):
    positions = random_positions(60, box, len(box))
    graph = bf.build_graph(positions, np.zeros(60, int), box, self_edges=True)
    np.testing.assert_allclose(edge_vectors(graph, positions), graph.vectors, atol=1e-6)
    moved = positions + np.random.default_rng(0).normal(0, 0.3, positions.shape)
    found = edge_vectors(graph, torch.from_numpy(moved))
    difference = moved[graph.receivers.numpy()] - moved[graph.senders.numpy()]
    exact = brute_force.nearest_images(difference, brute_force.as_cell(box, len(box)))
    np.testing.assert_allclose(found, exact, atol=1e-12)
    np.testing.assert_array_equal(found[graph.reverse.numpy()], -found)


def test_refusals():
    positions = random_positions(30, 5.0, 3)
    graph = bf.build_graph(positions, np.zeros(30, int), 5.0)
    with pytest.raises(InputError, match=r"graph is a batch, or graph\.box is None"):
        edge_vectors(bf.batch_graphs([graph, graph]), positions)
    with pytest.raises(InputError, match=r"inherent has shape \(29, 3\); graph needs \(30, 3\)"):
        edge_vectors(graph, positions[1:], "inherent")

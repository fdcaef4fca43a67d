"""Positions from the vectors of edges: those of the particles, up to a shift of each part and lattice vectors."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.graph.unfolding import unfold


@pytest.mark.parametrize("box", [[9.0, 7.0, 6.0], [8.0, 5.0], [[9.0, 0.0, 0.0], [2.0, 6.0, 0.0], [1.0, 2.0, 6.0]]])
@pytest.mark.parametrize("density", [1.2, 0.05])
def test_positions_up_to_lattice_vectors(box, density):
    cell = np.diag(box) if np.ndim(box) == 1 else np.array(box)
    number = int(density * np.linalg.det(cell)) + 1
    places = np.random.default_rng(0).random((number, len(cell))) @ cell
    found, parts = unfold(bf.build_graph(places, np.zeros(number, int), box))
    first = np.unique(parts, return_index=True)[1]
    assert (np.diff(first) > 0).all()  # numbered in the order of first particles
    assert (found[first] == 0).all()
    shifts = (found - places - (found - places)[first][parts]) @ np.linalg.inv(cell)
    assert np.abs(shifts - np.rint(shifts)).max() < 1e-5


def test_parts_are_what_edges_connect():
    x = [[0.0, 0.0], [1.0, 0.0], [5.0, 5.0], [2.0, 0.0], [5.5, 5.5]]
    positions, parts = unfold(bf.build_graph(x, [0] * 5, [20.0, 20.0], cutoff=1.5))
    assert parts.tolist() == [0, 0, 1, 0, 1]
    assert positions.tolist() == [[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [2.0, 0.0], [0.5, 0.5]]


def test_a_damaged_graph():
    graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    with pytest.raises(InputError, match=r"senders\[0\] = 2 is outside \[0, 2\)"):
        unfold(graph.replace(senders=torch.tensor([2, 0])))
    with pytest.raises(InputError, match="row_ptr goes from 0 to 9"):
        unfold(graph.replace(row_ptr=torch.tensor([0, 1, 9])))

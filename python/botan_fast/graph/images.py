"""Minimum images of differences on the host, in float64: vectors of the edges of a graph at other positions."""

import itertools

import numpy as np

from ..arrays import Array
from ..box import check_box, reduce_cell
from ..errors import InputError
from .graph import Graph
from .inputs import check_positions

__all__ = ["edge_vectors", "minimum_image"]


def minimum_image(differences: np.ndarray, box: Array) -> np.ndarray:
    """The shortest of d + n @ cell over all integers n, for every row d of `differences`: (M, D) float64 to (M, D).

    `box` is (D,) edge lengths or (D, D) row-vector cell, however tilted.

    >>> import numpy as np
    >>> from botan_fast.graph.images import minimum_image
    >>> minimum_image(np.array([[3.0, -1.0]]), [4.0, 4.0])
    array([[-1., -1.]])
    """
    cell = reduce_cell(check_box(box, differences.shape[1])[1])
    inverse = np.linalg.inv(cell)
    nearest = differences - np.rint(differences @ inverse) @ cell
    if np.array_equal(cell, np.diag(np.diagonal(cell))):
        return nearest
    # Beyond half of the smallest height rounding can miss the nearest image; in a reduced cell it is a neighbour.
    safe = 0.5 / np.sqrt((inverse**2).sum(0)).max() * (1 - 1e-9)
    far = (nearest**2).sum(1) > safe**2
    if far.any():
        steps = np.array(list(itertools.product((0, -1, 1), repeat=len(cell)))) @ cell
        images = nearest[far][:, None] + steps
        nearest[far] = images[np.arange(len(images)), (images**2).sum(2).argmin(1)]
    return nearest


def edge_vectors(graph: Graph, positions: Array, name: str = "positions") -> np.ndarray:
    """(E, D) float64: r[receiver] - r[sender] by minimum image for the edges of `graph` at `positions` (N, D).

    The graph may have been built from other positions, such as those of the inherent structure.

    Raises
    ------
    InputError
        The graph is a batch or has no box, or `positions`, which the message calls `name`, do not fit it.

    Examples
    --------
    >>> import botan_fast as bf
    >>> from botan_fast.graph.images import edge_vectors
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> edge_vectors(graph, [[0.5, 0.0], [3.5, 0.0]])
    array([[ 1.,  0.],
           [-1.,  0.]])
    """
    if graph.num_graphs != 1 or graph.box is None:
        raise InputError("graph is a batch, or graph.box is None; give the graph of one configuration with its box")
    places = check_positions(positions, name)
    shape = (graph.num_nodes, graph.vectors.shape[1])
    if places.shape != shape:
        raise InputError(f"{name} has shape {places.shape}; graph needs {shape}")
    senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
    return minimum_image(places[receivers] - places[senders], graph.box)

"""Undirected pairs: each of a graph's pairs once, as the data set stores them."""

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from ..checks import as_array
from ..device import empty
from ..errors import InputError
from .graph import Graph
from .images import edge_vectors
from .inputs import check_inputs, check_types

__all__ = ["edge_values", "graph_from_pairs", "graph_of_pairs", "pair_list", "pair_values"]


def pair_list(graph: Graph) -> np.ndarray:
    """The undirected pairs of a graph: (2, P) int32 with i < j, sorted by (i, j); self edges are left out.

    Examples
    --------
    >>> import botan_fast as bf
    >>> from botan_fast.graph.pairs import pair_list
    >>> graph = bf.build_graph([[0.1, 0.0], [0.9, 0.0], [3.0, 0.0]], [0, 0, 1], box=[4.0, 4.0])
    >>> pair_list(graph).tolist()
    [[0, 0, 1], [1, 2, 2]]
    """
    edges = _upper(graph)
    return np.stack([graph.receivers.cpu().numpy()[edges], graph.senders.cpu().numpy()[edges]])


def pair_values(graph: Graph, values: Array) -> np.ndarray:
    """The value (P,) of each pair of `pair_list`, from those (E,) of the directed edges."""
    return np.asarray(values.cpu() if isinstance(values, torch.Tensor) else values)[_upper(graph)]


def edge_values(graph: Graph, values: np.ndarray) -> np.ndarray:
    """The values (E,) of the directed edges, from those (P,) of the pairs of `pair_list`; self edges get 0.

    Rows of K values, (P, K) to (E, K), too.
    """
    edges = _upper(graph)
    result = np.zeros((graph.num_edges, *values.shape[1:]), values.dtype)
    result[edges] = values
    result[graph.reverse.cpu().numpy()[edges]] = values
    return result


def graph_from_pairs(
    pairs: Array, positions: Array, types: Array, box: Array, cutoff: float, self_edges: bool = False
) -> Graph:
    """The graph of which `pairs` is the `pair_list`: that of `build_graph` bit for bit, five times as fast.

    Parameters
    ----------
    pairs : (2, P) int32, as `pair_list` returns them
    positions, types, box, cutoff, self_edges : those of `build_graph`; positions float64, types int64 arrays

    Raises
    ------
    InputError
        for pairs out of range or order, or not closer than the cutoff. Pairs that are missing are not noticed.

    Examples
    --------
    >>> import numpy as np, botan_fast as bf
    >>> from botan_fast.graph.pairs import graph_from_pairs, pair_list
    >>> x, types = np.array([[0.1, 0.0], [0.9, 0.0], [3.0, 0.0]]), np.array([0, 0, 1])
    >>> graph = bf.build_graph(x, types, [4.0, 4.0])
    >>> graph_from_pairs(pair_list(graph), x, types, [4.0, 4.0], cutoff=2.0).senders.equal(graph.senders)
    True
    """
    inputs = check_inputs(positions, box, cutoff, self_edges)
    pairs = as_array("pairs", pairs, np.int32)
    if pairs.ndim != 2 or len(pairs) != 2:
        raise InputError(f"pairs has shape {pairs.shape}; give (2, P)")
    number, num_pairs = inputs.num_nodes, pairs.shape[1]
    num_edges = 2 * num_pairs + (number if self_edges else 0)
    senders, receivers, reverse = (empty(num_edges, dtype=torch.int32) for _ in range(3))
    row_ptr = empty(number + 1, dtype=torch.int32)
    vectors = empty(num_edges, inputs.dimensions)
    try:
        _core.graph_from_pairs(
            *(row.ctypes.data for row in pairs), num_pairs, inputs.host_positions.ctypes.data, number,
            inputs.dimensions, inputs.cells[0].ctypes.data, inputs.cutoff, inputs.self_edges,
            *(x.data_ptr() for x in (senders, receivers, row_ptr, reverse, vectors)),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from None
    return Graph(
        senders=senders,
        receivers=receivers,
        vectors=vectors,
        row_ptr=row_ptr,
        reverse=reverse,
        types=check_types(types, number),
        box=torch.from_numpy(inputs.box),
        cutoff=inputs.cutoff,
        self_edges=inputs.self_edges,
        graph_ptr=torch.tensor([0, number], device="cpu"),
    )


def graph_of_pairs(
    pairs: np.ndarray, positions: Array, types: Array, box: Array, cutoff: float, self_edges: bool = False
) -> Graph:
    """The graph with these edges, however far apart: pairs (2, P) with i < j, sorted by (i, j), each once.

    `cutoff` is what the graph says of itself; the pairs may have been found at other positions, such as those of the
    inherent structure. Other arguments are those of `build_graph`. The order of the edges is that of `build_graph`.

    >>> import numpy as np, botan_fast as bf
    >>> from botan_fast.graph.pairs import graph_of_pairs
    >>> graph = graph_of_pairs(np.array([[0], [2]]), [[0.1, 0.0], [0.9, 0.0], [2.1, 0.0]], [0, 0, 1], [8.0, 8.0], 1.5)
    >>> graph.edge_index.tolist(), graph.vectors.tolist()
    ([[2, 0], [0, 2]], [[-2.0, 0.0], [2.0, 0.0]])
    """
    inputs = check_inputs(positions, box, cutoff, self_edges)
    number = inputs.num_nodes
    pairs = as_array("pairs", pairs, np.int64)
    if pairs.ndim != 2 or len(pairs) != 2:
        raise InputError(f"pairs has shape {pairs.shape}; give (2, P)")
    keys = pairs[0] * number + pairs[1]
    if pairs.size and (pairs[0].min() < 0 or pairs[1].max() >= number or (pairs[0] >= pairs[1]).any()):
        raise InputError(f"pairs must hold 0 <= i < j < {number}")
    if (np.diff(keys) <= 0).any():
        raise InputError("pairs must be sorted by (i, j), each once")
    loops = np.arange(number if self_edges else 0)
    receivers = np.concatenate([pairs[0], pairs[1], loops])
    senders = np.concatenate([pairs[1], pairs[0], loops])
    order = np.argsort(receivers * number + senders)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    half = pairs.shape[1]
    partner = np.concatenate([place[half : 2 * half], place[:half], place[2 * half :]])
    counts = np.bincount(receivers, minlength=number)
    graph = Graph(
        senders=torch.from_numpy(senders[order].astype(np.int32)),
        receivers=torch.from_numpy(receivers[order].astype(np.int32)),
        vectors=torch.zeros(len(order), inputs.dimensions),
        row_ptr=torch.from_numpy(np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)),
        reverse=torch.from_numpy(partner[order].astype(np.int32)),
        types=check_types(types, number),
        box=torch.from_numpy(inputs.box),
        cutoff=inputs.cutoff,
        self_edges=inputs.self_edges,
        graph_ptr=torch.tensor([0, number], device="cpu"),
    )
    return graph.replace(vectors=torch.from_numpy(edge_vectors(graph, inputs.host_positions)).to(torch.float32))


def _upper(graph: Graph) -> np.ndarray:
    """The edges i <- j with i < j: in their order they are the pairs of `pair_list`."""
    return np.flatnonzero(graph.senders.cpu().numpy() > graph.receivers.cpu().numpy())

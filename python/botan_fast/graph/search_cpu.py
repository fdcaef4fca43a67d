"""The neighbour search of the core on the CPU, for `Inputs` in host memory."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _core
from ..device import empty
from ..errors import InputError
from .graph import Graph, batch_graphs
from .inputs import INT32_MAX, Inputs

__all__ = ["build", "pairs", "search"]


class Search:
    """The search with the arrays that it points into: they must live as long as it does."""

    def __init__(self, found: Any, *arrays: np.ndarray) -> None:
        self.num_edges, self.fill_graph, self.fill_pairs = found.num_edges, found.fill_graph, found.fill_pairs
        self._arrays = arrays


def search(inputs: Inputs, graph: int = 0, max_edges: int = INT32_MAX) -> Search:
    """The edges of one configuration of a batch; InputError for two particles at one point, and for too many edges."""
    positions = inputs.host_positions[inputs.offsets[graph] : inputs.offsets[graph + 1]]
    cell = inputs.cells[graph]
    try:
        found = _core.NeighborSearch(
            positions.ctypes.data, *positions.shape, cell.ctypes.data, inputs.cutoff, inputs.self_edges, max_edges,
            torch.get_num_threads(),
        )  # fmt: skip
    except ValueError as error:
        where = f"configuration {graph} of graph_ptr: " if inputs.num_graphs > 1 else ""
        raise InputError(f"{where}{error}") from None
    return Search(found, positions, cell)


def build(inputs: Inputs, types: Tensor) -> Graph:
    """The graph of `build_graph`; `types` (N,) int64."""
    graph = batch_graphs([_build_one(inputs, types, graph) for graph in range(inputs.num_graphs)])
    return graph if inputs.capacity is None else _with_room(graph, inputs.capacity)


def pairs(inputs: Inputs, letters: str) -> dict[str, Tensor]:
    """The arrays of `neighbor_list` by letter."""
    found = search(inputs)
    number = found.num_edges
    shapes = {letter: (number, inputs.dimensions) if letter in "DS" else (number,) for letter in "ijDdS"}
    arrays = {
        letter: empty(*shapes[letter], dtype=torch.float64 if letter in "dD" else torch.int64)
        for letter in set(letters)
    }
    found.fill_pairs(*(arrays[letter].data_ptr() if letter in arrays else 0 for letter in "ijDdS"))
    return arrays


def _build_one(inputs: Inputs, types: Tensor, graph: int) -> Graph:
    found = search(inputs, graph)
    nodes = slice(inputs.offsets[graph], inputs.offsets[graph + 1])
    num_nodes = int(nodes.stop - nodes.start)
    senders, receivers, reverse = (empty(found.num_edges, dtype=torch.int32) for _ in range(3))
    row_ptr = empty(num_nodes + 1, dtype=torch.int32)
    vectors = empty(found.num_edges, inputs.dimensions)
    found.fill_graph(*(x.data_ptr() for x in (senders, receivers, row_ptr, reverse, vectors)))
    return Graph(
        senders=senders,
        receivers=receivers,
        vectors=vectors,
        row_ptr=row_ptr,
        reverse=reverse,
        types=types[nodes],
        box=torch.from_numpy(inputs.cells[graph] if inputs.box is None else inputs.box),
        cutoff=inputs.cutoff,
        self_edges=inputs.self_edges,
        graph_ptr=torch.tensor([0, num_nodes], device="cpu"),
    )


def _with_room(graph: Graph, capacity: int) -> Graph:
    """The graph with room for `capacity` edges, as the CUDA kernels write it."""
    number, missing = graph.num_edges, capacity - graph.num_edges
    if missing < 0:
        raise InputError(f"capacity = {capacity} is smaller than the {number} edges; give at least {number}")
    padded = {
        name: torch.cat([(value := getattr(graph, name)), value.new_zeros(missing, *value.shape[1:])])
        for name in ("senders", "receivers", "vectors")
    }
    own = torch.arange(number, capacity, dtype=torch.int32, device="cpu")
    status = torch.tensor([number, 0], device="cpu")
    return graph.replace(**padded, reverse=torch.cat([graph.reverse, own]), status=status)

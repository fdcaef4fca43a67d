"""The neighbour search of the core on the CPU."""

import numpy as np
import torch

from .. import _core
from ..box import check_box, check_boxes, check_cutoff
from ..device import empty
from ..errors import InputError
from .graph import Graph, batch_graphs
from .inputs import INT32_MAX, check_graph_ptr, check_positions, check_types


def search_on_cpu(positions, box, cell, cutoff, self_edges, max_edges=INT32_MAX):
    """The search of the core, for positions and box as the checks return them: num_edges, fill_graph, fill_pairs."""
    cutoff = check_cutoff(cutoff, box, cell)
    cell = np.ascontiguousarray(cell)
    try:
        search = _core.NeighborSearch(
            positions.ctypes.data, *positions.shape, cell.ctypes.data, cutoff, bool(self_edges), max_edges,
            torch.get_num_threads(),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from None
    return _Search(search, positions, cell)


class _Search:
    """The search with the arrays that it points into: they must live as long as it does."""

    def __init__(self, search, *arrays):
        self.num_edges, self.fill_graph, self.fill_pairs = search.num_edges, search.fill_graph, search.fill_pairs
        self._arrays = arrays


def build_one(positions, types, box, cutoff, self_edges) -> Graph:
    """On the CPU."""
    positions = check_positions(positions)
    num_nodes, dimensions = positions.shape
    types = check_types(types, num_nodes)
    box, cell = check_box(box, dimensions)
    search = search_on_cpu(positions, box, cell, cutoff, self_edges)
    num_edges = search.num_edges
    senders, receivers, reverse = (empty(num_edges, dtype=torch.int32) for _ in range(3))
    row_ptr = torch.empty(num_nodes + 1, dtype=torch.int32)
    vectors = empty(num_edges, dimensions)
    search.fill_graph(*(x.data_ptr() for x in (senders, receivers, row_ptr, reverse, vectors)))
    return Graph(
        senders=senders,
        receivers=receivers,
        vectors=vectors,
        row_ptr=row_ptr,
        reverse=reverse,
        types=types,
        box=torch.from_numpy(box),
        cutoff=float(cutoff),
        self_edges=bool(self_edges),
        graph_ptr=torch.tensor([0, num_nodes]),
    )


def build_many(positions, types, box, cutoff, self_edges, graph_ptr) -> Graph:
    """A batch on the CPU, one configuration after another."""
    positions = check_positions(positions)
    offsets = check_graph_ptr(graph_ptr, len(positions))
    types = check_types(types, len(positions))
    _, shared, cells = check_boxes(box, positions.shape[1], cutoff, len(offsets) - 1)
    parts = []
    for g, cell in enumerate(cells):
        nodes = slice(offsets[g], offsets[g + 1])
        one = cell if shared is None else shared
        try:
            parts.append(build_one(positions[nodes], types[nodes], one, cutoff, self_edges))
        except InputError as error:
            raise InputError(f"configuration {g} of graph_ptr: {error}") from None
    return batch_graphs(parts)


def pad(graph: Graph, capacity: int) -> Graph:
    """The graph with room for `capacity` edges, as the kernels write it."""
    number, missing = graph.num_edges, capacity - graph.num_edges
    if missing < 0:
        raise InputError(f"capacity = {capacity} is smaller than the {number} edges; give at least {number}")
    padded = {
        name: torch.cat([(value := getattr(graph, name)), value.new_zeros(missing, *value.shape[1:])])
        for name in ("senders", "receivers", "vectors")
    }
    reverse = torch.cat([graph.reverse, torch.arange(number, capacity, dtype=torch.int32)])
    return graph.replace(**padded, reverse=reverse, status=torch.tensor([number, 0]))


def find_pairs(letters, positions, box, cutoff, self_edges):
    """The arrays of `neighbor_list` on the CPU, as tensors."""
    positions = check_positions(positions)
    dimensions = positions.shape[1]
    box, cell = check_box(box, dimensions)
    search = search_on_cpu(positions, box, cell, cutoff, self_edges)
    shapes = {letter: (search.num_edges, dimensions) if letter in "DS" else (search.num_edges,) for letter in "ijDdS"}
    arrays = {
        letter: empty(*shapes[letter], dtype=torch.float64 if letter in "dD" else torch.int64)
        for letter in set(letters)
    }
    search.fill_pairs(*(arrays[letter].data_ptr() if letter in arrays else 0 for letter in "ijDdS"))
    return arrays

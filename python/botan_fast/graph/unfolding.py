"""Where the particles of a graph lie, from the vectors of its edges alone."""

import numpy as np
import torch

from .. import _core
from ..checks import check_offsets
from ..errors import InputError
from .graph import Graph

__all__ = ["unfold"]


def unfold(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, D) float64, up to a shift of each connected part, and the parts (N,) int32.

    Along a tree of edges of each part, from its first particle at the origin, r[receiver] - r[sender] is the edge's
    vector. Along the other edges it holds up to rounding and, in a periodic system, up to a lattice vector. Parts are
    numbered in the order of their first particles. Time O(N + E), one thread, for graphs on the CPU; deterministic.

    Raises InputError where the graph's offsets or senders are damaged.

    >>> import botan_fast as bf
    >>> from botan_fast.graph.unfolding import unfold
    >>> graph = bf.build_graph([[0.5, 0.0], [3.5, 0.0], [2.0, 2.0]], [0, 0, 0], box=[4.0, 4.0], cutoff=1.5)
    >>> positions, parts = unfold(graph)
    >>> positions.tolist(), parts.tolist()
    ([[0.0, 0.0], [-1.0, 0.0], [0.0, 0.0]], [0, 0, 1])
    """
    check_offsets("row_ptr", graph.row_ptr, graph.num_edges)
    senders, row_ptr = graph.senders.contiguous(), graph.row_ptr.contiguous()
    vectors = graph.vectors.to(torch.float32).contiguous()
    positions = np.empty((graph.num_nodes, vectors.shape[1]))
    parts = np.empty(graph.num_nodes, dtype=np.int32)
    try:
        _core.unfold_graph(
            senders.data_ptr(), vectors.data_ptr(), row_ptr.data_ptr(), *positions.shape,
            positions.ctypes.data, parts.ctypes.data,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from None
    return positions, parts

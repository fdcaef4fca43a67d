"""The neighbour search of the core on the CPU."""

import numpy as np
import torch

from .. import _core
from ..checks import INT32_MAX, check_cutoff
from ..errors import InputError

_LARGE = 1 << 20  # bytes; smaller arrays are left to malloc, as in the core


def empty(shape, dtype) -> torch.Tensor:
    """An uninitialised tensor of a NumPy dtype; a large one comes from the core's pool, which reuses its pages."""
    num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if num_bytes < _LARGE:
        return torch.from_numpy(np.empty(shape, dtype))
    return torch.from_numpy(np.frombuffer(_core.PooledBuffer(num_bytes), dtype).reshape(shape))


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

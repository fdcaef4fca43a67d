"""The one door for what graphs are built of."""

import numpy as np
import torch

from ..checks import as_array, check_finite
from ..errors import InputError

INT32_MAX = 2**31 - 1


def check_positions(positions, name="positions"):
    """(N, D) positions as finite float64 with D = 2 or 3."""
    array = as_array(name, positions, np.float64)
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise InputError(f"{name} has shape {array.shape}; give (N, 2) or (N, 3)")
    check_finite(name, array)
    return array


def check_types(types, num_nodes):
    array = as_array("types", types)
    if array.shape != (num_nodes,):
        raise InputError(f"types has shape {array.shape}; positions need ({num_nodes},)")
    if array.size == 0:
        return torch.empty(0, dtype=torch.int64)
    if array.dtype.kind not in "iu":
        raise InputError(f"types has dtype {array.dtype}; give integers (0 = A, 1 = B, ...)")
    if array.min() < 0:
        k = int(np.argmin(array))
        raise InputError(f"types[{k}] = {array[k]} is negative; count the species from 0")
    return torch.from_numpy(array.astype(np.int64))


def check_graph_ptr(graph_ptr, num_nodes):
    """(G+1,) int64 offsets that rise from 0 to num_nodes; [0, num_nodes] for None."""
    if graph_ptr is None:
        return np.array([0, num_nodes])
    array = as_array("graph_ptr", graph_ptr)
    if array.ndim != 1 or array.size < 2 or array.dtype.kind not in "iu":
        raise InputError(f"graph_ptr has shape {array.shape}, dtype {array.dtype}; give (G+1,) integers")
    array = array.astype(np.int64)
    if array[0] != 0 or array[-1] != num_nodes or (np.diff(array) < 0).any():
        raise InputError(f"graph_ptr = {array.tolist()} must rise from 0 to the number of particles, {num_nodes}")
    return array


def check_capacity(capacity):
    """None, or the number of edges that a graph has room for."""
    if capacity is None:
        return None
    if isinstance(capacity, bool) or not isinstance(capacity, (int, np.integer)) or not 0 <= capacity <= INT32_MAX:
        raise InputError(f"capacity = {capacity!r} must be a number of edges from 0 to {INT32_MAX}")
    return int(capacity)

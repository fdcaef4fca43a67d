"""Checks of positions, boxes and the like: each refuses bad input with one line, or returns it as the core takes it."""

import math

import numpy as np
import torch

from .arrays import is_cupy
from .errors import InputError

INT32_MAX = 2**31 - 1


def as_array(name, value, dtype=None):
    """`value` (array, tensor on any device, or nested lists) as a C-contiguous NumPy array of real numbers."""
    try:
        if is_cupy(value):
            value = value.get()
        array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
    except (TypeError, ValueError):
        raise InputError(f"{name} is not an array of real numbers ({type(value).__name__}); give numbers") from None
    return np.ascontiguousarray(array, dtype=dtype)


def check_finite(name, array):
    """Refuses NaN and infinity, naming the first such element."""
    finite = np.isfinite(array)
    if not finite.all():
        index = np.unravel_index(np.argmin(finite), array.shape)
        where = ", ".join(map(str, index))
        raise InputError(f"{name}[{where}] = {array[index]} is not finite; remove or repair the configuration")


def check_positions(positions, name="positions"):
    """(N, D) positions as finite float64 with D = 2 or 3."""
    array = as_array(name, positions, np.float64)
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise InputError(f"{name} has shape {array.shape}; give (N, 2) or (N, 3)")
    check_finite(name, array)
    return array


def check_box(box, dimensions):
    """Returns the box as given, (D,) or (D, D) float64, and its cell with row vectors, (D, D)."""
    array = as_array("box", box, np.float64).copy()
    if np.ndim(box) == 0:
        array = np.full(dimensions, float(array.reshape(())))
    if array.shape not in ((dimensions,), (dimensions, dimensions)):
        raise InputError(
            f"box has shape {array.shape}; for {dimensions} dimensions give ({dimensions},) edge lengths "
            f"or a ({dimensions}, {dimensions}) cell"
        )
    check_finite("box", array)
    if array.ndim == 1:
        for k, length in enumerate(array.tolist()):
            if length <= 0:
                raise InputError(f"box[{k}] = {length} must be positive; give the edge lengths of the periodic box")
        return array, np.diag(array)
    scale = np.prod(np.linalg.norm(array, axis=1))
    if not abs(np.linalg.det(array)) > 1e-12 * scale:
        raise InputError(f"box = {array.tolist()} has no volume; give linearly independent cell vectors as rows")
    return array, array


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


def check_cutoff(cutoff, box, cell):
    """The cutoff as a float; the box, as `check_box` returns it, must hold it twice in every direction."""
    try:
        cutoff = float(cutoff)
    except (TypeError, ValueError):
        raise InputError(f"cutoff = {cutoff!r} is not a number; give a positive length") from None
    if not (cutoff > 0 and math.isfinite(cutoff)):
        raise InputError(f"cutoff = {cutoff} must be positive and finite")
    # Of a cell, the distances between opposite faces count; they are computed, hence a tolerance of rounding.
    orthorhombic = box.ndim == 1
    heights = box if orthorhombic else 1 / np.linalg.norm(np.linalg.inv(cell), axis=0) * (1 + 1e-14)
    for k, height in enumerate(heights.tolist()):
        if height < 2 * cutoff:
            name = f"box[{k}]" if orthorhombic else f"height {k} of box"
            shown = height if orthorhombic else float(f"{height:.6g}")
            raise InputError(
                f"{name} = {shown} is smaller than 2 * cutoff = {2 * cutoff}; use a larger system or a smaller cutoff"
            )
    return cutoff


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


def check_boxes(box, dimensions, cutoff, num_graphs):
    """(cutoff, box, cells): the cells (G, D, D) of a batch and the box that all share, or None for unlike boxes.

    `box` is one box, as `check_box` takes it, or (G, D, D) cells.
    """
    if np.ndim(box) != 3:
        box, cell = check_box(box, dimensions)
        cutoff = check_cutoff(cutoff, box, cell)
        return cutoff, box, np.ascontiguousarray(np.broadcast_to(cell, (num_graphs, dimensions, dimensions)))
    cells = as_array("box", box, np.float64)
    if cells.shape != (num_graphs, dimensions, dimensions):
        raise InputError(
            f"box has shape {cells.shape}; for {num_graphs} graphs in {dimensions} dimensions give one box "
            f"or ({num_graphs}, {dimensions}, {dimensions}) cells"
        )
    for cell in cells:
        one, cell = check_box(cell, dimensions)
        cutoff = check_cutoff(cutoff, one, cell)
    return cutoff, cells[0] if (cells == cells[0]).all() else None, cells


def check_capacity(capacity):
    """None, or the number of edges that a graph has room for."""
    if capacity is None:
        return None
    if isinstance(capacity, bool) or not isinstance(capacity, (int, np.integer)) or not 0 <= capacity <= INT32_MAX:
        raise InputError(f"capacity = {capacity!r} must be a number of edges from 0 to {INT32_MAX}")
    return int(capacity)

"""The one door for what graphs and neighbour lists are built of: checked once, here, and taken as given behind it."""

from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, as_tensor
from ..box import check_boxes
from ..checks import as_array, check_finite
from ..errors import InputError
from .crowding import check_pairs_fit

__all__ = ["INT32_MAX", "Inputs", "check_inputs", "check_positions", "check_types"]

INT32_MAX = 2**31 - 1


class Inputs(NamedTuple):
    """One configuration or a batch of them, as the searches read it; `check_inputs` makes it."""

    # (N, D) float64, dense, D = 2 or 3: a finite array in host memory; or a tensor on the device of the search, at
    # whose numbers nobody has looked, since that would wait for the device
    positions: np.ndarray | Tensor
    box: np.ndarray | None  # (D,) or (D, D) float64, as given; None for a batch of unlike boxes
    cells: np.ndarray  # (G, D, D) float64, dense, row vectors; each holds the cutoff twice
    offsets: np.ndarray  # (G+1,) int64: particles of configuration g are offsets[g]:offsets[g+1]
    cutoff: float
    self_edges: bool
    capacity: int | None  # room for so many edges; None: as many as there are

    @property
    def host_positions(self) -> np.ndarray:
        """The positions of inputs that were checked for the CPU."""
        return cast(np.ndarray, self.positions)

    @property
    def device_positions(self) -> Tensor:
        """The positions of inputs that were checked for a device."""
        return cast(Tensor, self.positions)

    @property
    def num_nodes(self) -> int:
        return self.positions.shape[0]

    @property
    def dimensions(self) -> int:
        return self.positions.shape[1]

    @property
    def num_graphs(self) -> int:
        return len(self.cells)


def check_inputs(
    positions: Array,
    box: Array,
    cutoff: float,
    self_edges: bool = False,
    graph_ptr: Array | None = None,
    capacity: int | None = None,
    device: torch.device | None = None,
) -> Inputs:
    """The arguments of `build_graph`, checked; InputError names what is wrong.

    `device` is where the search runs, None for the CPU. Of positions that lie there already only the shape is checked.

    >>> from botan_fast.graph.inputs import check_inputs
    >>> inputs = check_inputs([[0.1, 0.0], [0.9, 0.0]], 4.0, 2)
    >>> inputs.cells.tolist(), inputs.offsets.tolist(), inputs.cutoff
    ([[[4.0, 0.0], [0.0, 4.0]]], [0, 2], 2.0)
    """
    capacity = _check_capacity(capacity)
    positions = check_positions(positions) if device is None else _positions_on(positions, device)
    offsets = _check_graph_ptr(graph_ptr, len(positions))
    cutoff, box, cells = check_boxes(box, positions.shape[1], cutoff, len(offsets) - 1)
    if isinstance(positions, np.ndarray):
        check_pairs_fit(positions, offsets, cutoff, INT32_MAX)
    return Inputs(positions, box, cells, offsets, cutoff, bool(self_edges), capacity)


def check_positions(positions: Array, name: str = "positions") -> np.ndarray:
    """(N, D) positions as finite float64 with D = 2 or 3."""
    array = as_array(name, positions, np.float64)
    if array.ndim != 2 or array.shape[1] not in (2, 3):
        raise InputError(f"{name} has shape {array.shape}; give (N, 2) or (N, 3)")
    check_finite(name, array)
    return array


def check_types(types: Array, num_nodes: int) -> Tensor:
    """(N,) species as int64 on the CPU, none negative."""
    array = as_array("types", types)
    if array.shape != (num_nodes,):
        raise InputError(f"types has shape {array.shape}; positions need ({num_nodes},)")
    if array.size == 0:
        return torch.empty(0, dtype=torch.int64, device="cpu")
    if array.dtype.kind not in "iu":
        raise InputError(f"types has dtype {array.dtype}; give integers (0 = A, 1 = B, ...)")
    if array.min() < 0:
        k = int(np.argmin(array))
        raise InputError(f"types[{k}] = {array[k]} is negative; count the species from 0")
    return torch.from_numpy(array.astype(np.int64))


def types_on(types: Array, num_nodes: int, device: torch.device) -> Tensor:
    """(N,) species as a new int64 tensor on the device. At the numbers of those that lie there already nobody looks."""
    types = as_tensor(types)
    if not (isinstance(types, Tensor) and types.device == device):
        return check_types(types, num_nodes).to(device)
    if types.shape != (num_nodes,):
        raise InputError(f"types has shape {tuple(types.shape)}; positions need ({num_nodes},)")
    if num_nodes and (types.is_floating_point() or types.is_complex() or types.dtype == torch.bool):
        dtype = str(types.dtype).removeprefix("torch.")
        raise InputError(f"types has dtype {dtype}; give integers (0 = A, 1 = B, ...)")
    return types.to(torch.int64, copy=True)


def _positions_on(positions: Array, device: torch.device) -> Tensor:
    positions = as_tensor(positions)
    if not (isinstance(positions, Tensor) and positions.device == device):
        return torch.from_numpy(check_positions(positions)).to(device)
    if positions.ndim != 2 or positions.shape[1] not in (2, 3):
        raise InputError(f"positions has shape {tuple(positions.shape)}; give (N, 2) or (N, 3)")
    if positions.is_complex():
        raise InputError("positions is not an array of real numbers (Tensor); give numbers")
    return positions.detach().to(torch.float64).contiguous()


def _check_graph_ptr(graph_ptr: Array | None, num_nodes: int) -> np.ndarray:
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


def _check_capacity(capacity: int | None) -> int | None:
    """None, or the number of edges that a graph has room for."""
    if capacity is None:
        return None
    if isinstance(capacity, bool) or not isinstance(capacity, (int, np.integer)) or not 0 <= capacity <= INT32_MAX:
        raise InputError(f"capacity = {capacity!r} must be a number of edges from 0 to {INT32_MAX}")
    return int(capacity)

"""Neighbour lists on CUDA: memory, stream and the one wait, around the kernels of csrc/cuda/geometry/neighbor_list.cu.

`kernels` is `botan_fast.device.CUDA_KERNELS`, or in tests the host emulation, which takes CPU tensors.
"""

import functools
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..arrays import as_tensor
from ..box import check_boxes
from ..device import stream_of, workspace_of
from ..errors import InputError
from .graph import NEGATIVE_TYPE
from .inputs import INT32_MAX, check_graph_ptr, check_positions, check_types
from .search_cpu import search_on_cpu

__all__ = ["graph_fields", "pair_arrays"]


class Configurations(NamedTuple):
    """One configuration or a batch: what the search reads."""

    positions: Tensor  # (N, D) float64, contiguous, on the device
    offsets: np.ndarray  # (G+1,) int64, host
    cells: np.ndarray  # (G, D, D) float64, host
    cutoff: float
    self_edges: bool
    path: int = 0  # of the search, see botan_fast_cuda.h; 0 chooses by size


class Search:
    """The count, queued by the constructor, and then one of the fills. Only `num_edges` waits for the device.

    >>> from botan_fast.graph.search_cuda import Search
    >>> Search.num_edges.__doc__
    'status[0] as an int, or None where status[1] reports a problem: waits for the device.'
    """

    def __init__(self, kernels: ModuleType, what: Configurations, capacity: int | None = None):
        number, dimensions = what.positions.shape
        device = what.positions.device
        self._kernels, self._what, self._stream = kernels, what, stream_of(what.positions)
        self._capacity = capacity
        self._input = kernels.NeighborInput(
            what.positions.data_ptr(), number, dimensions, what.offsets.ctypes.data, what.cells.ctypes.data,
            len(what.offsets) - 1, what.cutoff, what.self_edges, what.path,
        )  # fmt: skip
        num_bytes = kernels.neighbor_list_workspace_bytes(number, len(what.offsets) - 1, dimensions)
        workspace = self._workspace = workspace_of(num_bytes, what.positions)
        self._scratch = workspace.data_ptr(), num_bytes
        self.row_ptr = torch.empty(number + 1, dtype=torch.int32, device=device)
        self.status = torch.empty(2, dtype=torch.int64, device=device)
        limit = INT32_MAX if capacity is None else capacity
        kernels.neighbor_list_count(
            *self._stream, self._input, limit, self.row_ptr.data_ptr(), self.status.data_ptr(), *self._scratch
        )

    @functools.cached_property
    def num_edges(self) -> int | None:
        """status[0] as an int, or None where status[1] reports a problem: waits for the device."""
        number, flags = self.status.tolist()
        return None if flags else number

    def graph(self) -> dict[str, Tensor]:
        """senders, receivers, reverse, vectors, row_ptr of a `Graph`, with room for `capacity` edges if given."""
        number = self.num_edges if self._capacity is None else self._capacity
        like = self._what.positions
        arrays = {name: self.row_ptr.new_empty(number) for name in ("senders", "receivers", "reverse")}
        arrays["vectors"] = like.new_empty((number, like.shape[1]), dtype=torch.float32)
        self._kernels.neighbor_list_fill_graph(
            *self._stream, self._input, self.row_ptr.data_ptr(), number, *(x.data_ptr() for x in arrays.values()),
            *self._scratch,
        )  # fmt: skip
        return {**arrays, "row_ptr": self.row_ptr}

    def pairs(self, letters: str) -> dict[str, Tensor]:
        """The arrays of `neighbor_list` for some of the letters i, j, D, d, S."""
        like, number = self._what.positions, self.num_edges
        shapes = {"i": (number,), "j": (number,), "D": (number, like.shape[1]), "d": (number,)}
        shapes["S"] = shapes["D"]
        arrays = {
            letter: like.new_empty(shapes[letter], dtype=torch.float64 if letter in "dD" else torch.int64)
            for letter in {*letters, "j"}  # the kernel orders long rows in j
        }
        self._kernels.neighbor_list_fill_pairs(
            *self._stream, self._input, self.row_ptr.data_ptr(),
            *(arrays[letter].data_ptr() if letter in arrays else 0 for letter in "ijDdS"), *self._scratch,
        )  # fmt: skip
        return arrays


@functools.lru_cache(maxsize=64)
def _constant(data: bytes, dtype: str, shape: tuple[int, ...], device: torch.device) -> Tensor:
    return torch.from_numpy(np.frombuffer(data, dtype).reshape(shape).copy()).to(device)


def constant(array: np.ndarray, device: torch.device) -> Tensor:
    """A small array on the device. From the second time on nothing crosses from the host, so that a call which has run
    once can be captured in a CUDA graph.

    >>> import numpy as np, torch
    >>> from botan_fast.graph.search_cuda import constant
    >>> constant(np.array([1.0, 2.0]), torch.device("cpu"))
    tensor([1., 2.], dtype=torch.float64)
    """
    return _constant(array.tobytes(), array.dtype.str, array.shape, device).clone()


def graph_fields(kernels, positions, types, box, cutoff, self_edges, graph_ptr=None, capacity=None, path=0) -> dict:
    """The fields of the `Graph` that `build_graph` returns, for positions that are a tensor on the device."""
    what, box = _configurations(positions, box, cutoff, self_edges, graph_ptr, path)
    where, num_nodes = positions.device, len(positions)
    types = as_tensor(types)
    on_device = isinstance(types, Tensor) and types.device == where
    types = _types_on_device(types, num_nodes) if on_device else check_types(types, num_nodes).to(where)
    search = Search(kernels, what, capacity)
    if on_device:  # looked at when the status is
        search.status[1] += NEGATIVE_TYPE * (types < 0).any()
    if capacity is None and search.num_edges is None:
        _refuse(what, types)
    return dict(
        search.graph(),
        types=types,
        box=None if box is None else constant(box, where),
        cutoff=what.cutoff,
        self_edges=what.self_edges,
        graph_ptr=constant(what.offsets, where),
        status=None if capacity is None else search.status,
    )


def _types_on_device(types: Tensor, num_nodes: int) -> Tensor:
    """A copy as int64; shape and dtype are checked, the values are not, since that would wait for the device."""
    if types.shape != (num_nodes,):
        raise InputError(f"types has shape {tuple(types.shape)}; positions need ({num_nodes},)")
    if num_nodes and (types.is_floating_point() or types.is_complex() or types.dtype == torch.bool):
        dtype = str(types.dtype).removeprefix("torch.")
        raise InputError(f"types has dtype {dtype}; give integers (0 = A, 1 = B, ...)")
    return types.to(torch.int64, copy=True)


def _configurations(positions, box, cutoff, self_edges, graph_ptr=None, path=0):
    """What the search on the device reads, and the box for the graph. Looks at shapes alone: nothing waits."""
    if positions.ndim != 2 or positions.shape[1] not in (2, 3):
        raise InputError(f"positions has shape {tuple(positions.shape)}; give (N, 2) or (N, 3)")
    if positions.is_complex():
        raise InputError("positions is not an array of real numbers (Tensor); give numbers")
    offsets = check_graph_ptr(graph_ptr, len(positions))
    cutoff, box, cells = check_boxes(box, positions.shape[1], cutoff, len(offsets) - 1)
    positions = positions.detach().to(torch.float64).contiguous()
    return Configurations(positions, offsets, cells, cutoff, bool(self_edges), path), box


def _refuse(what, types=None):
    """The kernels found bad input; the CPU finds it again and names the place."""
    if types is not None:
        check_types(types, len(types))
    positions = check_positions(what.positions)
    for g, cell in enumerate(what.cells):
        part = positions[what.offsets[g] : what.offsets[g + 1]]
        try:
            search_on_cpu(np.ascontiguousarray(part), cell, cell, what.cutoff, what.self_edges)
        except InputError as error:
            raise InputError(
                str(error) if len(what.cells) == 1 else f"configuration {g} of graph_ptr: {error}"
            ) from None
    raise InputError(f"graph_ptr holds graphs with more than {INT32_MAX} edges; make smaller batches")


def pair_arrays(kernels, letters, positions, box, cutoff, self_edges, path=0):
    """The arrays of `neighbor_list`, for positions that are a tensor on the device."""
    what, _ = _configurations(positions, box, cutoff, self_edges, None, path)
    search = Search(kernels, what)
    if search.num_edges is None:
        _refuse(what)
    return search.pairs(letters)

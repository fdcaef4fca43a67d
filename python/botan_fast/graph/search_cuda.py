"""Neighbour lists on CUDA: memory, stream and the one wait, around the kernels of csrc/cuda/geometry/neighbor_list.cu.

`kernels` is `botan_fast.device.CUDA_KERNELS`, or in tests the host emulation, which takes CPU tensors.
"""

import functools
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array, as_tensor
from ..device import stream_of, workspace_of
from ..errors import InputError
from . import search_cpu
from .graph import NEGATIVE_TYPE, Graph
from .inputs import INT32_MAX, Inputs, check_positions, check_types, types_on

__all__ = ["Search", "build", "pairs"]


class Search:
    """The count, queued by the constructor, and then one of the fills. Only `num_edges` waits for the device.

    >>> from botan_fast.graph.search_cuda import Search
    >>> Search.num_edges.__doc__
    'status[0] as an int, or None where status[1] reports a problem: waits for the device.'
    """

    def __init__(self, kernels: ModuleType, inputs: Inputs, path: int = 0) -> None:
        """`path` is that of the search, see botan_fast_cuda.h; 0 chooses by size."""
        positions = inputs.device_positions
        self._kernels, self._inputs, self._stream = kernels, inputs, stream_of(positions)
        self._given = kernels.NeighborInput(
            positions.data_ptr(), inputs.num_nodes, inputs.dimensions, inputs.offsets.ctypes.data,
            inputs.cells.ctypes.data, inputs.num_graphs, inputs.cutoff, inputs.self_edges, path,
        )  # fmt: skip
        num_bytes = kernels.neighbor_list_workspace_bytes(inputs.num_nodes, inputs.num_graphs, inputs.dimensions)
        self._workspace = workspace_of(num_bytes, positions)
        self._scratch = self._workspace.data_ptr(), num_bytes
        self.row_ptr = positions.new_empty(inputs.num_nodes + 1, dtype=torch.int32)
        self.status = positions.new_empty(2, dtype=torch.int64)
        limit = INT32_MAX if inputs.capacity is None else inputs.capacity
        kernels.neighbor_list_count(
            *self._stream, self._given, limit, self.row_ptr.data_ptr(), self.status.data_ptr(), *self._scratch
        )

    @functools.cached_property
    def num_edges(self) -> int | None:
        """status[0] as an int, or None where status[1] reports a problem: waits for the device."""
        number, flags = self.status.tolist()
        return None if flags else number

    def graph(self) -> dict[str, Any]:
        """senders, receivers, reverse, vectors, row_ptr of a `Graph`, with room for `capacity` edges if given."""
        number = self.num_edges if self._inputs.capacity is None else self._inputs.capacity
        assert number is not None  # `build` has refused bad input
        arrays = {name: self.row_ptr.new_empty(number) for name in ("senders", "receivers", "reverse")}
        shape = number, self._inputs.dimensions
        arrays["vectors"] = self._inputs.device_positions.new_empty(shape, dtype=torch.float32)
        self._kernels.neighbor_list_fill_graph(
            *self._stream, self._given, self.row_ptr.data_ptr(), number, *(x.data_ptr() for x in arrays.values()),
            *self._scratch,
        )  # fmt: skip
        return {**arrays, "row_ptr": self.row_ptr}

    def pairs(self, letters: str) -> dict[str, Tensor]:
        """The arrays of `neighbor_list` for some of the letters i, j, D, d, S."""
        number = self.num_edges
        assert number is not None  # `pairs` below has refused bad input
        arrays = {
            letter: self._inputs.device_positions.new_empty(
                (number, self._inputs.dimensions) if letter in "DS" else (number,),
                dtype=torch.float64 if letter in "dD" else torch.int64,
            )
            for letter in {*letters, "j"}  # the kernel orders long rows in j
        }
        self._kernels.neighbor_list_fill_pairs(
            *self._stream, self._given, self.row_ptr.data_ptr(),
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


def build(kernels: ModuleType, inputs: Inputs, types: Array, path: int = 0) -> Graph:
    """The graph of `build_graph`; `types` as the caller of that gave them."""
    device = inputs.device_positions.device
    unseen = isinstance(as_tensor(types), Tensor) and as_tensor(types).device == device
    types = types_on(types, inputs.num_nodes, device)
    search = Search(kernels, inputs, path)
    if unseen:  # looked at when the status is
        search.status[1] += NEGATIVE_TYPE * (types < 0).any()
    if inputs.capacity is None and search.num_edges is None:
        _refuse(inputs, types)
    return Graph(
        **search.graph(),
        types=types,
        box=None if inputs.box is None else constant(inputs.box, device),
        cutoff=inputs.cutoff,
        self_edges=inputs.self_edges,
        graph_ptr=constant(inputs.offsets, device),
        status=None if inputs.capacity is None else search.status,
    )


def pairs(kernels: ModuleType, inputs: Inputs, letters: str, path: int = 0) -> dict[str, Tensor]:
    """The arrays of `neighbor_list` by letter."""
    search = Search(kernels, inputs, path)
    if search.num_edges is None:
        _refuse(inputs)
    return search.pairs(letters)


def _refuse(inputs: Inputs, types: Tensor | None = None) -> NoReturn:
    """The kernels found bad input; the CPU finds it again and names the place."""
    if types is not None:
        check_types(types, len(types))
    there = inputs._replace(positions=check_positions(inputs.positions))
    for graph in range(inputs.num_graphs):
        search_cpu.search(there, graph)
    raise InputError(f"graph_ptr holds graphs with more than {INT32_MAX} edges; make smaller batches")

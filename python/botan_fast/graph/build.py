"""From positions to graphs and neighbour lists, on the CPU or on CUDA."""

from typing import Any

import torch

from ..arrays import Array, as_tensor, current_stream, is_cupy, like
from ..device import Device, kernels_for
from ..errors import InputError
from . import search_cpu, search_cuda
from .graph import Graph
from .inputs import check_inputs, check_types

__all__ = ["build_graph", "neighbor_list"]


def build_graph(
    positions: Array,
    types: Array,
    box: Array,
    cutoff: float = 2.0,
    self_edges: bool = False,
    device: Device = None,
    *,
    graph_ptr: Array | None = None,
    capacity: int | None = None,
) -> Graph:
    """The graph of all pairs with 0 < |r_ij| < cutoff under periodic boundary conditions.

    Parameters
    ----------
    positions : (N, D) float, NumPy, torch or CuPy, D = 2 or 3. Used in float64; they may lie outside the box
        (unwrapped).
    types : (N,) integers, 0 = A, 1 = B, ...
    box : (D,) edge lengths, (D, D) cell with row vectors, or one number for a cubic (square) box.
        Every length (of a cell: the distance between opposite faces) must be at least 2 * cutoff, so that each
        pair has one image at most. A batch has one box for all, or (G, D, D) cells.
    cutoff : the strict upper bound of |r_ij|, in the length unit of the positions (sigma_AA; the paper has 2.0).
    self_edges : adds the edge i -> i with the zero vector for every particle (the node-targeting model of Bapst
        et al., Nat. Phys. 16, 448 (2020) has them).
    device : where the graph is put; by default that of `positions` if they are a tensor or a CuPy array, else the CPU.
    graph_ptr : (G+1,) offsets of a batch: the particles of configuration g are ``graph_ptr[g]:graph_ptr[g+1]``. The
        result is that of `batch_graphs`. By default there is one configuration. Give it in host memory.
    capacity : room for so many edges. The tensors then have this length whatever the number of edges: those beyond the
        last go 0 -> 0 with the zero vector and are in no row. On CUDA nothing waits for the device and nothing is
        refused; call `Graph.check`.

    Returns a `Graph`. Its edges are decided in float64, r_ij = r_j - r_i - box * round((r_j - r_i) / box); the
    vectors are rounded to float32 afterwards. Takes time O(N). On the CPU the search has ``torch.get_num_threads()``
    threads; for positions on a GPU, or ``device="cuda"``, it runs there, on torch's (for CuPy arrays, CuPy's) current
    stream, and waits once, for the number of edges. The bits are the same for any number of threads and either device.
    A build without CUDA kernels searches on the CPU and copies.

    A call with a capacity can be captured in a CUDA graph when positions and types are CUDA tensors and the same call
    has run once before; the box is kept as it was at capture.

    Raises `InputError` for wrong shapes, NaN or infinite numbers, a box smaller than 2 * cutoff, more than
    2**31 - 1 edges, and for two particles at the same point: their distance is 0, so by the definition they have no
    edge, and a configuration that holds such a pair is broken.

    Source: Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II.

    >>> import botan_fast as bf
    >>> graph = bf.build_graph([[0.25, 0.0], [1.0, 0.0], [2.5, 0.0]], [0, 0, 1], box=[4.0, 4.0], cutoff=1.75)
    >>> graph.senders.tolist(), graph.receivers.tolist()
    ([1, 0, 2, 1], [0, 1, 1, 2])
    >>> graph.vectors[:, 0].tolist()  # r[receiver] - r[sender]
    [-0.75, 0.75, -1.5, 1.5]
    >>> graph.reverse.tolist()
    [1, 0, 3, 2]
    """
    with current_stream(positions):
        where = _cuda_device(positions, device)
        kernels = None if where is None else kernels_for(where)
        place = None if kernels is None else where
        inputs = check_inputs(positions, box, cutoff, self_edges, graph_ptr, capacity, place)
        if kernels is None:
            graph = search_cpu.build(inputs, check_types(types, inputs.num_nodes))
        else:
            graph = search_cuda.build(kernels, inputs, types)
        target = where if device is None else device
        return graph if target is None else graph.to(target)


def _cuda_device(positions: Array, device: Device) -> torch.device | None:
    """The CUDA device on which to search: that of the positions, else `device`; None for the CPU."""
    if isinstance(positions, torch.Tensor):
        own = positions.device
    elif is_cupy(positions):
        own = torch.device("cuda", positions.device.id)
    elif hasattr(positions, "__cuda_array_interface__"):
        own = as_tensor(positions).device
    else:
        own = torch.device("cpu")
    wanted = torch.device(device) if device is not None else own
    return own if own.type == "cuda" else wanted if wanted.type == "cuda" else None


def neighbor_list(letters: str, positions: Array, box: Array, cutoff: float, self_edges: bool = False) -> Any:
    """Neighbour pairs in the manner of ASE, for any use outside the model.

    Parameters
    ----------
    letters : which arrays to return, in that order, any of

        ===  ==============  ==================================================================
        i    (E,) int64      first particle of the pair
        j    (E,) int64      second particle
        d    (E,) float64    distance |D|, always below the cutoff
        D    (E, D) float64  r_j - r_i, minimum image
        S    (E, D) int64    shift in cells: D = r_j - r_i + S @ cell
        ===  ==============  ==================================================================
    positions, box, cutoff, self_edges : as in `build_graph`.

    Pairs are sorted by (i, j), and each occurs in both directions. In a `Graph` they are the edges j -> i, so entry k
    here is edge k there, and D is minus its vector. NumPy positions give NumPy arrays, torch positions tensors and CuPy
    positions CuPy arrays on the same device, where the search runs too. One letter gives the array itself, several a
    tuple. Errors as `build_graph`.

    >>> import botan_fast as bf
    >>> i, j, d, S = bf.neighbor_list("ijdS", [[0.5, 0.0], [3.5, 0.0]], box=[4.0, 4.0], cutoff=1.5)
    >>> i.tolist(), j.tolist(), d.tolist(), S.tolist()
    ([0, 1], [1, 0], [1.0, 1.0], [[-1, 0], [1, 0]])
    """
    if not isinstance(letters, str) or not letters or set(letters) - set("ijdDS"):
        raise InputError(f"letters = {letters!r} must be one or more of i, j, d, D, S")
    with current_stream(positions):
        where = _cuda_device(positions, None)
        kernels = None if where is None else kernels_for(where)
        inputs = check_inputs(positions, box, cutoff, self_edges, device=None if kernels is None else where)
        if kernels is None:
            arrays = search_cpu.pairs(inputs, letters)
            arrays = {letter: array if where is None else array.to(where) for letter, array in arrays.items()}
        else:
            arrays = search_cuda.pairs(kernels, inputs, letters)
        result = tuple(like(positions, arrays[letter]) for letter in letters)
        return result if len(result) > 1 else result[0]

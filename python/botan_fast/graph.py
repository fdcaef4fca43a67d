"""Graphs of particle configurations: periodic neighbour lists in the fixed (receiver, sender) order."""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch

from . import _core
from .errors import InputError

__all__ = ["Graph", "batch_graphs", "build_graph", "neighbor_list"]

_INT32_MAX = 2**31 - 1
_LARGE = 1 << 20  # bytes; smaller arrays are left to malloc, as in the core


@dataclass(frozen=True, eq=False, repr=False)
class Graph:
    """The directed graph of one configuration, or the disjoint union of several.

    Edge k goes ``senders[k] -> receivers[k]``; edges are sorted by (receiver, sender) and come in both directions,
    so ``edges[reverse]`` is the order by (sender, receiver). All tensors lie on one device.

    ============  ================  ======================================================================
    senders       (E,) int32
    receivers     (E,) int32
    vectors       (E, D) float32    r[receiver] - r[sender], minimum image (length units of the positions)
    row_ptr       (N+1,) int32      edges of receiver i are ``row_ptr[i]:row_ptr[i+1]``
    reverse       (E,) int32        index of the opposite edge; a self edge is its own
    types         (N,) int64        particle species, 0 = A, 1 = B, ...
    box           float64           edge lengths (D,) or row-vector cell (D, D); None for a batch of unlike boxes
    cutoff        float
    self_edges    bool              whether each particle has an edge to itself
    graph_ptr     (G+1,) int64      nodes of graph g are ``graph_ptr[g]:graph_ptr[g+1]``
    ============  ================  ======================================================================

    Make one with `build_graph`; join several with `batch_graphs`.

    >>> import botan_fast as bf
    >>> graph = bf.build_graph([[0.1, 0.0], [0.9, 0.0]], [0, 1], box=[4.0, 4.0], cutoff=2.0)
    >>> graph
    Graph(num_nodes=2, num_edges=2, dimensions=2, cutoff=2.0, self_edges=False, box=[4.0, 4.0], device='cpu')
    >>> graph.edge_index.tolist(), graph.row_ptr.tolist()
    ([[1, 0], [0, 1]], [0, 1, 2])
    """

    senders: torch.Tensor
    receivers: torch.Tensor
    vectors: torch.Tensor
    row_ptr: torch.Tensor
    reverse: torch.Tensor
    types: torch.Tensor
    box: torch.Tensor | None
    cutoff: float
    self_edges: bool
    graph_ptr: torch.Tensor

    @property
    def num_nodes(self) -> int:
        return self.types.shape[0]

    @property
    def num_edges(self) -> int:
        return self.senders.shape[0]

    @property
    def num_graphs(self) -> int:
        return self.graph_ptr.shape[0] - 1

    @property
    def device(self) -> torch.device:
        return self.senders.device

    @property
    def edge_index(self) -> torch.Tensor:
        """(2, E) int64: senders, then receivers, as PyTorch Geometric has it."""
        return torch.stack((self.senders, self.receivers)).long()

    @property
    def sender_order(self) -> torch.Tensor:
        """(E,) int32: the edges ordered by (sender, receiver). The graph is symmetric, so this is `reverse`.

        Those that leave node i are ``sender_order[sender_ptr[i]:sender_ptr[i+1]]``.
        """
        return self.reverse

    @property
    def sender_ptr(self) -> torch.Tensor:
        """(N+1,) int32: offsets into `sender_order`. The graph is symmetric, so this is `row_ptr`."""
        return self.row_ptr

    def to(self, device) -> "Graph":
        """The same graph with all tensors on `device`."""
        moved = {
            field.name: value.to(device)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), torch.Tensor)
        }
        return self.replace(**moved)

    def replace(self, **changes) -> "Graph":
        """A copy with some fields replaced, for example ``graph.replace(vectors=graph.vectors @ rotation)``."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise InputError(f"Graph has no field {min(unknown)!r}; fields are {', '.join(self.__dataclass_fields__)}")
        return dataclasses.replace(self, **changes)

    def __repr__(self) -> str:
        box = None if self.box is None else [round(x, 6) for x in self.box.flatten().tolist()]
        batch = f"num_graphs={self.num_graphs}, " if self.num_graphs != 1 else ""
        return (
            f"Graph({batch}num_nodes={self.num_nodes}, num_edges={self.num_edges}, dimensions={self.vectors.shape[1]}, "
            f"cutoff={self.cutoff}, self_edges={self.self_edges}, box={box}, device={str(self.device)!r})"
        )


def build_graph(positions, types, box, cutoff=2.0, self_edges=False, device=None) -> Graph:
    """The graph of all pairs with 0 < |r_ij| < cutoff under periodic boundary conditions.

    Parameters
    ----------
    positions : (N, D) float, NumPy or torch, D = 2 or 3. Used in float64; they may lie outside the box (unwrapped).
    types : (N,) integers, 0 = A, 1 = B, ...
    box : (D,) edge lengths, (D, D) cell with row vectors, or one number for a cubic (square) box.
        Every length (of a cell: the distance between opposite faces) must be at least 2 * cutoff, so that each
        pair has one image at most.
    cutoff : the strict upper bound of |r_ij|, in the length unit of the positions (sigma_AA; the paper has 2.0).
    self_edges : adds the edge i -> i with the zero vector for every particle (the node-targeting model of Bapst
        et al., Nat. Phys. 16, 448 (2020) has them).
    device : where the graph is put; by default that of `positions` if they are a tensor, else the CPU.

    Returns a `Graph`. Its edges are decided in float64, r_ij = r_j - r_i - box * round((r_j - r_i) / box); the
    vectors are rounded to float32 afterwards. The search runs on the CPU with ``torch.get_num_threads()`` threads,
    for positions on a GPU as well, takes time O(N), and gives the same bits for any number of threads.

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
    if device is None and isinstance(positions, torch.Tensor):
        device = positions.device
    positions = check_positions(positions)
    num_nodes, dimensions = positions.shape
    types = _check_types(types, num_nodes)
    box, cell = check_box(box, dimensions)
    search = _search(positions, box, cell, cutoff, self_edges)
    num_edges = search.num_edges
    senders, receivers, reverse = (torch.from_numpy(_empty(num_edges, np.int32)) for _ in range(3))
    row_ptr = torch.empty(num_nodes + 1, dtype=torch.int32)
    vectors = torch.from_numpy(_empty((num_edges, dimensions), np.float32))
    search.fill_graph(*(x.data_ptr() for x in (senders, receivers, row_ptr, reverse, vectors)))
    graph = Graph(
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
    return graph if device is None else graph.to(device)


def neighbor_list(letters, positions, box, cutoff, self_edges=False):
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
    here is edge k there, and D is minus its vector. NumPy positions give NumPy arrays, torch positions tensors on the
    same device. One letter gives the array itself, several a tuple. Errors as `build_graph`.

    >>> import botan_fast as bf
    >>> i, j, d, S = bf.neighbor_list("ijdS", [[0.5, 0.0], [3.5, 0.0]], box=[4.0, 4.0], cutoff=1.5)
    >>> i.tolist(), j.tolist(), d.tolist(), S.tolist()
    ([0, 1], [1, 0], [1.0, 1.0], [[-1, 0], [1, 0]])
    """
    if not isinstance(letters, str) or not letters or set(letters) - set("ijdDS"):
        raise InputError(f"letters = {letters!r} must be one or more of i, j, d, D, S")
    device = positions.device if isinstance(positions, torch.Tensor) else None
    positions = check_positions(positions)
    dimensions = positions.shape[1]
    box, cell = check_box(box, dimensions)
    search = _search(positions, box, cell, cutoff, self_edges)
    num_edges = search.num_edges
    kinds = {
        "i": (num_edges, np.int64),
        "j": (num_edges, np.int64),
        "D": ((num_edges, dimensions), np.float64),
        "d": (num_edges, np.float64),
        "S": ((num_edges, dimensions), np.int64),
    }
    arrays = {letter: _empty(*kinds[letter]) for letter in set(letters)}
    search.fill_pairs(*(arrays[letter].ctypes.data if letter in arrays else 0 for letter in "ijDdS"))
    if device is not None:
        arrays = {letter: torch.from_numpy(array).to(device) for letter, array in arrays.items()}
    result = tuple(arrays[letter] for letter in letters)
    return result if len(result) > 1 else result[0]


def batch_graphs(graphs) -> Graph:
    """The disjoint union of graphs: nodes and edges in order, ``graph_ptr`` with the offsets of the nodes.

    All must have the same number of dimensions, cutoff, self_edges and device. The box is kept if all are equal,
    else None. The edges of a batch are sorted by (receiver, sender) again.

    >>> import botan_fast as bf
    >>> one = bf.build_graph([[0.5, 0.0], [3.5, 0.0]], [0, 1], box=[4.0, 4.0], cutoff=1.5)
    >>> two = bf.batch_graphs([one, one])
    >>> two.senders.tolist(), two.row_ptr.tolist(), two.graph_ptr.tolist()
    ([1, 0, 3, 2], [0, 1, 2, 3, 4], [0, 2, 4])
    """
    graphs = list(graphs)
    if not graphs:
        raise InputError("graphs is empty; give at least one Graph")
    first = graphs[0]
    for k, graph in enumerate(graphs):
        for name, value, wanted in (
            ("dimensions", graph.vectors.shape[1], first.vectors.shape[1]),
            ("cutoff", graph.cutoff, first.cutoff),
            ("self_edges", graph.self_edges, first.self_edges),
            ("device", str(graph.device), str(first.device)),
        ):
            if value != wanted:
                raise InputError(f"graphs[{k}] has {name} = {value}, graphs[0] has {wanted}; batch graphs of one kind")
    if len(graphs) == 1:
        return first
    num_edges = sum(graph.num_edges for graph in graphs)
    if num_edges > _INT32_MAX:
        raise InputError(f"graphs have {num_edges} edges, more than {_INT32_MAX}; make smaller batches")

    node_offsets = _offsets(graph.num_nodes for graph in graphs)
    edge_offsets = _offsets(graph.num_edges for graph in graphs)
    same_box = all(
        graph.box is not None and first.box is not None and torch.equal(graph.box, first.box) for graph in graphs
    )

    def join(name, offsets):
        return torch.cat([getattr(graph, name) + offset for graph, offset in zip(graphs, offsets, strict=False)])

    row_ptr = [graph.row_ptr[:-1] + offset for graph, offset in zip(graphs, edge_offsets, strict=False)]
    row_ptr.append(torch.tensor([num_edges], dtype=torch.int32, device=first.device))
    graph_ptr = [graph.graph_ptr[:-1] + offset for graph, offset in zip(graphs, node_offsets, strict=False)]
    graph_ptr.append(torch.tensor([node_offsets[-1]], device=first.device))
    return Graph(
        senders=join("senders", node_offsets),
        receivers=join("receivers", node_offsets),
        vectors=torch.cat([graph.vectors for graph in graphs]),
        row_ptr=torch.cat(row_ptr),
        reverse=join("reverse", edge_offsets),
        types=torch.cat([graph.types for graph in graphs]),
        box=first.box if same_box else None,
        cutoff=first.cutoff,
        self_edges=first.self_edges,
        graph_ptr=torch.cat(graph_ptr),
    )


def _empty(shape, dtype):
    """An uninitialised array; a large one comes from the core's pool, which reuses its pages."""
    num_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if num_bytes < _LARGE:
        return np.empty(shape, dtype)
    return np.frombuffer(_core.PooledBuffer(num_bytes), dtype).reshape(shape)


def _offsets(counts):
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    return offsets


# ---- checks, shared with the targets -----------------------------------------------------------------------------


def as_array(name, value, dtype=None):
    """`value` (array, tensor on any device, or nested lists) as a C-contiguous NumPy array of real numbers."""
    try:
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


def _check_types(types, num_nodes):
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


def _search(positions, box, cell, cutoff, self_edges, max_edges=_INT32_MAX):
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

"""Graphs of particle configurations: periodic neighbour lists in the fixed (receiver, sender) order."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch

from ..arrays import as_tensor, current_stream, is_cupy, like
from ..checks import INT32_MAX, check_box, check_boxes, check_capacity, check_graph_ptr, check_positions, check_types
from ..errors import InputError
from . import search_cuda
from .search_cpu import empty, search_on_cpu

__all__ = ["Graph", "batch_graphs", "build_graph", "neighbor_list"]


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
    status        (2,) int64        of a graph with a capacity, what `check` reads; else None
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
    status: torch.Tensor | None = None

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

    def check(self) -> "Graph":
        """Refuses a graph of `build_graph(..., capacity=...)` that could not be built, and returns the graph itself.

        Such a graph has no edges in any row. ``status[0]`` is the number of edges there are; ``status[1]`` is 0, or a
        sum of 1 (a position is not finite, or beyond 2**30 box lengths), 2 (two particles at one point), 4 (more edges
        than the capacity) and 8 (a negative type). Waits for the device.

        >>> import botan_fast as bf
        >>> graph = bf.build_graph([[0.1, 0.0], [0.9, 0.0]], [0, 1], box=[4.0, 4.0], capacity=3)
        >>> graph.check().status.tolist(), graph.row_ptr.tolist(), graph.senders.tolist()
        ([2, 0], [0, 1, 2], [1, 0, 0])
        """
        if self.status is None:
            return self
        number, flags = self.status.tolist()
        for flag, text in (
            (
                search_cuda.INVALID,
                "positions hold a number that is not finite or beyond 2**30 box lengths; repair them",
            ),
            (search_cuda.COINCIDENT, "positions hold two particles at one point; remove or move one of the two"),
            (search_cuda.NEGATIVE_TYPE, "types hold a negative number; count the species from 0"),
            (
                search_cuda.OVERFLOW,
                f"capacity = {self.num_edges} is smaller than the {number} edges; give at least {number}",
            ),
        ):
            if flags & flag:
                raise InputError(text)
        return self

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


def build_graph(
    positions, types, box, cutoff=2.0, self_edges=False, device=None, *, graph_ptr=None, capacity=None
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
        capacity = check_capacity(capacity)
        where = _cuda_device(positions, device)
        if where is not None and search_cuda.core is not None:
            tensor = as_tensor(positions)
            if not (isinstance(tensor, torch.Tensor) and tensor.is_cuda):
                tensor = torch.from_numpy(check_positions(positions))
            fields = search_cuda.graph_fields(
                search_cuda.core, tensor.to(where), types, box, cutoff, self_edges, graph_ptr, capacity
            )
            return Graph(**fields) if device is None else Graph(**fields).to(device)
        if graph_ptr is None:
            graph = _build_one(positions, types, box, cutoff, self_edges)
        else:
            graph = _build_many(positions, types, box, cutoff, self_edges, graph_ptr)
        graph = graph if capacity is None else _pad(graph, capacity)
        target = device if device is not None else where
        return graph if target is None else graph.to(target)


def _cuda_device(positions, device):
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


def _build_one(positions, types, box, cutoff, self_edges) -> Graph:
    """On the CPU."""
    positions = check_positions(positions)
    num_nodes, dimensions = positions.shape
    types = check_types(types, num_nodes)
    box, cell = check_box(box, dimensions)
    search = search_on_cpu(positions, box, cell, cutoff, self_edges)
    num_edges = search.num_edges
    senders, receivers, reverse = (empty(num_edges, np.int32) for _ in range(3))
    row_ptr = torch.empty(num_nodes + 1, dtype=torch.int32)
    vectors = empty((num_edges, dimensions), np.float32)
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


def _build_many(positions, types, box, cutoff, self_edges, graph_ptr) -> Graph:
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
            parts.append(_build_one(positions[nodes], types[nodes], one, cutoff, self_edges))
        except InputError as error:
            raise InputError(f"configuration {g} of graph_ptr: {error}") from None
    return batch_graphs(parts)


def _pad(graph: Graph, capacity: int) -> Graph:
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
        if where is not None and search_cuda.core is not None:
            arrays = search_cuda.pair_arrays(search_cuda.core, letters, as_tensor(positions), box, cutoff, self_edges)
        else:
            arrays = _pairs(letters, positions, box, cutoff, self_edges)
            arrays = {letter: array if where is None else array.to(where) for letter, array in arrays.items()}
        result = tuple(like(positions, arrays[letter]) for letter in letters)
        return result if len(result) > 1 else result[0]


def _pairs(letters, positions, box, cutoff, self_edges):
    """The arrays of `neighbor_list` on the CPU, as tensors."""
    positions = check_positions(positions)
    dimensions = positions.shape[1]
    box, cell = check_box(box, dimensions)
    search = search_on_cpu(positions, box, cell, cutoff, self_edges)
    shapes = {letter: (search.num_edges, dimensions) if letter in "DS" else (search.num_edges,) for letter in "ijDdS"}
    arrays = {letter: empty(shapes[letter], np.float64 if letter in "dD" else np.int64) for letter in set(letters)}
    search.fill_pairs(*(arrays[letter].data_ptr() if letter in arrays else 0 for letter in "ijDdS"))
    return arrays


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
        if graph.status is not None:
            raise InputError(f"graphs[{k}] has a capacity; build the batch by build_graph with graph_ptr and capacity")
    if len(graphs) == 1:
        return first
    num_edges = sum(graph.num_edges for graph in graphs)
    if num_edges > INT32_MAX:
        raise InputError(f"graphs have {num_edges} edges, more than {INT32_MAX}; make smaller batches")

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


def _offsets(counts):
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    return offsets

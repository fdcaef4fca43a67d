"""Graphs of particle configurations: periodic neighbour lists in the fixed (receiver, sender) order."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import InputError
from ..markup import html_table
from .attributes import check_floats, checked_arrays, joined, joined_arrays, layout
from .inputs import INT32_MAX

__all__ = ["COINCIDENT", "INVALID", "NEGATIVE_TYPE", "OVERFLOW", "Graph", "batch_graphs"]


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

    What a model reads besides (`BOTAN`, node_inputs and edge_inputs); None where nothing was asked for:

    ================  ==============  ====================================================================
    arrays            dict            name -> (N,) or (N, K) float: more of every particle
    inherent_vectors  (E, D) float    the vectors of the same edges at the inherent structure
    ================  ==============  ====================================================================

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
    arrays: dict[str, torch.Tensor] | None = None
    inherent_vectors: torch.Tensor | None = None

    def __post_init__(self) -> None:
        """What holds for the shapes and types of any graph: the kernels rely on it. Index tensors become int32."""
        nodes, edges = self.types.shape[0], self.senders.shape[0]
        lengths = {"receivers": edges, "reverse": edges, "row_ptr": nodes + 1, "senders": edges, "types": nodes}
        for name, length in lengths.items():
            tensor = getattr(self, name)
            if tensor.shape != (length,) or tensor.dtype not in _INTEGERS:
                raise InputError(
                    f"Graph.{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; with {nodes} types and {edges} "
                    f"senders it must be integers of shape ({length},); replace all fields that belong together"
                )
            if name != "types" and tensor.dtype != torch.int32:
                object.__setattr__(self, name, _as_int32(name, tensor))
        if self.vectors.shape[:1] != (edges,) or self.vectors.ndim != 2 or not self.vectors.is_floating_point():
            raise InputError(
                f"Graph.vectors is {self.vectors.dtype} of shape {tuple(self.vectors.shape)}; {edges} senders need "
                f"floating vectors ({edges}, D)"
            )
        if self.inherent_vectors is not None:
            check_floats("Graph.inherent_vectors", self.inherent_vectors, tuple(self.vectors.shape))
        devices = {str(getattr(self, name).device) for name in (*lengths, "vectors")}
        if self.inherent_vectors is not None:
            devices.add(str(self.inherent_vectors.device))
        if self.arrays is not None:
            object.__setattr__(self, "arrays", checked_arrays(self.arrays, nodes))
            devices |= {str(tensor.device) for tensor in self.arrays.values()}
        if len(devices) > 1:
            raise InputError(f"Graph has tensors on {' and '.join(sorted(devices))}; put all on one device by to()")

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
                INVALID,
                "positions hold a number that is not finite or beyond 2**30 box lengths; repair them",
            ),
            (COINCIDENT, "positions hold two particles at one point; remove or move one of the two"),
            (NEGATIVE_TYPE, "types hold a negative number; count the species from 0"),
            (
                OVERFLOW,
                f"capacity = {self.num_edges} is smaller than the {number} edges; give at least {number}",
            ),
        ):
            if flags & flag:
                raise InputError(text)
        return self

    def to(self, device: torch.device | str) -> "Graph":
        """The same graph with all tensors on `device`."""
        moved: dict[str, Any] = {
            field.name: value.to(device)
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), torch.Tensor)
        }
        if self.arrays is not None:
            moved["arrays"] = {name: tensor.to(device) for name, tensor in self.arrays.items()}
        return self.replace(**moved)

    def rotate(self, rotation: torch.Tensor) -> "Graph":
        """The graph with its vectors, those at the inherent structure too, turned: v <- rotation v, rotation (D, D).

        Nothing else of a graph changes when the system is turned or reflected, for which rotation is orthogonal.

        >>> import botan_fast as bf, torch
        >>> graph = bf.build_graph([[0.5, 0.0], [1.25, 0.0]], [0, 1], box=[4.0, 4.0])
        >>> graph.rotate(torch.tensor([[0.0, -1.0], [1.0, 0.0]])).vectors.tolist()
        [[0.0, -0.75], [0.0, 0.75]]
        """
        dimensions = self.vectors.shape[1]
        if rotation.shape != (dimensions, dimensions):
            raise InputError(
                f"rotation has shape {tuple(rotation.shape)}; vectors of {dimensions} dimensions need "
                f"({dimensions}, {dimensions})"
            )
        rotation = rotation.to(self.device, self.vectors.dtype)
        turned = {"vectors": self.vectors @ rotation.T}
        if self.inherent_vectors is not None:
            turned["inherent_vectors"] = self.inherent_vectors @ rotation.T
        return self.replace(**turned)

    def replace(self, **changes: Any) -> "Graph":
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

    def _repr_html_(self) -> str:
        box = "of several kinds" if self.box is None else self.box.flatten().tolist()
        degree = f"{self.num_edges / max(self.num_nodes, 1):.1f}"
        rows: list[tuple[str, object]] = [("graphs", self.num_graphs)] if self.num_graphs != 1 else []
        rows += [("nodes", self.num_nodes), ("edges", f"{self.num_edges}, {degree} of a node"), ("box", box)]
        rows += [("cutoff", self.cutoff), ("self edges", self.self_edges), ("device", self.device)]
        rows += [("arrays", ", ".join(self.arrays))] if self.arrays else []
        return html_table("Graph", rows)


_INTEGERS = (torch.int8, torch.int16, torch.int32, torch.int64)


def _as_int32(name: str, tensor: torch.Tensor) -> torch.Tensor:
    if tensor.dtype == torch.int64 and tensor.numel() and int(tensor.abs().max()) > INT32_MAX:
        raise InputError(f"Graph.{name} holds numbers beyond {INT32_MAX}; graphs have at most so many edges")
    return tensor.to(torch.int32)


def batch_graphs(graphs: Iterable[Graph]) -> Graph:
    """The disjoint union of graphs: nodes and edges in order, ``graph_ptr`` with the offsets of the nodes.

    All must have the same number of dimensions, cutoff, self_edges and device, and arrays of the same names and
    widths. The box is kept if all are equal, else None. The edges of a batch are sorted by (receiver, sender) again.

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
            ("arrays", layout(graph.arrays), layout(first.arrays)),
            ("inherent_vectors", _given(graph.inherent_vectors), _given(first.inherent_vectors)),
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

    def join(name: str, offsets: list[int]) -> torch.Tensor:
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
        arrays=joined_arrays([graph.arrays for graph in graphs]),
        inherent_vectors=joined([graph.inherent_vectors for graph in graphs]),
    )


def _given(value: torch.Tensor | None) -> str:
    return "none" if value is None else "some"


def _offsets(counts: Iterable[int]) -> list[int]:
    offsets = [0]
    for count in counts:
        offsets.append(offsets[-1] + count)
    return offsets


# Flags of status[1]; the first three are set by the kernels.
INVALID = 1


COINCIDENT = 2


OVERFLOW = 4


NEGATIVE_TYPE = 8

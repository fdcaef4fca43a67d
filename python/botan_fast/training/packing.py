"""All training configurations end to end: on the device, or in host memory from which batches are brought there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.sample import Sample
from ..model.botan import BOTAN
from ..ops.batches import BatchSource
from .device_queue import DeviceQueue, Mark
from .objective import noisy_columns

__all__ = ["Layout", "NotCapturable", "Packed", "Resident", "Streamed", "layout_of", "pack"]


class NotCapturable(Exception):
    """Why no CUDA graph can hold the training step of these data and this model."""


@dataclass(frozen=True)
class Layout:
    """What of the samples is read: particles have a row of `outputs` targets and then the columns of `arrays`.

    sizes     numbers of particles and of edges of each configuration
    arrays    of Graph.arrays: name -> (columns, whether the array is (N,))
    """

    sizes: tuple[tuple[int, int], ...]
    dimensions: int
    outputs: int
    arrays: dict[str, tuple[int, bool]]
    inherent: bool
    edge_targets: bool

    @property
    def node_columns(self) -> int:
        return self.outputs + sum(columns for columns, _ in self.arrays.values())

    @property
    def num_bytes(self) -> int:
        nodes, edges = (sum(size) for size in zip(*self.sizes, strict=True))
        by_edge = 3 + self.dimensions * (1 + self.inherent) + self.outputs * self.edge_targets
        return 4 * ((3 + self.node_columns) * nodes + by_edge * edges)

    def source(self, nodes: int, edges: int, empty: Callable[[tuple[int, ...], torch.dtype], Tensor]) -> BatchSource:
        """Arrays for so many particles and edges, made by `empty(shape, dtype)`."""
        vectors, by_edge = (edges, self.dimensions), [empty((edges,), torch.int32) for _ in range(3)]
        return BatchSource(
            types=empty((nodes,), torch.int64),
            row_begin=empty((nodes,), torch.int32),
            numbers=empty((nodes, self.node_columns), torch.float32),
            senders=by_edge[0],
            receivers=by_edge[1],
            reverse=by_edge[2],
            vectors=empty(vectors, torch.float32),
            inherent_vectors=empty(vectors if self.inherent else (0, self.dimensions), torch.float32),
            edge_targets=empty((edges, self.outputs if self.edge_targets else 0), torch.float32),
        )


def layout_of(samples: Sequence[Sample], model: BOTAN) -> Layout:
    """The layout of the samples. NotCapturable where they differ in more than their sizes, or are not float32."""
    config, sizes, kinds = model.config, [], set()
    widths = {name: place.stop - place.start for name, place in noisy_columns(config).items()}
    inherent = "inherent" in config["edge_inputs"]
    for sample in samples:
        graph, targets = sample.graph, sample.targets
        assert targets is not None  # training reads no samples without
        sizes.append((graph.num_nodes, graph.num_edges))
        arrays = {name: (graph.arrays or {}).get(name) for name in widths}
        for name, array in arrays.items():
            if array is None or array.numel() != graph.num_nodes * widths[name]:
                raise NotCapturable(f"configuration {sample.name} has no input {name!r} that fits")
        if inherent and graph.inherent_vectors is None:
            raise NotCapturable(f"configuration {sample.name} has no input 'inherent'")
        edge = None if config["decoders"] == "node" else targets.pair_change
        own = {"vectors": graph.vectors, "inherent": graph.inherent_vectors if inherent else None}
        own |= {"the node target": targets.node(config["node_target"]), "E_ij": edge}
        for name, tensor in (*own.items(), *arrays.items()):
            if tensor is not None and tensor.dtype != torch.float32:
                raise NotCapturable(f"{name} of configuration {sample.name} is not float32")
        flat = tuple(array is not None and array.ndim == 1 for array in arrays.values())
        kinds.add((flat, edge is not None, graph.self_edges))
    if len(kinds) > 1:
        raise NotCapturable("some configurations have E_ij, self edges or flat arrays, and some have not")
    [(flat, edge_targets, _)] = kinds
    columns = {name: (width, is_flat) for (name, width), is_flat in zip(widths.items(), flat, strict=True)}
    return Layout(tuple(sizes), config["dimensions"], config["num_outputs"], columns, inherent, edge_targets)


class Packed:
    """Configurations end to end in arrays of one kind of memory, and where each begins."""

    def __init__(self, source: BatchSource, sizes: Sequence[tuple[int, int]]) -> None:
        self.source, self.sizes = source, sizes
        self.starts = [(0, 0)]
        for nodes, edges in sizes:
            self.starts.append((self.starts[-1][0] + nodes, self.starts[-1][1] + edges))

    def rows(self, number: int) -> list[Tensor]:
        """The arrays of one configuration, as views."""
        (node, edge), (nodes, edges) = self.starts[number], self.sizes[number]
        return rows_of(self.source, node, edge, nodes, edges)


def rows_of(source: BatchSource, node: int, edge: int, nodes: int, edges: int) -> list[Tensor]:
    by_node, by_edge = slice(node, node + nodes), slice(edge, edge + edges)
    return [t[by_node] if k < 3 else t[by_edge] for k, t in enumerate(source)]


def pack(samples: Sequence[Sample], model: BOTAN, layout: Layout, source: BatchSource) -> Packed:
    """Fill the arrays of `source` with the samples, one after the other."""
    packed, config = Packed(source, layout.sizes), model.config
    for number, sample in enumerate(samples):
        graph, targets = sample.graph, sample.targets
        assert targets is not None
        columns = [targets.node(config["node_target"]), *((graph.arrays or {})[name] for name in layout.arrays)]
        nodes, edges = layout.sizes[number]
        values = [graph.types, graph.row_ptr[:-1], torch.cat([t.reshape(nodes, -1) for t in columns], dim=1)]
        values += [graph.senders, graph.receivers, graph.reverse, graph.vectors]
        values.append(graph.vectors[:0] if graph.inherent_vectors is None else graph.inherent_vectors)
        edge = targets.pair_change if layout.edge_targets else None
        values.append(graph.vectors[:, :0] if edge is None else edge.reshape(edges, -1))
        for target, value in zip(packed.rows(number), values, strict=True):
            if target.numel():
                target.copy_(value)
    return packed


class Resident:
    """All of it on the device."""

    def __init__(self, packed: Packed) -> None:
        self.source, self._packed = packed.source, packed

    def bring(self, batch: Sequence[int]) -> list[tuple[int, int]]:
        """Where the configurations of the batch begin in `source`."""
        return [self._packed.starts[number] for number in batch]

    def passed(self) -> None:
        """The batch that was brought last has been queued to be read."""


class Streamed:
    """Pinned host memory; on the device there is room for two batches, of which one is copied while the other is read.

    Copies have a stream of their own. It waits for the step that has read what is overwritten, and a step waits for its
    copies; the host waits for neither.
    """

    def __init__(self, packed: Packed, queue: DeviceQueue, layout: Layout, nodes: int, edges: int) -> None:
        """For batches of at most so many particles and edges."""
        self._packed, self._queue, self._side = packed, queue, queue.side()
        self._room, self._slot = (nodes, edges), 0
        self._read: list[Mark | None] = [None, None]
        self.source = layout.source(2 * nodes, 2 * edges, lambda s, d: torch.empty(s, dtype=d, device=queue.device))
        # Memory of the device may still be used by what was queued before.
        self._side.wait_for(queue.mark())

    def bring(self, batch: Sequence[int]) -> list[tuple[int, int]]:
        self._slot = 1 - self._slot
        read = self._read[self._slot]
        if read is not None:
            self._side.wait_for(read)
        node, edge = (self._slot * room for room in self._room)
        starts = []
        for number in batch:
            nodes, edges = self._packed.sizes[number]
            targets = rows_of(self.source, node, edge, nodes, edges)
            for target, value in zip(targets, self._packed.rows(number), strict=True):
                if target.numel():
                    self._side.copy(target, value)
            starts.append((node, edge))
            node, edge = node + nodes, edge + edges
        self._queue.wait_for(self._side.mark())
        return starts

    def passed(self) -> None:
        self._read[self._slot] = self._queue.mark()

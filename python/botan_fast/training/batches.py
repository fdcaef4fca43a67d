"""Batches of fixed size, made on the device by one kernel from configurations that lie end to end.

What differs from step to step (which configurations, rotations, noise, step size) goes through pinned host memory into
small buffers on the device, from which the operators of the step read it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ..data.sample import Sample
from ..graph.graph import Graph
from ..model.botan import BOTAN
from ..ops.batches import BatchArrays, BatchChoice, load_batch
from .augmentation import random_rotation
from .device_queue import DeviceQueue, Mark
from .objective import Batch, draw_noise, noisy_columns
from .packing import NotCapturable, Packed, Resident, Streamed, layout_of, pack
from .settings import TrainingSettings

__all__ = ["BatchShape", "PackedBatches", "StepInputs"]

MOST_SHAPES = 4  # each has a CUDA graph of its own, of some hundred kilobytes, and is captured in about a second
RING = 4  # steps that the host may be ahead of the device


class StepInputs(NamedTuple):
    """What a step reads besides its configurations, all in one buffer: one copy brings it to the device."""

    number: Tensor  # (1,) int64: of the batch within its epoch
    places: Tensor  # (G+1, 4) int64, see BatchChoice
    rotations: Tensor  # (G, D, D) float32
    step_size: Tensor  # (1,) float32
    average_weight: Tensor  # () float32: of the new weights in their average

    @staticmethod
    def num_bytes(graphs: int, dimensions: int) -> int:
        return 8 + 32 * (graphs + 1) + 4 * graphs * dimensions**2 + 8

    @classmethod
    def views(cls, buffer: Tensor, graphs: int, dimensions: int) -> "StepInputs":
        """Of a buffer of bytes.

        >>> import torch
        >>> from botan_fast.training.batches import StepInputs
        >>> buffer = torch.zeros(StepInputs.num_bytes(5, 3), dtype=torch.uint8)
        >>> [tuple(view.shape) for view in StepInputs.views(buffer, 5, 3)]
        [(1,), (6, 4), (5, 3, 3), (1,), ()]
        """
        first, second = 8 + 32 * (graphs + 1), 8 + 32 * (graphs + 1) + 4 * graphs * dimensions**2
        numbers = buffer[second:].view(torch.float32)
        return cls(
            buffer[:8].view(torch.int64),
            buffer[8:first].view(torch.int64).reshape(graphs + 1, 4),
            buffer[first:second].view(torch.float32).reshape(graphs, dimensions, dimensions),
            numbers[:1],
            numbers[1],
        )


@dataclass(frozen=True, eq=False)
class BatchShape:
    """The arrays of batches of `nodes` particles and at most `capacity` edges, and the same as graph and targets."""

    nodes: int
    capacity: int
    arrays: BatchArrays
    choice: BatchChoice
    batch: Batch


class PackedBatches:
    """The batches of a run, made on the device. NotCapturable where its samples cannot be packed or are of many sizes.

    resident   whether all configurations lie on the device; by default, where they take at most half of what is free
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        model: BOTAN,
        settings: TrainingSettings,
        queue: DeviceQueue,
        resident: bool | None = None,
    ) -> None:
        self._config, self._settings, self._queue = model.config, settings, queue
        self._layout = layout = layout_of(samples, model)
        self._graphs = min(settings.batch_size, len(samples))
        rooms = _rooms(layout.sizes, settings.batch_size)
        nodes, edges = max(n for _, n in rooms), max(rooms.values())
        self.resident = 2 * layout.num_bytes <= queue.free_bytes() if resident is None else resident
        device = queue.device

        def on_device(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
            return torch.empty(shape, dtype=dtype, device=device)

        all_nodes, all_edges = (sum(size) for size in zip(*layout.sizes, strict=True))
        memory = layout.source(all_nodes, all_edges, on_device if self.resident else queue.pinned)
        packed: Packed = pack(samples, model, layout, memory)
        self._source: Resident | Streamed = (
            Resident(packed) if self.resident else Streamed(packed, queue, layout, nodes, edges)
        )
        noisy = noisy_columns(self._config) if settings.input_noise else {}
        self._noise = on_device((nodes, sum(p.stop - p.start for p in noisy.values())), torch.float32)
        widths = [settings.input_noise * model.get_buffer("node_input_width")[place] for place in noisy.values()]
        self._noise_widths = torch.cat(widths).to(device) if widths else on_device((0,), torch.float32)
        self._buffer = on_device((StepInputs.num_bytes(self._graphs, layout.dimensions),), torch.uint8)
        self.inputs = StepInputs.views(self._buffer, self._graphs, layout.dimensions)
        self._ring = [[queue.pinned(tuple(t.shape), t.dtype) for t in (self._buffer, self._noise)] for _ in range(RING)]
        self._no_rotation = torch.eye(layout.dimensions, device="cpu")
        self._marks: list[Mark | None] = [None] * RING
        self._staged = 0
        arrays = layout.source(nodes, edges, on_device)
        row_ptr, status = on_device((nodes + 1,), torch.int32), on_device((2,), torch.int64)
        room = BatchArrays(arrays.types, row_ptr, *arrays[2:], status)
        self.shapes = {key: self._shape(room, samples[0].graph, *key, capacity) for key, capacity in rooms.items()}

    def stage(
        self,
        batch: Sequence[int],
        generator: torch.Generator,
        number: int = 0,
        step_size: float = 0.0,
        average_weight: float = 0.0,
    ) -> BatchShape:
        """Queue what `load` and the step will read: the configurations of the batch, random numbers, the step size.

        Random numbers are drawn as by `objective.make_batch`. Waits where the host is RING steps ahead.
        """
        slot, self._staged = self._staged % RING, self._staged + 1
        mark = self._marks[slot]
        if mark is not None:
            mark.wait()  # the device has copied what this slot held
        buffer, noise = self._ring[slot]
        inputs = StepInputs.views(buffer, self._graphs, self._layout.dimensions)
        inputs.number.fill_(number)
        inputs.step_size.fill_(step_size)
        inputs.average_weight.fill_(average_weight)
        node, edge, places = 0, 0, []
        for place, (configuration, start) in enumerate(zip(batch, self._source.bring(batch), strict=True)):
            nodes, edges = self._layout.sizes[configuration]
            rotation = random_rotation(self._settings.augmentation, self._layout.dimensions, generator)
            inputs.rotations[place] = self._no_rotation if rotation is None else rotation
            self._draw(noise[node : node + nodes], generator)
            places.append((*start, node, edge))
            node, edge = node + nodes, edge + edges
        places += [(0, 0, node, edge)] * (self._graphs + 1 - len(batch))
        inputs.places.copy_(torch.tensor(places, device="cpu"))
        self._queue.copy(self._buffer, buffer)
        if noise.numel():
            self._queue.copy(self._noise[:node], noise[:node])
        self._marks[slot] = self._queue.mark()
        return self.shapes[len(batch), node]

    def load(self, shape: BatchShape) -> Batch:
        """Queue the kernel that writes the staged batch into the arrays of its shape."""
        load_batch(self._source.source, shape.choice, shape.arrays)
        return shape.batch

    def passed(self) -> None:
        """To be called when the step that reads the staged batch has been queued."""
        self._source.passed()

    def of_size(self, count: int, nodes: int) -> list[int]:
        """So many configurations that make a batch of so many particles."""
        fitting = [k for k, (number, _) in enumerate(self._layout.sizes) if number * count == nodes]
        return fitting[:count]

    def _draw(self, rows: Tensor, generator: torch.Generator) -> None:
        if rows.shape[1]:
            torch.cat(list(draw_noise(self._config, len(rows), generator).values()), dim=1, out=rows)

    def _shape(self, room: BatchArrays, like: Graph, count: int, nodes: int, capacity: int) -> BatchShape:
        """Views of `room` for batches of so many configurations with so many particles together."""
        lengths = {"types": nodes, "row_ptr": nodes + 1, "numbers": nodes, "status": 2}
        arrays = BatchArrays(**{name: t[: lengths.get(name, capacity)] for name, t in room._asdict().items()})
        choice = BatchChoice(self.inputs.places, self.inputs.rotations, self._noise[:nodes], self._noise_widths)
        outputs, column, named = self._layout.outputs, self._layout.outputs, {}
        for name, (columns, flat) in self._layout.arrays.items():
            part = arrays.numbers[:, column : column + columns]
            named[name] = part[:, 0] if flat else part
            column += columns
        graph = Graph(
            senders=arrays.senders,
            receivers=arrays.receivers,
            vectors=arrays.vectors,
            row_ptr=arrays.row_ptr,
            reverse=arrays.reverse,
            types=arrays.types,
            box=None,
            cutoff=like.cutoff,
            self_edges=like.self_edges,
            graph_ptr=torch.arange(count + 1, device=self._queue.device) * (nodes // count),
            status=arrays.status,
            arrays=named or None,
            inherent_vectors=arrays.inherent_vectors if self._layout.inherent else None,
        )
        node, edge = arrays.numbers[:, :outputs], arrays.edge_targets if self._layout.edge_targets else None
        if outputs == 1:
            node, edge = node[:, 0], None if edge is None else edge[:, 0]
        return BatchShape(nodes, capacity, arrays, choice, (graph, node, edge))


def _rooms(sizes: Sequence[tuple[int, int]], batch_size: int) -> dict[tuple[int, int], int]:
    """(configurations, particles) of the batches that there are -> the most edges of such a one.

    Those of one number of particles share a CUDA graph. The last batch of an epoch may have fewer configurations.
    """
    if batch_size == 1:
        rooms: dict[tuple[int, int], int] = {}
        for nodes, edges in sizes:
            rooms[1, nodes] = max(edges, rooms.get((1, nodes), 0))
        if len(rooms) > MOST_SHAPES:
            raise NotCapturable(f"configurations of {len(rooms)} numbers of particles; there may be {MOST_SHAPES}")
        return rooms
    numbers = {nodes for nodes, _ in sizes}
    if len(numbers) > 1:
        raise NotCapturable(f"batches of {batch_size} mix configurations of {len(numbers)} numbers of particles")
    [nodes], most = numbers, sorted((edges for _, edges in sizes), reverse=True)
    counts = {min(batch_size, len(sizes)), len(sizes) % batch_size} - {0}
    return {(count, count * nodes): sum(most[:count]) for count in sorted(counts)}

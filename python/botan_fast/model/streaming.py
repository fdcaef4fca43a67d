"""Inference on large systems: message passing as a sweep over slabs, with a few of them in memory at a time.

A step of a slab needs the features of the particles that send to it, which lie in the slabs around it. So step s + 1 of
a slab can run when step s has run on the slabs up to `reach` further. The sweep goes through the slabs; when step 0 has
run on slab k, step 1 runs on slab k - reach, step 2 on k - 2 reach, and so on, and after the last step the edges of a
slab are decoded and dropped. Edge features are alive in (n - 1) reach + 1 slabs.

In a periodic system slab 0 follows on the last one. The sweep begins early enough (`Slabs.first`) for every slab to
have its senders; what it does there on the last slabs it does again when it comes to them. Features of the first
particles, which the last slabs need again, are kept for every step.

All arithmetic is that of the ordinary way, on each edge and particle in the same order: the results have the same bits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import ops
from ..device import empty, release_memory
from ..graph.graph import Graph
from ..ops.padding import pad_features, pad_processor
from .inputs import check_species, edge_columns, node_columns
from .slabs import Slabs, cut
from .topology import graph_topology

if TYPE_CHECKING:
    from .botan import BOTAN

__all__ = ["LARGE", "Progress", "predict_in_slabs", "reporting", "slabs_for"]

LARGE = 1 << 30  # bytes of an edge array (E, H) float32; smaller systems have all their edges in memory
_SAVING = 0.5  # of the memory, at least, for which slabs are worth their repeated steps

Progress = Callable[[int, int], None]  # slab-steps done, and all of them
_progress: ContextVar[Progress | None] = ContextVar("progress", default=None)


@contextmanager
def reporting(progress: Progress) -> Iterator[None]:
    """Inside the block, predictions of large systems call progress(done, all) after each step of a slab.

    >>> from botan_fast.model.streaming import reporting
    >>> with reporting(lambda done, all: print(done, "of", all)):
    ...     pass  # model(graph)
    """
    before = _progress.set(progress)
    try:
        yield
    finally:
        _progress.reset(before)


def slabs_for(model: "BOTAN", graph: Graph, slabs: Slabs | None = None) -> Slabs | None:
    """The slabs for a prediction, or None where all edges together are the better way, or the only one.

    `slabs` are taken where they are given: those of the graph before it was rotated, which has lost its box.
    Slabs are for what needs no gradients, on the CPU, with an edge array of more than `LARGE` bytes, where they save
    half of the memory; and for models whose parts nobody has replaced.
    """
    if torch.compiler.is_compiling() or 4 * graph.num_edges * model.config["hidden_size"] < LARGE:
        return None
    if not can_stream(model, graph):
        return None
    steps, hidden = model.config["num_steps"], model.config["hidden_size"]
    slabs = cut(graph) if slabs is None else slabs
    if slabs is None:
        return None
    rows = steps * (2 * slabs.reach + 1) + 2 * (steps * slabs.reach + 1)  # of particles, as `_Sweep` has them
    needed = 4 * hidden * (2 * slabs.most_edges(steps) + rows * slabs.most_nodes())
    return slabs if needed <= (1 - _SAVING) * 4 * hidden * 2 * graph.num_edges else None


def can_stream(model: "BOTAN", graph: Graph) -> bool:
    """Whether slabs give what the model gives for this graph: kernels, no gradients, and parts that are its own."""
    from .botan import MLP, BOTANLayer

    weight = model.node_encoder.fc1.weight
    if model.config["num_steps"] == 0 or graph.status is not None:
        return False
    if not ops.runs_in_slabs(model.config["hidden_size"], weight.dtype, weight.device):
        return False
    parts = [part for _, part in model.named_children()]
    return all(
        type(part) in (MLP, BOTANLayer) and not part._forward_hooks and not part._forward_pre_hooks for part in parts
    )


def predict_in_slabs(
    model: "BOTAN", graph: Graph, slabs: Slabs, precision: str, raw: bool
) -> tuple[Tensor, Tensor | None]:
    """Node and edge output of the model, with the bits of `BOTAN.forward`; see the top of this file."""
    with torch.no_grad(), torch.device("cpu"):
        outputs = _Sweep(model, graph, slabs, precision, raw).run()
    release_memory()  # of the slabs: what comes next is seldom as large
    return outputs


@dataclass
class _Columns:
    """The particles or the edges of a slab, as `node_columns` and `edge_columns` read them."""

    types: Tensor
    arrays: dict[str, Tensor] | None
    vectors: Tensor
    inherent_vectors: Tensor | None

    @property
    def num_edges(self) -> int:
        return len(self.vectors)

    @property
    def device(self) -> torch.device:
        return self.vectors.device


@dataclass
class _Edges:
    """The edges of a slab: where they stand in the graph, and their features."""

    places: Tensor
    state: ops.SlabEdges


class _Sweep:
    """One prediction. Slabs are counted beyond both ends: slab t is slab t mod S, in another image of the system."""

    def __init__(self, model: "BOTAN", graph: Graph, slabs: Slabs, precision: str, raw: bool) -> None:
        self.model, self.graph, self.slabs, self.precision = model, graph, slabs, precision
        self.config: dict[str, Any] = model.config
        self.types = graph.types
        self.steps: int = self.config["num_steps"]
        self.scaled = bool(self.config.get("scaled")) and not raw
        if self.scaled:
            check_species(graph, self.config["num_species"])
        ops.check_topology(graph_topology(graph))
        # Features are padded with zeros to a width that has kernels, from the encoders to the decoders.
        self.hidden: int = self.config["hidden_size"]
        width = ops.padded_width(self.hidden, torch.device("cpu"))
        assert width is not None  # ops.runs_in_slabs
        self.width = width
        weights = model.processor.weights()
        if width != self.hidden:
            weights = pad_processor(weights, width)
        self.processor = ops.SlabProcessor(weights, precision)
        # Which slab a particle is in, and which of its particles.
        counts = torch.tensor(slabs.offsets).diff()
        self.slab = torch.empty(graph.num_nodes, dtype=torch.int32)
        self.slab[slabs.order] = torch.repeat_interleave(torch.arange(len(slabs), dtype=torch.int32), counts)
        self.rank = torch.empty(graph.num_nodes, dtype=torch.int32)
        begins = torch.repeat_interleave(torch.tensor(slabs.offsets[:-1]), counts)
        self.rank[slabs.order] = (torch.arange(graph.num_nodes) - begins).int()
        # Ws x before each step, of as many slabs as a slab's edges reach: a ring, with room for the largest slab.
        self.ring, self.room = 2 * slabs.reach + 1, slabs.most_nodes()
        self.tables = [empty(self.ring * self.room, width) for _ in range(self.steps)]
        self.kept: dict[tuple[int, int], Tensor] = {}  # those of the first slabs, by step and slab
        # Features of the particles between their first and their last step, in a ring too. From memory that stays:
        # small arrays that come and go at different times would leave gaps behind.
        self.alive = self.steps * slabs.reach + 1
        kinds = 3 if self.config["edge_node_skip"] else 1
        self.x = empty(self.alive, self.room * width)
        self.constants = empty(self.alive, kinds * self.room * width)
        self.nodes: dict[int, ops.SlabNodes] = {}
        self.edges: dict[int, _Edges] = {}
        outputs = (self.config["num_outputs"],) if self.config["num_outputs"] > 1 else ()
        self.node_output = empty(graph.num_nodes, *outputs)
        has_edges = self.config["decoders"] != "node"
        self.edge_output = empty(graph.num_edges, *outputs) if has_edges else None

    def run(self) -> tuple[Tensor, Tensor | None]:
        number, reach, steps = len(self.slabs), self.slabs.reach, self.steps
        begin = self.slabs.first(0, steps)
        ahead = begin - reach  # slabs whose particles are encoded
        done, all_steps, progress = 0, self.slabs.slab_steps(steps), _progress.get()
        for front in range(begin, number + (steps - 1) * reach):
            while ahead <= front + reach:
                self._begin_nodes(ahead, begin)
                ahead += 1
            if front < number:
                self._begin_edges(front)
            for step in range(steps):
                t = front - step * reach
                if self.slabs.first(step, steps) <= t < number:
                    self._step(step, t)
                    done += 1
                    if progress is not None:
                        progress(done, all_steps)
                elif number <= t < number + reach and self.slabs.periodic and step + 1 < steps:
                    self._rows(step + 1, t).copy_(self.kept[step + 1, t - number])
        return self.node_output, self.edge_output

    def _rows(self, step: int, t: int) -> Tensor:
        """The place of slab t in the table of a step."""
        j = t % len(self.slabs)
        first = t % self.ring * self.room
        return self.tables[step][first : first + self.slabs.offsets[j + 1] - self.slabs.offsets[j]]

    def _particles(self, t: int) -> Tensor:
        j = t % len(self.slabs)
        return self.slabs.order[self.slabs.offsets[j] : self.slabs.offsets[j + 1]]

    def _begin_nodes(self, t: int, begin: int) -> None:
        """x0 of a slab, and Ws x0; nothing beyond an end that is one."""
        if not self.slabs.periodic and not 0 <= t < len(self.slabs):
            return
        graph, particles = self.graph, self._particles(t)
        arrays = None if graph.arrays is None else {name: a[particles] for name, a in graph.arrays.items()}
        columns = _Columns(graph.types[particles], arrays, graph.vectors[:0], None)
        dtype, scales = torch.float32, self.model._input_scales("node")
        x0 = self._padded(self.model.node_encoder(node_columns(self.config, columns, dtype, scales), self.precision))
        x = self.x[t % self.alive, : x0.numel()].view(x0.shape).copy_(x0)
        constants = self.constants[t % self.alive]
        nodes = self.processor.nodes(x, self._rows(0, t), constants[: len(constants) // self.room * len(x)])
        if begin <= t < len(self.slabs):
            self.nodes[t] = nodes

    def _begin_edges(self, t: int) -> None:
        """e0 of a slab's edges, and what the steps read of them."""
        graph, particles = self.graph, self._particles(t)
        starts = graph.row_ptr.index_select(0, particles)
        row_ptr = torch.zeros(len(particles) + 1, dtype=torch.int32)
        degrees = graph.row_ptr.index_select(0, particles + 1) - starts
        torch.cumsum(degrees, 0, dtype=torch.int32, out=row_ptr[1:])
        number = int(row_ptr[-1])
        places, senders, receivers = empty(3, number, dtype=torch.int32)
        receivers.copy_(torch.repeat_interleave(degrees, output_size=number))
        torch.index_select(starts - row_ptr[:-1], 0, receivers, out=places)
        places += torch.arange(number, dtype=torch.int32)
        torch.index_select(graph.senders, 0, places, out=senders)
        inherent = None if graph.inherent_vectors is None else graph.inherent_vectors.index_select(0, places)
        columns = _Columns(graph.types[:0], None, graph.vectors.index_select(0, places), inherent)
        dtype, scales = torch.float32, self.model._input_scales("edge")
        e0 = self._padded(self.model.edge_encoder(edge_columns(self.config, columns, dtype, scales), self.precision))
        # The image of the sender's slab that is near slab t, and its place in the ring.
        slab, count = self.slab.index_select(0, senders), len(self.slabs)
        if self.slabs.periodic:
            slab = slab.sub_(t % count - count // 2).remainder_(count).add_(t - count // 2)
        ranks = self.rank.index_select(0, senders)
        torch.add(slab.remainder_(self.ring).mul_(self.room), ranks, out=senders)
        state = self.processor.edges(senders, receivers, row_ptr, e0, self.ring * self.room)
        self.edges[t] = _Edges(places, state)

    def _padded(self, features: Tensor) -> Tensor:
        return features if self.width == self.hidden else pad_features(features, self.width)

    def _step(self, step: int, t: int) -> None:
        last = step + 1 == self.steps
        following = None if last else self._rows(step + 1, t)
        e = self.processor.step(self.nodes[t], self.edges[t].state, self.tables[step], following)
        if e is not None:
            self._decode(t, e)
            return
        assert following is not None
        if self.slabs.periodic and 0 <= t < self.slabs.reach:
            self.kept[step + 1, t] = following.clone()
        if t < self.slabs.first(step + 1, self.steps):  # it comes again at the end of the sweep
            del self.nodes[t], self.edges[t]

    def _decode(self, t: int, e: Tensor) -> None:
        """The outputs of a slab, after its last step; its features are dropped."""
        model, shared = self.model, self.config["decoders"] == "shared"
        particles, places = self._particles(t), self.edges[t].places
        node = (model.decoder if shared else model.node_decoder)(self.nodes[t].x[:, : self.hidden], self.precision)
        if self.scaled:
            mean, width = model._scales_at("node", self.types[particles])
            node = torch.addcmul(mean, width, node)
        self.node_output[particles] = node
        if self.edge_output is not None:
            edge = (model.decoder if shared else model.edge_decoder)(e[:, : self.hidden], self.precision)
            if self.scaled:
                senders, receivers = (
                    ends.index_select(0, places) for ends in (self.graph.senders, self.graph.receivers)
                )
                pair = self.types[senders] * self.config["num_species"] + self.types[receivers]
                mean, width = model._scales_at("edge", pair)
                edge = torch.addcmul(mean, width, edge)
            self.edge_output[places.long()] = edge
        del self.nodes[t], self.edges[t]

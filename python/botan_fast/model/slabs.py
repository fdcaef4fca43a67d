"""A large system cut into slabs along one axis, so that message passing needs a part of it in memory at a time."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..graph.graph import Graph
from ..graph.unfolding import unfold

__all__ = ["Slabs", "cut"]

_PER_CUTOFF = 4  # slabs for each cutoff, at most: thinner ones save little more memory
_LEAST_EDGES = 50_000  # of a slab: enough for several threads
_MARGIN = 1e-4  # relative, of a slab's thickness: positions are known up to rounding
_PART = 1 << 20  # edges that are looked at together
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Slabs:
    """Particles by slab, and how far edges reach.

    order     (N,) int64, the particles of slab 0, of slab 1, ..., each slab's in the order of the graph
    offsets   those of slab j are order[offsets[j]:offsets[j+1]]
    edges     (S,) the number of edges that the particles of each slab receive
    reach     no edge leads from a slab to one that is farther away than so many slabs
    periodic  slab 0 follows on the last one; then there are more than 2 * reach slabs
    """

    order: Tensor
    offsets: list[int]
    edges: list[int]
    reach: int
    periodic: bool

    def __len__(self) -> int:
        return len(self.edges)

    def first(self, step: int, num_steps: int) -> int:
        """Where a sweep of `num_steps` steps begins with this step: at 0, or in a periodic system as many slabs before
        it as the later steps reach. Those come again at the end of the sweep, where they are needed."""
        return -(num_steps - 1 - step) * self.reach if self.periodic else 0

    def slab_steps(self, num_steps: int) -> int:
        """The number of steps of a slab in a sweep."""
        return sum(len(self) - self.first(step, num_steps) for step in range(num_steps))

    def most_edges(self, num_steps: int) -> int:
        """The most edges between their first and their last step at a time."""
        window = (num_steps - 1) * self.reach + 1
        first = self.first(0, num_steps)
        total = np.concatenate([[0], np.cumsum([self.edges[t % len(self)] for t in range(first, len(self))])])
        ends = np.minimum(np.arange(len(total)) + window, len(total) - 1)
        return int((total[ends] - total).max())

    def most_nodes(self) -> int:
        """The number of particles of the largest slab."""
        return max(end - begin for begin, end in zip(self.offsets[:-1], self.offsets[1:], strict=True))


def cut(graph: Graph, per_cutoff: int | None = None) -> Slabs | None:
    """The slabs of a graph on the CPU, across the axis with the most of them; None for a graph elsewhere.

    Positions come from the vectors of the edges (`unfold`). A slab is a cutoff / `per_cutoff` thick, by default the
    thinnest of 1 to 4 that leaves enough edges in it. Parts of a graph that no edge connects are spread over the slabs.
    How far edges reach is counted, edge by edge: where the vectors are not those of a periodic system with the graph's
    box, as in one that was rotated, it is more memory that comes of it, never another result.

    Raises InputError for senders or offsets that are damaged.

    >>> import numpy as np, botan_fast as bf
    >>> from botan_fast.model.slabs import cut
    >>> positions = np.random.default_rng(0).random((600, 3)) * [30.0, 4.0, 4.0]
    >>> slabs = cut(bf.build_graph(positions, np.zeros(600, dtype=int), [30.0, 4.0, 4.0]), per_cutoff=1)
    >>> len(slabs), slabs.reach, slabs.periodic, slabs.most_nodes() < 100
    (14, 1, True, True)
    """
    if graph.num_nodes == 0 or graph.device.type != "cpu":
        return None
    positions, parts = unfold(graph)
    fraction, height = _fractions(graph, positions)
    axis = int(np.argmax(height))
    # Of several parts each begins somewhere else; their shifts are free.
    along = np.nan_to_num(fraction[:, axis], posinf=0.0, neginf=0.0) + (parts * _GOLDEN) % 1.0
    along -= np.floor(along)
    # Slab 0 begins behind the widest gap: where no edge leads around, none leads from the last slab to it.
    ordered = np.sort(along)
    along -= ordered[int(np.argmax(np.diff(ordered, prepend=ordered[-1] - 1.0)))]
    along -= np.floor(along)
    thickness = graph.cutoff * (1 + _MARGIN)
    if per_cutoff is None:
        per_cutoff = int(np.clip(graph.num_edges / _LEAST_EDGES / max(height[axis] / thickness, 1), 1, _PER_CUTOFF))
    number = max(int(height[axis] / thickness * per_cutoff), 1)
    slab = np.minimum((along * number).astype(np.int32), number - 1)
    return by_slab(graph, torch.from_numpy(slab), number)


def by_slab(graph: Graph, slab: Tensor, number: int) -> Slabs:
    """The slabs of a graph where `slab` (N,) int32 says in which of `number` each particle lies.

    >>> import botan_fast as bf, torch
    >>> from botan_fast.model.slabs import by_slab
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> slabs = by_slab(graph, torch.tensor([2, 0], dtype=torch.int32), 3)
    >>> slabs.order.tolist(), slabs.offsets, slabs.reach, slabs.periodic
    ([1, 0], [0, 1, 1, 2], 1, True)
    """
    reach, around = 0, 0  # with slab 0 far from the last one, and next to it
    for senders, receivers in _in_parts(graph):
        apart = (slab.index_select(0, senders) - slab.index_select(0, receivers)).abs()
        if len(apart):
            reach = max(reach, int(apart.max()))
            around = max(around, int(torch.minimum(apart, number - apart).max()))
    periodic = around < reach and number > 2 * around
    counts = torch.bincount(slab, minlength=number)
    degrees = graph.row_ptr.diff()
    edges = torch.bincount(slab, degrees.double(), minlength=number)
    return Slabs(
        order=torch.argsort(slab, stable=True),
        offsets=[0, *torch.cumsum(counts, 0).tolist()],
        edges=edges.long().tolist(),
        reach=max(around if periodic else reach, 1),
        periodic=periodic,
    )


def _fractions(graph: Graph, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, D) in units of the cell's vectors, and the distances of its faces; without a box, of the particles'
    extent, so that all lie in [0, 1)."""
    if graph.box is None:
        least, most = positions.min(0), positions.max(0)
        extent = np.maximum(most - least, graph.cutoff) * (1 + _MARGIN)
        return (positions - least) / extent, extent
    box = graph.box.double().numpy()
    inverse = np.linalg.inv(np.diag(box) if box.ndim == 1 else box)
    return positions @ inverse, 1 / np.linalg.norm(inverse, axis=0)


def _in_parts(graph: Graph) -> Iterator[tuple[Tensor, Tensor]]:
    for begin in range(0, graph.num_edges, _PART):
        part = slice(begin, begin + _PART)
        yield graph.senders[part], graph.receivers[part]

"""The five index arrays that `ops.processor` reads, of a graph and of any list of edges."""

import torch
from torch import Tensor

from ..graph.graph import Graph

__all__ = ["graph_topology", "sorted_topology"]


def graph_topology(graph: Graph) -> list[Tensor]:
    """senders, receivers, row_ptr, sender_order and sender_ptr, as they are.

    >>> import botan_fast as bf
    >>> from botan_fast.model.topology import graph_topology
    >>> graph_topology(bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0]))[2]
    tensor([0, 1, 2], dtype=torch.int32)
    """
    return [graph.senders, graph.receivers, graph.row_ptr, graph.sender_order, graph.sender_ptr]


def sorted_topology(edge_index: Tensor, num_nodes: int) -> tuple[list[Tensor], Tensor]:
    """Topology of any directed graph, edges sorted by receiver, and the order that sorts them.

    >>> import torch
    >>> from botan_fast.model.topology import sorted_topology
    >>> topology, order = sorted_topology(torch.tensor([[0, 1, 2], [2, 0, 0]]), num_nodes=3)
    >>> topology[0], topology[2], order
    (tensor([1, 2, 0], dtype=torch.int32), tensor([0, 2, 2, 3], dtype=torch.int32), tensor([1, 2, 0]))
    """
    senders, receivers = edge_index
    order = torch.argsort(receivers, stable=True)
    senders, receivers = senders[order], receivers[order]

    def pointers(index: Tensor) -> Tensor:
        ptr = index.new_zeros(num_nodes + 1, dtype=torch.int64)
        ptr[1:] = torch.bincount(index, minlength=num_nodes).cumsum(0)
        return ptr

    sender_order = torch.argsort(senders, stable=True)
    topology = [senders, receivers, pointers(receivers), sender_order, pointers(senders)]
    return [t.to(torch.int32) for t in topology], order

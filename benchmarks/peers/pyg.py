"""The network with PyTorch Geometric's MessagePassing, as one writes it there. Needs torch_geometric, no extensions."""

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from benchmarks.peers.authors import MLP, AuthorsBOTAN


class Processor(MessagePassing):
    """One message-passing step: an edge update, then the sum of the messages."""

    def __init__(self, hidden_size: int):
        super().__init__(aggr="add", flow="source_to_target")
        self.edge_mlp = MLP(4 * hidden_size, hidden_size)
        self.node_mlp = MLP(3 * hidden_size, hidden_size)

    def forward(self, x: Tensor, e: Tensor, x0: Tensor, e0: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        e = self.edge_updater(edge_index, x=x, e=e, e0=e0)
        incoming = self.propagate(edge_index, e=e, size=(len(x), len(x)))
        return self.node_mlp(torch.cat([x, x0, incoming], dim=1)), e

    def edge_update(self, x_j: Tensor, x_i: Tensor, e: Tensor, e0: Tensor) -> Tensor:
        return self.edge_mlp(torch.cat([x_j, x_i, e, e0], dim=1))

    def message(self, e: Tensor) -> Tensor:
        return e


class PygBOTAN(AuthorsBOTAN):
    """The same function and the same weights as `AuthorsBOTAN`."""

    def __init__(self, hidden_size: int = 64, num_steps: int = 7, decoders: str = "shared"):
        super().__init__(hidden_size, num_steps, decoders)
        self.processor = Processor(hidden_size)

    def process(self, x0: Tensor, e0: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        x, e = x0, e0
        for _ in range(self.num_steps):
            x, e = self.processor(x, e, x0, e0, edge_index)
        return x, e

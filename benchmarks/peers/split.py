"""The split-weight model in torch: the algebra of botan_fast without its kernels, eager or under `torch.compile`.

The first layer of MLP_e acts on a concatenation, so its product is a sum of four: those of e0 are the same in every
step, those of the two ends are needed for N nodes instead of E edges. Exact in real arithmetic.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.peers.authors import AuthorsBOTAN


class SplitBOTAN(AuthorsBOTAN):
    """The same function and the same weights as `AuthorsBOTAN`."""

    def process(self, x0: Tensor, e0: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        senders, receivers = edge_index
        edge, node = self.processor.edge_mlp, self.processor.node_mlp
        from_sender, from_receiver, from_edge, from_edge0 = edge.fc1.weight.chunk(4, dim=1)
        from_node, from_node0, from_sum = node.fc1.weight.chunk(3, dim=1)
        edge_constant = linear(e0, from_edge0, edge.fc1.bias)  # (E, H)
        node_constant = linear(x0, from_node0, node.fc1.bias)  # (N, H)
        x, e = x0, e0
        for _ in range(self.num_steps):
            sent = linear(x, from_sender).index_select(0, senders)
            received = linear(x, from_receiver).index_select(0, receivers)
            e = torch.relu(edge.fc2(torch.relu(linear(e, from_edge) + edge_constant + sent + received)))
            incoming = torch.zeros_like(x).index_add(0, receivers, e)
            x = torch.relu(node.fc2(torch.relu(linear(x, from_node) + node_constant + linear(incoming, from_sum))))
        return x, e

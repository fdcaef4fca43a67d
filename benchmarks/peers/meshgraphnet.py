"""MeshGraphNet of NVIDIA PhysicsNeMo, of BOTAN's depth and width, with its `do_concat_trick` (split weights).

Written from its documentation (physicsnemo.models.meshgraphnet.MeshGraphNet): encoders of types and vectors,
`processor_size` blocks that each have weights of their own, LayerNorm after each perceptron, residual connections, sum
as aggregation, a decoder of the nodes. It takes a graph of PyTorch Geometric. Not run here: no machine had the package.
"""

from collections.abc import Callable

import torch
from torch import Tensor

import botan_fast as bf


def build(graph: bf.Graph, hidden_size: int = 64, num_steps: int = 7) -> tuple[torch.nn.Module, Callable[[], Tensor]]:
    """The module on the graph's device, and a function that gives its predictions (N,). Needs PhysicsNeMo and PyG."""
    from physicsnemo.models.meshgraphnet import MeshGraphNet
    from torch_geometric.data import Data

    module = MeshGraphNet(
        input_dim_nodes=1,
        input_dim_edges=3,
        output_dim=1,
        processor_size=num_steps,
        mlp_activation_fn="relu",
        hidden_dim_processor=hidden_size,
        hidden_dim_node_encoder=hidden_size,
        hidden_dim_edge_encoder=hidden_size,
        hidden_dim_node_decoder=hidden_size,
        # hidden layers; a perceptron has one linear map more
        num_layers_node_processor=1,
        num_layers_edge_processor=1,
        num_layers_node_encoder=1,
        num_layers_edge_encoder=1,
        num_layers_node_decoder=2,
        aggregation="sum",
        do_concat_trick=True,
    ).to(graph.vectors.device)
    data = Data(edge_index=graph.edge_index, num_nodes=graph.num_nodes).to(graph.vectors.device)
    types = graph.types.float()[:, None]
    return module, lambda: module(types, graph.vectors, data).squeeze(-1)

"""Predictions and targets of the loss, its formula in float64, and what the operator gives."""

import torch

from botan_fast import ops


def numbers(nodes, edges, seed=0, dtype=torch.float32):
    """Predictions and targets: node, edge, node_target, edge_target."""
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(n, generator=g).to(dtype) for n in (nodes, edges, nodes, edges)]


def by_hand(node, edge, node_target, edge_target, p):
    """Total, the two means, and the gradients of the total by their formula, in float64."""
    node, edge = node.double() - node_target.double(), edge.double() - edge_target.double()
    node_loss, edge_loss = node.square().sum() / len(node), edge.square().sum() / len(edge)
    gradients = 2 * p * node / len(node), 2 * (1 - p) * edge / len(edge)
    return p * node_loss + (1 - p) * edge_loss, node_loss, edge_loss, *gradients


def evaluated(tensors, p, row_ptr=None, scale=1.0):
    """The same five from the operator; the gradients of `scale` times the total, None where there is none."""
    node, edge = (t.clone().requires_grad_() for t in tensors[:2])
    loss = ops.loss(node, edge, *tensors[2:], p, row_ptr)
    (scale * loss.total).backward()
    return [*(t.detach() for t in loss), node.grad, edge.grad]

"""Small random graphs and weights for the tests of the operations."""

import torch


def pointers(index, num_nodes):
    return torch.cat([torch.zeros(1, dtype=torch.int64), torch.bincount(index, minlength=num_nodes).cumsum(0)])


def random_topology(num_nodes, num_edges, generator, symmetric=False):
    """[senders, receivers, row_ptr, sender_order, sender_ptr] of a random directed graph, edges sorted by receiver."""
    if num_nodes == 0:
        num_edges = 0
    senders = torch.randint(max(num_nodes, 1), (num_edges,), generator=generator)
    receivers = torch.randint(max(num_nodes, 1), (num_edges,), generator=generator)
    if symmetric:
        senders, receivers = torch.cat([senders, receivers]), torch.cat([receivers, senders])
    order = torch.argsort(receivers * max(num_nodes, 1) + senders, stable=True)
    senders, receivers = senders[order], receivers[order]
    arrays = [
        senders,
        receivers,
        pointers(receivers, num_nodes),
        torch.argsort(senders, stable=True),
        pointers(senders, num_nodes),
    ]
    return [a.to(torch.int32) for a in arrays]


def random_mlp(num_inputs, hidden_size, generator, decode=False):
    """Weights of an MLP whose outputs keep the size of its inputs."""

    def layer(inputs, outputs):
        weight = torch.randn(outputs, inputs, generator=generator) * (1.6 / inputs) ** 0.5
        return [weight, 0.3 * torch.randn(outputs, generator=generator)]

    weights = layer(num_inputs, hidden_size) + layer(hidden_size, hidden_size)
    return weights + layer(hidden_size, 1) if decode else weights


def relative_l2(a, b):
    return float((a.detach().double() - b.detach()).norm() / b.detach().norm().clamp_min(1e-300))


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a.detach().double().flatten(), b.detach().flatten(), dim=0))

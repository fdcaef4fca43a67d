"""The operation sequence of the authors' code in plain torch and NumPy: what botan_fast is measured against.

Written from the paper (Shiba, Hanai, Suzumura, Shimokawabe, J. Chem. Phys. 158, 084503 (2023)) without anything of
botan_fast, so that it is also an independent check: every message-passing step gathers both ends of each edge,
concatenates them with the edge features, runs the perceptron on E rows of 4 H numbers and adds up with `index_add`.
Graphs come from the N x N matrix of distances.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

LARGEST_MATRIX = 8192  # particles; above it the N x N arrays of a float64 vector do not fit a workstation


class Inputs(NamedTuple):
    """One configuration as the authors' code holds it; edge_index row 0 is senders, row 1 receivers."""

    types: Tensor  # (N, 1) floating
    vectors: Tensor  # (E, 3)
    edge_index: Tensor  # (2, E) int64
    propensity: Tensor  # (N,)
    pair_change: Tensor  # (E,)

    def to(self, dtype: torch.dtype) -> "Inputs":
        return Inputs(*(t.to(dtype) if t.is_floating_point() else t for t in self))


class MLP(nn.Module):
    """Two layers with ReLU, and a third, linear one in a decoder."""

    def __init__(self, num_inputs: int, hidden_size: int, num_outputs: int | None = None):
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, hidden_size)
        self.fc2 = nn.Linear(hidden_size, hidden_size)
        self.fc3 = None if num_outputs is None else nn.Linear(hidden_size, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return x if self.fc3 is None else self.fc3(x)


class Processor(nn.Module):
    def __init__(self, hidden_size: int):
        super().__init__()
        self.edge_mlp = MLP(4 * hidden_size, hidden_size)
        self.node_mlp = MLP(3 * hidden_size, hidden_size)


class AuthorsBOTAN(nn.Module):
    """BOTAN, step by step. Weights have the names of `botan_fast.BOTAN`, so that either loads the other's."""

    def __init__(self, hidden_size: int = 64, num_steps: int = 7, decoders: str = "shared"):
        super().__init__()
        self.num_steps = num_steps
        self.node_encoder = MLP(1, hidden_size)
        self.edge_encoder = MLP(3, hidden_size)
        self.processor = Processor(hidden_size)
        if decoders == "shared":
            self.decoder = MLP(hidden_size, hidden_size, 1)
        else:
            self.node_decoder = MLP(hidden_size, hidden_size, 1)
            self.edge_decoder = MLP(hidden_size, hidden_size, 1)
        self.decoders = decoders

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Propensity (N,) and pair change (E,)."""
        x, e = self.process(self.node_encoder(inputs.types), self.edge_encoder(inputs.vectors), inputs.edge_index)
        shared = self.decoders == "shared"
        node, edge = (self.decoder, self.decoder) if shared else (self.node_decoder, self.edge_decoder)
        return node(x).squeeze(-1), edge(e).squeeze(-1)

    def process(self, x0: Tensor, e0: Tensor, edge_index: Tensor) -> tuple[Tensor, Tensor]:
        """All message-passing steps, from the encoded features (N, H) and (E, H)."""
        senders, receivers = edge_index
        x, e = x0, e0
        for _ in range(self.num_steps):
            e = self.processor.edge_mlp(torch.cat([x[senders], x[receivers], e, e0], dim=1))
            incoming = torch.zeros_like(x).index_add(0, receivers, e)
            x = self.processor.node_mlp(torch.cat([x, x0, incoming], dim=1))
        return x, e


def loss_of(node: Tensor, edge: Tensor, propensity: Tensor, pair_change: Tensor, p: float = 0.4) -> Tensor:
    """p * mean squared error of the nodes + (1 - p) * that of the directed edges."""
    return p * nn.functional.mse_loss(node, propensity) + (1 - p) * nn.functional.mse_loss(edge, pair_change)


def training_step(predict, optimizer: torch.optim.Optimizer, propensity: Tensor, pair_change: Tensor) -> float:
    """The recipe of one step, the same for every model: loss, backward, gradient norm clipped to 1, Adam.

    `predict()` gives node and edge predictions. Returns the loss before the step.
    """
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(*predict(), propensity, pair_change)
    loss.backward()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    return loss.item()


def distance_matrix_edges(positions: np.ndarray, length: float, cutoff: float = 2.0):
    """Edges from all N x N minimum-image distances, in float64: edge_index (2, E), vectors (E, 3), distances (E,).

    Sorted by (sender, receiver), the order of the authors' code.
    """
    difference = positions[None, :, :] - positions[:, None, :]
    difference -= length * np.round(difference / length)
    distance = np.sqrt((difference**2).sum(axis=2))
    senders, receivers = np.nonzero((distance < cutoff) & (distance > 0))
    return np.stack([senders, receivers]), difference[senders, receivers], distance[senders, receivers]


def average_targets(initial: np.ndarray, final: np.ndarray, edge_index: np.ndarray, distance: np.ndarray, length):
    """Propensity (N,) and pair change (E,), averaged over the runs final (R, N, 3)."""
    propensity = np.linalg.norm(final - initial, axis=2).mean(axis=0)
    senders, receivers = edge_index
    pair_change = np.zeros(len(distance))
    for run in final:
        difference = run[receivers] - run[senders]
        difference -= length * np.round(difference / length)
        pair_change += np.sqrt((difference**2).sum(axis=1)) - distance
    return propensity, pair_change / len(final)


def load(path, density: float = 1.2, cutoff: float = 2.0) -> Inputs:
    """A file of the authors' format as graph and targets, float32."""
    with np.load(path) as file:
        types, initial, final = file["types"], file["initial_positions"], file["positions"]
    length = (len(types) / density) ** (1 / 3)
    edge_index, vectors, distance = distance_matrix_edges(initial, length, cutoff)
    propensity, pair_change = average_targets(initial, final, edge_index, distance, length)
    return Inputs(
        types=torch.tensor(types, dtype=torch.float32)[:, None],
        vectors=torch.tensor(vectors, dtype=torch.float32),
        edge_index=torch.tensor(edge_index),
        propensity=torch.tensor(propensity, dtype=torch.float32),
        pair_change=torch.tensor(pair_change, dtype=torch.float32),
    )

"""The loss of a batch that several processes have among them: each its share, in the weights of the whole.

Every part of the loss is linear in the squares of the errors. What multiplies a square depends on how many targets the
whole batch has; those numbers are counted for each sample once, before the first step, and each process knows all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.sample import Sample
from ..model.botan import BOTAN
from .objective import Batch, make_batch
from .settings import TrainingSettings

__all__ = ["Counts", "Weights", "count_targets", "share_loss", "weights_of"]


@dataclass(frozen=True)
class Counts:
    """How many targets a sample has: of each species and output (S, K), S = 1 without species weights, and of edges.

    edges   (K,); None where the sample has no E_ij
    """

    nodes: np.ndarray
    edges: np.ndarray | None


@dataclass(frozen=True)
class Weights:
    """What multiplies the square of an error in the two parts of the loss: (S, K), and (K,) or None without edges."""

    nodes: np.ndarray
    edges: np.ndarray | None


def count_targets(model: BOTAN, samples: Sequence[Sample], settings: TrainingSettings) -> list[Counts]:
    """The counts of each sample, as `objective.batch_loss` counts: NaN is a target that is not there."""
    found = []
    plain, weights = _kind(model, settings)
    for sample in samples:
        graph, *targets = make_batch([sample], model, settings, None)
        node, edge = model.scale_targets(graph, *targets)
        assert node is not None  # it was given
        known = _known(node, plain)
        rows = [known] if weights is None else [known[graph.types == s] for s in range(len(weights))]
        nodes = torch.stack([part.sum(0) for part in rows]).cpu().numpy()
        edges = None if edge is None else _known(edge, plain).sum(0).cpu().numpy()
        found.append(Counts(nodes, edges))
    return found


def weights_of(counts: Sequence[Counts], model: BOTAN, settings: TrainingSettings) -> Weights:
    """Those of a batch of samples with these counts.

    A part of the loss is the mean over outputs that have targets; of an output the mean over its targets, or with
    species weights w the mean, by w, of the means over species that have targets.

    >>> import numpy as np, botan_fast as bf
    >>> from botan_fast.training.recipes import RECIPES
    >>> from botan_fast.training.settings import TrainingSettings
    >>> from botan_fast.training.shares import Counts, weights_of
    >>> settings = TrainingSettings(0.4, 1, 0, "none", 1e-3, "constant", 1.0, 2, 1, 1)
    >>> counts = [Counts(np.array([[3]]), np.array([8])), Counts(np.array([[5]]), np.array([2]))]
    >>> weights_of(counts, bf.BOTAN(hidden_size=8), settings)
    Weights(nodes=array([[0.125]]), edges=array([0.1]))
    """
    plain, of_species = _kind(model, settings)
    nodes = np.sum([one.nodes for one in counts], axis=0).astype(np.float64)
    held = [one.edges for one in counts if one.edges is not None]
    edges = np.sum(held, axis=0).astype(np.float64) if len(held) == len(counts) else None
    if plain:  # the mean over nothing is nan, as that of the operator
        return Weights(_inverse(nodes, math.nan), None if edges is None else _inverse(edges, math.nan))
    shares = np.asarray(of_species or (1.0,))[:, None] * (nodes > 0)
    total = shares.sum(0)
    outputs = max(1, int((total > 0).sum()))
    per_node = shares * _inverse(total, 0.0) * _inverse(nodes, 0.0) / outputs
    per_edge = None if edges is None else _inverse(edges, 0.0) / max(1, int((edges > 0).sum()))
    return Weights(per_node, per_edge)


def share_loss(
    model: BOTAN, batch: Batch, weights: Weights, settings: TrainingSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """Of a part of a batch with the weights of the whole: `objective.batch_loss`, summed over the parts.

    A decoder whose loss has no weight gets no gradient, rather than one of zeros.
    """
    graph, *targets = batch
    plain, of_species = _kind(model, settings)
    prediction = model(graph, settings.precision, settings.save_memory, raw=model.config["scaled"])
    node_target, edge_target = model.scale_targets(graph, *targets)
    assert node_target is not None  # it was given
    of_nodes, of_edges, p = prediction.node, prediction.edge, settings.p
    types = None if of_species is None else graph.types
    node = _sum(of_nodes if p > 0 else of_nodes.detach(), node_target, weights.nodes, types, plain)
    edge = torch.zeros_like(node)
    if of_edges is not None and edge_target is not None and weights.edges is not None:
        edge = _sum(of_edges if p < 1 else of_edges.detach(), edge_target, weights.edges[None], None, plain)
    total = p * node + (1 - p) * edge if 0 < p < 1 else node if p else edge
    return total, node.detach(), edge.detach()


def _kind(model: BOTAN, settings: TrainingSettings) -> tuple[bool, tuple[float, ...] | None]:
    """Is it the plain loss, in which every target counts, and the weights of the species, if any."""
    weights = None if isinstance(settings.species_weights, str) else settings.species_weights
    return model.config["num_outputs"] == 1 and weights is None, weights


def _known(target: Tensor, plain: bool) -> Tensor:
    """(M, K): which targets count."""
    columns = target[:, None] if target.ndim == 1 else target
    return torch.ones_like(columns, dtype=torch.bool) if plain else ~columns.isnan()


def _sum(prediction: Tensor, target: Tensor, weights: np.ndarray, types: Tensor | None, plain: bool) -> Tensor:
    """sum of weights (S, K) times squares of errors (M,) or (M, K); `types` (M,) choose the row, else the first."""
    columns = prediction[:, None] if prediction.ndim == 1 else prediction
    wanted = target.reshape(columns.shape).to(columns.dtype)
    # What is not known is its own target: its square and its gradient are 0.
    wanted = wanted if plain else torch.where(wanted.isnan(), columns.detach(), wanted)
    squares = (columns - wanted).square()
    factors = torch.as_tensor(weights, dtype=columns.dtype, device=columns.device)
    if types is None:
        return (squares.sum(0) * factors[0]).sum()
    return (squares * factors.index_select(0, types)).sum()


def _inverse(numbers: np.ndarray, of_zero: float) -> np.ndarray:
    return np.divide(1.0, numbers, out=np.full(numbers.shape, of_zero), where=numbers > 0)

"""What a step minimises: a batch of samples, as its turn has them, and the loss of a model on it."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from .. import ops
from ..data.sample import Sample
from ..graph.graph import Graph, batch_graphs
from ..model.botan import BOTAN
from ..model.config import input_widths
from .augmentation import random_rotation
from .settings import TrainingSettings

__all__ = [
    *("Batch", "batch_loss", "draw_noise", "make_batch", "noisy_columns", "sample_losses", "weighted_mean_square"),
]

Batch: TypeAlias = tuple[Graph, Tensor, Tensor | None]  # with the targets of its particles, and of its edges


def make_batch(
    samples: Sequence[Sample],
    model: BOTAN,
    settings: TrainingSettings,
    generator: torch.Generator | None,
    own: range | None = None,
) -> Batch:
    """The disjoint union of the samples' graphs, and their targets (N,) or (N, K), and (E,) or (E, K).

    Each graph is turned by its own rotation, then its node inputs get their noise; without a generator neither. With
    `own` only the samples at these places are in the batch (one at least), and the others' random numbers are drawn all
    the same.
    """
    graphs, chosen = [], []
    for place, sample in enumerate(samples):
        rotation, noise = None, None
        if generator is not None:
            rotation = random_rotation(settings.augmentation, sample.positions.shape[1], generator)
            if settings.input_noise:
                noise = draw_noise(model.config, len(sample.positions), generator)
        if own is not None and place not in own:
            continue
        graph = sample.graph if rotation is None else sample.graph.rotate(rotation)
        graphs.append(graph if noise is None else _with_noise(graph, model, settings.input_noise, noise))
        chosen.append(sample)
    samples = chosen
    node_targets, edge_targets = [], []
    for sample in samples:
        targets = sample.targets
        assert targets is not None  # training reads no samples without
        node_targets.append(targets.node(model.config["node_target"]))
        if targets.pair_change is not None:
            edge_targets.append(targets.pair_change)
    edge_target = torch.cat(edge_targets) if len(edge_targets) == len(samples) else None
    graph = graphs[0] if len(graphs) == 1 else batch_graphs(graphs)
    return graph, torch.cat(node_targets), edge_target


def batch_loss(
    model: BOTAN, graph: Graph, node_target: Tensor, edge_target: Tensor | None, settings: TrainingSettings
) -> tuple[Tensor, Tensor, Tensor]:
    """p node + (1 - p) edge, and the two parts, each of shape ().

    With target scaling both parts are in units of the widths of the outputs. With K outputs each part is the mean over
    those that have targets. With species weights w the node part is sum_s w_s m_s / sum_s w_s, where m_s is the mean
    over the particles of species s, and the sums go over the species that there are. Of a graph with room for more
    edges, those that are there count; with K outputs the targets beyond them must be NaN.
    """
    prediction = model(graph, settings.precision, settings.save_memory, raw=model.config["scaled"])
    scaled_node, edge_target = model.scale_targets(graph, node_target, edge_target)
    if model.config["num_outputs"] == 1 and settings.species_weights == "particles":
        # A decoder whose loss has no weight gets no gradient, rather than one of zeros.
        row_ptr = None if graph.status is None else graph.row_ptr
        return ops.loss(prediction.node, prediction.edge, scaled_node, edge_target, settings.p, row_ptr)
    weights = None if isinstance(settings.species_weights, str) else settings.species_weights
    of_nodes, of_edges = prediction.node, prediction.edge
    assert scaled_node is not None  # it was given
    of_nodes = of_nodes if settings.p > 0 else of_nodes.detach()
    node = weighted_mean_square(of_nodes, scaled_node, graph.types, weights)
    edge = torch.zeros_like(node)
    if of_edges is not None and edge_target is not None:
        edge = weighted_mean_square(of_edges if settings.p < 1 else of_edges.detach(), edge_target)
    total = settings.p * node + (1 - settings.p) * edge if 0 < settings.p < 1 else node if settings.p else edge
    return total, node.detach(), edge.detach()


def weighted_mean_square(
    prediction: Tensor, target: Tensor, types: Tensor | None = None, weights: Sequence[float] | None = None
) -> Tensor:
    """The mean of (prediction - target)^2 of each output, then over outputs; NaN is a target that is not there.

    Shapes (M,) or (M, K). With weights of the species, the mean of an output is that of the means of the species, by
    their weights. An output, or a species, without targets is left out; without any the result is 0.

    >>> import torch
    >>> from botan_fast.training.objective import weighted_mean_square
    >>> target, types = torch.tensor([1.0, 1.0, 1.0, 3.0, torch.nan]), torch.tensor([0, 0, 0, 1, 1])
    >>> weighted_mean_square(torch.zeros(5), target), weighted_mean_square(torch.zeros(5), target, types, (1.0, 1.0))
    (tensor(3.), tensor(5.))
    """
    columns = prediction[:, None] if prediction.ndim == 1 else prediction
    target = target.reshape(columns.shape).to(columns.dtype)
    known = ~target.isnan()
    # What is not known is its own target: its square and its gradient are 0, and no NaN comes near either.
    squares = (columns - torch.where(known, target, columns.detach())).square()
    if weights is None:
        counts = known.sum(0).to(squares.dtype)
        means, there = squares.sum(0) / counts.clamp(min=1), (counts > 0).to(squares.dtype)
    else:
        assert types is not None  # weights are of species
        means = there = columns.new_zeros(columns.shape[1])
        for species, weight in enumerate(weights):
            chosen = (types == species)[:, None]
            counts = (known & chosen).sum(0).to(squares.dtype)
            part = weight * (counts > 0).to(squares.dtype)
            means = means + part * torch.where(chosen, squares, 0).sum(0) / counts.clamp(min=1)
            there = there + part
        means = means / torch.where(there > 0, there, 1)
        there = (there > 0).to(squares.dtype)
    return (means * there).sum() / there.sum().clamp(min=1)


def sample_losses(model: BOTAN, samples: Sequence[Sample], settings: TrainingSettings) -> list[float]:
    """The loss of a model on each sample as training has it, without rotations and noise."""
    model.eval()
    with torch.no_grad():
        return [
            float(batch_loss(model, *make_batch([sample], model, settings, None), settings)[0]) for sample in samples
        ]


def noisy_columns(config: dict[str, Any]) -> dict[str, slice]:
    """The node inputs that get noise, with their columns: those that are scaled, not numbers of types or one-hot."""
    places, start = {}, 0
    for name, columns in input_widths(config)[0].items():
        if name not in ("type", "species"):
            places[name] = slice(start, start + columns)
        start += columns
    return places


def draw_noise(config: dict[str, Any], num_nodes: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Gaussian numbers of width 1 for each node input that gets noise, (N, columns), on the CPU."""
    return {
        name: torch.randn(num_nodes, place.stop - place.start, generator=generator, device="cpu")
        for name, place in noisy_columns(config).items()
    }


def _with_noise(graph: Graph, model: BOTAN, noise: float, drawn: dict[str, Tensor]) -> Graph:
    """The graph with the drawn numbers on its node inputs, `noise` times the width of each column."""
    arrays, places = dict(graph.arrays or {}), noisy_columns(model.config)
    for name, numbers in drawn.items():
        array, width = arrays[name], noise * model.get_buffer("node_input_width")[places[name]]
        arrays[name] = array + (numbers.to(width.device) * width).reshape(array.shape).to(array.dtype)
    return graph.replace(arrays=arrays)

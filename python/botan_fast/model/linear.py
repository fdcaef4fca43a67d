"""The linear baseline: what a network must beat before it has learned anything.

Names in the `state_dict`, with K outputs, S species, Kn node columns, Ke edge columns, 2 distance windows:

| name | shape | |
|---|---|---|
| `node_input_mean`, `node_input_width` | (Kn,) | of the node columns over the training data |
| `node_weight`, `node_bias` | (K, S, Kn), (K, S) | a, b |
| `edge_node_weight` | (K, 2, S, S, Kn) | c, symmetric in the species |
| `edge_weight`, `edge_bias` | (K, 2, S, S, Ke), (K, 2, S, S) | d, f; Ke = 0 without edge inputs |
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.graph import Graph
from ..quantities import FIRST_SHELL
from .card import ModelCard
from .config import DEFAULTS, check_arguments, check_config, input_widths, plain
from .inputs import check_species, gaussians, node_columns
from .prediction import Prediction

__all__ = ["LinearBaseline", "check_linear_config", "edge_terms", "is_linear", "linear_shapes", "windows"]

KIND = "linear"
# What the configuration of a BOTAN has besides.
_FILLING: dict[str, Any] = {"hidden_size": 1, "num_steps": 0, "edge_node_skip": False, "scaled": False}


class LinearBaseline(nn.Module):
    """Ridge regression on what a network would read: for particle i of species s, and a pair of species s and t::

        S_i  = a_s . x_i + b_s
        E_ij = c_st . (x_i + x_j) + d_st . g_ij + f_st

    x_i are the node columns (`node_inputs`, such as descriptors) in units of their widths, and g_ij the Gaussians
    (`radial`) of r_ij ("radial" in `edge_inputs`), of the distance at the inherent structure, and its difference from
    r_ij ("inherent"); c, d and f differ for pairs closer than 1.35 and others. `botan_fast.train_baseline` fits it; it
    is called, saved, loaded, evaluated and predicts like a `BOTAN`.

    Args:
        node_inputs, edge_inputs, input_columns, num_species, radial, num_outputs, structure, dimensions, self_edges,
            cutoff, node_target: as those of `BOTAN`. Vectors are no input: nothing linear in them is a scalar.
        decoders: "separate" for nodes and edges, "node" for nodes alone.

    `config` holds them, with "kind": "linear"; `card` says what it was fitted to. Raises InputError for an argument
    outside these, and when a graph does not fit.

    >>> import botan_fast as bf, torch
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> graph = graph.replace(arrays={"energy": torch.tensor([-7.0, -5.0])})
    >>> model = bf.LinearBaseline(node_inputs=["energy"], num_species=2, dimensions=2)
    >>> model.node_weight[0, :, 0] = torch.tensor([1.0, 2.0])
    >>> model(graph).node.tolist()
    [-7.0, -10.0]
    """

    def __init__(
        self,
        node_inputs: Sequence[str] = ("descriptors",),
        edge_inputs: Sequence[str] = ("radial",),
        input_columns: Mapping[str, int] | None = None,
        num_species: int = 1,
        radial: Sequence[float] = (0.75, 2.0, 18, 0.08),
        num_outputs: int = 1,
        structure: Mapping[str, Any] | None = None,
        decoders: str = "separate",
        dimensions: int = 3,
        self_edges: bool = False,
        cutoff: float = 2.0,
        node_target: str = "S",
    ) -> None:
        super().__init__()
        self.card: ModelCard | None = None
        config = {
            "node_inputs": plain(node_inputs),
            "edge_inputs": plain(edge_inputs),
            "input_columns": plain(input_columns or {}),
            "num_species": num_species,
            "radial": plain(radial),
            "num_outputs": num_outputs,
            "structure": plain(structure or {}),
            "decoders": decoders,
            "dimensions": dimensions,
            "self_edges": bool(self_edges),
            "cutoff": cutoff,
            "node_target": node_target,
        }
        check_arguments({**DEFAULTS, **config, **_FILLING})
        self.config = _checked(config)
        for name, shape in linear_shapes(self.config).items():
            if name.startswith("node_input"):
                self.register_buffer(name, torch.ones(shape) if name.endswith("width") else torch.zeros(shape))
            else:
                setattr(self, name, nn.Parameter(torch.zeros(shape), requires_grad=False))

    def forward(self, graph: Graph, precision: str = "fp32", save_memory: bool = False) -> Prediction:
        """`precision` and `save_memory` are those of `BOTAN` and change nothing."""
        if graph.vectors.shape[1] != self.config["dimensions"] or graph.self_edges != self.config["self_edges"]:
            raise InputError(
                f"graph has {graph.vectors.shape[1]} dimensions and self_edges = {graph.self_edges}; the model has "
                f"dimensions = {self.config['dimensions']} and self_edges = {self.config['self_edges']}"
            )
        check_species(graph, self.config["num_species"])
        x = node_columns(self.config, graph, self.node_weight.dtype)
        x = (x - self.node_input_mean) / self.node_input_width
        node = _chosen(x @ self.node_weight.flatten(0, 1).T + self.node_bias.flatten(), graph.types, self.node_bias)
        if self.config["decoders"] == "node":
            return Prediction(node, None)
        place = windows(graph, self.config["num_species"])
        each = x @ self.edge_node_weight.flatten(0, -2).T
        # What a pair reads of its two ends is a sum of what each end gives alone: (N, ...) numbers, not (E, ...).
        terms = each[graph.senders] + each[graph.receivers]
        terms += edge_terms(self.config, graph, x.dtype) @ self.edge_weight.flatten(0, -2).T
        return Prediction(node, _chosen(terms + self.edge_bias.flatten(), place, self.edge_bias))

    node_input_mean: Tensor
    node_input_width: Tensor
    node_weight: Tensor
    node_bias: Tensor
    edge_node_weight: Tensor
    edge_weight: Tensor
    edge_bias: Tensor


def edge_terms(config: Mapping[str, Any], graph: Graph, dtype: torch.dtype = torch.float32) -> Tensor:
    """g_ij, (E, Ke): Gaussians of r_ij, Gaussians of the distance at the inherent structure, and the difference."""
    parts = [graph.vectors.new_empty((graph.num_edges, 0), dtype=dtype)]
    distance = torch.linalg.vector_norm(graph.vectors.to(dtype), dim=1)
    if "radial" in config["edge_inputs"]:
        parts.append(gaussians(distance, config["radial"]))
    if "inherent" in config["edge_inputs"]:
        if graph.inherent_vectors is None:
            raise InputError(
                "graph.inherent_vectors is None; this model reads 'inherent': make its graph by with_structure"
            )
        quenched = torch.linalg.vector_norm(graph.inherent_vectors.to(dtype), dim=1)
        parts += [gaussians(quenched, config["radial"]), (quenched - distance)[:, None]]
    return torch.cat(parts, dim=1)


def windows(graph: Graph, num_species: int) -> Tensor:
    """(E,) places in (2, S, S): the window of the distance, 0 within `FIRST_SHELL`, and the species of the two ends."""
    senders, receivers = graph.types[graph.senders], graph.types[graph.receivers]
    far = (torch.linalg.vector_norm(graph.vectors, dim=1) >= FIRST_SHELL).long()
    return (far * num_species + senders) * num_species + receivers


def is_linear(config: Any) -> bool:
    """Is it the configuration of a `LinearBaseline`?"""
    return isinstance(config, Mapping) and config.get("kind") == KIND


def check_linear_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as keyword arguments of `LinearBaseline`, or InputError that names the first wrong entry."""
    names = {name: value for name, value in config.items() if name != "kind"}
    for name in names:
        if name in _FILLING:
            raise InputError(f"entry {name!r} is none of a LinearBaseline")
    return {name: value for name, value in _checked(names).items() if name != "kind"}


def linear_shapes(config: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors in the ``state_dict`` of the `LinearBaseline` of this configuration."""
    columns = sum(input_widths({**DEFAULTS, **config})[0].values())
    outputs, species = config["num_outputs"], config["num_species"]
    shapes: dict[str, tuple[int, ...]] = {
        "node_input_mean": (columns,),
        "node_input_width": (columns,),
        "node_weight": (outputs, species, columns),
        "node_bias": (outputs, species),
    }
    if config["decoders"] != "node":
        number = config["radial"][2]
        terms = number * ("radial" in config["edge_inputs"]) + (number + 1) * ("inherent" in config["edge_inputs"])
        place = (outputs, 2, species, species)
        shapes |= {"edge_node_weight": (*place, columns), "edge_weight": (*place, terms), "edge_bias": place}
    return shapes


def _checked(config: Mapping[str, Any]) -> dict[str, Any]:
    if config.get("decoders") not in ("separate", "node"):
        raise InputError(f"decoders = {config.get('decoders')!r}; a LinearBaseline has 'separate' or 'node'")
    full = check_config({**config, **_FILLING})
    if full["num_species"] < 1:
        raise InputError("num_species = 0; a LinearBaseline has weights for each species: give at least 1")
    return {"kind": KIND, **{name: value for name, value in full.items() if name not in _FILLING}}


def _chosen(values: Tensor, places: Tensor, like: Tensor) -> Tensor:
    """Of values (M, K times places), those at places (M,): (M,) for K = 1, else (M, K); `like` is (K, ...)."""
    outputs = like.shape[0]
    values = values.view(len(values), outputs, like[0].numel())
    chosen = values.gather(2, places[:, None, None].expand(-1, outputs, 1))[..., 0]
    return chosen[:, 0] if outputs == 1 else chosen

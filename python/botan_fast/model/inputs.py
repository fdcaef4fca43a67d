"""What the encoders of a model read: columns for each particle and for each edge, from a graph.

`config` is `BOTAN.config`: node_inputs and edge_inputs name the columns. Here they are as the graph has them; a model
scales them by its means and widths (`botan_fast.model.scales`).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import InputError
from ..files import printable
from .config import DEFAULTS, input_widths

__all__ = ["Rows", "check_species", "edge_columns", "gaussians", "node_columns", "scaled_columns"]

Scales = tuple[Tensor, Tensor] | None  # mean and width of each column
_ROWS = 4096  # of a part
_REMEDY = "load the samples for this model, or make its graph by with_structure"


class Rows(Protocol):
    """What is read of a graph: of all its particles and edges, or of some."""

    @property
    def types(self) -> Tensor: ...
    @property
    def arrays(self) -> dict[str, Tensor] | None: ...
    @property
    def vectors(self) -> Tensor: ...
    @property
    def inherent_vectors(self) -> Tensor | None: ...
    @property
    def num_edges(self) -> int: ...
    @property
    def device(self) -> torch.device: ...


def node_columns(
    config: Mapping[str, Any], graph: Rows, dtype: torch.dtype = torch.float32, scales: Scales = None
) -> Tensor:
    """(N, Kn): the columns of config["node_inputs"], one after the other, scaled where there are `scales`.

    "type" is the number of the species, "species" one column for each of num_species, 1 where it is the particle's,
    and any other name an entry of ``graph.arrays``. Raises InputError that names what the graph lacks.

    >>> import botan_fast as bf
    >>> from botan_fast.model.inputs import node_columns
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> node_columns(bf.BOTAN(node_inputs=["type", "species"], num_species=2, dimensions=2).config, graph).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    config = {**DEFAULTS, **config}
    parts = []
    for name, columns in input_widths(config)[0].items():
        if name == "type":
            parts.append(graph.types.to(dtype)[:, None])
        elif name == "species":
            check_species(graph, columns)
            parts.append(torch.eye(columns, dtype=dtype, device=graph.device)[graph.types])
        else:
            parts.append(_array(graph, name, columns).to(dtype))
    return scaled_columns(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1), scales)


def edge_columns(
    config: Mapping[str, Any], graph: Rows, dtype: torch.dtype = torch.float32, scales: Scales = None
) -> Tensor:
    """(E, Ke): the columns of config["edge_inputs"], one after the other, scaled where there are `scales`.

    "vector" is r[receiver] - r[sender] (D columns), "radial" the `gaussians` of its length, and "inherent" both of
    ``graph.inherent_vectors``. Raises InputError where the graph has none of these.

    >>> import botan_fast as bf
    >>> from botan_fast.model.inputs import edge_columns
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> config = bf.BOTAN(edge_inputs=["vector", "radial"], radial=[0.75, 1.0, 2, 0.25], dimensions=2).config
    >>> edge_columns(config, graph)
    tensor([[-1.0000,  0.0000,  0.6065,  1.0000],
            [ 1.0000,  0.0000,  0.6065,  1.0000]])
    """
    config = {**DEFAULTS, **config}
    names, radial = config["edge_inputs"], config["radial"]
    if names == ["vector"]:
        return scaled_columns(graph.vectors.to(dtype), scales)
    if "inherent" in names and graph.inherent_vectors is None:
        raise InputError(f"graph.inherent_vectors is None; this model reads 'inherent': {_REMEDY}")
    sources = {name: graph.inherent_vectors if name == "inherent" else graph.vectors for name in names}

    def columns(rows: slice) -> Tensor:
        parts = []
        for name, source in sources.items():
            assert source is not None
            vectors = source[rows].to(dtype)
            if name != "radial":
                parts.append(vectors)
            if name != "vector":
                parts.append(gaussians(torch.linalg.vector_norm(vectors, dim=1), radial))
        return scaled_columns(torch.cat(parts, dim=1), scales)

    differentiated = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in sources.values())
    if graph.device.type != "cpu" or differentiated or torch.compiler.is_compiling():
        return columns(slice(None))
    # In parts that stay in the cache: these are the largest arrays outside of the kernels.
    out = torch.empty(graph.num_edges, sum(input_widths(config)[1].values()), dtype=dtype)
    for begin in range(0, graph.num_edges, _ROWS):
        rows = slice(begin, begin + _ROWS)
        out[rows] = columns(rows)
    return out


def gaussians(r: Tensor, radial: Sequence[float]) -> Tensor:
    """exp(-(r - c_k)^2 / (2 w^2)), (E,) to (E, number), for radial = (first centre, last centre, number, w).

    The centres c_k lie evenly between the first and the last one. Nothing is smaller than exp(-80).

    >>> import torch
    >>> from botan_fast.model.inputs import gaussians
    >>> gaussians(torch.tensor([1.0]), (1.0, 2.0, 3, 0.5))
    tensor([[1.0000, 0.6065, 0.1353]])
    """
    first, last, number, width = radial
    per_width = math.sqrt(0.5) / width
    centres = torch.linspace(first * per_width, last * per_width, int(number), dtype=torch.float64, device=r.device)
    t = (r * per_width)[:, None] - centres.to(r.dtype)
    # In place where nothing asks for the gradient of a position. Below exp(-80) numbers would have no normal exponent,
    # which costs forty times as much.
    exponent = t.square().neg() if t.requires_grad else t.square_().neg_()
    return torch.exp(exponent.clamp(min=-80)) if t.requires_grad else exponent.clamp_(min=-80).exp_()


def scaled_columns(columns: Tensor, scales: Scales) -> Tensor:
    """(columns - mean) / width, column by column, for scales = (mean, width); None leaves them as they are.

    >>> import torch
    >>> from botan_fast.model.inputs import scaled_columns
    >>> scaled_columns(torch.tensor([[1.0, 4.0]]), (torch.tensor([0.0, 2.0]), torch.tensor([1.0, 4.0])))
    tensor([[1.0000, 0.5000]])
    """
    return columns if scales is None else (columns - scales[0]).div_(scales[1])


def check_species(graph: Rows, num_species: int) -> None:
    """InputError for a type that is none of 0 ... num_species - 1; on CUDA, where that would wait, the kernels stop.

    >>> import botan_fast as bf
    >>> from botan_fast.model.inputs import check_species
    >>> check_species(bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0]), 2)
    """
    types = graph.types
    if types.device.type != "cpu" or not len(types) or torch.compiler.is_compiling():
        return
    least, most = torch.aminmax(types)
    if least < 0 or most >= num_species:
        bad = int(least if least < 0 else most)
        raise InputError(
            f"graph.types holds {bad}; the model has num_species = {num_species}: it knows the species 0 to "
            f"{num_species - 1} alone"
        )


def _array(graph: Rows, name: str, columns: int) -> Tensor:
    """The array of this name as (N, columns)."""
    array = (graph.arrays or {}).get(name)
    shown = printable(name, 60)
    if array is None:
        names = ", ".join(printable(key, 60) for key in sorted(graph.arrays or {}))
        has = f"has {names} alone" if names else "is None"
        raise InputError(f"graph.arrays {has}; this model reads {shown!r} (columns: {columns}): {_REMEDY}")
    array = array[:, None] if array.ndim == 1 else array
    if array.shape[1] != columns:
        raise InputError(f"graph.arrays[{shown!r}] has {array.shape[1]} columns; this model reads {columns}: {_REMEDY}")
    return array

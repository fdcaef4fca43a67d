"""Means and widths by which a model scales what it reads and what it predicts: their fit to data, and their use.

Inputs: (x - mean) / width for every column, where one-hot columns, the number of the type and vectors stay as they are.
Outputs, with scaled=True: mean + width * decoder, for each output k and species (nodes), or pair of species (edges), so
that the loss in units of the widths weighs every time and species alike.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..graph.graph import Graph
from .botan import BOTAN
from .config import DEFAULTS, input_widths
from .inputs import edge_columns, node_columns

__all__ = ["Moments", "fit_inputs", "fit_outputs"]

_SMALLEST = 1e-6  # of the mean: a column with a smaller width is constant to float32, and its width is 1
# Of the functions of the distance, which lie in (0, 1]: of one that no pair of the training data comes near, the width
# would be so small that a pair of other data, a little closer, would give numbers beyond all others.
_LEAST_OF_GAUSSIANS = 1e-3
Targets = tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]


class Moments:
    """Mean and width (root of the mean square deviation) of many numbers for each of `shape` places, in float64.

    Parts are added one after the other (Chan, Golub, LeVeque, COMPSTAT 1982, 30): the result depends on their order in
    the last bits alone, and is the same each time.

    >>> import torch
    >>> from botan_fast.model.scales import Moments
    >>> moments = Moments(1)
    >>> moments.add(torch.tensor([[1.0], [2.0]]))
    >>> moments.add(torch.tensor([[6.0]]))
    >>> [round(float(x), 4) for x in (*moments.mean, *moments.width)]
    [3.0, 2.1602]
    """

    def __init__(self, *shape: int) -> None:
        self.count, self.mean, self.squares = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))

    def add(self, rows: Tensor) -> None:
        """(M, *shape) numbers, one for each place."""
        if len(rows):
            rows = rows.detach().to("cpu", torch.float64)
            mean = rows.mean(0)
            self.merge(torch.full_like(self.count, len(rows)), mean, (rows - mean).square_().sum(0))

    def add_at(self, places: Tensor, values: Tensor) -> None:
        """(M,) numbers, each for the place that `places` counts from 0; those that are NaN are left out."""
        values = values.detach().to("cpu", torch.float64)
        known = ~values.isnan()
        places, values = places.cpu()[known], values[known]
        size = self.count.numel()
        count = torch.bincount(places, minlength=size).double()
        mean = torch.bincount(places, values, minlength=size) / count.clamp(min=1)
        squares = torch.bincount(places, (values - mean[places]).square(), minlength=size)
        self.merge(*(t.reshape(self.count.shape) for t in (count, mean, squares)))

    def merge(self, count: Tensor, mean: Tensor, squares: Tensor) -> None:
        total = self.count + count
        part = count / total.clamp(min=1)
        step = mean - self.mean
        self.squares += squares + step.square() * self.count * part
        self.mean += step * part
        self.count = total

    @property
    def width(self) -> Tensor:
        """1 where there were no numbers, or all were equal to float32."""
        width = (self.squares / self.count.clamp(min=1)).sqrt()
        return torch.where(width > _SMALLEST * self.mean.abs(), width, torch.ones_like(width))


def fit_inputs(model: BOTAN, graphs: Iterable[Graph]) -> None:
    """Set the means and widths of the input columns of `model` from training graphs: one pass, float64, repeatable.

    A column that is constant over all of them gets the width 1, no function of the distance one below 0.001. Nothing
    happens for a model of today's default inputs.

    Raises
    ------
    InputError
        A graph lacks an input of the model, or a column holds a number that is not finite; the message names it.

    Examples
    --------
    >>> import torch
    >>> import botan_fast as bf
    >>> from botan_fast.model.scales import fit_inputs
    >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
    >>> graph = graph.replace(arrays={"energy": torch.tensor([-7.0, -5.0])})
    >>> model = bf.BOTAN(dimensions=2, node_inputs=["type", "energy"])
    >>> fit_inputs(model, [graph])
    >>> model.node_input_mean.tolist(), model.node_input_width.tolist()
    ([0.0, -6.0], [1.0, 1.0])
    """
    config: Mapping[str, Any] = {**DEFAULTS, **model.config}
    ends = []
    for end, columns, widths in zip(("node", "edge"), (node_columns, edge_columns), input_widths(config), strict=True):
        if hasattr(model, f"{end}_input_mean"):
            ends.append((end, columns, widths, Moments(sum(widths.values()))))
    for number, graph in enumerate(graphs if ends else ()):
        for _, columns, widths, moments in ends:
            rows = columns(config, graph, torch.float64)
            if not bool(rows.isfinite().all()):
                names = [name for name, columns in widths.items() for _ in range(columns)]
                bad = names[int((~rows.isfinite()).any(0).nonzero()[0])]
                raise InputError(f"graphs[{number}]: input {bad!r} holds a number that is not finite; repair the data")
            moments.add(rows)
    for end, _, widths, moments in ends:
        plain = torch.tensor([unscaled for name, k in widths.items() for unscaled in _unscaled(name, k, config)])
        width = moments.width.clamp(min=_LEAST_OF_GAUSSIANS) if end == "edge" else moments.width
        _set(model, f"{end}_input_mean", torch.where(plain, 0.0, moments.mean))
        _set(model, f"{end}_input_width", torch.where(plain, 1.0, width))


def fit_outputs(model: BOTAN, targets: Iterable[Targets]) -> None:
    """Set the means and widths of the outputs of `model` by species from training targets; for scaled=True alone.

    Each item is (types (N,), senders (E,), receivers (E,), node targets (N,) or (N, K) or None, edge targets (E,) or
    (E, K) or None) of one configuration. NaN is a target that is not there. Both directions of a pair share one scale,
    and self edges (E_ii = 0) are not counted. A species or pair without targets keeps mean 0 and width 1. One pass,
    float64, repeatable.

    Raises
    ------
    InputError
        The model is not scaled, a type is none of its species, or targets have another number of columns.

    Examples
    --------
    >>> import torch
    >>> import botan_fast as bf
    >>> from botan_fast.model.scales import fit_outputs
    >>> model = bf.BOTAN(scaled=True, num_species=2, decoders="node")
    >>> types, edges = torch.tensor([0, 0, 1]), torch.empty(0, dtype=torch.int32)
    >>> fit_outputs(model, [(types, edges, edges, torch.tensor([1.0, 3.0, 5.0]), None)])
    >>> model.node_output_mean.tolist(), model.node_output_width.tolist()
    ([[2.0, 5.0]], [[1.0, 1.0]])
    """
    config: Mapping[str, Any] = {**DEFAULTS, **model.config}
    if not config["scaled"]:
        raise InputError("model has scaled = False and no scales of outputs; make it with scaled=True")
    outputs, species = config["num_outputs"], config["num_species"]
    nodes = [Moments(species) for _ in range(outputs)]
    edges = [Moments(species, species) for _ in range(outputs)]
    for number, (types, senders, receivers, node, edge) in enumerate(targets):
        types, senders, receivers = types.cpu(), senders.cpu().long(), receivers.cpu().long()
        if len(types) and not 0 <= int(types.min()) <= int(types.max()) < species:
            raise InputError(f"targets[{number}]: types holds more than the num_species = {species} of the model")
        for k, column in enumerate(_outputs_of("node", number, node, len(types), outputs)):
            nodes[k].add_at(types, column)
        pairs = senders != receivers
        ends = torch.stack((types[senders], types[receivers])).sort(dim=0)[0][:, pairs]
        for k, column in enumerate(_outputs_of("edge", number, edge, len(senders), outputs)):
            edges[k].add_at(ends[0] * species + ends[1], column[pairs.to(column.device)])
    for end, all_moments in (("node", nodes), ("edge", edges)):
        if hasattr(model, f"{end}_output_mean"):
            for name in ("mean", "width"):
                values = torch.stack([getattr(moments, name) for moments in all_moments])
                if end == "edge":  # counted above the diagonal; the same below
                    values = torch.where(torch.ones(species, species).triu().bool(), values, values.mT)
                _set(model, f"{end}_output_{name}", values)


def _unscaled(name: str, columns: int, config: Mapping[str, Any]) -> list[bool]:
    """Which columns of an input stay as they are."""
    if name == "inherent":
        return [True] * config["dimensions"] + [False] * (columns - config["dimensions"])
    return [name in ("type", "species", "vector")] * columns


def _outputs_of(end: str, number: int, values: Tensor | None, rows: int, outputs: int) -> tuple[Tensor, ...]:
    if values is None:
        return ()
    columns = values[:, None] if values.ndim == 1 else values
    if columns.shape != (rows, outputs):
        raise InputError(
            f"targets[{number}]: {end} targets have shape {tuple(values.shape)}; the model needs ({rows}, {outputs})"
        )
    return columns.unbind(1)


def _set(model: BOTAN, name: str, values: Tensor) -> None:
    getattr(model, name).copy_(values)

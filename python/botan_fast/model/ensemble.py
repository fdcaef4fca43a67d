"""Several models as one: the mean of what they say, and how far they are apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.graph import Graph
from .botan import BOTAN, Prediction
from .card import ModelCard
from .config import DEFAULTS
from .linear import LinearBaseline, is_linear

__all__ = ["Ensemble"]

Member = BOTAN | LinearBaseline
# What the members must agree in; `structure` where they read something made by it.
_SAME = ("node_target", "dimensions", "self_edges", "cutoff", "num_outputs")
MOST_ROTATIONS = 1000


class Ensemble(nn.Module):
    """The mean over members, and over rotations of the input, of what they predict::

        S_i = 1 / M sum_m 1 / R sum_r S_i^(m)(Q_r r),   Q_1 = 1 and the others random in O(3) (O(2) in 2D)

    The targets do not change when a configuration is turned or reflected; a network that reads vectors knows that only
    as far as it has learned it. Members that have no edge output are left out of its mean. It is called, evaluated and
    predicts like a `BOTAN`; `load_model([path, ...])` makes one of files.

    Args:
        members: at least one BOTAN or LinearBaseline, of the same node target, dimensions, self edges, cutoff and
            number of outputs; those that read what is made from positions must make it the same way (`structure`).
        rotations: R; 0 and 1 leave the input as it is.
        seed: of the rotations.

    `config` is what the members read together, `card` that of the first where all were trained for the same. Raises
    InputError for members that do not go together.

    >>> import botan_fast as bf, torch
    >>> graph = bf.build_graph(torch.rand(50, 3) * 4.2, torch.zeros(50, dtype=torch.int64), [4.2] * 3)
    >>> members = [bf.BOTAN(hidden_size=8, num_steps=1) for _ in range(2)]
    >>> mean = bf.Ensemble(members)(graph).node
    >>> torch.allclose(mean, (members[0](graph).node + members[1](graph).node) / 2)
    True
    """

    def __init__(self, members: Sequence[Member], rotations: int = 0, seed: int = 0) -> None:
        super().__init__()
        if isinstance(members, nn.Module) or not members:
            raise InputError("members is no list of models, or empty; give at least one")
        for member in members:
            if not isinstance(member, BOTAN | LinearBaseline):
                raise InputError(f"members holds a {type(member).__name__}; give BOTAN or LinearBaseline models")
        for name, value, most in (("rotations", rotations, MOST_ROTATIONS), ("seed", seed, 2**62)):
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
                raise InputError(f"{name} = {value!r}; give a whole number from 0 to {most}")
        self.members = nn.ModuleList(members)  # for parameters() and to()
        self.each = tuple(members)
        self.rotations, self.seed = rotations, seed
        self.config = _common([member.config for member in members])
        self.card = _common_card([member.card for member in members])

    def forward(self, graph: Graph, precision: str = "fp32", save_memory: bool = False) -> Prediction:
        """The mean, `Prediction`."""
        return _mean(self.predictions(graph, precision, save_memory))

    def spread(self, graph: Graph, precision: str = "fp32") -> Prediction:
        """Standard deviation over members and rotations, in the shapes of `forward`; 0 for one of both."""
        return _deviation(self.predictions(graph, precision))

    def predictions(self, graph: Graph, precision: str = "fp32", save_memory: bool = False) -> list[list[Prediction]]:
        """For each member, a prediction for each rotation; one where it reads no vectors."""
        dimensions = graph.vectors.shape[1]
        generator = torch.Generator().manual_seed(self.seed)
        turned = [graph]
        for _ in range(self.rotations - 1):
            q, r = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64))
            turned.append(graph.rotate((q * r.diagonal().sign()).float()))
        found = []
        for member in self.each:
            blind = is_linear(member.config) or not {"vector", "inherent"} & set(member.config["edge_inputs"])
            found.append([member(one, precision, save_memory) for one in turned[: 1 if blind else len(turned)]])
        return found


def _mean(predictions: list[list[Prediction]]) -> Prediction:
    """Over rotations, then over members: each member counts once."""
    node = torch.stack([torch.stack([p.node for p in one]).mean(0) for one in predictions]).mean(0)
    edges = [torch.stack([p.edge for p in one if p.edge is not None]) for one in predictions if one[0].edge is not None]
    return Prediction(node, torch.stack([edge.mean(0) for edge in edges]).mean(0) if edges else None)


def _deviation(predictions: list[list[Prediction]]) -> Prediction:
    """Root of the mean square deviation from the mean, over all rotations of all members, each member counting once."""
    mean = _mean(predictions)

    def of(name: str, centre: Tensor | None) -> Tensor | None:
        if centre is None:
            return None
        squares = [
            torch.stack([(getattr(p, name) - centre).square() for p in one]).mean(0)
            for one in predictions
            if getattr(one[0], name) is not None
        ]
        return torch.stack(squares).mean(0).sqrt()

    node = of("node", mean.node)
    assert node is not None
    return Prediction(node, of("edge", mean.edge))


def _common(configs: list[dict[str, Any]]) -> dict[str, Any]:
    """What all members read together."""
    full = [{**DEFAULTS, **config} for config in configs]
    first = full[0]
    for k, config in enumerate(full):
        for name in _SAME:
            if config[name] != first[name]:
                raise InputError(
                    f"members[{k}] has {name} = {config[name]!r}, members[0] has {first[name]!r}; put models of one "
                    "kind together"
                )
    readers = [(k, config) for k, config in enumerate(full) if _reads_structure(config)]
    for k, config in readers:
        if config["structure"] != readers[0][1]["structure"]:
            raise InputError(
                f"members[{k}] makes its inputs in another way (config['structure']) than members[{readers[0][0]}]; "
                "put models together that were trained with the same descriptors, potential and pairs"
            )
    merged: dict[str, Any] = {name: first[name] for name in _SAME}
    for name in ("node_inputs", "edge_inputs"):
        merged[name] = list(dict.fromkeys(entry for config in full for entry in config[name]))
    merged["input_columns"] = {name: number for config in full for name, number in config["input_columns"].items()}
    merged["num_species"] = max(config["num_species"] for config in full)
    merged["decoders"] = "node" if all(config["decoders"] == "node" for config in full) else "separate"
    merged["structure"] = readers[0][1]["structure"] if readers else {}
    return merged


def _reads_structure(config: Mapping[str, Any]) -> bool:
    made = set(config["node_inputs"]) - {"type", "species"}
    return bool(made) or "inherent" in config["edge_inputs"] or config["structure"].get("pairs", "thermal") != "thermal"


def _common_card(cards: list[ModelCard | None]) -> ModelCard | None:
    """The card of the first, where all members were trained for the same outputs, temperatures and times."""
    known = [card for card in cards if card is not None]
    if len(known) < len(cards):
        return None
    said = {(tuple(sorted(card.outputs)), card.temperatures, card.times) for card in known}
    return known[0] if len(said) == 1 else None

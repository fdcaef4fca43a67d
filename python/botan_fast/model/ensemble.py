"""Several models as one: the mean of what they say, and how far they are apart."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.graph import Graph
from ..graph.rotation import random_orthogonal
from .botan import BOTAN
from .card import ModelCard
from .config import DEFAULTS
from .linear import LinearBaseline, is_linear
from .prediction import Prediction
from .streaming import slabs_for

__all__ = ["Ensemble"]

Member = BOTAN | LinearBaseline
# What the members must agree in; `structure` where they read something made by it.
_SAME = ("node_target", "dimensions", "self_edges", "cutoff", "num_outputs")
MOST_ROTATIONS = 1000


class Ensemble(nn.Module):
    """The mean over members, and over rotations of the input, of what they predict::

        S_i = 1 / M sum_m 1 / R sum_r S_i^(m)(Q_r r),   Q_1 = 1 and the others random in O(3) (O(2) in 2D)

    The targets do not change when a configuration is turned or reflected; a network that reads vectors knows that only
    as far as it has learned it. Members that have no edge output are left out of its mean, and so is what a member was
    not trained for, by its card, where others were. It is called, evaluated and predicts like a `BOTAN`;
    `load_model([path, ...])` makes one of files.

    Args:
        members: at least one BOTAN or LinearBaseline, of the same node target, dimensions, self edges, cutoff and
            number of outputs, and by their cards times; those that read what is made from positions must make it the
            same way (`structure`).
        rotations: R; 0 and 1 leave the input as it is.
        seed: of the rotations.

    `config` is what the members read together, `card` that of the first, for the outputs of all, where all were trained
    at the same temperatures. Raises InputError for members that do not go together.

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
        cards = [member.card for member in members]
        self.card = _common_card(cards, self.config["node_target"])
        configs = [member.config for member in members]
        letters = {"node": self.config["node_target"], "edge": "E"}
        self._counts = {name: _counts(configs, cards, letter) for name, letter in letters.items()}

    def forward(self, graph: Graph, precision: str = "fp32", save_memory: bool = False) -> Prediction:
        """The mean, `Prediction`."""
        return self.mean(self.predictions(graph, precision, save_memory))

    def spread(self, graph: Graph, precision: str = "fp32") -> Prediction:
        """Standard deviation over members and rotations, in the shapes of `forward`; 0 for one of both."""
        return self.deviation(self.predictions(graph, precision))

    def predictions(self, graph: Graph, precision: str = "fp32", save_memory: bool = False) -> list[list[Prediction]]:
        """For each member, a prediction for each rotation; one where it reads no vectors."""
        generator = torch.Generator().manual_seed(self.seed)
        turned = [graph]
        for _ in range(self.rotations - 1):
            turned.append(graph.rotate(random_orthogonal(graph.vectors.shape[1], generator)))
        found = []
        for member in self.each:
            blind = is_linear(member.config) or not {"vector", "inherent"} & set(member.config["edge_inputs"])
            graphs = turned[: 1 if blind else len(turned)]
            # Cut before it is turned: a graph that was turned has not the box of its vectors.
            slabs = slabs_for(member, graph) if isinstance(member, BOTAN) else None
            options = {} if slabs is None else {"slabs": slabs}
            found.append([member(one, precision, save_memory, **options) for one in graphs])
        return found

    def mean(self, predictions: list[list[Prediction]]) -> Prediction:
        """What `forward` gives, of `predictions`: who wants the spread and the members too asks for these once."""
        return _mean(predictions, self._counts)

    def deviation(self, predictions: list[list[Prediction]]) -> Prediction:
        """What `spread` gives, of `predictions`."""
        return _deviation(predictions, self._counts)


def _parts(predictions: list[list[Prediction]], counts: Mapping[str, list[bool]], name: str) -> list[Tensor]:
    """Of the members that have a part in an output, its values, one row for each rotation."""
    found = [[getattr(p, name) for p in one] for one, part in zip(predictions, counts[name], strict=True) if part]
    return [torch.stack(values) for values in found if values[0] is not None]


def _mean(predictions: list[list[Prediction]], counts: Mapping[str, list[bool]]) -> Prediction:
    """Over rotations, then over members: each member counts once."""
    node, edge = (_parts(predictions, counts, name) for name in ("node", "edge"))
    return Prediction(_over_members(node), _over_members(edge) if edge else None)


def _deviation(predictions: list[list[Prediction]], counts: Mapping[str, list[bool]]) -> Prediction:
    """Root of the mean square deviation from the mean, over all rotations of all members, each member counting once."""
    node, edge = (
        [(values - mean).square() for values in _parts(predictions, counts, name) if mean is not None]
        for name, mean in zip(("node", "edge"), _mean(predictions, counts), strict=True)
    )
    return Prediction(_over_members(node).sqrt(), _over_members(edge).sqrt() if edge else None)


def _over_members(parts: list[Tensor]) -> Tensor:
    return torch.stack([part.mean(0) for part in parts]).mean(0)


def _counts(configs: list[dict[str, Any]], cards: list[ModelCard | None], letter: str) -> list[bool]:
    """Which members have a part in an output: those trained for it, by their cards; all, where none was."""
    able = [letter != "E" or config["decoders"] != "node" for config in configs]
    trained = [one and (card is None or card.trains(letter)) for one, card in zip(able, cards, strict=True)]
    return trained if any(trained) else able


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
    columns: dict[str, int] = {}
    for k, config in enumerate(full):
        for name in set(config["node_inputs"]) - {"type", "species"}:
            number = config["input_columns"].get(name, 1)
            if columns.setdefault(name, number) != number:
                raise InputError(
                    f"members[{k}] reads {number} columns of {name!r}, another member {columns[name]}; put models of "
                    "one kind together"
                )
    merged["input_columns"] = {name: number for name, number in sorted(columns.items()) if number != 1}
    merged["num_species"] = max(config["num_species"] for config in full)
    merged["decoders"] = "node" if all(config["decoders"] == "node" for config in full) else "separate"
    merged["structure"] = readers[0][1]["structure"] if readers else {}
    return merged


def _reads_structure(config: Mapping[str, Any]) -> bool:
    made = set(config["node_inputs"]) - {"type", "species"}
    return bool(made) or "inherent" in config["edge_inputs"] or config["structure"].get("pairs", "thermal") != "thermal"


def _common_card(cards: list[ModelCard | None], node_target: str) -> ModelCard | None:
    """The card of the first, for the outputs of all; None where one is unknown, or was trained elsewhere."""
    for k, card in enumerate(cards):
        if card is None or not card.times:
            continue
        first = next(n for n, other in enumerate(cards) if other is not None and other.times)
        other = cards[first]
        if other is not None and card.times != other.times:
            raise InputError(
                f"members[{k}] was trained for the times {_listed(card.times)}, members[{first}] for "
                f"{_listed(other.times)}; put models for the same times together"
            )
    known = [card for card in cards if card is not None]
    if len(known) < len(cards) or len({(card.temperatures, card.times) for card in known}) > 1:
        return None
    outputs = tuple(letter for letter in (node_target, "E") if any(card.trains(letter) for card in known))
    return replace(known[0], outputs=outputs, p=known[0].p if len({card.p for card in known}) == 1 else None)


def _listed(times: Sequence[float]) -> str:
    return ", ".join(f"{time:g}" for time in times)

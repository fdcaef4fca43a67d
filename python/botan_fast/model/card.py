"""The card of a model: what it was trained for, and on what data."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import InputError
from ..quantities import NODE_TARGETS

__all__ = ["CARD_VERSION", "ModelCard", "card_from_json"]

CARD_VERSION = 1
UNITS = "Lennard-Jones"
_LONGEST_TEXT, _MOST_NUMBERS = 200, 1000  # a card is read before anything is known of who wrote it
_LONGEST_JSON = 100_000


@dataclass(frozen=True)
class ModelCard:
    """What a model was trained for: `BOTAN.card`. `train` fills it, model files keep it; None where nobody knows.

    outputs             letters of the outputs that the loss reached: a node target ("S", ...), "E", or both
    p                   weight of the node loss, or None
    temperatures, times of the training data, ascending; empty: unknown
    species, fractions  names of types 0, 1, ..., and their fractions of the particles; empty: unknown
    density             mean number density, or None
    dimensions, cutoff  those of the graphs, or None
    num_configurations  number of training configurations, or None
    num_runs            runs behind the targets, lowest and highest number (one where they agree); empty: unknown
    units               of all numbers
    botan_fast          version that trained it, or ""
    note                what else is known, one line

    Weights that were changed by other means than `train` may be good for more or for less: set `model.card` to None or
    to a card of your own. Raises InputError for values that make no sense.

    Examples
    --------
    >>> import botan_fast as bf
    >>> card = bf.ModelCard(outputs=("E",), p=0.0, temperatures=(0.44,), times=(13.0,))
    >>> card.trains("S"), card.trained_for
    (False, 'pair changes alone (p = 0)')
    """

    outputs: tuple[str, ...]
    p: float | None = None
    temperatures: tuple[float, ...] = ()
    times: tuple[float, ...] = ()
    species: tuple[str, ...] = ()
    fractions: tuple[float, ...] = ()
    density: float | None = None
    dimensions: int | None = None
    cutoff: float | None = None
    num_configurations: int | None = None
    num_runs: tuple[int, ...] = ()
    units: str = UNITS
    botan_fast: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        known = (*NODE_TARGETS, "E")
        for name in ("outputs", "species"):
            _require(_is_list(getattr(self, name), _is_text), name, getattr(self, name), "expected a list of names")
        for name in ("temperatures", "times", "fractions", "num_runs"):
            _require(_is_list(getattr(self, name), _is_number), name, getattr(self, name), "expected a list of numbers")
        for field in fields(self):  # lists of JSON become tuples, so that a card can be compared and hashed
            if isinstance(getattr(self, field.name), list):
                object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        wrong = next((letter for letter in self.outputs if letter not in known), None)
        nodes = [letter for letter in self.outputs if letter != "E"]
        fits = wrong is None and 0 < len(set(self.outputs)) == len(self.outputs) and len(nodes) < 2
        _require(fits, "outputs", self.outputs, f"expected one of {', '.join(NODE_TARGETS)}, or E, or both")
        for name, least, most in (("p", 0, 1), ("density", 0, math.inf), ("cutoff", 0, math.inf)):
            value = getattr(self, name)
            _require(value is None or (_is_number(value) and least <= value <= most), name, value, "expected a number")
        for name in ("dimensions", "num_configurations"):
            value = getattr(self, name)
            _require(value is None or (_is_whole(value) and value > 0), name, value, "expected a positive integer")
        _require(self.dimensions in (None, 2, 3), "dimensions", self.dimensions, "expected 2 or 3")
        for name in ("density", "cutoff"):
            _require(getattr(self, name) != 0, name, 0, "expected a positive number")
        for name in ("temperatures", "times", "fractions"):
            values = getattr(self, name)
            _require(all(value >= 0 for value in values), name, values, "expected no negative number")
        if self.species or self.fractions:
            agree = len(self.species) == len(self.fractions) and abs(sum(self.fractions) - 1) < 1e-3
            _require(agree, "fractions", self.fractions, "expected one fraction for each of species, together 1")
        runs = self.num_runs
        _require(len(runs) < 3 and all(_is_whole(n) and n > 0 for n in runs), "num_runs", runs, "expected run numbers")
        for name in ("units", "botan_fast", "note"):
            value = getattr(self, name)
            _require(value == "" or _is_text(value), name, value, "expected one line of text")

    def trains(self, letter: str) -> bool:
        """Did the loss reach the output of this letter?"""
        return letter in self.outputs

    @property
    def trained_for(self) -> str:
        """The outputs in words, such as 'pair changes alone (p = 0)'."""
        words = " and ".join(_word(letter) for letter in self.outputs)
        alone = " alone" if len(self.outputs) == 1 else ""
        return f"{words}{alone}" + ("" if self.p is None else f" (p = {self.p:g})")

    def describe(self) -> list[tuple[str, str]]:
        """The lines of the card for people: name and value, without what is unknown."""

        def listed(values: tuple[float, ...]) -> str:
            shown = ", ".join(f"{value:g}" for value in values[:10])
            return shown + (f", ... ({len(values)} values)" if len(values) > 10 else "")

        composition = ", ".join(f"{name} {part:.4g}" for name, part in zip(self.species, self.fractions, strict=True))
        lines = [
            ("trained for", self.trained_for),
            ("temperature", listed(self.temperatures)),
            ("time", listed(self.times)),
            ("species", composition),
            ("number density", "" if self.density is None else f"{self.density:.4g}"),
            ("configurations", "" if self.num_configurations is None else str(self.num_configurations)),
            ("runs", " to ".join(map(str, self.num_runs))),
            ("units", self.units),
            ("trained by", self.botan_fast and f"botan_fast {self.botan_fast}"),
            ("note", self.note),
        ]
        return [(name, value) for name, value in lines if value]

    def to_json(self) -> str:
        """The card as one line of JSON, with its version; `card_from_json` reads it."""
        return json.dumps({"card_version": CARD_VERSION, **asdict(self)}, sort_keys=True)


def card_from_json(text: str) -> ModelCard:
    """The card that `ModelCard.to_json` wrote, checked as something from a stranger.

    Raises
    ------
    InputError
        It is no card, an entry is unknown or wrong, or its version is newer than this botan_fast.

    Examples
    --------
    >>> from botan_fast.model.card import ModelCard, card_from_json
    >>> card_from_json(ModelCard(outputs=("S", "E"), p=0.4).to_json()).p
    0.4
    """
    if len(text) > _LONGEST_JSON:
        raise InputError(f"the model card has {len(text)} characters; the most are {_LONGEST_JSON}")
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, Mapping):
        raise InputError("the model card is not a JSON object; save the model again")
    entries = dict(entries)
    version = entries.pop("card_version", None)
    if not _is_whole(version) or version < 1:
        raise InputError(f"the model card has card_version = {str(version)[:20]!r}; save the model again")
    if version > CARD_VERSION:
        raise InputError(
            f"the model card has card_version = {version}, this botan_fast reads up to {CARD_VERSION}; update "
            "botan_fast"
        )
    unknown = next((name for name in entries if name not in {field.name for field in fields(ModelCard)}), None)
    if unknown is not None:
        raise InputError(f"the model card has an unknown entry {str(unknown)[:40]!r}; save the model again")
    if "outputs" not in entries:
        raise InputError("the model card does not say which outputs were trained; save the model again")
    return ModelCard(**entries)


def _word(letter: str) -> str:
    return "pair changes" if letter == "E" else NODE_TARGETS[letter].replace("_", " ")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable()


def _is_list(value: Any, kind: Any) -> bool:
    return isinstance(value, (list, tuple)) and len(value) <= _MOST_NUMBERS and all(map(kind, value))


def _require(condition: bool, name: str, value: Any, remedy: str) -> None:
    if not condition:
        raise InputError(f"the model card has {name} = {ascii(value)[:60]}; {remedy}")

"""The card that a run gives its model: what was trained, on what data."""

import hashlib
from typing import Any

import numpy as np

from .. import __version__
from ..data.sample import Sample
from ..evaluation.differences import mean_composition, number_density, species_names
from ..model.card import ModelCard

__all__ = ["training_card"]


def training_card(p: float, config: dict[str, Any], samples: list[Sample]) -> ModelCard:
    """The card of a model that is trained with node weight `p` on these samples.

    It depends on nothing else, so that a resumed run writes the same file as one that was never interrupted. Weights
    that a run started from do not count: their other output does not survive p = 0 or p = 1.
    """
    node = [config["node_target"]] if p > 0 else []
    species, composition = species_names(samples), mean_composition(samples)
    composition += (0.0,) * (len(species) - len(composition))  # names of types that no particle has
    runs = {sample.num_runs for sample in samples} - {0}
    return ModelCard(
        outputs=(*node, *(["E"] if p < 1 else [])),
        p=float(p),
        temperatures=_known(sample.temperature for sample in samples),
        times=_known(time for sample in samples for time in sample.times or (sample.time,)),
        species=species,
        fractions=composition,
        density=number_density(samples),
        dimensions=config["dimensions"],
        cutoff=config["cutoff"],
        num_configurations=_number_of_configurations(samples),
        num_runs=tuple(sorted({min(runs), max(runs)})) if runs else (),
        botan_fast=__version__,
    )


def _known(values: Any) -> tuple[float, ...]:
    known = {float(value) for value in values if value is not None}
    return tuple(sorted(known))[:1000]  # the most that a card holds


def _number_of_configurations(samples: list[Sample]) -> int:
    """A configuration at several times is one."""
    return len({hashlib.sha256(np.ascontiguousarray(sample.positions).tobytes()).digest() for sample in samples})

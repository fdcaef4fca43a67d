"""What a model reads besides the graph, for the samples of a run: the entries of its configuration, and the arrays."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from ..box import largest_cutoff
from ..data.making import StructureMaker
from ..data.sample import Sample
from ..data.structure import PAIRS, Structure, makers_without_minimum, with_structure
from ..errors import InputError
from ..log import logger
from ..model.botan import BOTAN
from ..model.config import plain
from ..model.scales import fit_inputs, fit_outputs
from ..physics.descriptor_settings import DescriptorSettings
from ..physics.inherent import InherentStructure
from ..physics.potential import PotentialLike, check_potential
from ..terminal import progress_bar
from .distributed import Team

__all__ = [
    *("columns_of", "fit_scales", "reads_species", "reads_structure", "share_minima", "structure_config"),
    "with_features",
]

_LOG = logger(__name__)


# Samples with structure that stay made: about 12 MB each for 4,096 particles, a fifth of a training step to make again.
MOST_KEPT = 64


def reads_structure(config: Mapping[str, Any]) -> bool:
    """Does a model of this configuration read more than types and vectors of thermal positions?"""
    return bool(
        set(config.get("node_inputs", ["type"])) - {"type", "species"}
        or "inherent" in config.get("edge_inputs", ["vector"])
        or config.get("structure", {}).get("pairs", "thermal") != "thermal"
    )


def reads_species(config: Mapping[str, Any]) -> bool:
    """Does it have to be known how many species there are?"""
    return config.get("scaled", False) or "species" in config.get("node_inputs", ()) or reads_structure(config)


def structure_config(
    source: BOTAN | None,
    config: Mapping[str, Any],
    pairs: str | None = None,
    potential: PotentialLike | None = None,
    descriptors: DescriptorSettings | Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The entry `structure` of a model: that of `source`, else from the options; {} where the model reads no structure.

    Raises InputError for what the options cannot be, and where `source` has others.
    """
    given: dict[str, Any] = {}
    if pairs is not None:
        given["pairs"] = pairs
        if pairs not in PAIRS:
            raise InputError(f"pairs = {pairs!r} is unknown; choose one of {', '.join(PAIRS)}")
    if potential is not None:
        given["potential"] = check_potential(potential).as_dict()
    if descriptors is not None:
        settings = descriptors
        if not isinstance(settings, DescriptorSettings):
            settings = DescriptorSettings.from_dict(settings)
        given["descriptors"] = plain(settings.as_dict())
    if source is None:
        structure = {"pairs": "thermal"} | given
        return structure if reads_structure({**config, "structure": structure}) else {}
    held = Structure.from_config(source.config).as_dict()
    for name, value in given.items():
        if held.get(name, value) != value:
            raise InputError(
                f"{name} = {value!r} but init has {name} = {held[name]!r}; leave {name} out or start from other weights"
            )
    return dict(source.config["structure"])


def share_minima(samples: list[Sample], config: Mapping[str, Any], team: Team, progress: bool) -> None:
    """Of several processes each makes a part of the inherent structures that the samples lack, and all get all."""
    makers: list[StructureMaker] = []
    with team.agreed():
        if team.size > 1 and reads_structure(config) and not all(_has(sample, config) for sample in samples):
            makers = makers_without_minimum(samples, Structure.from_config(config))
    if not makers:
        return

    def made(own: list[StructureMaker]) -> list[InherentStructure]:
        shown = progress_bar(own, show=progress, desc="minimising", unit=" configurations", leave=False)
        return [maker.minimum for maker in shown]

    minima = team.shared(makers, made)
    for maker, minimum in zip(makers, team.first(lambda: minima), strict=True):
        maker.remember(minimum)


def with_features(
    parts: Sequence[list[Sample]], config: Mapping[str, Any], pair_targets: bool, progress: bool
) -> tuple[list[list[Sample]], dict[str, Any]]:
    """The samples of each part, their graphs with all that the model reads, and the entry `structure` of the model.

    Samples that have all of it stay as they are; up to MOST_KEPT are made at once and for good. Without a potential in
    the entry it is that of the minima that the data hold, or Kob-Andersen (`Structure.potential_for`).
    """
    samples = [sample for part in parts for sample in part]
    if not reads_structure(config) or all(_has(sample, config) for sample in samples):
        return list(parts), dict(config["structure"])
    structure = Structure.from_config(config)
    if "descriptors" not in config["structure"]:
        structure = replace(structure, descriptors=_that_fit(structure.descriptors, samples))
    structure = replace(structure, potential=structure.potential_for(samples))
    begun = monotonic()
    made = [with_structure(part, structure, progress, pair_targets=pair_targets) for part in parts]
    if len(samples) <= MOST_KEPT:
        made = [[sample.kept() for sample in part] for part in made]
        _LOG.info("made what the model reads of %d configurations, %.1f s", len(samples), monotonic() - begun)
    return made, structure.as_dict()


def _that_fit(settings: DescriptorSettings, samples: list[Sample]) -> DescriptorSettings:
    """The settings, their means over as large a distance as the smallest box holds twice: for N = 1,000 less than 7."""
    boxes = [sample.box for sample in samples]
    reach = min((largest_cutoff(box) for box in boxes if box is not None), default=settings.smear_radius)
    return replace(settings, smear_radius=min(settings.smear_radius, math.floor(reach * 100) / 100))


def columns_of(samples: list[Sample], config: Mapping[str, Any]) -> dict[str, int]:
    """The entry `input_columns` of a model: of each array among its node inputs, where it has more than one column."""
    arrays = samples[0].graph.arrays or {}
    names = [name for name in config.get("node_inputs", ["type"]) if name in arrays and arrays[name].ndim == 2]
    return {name: arrays[name].shape[1] for name in names if arrays[name].shape[1] != 1}


def fit_scales(model: BOTAN, samples: list[Sample]) -> None:
    """Set the means and widths of the inputs, and with target scaling of the outputs, from training samples."""
    fit_inputs(model, (sample.graph for sample in samples))
    if model.config["scaled"]:
        fit_outputs(model, (_targets(model, sample) for sample in samples))


def _has(sample: Sample, config: Mapping[str, Any]) -> bool:
    if config.get("structure", {}).get("pairs", "thermal") != "thermal":
        return False  # whose pairs the graph has, it does not tell
    graph = sample.graph
    arrays = set(config.get("node_inputs", ["type"])) - {"type", "species"}
    vectors = "inherent" not in config.get("edge_inputs", ["vector"]) or graph.inherent_vectors is not None
    return vectors and arrays <= set(graph.arrays or {})


def _targets(model: BOTAN, sample: Sample) -> tuple[Any, ...]:
    graph, targets = sample.graph, sample.targets
    assert targets is not None  # training reads no samples without
    edge = targets.pair_change if model.config["decoders"] != "node" else None
    return graph.types, graph.senders, graph.receivers, targets.node(model.config["node_target"]), edge

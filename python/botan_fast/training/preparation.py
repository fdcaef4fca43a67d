"""What a run begins with: its data, read and complete, and the model that learns from them."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..data.loading import Data, given_samples, read_samples
from ..data.sample import Sample
from ..data.structure import Structure
from ..data.times import join_times
from ..files import FilePath
from ..model.botan import BOTAN
from .card import training_card
from .distributed import Team
from .epochs import RunData
from .features import columns_of, fit_scales, reads_species, share_minima, structure_config, with_features
from .recipes import MODEL_OPTIONS, STRUCTURE_OPTIONS
from .samples import check_samples, give_words, number_of_outputs, number_of_species, resolved_weights
from .settings import TrainingSettings, initial_model, load_init, model_config
from .validation import check_patience, hold_out

__all__ = ["prepared"]


def prepared(
    settings: TrainingSettings,
    train: Data,
    test: Data | None,
    init: BOTAN | FilePath | None,
    model_options: dict[str, Any],
    resolved: dict[str, Any],
    reading: dict[str, Any],
    progress: bool,
    team: Team,
) -> tuple[RunData, BOTAN, TrainingSettings]:
    """The data that were read, the model that the run begins with, and the settings, complete."""
    with team.agreed():
        source = load_init(init)
        config = _model_config(source, model_options, resolved, settings.p)
        read = reading | {name: config[name] for name in ("cutoff", "self_edges", "node_target")}
        read["structure"] = Structure.from_config(config)
        data = RunData(_load(train, read, progress), [] if test is None else _load(test, read, progress), [])
        dimensions = check_samples(data.train, data.test, settings.p)
        give_words(data.train, data.test, config, settings, loaded=given_samples(train) is None)
        species = number_of_species([*data.train, *data.test], config.get("num_species", 0))
        settings = replace(settings, species_weights=resolved_weights(settings.species_weights, species))
        data.train, data.validation = hold_out(data.train, settings)
        check_patience(settings, data.test)
        config["num_outputs"] = number_of_outputs(data.train, source)
        if source is None and reads_species(config):
            config["num_species"] = species
    share_minima([*data.train, *data.test, *data.validation], config, team, progress)
    with team.agreed():
        parts, structure = with_features((data.train, data.test, data.validation), config, settings.p < 1, progress)
        data = RunData(*parts)
        if source is None:
            config |= {"structure": structure, "input_columns": columns_of(data.train, config)}
        model = initial_model(source, config, dimensions, settings.seed)
        model.card = training_card(settings.p, model.config, data.train)
        if source is None:
            fit_scales(model, data.train)
    return data, model, settings


def _model_config(
    source: BOTAN | None, model_options: dict[str, Any], resolved: dict[str, Any], p: float
) -> dict[str, Any]:
    """The configuration of the model, as far as it is known before there are data."""

    def of_model(options: dict[str, Any]) -> dict[str, Any]:
        names = {"target_scaling": "scaled"}
        chosen = {name: options[name] for name in MODEL_OPTIONS if name in options}
        return {names.get(name, name): value for name, value in chosen.items() if name not in STRUCTURE_OPTIONS}

    config = model_config(source, of_model(model_options), p, of_model(resolved))
    options = model_options if source is not None else resolved
    of_structure = {name: options[name] for name in STRUCTURE_OPTIONS if name in options}
    return config | {"structure": structure_config(source, config, **of_structure)}


def _load(data: Data, reading: dict[str, Any], progress: bool) -> list[Sample]:
    """The samples; of several chosen times one sample for each configuration, with a column of targets for each."""
    times = [] if reading["time"] is None else sorted(set(np.atleast_1d(reading["time"]).tolist()))
    joined = len(times) > 1
    samples = read_samples(data, **reading, require_targets=True, progress=progress, joined=joined)
    return join_times(samples, times) if joined else samples

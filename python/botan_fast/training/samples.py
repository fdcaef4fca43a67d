"""What samples must be to be trained on, and what is said about those that are rarely meant."""

from typing import Any

from ..data.sample import Sample
from ..data.species import SpeciesOrder
from ..data.words import check_types, words_on_samples, words_on_test
from ..errors import DataError, InputError, warn
from ..model.botan import BOTAN
from .settings import TrainingSettings

__all__ = ["check_samples", "give_words", "number_of_outputs", "number_of_species", "resolved_weights"]


def check_samples(train: list[Sample], test: list[Sample], p: float) -> int:
    """The number of dimensions of all samples.

    Raises
    ------
    InputError, DataError
        They differ in it or in their times, number their species differently or with gaps, or lack the E_ij that p < 1
        trains.
    """
    samples = [*train, *test]
    _same_times(samples)
    _require_pair_targets(samples, p)
    order = SpeciesOrder()
    for sample in samples:
        order.apply(sample.types, sample.species, f"configuration {sample.name}")
    check_types(train, test)
    return _same_dimensions(samples)


def number_of_species(samples: list[Sample], given: int = 0) -> int:
    """S of the types 0 ... S - 1; `given` where that is larger. InputError where it is smaller, and not 0."""
    number = 1 + max(int(sample.types.max()) for sample in samples)
    if 0 < given < number:
        raise InputError(f"num_species = {given}, but the data hold {number} species; leave it out, or give {number}")
    return max(number, given)


def number_of_outputs(train: list[Sample], source: BOTAN | None) -> int:
    """K, of the times of joined samples. InputError where the weights to start from have another number."""
    number = len(train[0].times or (None,))
    if source is not None and source.config["num_outputs"] != number:
        raise InputError(
            f"init has num_outputs = {source.config['num_outputs']}, but the data are of {number} "
            f"{'time' if number == 1 else 'times'}; choose as many with time="
        )
    return number


def resolved_weights(species_weights: str | tuple[float, ...], species: int) -> str | tuple[float, ...]:
    """One weight for each species, or "particles". InputError for another number of them."""
    if species_weights == "equal":
        return (1.0,) * species
    if not isinstance(species_weights, str) and len(species_weights) != species:
        raise InputError(
            f"species_weights = {list(species_weights)} has {len(species_weights)} numbers, but the data hold "
            f"{species} species; give one for each"
        )
    return species_weights


def give_words(
    train: list[Sample], test: list[Sample], config: dict[str, Any], settings: TrainingSettings, loaded: bool
) -> None:
    """Warnings on what is legal but rarely meant. `loaded`: `load_samples` has said its own of the training files."""
    temperatures = sorted({sample.temperature for sample in train if sample.temperature is not None})
    inputs = config.get("node_inputs", ["type"])
    if len(temperatures) > 1 and "temperature" not in inputs:
        warn(
            f"the training data are of temperatures {', '.join(f'{t:g}' for t in temperatures)}, and the model does "
            "not know which: add 'temperature' to node_inputs"
        )
    if settings.input_noise and not set(inputs) - {"type", "species"}:
        warn(f"input_noise = {settings.input_noise:g} does nothing: no node input is a scaled number ({inputs})")
    if config.get("num_steps") == 0:
        warn("num_steps = 0: no messages are passed, so no particle knows its neighbours; the paper has num_steps = 7")
    if not loaded:
        words_on_samples(train)
    words_on_test(train, test)


def _require_pair_targets(samples: list[Sample], p: float) -> None:
    for sample in samples:
        if p < 1 and not sample.has_pair_targets:
            raise DataError(
                f"configuration {sample.name} has no E_ij, which p = {p} trains; use p=1, or data with trajectories"
            )


def _same_times(samples: list[Sample]) -> None:
    first = samples[0]
    for sample in samples:
        if sample.times != first.times:
            shown = [", ".join(f"{t:g}" for t in s.times) if s.times else "one time" for s in (sample, first)]
            raise InputError(
                f"{sample.name} has targets at {shown[0]}, but {first.name} at {shown[1]}; join all samples for the "
                "same times"
            )


def _same_dimensions(samples: list[Sample]) -> int:
    first = samples[0]
    for sample in samples:
        if sample.positions.shape[1] != first.positions.shape[1]:
            raise InputError(
                f"{sample.name} is {sample.positions.shape[1]}-dimensional but {first.name} is "
                f"{first.positions.shape[1]}-dimensional; train on data of one dimension"
            )
    return first.positions.shape[1]

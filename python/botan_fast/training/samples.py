"""What samples must be to be trained on, and what is said about those that are rarely meant."""

from ..data.sample import Sample
from ..data.species import SpeciesOrder
from ..data.words import check_types, words_on_samples, words_on_test
from ..errors import DataError, InputError, warn

__all__ = ["check_samples", "give_words"]


def check_samples(train: list[Sample], test: list[Sample], p: float) -> int:
    """The number of dimensions of all samples.

    Raises
    ------
    InputError, DataError
        They differ in it, number their species differently or with gaps, or lack the E_ij that p < 1 trains.
    """
    samples = [*train, *test]
    _require_pair_targets(samples, p)
    order = SpeciesOrder()
    for sample in samples:
        order.apply(sample.types, sample.species, f"configuration {sample.name}")
    check_types(train, test)
    return _same_dimensions(samples)


def give_words(train: list[Sample], test: list[Sample], num_steps: int | None, loaded: bool) -> None:
    """Warnings on what is legal but rarely meant. `loaded`: `load_samples` has said its own of the training files."""
    if num_steps == 0:
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


def _same_dimensions(samples: list[Sample]) -> int:
    first = samples[0]
    for sample in samples:
        if sample.positions.shape[1] != first.positions.shape[1]:
            raise InputError(
                f"{sample.name} is {sample.positions.shape[1]}-dimensional but {first.name} is "
                f"{first.positions.shape[1]}-dimensional; train on data of one dimension"
            )
    return first.positions.shape[1]

"""Which output of a model is for which time of the data; samples of a configuration at several times become one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..data.sample import Sample
from ..data.selection import same_number
from ..data.times import join_times
from ..data.twins import Known
from ..errors import InputError, warn
from ..model.card import ModelCard

__all__ = ["Column", "columns", "num_outputs", "once_each", "output_times"]


class Column(NamedTuple):
    """Output `output` of the model, column `target` of the targets (None: they are one column), and their time."""

    output: int
    target: int | None
    time: float | None


def num_outputs(config: dict[str, Any]) -> int:
    """K: outputs of each decoder."""
    return config.get("num_outputs", 1)


def output_times(config: dict[str, Any], card: ModelCard | None) -> tuple[float, ...] | None:
    """The K times of the outputs of a model with several, by its card; None where it has one or nobody knows."""
    number = num_outputs(config)
    return card.times if number > 1 and card is not None and len(card.times) == number else None


def columns(config: dict[str, Any], card: ModelCard | None, sample: Sample) -> list[Column]:
    """The outputs that the targets of a sample belong to, in the order of the targets; InputError where to none."""
    number, times = num_outputs(config), output_times(config, card)
    held: tuple[float | None, ...] = (sample.time,) if sample.times is None else sample.times
    if number == 1:
        if sample.times is not None:
            raise InputError(
                f"{sample.name} holds targets at {len(held)} times in columns, and the model has one output; give the "
                "samples of one time"
            )
        return [Column(0, None, sample.time)]
    if times is None:
        if sample.times is None or len(held) != number:
            raise InputError(
                f"the model has {number} outputs and its card does not name their times; set model.card to a ModelCard "
                f"with {number} times"
            )
        times = sample.times
    found = []
    for place, time in enumerate(held):
        output = next((k for k, own in enumerate(times) if same_number(time, own)), None)
        if output is None:
            raise InputError(
                f"{sample.name} has time = {'unknown' if time is None else f'{time:g}'}, and the outputs of the model "
                f"are for the times {_listed(times)}; choose with time="
            )
        found.append(Column(output, None if sample.times is None else place, time))
    return found


def once_each(
    config: dict[str, Any], card: ModelCard | None, name: str, samples: Sequence[Sample], targets: bool, chosen: bool
) -> list[Sample]:
    """For a model with several outputs: each configuration once, with a column of targets for each time of the model.

    Of other times those of the model are taken, with a word, unless the times were `chosen`; a configuration that has
    none of them is an error with `targets`, and otherwise comes without.
    """
    times = output_times(config, card)
    if times is None:
        return list(samples)
    single = [k for k, sample in enumerate(samples) if sample.times is None]
    fits = [k for k in single if samples[k].has_targets and any(same_number(samples[k].time, own) for own in times)]
    others = [k for k in single if k not in set(fits)]
    if targets and others and (chosen or not fits):
        columns(config, card, samples[others[0]])  # says what is wrong
    known: Known[int] = Known()
    result: list[tuple[int, Sample]] = [(k, sample) for k, sample in enumerate(samples) if sample.times is not None]
    for joined in join_times([samples[k] for k in fits], times):
        first = next(k for k in fits if samples[k].name == joined.name and samples[k].positions is joined.positions)
        result.append((first, joined))
    for _, sample in result:
        known.add(np.asarray(sample.positions), sample.types, 0)
    alone = []
    for k in [] if targets else others:
        positions = np.asarray(samples[k].positions)
        if not known.same(positions, samples[k].types):
            known.add(positions, samples[k].types, 0)
            alone.append(k)
    result += [(k, samples[k]) for k in alone]
    if others and fits:
        warn(f"the times {_listed(times)} are taken, which {name} was trained for; the data hold others too")
    if any(samples[k].has_targets for k in alone):
        warn(f"no target is at a time of the outputs of {name}, {_listed(times)}, for {samples[alone[0]].name}")
    return [sample for _, sample in sorted(result, key=lambda pair: pair[0])]


def _listed(times: Sequence[float]) -> str:
    return ", ".join(f"{time:g}" for time in times)

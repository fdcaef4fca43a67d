"""Words on data that are legal but rarely meant: one line each, see `botan_fast.errors.warn`."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import numpy as np

from ..errors import InputError, warn
from .sample import Sample
from .species import letter
from .twins import Known

__all__ = ["Majorities", "check_types", "refuse_twice", "word_on_few_runs", "words_on_samples", "words_on_test"]

_Known: TypeAlias = tuple[str, float | None, float | None]  # name, temperature, time


def words_on_samples(samples: Sequence[Sample], targets: bool = True, joined: bool = False) -> None:
    """Say when type 0 is the minority or nowhere, and, with `targets`, when they are of one run or of several times.

    `joined`: several times will not be mixed (`join_times`).
    """
    held = [sample for sample in samples if sample.has_targets] if targets else []
    word_on_few_runs([sample.name for sample in held if sample.num_runs == 1], len(held))
    times = {sample.time for sample in held}
    if len(times) > 1 and not joined:
        shown = [f"{time:g}" for time in sorted(times - {None})] + ["unknown"] * (None in times)  # type: ignore[type-var]
        number = "two" if len(times) == 2 else str(len(times))
        warn(
            f"{number} times are mixed in one target: {', '.join(shown)}; a model is for one time, choose it with time="
        )
    majorities = Majorities()
    for sample in samples:
        majorities.add(sample.name, sample.types, sample.species)
    majorities.say()


class Majorities:
    """Which type most particles have, configuration by configuration."""

    def __init__(self) -> None:
        self._first: tuple[np.ndarray, tuple[str, ...] | None] | None = None
        self._of: dict[int, str] = {}

    def add(self, name: str, types: np.ndarray, species: tuple[str, ...] | None) -> None:
        counts = np.bincount(np.asarray(types))
        if self._first is None:
            self._first = counts, species
        most = int(counts.argmax())
        if counts[most] >= 0.6 * counts.sum():  # half and half scatters
            self._of.setdefault(most, name)

    def say(self) -> None:
        """Warnings, where A is the minority, or the majority changes between configurations."""
        if self._first is None:
            return
        counts, species = self._first
        names = list(species) if species and len(species) >= len(counts) else [letter(k) for k in range(len(counts))]
        most = int(counts.argmax())
        order = " ".join([names[most], *(name for k, name in enumerate(names) if k != most and counts[k])])
        named = f" ({names[0]})" if names[0].upper() != "A" else ""
        if counts[0] == 0:
            warn(f"no particle is of type 0{named}: number the species from 0, or name them by --species (species=)")
        elif counts[0] < counts[most]:
            warn(
                f"type 0{named} is the minority ({counts[0]} of {counts.sum()} particles), but the paper's A, of which "
                f"the scores are, is the majority; --species {order} (species=) puts it first"
            )
        if len(self._of) > 1:
            shown = ", ".join(f"{letter(k)} in {name}" for k, name in sorted(self._of.items()))
            warn(
                f"the majority is {shown}: are the species of all files numbered alike? species= says the order by name"
            )


def word_on_few_runs(names: Sequence[str], number: int) -> None:
    """`names` of `number` configurations have one run."""
    if names:
        warn(
            f"{len(names)} of {number} configurations have one run, such as {names[0]}: S_i is then a displacement; a "
            "propensity is the mean over runs from one configuration (in several files: docs/formats.md, layouts)"
        )


def words_on_test(train: Sequence[Sample], test: Sequence[Sample]) -> None:
    """Say when configurations of the test are among those of the training, or at other times or temperatures."""
    known: Known[str] = Known()
    for sample in train:
        known.add(np.asarray(sample.positions), sample.types, sample.name)
    again = [sample for sample in test if known.same(np.asarray(sample.positions), sample.types)]
    if again:
        warn(
            f"{len(again)} of {len(test)} test configurations are among the training configurations, such as "
            f"{again[0].name}: the scores do not tell what the model does on new ones"
        )
    for name in ("temperature", "time"):
        of_train, of_test = (_known(samples, name) for samples in (train, test))
        if of_train and of_test and not of_test & of_train:
            warn(f"the test is at {name} {_list(of_test)}, the training at {_list(of_train)}; choose with {name}=")


def check_types(train: Sequence[Sample], test: Sequence[Sample]) -> None:
    """InputError when a number below the largest type is in no training configuration, or a type only in the test."""
    held = _types_of(train)
    absent = sorted(set(range(max(held, default=0) + 1)) - held.keys())
    if absent:
        largest = max(held)
        raise InputError(
            f"no particle of the training data is of type {absent[0]} ({letter(absent[0])}), but {held[largest]} has "
            f"type {largest}; number the species from 0 without gaps, or name those that there are: --species "
            f"{' '.join(letter(number) for number in sorted(held))} (species=)"
        )
    for number, name in _types_of(test).items():
        if number not in held:
            raise InputError(
                f"{name} of the test has particles of type {number} ({letter(number)}), which no training "
                "configuration has; a model knows the species that it was trained on"
            )


def _types_of(samples: Iterable[Sample]) -> dict[int, str]:
    """Each type with the first configuration that has it."""
    found: dict[int, str] = {}
    for sample in samples:
        for number in np.unique(sample.types).tolist():
            found.setdefault(number, sample.name)
    return found


def _known(samples: Iterable[Sample], name: str) -> set[float]:
    values = {getattr(sample, name) for sample in samples} - {None}
    return values.union(*(sample.times or () for sample in samples if name == "time"))


def _list(values: set[float]) -> str:
    return ", ".join(f"{value:g}" for value in sorted(values))


def refuse_twice(a: _Known, b: _Known, remedy: Callable[[], str] = str) -> None:
    """InputError where two equal configurations (name, temperature, time) cannot be two times or temperatures of it."""
    for first, second in zip(a[1:], b[1:], strict=True):
        if first is not None and second is not None and not math.isclose(first, second, rel_tol=1e-9):
            return
    known = a[2] is not None and b[2] is not None
    when = f"both at time {a[2]:g}" if known else "at times that are not both known"
    instead = "leave one of them out" + ("" if known else ", or give their times by a layout")
    raise InputError(f"the same configuration twice: {a[0]} and {b[0]}, {when}; {remedy() or instead}")

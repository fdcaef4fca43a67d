"""How data differ from what a model was trained on, by the model's card."""

import string
from collections.abc import Iterable, Sequence

import numpy as np

from ..data.sample import Sample
from ..data.selection import same_number
from ..model.card import ModelCard

__all__ = ["differences", "mean_composition", "number_density", "species_names"]

TOLERANCE = 0.1  # relative, of densities and of fractions of species


def differences(card: ModelCard, samples: Iterable[Sample], targets: bool = True) -> str | None:
    """What differs, in one line such as "number density 1 (trained: 1.2)", or None.

    Compared are names and fractions of species, number density, temperature and, with `targets`, the time of targets.
    Another temperature is a legitimate use, to be known.
    """
    samples = list(samples)
    found = []
    names = next((names for sample in samples if (names := sample.species)), None)
    if names and card.species and _told(names) and _told(card.species) and tuple(names) != card.species:
        found.append(f"species {', '.join(names)} (trained: {', '.join(card.species)})")
    fractions = mean_composition(samples)
    if card.fractions and not _alike(fractions, card.fractions):
        found.append(f"species fractions {_listed(fractions)} (trained: {_listed(card.fractions)})")
    if card.density is not None:
        # The one that is farthest off: among many others the mean would hide it.
        usual = card.density
        density = max(_densities(samples), key=lambda value: abs(value / usual - 1), default=usual)
        if abs(density / usual - 1) > TOLERANCE:
            found.append(f"number density {density:.4g} (trained: {usual:.4g})")
    values = {"temperature": {sample.temperature for sample in samples}}
    if targets:
        values["time"] = {sample.time for sample in samples if sample.has_targets}
    for name, held in values.items():
        trained = card.temperatures if name == "temperature" else card.times
        known = sorted(value for value in held if value is not None)
        others = [value for value in known if trained and not any(same_number(value, t) for t in trained)]
        if others:
            found.append(f"{name} {_listed(others)} (trained: {_listed(trained)})")
    return ", ".join(found) or None


def species_names(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Names of types 0, 1, ...: those of the first sample that has some, else A, B, ..."""
    count = max(int(sample.types.max()) for sample in samples) + 1
    names = next((names for sample in samples if (names := sample.species)), ())
    letters = [string.ascii_uppercase[k] if k < 26 else str(k) for k in range(len(names), count)]
    return (*names, *letters)


def mean_composition(samples: Sequence[Sample]) -> tuple[float, ...]:
    """Fraction of the particles that is of type 0, 1, ..., over all samples together."""
    counts = np.zeros(1, dtype=np.int64)
    for sample in samples:
        more = np.bincount(sample.types)
        size = max(len(counts), len(more))
        counts = np.pad(counts, (0, size - len(counts))) + np.pad(more, (0, size - len(more)))
    return tuple((counts / counts.sum()).tolist())


def number_density(samples: Sequence[Sample]) -> float | None:
    """Mean of N / V (N / area in two dimensions), or None where no box is known."""
    values = _densities(samples)
    return float(np.mean(values)) if values else None


def _densities(samples: Iterable[Sample]) -> list[float]:
    values = []
    for sample in samples:
        box = sample.box
        if box is not None:
            volume = np.prod(box) if box.ndim == 1 else abs(np.linalg.det(box))
            values.append(len(sample.positions) / float(volume))
    return values


def _told(names: Sequence[str]) -> bool:
    """Are these names of a file, rather than the letters of types that nobody named?"""
    return tuple(names) != tuple(string.ascii_uppercase[: len(names)])


def _alike(fractions: Sequence[float], trained: Sequence[float]) -> bool:
    size = max(len(fractions), len(trained))
    ours, theirs = (np.pad(np.asarray(values, dtype=float), (0, size - len(values))) for values in (fractions, trained))
    return bool((np.abs(ours - theirs) <= TOLERANCE * theirs).all())


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.4g}" for value in list(values)[:5]) + (", ..." if len(values) > 5 else "")

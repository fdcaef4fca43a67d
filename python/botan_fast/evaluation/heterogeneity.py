"""Dynamic heterogeneity, actual and predicted: chi_4 and the spatial correlation of propensities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple

import numpy as np

from ..data.sample import Sample
from ..physics.correlations import chi_4
from ..physics.heterogeneity import BIN, PairSums, correlation_edges, pair_sums, propensity_overlap
from .intervals import POSITIVE, jackknife_interval

__all__ = ["Field", "field_of", "heterogeneity"]


class Field(NamedTuple):
    """Actual and predicted node target of the particles of type A of one configuration, and their sums over pairs."""

    actual: np.ndarray
    predicted: np.ndarray
    sums: PairSums | None  # of both fields; None where no periodic box is known


def field_of(sample: Sample, chosen: np.ndarray, actual: np.ndarray, predicted: np.ndarray) -> Field:
    """The field of the particles `chosen`, (N,) bool, of the values of all."""
    actual, predicted = actual[chosen], predicted[chosen].astype(np.float64)
    box = sample.box
    if box is None:
        return Field(actual, predicted, None)
    positions = np.asarray(sample.positions)
    edges = correlation_edges(box, positions.shape[1], len(actual))
    if len(edges) < 2:
        return Field(actual, predicted, None)
    return Field(actual, predicted, pair_sums(positions[chosen], box, [actual, predicted], edges))


def heterogeneity(fields: Sequence[Field]) -> dict[str, Any]:
    """chi_4 and the spatial correlation G(r) of the actual and of the predicted node target, particles of type A.

    chi_4 = N (<Q^2> - <Q>^2) over configurations, with the overlap Q = 1/N sum_i Theta(length - S_i) of each
    (`propensity_overlap`) and `length` the median of the actual values, for both: half of the particles are the mobile
    ones then, at any time and for any node target, where a fixed length such as 0.3 is passed by all or by none. G(r)
    is that of `PairSums.correlation`, with mean and variance over all configurations, of actual and predicted apart.

    Returns a dict: `species` "A", `length`, `chi_4` (`actual`, `predicted`, and `interval`, those of both by the
    jackknife; None for one configuration), and `correlation` (`r`, the middles of the bins, `actual`, `predicted`;
    None in bins without pairs).

    >>> import numpy as np
    >>> from botan_fast.evaluation.heterogeneity import Field, heterogeneity
    >>> low, high = np.array([0.1, 0.1]), np.array([0.2, 0.2])
    >>> heterogeneity([Field(low, low, None), Field(high, low, None)])["chi_4"]["actual"]
    1.0
    """
    actual = np.concatenate([field.actual for field in fields])
    predicted = np.concatenate([field.predicted for field in fields])
    length = float(np.median(actual))
    result: dict[str, Any] = {"species": "A", "length": length, "chi_4": None, "correlation": None}
    if len(fields) > 1:
        number = len(actual) / len(fields)
        sides = ([field.actual for field in fields], [field.predicted for field in fields])
        values = {name: _chi_4(side, length, number) for name, side in zip(_SIDES, sides, strict=True)}
        result["chi_4"] = {name: value for name, (value, _) in values.items()}
        result["chi_4"]["interval"] = {name: interval for name, (_, interval) in values.items()}
    held = [field.sums for field in fields if field.sums is not None]
    if len(held) == len(fields):
        size = min(len(sums.number) for sums in held)  # of boxes of several widths, the narrowest
        total = reduce(add, (_first(sums, size) for sums in held))
        both = np.stack([actual, predicted])
        curves = total.correlation(both.mean(axis=1), both.var(axis=1)).tolist()
        found = {
            name: [None if math.isnan(value) else value for value in curve]
            for name, curve in zip(_SIDES, curves, strict=True)
        }
        result["correlation"] = {"r": (BIN * (np.arange(size) + 0.5)).tolist(), **found}
    return result


_SIDES = ("actual", "predicted")


def _chi_4(values: Sequence[np.ndarray], length: float, number: float) -> tuple[float, Any]:
    """chi_4 over configurations, and its interval."""
    overlaps = np.array([propensity_overlap(one, length) for one in values])
    whole = float(chi_4(overlaps, number))
    without = [float(chi_4(np.delete(overlaps, k), number)) for k in range(len(overlaps))] if len(overlaps) > 2 else []
    return whole, jackknife_interval(whole, without, POSITIVE)


def _first(sums: PairSums, size: int) -> PairSums:
    return PairSums(sums.number[:size], sums.both[:, :size], sums.product[:, :size])

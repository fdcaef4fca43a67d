"""Confidence intervals over configurations: Student's t of means, the jackknife of what is no mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["ANY", "COEFFICIENT", "CONFIDENCE", "POSITIVE", "Bounds", "Interval", "jackknife_interval", "mean_interval"]

CONFIDENCE = 0.95

Interval = list[float] | None  # low, high; a list, as JSON has it
Bounds = tuple[float, float]  # between which a quantity lies, whatever its interval says
ANY, COEFFICIENT, POSITIVE = (-math.inf, math.inf), (-1.0, 1.0), (0.0, math.inf)


def mean_interval(values: Sequence[float], bounds: Bounds = ANY, confidence: float = CONFIDENCE) -> Interval:
    """The interval of a mean over M independent configurations, by Student's t with M - 1 degrees of freedom::

        mean -+ t sqrt( sum_c (x_c - mean)^2 / (M (M - 1)) )

    Test sets have few configurations (the authors' sample has three), where a bootstrap of M values is too narrow; this
    is exact for values with a normal distribution, for any M. Particles of one configuration are not independent, so
    the interval is over configurations and not over particles.

    Returns [low, high], cut at `bounds`; None for fewer than two values, and where one of them is nan.

    Source: Student, Biometrika 6, 1 (1908).

    >>> from botan_fast.evaluation.intervals import mean_interval
    >>> [round(x, 4) for x in mean_interval([0.70, 0.72, 0.77])]
    [0.6404, 0.8196]
    """
    x = np.asarray(values, dtype=np.float64)
    if len(x) < 2 or not np.isfinite(x).all():
        return None
    return _around(float(x.mean()), math.sqrt(float(x.var(ddof=1)) / len(x)), len(x), bounds, confidence)


def jackknife_interval(
    whole: float, without: Sequence[float], bounds: Bounds = ANY, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a number that is no mean over M configurations, such as a pooled coefficient or chi_4::

        whole -+ t sqrt( (M - 1) / M sum_c (x_(c) - mean of x_(c))^2 ),     x_(c): without configuration c

    with Student's t of M - 1 degrees of freedom. For a mean it is `mean_interval`. Nothing is drawn at random.

    Returns [low, high], cut at `bounds`; None for fewer than three configurations, and where a number is nan.

    Source: Tukey's jackknife; Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 11.

    >>> from botan_fast.evaluation.intervals import jackknife_interval, mean_interval
    >>> values = [0.70, 0.72, 0.77]
    >>> [round(x, 4) for x in jackknife_interval(0.73, [0.745, 0.735, 0.71])]
    [0.6404, 0.8196]
    """
    x = np.asarray(without, dtype=np.float64)
    if len(x) < 3 or not np.isfinite(x).all() or not math.isfinite(whole):
        return None
    error = math.sqrt((len(x) - 1) / len(x) * float(((x - x.mean()) ** 2).sum()))
    return _around(whole, error, len(x), bounds, confidence)


def _around(value: float, error: float, number: int, bounds: Bounds, confidence: float) -> Interval:
    from scipy.special import stdtrit  # here: training imports this file and needs none of it

    reach = float(stdtrit(number - 1, 0.5 + confidence / 2)) * error
    return [max(value - reach, bounds[0]), min(value + reach, bounds[1])]

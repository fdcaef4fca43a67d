"""The ceiling: the largest Pearson coefficient that a finite number of runs allows, of two halves of the runs."""

from __future__ import annotations

import math

from ..arrays import Array
from .coefficients import pearson

__all__ = ["largest_pearson", "reliability"]


def reliability(first: Array, second: Array, runs: int, runs_of_half: int | None = None) -> float:
    """How much of the variance of a mean over R runs is not their noise, of the means of two halves of the runs.

    With the split-half correlation r = Pearson(first, second) and k = R / (runs of a half), Spearman and Brown::

        rho = k r / (1 + (k - 1) r)         for k = 2: 2 r / (1 + r)

    Parameters
    ----------
    first, second : (M,) float, the same particles or pairs, means over runs that the two do not share.
    runs : R, behind the values that a model is compared with.
    runs_of_half : runs behind each of the two, R // 2 by default (of an odd number of runs one is left out).

    Returns a float; nan where one of them does not vary, 0 for a correlation that is negative.

    Sources: Spearman, Br. J. Psychol. 3, 271 (1910); Brown, ibid. 296.

    >>> from botan_fast.evaluation.ceiling import reliability
    >>> round(reliability([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], runs=2), 4)
    0.9909
    """
    r = pearson(first, second)
    if math.isnan(r):
        return math.nan
    k = runs / (runs // 2 if runs_of_half is None else runs_of_half)
    return max(0.0, k * r / (1 + (k - 1) * r)) if r > 0 else 0.0


def largest_pearson(reliability: float) -> float:
    """The Pearson coefficient of a model that knows the mean over infinitely many runs: sqrt(reliability).

    The measured value is the true one and noise that is independent of it: their correlation is the root of the part of
    the variance that is true. 0.92 for 32 runs of the Kob-Andersen mixture at T = 0.44, t = 4120.

    >>> from botan_fast.evaluation.ceiling import largest_pearson
    >>> largest_pearson(0.81)
    0.9
    """
    return math.sqrt(reliability)

"""Coefficients of two arrays: Pearson's, Spearman's, and the slope of the line."""

from __future__ import annotations

import math

import numpy as np

from ..arrays import Array

__all__ = ["pearson", "slope", "spearman"]


def pearson(x: Array, y: Array) -> float:
    """Pearson's correlation coefficient of two arrays, in float64; nan where one of them does not vary.

    sum (x - <x>) (y - <y>) / sqrt(sum (x - <x>)^2 sum (y - <y>)^2)

    Examples
    --------
    >>> from botan_fast.evaluation.scores import pearson
    >>> round(pearson([1, 2, 3], [1, 2, 4]), 6)
    0.981981
    >>> pearson([1, 1], [1, 2])
    nan
    """
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    # A constant array minus its rounded mean need not be exactly zero, so constancy is tested by itself.
    if x.size < 2 or x.min() == x.max() or y.min() == y.max():
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(np.dot(x, x)) * math.sqrt(np.dot(y, y))
    return float(np.dot(x, y)) / scale if scale > 0 else math.nan


def spearman(x: Array, y: Array) -> float:
    """Spearman's coefficient: Pearson's of the ranks, equal values having the mean of theirs; nan as `pearson`.

    It asks for the order alone: 1 for any increasing relation. Source: Spearman, Am. J. Psychol. 15, 72 (1904).

    >>> from botan_fast.evaluation.coefficients import spearman
    >>> round(spearman([1.0, 2.0, 3.0], [1.0, 10.0, 100.0]), 6)
    1.0
    """
    from scipy.stats import rankdata  # here: it takes half a second, and training needs none of it

    return pearson(rankdata(np.asarray(x).ravel()), rankdata(np.asarray(y).ravel()))


def slope(prediction: Array, target: Array) -> float:
    """The slope of actual against predicted values, by least squares, in float64; nan where predictions do not vary::

        sum (p - <p>) (t - <t>) / sum (p - <p>)^2

    1 for predictions that are right on average, whatever they miss; below 1 for those that vary more than they know.

    >>> from botan_fast.evaluation.coefficients import slope
    >>> slope([0.0, 1.0, 2.0], [0.0, 2.0, 4.0])
    2.0
    """
    p, t = np.asarray(prediction, np.float64).ravel(), np.asarray(target, np.float64).ravel()
    if p.size < 2 or p.min() == p.max():
        return math.nan
    p = p - p.mean()
    return float(np.dot(p, t - t.mean()) / np.dot(p, p))

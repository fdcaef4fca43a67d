"""How well predicted values of a group agree with actual ones, over configurations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .ceiling import largest_pearson
from .coefficients import pearson, slope, spearman
from .intervals import ANY, COEFFICIENT, POSITIVE, Interval, jackknife_interval, mean_interval

__all__ = ["Compared", "measures", "pooled_interval"]


class Compared(NamedTuple):
    """Predicted and actual values of a group (particles of a species, pairs) in one configuration, (M,) each, M > 0.

    reliability    of the actual values, `botan_fast.evaluation.ceiling.reliability`; None where it is unknown
    """

    prediction: np.ndarray
    target: np.ndarray
    reliability: float | None = None


def measures(parts: Sequence[Compared]) -> dict[str, Any]:
    """How predicted and actual values of a group agree, over configurations; at least one.

    Returns a dict: `number` of values in all, and `num_configurations`; `pearson`, `spearman`, `loss` (mean squared
    error) and `slope` of each configuration, then their mean; `pearson_pooled`, `spearman_pooled` and `slope_pooled` of
    all values together; `interval`, their 95 % confidence intervals over configurations ([low, high], or None where
    there are too few; a pooled Spearman has none); `reliability` and `ceiling`, means over configurations, or None.

    >>> import numpy as np
    >>> from botan_fast.evaluation.measures import Compared, measures
    >>> found = measures([Compared(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))])
    >>> round(found["pearson"], 6), found["slope"], found["interval"]["pearson"]
    (1.0, 2.0, None)
    """
    each: dict[str, list[float]] = {
        "pearson": [pearson(part.prediction, part.target) for part in parts],
        "spearman": [spearman(part.prediction, part.target) for part in parts],
        "loss": [float(np.mean((part.prediction.astype(np.float64) - part.target) ** 2)) for part in parts],
        "slope": [slope(part.prediction, part.target) for part in parts],
    }
    prediction = np.concatenate([part.prediction for part in parts])
    target = np.concatenate([part.target for part in parts])
    result: dict[str, Any] = {"number": len(target), "num_configurations": len(parts)}
    result |= {name: float(np.mean(values)) for name, values in each.items()}
    result["pearson_pooled"] = pearson(prediction, target)
    result["spearman_pooled"] = spearman(prediction, target)
    result["slope_pooled"] = slope(prediction, target)
    interval = {name: mean_interval(values, _BOUNDS[name]) for name, values in each.items()}
    pairs = [(part.prediction, part.target) for part in parts]
    interval |= {f"{name}_pooled": pooled_interval(name, pairs, result[f"{name}_pooled"]) for name in _OF_MOMENTS}
    known = [part.reliability for part in parts if part.reliability is not None]
    complete = len(known) == len(parts)
    result["interval"] = interval
    result["reliability"] = float(np.mean(known)) if complete else None
    result["ceiling"] = float(np.mean([largest_pearson(value) for value in known])) if complete else None
    return result


_BOUNDS = {"pearson": COEFFICIENT, "spearman": COEFFICIENT, "loss": POSITIVE, "slope": ANY}
# Of the moments of x and y about any point: variance of x, variance of y, covariance.
_OF_MOMENTS = {
    "pearson": lambda xx, yy, xy: xy / np.sqrt(xx * yy),
    "slope": lambda xx, yy, xy: xy / xx,
}


def pooled_interval(name: str, pairs: Sequence[tuple[np.ndarray, np.ndarray]], whole: float) -> Interval:
    """The jackknife interval over configurations of a pooled coefficient, "pearson" or "slope".

    Each configuration is left out by its sums, so that it costs no more than the coefficient. `pairs` are the predicted
    and the actual values of each configuration, `whole` the coefficient of all of them.

    >>> import numpy as np
    >>> from botan_fast.evaluation.measures import pooled_interval
    >>> x = np.arange(4.0)
    >>> pooled_interval("slope", [(x, 2 * x), (x, 2 * x), (x, 2 * x)], 2.0)
    [2.0, 2.0]
    """
    number = sum(len(x) for x, _ in pairs)
    # Moments about the mean of all, in which little cancels.
    means = [sum(float(pair[side].sum(dtype=np.float64)) for pair in pairs) / number for side in (0, 1)]
    sums = []
    for first, second in pairs:
        x, y = first.astype(np.float64) - means[0], second.astype(np.float64) - means[1]
        sums.append([len(x), x.sum(), y.sum(), x @ x, y @ y, x @ y])
    others = np.sum(sums, axis=0) - np.asarray(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        n, x, y, xx, yy, xy = others.T
        without = _OF_MOMENTS[name](xx - x * x / n, yy - y * y / n, xy - x * y / n)
    return jackknife_interval(whole, without.tolist(), _BOUNDS[name])

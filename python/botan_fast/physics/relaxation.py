"""Relaxation times of correlation functions: where they fall to 1/e, and tau_alpha by the paper's fit in two steps."""

import math
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from ..arrays import Array
from ..checks import as_array, check_finite, positive
from ..errors import InputError

__all__ = ["TwoStepFit", "relaxation_time"]


@dataclass(frozen=True)
class TwoStepFit:
    """The fit of a correlation function that decays in two steps::

        F(t) = (1 - f) exp[-(t / tau_s)^b_s] + f exp[-(t / tau_alpha)^b]

    tau_alpha, uncertainty : the second time and its standard error, in the unit of the times.
    plateau, tau_s, short_exponent, exponent : f, tau_s, b_s and b.
    residual : root mean square of F(t) - values.
    configurations : how many the standard error is from (jackknife); 0: it is from the covariance of the fit.

    A fit is a number: float(fit) is tau_alpha.

    >>> import botan_fast as bf
    >>> fit = bf.TwoStepFit(16.5, 0.4, plateau=0.75, tau_s=0.2, short_exponent=2.0, exponent=0.7, residual=0.002)
    >>> float(fit), str(fit), round(fit.at(16.5), 3)
    (16.5, '16.5 +- 0.4 (f = 0.75, tau_s = 0.2, b = 0.7)', 0.276)
    """

    tau_alpha: float
    uncertainty: float
    plateau: float
    tau_s: float
    short_exponent: float
    exponent: float
    residual: float
    configurations: int = 0

    def at(self, times: Array) -> Any:
        """F of the fit at these times: an array of float64, or a float for a number."""
        t = as_array("times", times, np.float64).reshape(np.shape(times))
        with np.errstate(divide="ignore"):
            log_times = np.log(t)
        values = _model(_point(self), log_times, None)
        return values if values.ndim else float(values)

    def __float__(self) -> float:
        return self.tau_alpha

    def __str__(self) -> str:
        return (
            f"{self.tau_alpha:.4g} +- {self.uncertainty:.2g} (f = {self.plateau:.3g}, tau_s = {self.tau_s:.3g}, "
            f"b = {self.exponent:.3g})"
        )


@overload
def relaxation_time(
    times: Array, values: Array, threshold: float = ..., *, method: Literal["threshold"] = ...
) -> float | None: ...


@overload
def relaxation_time(
    times: Array, values: Array, *, method: Literal["two-step"], short_exponent: float | None = ...
) -> TwoStepFit: ...


def relaxation_time(
    times: Array,
    values: Array,
    threshold: float | None = None,
    *,
    method: str = "threshold",
    short_exponent: float | None = None,
) -> float | TwoStepFit | None:
    """The structural relaxation time of a correlation function such as F_s(k, t).

    "threshold": the time at which it falls to `threshold`, 1/e. "two-step": tau_alpha of the paper, the second time of
    the least-squares fit of ::

        F(t) = (1 - f) exp[-(t / tau_s)^b_s] + f exp[-(t / tau_alpha)^b]

    to F_s(k, t) of the A particles at k = 2 pi / sigma_AA. The two are different quantities: at T = 0.64 the fit gives
    twice the time at which F_s(k = 7.25, t) falls to 1/e (docs/simulate.md).

    Parameters
    ----------
    times : (T,) float, rising, not negative.
    values : (T,) float, the function at these times, averaged over runs and configurations. For "two-step" also
        (M, T), those of M >= 2 configurations: their mean is fitted.
    threshold : of method "threshold", default 1/e.
    method : "threshold" or "two-step".
    short_exponent : b_s of "two-step". By default it is fitted, as in the paper's double stretched exponential; a
        number fixes it, such as 2, that of free flight.

    Returns, for "threshold", a float: the first crossing from above, by linear interpolation of the values in the
    logarithm of time between the two times around it (in time itself when the earlier one is 0). None when the values
    stay above the threshold: the relaxation is slower than the last time, and no number is made up.

    Returns, for "two-step", a `TwoStepFit`. All times weigh the same. The uncertainty is the standard error by the
    jackknife over the M configurations. Of a single curve it is from the covariance of the fit, which takes the errors
    at different times as independent; those of F_s are not, so it is too small then. The order of the configurations
    does not matter.

    Raises `InputError` for shapes that do not match, times that do not rise or are negative, NaN or infinite numbers;
    with "threshold" for a first value at or below the threshold: the crossing lies before the first time, give earlier
    ones; with "two-step" where the data do not determine tau_alpha: fewer times than parameters and two more, no time
    in the first step, a tau_alpha beyond the last time or uncertain by more than a half, a decay in one step.

    Source: Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II (the fit and its k).

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> times = np.logspace(-1.5, 2.5, 60)
    >>> round(bf.relaxation_time(times, np.exp(-times / 16.5)), 1)
    16.5
    >>> bf.relaxation_time([1.0, 10.0], [0.9, 0.8]) is None
    True
    >>> values = 0.25 * np.exp(-((times / 0.2) ** 2)) + 0.75 * np.exp(-((times / 16.5) ** 0.7))
    >>> fit = bf.relaxation_time(times, values, method="two-step")
    >>> round(fit.tau_alpha, 3), round(fit.plateau, 3), round(fit.exponent, 3)
    (16.5, 0.75, 0.7)
    """
    times = as_array("times", times, np.float64)
    values = as_array("values", values, np.float64)
    if method not in ("threshold", "two-step"):
        raise InputError(f"method = {method!r} is unknown; give 'threshold' or 'two-step'")
    several = method == "two-step" and values.ndim == 2 and len(values) > 1
    if times.ndim != 1 or times.size == 0 or values.shape[several:] != times.shape:
        more = ", or values (M, T) of M > 1 configurations" if method == "two-step" else ""
        raise InputError(f"times has shape {times.shape}, values {values.shape}; give two arrays (T,) with T > 0{more}")
    check_finite("times", times)
    check_finite("values", values)
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise InputError("times must rise and not be negative; sort them")
    if method == "threshold":
        return _crossing(times, values, 1 / math.e if threshold is None else float(threshold))
    if threshold is not None:
        raise InputError(f"threshold = {threshold} is of method 'threshold'; leave it out for 'two-step'")
    return _two_step(times, np.atleast_2d(values), short_exponent)


def _crossing(times: np.ndarray, values: np.ndarray, threshold: float) -> float | None:
    if not values[0] > threshold:
        raise InputError(f"values[0] = {values[0]:.6g} is not above threshold = {threshold:.6g}; give earlier times")
    below = np.flatnonzero(values <= threshold)
    if below.size == 0:
        return None
    later = int(below[0])
    before, after = values[later - 1], values[later]
    fraction = (before - threshold) / (before - after)
    start, end = times[later - 1], times[later]
    if start == 0:
        return float(fraction * end)
    return float(start * (end / start) ** fraction)


# ---- the fit in two steps ---------------------------------------------------------------------------------------
# A point is (f, ln tau_s, ln tau_alpha, ln b, ln b_s); the last is left out where b_s is fixed.

_FITTED = 0.02, 0.98  # of f, beyond which there is one step
_EXPONENTS = math.log(0.1), math.log(4.0)


def _point(fit: TwoStepFit) -> np.ndarray:
    return np.array([fit.plateau, *np.log([fit.tau_s, fit.tau_alpha, fit.exponent, fit.short_exponent])])


def _model(point: np.ndarray, log_times: np.ndarray, short_exponent: float | None) -> np.ndarray:
    f, log_tau_s, log_tau, log_b = point[:4]
    b_s = math.exp(point[4]) if short_exponent is None else short_exponent
    # exp(50) is far beyond the last time that exp(-x) shows
    first, second = (
        np.exp(-np.exp(np.minimum(b * (log_times - log_time), 50.0)))
        for b, log_time in ((b_s, log_tau_s), (math.exp(log_b), log_tau))
    )
    return (1 - f) * first + f * second


def _two_step(times: np.ndarray, values: np.ndarray, short_exponent: float | None) -> TwoStepFit:
    """Fit of the mean of values (M, T), and of the means without one configuration each."""
    if short_exponent is not None:
        short_exponent = positive("short_exponent", short_exponent)
    values, times = values[:, times > 0], times[times > 0]  # F(0) = 1 whatever the parameters are
    needed = 6 + (short_exponent is None)
    if len(times) < needed:
        raise InputError(
            f"times holds {len(times)} above 0; the fit in two steps needs at least {needed}, over both steps"
        )
    log_times, mean = np.log(times), _mean(values)
    point = _best(log_times, mean, short_exponent)
    f, log_tau_s, log_tau, log_b = point[:4]
    tau, first_step = math.exp(log_tau), times[0] / math.exp(log_tau_s)
    b_s = math.exp(point[4]) if short_exponent is None else short_exponent
    if not _FITTED[0] < f < _FITTED[1] or log_tau_s > log_tau - math.log(2):
        raise InputError(
            f"values do not decay in two steps (f = {f:.3g}, tau_s = {math.exp(log_tau_s):.3g}, tau_alpha = {tau:.3g})"
            "; use the method 'threshold'"
        )
    if tau > times[-1]:
        raise InputError(
            f"values fall to {mean[-1]:.3g} at the last time, {times[-1]:.6g}, too little for the fit in two steps "
            f"(tau_alpha would be {tau:.3g}); give later times"
        )
    if math.exp(-min(first_step**b_s, 50.0)) < 0.05:
        raise InputError(
            f"times begin at {times[0]:.6g}, after the first step of the decay; the fit in two steps needs times in "
            "it, in the Kob-Andersen mixture from about 0.1"
        )
    if len(values) > 1:
        # Near the best point there is one minimum; each fit starts there.
        means = [_mean(np.delete(values, k, axis=0)) for k in range(len(values))]
        without = [_fit(log_times, each, short_exponent, point)[1][2] for each in means]
        relative = math.sqrt((len(values) - 1) * float(np.var(without)))
    else:
        relative = _standard_error(point, log_times, mean, short_exponent)
    if not relative < 0.5:
        raise InputError(
            f"values do not determine tau_alpha: the fit in two steps gives {tau:.3g} +- {relative * tau:.2g}; "
            "give more times or more configurations"
        )
    residual = _model(point, log_times, short_exponent) - mean
    return TwoStepFit(
        tau_alpha=tau,
        uncertainty=tau * relative,
        plateau=float(f),
        tau_s=math.exp(log_tau_s),
        short_exponent=b_s,
        exponent=math.exp(log_b),
        residual=float(np.sqrt(np.mean(residual**2))),
        configurations=len(values) if len(values) > 1 else 0,
    )


def _mean(values: np.ndarray) -> np.ndarray:
    """The mean over configurations, the same bits in any order of them."""
    return np.array([math.fsum(column) for column in values.T]) / len(values)


def _best(log_times: np.ndarray, mean: np.ndarray, short_exponent: float | None) -> np.ndarray:
    """The fit of least squares from several guesses of the plateau; the times follow from where the values pass."""

    def passes(value: float) -> float:
        """ln t where the values fall to this one, or the nearest end."""
        below = np.flatnonzero(mean <= value)
        return float(log_times[below[0] if below.size else -1])

    found = []
    for f in (0.4, 0.6, 0.75, 0.9):
        for b in (0.5, 0.9):
            short, late = passes(f + (1 - f) / math.e), passes(f / math.e)
            start = [f, min(short, late - 1), late, math.log(b), math.log(2.0)]
            found.append(_fit(log_times, mean, short_exponent, np.array(start[: 4 + (short_exponent is None)])))
    # The times in their order, if the values allow it.
    return min(found, key=lambda pair: (pair[1][1] >= pair[1][2], pair[0]))[1]


def _fit(
    log_times: np.ndarray, mean: np.ndarray, short_exponent: float | None, start: np.ndarray
) -> tuple[float, np.ndarray]:
    """Sum of squares and point of the fit that begins at `start`."""
    from scipy.optimize import least_squares  # here: it takes a third of a second

    margin = 7.0  # a factor of 1000 in time
    low, high = log_times[0] - margin, log_times[-1] + margin
    lower = [0.0, low, low, *[_EXPONENTS[0]] * (len(start) - 3)]
    upper = [1.0, high, high, *[_EXPONENTS[1]] * (len(start) - 3)]
    inside = np.clip(start, np.array(lower) + 1e-6, np.array(upper) - 1e-6)
    result = least_squares(
        lambda point: _model(point, log_times, short_exponent) - mean,
        inside, bounds=(lower, upper), jac="3-point", xtol=1e-10, ftol=1e-12, gtol=1e-12, max_nfev=500,
    )  # fmt: skip
    point = result.x
    if short_exponent is None and point[1] > point[2]:  # the two steps are alike then: the second is the later one
        point = np.array([1 - point[0], point[2], point[1], point[4], point[3]])
    return float(result.cost), point


def _standard_error(point: np.ndarray, log_times: np.ndarray, mean: np.ndarray, short_exponent: float | None) -> float:
    """Of ln tau_alpha, from the covariance of the fit: residual variance times (J^T J)^-1; inf where J is singular."""
    step = 1e-5
    jacobian = np.stack(
        [
            (_model(point + d, log_times, short_exponent) - _model(point - d, log_times, short_exponent)) / (2 * step)
            for d in step * np.eye(len(point))
        ],
        axis=1,
    )
    residual = _model(point, log_times, short_exponent) - mean
    variance = float(residual @ residual) / (len(mean) - len(point))
    try:
        return math.sqrt(variance * float(np.linalg.inv(jacobian.T @ jacobian)[2, 2]))
    except (np.linalg.LinAlgError, ValueError):
        return math.inf

"""Fig. 2: the self-intermediate scattering function with its fit in two steps, and tau_alpha."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import InputError
from .appearance import panel, styled
from .inputs import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["scattering"]


class Fit(Protocol):
    """What `relaxation_time(..., method="two-step")` returns: a `TwoStepFit`."""

    tau_alpha: float
    uncertainty: float

    def at(self, times: Any, /) -> Any:
        """F of the fit at these times."""


_MARKERS = "osD^v<>"


@styled
def scattering(
    times: Any,
    values: Any,
    *,
    fit: Fit | None = None,
    k: float = 2 * np.pi,
    temperature: float | None = None,
    number: int | None = None,
    label: str | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """F_s(k, t) of the A particles against the logarithm of time, with a fit and its tau_alpha.

    ::

        F_s(k, t) = (1 - f) exp[-(t / tau_s)^b_s] + f exp[-(t / tau_alpha)^b]

    Draw further temperatures into the axes that it returns: each takes the next colour and marker.

    Parameters
    ----------
    times : (T,) above 0
    values : (T,), or (M, T) of M configurations: their mean, with its standard error where it is larger than a mark
    fit : a `TwoStepFit` of `relaxation_time`, or what has `tau_alpha`, `uncertainty` and `at(times)`: a line through
        the points, and a thin one down from it at tau_alpha, which the legend gives
    k : wave number, said at the axis
    temperature, number : T, and N of a configuration, said in the legend and the title
    label : in the legend, in place of T
    title : what is shown
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for shapes that do not agree, and times that are not above 0.

    Source: Fig. 2 and Sec. II of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> import botan_fast as bf
    >>> from botan_fast.figures import scattering
    >>> t = np.logspace(-1.5, 2.5, 40)
    >>> fit = bf.TwoStepFit(16.5, 0.4, plateau=0.75, tau_s=0.2, short_exponent=2.0, exponent=0.7, residual=0.002)
    >>> ax = scattering(t, fit.at(t), fit=fit, temperature=0.64)
    >>> ax.get_legend_handles_labels()[1]
    ['$T = 0.64$, $\\\\tau_\\\\alpha = 16.5(4)$']
    """
    times = numbers("times", times)
    if not (times > 0).all():
        raise InputError(f"times begins with {times.min():g}; the axis is logarithmic, give times above 0")
    curves = np.atleast_2d(np.asarray(values, dtype=np.float64))
    if curves.ndim != 2 or curves.shape[1] != len(times) or not np.isfinite(curves).all():
        raise InputError(
            f"values has shape {np.shape(values)}; give ({len(times)},) or (M, {len(times)}) finite numbers"
        )
    ax = panel(ax)
    before = len(ax.containers)
    error = curves.std(axis=0, ddof=1) / np.sqrt(len(curves)) if len(curves) > 1 else None
    names = [label] if label is not None else [] if temperature is None else [f"$T = {temperature:g}$"]
    names += [] if fit is None else [rf"$\tau_\alpha = {_with_error(fit.tau_alpha, fit.uncertainty)}$"]
    color = f"C{before % 7}"
    ax.errorbar(
        times, curves.mean(axis=0), error, fmt=_MARKERS[before % len(_MARKERS)], color=color, markersize=3.5,
        markerfacecolor="white", elinewidth=0.8, label=", ".join(names) or None,
    )  # fmt: skip
    if fit is not None:
        fine = np.geomspace(times.min(), max(times.max(), fit.tau_alpha), 400)
        ax.plot(fine, fit.at(fine), color=color, zorder=1)
        ax.plot([fit.tau_alpha] * 2, [0, float(fit.at(fit.tau_alpha))], color=color, linestyle=":", linewidth=0.9)
    factor = k / np.pi
    shown = rf"{factor:g}\pi" if abs(factor - round(factor)) < 1e-9 else f"{k:g}"
    ax.set(xscale="log", ylim=(0, 1.03), xlabel=r"$t$", ylabel=rf"$F_s(k = {shown},\, t)$")
    ax.set_title(", ".join(part for part in (title, "" if number is None else f"$N = {number}$") if part), loc="left")
    if names:
        ax.legend()
    return ax


def _with_error(value: float, error: float) -> str:
    """16.5 +- 0.4 as 16.5(4): the error in units of the last digit, of one digit, of two where it begins with 1."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = -int(np.floor(np.log10(error)))
    if float(f"{error:.0e}") == 10.0**-digits:  # begins with 1
        digits += 1
    if digits <= 0:
        step = 10**-digits
        return f"{round(value / step) * step:.0f}({round(error / step) * step:.0f})"
    return f"{value:.{digits}f}({round(error * 10**digits):.0f})"

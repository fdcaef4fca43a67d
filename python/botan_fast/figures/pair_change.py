"""Fig. 6: how the change of a pair's distance depends on its distance at the beginning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .appearance import COLUMN, PAGE, panel, panels, setting, styled
from .colors import say
from .inputs import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

__all__ = ["pair_change_compared", "pair_change_map"]

_X = r"$r_{ij}(0)\,/\,\sigma_{AA}$"
_Y = r"$\mathcal{E}_{ij}\,/\,\sigma_{AA}$"
Range = tuple[float, float]


@styled
def pair_change_map(
    distances: Any,
    pair_change: Any,
    *,
    bins: int = 100,
    limits: Range | None = None,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    number: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How many pairs have which E_ij at which r_ij(0), on a logarithmic scale of colours, and the mean E(r) as a line.

    Parameters
    ----------
    distances, pair_change : (P,) r_ij(0) and E_ij
    bins : along each axis
    limits : range of E_ij; by default all but 2 in 1,000 of the pairs
    title, temperature, time : said in the figure; number : of particles, likewise
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for shapes that do not agree, numbers that are not finite, and limits that do not rise.

    Source: Fig. 6 of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures import pair_change_map
    >>> rng = np.random.default_rng(0)
    >>> ax = pair_change_map(1 + rng.random(1000), 0.1 * rng.standard_normal(1000), time=13)
    >>> ax.get_title(loc="left")
    '$t = 13$, 1000 pairs'
    """
    r = numbers("distances", distances)
    values = numbers("pair_change", pair_change, len(r), "one of each pair")
    ax = panel(ax, COLUMN, 2.7)
    counts, edges = _histogram(r, values, bins, _range(limits, values))
    mesh = _draw(ax, counts, edges, float(counts.max()))
    _mean(ax, r, values, edges[0])
    _bar(mesh, [ax])
    say(ax, title, setting(temperature, time, number, f"{len(r)} pairs"))
    return ax


@styled
def pair_change_compared(
    distances: Any,
    actual: Any,
    predicted: Any,
    *,
    bins: int = 100,
    limits: Range | None = None,
    title: str = "",
    model: str = "BOTAN",
    temperature: float | None = None,
    time: float | None = None,
    number: int | None = None,
) -> tuple[Axes, Axes]:
    """`pair_change_map` of predicted and actual E_ij, on the same scales, over the width of a page.

    Parameters, errors and source as there, with `actual` and `predicted` (P,) in place of `pair_change`; `model` is the
    name of what has predicted.

    >>> import numpy as np
    >>> from botan_fast.figures import pair_change_compared
    >>> rng = np.random.default_rng(0)
    >>> r, e = 1 + rng.random(1000), 0.1 * rng.standard_normal(1000)
    >>> axes = pair_change_compared(r, e, 0.5 * e)
    >>> axes[0].get_ylim() == axes[1].get_ylim()
    True
    """
    r = numbers("distances", distances)
    actual = numbers("actual", actual, len(r), "one of each pair")
    predicted = numbers("predicted", predicted, len(r), "one of each pair")
    span = _range(limits, np.concatenate([actual, predicted]))
    axes = panels(2, PAGE, 2.7, sharex=True, sharey=True)
    made = [_histogram(r, values, bins, span) for values in (predicted, actual)]
    most = max(float(counts.max()) for counts, _ in made)
    for ax, values, (counts, edges) in zip(axes, (predicted, actual), made, strict=True):
        mesh = _draw(ax, counts, edges, most)
        _mean(ax, r, values, edges[0])
    axes[1].set_ylabel("")
    _bar(mesh, list(axes))
    more = f"{title}, {len(r)} pairs" if title else f"{len(r)} pairs"
    say(axes[0], model, more)
    say(axes[1], "simulation", setting(temperature, time, number))
    return axes[0], axes[1]


def _range(limits: Range | None, values: np.ndarray) -> Range:
    low, high = np.percentile(values, [0.1, 99.9]) if limits is None else limits
    if limits is None and not low < high:
        low, high = low - 0.5, high + 0.5
    if not low < high:
        raise InputError(f"limits = {limits} must rise; give the lowest and the highest E_ij")
    room = 0.04 * (high - low) if limits is None else 0.0
    return float(low - room), float(high + room)


def _histogram(r: np.ndarray, values: np.ndarray, bins: int, span: Range) -> tuple[np.ndarray, tuple]:
    if bins < 2:
        raise InputError(f"bins = {bins} must be at least 2")
    low, high = float(r.min()), float(r.max())
    counts, *edges = np.histogram2d(r, values, bins=bins, range=[(low, high if high > low else low + 1), span])
    return counts, tuple(edges)


def _draw(ax: Axes, counts: np.ndarray, edges: tuple, most: float) -> QuadMesh:
    from matplotlib.colors import LogNorm

    shown = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(*edges, shown, norm=LogNorm(1, max(most, 2)), cmap="viridis", rasterized=True)
    ax.axhline(0, color="0.5", linewidth=0.6, linestyle="--")
    ax.set(xlabel=_X, ylabel=_Y, xlim=(edges[0][0], edges[0][-1]), ylim=(edges[1][0], edges[1][-1]))
    ax.tick_params(direction="out", top=False, right=False)
    return mesh


def _mean(ax: Axes, r: np.ndarray, values: np.ndarray, edges: np.ndarray) -> None:
    """The mean of E at each distance, in bins of which each has ten pairs or more."""
    coarse = edges[:: max(len(edges) // 20, 1)]
    which = np.clip(np.digitize(r, coarse) - 1, 0, len(coarse) - 2)
    number = np.bincount(which, minlength=len(coarse) - 1)
    known = number >= 10
    if known.any():
        mean = np.bincount(which, values, minlength=len(coarse) - 1)[known] / number[known]
        middle = ((coarse[1:] + coarse[:-1]) / 2)[known]
        ax.plot(middle, mean, color="white", linewidth=2.4)
        ax.plot(middle, mean, color="C1", linewidth=1.2, label="mean")
        ax.legend(frameon=True, framealpha=0.85, edgecolor="none", loc="upper right")


def _bar(mesh: QuadMesh, axes: list[Axes]) -> None:
    bar = axes[0].figure.colorbar(mesh, ax=axes, label="pairs in a cell", pad=0.02, aspect=24)
    bar.ax.tick_params(which="both", direction="out", left=False)

"""Actual against predicted values, with their density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .appearance import COLUMN, panel, setting, styled
from .inputs import numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["actual_against_predicted"]


@styled
def actual_against_predicted(
    actual: Any,
    predicted: Any,
    *,
    name: str = r"$\mathcal{S}_i\,/\,\sigma_{AA}$",
    bins: int = 60,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    number: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Actual against predicted values as a density on a logarithmic scale, with the identity and the regression line.

    Both axes have one range. The slope of the least-squares line of actual against predicted is 1 where the model is
    calibrated, whatever it does not know; the text says it, and Pearson's coefficient over all points together.

    Parameters
    ----------
    actual, predicted : (M,) values, of one configuration or of several together
    name : of the quantity
    bins : along each axis
    title, temperature, time : said in the figure; number : of particles of a configuration, likewise
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for shapes that do not agree, and numbers that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures import actual_against_predicted
    >>> x = np.random.default_rng(0).standard_normal((2, 5000))
    >>> ax = actual_against_predicted(x[0] + x[1], x[0])
    >>> ax.texts[0].get_text().splitlines()
    ['Pearson 0.71', 'slope 1.01', '5000 points']
    """
    from matplotlib.colors import LogNorm

    actual = numbers("actual", actual)
    predicted = numbers("predicted", predicted, len(actual), "as many as actual")
    # Both on one range, without the outermost few, which the counts beside the frame would not show.
    low, high = np.percentile(np.concatenate([actual, predicted]), [0.02, 99.98])
    if not low < high:
        low, high = low - 0.5, high + 0.5
    room = 0.03 * (high - low)
    span = (low - room, high + room)
    ax = panel(ax, COLUMN, 3.1)
    counts, *edges = np.histogram2d(predicted, actual, bins=bins, range=[span, span])
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(*edges, shown, norm=LogNorm(1, max(counts.max(), 2)), cmap="viridis", rasterized=True)
    ax.plot(span, span, color="0.4", linestyle="--", linewidth=0.8, label="identity")
    said = [f"{len(actual)} points"]
    if len(actual) > 2 and actual.std() > 0 and predicted.std() > 0:
        slope, offset = np.polyfit(predicted, actual, 1)
        ends = np.array([predicted.min(), predicted.max()])
        ax.plot(ends, offset + slope * ends, color="C1", label="regression")
        said = [f"Pearson {np.corrcoef(actual, predicted)[0, 1]:.2f}", f"slope {slope:.2f}", *said]
    ax.text(0.04, 0.96, "\n".join(said), transform=ax.transAxes, va="top", fontsize=7)
    ax.legend(loc="lower right")
    ax.set(xlim=span, ylim=span, aspect="equal", xlabel=f"predicted {name}", ylabel=f"actual {name}")
    ax.tick_params(direction="out", top=False, right=False)
    ax.set_title("\n".join(part for part in (title, setting(temperature, time, number)) if part), loc="left")
    bar = ax.figure.colorbar(mesh, ax=ax, label="points in a cell", pad=0.02, aspect=24, shrink=0.9)
    bar.ax.tick_params(which="both", direction="out", left=False)
    return ax

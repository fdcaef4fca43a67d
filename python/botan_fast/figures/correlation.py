"""How far together particles are fast or slow: the spatial correlation of propensities, actual and predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .appearance import panel, setting, styled
from .colors import say
from .inputs import numbers, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["spatial_correlation"]


@styled
def spatial_correlation(
    r: Any,
    actual: Any,
    predicted: Any = None,
    *,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    number: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The correlation of the propensities of two particles against their distance::

        G(r) = < (S_i - <S>) (S_j - <S>) > / variance     over the pairs with r_ij(0) in the bin around r

    A model that knows which regions are fast, and not which of their particles, has a G(r) above the actual one: the
    noise of the runs takes part in the variance of the actual values alone.

    Parameters
    ----------
    r : (M,) middles of the bins of distance
    actual, predicted : (M,) G(r) of each, as `evaluate` gives them in scores["heterogeneity"]["correlation"]; None in
        bins without pairs, and for `predicted` where there is no model
    title, temperature, time : said in the figure; number : of particles, likewise
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for lengths that do not agree, and where no bin has pairs.

    Source: Poole, Donati and Glotzer, Physica A 261, 51 (1998), of displacements.

    Examples
    --------
    >>> from botan_fast.figures import spatial_correlation
    >>> ax = spatial_correlation([0.1, 0.9, 1.1], [None, 0.8, 0.6], [None, 0.9, 0.7])
    >>> ax.lines[0].get_xydata().tolist()
    [[0.9, 0.8], [1.1, 0.6]]
    """
    r = numbers("r", r)
    ax = panel(ax)
    for name, values, label, color, marker, line in (
        ("actual", actual, "simulation", "C0", "o", "-"),
        ("predicted", predicted, "model", "C1", "s", "--"),
    ):
        if values is None:
            continue
        if len(values) != len(r):
            raise InputError(f"{name} has {len(values)} values and r {len(r)}; give one for each bin")
        rows = table(name, [{"r": x, name: y} for x, y in zip(r, values, strict=True)], "r", name)
        x, y = [row["r"] for row in rows], [row[name] for row in rows]
        ax.plot(x, y, label=label, color=color, marker=marker, linestyle=line, markersize=3)
    ax.axhline(0, color="0.7", linewidth=0.6, zorder=0)
    ax.set(xlabel=r"$r_{ij}(0)\,/\,\sigma_{AA}$", ylabel=r"$G(r)$")
    say(ax, title, setting(temperature, time, number))
    ax.legend()
    return ax

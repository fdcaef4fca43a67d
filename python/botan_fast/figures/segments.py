"""Fig. 4: pairs in a slab as segments, coloured by the change of their distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .appearance import PAGE, panel, panels, setting, styled
from .colors import around_zero, color_bar, limits_of, say
from .inputs import numbers, pairs_of
from .slab import Slab, cut_pairs, frame, with_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection

__all__ = ["SLAB", "bonds", "bonds_compared"]

SLAB = (11.1, 11.9)  # of the paper
_LABEL = r"$\mathcal{E}_{ij}\,/\,\sigma_{AA}$"


@styled
def bonds(
    positions: Any,
    types: Any,
    box: Any,
    pairs: Any,
    values: Any,
    *,
    axis: int = 2,
    slab: tuple[float, float] | None = SLAB,
    limits: tuple[float, float] | None = None,
    cmap: str = "coolwarm",
    label: str = _LABEL,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The pairs with both ends in a slab as segments, coloured by a value of each, such as E_ij.

    A segment that crosses an edge of the box is drawn at both. Those with small values are drawn first, so that pairs
    which part or meet are seen. The middle of the colours is 0, and both sides have one scale, whatever the range is:
    blue pairs have come nearer, red ones have parted.

    Parameters
    ----------
    positions : (N, D) array, D = 2 or 3; box : (D,) edge lengths of an orthorhombic box
    types : (N,) integers: particles are dots, dark for A, light for B; None leaves them out
    pairs : (2, P) numbers of particles; both directions of a pair may be there
    values : (P,) what the colours say
    axis, slab : pairs with slab[0] < r_axis < slab[1] at both ends; None is the middle of the box, 1 thick
    limits : lowest and highest value of the colours; by default 0 and all segments without the outermost per cents
    cmap : a diverging colour map of matplotlib
    label, title, temperature, time, ax : as in `propensity_map`

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for shapes that do not agree, a triclinic box, or a slab without pairs.

    Source: Fig. 4 of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures import bonds
    >>> r = np.array([[0.5, 1.0, 1.0], [1.5, 1.0, 1.0], [7.4, 1.0, 1.2]])
    >>> ax = bonds(r, [0, 0, 1], 7.5, [[0, 0], [1, 2]], [0.1, -0.1], slab=(0.5, 1.5))
    >>> len(ax.collections[0].get_segments())  # one of them crosses the edge
    3
    """
    number = len(np.asarray(positions))
    values = numbers("values", values, pairs_of(pairs, number).shape[1], "one of each pair")
    seen, chosen, segments = cut_pairs(positions, box, pairs, axis, slab)
    ax = panel(ax, height=3.8)
    span = _limits(limits, values[chosen])
    lines = _segments(ax, seen, segments, values[chosen], span, cmap)
    _dots(ax, seen, types)
    if label is not None:
        color_bar(lines, [ax], label, values[chosen], span)
    say(ax, title, setting(temperature, time, number, seen.text))
    return ax


@styled
def bonds_compared(
    positions: Any,
    types: Any,
    box: Any,
    pairs: Any,
    actual: Any,
    predicted: Any,
    *,
    axis: int = 2,
    slab: tuple[float, float] | None = SLAB,
    limits: tuple[float, float] | None = None,
    cmap: str = "coolwarm",
    model: str = "BOTAN",
    temperature: float | None = None,
    time: float | None = None,
) -> tuple[Axes, Axes]:
    """Predicted and actual E_ij of the pairs in a slab on one scale of colours, over the width of a page.

    Parameters, errors and source as `bonds`, with `actual` and `predicted` (P,) in place of `values`; `model` is what
    has predicted, as the title names it.

    >>> import numpy as np
    >>> from botan_fast.figures import bonds_compared
    >>> r = np.array([[0.5, 1.0, 1.0], [1.5, 1.0, 1.0]])
    >>> axes = bonds_compared(r, [0, 0], 7.5, [[0], [1]], [0.1], [0.2], slab=(0.5, 1.5), time=4120)
    >>> [ax.get_title(loc="left").splitlines()[0] for ax in axes]
    ['BOTAN', 'simulation']
    """
    number = len(np.asarray(positions))
    size = pairs_of(pairs, number).shape[1]
    actual = numbers("actual", actual, size, "one of each pair")
    predicted = numbers("predicted", predicted, size, "one of each pair")
    seen, chosen, segments = cut_pairs(positions, box, pairs, axis, slab)
    span = _limits(limits, np.concatenate([actual[chosen], predicted[chosen]]))
    axes = panels(2, PAGE, 4.65, sharex=True, sharey=True)
    for ax, values in zip(axes, (predicted, actual), strict=True):
        lines = _segments(ax, seen, segments, values[chosen], span, cmap)
        _dots(ax, seen, types)
    axes[1].set_ylabel("")
    color_bar(lines, list(axes), _LABEL, np.concatenate([actual[chosen], predicted[chosen]]), span)
    say(axes[0], model, seen.text)
    say(axes[1], "simulation", setting(temperature, time, number))
    return axes[0], axes[1]


def _limits(limits: tuple[float, float] | None, values: np.ndarray) -> tuple[float, float]:
    """The range of colours, with 0 in it."""
    if limits is not None:
        return limits_of(limits)
    low, high = limits_of(None, values)
    return min(low, 0.0), max(high, 0.0)


def _segments(
    ax: Axes, seen: Slab, segments: np.ndarray, values: np.ndarray, limits: tuple[float, float], cmap: str
) -> LineCollection:
    from matplotlib.collections import LineCollection

    order = np.argsort(np.abs(values), kind="stable")
    segments, values = segments[order], values[order]
    index, shift = with_images(segments.min(axis=1), segments.max(axis=1), seen.window)
    lines = LineCollection(list(segments[index] + shift[:, None]), linewidths=1.6, capstyle="round")
    lines.set(array=values[index], clim=limits, cmap=around_zero(cmap, limits))
    ax.add_collection(lines, autolim=False)
    frame(ax, seen)
    return lines


def _dots(ax: Axes, seen: Slab, types: Any) -> None:
    if types is None:
        return
    is_a = np.asarray(types)[seen.particles] == 0
    for chosen, color in ((is_a, "0.15"), (~is_a, "0.75")):
        ax.plot(*seen.points[chosen].T, "o", color=color, markersize=1.8, markeredgewidth=0.3, markeredgecolor="0.15")

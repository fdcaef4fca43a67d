"""Fig. 7: particles in a slab, coloured by propensity, with the local displacement field as arrows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .appearance import PAGE, panel, panels, setting, styled
from .colors import color_bar, limits_of, say
from .inputs import numbers
from .slab import Slab, cut, frame, with_images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import EllipseCollection

__all__ = ["DIAMETERS", "propensity_compared", "propensity_map"]

# Drawn diameters: sigma_AA and sigma_BB of the Kob-Andersen mixture, Phys. Rev. E 51, 4626 (1995).
DIAMETERS = (1.0, 0.88)
_LABEL = r"propensity $\mathcal{S}_i\,/\,\sigma_{AA}$"


@styled
def propensity_map(
    positions: Any,
    types: Any,
    box: Any,
    values: Any,
    *,
    axis: int = 2,
    slab: tuple[float, float] | None = None,
    field: tuple[Any, Any] | None = None,
    limits: tuple[float, float] | None = None,
    cmap: str = "viridis",
    label: str = _LABEL,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    diameters: Sequence[float] = DIAMETERS,
    ax: Axes | None = None,
) -> Axes:
    """The particles of a slab as discs, coloured by a value of each, such as the propensity S_i.

    A disc at an edge of the box is drawn at the other edge too. Of two discs the one with the larger coordinate along
    `axis` is in front.

    Parameters
    ----------
    positions : (N, D) array, D = 2 or 3, in the length unit of the box; wrapped into it for drawing
    types : (N,) integers, 0 = A, 1 = B; decides the drawn size
    box : (D,) edge lengths of an orthorhombic box
    values : (N,) what the colours say
    axis, slab : the particles with slab[0] < r_axis < slab[1] are drawn; by default the middle of the box, 1 thick
    field : points (M, 2) in the plane and arrows (M, 2), such as the local displacement field, Eq. (16) of Shiba et
        al., J. Chem. Phys. 158, 084503 (2023), interpolated to a grid
    limits : lowest and highest value of the colours; by default those of the slab without the outermost per cents
    cmap : a colour map of matplotlib
    label : of the colours; None leaves the bar out
    title : what is shown, before T, t and N
    temperature, time : said in the figure where they are given
    diameters : drawn, by type; further types have the last
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for shapes that do not agree, a triclinic box, or a slab without particles.

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures import propensity_map
    >>> rng = np.random.default_rng(0)
    >>> r, s = rng.random((500, 3)) * 7.5, rng.random(500)
    >>> ax = propensity_map(r, np.zeros(500, int), 7.5, s, temperature=0.44, time=4120)
    >>> ax.get_title(loc="left").splitlines()
    ['$T = 0.44$, $t = 4120$, $N = 500$, $3.25 < z < 4.25$']
    """
    seen = cut(positions, box, axis, slab)
    number = len(np.asarray(positions))
    values, kinds = numbers("values", values, number, "one of each particle"), _kinds(types, number)
    ax = panel(ax, height=3.8)
    low, high = limits_of(limits, values[seen.particles])
    discs = _discs(ax, seen, kinds, values, diameters, (low, high), cmap)
    if field is not None:
        _arrows(ax, seen, field)
    if label is not None:
        color_bar(discs, [ax], label, values[seen.particles], (low, high))
    say(ax, title, setting(temperature, time, number, seen.text))
    return ax


@styled
def propensity_compared(
    positions: Any,
    types: Any,
    box: Any,
    actual: Any,
    predicted: Any,
    *,
    axis: int = 2,
    slab: tuple[float, float] | None = None,
    field: tuple[Any, Any] | None = None,
    limits: tuple[float, float] | None = None,
    label: str = _LABEL,
    model: str = "BOTAN",
    temperature: float | None = None,
    time: float | None = None,
    diameters: Sequence[float] = DIAMETERS,
) -> tuple[Axes, Axes, Axes]:
    """Predicted and actual propensity in a slab on one scale of colours, and the error, over the width of a page.

    The title of the first panel holds Pearson's correlation over the type-A particles of the whole configuration, and
    the ratio of the standard deviations of predictions and actual values: a model that has not learned everything
    predicts too little spread, and the colours show it. The error has colours of its own, white at 0.

    Parameters
    ----------
    positions, types, box, axis, slab, field, label, temperature, time, diameters
        as in `propensity_map`
    actual, predicted : (N,) S_i of the simulation, and of the model
    limits : of the first two panels; by default the range of both in the slab, without the outermost per cents
    model : what has predicted, as the titles name it

    Returns
    -------
    three matplotlib.axes.Axes: predicted, actual, error

    Raises
    ------
    InputError
        as `propensity_map`.

    Source: Fig. 7 of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures import propensity_compared
    >>> rng = np.random.default_rng(0)
    >>> r, s = rng.random((500, 3)) * 7.5, rng.random(500)
    >>> axes = propensity_compared(r, np.zeros(500, int), [7.5, 7.5, 7.5], s, s)
    >>> [ax.get_title(loc="left").splitlines()[0] for ax in axes]
    ['BOTAN, Pearson 1.00 (type A)', 'simulation', 'error, BOTAN $-$ simulation']
    """
    seen = cut(positions, box, axis, slab)
    number = len(np.asarray(positions))
    kinds = _kinds(types, number)
    actual = numbers("actual", actual, number, "one of each particle")
    predicted = numbers("predicted", predicted, number, "one of each particle")
    inside = seen.particles
    both = limits_of(limits, actual[inside], predicted[inside])
    error = predicted - actual
    most = float(np.percentile(np.abs(error[inside]), 99)) or 1.0
    axes = panels(3, PAGE, 3.35, sharex=True, sharey=True)
    drawn = []
    for ax, values, span, cmap in zip(
        axes, (predicted, actual, error), (both, both, (-most, most)), ("viridis", "viridis", "RdBu_r"), strict=True
    ):
        drawn.append(_discs(ax, seen, kinds, values, diameters, span, cmap))
        if field is not None:
            _arrows(ax, seen, field, key=ax is axes[2])
    for ax in axes[1:]:
        ax.set_ylabel("")
    color_bar(drawn[1], list(axes[:2]), label, np.concatenate([actual[inside], predicted[inside]]), both)
    said = r"error$\,/\,\sigma_{AA}$" if label == _LABEL else f"error of {label}"
    color_bar(drawn[2], [axes[2]], said, error[inside], (-most, most))
    say(axes[0], *_agreement(model, actual, predicted, kinds == 0))
    say(axes[1], "simulation", setting(temperature, time, number))
    say(axes[2], f"error, {model} $-$ simulation", seen.text)
    return axes[0], axes[1], axes[2]


def _kinds(types: Any, number: int) -> np.ndarray:
    kinds = np.asarray(types)
    if kinds.shape != (number,) or kinds.dtype.kind not in "iu" or kinds.min() < 0:
        raise InputError(f"types has shape {kinds.shape} and dtype {kinds.dtype}; give ({number},) integers from 0")
    return kinds.astype(np.int64)


def _discs(
    ax: Axes,
    seen: Slab,
    kinds: np.ndarray,
    values: np.ndarray,
    diameters: Sequence[float],
    limits: tuple[float, float],
    cmap: str,
) -> EllipseCollection:
    """Discs in order of depth, with their images at the edges."""
    from matplotlib.collections import EllipseCollection

    sizes = np.asarray(diameters, dtype=np.float64)[np.minimum(kinds[seen.particles], len(diameters) - 1)]
    radii = sizes[:, None] / 2
    index, shift = with_images(seen.points - radii, seen.points + radii, seen.window)
    discs = EllipseCollection(
        sizes[index],
        sizes[index],
        np.zeros(len(index)),
        units="xy",
        offsets=seen.points[index] + shift,
        offset_transform=ax.transData,
    )
    discs.set(array=values[seen.particles][index], clim=limits, cmap=cmap, edgecolor="black", linewidth=0.25)
    ax.add_collection(discs, autolim=False)
    frame(ax, seen)
    return discs


def _arrows(ax: Axes, seen: Slab, field: tuple[Any, Any], key: bool = True) -> None:
    """Arrows at their points, so long that they do not reach the next one but rarely, and how long one is."""
    from matplotlib.patheffects import withStroke

    points, arrows = (np.asarray(part, dtype=np.float64) for part in field)
    if points.ndim != 2 or points.shape[1] != 2 or points.shape != arrows.shape:
        raise InputError(f"field has points {points.shape} and arrows {arrows.shape}; give (M, 2) of both")
    known = np.isfinite(arrows).all(axis=1)
    points, arrows = points[known], arrows[known]
    length = np.linalg.norm(arrows, axis=1)
    if not len(length) or not length.max() > 0:
        return
    spacing = np.sqrt(seen.window.prod() / len(points))
    scale = np.percentile(length, 95) / (1.25 * spacing)
    quiver = ax.quiver(
        *points.T, *arrows.T, angles="xy", scale_units="xy", scale=scale, width=0.007, headwidth=4, headlength=4.5,
        color="black", zorder=3,
    )  # fmt: skip
    quiver.set_path_effects([withStroke(linewidth=0.7, foreground="white")])
    if not key:
        return
    shown = float(f"{np.percentile(length, 95):.1g}")
    said = ax.quiverkey(quiver, 0.8, -0.16, shown, rf"${shown:g}\,\sigma_{{AA}}$", labelpos="E", labelsep=0.05)
    said.text.set_fontsize(8)


def _agreement(model: str, actual: np.ndarray, predicted: np.ndarray, chosen: np.ndarray) -> tuple[str, ...]:
    actual, predicted = actual[chosen], predicted[chosen]
    if len(actual) < 3 or not actual.std() > 0 or not predicted.std() > 0:
        return (model,)
    pearson, spread = np.corrcoef(actual, predicted)[0, 1], predicted.std() / actual.std()
    return f"{model}, Pearson {pearson:.2f} (type A)", f"spread {spread:.2f} of that of the simulation"

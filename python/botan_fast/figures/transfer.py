"""The transfer matrix: models that were trained for one temperature (or time), scored at another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from .appearance import COLUMN, panel, setting, styled
from .colors import say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["transfer_matrix"]


@styled
def transfer_matrix(
    matrix: Any,
    rows: Sequence[Any],
    columns: Sequence[Any],
    *,
    rows_are: str = r"trained at $T$",
    columns_are: str = r"tested at $T$",
    label: str = r"Pearson of $\mathcal{S}_i$ (type A)",
    limits: tuple[float, float] | None = None,
    title: str = "",
    temperature: float | None = None,
    time: float | None = None,
    number: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Scores as a matrix of colours with their numbers: what was trained in the rows, what it was tested on below.

    Parameters
    ----------
    matrix : (R, C) scores; nan, an empty cell, where there is none
    rows, columns : R and C names or numbers: temperatures, or times
    rows_are, columns_are : what they are; label : what the scores are
    limits : of the colours; by default 0, or a lower score, to the largest
    title : what is shown
    temperature, time : said in the figure where all scores have the same; number : of particles, likewise
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for a matrix that has another shape than the names, or no number.

    Examples
    --------
    >>> from botan_fast.figures import transfer_matrix
    >>> ax = transfer_matrix([[0.75, 0.6], [0.5, 0.7]], [0.44, 0.64], [0.44, 0.64])
    >>> [text.get_text() for text in ax.texts]
    ['0.75', '0.60', '0.50', '0.70']
    """
    values = np.array([[np.nan if cell is None else cell for cell in row] for row in matrix], dtype=np.float64)
    if values.shape != (len(rows), len(columns)):
        raise InputError(
            f"matrix has shape {values.shape}; {len(rows)} rows and {len(columns)} columns need "
            f"({len(rows)}, {len(columns)})"
        )
    if not np.isfinite(values).any():
        raise InputError("matrix holds no number; give at least one score")
    low, high = (min(0.0, np.nanmin(values)), np.nanmax(values)) if limits is None else limits
    side = (COLUMN - 1.2) / len(columns)
    ax = panel(ax, COLUMN, min(max(0.9 + side * len(rows), 1.6), 4.5))
    image = ax.imshow(values, cmap="viridis", vmin=low, vmax=high if high > low else low + 1, aspect="auto")
    small = 8 if len(columns) < 6 else 6
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = (value - low) < 0.6 * (high - low)
            ax.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if dark else "black", fontsize=small)
    ax.set_xticks(range(len(columns)), list(map(_name, columns)))
    ax.set_yticks(range(len(rows)), list(map(_name, rows)))
    ax.tick_params(top=False, right=False, left=False, bottom=False)
    if len(columns) > 6:
        ax.tick_params(axis="x", rotation=45)
    ax.set(xlabel=columns_are, ylabel=rows_are)
    say(ax, title, setting(temperature, time, number))
    bar = ax.figure.colorbar(image, ax=ax, label=label, pad=0.02, aspect=20)
    bar.ax.tick_params(direction="out", left=False)
    return ax


def _name(value: Any) -> str:
    try:
        return f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)

"""A training as two curves: its losses, and its scores along the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .appearance import PAGE, panel, panels, styled
from .history import losses
from .inputs import numbers, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["score_curves", "training_curves"]

# Column of a history, what it is called, and how it is drawn.
_SCORES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("node_pearson", "test, particles", {"color": "C0", "linestyle": "-"}),
    ("edge_pearson", "test, pairs", {"color": "C1", "linestyle": "--"}),
    ("validation_node_pearson", "validation, particles", {"color": "C2", "linestyle": "-."}),
    ("validation_edge_pearson", "validation, pairs", {"color": "C3", "linestyle": ":"}),
)


@styled
def score_curves(history: Any, *, title: str = "", ax: Axes | None = None) -> Axes:
    """Pearson's correlations against the epoch, of the epochs in which they were taken.

    Parameters
    ----------
    history : list of dict, or dict of columns: `epoch` and any of node_pearson, edge_pearson, validation_node_pearson,
        validation_edge_pearson, as `TrainingResult.history` has them; None or NaN where an epoch has none
    title : said above
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes
        Without lines, and saying so, where no epoch has a score: a run without test data has none.

    Raises
    ------
    InputError
        for a history without epochs.

    Examples
    --------
    >>> from botan_fast.figures import score_curves
    >>> ax = score_curves([{"epoch": 0, "node_pearson": 0.1}, {"epoch": 1}, {"epoch": 2, "node_pearson": 0.4}])
    >>> ax.lines[0].get_xydata().tolist()
    [[0.0, 0.1], [2.0, 0.4]]
    """
    from matplotlib.ticker import MaxNLocator

    rows = table("history", history, "epoch")
    ax = panel(ax)
    for column, label, look in _SCORES:
        try:
            known = table("history", rows, "epoch", column)
        except InputError:
            continue
        x, y = (numbers("history", [row[name] for row in known]) for name in ("epoch", column))
        marker: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(x) < 40 else {}
        ax.plot(x, y, label=label, **look, **marker)
    ax.set(xlabel="epoch", ylabel="Pearson")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title, loc="left")
    if ax.lines:
        ax.legend()
    else:
        ax.text(0.5, 0.5, "no scores: no test data", ha="center", va="center", transform=ax.transAxes)
    return ax


@styled
def training_curves(history: Any, *, title: str = "", axes: Sequence[Axes] | None = None) -> tuple[Axes, Axes]:
    """`losses` and `score_curves` of a training side by side.

    Parameters
    ----------
    history : as for both
    title : such as what was trained on what
    axes : two axes to draw into; by default those of a new figure, a page wide

    Returns
    -------
    tuple of two matplotlib.axes.Axes

    Raises
    ------
    InputError
        for a history without epochs or without losses, and for another number of axes.

    Examples
    --------
    >>> from botan_fast.figures import training_curves
    >>> left, right = training_curves([{"epoch": 0, "train_loss": 0.2, "node_pearson": 0.1}])
    >>> left.get_ylabel(), right.get_ylabel()
    ('loss', 'Pearson')
    """
    if axes is None:
        axes = panels(2, PAGE, 2.6)
    if len(axes) != 2:
        raise InputError(f"axes has {len(axes)} axes; give two, for losses and scores")
    return losses(history, title=title, ax=axes[0]), score_curves(history, ax=axes[1])

"""Fig. 3: losses against the epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .appearance import panel, styled
from .inputs import numbers, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["losses"]

# Column of a history, what it is called, and how it is drawn.
_LINES = (
    ("train_loss", "training", {"color": "C0"}),
    ("validation_loss", "validation", {"color": "C2", "linestyle": "-."}),
    ("test_loss", "test", {"color": "C1", "linestyle": "--"}),
)
_PARTS = (
    ("train_node_loss", r"training, $\mathcal{S}$ alone", {"color": "C5", "linestyle": ":"}),
    ("train_edge_loss", r"training, $\mathcal{E}$ alone", {"color": "C3", "linestyle": ":"}),
)


@styled
def losses(history: Any, *, parts: bool = False, title: str = "", ax: Axes | None = None) -> Axes:
    """Losses of a training against the epoch: training, validation and test, as far as they are known.

    The scale is logarithmic where they fall by half or more.

    The loss is p <(S_hat - S)^2> + (1 - p) <(E_hat - E)^2>, as `train` computes it.

    Parameters
    ----------
    history : list of dict, or dict of columns: `epoch` and any of train_loss, validation_loss, test_loss, as
        `TrainingResult.history` and history.csv of a run have them; None where an epoch has none
    parts : also the mean squared errors of particles and of pairs alone (train_node_loss, train_edge_loss)
    title : such as what was trained on what
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        for a history without epochs or without a loss that is above 0.

    Source: Fig. 3 of Shiba et al., J. Chem. Phys. 158, 084503 (2023).

    Examples
    --------
    >>> from botan_fast.figures import losses
    >>> ax = losses([{"epoch": 0, "train_loss": 0.2, "test_loss": 0.3}, {"epoch": 1, "train_loss": 0.1}])
    >>> [line.get_label() for line in ax.lines]
    ['training', 'test']
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    rows = table("history", history, "epoch")
    drawn = []
    for column, label, look in (*_LINES, *(_PARTS if parts else ())):
        try:
            known = [row for row in table("history", rows, "epoch", column) if row[column] > 0]
        except InputError:
            continue
        if known:
            drawn.append((known, column, label, look))
    if not drawn:
        raise InputError("history has no loss above 0; give rows with epoch and train_loss or test_loss")
    ax = panel(ax)
    for known, column, label, look in drawn:
        x, y = (numbers("history", [row[name] for row in known]) for name in ("epoch", column))
        look = {**look, "marker": "o", "markersize": 2.5} if len(x) < 40 else look
        ax.plot(x, y, label=label, **look)
    ax.set(xlabel="epoch", ylabel="loss")
    values = [row[column] for known, column, *_ in drawn for row in known]
    if max(values) > 2 * min(values):  # else the marks of a logarithmic axis are too few
        ax.set_yscale("log")
        several = max(values) > 8 * min(values)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if several else range(1, 10)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(title, loc="left")
    ax.legend()
    return ax

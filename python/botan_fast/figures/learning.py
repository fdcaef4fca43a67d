"""A learning curve: scores against the number of training configurations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .pearson import pearson_against

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["learning_curve"]


def learning_curve(rows: Any, *, size: str = "num_train", **options: Any) -> Axes:
    """A score against the logarithm of the number of training configurations: medians and ranges.

    How steep it ends says whether more simulations or a better model would help.

    Parameters
    ----------
    rows : list of dict, or dict of columns, with `size` and the score
    size : the column with the number of training configurations
    options : `score`, `series`, `target`, `ceiling`, `title`, `ax` of `pearson_against`

    Returns the axes; errors as `pearson_against`.

    >>> from botan_fast.figures import learning_curve
    >>> ax = learning_curve([{"num_train": n, "node_pearson": r} for n, r in ((10, 0.5), (100, 0.65), (400, 0.75))])
    >>> [tick.get_text() for tick in ax.get_xticklabels()]
    ['10', '100', '400']
    """
    if size != "num_train":
        from .inputs import table

        rows = [{**row, "num_train": row[size]} for row in table("rows", rows, size)]
    return pearson_against(rows, "num_train", **options)

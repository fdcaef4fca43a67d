"""Figs. 5, 8, 9 and 10: Pearson's correlation against time, number of steps and p, with medians and ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .appearance import COLUMN, PAGE, panel, panels, styled
from .inputs import numbers, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "pearson_against",
    "pearson_against_p",
    "pearson_against_steps",
    "pearson_against_time",
    "pearson_of_targets",
    "score_label",
]

_MARKERS = "osD^v<>"
_STYLES = ("-", "--", "-.", ":")  # colours alone do not tell lines apart for everybody, nor on grey paper
_AXES = {
    "time": (r"$t$", "log"),
    "num_steps": r"number of message-passing steps $n$",
    "p": r"$p$ (1: particles alone, 0: pairs alone)",
    "num_train": ("training configurations", "log"),
    "num_particles": (r"$N$", "log"),
    "temperature": r"$T$",
}
_SYMBOLS = {"temperature": "T", "time": "t", "p": "p", "num_steps": "n", "num_particles": "N"}


@styled
def pearson_against(
    rows: Any,
    x: str,
    *,
    score: str = "node_pearson",
    series: str | None = None,
    order: Sequence[Any] | None = None,
    target: str = "S",
    ceiling: tuple[Any, Any] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> Axes:
    """A score against a quantity `x`: of the rows with the same x and series the median, and the range as a bar.

    Rows that differ in their seed alone make one point; the bar goes from the worst to the best, as in the paper.

    Parameters
    ----------
    rows : list of dict, or dict of columns, with `x` and `score`: rows of `botan-fast collect` (the texts of its CSV
        too), or `conditions` or `times` of `evaluate`. Rows without one of the two are left out
    x : "time", "num_steps", "p", "num_train", or another column of numbers
    score : the column that is drawn
    series : a column, such as "temperature" or "seed"; rows of one value are one line. "model" calls rows with p = 1
        the node-targeting model, those of `botan-fast baseline` the linear baseline, and others BOTAN, unless they say
        it themselves. By default "temperature" where there are several, else one line
    order : values of `series`, whose lines look by their places in it; so several axes agree. By default they rise
    target : letter of the node target, for the name of the axis
    ceiling : x (M,) and y (M,) of the largest coefficient that a finite number of runs allows, a grey line
    title : what is shown
    ax : the axes to draw into; by default those of a new figure, one column wide

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        when no row has both columns.

    Examples
    --------
    >>> from botan_fast.figures import pearson_against
    >>> rows = [{"p": 0.4, "node_pearson": 0.7}, {"p": 0.4, "node_pearson": 0.8}, {"p": 1, "node_pearson": 0.6}]
    >>> ax = pearson_against(rows, "p")
    >>> [round(float(y), 9) for y in ax.containers[0].lines[0].get_ydata()]
    [0.75, 0.6]
    """
    kept = table("rows", rows, x, score)
    if series is None and len({_of(row, "temperature") for row in kept}) > 1:
        series = "temperature"
    ax = panel(ax)
    label, *scale = _AXES[x] if isinstance(_AXES.get(x), tuple) else (_AXES.get(x, x),)
    if scale and min(row[x] for row in kept) > 0:
        _logarithmic(ax, [row[x] for row in kept])
    if ceiling is not None:
        where, most = (numbers("ceiling", part) for part in ceiling)
        rising = np.argsort(where)
        ax.plot(where[rising], most[rising], color="0.6", linestyle="--", label="ceiling of finite runs", zorder=1)
    groups = _groups(kept, series)
    names = [*dict.fromkeys([*(order or ()), *groups])]
    for name, own in groups.items():
        called = None if series is None else _called(series, name)
        _line(ax, own, x, score, names.index(name), len(names), called)
    if x in ("num_steps", "num_train"):
        _ticks(ax, sorted({row[x] for row in kept}))
    ax.set(xlabel=label, ylabel=score_label(score, target))
    ax.set_title(title or _common(kept, x, series), loc="left")
    if len(groups) > 1 or ceiling is not None:
        ax.legend()
    return ax


def pearson_against_time(rows: Any, **options: Any) -> Axes:
    """Pearson's correlation against the logarithm of time: Fig. 5 with score="edge_pearson", Fig. 8 of the nodes.

    Options, errors and result as in `pearson_against`.

    >>> from botan_fast.figures import pearson_against_time
    >>> ax = pearson_against_time([{"time": 13, "edge_pearson": 0.6}, {"time": 130, "edge_pearson": 0.5}],
    ...     score="edge_pearson")
    >>> ax.get_xscale()
    'log'
    """
    return pearson_against(rows, "time", **options)


def pearson_against_steps(rows: Any, **options: Any) -> Axes:
    """Pearson's correlation against the number of message-passing steps, Fig. 9. As `pearson_against`.

    >>> from botan_fast.figures import pearson_against_steps
    >>> ax = pearson_against_steps([{"num_steps": 2, "node_pearson": 0.6}, {"num_steps": 7, "node_pearson": 0.7}])
    >>> ax.get_xlabel()
    'number of message-passing steps $n$'
    """
    return pearson_against(rows, "num_steps", **options)


def pearson_against_p(rows: Any, **options: Any) -> Axes:
    """Pearson's correlation against p, the weight of the particles in the loss, Fig. 10. As `pearson_against`.

    >>> from botan_fast.figures import pearson_against_p
    >>> ax = pearson_against_p([{"p": 0.4, "node_pearson": 0.7}, {"p": 1.0, "node_pearson": 0.6}])
    >>> len(ax.containers)
    1
    """
    return pearson_against(rows, "p", **options)


@styled
def pearson_of_targets(
    rows: Any,
    *,
    targets: Sequence[str] = "SRD",
    score: str = "node_pearson",
    series: str | None = "model",
    ceiling: tuple[Any, Any] | None = None,
) -> tuple[Axes, ...]:
    """Pearson's correlation of S, R and D against time, BOTAN beside the node-targeting model.

    As Fig. 8 of the paper: a panel for each letter of `targets` that a row has as its `node_target` (S where a row
    names none), on one scale. `ceiling` is that of the first panel. The rest as in `pearson_against`.

    >>> from botan_fast.figures import pearson_of_targets
    >>> rows = [{"time": 13, "p": p, "node_target": letter, "node_pearson": 0.7} for p in (0.4, 1) for letter in "SD"]
    >>> [ax.get_ylabel() for ax in pearson_of_targets(rows)]
    ['Pearson of $\\\\mathcal{S}_i$ (type A)', 'Pearson of $\\\\mathcal{D}_i$ (type A)']
    """
    kept = table("rows", rows, "time", score)
    held = {letter: [row for row in kept if (row.get("node_target") or "S") == letter] for letter in targets}
    held = {letter: own for letter, own in held.items() if own} or {"S": kept}
    width = COLUMN if len(held) == 1 else PAGE
    axes = panels(len(held), width, 2.5, sharex=True, sharey=True)
    order = [*_groups([row for own in held.values() for row in own], series)]
    for ax, (letter, own) in zip(axes, held.items(), strict=True):
        most = ceiling if ax is axes[0] else None
        pearson_against(own, "time", score=score, series=series, order=order, target=letter, ceiling=most, ax=ax)
    shown = max(axes, key=lambda ax: len(ax.get_legend_handles_labels()[1]))  # the first with most lines
    for ax in axes:
        if ax is not axes[0] and ax.get_title(loc="left") == axes[0].get_title(loc="left"):
            ax.set_title("", loc="left")  # that of the first is of all
        if ax is not shown and (legend := ax.get_legend()) is not None:
            legend.remove()
    return axes


def score_label(score: str, target: str = "S") -> str:
    """The name of a score at an axis.

    >>> from botan_fast.figures.pearson import score_label
    >>> score_label("edge_pearson_pooled")
    'pooled Pearson of $\\\\mathcal{E}_{ij}$ (A-A)'
    """
    words = {"node": rf"$\mathcal{{{target}}}_i$ (type A)", "edge": r"$\mathcal{E}_{ij}$ (A-A)"}
    end = next((end for end in words if f"{end}_pearson" in score), None)
    if end is None:
        return score.replace("_", " ")
    return f"{'pooled ' if score.endswith('pooled') else ''}Pearson of {words[end]}"


def _groups(rows: Sequence[Mapping[str, Any]], series: str | None) -> dict[Any, list[Mapping[str, Any]]]:
    """The rows of each line, in rising order."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(None if series is None else _of(row, series), []).append(row)
    return dict(sorted(groups.items(), key=lambda item: _order(item[0])))


def _line(ax: Axes, rows: Sequence[Mapping], x: str, score: str, number: int, total: int, label: str | None) -> None:
    """Medians, joined, and ranges; beside those of other lines where they would hide each other."""
    from matplotlib.transforms import ScaledTranslation

    at = sorted({row[x] for row in rows})
    held = [[row[score] for row in rows if row[x] == where] for where in at]
    middle = np.array([np.median(values) for values in held])
    low, high = (np.array([end(values) for values in held]) for end in (min, max))
    beside = ScaledTranslation((number - (total - 1) / 2) * 1.6 / 72, 0, ax.figure.dpi_scale_trans)
    ranges = (high > low).any()
    drawn = ax.errorbar(
        at, middle, [middle - low, high - middle] if ranges else None, color=f"C{number % 7}", label=label,
        marker=_MARKERS[number % len(_MARKERS)], markerfacecolor="white", elinewidth=0.8,
        linestyle=_STYLES[number % len(_STYLES)],
    )  # fmt: skip
    if total > 1:
        for part in (drawn[0], *drawn[1], *drawn[2]):
            part.set_transform(ax.transData + beside)


def _of(row: Mapping[str, Any], series: str) -> Any:
    value = row.get(series)
    if series == "model" and not value:
        p = row.get("p")
        return "linear baseline" if row.get("command") == "baseline" else _model_of(p)
    if isinstance(value, list):
        return value[0] if len(value) == 1 else tuple(value)
    return value


def _model_of(p: Any) -> str:
    try:
        return "node-targeting" if float(p) == 1 else "BOTAN"
    except (TypeError, ValueError):
        return "BOTAN"


def _called(series: str, value: Any) -> str:
    if value is None or value == "":
        return f"no {series.replace('_', ' ')}"
    try:
        text = f"{float(value):g}"
    except (TypeError, ValueError):
        return str(value)
    return f"${_SYMBOLS[series]} = {text}$" if series in _SYMBOLS else f"{series.replace('_', ' ')} {text}"


def _order(value: Any) -> tuple:
    try:
        return (0, float(value), "")
    except (TypeError, ValueError):
        return (1, 0.0, str(value))


def _common(rows: Sequence[Mapping[str, Any]], x: str, series: str | None) -> str:
    """T, t, n and p, where all rows agree on them and no axis says them."""
    said = []
    for name in ("temperature", "time", "num_particles"):
        values = {str(_of(row, name)) for row in rows}
        value = _of(rows[0], name)
        if name not in (x, series) and len(values) == 1 and value not in (None, "") and not isinstance(value, tuple):
            said.append(_called(name, value))
    seeds = {str(row.get("seed")) for row in rows if row.get("seed") not in (None, "")}
    if len(seeds) > 1 and series != "seed":
        said.append(f"median and range of {len(seeds)} seeds")
    return ", ".join(said)


def _logarithmic(ax: Axes, values: Sequence[float]) -> None:
    """A logarithmic axis; where it has few powers of ten, with marks between them, as numbers that keep clear."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ax.set_xscale("log")
    if max(values) < 200 * min(values):
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _ticks(ax: Axes, values: Sequence[float]) -> None:
    """Ticks at the numbers that there are, where they are few."""
    if len(values) <= 12:
        ax.set_xticks(values, [f"{value:g}" for value in values])
        ax.minorticks_off()
        ax.tick_params(axis="y", which="minor", left=False)

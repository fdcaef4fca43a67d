"""The look that all figures share, their sizes, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from functools import partial, wraps
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..errors import InputError
from ..files import FilePath, atomic_write, file_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLUMN", "PAGE", "figure_of", "panel", "panels", "save_both", "save_figure", "setting", "style", "styled"]

COLUMN = 3.37  # inches: the width of a column
PAGE = 7.0  # and of both

_ENDINGS = (".pdf", ".png", ".svg")
_WITHOUT_DATE = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}

P = ParamSpec("P")
R = TypeVar("R")


def style() -> AbstractContextManager[None]:
    """The style of the figures as a context: what is drawn inside has their fonts, lines and colours.

    It is the file botan_fast.mplstyle of this folder, for `matplotlib.style`. The functions of this room apply it by
    themselves; your own plots beside them look alike inside it.

    >>> from matplotlib.figure import Figure
    >>> from botan_fast.figures.appearance import style
    >>> with style():
    ...     ax = Figure().add_subplot()
    >>> round(float(ax.figure.get_figwidth()), 2)
    3.37
    """
    import matplotlib.style

    return matplotlib.style.context(str(resources.files(__package__) / "botan_fast.mplstyle"))


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """A function that draws, in `style`; its axes keep their colours where they are shown outside of it."""

    @wraps(draw)
    def in_style(*args: P.args, **kwargs: P.kwargs) -> R:
        with style():
            drawn = draw(*args, **kwargs)
            _settle(drawn)
        return drawn

    return in_style


def _settle(drawn: Any) -> None:
    """Give lines the colours that "C0", "C1", ... are in this style: matplotlib looks them up when it draws."""
    from matplotlib.colors import to_hex
    from matplotlib.lines import Line2D

    for axes in drawn if isinstance(drawn, tuple) else (drawn,):
        for line in axes.findobj(Line2D):
            for part in ("color", "markerfacecolor", "markeredgecolor"):
                held = getattr(line, f"get_{part}")()
                if isinstance(held, str) and held[0] == "C":
                    getattr(line, f"set_{part}")(to_hex(held))


def panel(ax: Axes | None, width: float = COLUMN, height: float = 2.5) -> Axes:
    """The axes to draw into: the caller's, or those of a new figure of this size in inches, made without pyplot."""
    return panels(1, width, height)[0] if ax is None else ax


def panels(number: int, width: float, height: float, **options: Any) -> tuple[Axes, ...]:
    """So many axes side by side in a new figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    vars(figure)["_repr_png_"] = partial(_shown, figure)  # notebooks show `ax.figure`, of which pyplot knows nothing
    return tuple(figure.subplots(1, number, squeeze=False, **options)[0])


def _shown(figure: Figure) -> bytes:
    """The figure as a PNG for a notebook."""
    shown = BytesIO()
    with style():
        figure.savefig(shown, format="png", dpi=150)
    return shown.getvalue()


def setting(temperature: float | None = None, time: float | None = None, number: int | None = None, *more: str) -> str:
    """What a figure says of its data: T, t and N as far as they are known, and further texts.

    >>> from botan_fast.figures.appearance import setting
    >>> setting(0.44, 4120.0, 4096, "11.1 < z < 11.9")
    '$T = 0.44$, $t = 4120$, $N = 4096$, 11.1 < z < 11.9'
    """
    parts = [] if temperature is None else [f"$T = {temperature:g}$"]
    parts += [] if time is None else [f"$t = {time:.7g}$"]
    parts += [] if number is None else [f"$N = {number}$"]
    return ", ".join([*parts, *(text for text in more if text)])


def figure_of(drawn: Figure | Axes | Iterable[Axes]) -> Figure:
    """A figure as it is, or that of axes, or of several axes.

    >>> from botan_fast.figures.appearance import figure_of, panel
    >>> ax = panel(None)
    >>> figure_of(ax) is figure_of([ax]) is figure_of(ax.figure)
    True
    """
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(drawn, Figure):
        return drawn
    axes = drawn if isinstance(drawn, Axes) else next(iter(drawn))
    figure = axes.figure.figure  # of a part of a figure the whole
    assert isinstance(figure, Figure)
    return figure


def save_figure(figure: Figure | Axes | Iterable[Axes], path: FilePath) -> None:
    """Write a figure, that of axes, or that of several axes, to `path`, completely or not at all.

    The ending says how: .pdf and .svg (vectors) or .png (300 dots per inch). The same figure gives the same bytes.
    InputError for another ending.

    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> from botan_fast.figures.appearance import save_figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_figure(Figure().add_subplot(), folder + "/empty.pdf")
    """
    path = Path(path)
    if path.suffix not in _ENDINGS:
        raise InputError(f"path = '{path}' does not end in {', '.join(_ENDINGS)}; name a file with one of them")
    with style(), atomic_write(path) as temporary:
        figure_of(figure).savefig(temporary, format=path.suffix[1:], metadata=_WITHOUT_DATE.get(path.suffix))


def save_both(figure: Figure | Axes | Iterable[Axes], folder: FilePath, name: str) -> list[Path]:
    """Write a figure as NAME.pdf and NAME.png into a folder that exists, and return the paths.

    >>> import tempfile
    >>> from botan_fast.figures.appearance import panel, save_both
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in save_both(panel(None), folder, "empty")]
    ['empty.pdf', 'empty.png']
    """
    whole = figure_of(figure)
    paths = [Path(folder) / f"{file_name(name)}{ending}" for ending in (".pdf", ".png")]
    for path in paths:
        save_figure(whole, path)
    return paths

"""Figures as pictures of a page: one for paper and light screens, one for dark screens."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..figures.appearance import figure_of, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "NIGHT", "PAPER", "Picture", "picture"]

INK = "#e8e6e3"  # of texts and lines on dark screens, as the page's own text there
PAPER, NIGHT = "#ffffff", "#16181c"  # the page itself, light and dark
_MOST_MARKS = 300  # of an SVG; thousands of discs are smaller as WebP
_WIDE = 5.0  # inches
_DPI = 160  # a wide one has a dot and a fifth for each of a common screen, and one for each of a telephone's
_DARK = 0.35  # luminance below which ink would vanish on a dark page


@dataclass(frozen=True)
class Picture:
    """A figure in a page.

    title, caption   above and below it
    text             what it shows, for those who do not see it
    light, dark      data URIs, for either colour of the page
    wide             does it take the width of the page?
    """

    title: str
    caption: str
    text: str
    light: str
    dark: str
    wide: bool = False


def picture(drawn: Figure | Axes | Iterable[Axes], title: str, text: str, caption: str = "") -> Picture:
    """The figure of some axes as a picture. The figure is changed: afterwards it has the colours for dark screens.

    It is SVG, and WebP where that would be large: with many discs or segments. The same figure gives the same text.

    >>> from matplotlib.figure import Figure
    >>> from botan_fast.report.pictures import picture
    >>> made = picture(Figure(figsize=(2, 2)).add_subplot(), "losses", "An empty frame.")
    >>> made.light[:26], made.light == made.dark
    ('data:image/svg+xml;base64,', False)
    """
    figure = figure_of(drawn)
    kind = "webp" if _marks(figure) > _MOST_MARKS else "svg"
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
    light = _encoded(figure, kind, PAPER)
    figure.set_layout_engine("none")  # it stands: to lay it out again takes as long as to draw it
    _darken(figure)
    return Picture(title, caption, text, light, _encoded(figure, kind, NIGHT), figure.get_figwidth() > _WIDE)


def _marks(figure: Figure) -> int:
    """How many discs, arrows and segments there are: each has a place of its own in an SVG."""
    from matplotlib.collections import Collection

    found: Any = figure.findobj(lambda part: isinstance(part, Collection) and not part.get_rasterized())
    return sum(max(len(part.get_offsets()), len(part.get_paths())) for part in found)


def _encoded(figure: Figure, kind: str, page: str) -> str:
    """The figure as a data URI; as WebP on the colour of the page, for a transparent one has twice the bytes."""
    import matplotlib

    content = io.BytesIO()
    # Letters as outlines: a picture in a page sees no fonts but the reader's.
    with style(), matplotlib.rc_context({"svg.fonttype": "path"}):
        if kind == "webp":
            options: dict[str, Any] = {"facecolor": page, "pil_kwargs": {"quality": 80, "method": 6}}
            figure.savefig(content, format=kind, dpi=_DPI, **options)
            return f"data:image/webp;base64,{b64encode(content.getvalue()).decode('ascii')}"
        figure.savefig(content, format=kind, transparent=True, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(content.getvalue()).decode('ascii')}"


def _darken(figure: Figure) -> None:
    """Give what is nearly black the ink of dark screens: texts, frames, ticks, and lines.

    Colours that carry a meaning, of points and areas, stay as they are; those of discs and segments keep a ground of
    paper, on which white means nothing and dark means much.
    """
    from matplotlib.collections import EllipseCollection, LineCollection
    from matplotlib.lines import Line2D
    from matplotlib.quiver import QuiverKey
    from matplotlib.spines import Spine
    from matplotlib.text import Text

    for axes in figure.axes:
        ticks = {tick for axis in (axes.xaxis, axes.yaxis) for tick in (*axis.majorTicks, *axis.minorTicks)}
        drawn = [part for part in axes.collections if part.get_array() is not None]
        on_paper = any(isinstance(part, (EllipseCollection, LineCollection)) for part in drawn)
        if on_paper:
            axes.patch.set(facecolor=PAPER, alpha=1.0)
        axes.tick_params(which="both", color=INK, labelcolor=INK)
        of_ticks = {part for tick in ticks for part in tick.findobj(Line2D)}
        for line in axes.findobj(Line2D):
            if not (on_paper and line not in of_ticks) and _is_dark(line.get_color()):
                line.set_color(INK)
        for lines in axes.collections:
            plain = isinstance(lines, LineCollection) and lines.get_array() is None and not on_paper
            if plain and len(edges := lines.get_edgecolor()) and all(_is_dark(colour) for colour in edges):
                lines.set_color(INK)
    for artist in figure.findobj(lambda part: isinstance(part, (Text, Spine))):
        if isinstance(artist, Text) and _is_dark(artist.get_color()):
            artist.set_color(INK)
        elif isinstance(artist, Spine) and _is_dark(artist.get_edgecolor()):
            artist.set_edgecolor(INK)
    for key in figure.findobj(QuiverKey):  # beside the axes; its text is no child of it
        key.text.set_color(INK)
        key.color = INK


def _is_dark(colour: Any) -> bool:
    """Is a colour nearly black, rather than a dark blue?"""
    from matplotlib.colors import to_rgb

    if not isinstance(colour, str) and np.ndim(colour) != 1:
        return False
    if isinstance(colour, str) and colour == "none":
        return False
    red, green, blue = to_rgb(colour)
    return max(red, green, blue) - min(red, green, blue) < 0.1 and red < _DARK

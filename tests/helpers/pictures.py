"""Where the texts of a figure lie, as they are drawn."""

from itertools import combinations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


def texts(figure):
    """The texts of a figure that are not empty, with their boxes in pixels: titles, names of axes, legends, notes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    ticks = {tick for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_ticklabels(which="both")}
    found = [one for one in figure.findobj(Text) if one.get_text().strip() and one.get_visible() and one not in ticks]
    return [(one.get_text(), one.get_window_extent(canvas.get_renderer())) for one in found]


def misplaced(figure):
    """Texts that reach beyond the paper, and pairs of texts that lie over each other."""
    held, paper = texts(figure), figure.bbox.padded(1)
    out = [
        text for text, box in held if box.x0 < paper.x0 or box.y0 < paper.y0 or box.x1 > paper.x1 or box.y1 > paper.y1
    ]
    # A line of a box is higher than its letters: a pixel more or less is none.
    over = [
        (one, other)
        for (one, a), (other, b) in combinations(held, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
    ]
    return out, over

"""The curves of a run while it goes on: in a notebook, or in a file."""

from __future__ import annotations

import io
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import FilePath
from ..terminal import in_notebook
from .callbacks import Callback, OpenedRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..model.botan import BOTAN

__all__ = ["LiveCurve"]

_ENDINGS = (".pdf", ".png", ".svg")


class LiveCurve(Callback):
    """Losses and scores against the epoch, drawn anew while the run goes on.

    In a notebook the picture stands below the cell and is replaced; with `path` it is a file, replaced in one step,
    which a viewer may keep open. A run that is resumed begins with its history. It is drawn after the first epoch,
    then at most every `every` seconds, and at the end.

    Parameters
    ----------
    path : path, optional
        A file that ends in .png, .svg or .pdf, in a folder that exists; needed outside of a notebook.
    every : float
        Seconds between two drawings, not negative. One takes about a third of a second.

    Attributes
    ----------
    drawn
        How many times it has been drawn.

    Raises
    ------
    InputError
        for wrong arguments, and without `path` outside of a notebook.

    Examples
    --------
    >>> from botan_fast.callbacks import LiveCurve
    >>> curve = LiveCurve("curve.png")
    >>> curve.epoch_finished({"epoch": 0, "train_loss": 0.2}, None)
    >>> curve.drawn
    1

    In a run: ``bf.train("train.h5", "test.h5", callbacks=[LiveCurve()])``
    """

    def __init__(self, path: FilePath | None = None, every: float = 2.0) -> None:
        if not isinstance(every, (int, float)) or not every >= 0:
            raise InputError(f"every = {every!r}; give the seconds between two drawings, not negative")
        if path is None and not in_notebook():
            raise InputError("LiveCurve: there is no notebook to draw in; give path, such as 'curve.png'")
        if path is not None and Path(path).suffix not in _ENDINGS:
            raise InputError(f"path = '{path}' does not end in {', '.join(_ENDINGS)}; name a file with one of them")
        self.path, self.every, self.drawn = None if path is None else Path(path), every, 0
        self._begin([])

    def _begin(self, rows: list[dict[str, Any]]) -> None:
        self._rows, self._last, self._fresh = rows, float("-inf"), False
        self._shown: Any = None  # the handle of the picture in the notebook

    def run_opened(self, run: OpenedRun) -> None:
        """Begin anew, with the history of a resumed run."""
        self._begin([dict(row) for row in run.history])

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self._rows.append(dict(row))
        self._fresh = True
        if monotonic() - self._last >= self.every:
            self._draw()

    def run_ended(self) -> None:
        if self._fresh:
            self._draw()

    def _draw(self) -> None:
        from ..figures import save_figure, training_curves
        from ..figures.appearance import figure_of

        axes = training_curves(self._rows)
        if self.path is not None:
            save_figure(axes, self.path)
        if in_notebook():
            self._show(figure_of(axes))
        self.drawn += 1
        self._last, self._fresh = monotonic(), False

    def _show(self, figure: Figure) -> None:
        from IPython.display import Image, display

        from ..figures import style

        content = io.BytesIO()
        with style():
            figure.savefig(content, format="png", dpi=110)
        image = Image(data=content.getvalue(), format="png")
        if self._shown is None:
            self._shown = display(image, display_id=True)
        else:
            self._shown.update(image)

"""How far the prediction of a large system is: a bar in a terminal, lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from ..model.streaming import reporting
from ..terminal import is_terminal, progress_bar, say

__all__ = ["EVERY", "shown_steps"]

EVERY = 10.0  # seconds between two lines in a log


@contextmanager
def shown_steps(name: str, show: bool, description: str) -> Iterator[None]:
    """Inside the block, standard error tells how many steps of slabs of a large system are done, when `show`.

    Nothing for systems that are not large: those have no slabs.

    >>> from botan_fast.evaluation.progress import shown_steps
    >>> with shown_steps("a", show=True, description="predicting"):
    ...     pass  # model(graph)
    """
    if not show:
        yield
        return
    steps = _Bar(f"{description} {name}") if is_terminal() else _Lines(f"{description} {name}")
    try:
        with reporting(steps):
            yield
    finally:
        steps.close()


class _Bar:
    def __init__(self, text: str) -> None:
        self.text = text
        self.bar: Any = None

    def __call__(self, done: int, total: int) -> None:
        if self.bar is None or done == 1:  # an ensemble has several passes
            self.close()
            self.bar = progress_bar(total=total, desc=self.text, unit=" slab-steps", leave=False)
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


class _Lines:
    def __init__(self, text: str) -> None:
        self.text, self.began = text, monotonic()
        self.said = self.began

    def __call__(self, done: int, total: int) -> None:
        now = monotonic()
        if now - self.said >= EVERY:
            self.said = now
            say(f"{self.text}: {done} of {total} slab-steps, {now - self.began:.0f} s")

    def close(self) -> None:
        pass

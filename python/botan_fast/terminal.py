"""Standard error, for progress and remarks: also where it is closed, or missing as in a process without a terminal."""

import contextlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

__all__ = [
    "INFO",
    "bar_class",
    "in_notebook",
    "is_terminal",
    "listeners",
    "log_lines_shown",
    "progress_bar",
    "say",
    "show_log_lines",
]

INFO = 20  # as in logging, which takes as long to load as all that --help needs

# Each gets every line that is said, with its level: the log file of a command.
listeners: list[Callable[[str, int], None]] = []
_log_lines_shown = False


def say(message: str, level: int = INFO, *, listened: bool = True) -> None:
    """A line on standard error; nothing where there is none. A progress bar stays whole, below it.

    level     of logging, for the log file
    listened  False: the log has it in other words

    >>> from botan_fast.terminal import say
    >>> say("reading")
    """
    with contextlib.suppress(OSError, ValueError, AttributeError), _above_bars():
        sys.stderr.write(f"{message}\n")  # at once: a line that is printed in two parts mixes with others
        sys.stderr.flush()
    if listened:
        for listener in listeners:
            listener(message, level)


def _above_bars() -> contextlib.AbstractContextManager[Any]:
    """Bars are cleared inside of the block, and drawn again after it; as `tqdm.write` does it."""
    bar = getattr(sys.modules.get("tqdm"), "tqdm", None)
    if bar is None or not getattr(bar, "_instances", None):  # its lock makes semaphores of the system
        return contextlib.nullcontext()
    mode: contextlib.AbstractContextManager[Any] = bar.external_write_mode(file=sys.stderr)
    return mode


def show_log_lines(shown: bool) -> None:
    """Log lines appear on standard error from now on (-v), so that progress need not say the same."""
    global _log_lines_shown
    _log_lines_shown = shown


def log_lines_shown() -> bool:
    """Do log lines appear on standard error?

    >>> from botan_fast.terminal import log_lines_shown
    >>> log_lines_shown()
    False
    """
    return _log_lines_shown


def is_terminal() -> bool:
    """Does somebody look at standard error, rather than a file keep it?

    >>> from botan_fast.terminal import is_terminal
    >>> is_terminal() in (True, False)
    True
    """
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError, OSError):
        return False


def in_notebook() -> bool:
    """Does this process run the cells of a Jupyter notebook? Nothing is imported to find out.

    >>> from botan_fast.terminal import in_notebook
    >>> in_notebook()
    False
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in (getattr(shell, "config", None) or {})  # as tqdm.auto finds out


def bar_class() -> Any:
    """tqdm as it suits the place: with widgets in a notebook that has ipywidgets, else as text.

    >>> from botan_fast.terminal import bar_class
    >>> bar_class().__name__
    'tqdm'
    """
    if not in_notebook():
        from tqdm import tqdm  # tqdm.auto takes as long again to load

        return tqdm
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # the bar of text is no worse news
        from tqdm.auto import tqdm as fitting

    return fitting


def progress_bar(items: Any = None, *, show: bool = True, **options: Any) -> Any:
    """A tqdm bar on standard error, or in a notebook, when `show` and somebody looks there; else one without output.

    >>> from botan_fast.terminal import progress_bar
    >>> list(progress_bar([1, 2], show=False))
    [1, 2]
    """
    return bar_class()(items, disable=not (show and (is_terminal() or in_notebook())), **options)

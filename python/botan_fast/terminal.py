"""Standard error, for progress and remarks: also where it is closed, or missing as in a process without a terminal."""

import contextlib
import sys
from typing import Any

__all__ = ["is_terminal", "progress_bar", "say"]


def say(message: str) -> None:
    """A line on standard error; nothing where there is none.

    >>> from botan_fast.terminal import say
    >>> say("reading")
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{message}\n")  # at once: a line that is printed in two parts mixes with others
        sys.stderr.flush()


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


def progress_bar(items: Any = None, *, show: bool = True, **options: Any) -> Any:
    """A tqdm bar on standard error, when `show` and somebody looks there; else one that shows nothing.

    >>> from botan_fast.terminal import progress_bar
    >>> list(progress_bar([1, 2], show=False))
    [1, 2]
    """
    from tqdm import tqdm

    return tqdm(items, disable=not (show and is_terminal()), **options)

"""The errors that botan_fast raises for bad input, and the warning for what is legal but rarely meant."""

import os
import sys
import warnings

__all__ = ["BotanFastError", "BotanFastWarning", "CheckpointError", "DataError", "InputError", "TrainingError", "warn"]

_PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")


class BotanFastError(ValueError):
    """Base of all errors about what the caller passed in: one line that names the argument, the value and the remedy.

    The command line prints it and ends with status 2.

    >>> import botan_fast as bf
    >>> issubclass(bf.BotanFastError, ValueError)
    True

    Names and texts of files from anywhere are quoted in messages; what is not printable in them shows as "?":

    >>> print(bf.BotanFastError("conf\\n1\\x1b[2J: no such file"))
    conf 1?[2J: no such file

    elsewhere   another process of the same run says it, so that it is one line
    """

    elsewhere = False

    def __str__(self) -> str:
        text = super().__str__()
        return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


class InputError(BotanFastError):
    """An argument has a wrong value, shape or dtype."""


class DataError(BotanFastError):
    """A data file is missing, broken, or holds something else than its format says."""


class CheckpointError(BotanFastError):
    """A model file is missing, broken, of an unknown format, or of another architecture."""


class TrainingError(BotanFastError):
    """Training cannot go on: the loss or a gradient is not finite, or a process of several is gone."""


class BotanFastWarning(UserWarning):
    """What is legal but rarely meant, such as training on the configurations of the test: one line.

    The command line prints it as "botan-fast: warning: ..." and goes on. `warnings.simplefilter("error",
    botan_fast.errors.BotanFastWarning)` makes it an error.

    >>> from botan_fast.errors import BotanFastWarning
    >>> issubclass(BotanFastWarning, UserWarning)
    True
    """


def warn(message: str) -> None:
    """Give a `BotanFastWarning` to whoever called into the package, so that Python shows it once for each such line.

    >>> import warnings
    >>> from botan_fast.errors import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("two times are mixed")
    >>> str(caught[0].message)
    'two times are mixed'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, BotanFastWarning, stacklevel=level)

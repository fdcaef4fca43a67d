"""The errors that botan_fast raises for bad input."""

__all__ = ["BotanFastError", "CheckpointError", "DataError", "InputError"]


class BotanFastError(ValueError):
    """Base of all errors about what the caller passed in: one line that names the argument, the value and the remedy.

    The command line prints it and ends with status 2.

    >>> import botan_fast as bf
    >>> issubclass(bf.BotanFastError, ValueError)
    True

    Names and texts of files from anywhere are quoted in messages; what is not printable in them shows as "?":

    >>> print(bf.BotanFastError("conf\\n1\\x1b[2J: no such file"))
    conf 1?[2J: no such file
    """

    def __str__(self) -> str:
        text = super().__str__()
        return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


class InputError(BotanFastError):
    """An argument has a wrong value, shape or dtype."""


class DataError(BotanFastError):
    """A data file is missing, broken, or holds something else than its format says."""


class CheckpointError(BotanFastError):
    """A model file is missing, broken, of an unknown format, or of another architecture."""

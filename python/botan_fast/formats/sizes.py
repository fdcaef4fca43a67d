"""How large the arrays of a file may become in memory. Not a format: every reader of arrays asks here first.

Compression makes zeros, or one number again and again, a thousand times smaller; a file of some kilobytes can declare
gigabytes. Coordinates do not compress by more than a factor of 10, and whoever stores types that do has positions
beside them. So the sizes that a file declares are added up before an array is made, and the sum may be 100 times the
file, or `FLOOR`, whichever is more.
"""

from pathlib import Path

from ..errors import DataError

__all__ = ["FLOOR", "MAX_GROUPS", "MAX_RATIO", "MAX_TIMES", "refuse_expansion"]
MAX_GROUPS = 10_000  # in one HDF5 file

MAX_RATIO = 100
MAX_TIMES = 10_000  # of one configuration
FLOOR = 64 << 20  # bytes; below, a file of any size may hold whatever it wants


def refuse_expansion(path: Path, declared: int, what: str = "its arrays") -> None:
    """DataError when `declared` bytes are more than a file of this size can honestly mean.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from botan_fast.formats.sizes import refuse_expansion
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     refuse_expansion(Path(file.name), 1_000_000)
    """
    size = path.stat().st_size
    if declared > max(FLOOR, MAX_RATIO * size):
        raise DataError(
            f"{path}: {what} would take {declared:.3g} bytes, but the file has {size}; coordinates do not compress by "
            f"more than a factor of {MAX_RATIO}, so this is no data; write the file again"
        )

"""Text files, plain or compressed by gzip, read whole with clear errors."""

import gzip
import io
import zlib
from pathlib import Path

from ..errors import DataError

__all__ = ["is_gzip", "read_text", "text_head"]

# Coordinates as text shrink by a factor of 2 to 4. Far more is not data, but an attempt to fill the memory.
MAX_RATIO = 100


def is_gzip(head: bytes) -> bool:
    return head.startswith(b"\x1f\x8b")


def text_head(head: bytes) -> bytes:
    """The beginning of the text, decompressed where `head`, the first bytes of the file, is of gzip."""
    if not is_gzip(head):
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, 512)
    except zlib.error:
        return b""


def read_text(path: Path) -> bytes:
    """The whole text; DataError when the file cannot be read, or the gzip stream is truncated or damaged."""
    try:
        content = path.read_bytes()
        if is_gzip(content[:2]):
            # Counted first, piece by piece: a text that is refused shall not fill the memory.
            limit, length = MAX_RATIO * len(content) + 1024, 0
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                while piece := file.read(1 << 20):
                    length += len(piece)
                    if length > limit:
                        raise DataError(
                            f"{path}: expands to more than {MAX_RATIO} times its size; expected gzip of a text"
                        )
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: truncated or damaged ({reason}); copy or download the file again") from error
    return content

"""Text files, plain or compressed by gzip, bzip2, xz or zstd, read whole with clear errors."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import DataError

__all__ = ["is_compressed", "read_text", "refuse_compressed", "text_head", "text_lines"]

# Coordinates as text shrink by a factor of 2 to 4. Far more is not data, but an attempt to fill the memory.
MAX_RATIO = 100
MEMORY = 1 << 28  # of a decompressor; xz and zstd ask for up to 64 MiB at their usual levels
LONGEST_LINE = 1 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}


class _NoZstd(Exception):
    """No package that reads zstd is installed."""


def is_compressed(head: bytes) -> str | None:
    """What the first bytes of a file say that it is compressed by, or None."""
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def text_head(head: bytes, path: Path | None = None) -> bytes:
    """The beginning of the text, decompressed where `head`, the first bytes of the file, says so.

    All but gzip need the file itself, `path`: one block of bzip2 is longer than any head.
    """
    kind = is_compressed(head)
    if kind is None:
        return head
    try:
        if kind == "gzip":
            return zlib.decompressobj(wbits=31).decompress(head, 512)
        if path is None:
            return b""
        with open(path, "rb") as file:
            return _stream(kind, file).read(512)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, _NoZstd):
        return b""


def text_lines(path: Path, number: int) -> list[bytes]:
    """The first lines of the text, as far as they are not longer than a line can be; [] where it cannot be read."""
    try:
        with open(path, "rb") as file:
            kind = is_compressed(file.read(8))
            file.seek(0)
            stream = file if kind is None else _stream(kind, file)
            return [stream.readline(LONGEST_LINE) for _ in range(number)]
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, _NoZstd):
        return []


def read_text(path: Path) -> bytes:
    """The whole text; DataError when the file cannot be read, or the compressed stream is truncated or damaged."""
    try:
        content = path.read_bytes()
        kind = is_compressed(content[:8])
        if kind is not None:
            # Counted first, piece by piece: a text that is refused shall not fill the memory.
            limit, length = MAX_RATIO * len(content) + 1024, 0
            stream = _stream(kind, io.BytesIO(content))
            while piece := stream.read(1 << 20):
                length += len(piece)
                if length > limit:
                    raise DataError(
                        f"{path}: expands to more than {MAX_RATIO} times its size; expected {kind} of a text"
                    )
            content = _stream(kind, io.BytesIO(content)).read()
    except _NoZstd:
        raise _needs_zstd(path) from None
    # zstandard has a class of its own for errors, a ValueError in the standard library's place.
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, MemoryError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path}: truncated or damaged ({reason}); copy or download the file again") from error
    return content


def refuse_compressed(path: Path, head: bytes) -> None:
    """DataError for a file of zstd that nothing here can decompress."""
    if is_compressed(head) == "zstd":
        try:
            _zstd()
        except _NoZstd:
            raise _needs_zstd(path) from None


def _needs_zstd(path: Path) -> DataError:
    return DataError(
        f"{path} is compressed by zstd, for which no package is installed; decompress it (zstd -d '{path}'), or "
        'pip install "botan_fast[formats]"'
    )


def _stream(kind: str, file: BinaryIO) -> Any:
    """The decompressed stream of a file; it may hold several compressed streams, one behind the other."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=file)
    if kind == "bzip2":
        return bz2.BZ2File(file)
    if kind == "xz":
        return io.BufferedReader(_Pieces(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY)))
    return io.BufferedReader(_Pieces(file, _zstd()))


def _zstd() -> Callable[[], Any]:
    """What makes a decompressor: the standard library's (from Python 3.14 on), or that of the package zstandard."""
    try:
        from compression import zstd
    except ImportError:
        pass
    else:
        options = {zstd.DecompressionParameter.window_log_max: MEMORY.bit_length() - 1}
        return lambda: zstd.ZstdDecompressor(options=options)
    try:
        import zstandard
    except ImportError:
        raise _NoZstd from None
    return lambda: _Zstandard(zstandard.ZstdDecompressor(max_window_size=MEMORY), zstandard.ZstdError)


class _Zstandard:
    """A decompressor of the package zstandard with the methods of the standard library's."""

    def __init__(self, decompressor: Any, error: type[Exception]) -> None:
        self._object, self._error = decompressor.decompressobj(write_size=1 << 20), error

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        # It takes no limit of its own. Pieces of 1 kB, as `_Pieces` hands them on, bound what comes out: a block
        # of zstd holds at most 128 KiB and has at least 4 bytes.
        try:
            return self._object.decompress(data)
        except self._error as error:
            raise ValueError(str(error)) from None

    @property
    def eof(self) -> bool:
        return bool(self._object.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._object.unused_data)

    needs_input = True


class _Pieces(io.RawIOBase):
    """Reads a compressed file piece by piece; a decompressor never holds more than one piece of input and output."""

    PIECE = 1024

    def __init__(self, file: BinaryIO, new: Callable[[], Any]) -> None:
        self._file, self._new, self._decompressor = file, new, new()
        self._left, self._begun = b"", False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            if self._decompressor.eof:
                data = self._decompressor.unused_data.lstrip(b"\0") or self._file.read(self.PIECE)
                if not data.lstrip(b"\0"):
                    return 0
                self._decompressor, self._begun = self._new(), True
            else:
                data = self._file.read(self.PIECE) if self._decompressor.needs_input else b""
                if not data and self._decompressor.needs_input:
                    raise EOFError("the compressed stream ends before its end-of-stream mark")
            self._left = self._decompressor.decompress(data, 1 << 20)
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count

"""Damage to a file, decided by a random generator: bytes, numbers in text, and what lies behind checksums."""

import contextlib
import gzip
import io
import json
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from botan_fast.model.tf_checkpoint import masked_crc32c

__all__ = ["mutate"]

ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    1,
    2,
    0.5,
    1e300,
    -1e300,
    2**31,
    2**63,
    10**400,
    math.nan,
    math.inf,
    "",
    "a",
]
ODD_VALUES += ["a\nb", "F16", "F32", "I64", "../..", [], {}, [1], [[]], [None], {"a": 1}, [1] * 50, "x" * 5000, [0, 16]]

EXTREME_BYTES = [
    b"\xff" * 8,
    b"\x00" * 8,
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\x00\x00\x00\x80",
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f",  # a NaN
    b"99999999",
    b"-1",
    b"nan ",
    b"1e9 ",
    b"\n",
    b"\x00",
    b"../",
]
EXTREME_WORDS = [
    *(
        b"0",
        b"-1",
        b"1",
        b"2",
        b"1e400",
        b"-1e400",
        b"nan",
        b"NaN",
        b"Infinity",
        b"1e-320",
        b"0.5",
        b"99999999999999999999",
    ),
    *(
        b"2147483648",
        b"9223372036854775807",
        b"9" * 400,
        b"null",
        b"true",
        b"[]",
        b"{}",
        b'""',
        b'"a\\nb"',
        b"[[1]]",
        b"",
    ),
    *(b'{"a": 1}', b"'", b'"', b"{", b"(", b"\\", b"\xff", b"'a'", b"A", b"<f8", b"|O", b"<i1", b">f8", b"F32", b"I64"),
]


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with some damage. Half of the damage to compressed or checksummed content goes below that layer."""
    deep = rng.random() < 0.5
    with contextlib.suppress(zipfile.BadZipFile, OSError, EOFError, zlib.error, struct.error, ValueError):
        if content.startswith(b"PK") and deep:
            return _zip(content, rng)
        if content.startswith(b"\x1f\x8b") and deep:
            return gzip.compress(_bytes(gzip.decompress(content), rng), compresslevel=1)
        if content[-8:] == (0xDB4775248B80FB57).to_bytes(8, "little") and deep:
            return _string_table(content, rng)
        if content[8:9] == b"{" and deep:  # safetensors: the length of the header, then the header
            end = 8 + int.from_bytes(content[:8], "little")
            header = _bytes(content[8:end], rng) if rng.random() < 0.3 else _json(content[8:end], rng)
            return len(header).to_bytes(8, "little") + header + content[end:]
        if content.startswith(b"{") and deep:
            return _json(content, rng)
    return _bytes(content, rng)


def _json(content: bytes, rng: np.random.Generator) -> bytes:
    """A JSON object with one or two of its values, at any depth, replaced, left out or doubled: JSON again."""
    value = json.loads(content)
    for _ in range(int(rng.integers(1, 3))):
        value = _changed(value, rng)
    return json.dumps(value).encode()


def _changed(value: Any, rng: np.random.Generator) -> Any:
    odd = ODD_VALUES[int(rng.integers(len(ODD_VALUES)))]
    if isinstance(value, str) and value[:1] in ("{", "[") and rng.random() < 0.9:
        return json.dumps(_changed(json.loads(value), rng))  # JSON in JSON
    if not isinstance(value, (dict, list)) or not value or rng.random() < 0.1:
        return odd
    value = value.copy()
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[int(rng.integers(len(keys)))]
    way = rng.random()
    if way < 0.7:
        value[key] = _changed(value[key], rng)
    elif way < 0.85:
        del value[key]
    elif isinstance(value, dict):
        value[str(odd)] = value[key]
    else:
        value.append(value[key])
    return value


def _zip(content: bytes, rng: np.random.Generator) -> bytes:
    """The archive with damage to one member, or to the members as such, and right checksums."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(member, archive.read(member)) for member in archive.infolist()]
    chosen = int(rng.integers(len(members)))
    way = int(rng.integers(8))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for k, (member, data) in enumerate(members):
            name, compression = member.filename, member.compress_type
            if k == chosen:
                if way == 0:
                    continue
                if way == 1:
                    data = members[int(rng.integers(len(members)))][1]
                elif way == 2:
                    compression = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA][k % 4]
                elif way == 3:
                    name = members[int(rng.integers(len(members)))][0].filename
                else:
                    data = _bytes(data, rng)
            with contextlib.suppress(UserWarning):
                archive.writestr(name, data, compression)
    return out.getvalue()


def _string_table(content: bytes, rng: np.random.Generator) -> bytes:
    """TensorFlow's index with damage that keeps the lengths, and the checksum of each block set right again."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(content) - 48))
        changed[at] = int(rng.integers(256)) if rng.random() < 0.5 else changed[at] ^ (1 << int(rng.integers(8)))
    # Blocks follow each other, each with a byte of its kind and a checksum; where one ends only the original tells.
    start = 0
    for end in range(len(content) - 48 - 5):
        if content[end + 1 : end + 5] == masked_crc32c(content[start : end + 1]).to_bytes(4, "little"):
            changed[end + 1 : end + 5] = masked_crc32c(bytes(changed[start : end + 1])).to_bytes(4, "little")
            start = end + 5
    return bytes(changed)


def _bytes(content: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes, half of them near the head: bits, extreme numbers, pieces missing, doubled or moved."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        if not changed:
            break
        reach = len(changed) if rng.random() < 0.5 else min(len(changed), 600)
        at, length = int(rng.integers(reach)), int(rng.integers(1, 40))
        match int(rng.integers(9)):
            case 0:
                changed[at] ^= 1 << int(rng.integers(8))
            case 1:
                extreme = EXTREME_BYTES[int(rng.integers(len(EXTREME_BYTES)))]
                changed[at : at + len(extreme)] = extreme
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + length] = rng.bytes(length)
            case 5:
                other = int(rng.integers(len(changed)))
                changed[at : at + length] = changed[other : other + length]
            case 6:
                del changed[at:]
            case _:
                _word(changed, at, rng)
    return bytes(changed)


def _word(changed: bytearray, at: int, rng: np.random.Generator) -> None:
    """A number, a quoted text or a bracketed list near a place becomes something else of the kind."""
    window = bytes(changed[at : at + 400])
    kinds = (rb"-?\d[\d.eE+-]*", rb'"[^"]*"', rb"\w+", rb"\[[^\[\]]*\]|\{[^{}]*\}")
    found = list(re.finditer(kinds[int(rng.integers(len(kinds)))], window))
    if found:
        match = found[int(rng.integers(len(found)))]
        word = EXTREME_WORDS[int(rng.integers(len(EXTREME_WORDS)))]
        changed[at + match.start() : at + match.end()] = word

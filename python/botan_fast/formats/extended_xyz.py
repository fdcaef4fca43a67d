"""Extended XYZ: a count, a comment with `Lattice` and `Properties`, one line per particle; one or several frames.

Read are `pos:R:3` (or `:R:2`), and the types: `type:I:1` (from 0, or from 1 where no particle has 0), else the names of
`species:S:1` as `species.py` numbers them. `Time` in the comment is the time, `Step` the step, `Origin` the corner of
the box. Keys may be in capital or small letters, and values bare, in quotes of either kind, in braces or brackets. XYZ
has no image flags: the coordinates of several frames must be unwrapped. Read here rather than by a library of atomistic
simulation, because those know chemical elements only, no species A and B.
The layout of the file: https://github.com/libAtoms/extxyz
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import name_of
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .periodic import plain_box
from .species import number_species, numbers_and_names
from .text import read_text, text_head, text_lines

NAME = "extended XYZ"
EXPECTED = "an extended XYZ file (with Lattice and Properties)"
_CLOSING = {"{": "}", "[": "]"}
_QUOTED = {mark: re.compile(rf"{mark}(?:[^{mark}\\]|\\.)*{mark}", re.DOTALL) for mark in "\"'"}
_KEY, _VALUE, _SPACE, _NEXT = (re.compile(text) for text in (r"[^\s=]+", r"\S+", r"[\s,]*", r"\s+[A-Za-z_][\w-]*\s*="))
_SPELLINGS = {"Lattice", "Properties", "pbc", "Time", "Origin", "Step"}
_FORTRAN = str.maketrans("dD", "ee")  # 1.0D+00


def recognises(path: Path, head: bytes) -> bool:
    first, _, comment = text_head(head, path).partition(b"\n")
    if not first.strip().isdigit():
        return False
    if b"\n" not in comment:  # other keys may stand before, as many as they like
        comment = b"".join(text_lines(path, 2)[1:])
    entries = _entries(comment.partition(b"\n")[0].decode("utf-8", "replace"))
    return any(entries.get(key, "T") != "T" for key in ("lattice", "properties"))


def read(path: Path) -> list[Configuration]:
    return frames_to_configurations(name_of(path), path, read_frames(path))


def frame_lines(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Of each frame of an XYZ file, extended or plain: its number, the comment line, and the lines of its particles."""
    lines = read_text(path).decode("utf-8", "replace").rstrip().split("\n")
    place = number = 0
    while place < len(lines):
        try:
            count = int(lines[place])
        except ValueError:
            raise DataError(
                f"{path}: line {place + 1} reads {lines[place][:40]!r}; expected a number of particles"
            ) from None
        rows = lines[place + 2 : place + 2 + count] if count > 0 else []
        if count < 1 or len(rows) < count:
            raise DataError(f"{path}: frame {number} declares {count} particles, but {len(rows)} lines follow")
        yield number, lines[place + 1], rows
        place, number = place + 2 + count, number + 1


def read_frames(path: Path) -> list[Frame]:
    frames = [_read_frame(path, number, comment, rows) for number, comment, rows in frame_lines(path)]
    if len(frames) > 1 and len({frame.step for frame in frames}) == 1:  # a length of steps, not their number
        for frame in frames:
            frame.step = None
    return drop_flat_axis(path, frames)


def _read_frame(path: Path, number: int, comment: str, rows: list[str]) -> Frame:
    entries = _entries(comment)
    if "lattice" not in entries:
        raise DataError(f"{path}: frame {number} has no Lattice in its second line; expected the periodic cell")
    lattice = _numbers(path, number, "Lattice", entries["lattice"])
    if len(lattice) not in (3, 4, 9):
        raise DataError(f"{path}: Lattice of frame {number} has {len(lattice)} numbers; expected 9 (three row vectors)")
    size = 2 if len(lattice) == 4 else 3
    box = lattice if len(lattice) == 3 else plain_box(lattice.reshape(size, size))
    # What columns there are, and where each begins.
    properties = entries.get("properties", "species:S:1:pos:R:3").split(":")
    columns, width = {}, 0
    try:
        for name, kind, repeat in zip(properties[::3], properties[1::3], properties[2::3], strict=True):
            columns[name.lower()] = (kind, width, int(repeat))
            width += int(repeat)
    except ValueError:
        raise DataError(f"{path}: Properties of frame {number} do not read name:kind:count:...") from None
    words = " ".join(rows).split()
    if width < 1 or any(len(row.split()) != width for row in rows):
        raise DataError(f"{path}: frame {number} has lines that do not hold the {width} values of its Properties")

    def column(name: str) -> np.ndarray:
        _, first, repeat = columns[name]
        try:
            return np.stack([_column(words[first + k :: width]) for k in range(repeat)], axis=1)
        except ValueError:
            raise DataError(f"{path}: {name} of frame {number} holds something that is not a number") from None

    if "pos" not in columns or columns["pos"][2] not in (size, 3):
        raise DataError(f"{path}: Properties of frame {number} are {':'.join(properties)[:80]}; expected pos:R:3")
    positions = column("pos")[:, :size]
    open_axis = _open_axis(path, number, entries.get("pbc"), size)
    species = None
    named = next((name for name in ("species", "type") if name in columns and columns[name][0].upper() == "S"), None)
    labels = words[columns[named][1] :: width] if named else []
    if "type" in columns and named != "type":
        types = column("type")[:, 0]
        if not (np.isfinite(types).all() and (types == np.rint(types)).all() and (abs(types) < 2**53).all()):
            raise DataError(f"{path}: type of frame {number} holds something that is not an integer")
        types = types.astype(np.int64)
        if types.min() > 0:
            types = types - 1
        if named:
            types, species = numbers_and_names(path, types, labels)
    elif named:
        types, species = number_species(path, labels)
    else:
        raise DataError(f"{path}: Properties of frame {number} are {':'.join(properties)[:80]}; expected species:S:1")
    ids = None
    if "id" in columns:
        ids = column("id")[:, 0]
        order = np.argsort(ids, kind="stable")
        ids, positions, types = ids[order], positions[order], types[order]
        if (np.diff(ids) == 0).any():
            raise DataError(f"{path}: frame {number} holds particle {ids[:-1][np.diff(ids) == 0][0]:g} twice")
    origin = _numbers(path, number, "Origin", entries["origin"]) if "origin" in entries else np.zeros(size)
    if len(origin) < size:
        raise DataError(f"{path}: Origin of frame {number} has {len(origin)} numbers; expected {size}")
    time = float(_numbers(path, number, "Time", entries["time"])[0]) if "time" in entries else None
    steps = (re.fullmatch(r"\+?(\d{1,18})(?:\.0*)?", entries.get(key, "")) for key in ("step", "timestep"))
    step = next((match[1] for match in steps if match), None)
    return Frame(
        positions,
        types,
        box,
        origin[:size],
        ids,
        None if step is None else int(step),
        time,
        species=species,
        open_axis=open_axis,
    )


def _entries(comment: str) -> dict[str, str]:
    """Keys in small letters and values: key=value, where both may be in quotes, braces or brackets; T for a key alone.

    Of a key in two spellings the one that is in the format's description counts.
    """
    entries: dict[str, str] = {}
    unclosed: set[str] = set()  # marks that nothing closes any more: each is looked for once
    place = _end(_SPACE, comment, 0)
    while place < len(comment):
        key, place = _word(comment, place, _KEY, unclosed)
        value = "T"
        equals = _end(_SPACE, comment, place)
        if comment[equals : equals + 1] == "=":
            place = equals + 1
            value = ""
            if not _NEXT.match(comment, place):  # key= and the next key: the value is empty
                value, place = _word(comment, _end(_SPACE, comment, place), _VALUE, unclosed)
        if key in _SPELLINGS or key.lower() not in entries:
            entries[key.lower()] = value
        place = _end(_SPACE, comment, place)
    return entries


def _end(pattern: re.Pattern, text: str, place: int) -> int:
    match = pattern.match(text, place)
    return match.end() if match else place


def _word(text: str, place: int, bare: re.Pattern, unclosed: set[str]) -> tuple[str, int]:
    """What begins at `place`, without its quotes, and where it ends."""
    mark = text[place : place + 1]
    if mark in _QUOTED and mark not in unclosed:
        match = _QUOTED[mark].match(text, place)
        if match:
            return re.sub(r"\\(.)", r"\1", match[0][1:-1]), match.end()
        unclosed.add(mark)
    elif mark in _CLOSING and mark not in unclosed:
        depth = 0
        for match in re.compile(f"[{re.escape(mark + _CLOSING[mark])}]").finditer(text, place):
            depth += 1 if match[0] == mark else -1
            if depth == 0:
                return text[place + 1 : match.start()], match.end()
        unclosed.add(mark)
    end = _end(bare, text, place)
    return text[place:end].rstrip(","), max(end, place + 1)


def _column(words: list[str]) -> np.ndarray:
    try:
        return np.array(words).astype(np.float64)
    except ValueError:
        return np.array([word.translate(_FORTRAN) for word in words]).astype(np.float64)


def _open_axis(path: Path, number: int, pbc: str | None, size: int) -> str | None:
    """What to say unless the system is flat; DataError where the box is not periodic along x or y."""
    if pbc is None:
        return None
    periodic = [word.upper() in ("T", "TRUE", "1") for word in re.split(r"[\s,\[\]{}]+", pbc) if word]
    periodic = periodic * size if len(periodic) == 1 else periodic
    if len(periodic) >= size and all(periodic[:size]):
        return None
    refusal = f"pbc of frame {number} is {pbc!r}; expected a periodic box"
    if len(periodic) == size == 3 and periodic[:2] == [True, True]:
        return refusal
    raise DataError(f"{path}: {refusal}")


def _numbers(path: Path, number: int, name: str, text: str) -> np.ndarray:
    try:
        words = re.split(r"[\s,;\[\]{}]+", text.translate(_FORTRAN))
        values = np.array([float(word) for word in words if word])
    except ValueError:
        values = np.array([])
    if not len(values) or not np.isfinite(values).all():
        raise DataError(f"{path}: {name} of frame {number} reads {text[:40]!r}; expected numbers")
    return values

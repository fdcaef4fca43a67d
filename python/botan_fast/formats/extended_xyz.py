"""Extended XYZ: a count, a comment with `Lattice` and `Properties`, one line per particle; one or several frames.

Read are `pos:R:3` (or `:R:2`), and the types: `type:I:1` (from 0, or from 1 where no particle has 0), else
`species:S:1` (A, B, ... or any names in alphabetical order). `Time` in the comment is the time, `Origin` the corner of
the box. XYZ has no image flags: the coordinates of several frames must be unwrapped. Read here rather than by a library
of atomistic simulation, because those know chemical elements only, no species A and B.
The layout of the file: https://github.com/libAtoms/extxyz
"""

import re
from pathlib import Path

import numpy as np

from ..errors import DataError
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .species import number_species, numbers_and_names
from .text import read_text, text_head

NAME = "extended XYZ"
EXPECTED = "an extended XYZ file (with Lattice and Properties)"
# key=value, key="value in quotes", or a key alone, which means true
_ENTRY = re.compile(r"""([A-Za-z_][\w-]*)(?:=(?:"([^"]*)"|\{([^}]*)\}|([^\s"{]\S*)))?(?=\s|$)""")


def recognises(path: Path, head: bytes) -> bool:
    first, _, comment = text_head(head).partition(b"\n")
    return first.strip().isdigit() and (b"Lattice=" in comment or b"Properties=" in comment)


def read(path: Path) -> list[Configuration]:
    name = path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name
    return frames_to_configurations(name, path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    lines = read_text(path).decode("utf-8", "replace").rstrip().split("\n")
    frames: list[Frame] = []
    place = 0
    while place < len(lines):
        number = len(frames)
        try:
            count = int(lines[place])
        except ValueError:
            raise DataError(
                f"{path}: line {place + 1} reads {lines[place][:40]!r}; expected a number of particles"
            ) from None
        rows = lines[place + 2 : place + 2 + count] if count > 0 else []
        if count < 1 or len(rows) < count:
            raise DataError(f"{path}: frame {number} declares {count} particles, but {len(rows)} lines follow")
        frames.append(_read_frame(path, number, lines[place + 1], rows))
        place += 2 + count
    return drop_flat_axis(path, frames)


def _read_frame(path: Path, number: int, comment: str, rows: list[str]) -> Frame:
    entries = {
        match[1].lower(): next((value for value in match.groups()[1:] if value is not None), "T")
        for match in _ENTRY.finditer(comment)
    }
    if "lattice" not in entries:
        raise DataError(f"{path}: frame {number} has no Lattice in its second line; expected the periodic cell")
    lattice = _numbers(path, number, "Lattice", entries["lattice"])
    if len(lattice) not in (4, 9):
        raise DataError(f"{path}: Lattice of frame {number} has {len(lattice)} numbers; expected 9 (three row vectors)")
    size = 2 if len(lattice) == 4 else 3
    cell = lattice.reshape(size, size)
    box = np.diag(cell).copy() if not (cell - np.diag(np.diag(cell))).any() else cell
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
            return np.stack([np.array(words[first + k :: width]).astype(np.float64) for k in range(repeat)], axis=1)
        except ValueError:
            raise DataError(f"{path}: {name} of frame {number} holds something that is not a number") from None

    if "pos" not in columns or columns["pos"][2] not in (size, 3):
        raise DataError(f"{path}: Properties of frame {number} are {':'.join(properties)[:80]}; expected pos:R:3")
    positions = column("pos")[:, :size]
    if entries.get("pbc") is not None:
        periodic = [word.upper() in ("T", "TRUE", "1") for word in entries["pbc"].split()]
        flat = (positions[:, -1] == positions[0, -1]).all()
        if not all(periodic[: size - 1 if flat else size]):
            raise DataError(f"{path}: pbc of frame {number} is {entries['pbc']!r}; expected a periodic box")
    species = None
    labels = words[columns["species"][1] :: width] if "species" in columns else []
    if "type" in columns:
        types = column("type")[:, 0]
        if not (np.isfinite(types).all() and (types == np.rint(types)).all() and (abs(types) < 2**53).all()):
            raise DataError(f"{path}: type of frame {number} holds something that is not an integer")
        types = types.astype(np.int64)
        if types.min() > 0:
            types = types - 1
        if "species" in columns:
            types, species = numbers_and_names(path, types, labels)
    elif "species" in columns:
        types, species = number_species(path, labels)
    else:
        raise DataError(f"{path}: Properties of frame {number} are {':'.join(properties)[:80]}; expected species:S:1")
    ids = None
    if "id" in columns:
        ids = column("id")[:, 0]
        order = np.argsort(ids, kind="stable")
        ids, positions, types = ids[order], positions[order], types[order]
    origin = _numbers(path, number, "Origin", entries["origin"]) if "origin" in entries else np.zeros(size)
    if len(origin) < size:
        raise DataError(f"{path}: Origin of frame {number} has {len(origin)} numbers; expected {size}")
    time = float(_numbers(path, number, "Time", entries["time"])[0]) if "time" in entries else None
    return Frame(positions, types, box, origin[:size], ids, None, time, species=species)


def _numbers(path: Path, number: int, name: str, text: str) -> np.ndarray:
    try:
        values = np.array([float(word) for word in text.replace(",", " ").split()])
    except ValueError:
        values = np.array([])
    if not len(values) or not np.isfinite(values).all():
        raise DataError(f"{path}: {name} of frame {number} reads {text[:40]!r}; expected numbers")
    return values

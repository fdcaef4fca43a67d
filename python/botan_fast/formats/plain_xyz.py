"""Plain XYZ: a count, a comment, one line per particle with its species and x y z; one or several frames, no box.

The box comes from the user (box= or density=). Species are A, B, ..., other names, or numbers from 1 (`dump xyz` of
LAMMPS) or 0. What follows z is left alone, unless the comment has `Properties`, as extended XYZ without a Lattice; that
says which columns there are. `Timestep: 100` (LAMMPS), `step=100` or `i = 100` in the comment is the step, `time = 1.3`
or `t = 1.3` the time.
Coordinates of several frames must be unwrapped.
"""

import re
from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import name_of
from .configuration import Configuration
from .extended_xyz import frame_lines
from .frames import Frame
from .species import number_species
from .text import read_text, text_head
from .trajectory import NO_BOX, without_box

NAME = "plain XYZ"
EXPECTED = "a plain XYZ file (count, comment, lines of species x y z), with box= or density="
_NUMBER = r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)"


def recognises(path: Path, head: bytes) -> bool:
    """A count, a comment without a Lattice, and a line that begins like a particle's."""
    first, _, rest = text_head(head, path).partition(b"\n")
    if re.fullmatch(rb"\s*\d{1,18}\s*", first) is None:
        return False
    if b"\n" not in rest:  # a comment longer than the head
        try:
            rest = read_text(path).partition(b"\n")[2]
        except DataError:
            return False
    comment, _, rows = rest.partition(b"\n")
    if b"lattice" in comment.lower():
        return False
    words = rows.partition(b"\n")[0].split()
    if b"properties=" in comment.lower():
        return True
    # A row that the head cuts off has fewer words; what it begins with decides.
    return len(words) > 1 and all(_is_number(word) for word in words[1:3])


def read(path: Path) -> list[Configuration]:
    return without_box(name_of(path), path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    """Frames with an empty box."""
    frames: list[Frame] = []
    for number, comment, rows in frame_lines(path):
        if "lattice" in comment.lower():
            raise DataError(f"{path}: frame {number} has a Lattice, frame 0 has no Lattice; expected it in all or none")
        frames.append(_read_frame(path, number, comment, rows))
    flat = all((frame.positions[:, 2:] == frames[0].positions[0, 2:]).all() for frame in frames)
    if flat and frames and frames[0].positions.shape[1] == 3 and len(frames[0].positions) > 1:
        for frame in frames:
            frame.positions = frame.positions[:, :2].copy()
            frame.origin = frame.origin[:2]
    return frames


def _read_frame(path: Path, number: int, comment: str, rows: list[str]) -> Frame:
    label, first, size, width = _columns(path, number, comment)
    table = [row.split() for row in rows]
    wrong = next((row for row, words in zip(rows, table, strict=True) if len(words) < width), None)
    if wrong is not None:
        raise DataError(
            f"{path}: frame {number} has the line {wrong[:40]!r}; expected a species and {size} coordinates"
        )
    try:
        positions = np.array([words[first : first + size] for words in table]).astype(np.float64)
    except ValueError:
        raise DataError(f"{path}: a coordinate of frame {number} is not a number") from None
    types, species = number_species(path, [words[label] for words in table])
    step = re.search(r"(?i)\b(?:(?:time)?step|i)\s*[:=]\s*(\d{1,18})\b", comment)
    time = re.search(rf"(?i)\bt(?:ime)?\s*[:=]\s*{_NUMBER}", comment)
    return Frame(
        positions,
        types,
        NO_BOX,
        np.zeros(size),
        step=int(step[1]) if step else None,
        time=float(time[1]) if time else None,
        species=species,
    )


def _columns(path: Path, number: int, comment: str) -> tuple[int, int, int, int]:
    """Where the species and the first coordinate are, the number of coordinates, and the least number of columns."""
    match = re.search(r"(?i)\bproperties\s*=\s*[\"']?([^\s\"']+)", comment)
    if match is None:
        return 0, 1, 3, 4
    words, places, width = match[1].split(":"), {}, 0
    try:
        for name, _, repeat in zip(words[::3], words[1::3], words[2::3], strict=True):
            places[name.lower()] = (width, int(repeat))
            width += int(repeat)
    except ValueError:
        raise DataError(f"{path}: Properties of frame {number} do not read name:kind:count:...") from None
    label = next((places[name][0] for name in ("type", "species", "element") if name in places), None)
    if label is None or places.get("pos", (0, 0))[1] not in (2, 3):
        raise DataError(f"{path}: Properties of frame {number} are {match[1][:80]}; expected species:S:1:pos:R:3")
    return label, *places["pos"], width


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True

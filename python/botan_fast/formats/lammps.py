"""LAMMPS text dumps (`dump atom`, `dump custom`), plain or compressed: one or several frames.

Read are, in this order of preference, the coordinates `xu yu zu`; `xsu ysu zsu`; `x y z` and `xs ys zs` with the image
flags `ix iy iz`; `x y z`; `xs ys zs`. The last two are wrapped into the box, which is refused as soon as a particle
crosses a face. In two dimensions (`z` the same everywhere) those of x and y count. Particles are sorted by `id`. Types
are `type` less 1, or the names of `typelabel` or `element` as `species.py` numbers them. The box is orthogonal,
restricted triclinic (`xy xz yz`) or general triclinic (`abc origin`).
The layout of the file: https://docs.lammps.org/dump.html
"""

from pathlib import Path

import numpy as np

from ..errors import DataError
from ..files import name_of
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .periodic import plain_box
from .species import number_species, numbers_and_names
from .text import read_text, text_head

NAME = "LAMMPS dump"
EXPECTED = "a LAMMPS text dump (compressed or not)"
REMEDY = "copy the file again, or write it again"


def recognises(path: Path, head: bytes) -> bool:
    return text_head(head, path).startswith(b"ITEM:")


def read(path: Path) -> list[Configuration]:
    return frames_to_configurations(name_of(path), path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    lines = _Lines(path, read_text(path))
    frames: list[Frame] = []
    while lines.more():
        frames.append(_read_frame(path, lines, len(frames)))
    if len(frames) > 1 and any(frame.ids is None for frame in frames):
        raise DataError(f"{path}: several frames without particle ids, whose order LAMMPS changes; dump the id too")
    return drop_flat_axis(path, frames)


class _Lines:
    """The lines of the file, one after the other, without splitting all of it at once."""

    def __init__(self, path: Path, content: bytes):
        self.path, self.content, self.place = path, content.rstrip(), 0

    def more(self) -> bool:
        return self.place < len(self.content)

    def next(self, what: str) -> bytes:
        if self.place >= len(self.content):
            raise DataError(f"{self.path}: the file ends before {what}; {REMEDY}")
        end = self.content.find(b"\n", self.place)
        end = len(self.content) if end < 0 else end
        line = self.content[self.place : end]
        self.place = end + 1
        return line.strip()

    def numbers(self, count: int, what: str) -> list[float]:
        line = self.next(what)
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            raise DataError(f"{self.path}: {what} reads {_show(line)}; expected {count} numbers")
        return values

    def rest_until_item(self) -> bytes:
        """The text up to the next line that begins with ITEM:, or to the end."""
        end = self.content.find(b"\nITEM:", self.place)
        end = len(self.content) if end < 0 else end
        block = self.content[self.place : end]
        self.place = end + 1
        return block


def _read_frame(path: Path, lines: _Lines, number: int) -> Frame:
    step = time = count = box = None
    while True:
        line = lines.next(f"the atoms of frame {number}")
        if not line.startswith(b"ITEM:"):
            raise DataError(f"{path}: frame {number} has {_show(line)} where a line 'ITEM: ...' is expected; {REMEDY}")
        words = line[5:].decode("ascii", "replace").split()
        if words[:1] == ["TIMESTEP"]:
            step = int(lines.numbers(1, f"the TIMESTEP of frame {number}")[0])
        elif words[:1] == ["TIME"]:
            time = lines.numbers(1, f"the TIME of frame {number}")[0]
        elif words[:1] == ["UNITS"]:
            units = lines.next(f"the UNITS of frame {number}")
            if units != b"lj":
                raise DataError(f"{path}: UNITS are {_show(units)}; convert the dump to Lennard-Jones units")
        elif words[:3] == ["NUMBER", "OF", "ATOMS"]:
            count = lines.numbers(1, f"the NUMBER OF ATOMS of frame {number}")[0]
            if count != int(count) or count < 1:
                raise DataError(f"{path}: NUMBER OF ATOMS is {count:g}; expected a positive integer")
        elif words[:2] == ["BOX", "BOUNDS"]:
            box = _read_box(path, lines, words[2:], number)
        elif words[:1] == ["ATOMS"]:
            if count is None or box is None:
                missing = "NUMBER OF ATOMS" if count is None else "BOX BOUNDS"
                raise DataError(f"{path}: frame {number} has no {missing} before its atoms; {REMEDY}")
            return _read_atoms(path, lines, words[1:], int(count), number, box, step, time)
        else:  # other items, as of newer versions, hold one line
            lines.next(f"the {' '.join(words)} of frame {number}")


def _read_box(path: Path, lines: _Lines, words: list[str], number: int) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Edge lengths or cell vectors, the corner, and a refusal that holds unless the system is flat."""
    what = f"the BOX BOUNDS of frame {number}"
    general, tilted = words[:2] == ["abc", "origin"], words[:3] == ["xy", "xz", "yz"]
    flags = words[2:] if general else words[3:] if tilted else words
    open_axes = [axis for axis, flag in zip("xyz", flags, strict=False) if flag != "pp"]
    refusal = f"the box is not periodic along {', '.join(open_axes)}; expected a periodic box (pp)"
    if open_axes not in ([], ["z"]):
        raise DataError(f"{path}: {refusal}")
    open_axis = refusal if open_axes else None
    rows = np.array([lines.numbers(4 if general else 3 if tilted else 2, what) for _ in range(3)])
    if general:
        return plain_box(rows[:, :3]), rows[:, 3], open_axis
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    if not tilted:
        return high - low, low, open_axis
    xy, xz, yz = rows[:, 2]
    # LAMMPS writes the bounds of the tilted cell's corners.
    corners = np.array([0.0, xy, xz, xy + xz])
    low[0], high[0] = low[0] - corners.min(), high[0] - corners.max()
    low[1], high[1] = low[1] - min(0.0, yz), high[1] - max(0.0, yz)
    edges = high - low
    return plain_box(np.array([[edges[0], 0, 0], [xy, edges[1], 0], [xz, yz, edges[2]]])), low, open_axis


def _read_atoms(
    path: Path,
    lines: _Lines,
    columns: list[str],
    count: int,
    number: int,
    box: tuple[np.ndarray, np.ndarray, str | None],
    step: int | None,
    time: float | None,
) -> Frame:
    words = lines.rest_until_item().split()
    if not columns or len(words) != count * len(columns):
        raise DataError(
            f"{path}: frame {number} declares {count} atoms with {len(columns)} columns, "
            f"but {len(words)} values follow; {REMEDY}"
        )
    place = {name: k for k, name in enumerate(columns)}

    def column(name: str, dtype: type = np.float64) -> np.ndarray:
        try:
            values = np.array(words[place[name] :: len(columns)]).astype(np.float64)
        except ValueError:
            raise DataError(f"{path}: column {name} of frame {number} holds something that is not a number") from None
        if dtype is np.int64:
            if not (np.isfinite(values).all() and (values == np.rint(values)).all() and abs(values).max() < 2**53):
                raise DataError(f"{path}: column {name} of frame {number} holds something that is not an integer")
            return values.astype(np.int64)
        return values

    cell, origin, open_axis = box
    axes = [axis for axis in "xyz" if any(axis + kind in place for kind in ("u", "su", "", "s"))]
    if axes not in (["x", "y"], ["x", "y", "z"]):
        raise DataError(f"{path}: the columns are {' '.join(columns)}; expected coordinates, best xu yu zu")
    size = len(axes)
    height = next((name for name in ("z", "zu", "zs", "zsu") if name in place), None)
    fixed = [name for name in (height, "iz") if name in place]
    if size == 3 and count > 1 and not any(np.ptp(column(name)) for name in fixed):
        # Two dimensions: only the images of x and y matter, and z may be of another kind than they.
        axes, size = axes[:2], 2
    if size == 2:
        cell, origin, open_axis = _without_z(path, cell), origin[:2], None
    kind = next((kind for kind in ("u", "su", "", "s") if all(axis + kind in place for axis in axes)), None)
    if kind is None:
        raise DataError(f"{path}: the columns are {' '.join(columns)}; expected one kind of coordinates for all axes")
    positions = np.stack([column(axis + kind) for axis in axes], axis=1)
    if kind in ("s", "su"):
        positions = origin + (positions * cell if cell.ndim == 1 else positions @ cell)
    wrapped = kind in ("", "s") and not all("i" + axis in place for axis in axes)
    if kind in ("", "s") and not wrapped:
        images = np.stack([column("i" + axis, np.int64) for axis in axes], axis=1)
        positions = positions + (images * cell if cell.ndim == 1 else images @ cell)
    species = None
    named = next((name for name in ("typelabel", "element") if name in place), None)
    labels = [word.decode("utf-8", "replace") for word in words[place[named] :: len(columns)]] if named else []
    if "type" in place:
        types = column("type", np.int64) - 1
        if types.min() < 0:
            raise DataError(f"{path}: column type of frame {number} holds {types.min() + 1}; LAMMPS counts from 1")
        if named:
            types, species = numbers_and_names(path, types, labels)
    elif named:
        types, species = number_species(path, labels)
    else:
        raise DataError(
            f"{path}: the columns are {' '.join(columns)}; expected type (or element, or typelabel) as well"
        )
    ids = None
    if "id" in place:
        ids = column("id", np.int64)
        order = np.argsort(ids, kind="stable")
        ids, positions, types = ids[order], positions[order], types[order]
        if (np.diff(ids) == 0).any():
            raise DataError(f"{path}: frame {number} holds atom {ids[:-1][np.diff(ids) == 0][0]} twice; {REMEDY}")
    return Frame(positions, types, cell, origin, ids, step, time, wrapped, species, open_axis)


def _without_z(path: Path, cell: np.ndarray) -> np.ndarray:
    """The box of a two-dimensional system."""
    if cell.ndim == 1:
        return cell[:2]
    if np.abs([*cell[2, :2], *cell[:2, 2]]).max() > 1e-9 * np.abs(cell).max():
        raise DataError(f"{path}: all particles have the same z, but the box is tilted out of that plane")
    return plain_box(cell[:2, :2])


def _show(line: bytes) -> str:
    return repr(line[:40].decode("ascii", "replace"))

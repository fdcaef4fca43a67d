"""GSD files of HOOMD-blue (schema hoomd), by the `gsd` package: one or several frames.

Positions are float32 and wrapped into a box centred at 0; the image flags unwrap them:
r = position + image · (box vectors). HOOMD-blue writes the images in the first frame only unless it was told
otherwise; what a frame does not hold is as in the first one, so a file without any later image counts as wrapped. Types
are the names that `typeid` stands for, as `species.py` numbers them. The step is the frame's; GSD holds no time.
The layout of the file: https://gsd.readthedocs.io/en/stable/schema-hoomd.html
"""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import name_of, printable
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .periodic import plain_box
from .sizes import refuse_expansion
from .species import number_species

NAME = "GSD"
EXPECTED = "a GSD file of HOOMD-blue"
REMEDY = "copy the file again"
MAGIC = struct.pack("<Q", 0x65DF65DF65DF65DF)


def recognises(path: Path, head: bytes) -> bool:
    return head.startswith(MAGIC)


def read(path: Path) -> list[Configuration]:
    return frames_to_configurations(name_of(path), path, read_frames(path))


def read_frames(path: Path) -> list[Frame]:
    try:
        import gsd.fl
    except ImportError:
        raise DataError(f'{path}: a GSD file needs the gsd package; pip install "botan_fast[formats]"') from None
    _check_index(path)
    try:
        with gsd.fl.open(str(path), "r") as file:
            frames, taken = [], 0
            for number in range(file.nframes):
                frames.append(_frame(path, file, number))
                # Frames without arrays of their own are as frame 0: a few bytes of the file, but the memory of a frame.
                taken += 2048 + frames[-1].positions.nbytes + frames[-1].types.nbytes
                refuse_expansion(path, taken, "its frames")
            numbers = range(1, file.nframes)
            # Step 0, and images as in the first frame, are not written. So a file without any tells nothing.
            if not any(file.chunk_exists(number, "configuration/step") for number in range(file.nframes)):
                frames = [replace(frame, step=None) for frame in frames]
            if len(frames) > 1 and not any(file.chunk_exists(number, "particles/image") for number in numbers):
                frames = [replace(frame, wrapped=True) for frame in frames]
            return drop_flat_axis(path, frames)
    except DataError:
        raise
    # The package tells what is wrong by many classes, down to errors of the operating system.
    except Exception as error:
        reason = printable(str(error).split("\n")[0] or type(error).__name__, 120)
        raise DataError(f"{path}: truncated or damaged GSD ({reason}); copy the file again") from error


def _frame(path: Path, file: Any, number: int) -> Frame:
    """One frame by the file layer: `gsd.hoomd` would also fill the arrays that nobody asked for."""

    def chunk(name: str, default: Any = None) -> np.ndarray:
        # What a frame does not hold is as in frame 0; what that does not hold has a default.
        for frame in (number, 0):
            if file.chunk_exists(frame, name):
                return file.read_chunk(frame, name)
        if default is None:
            raise DataError(f"{path}: frame {number} has no {name}; {REMEDY}")
        return np.asarray(default)

    count = int(chunk("particles/N").reshape(-1)[0])
    size = int(chunk("configuration/dimensions", [3])[0])
    step = int(chunk("configuration/step", [0])[0])
    edges = chunk("configuration/box").astype(np.float64).reshape(-1)
    positions = chunk("particles/position").astype(np.float64)
    if count < 1 or size not in (2, 3) or positions.shape != (count, 3) or edges.shape != (6,):
        raise DataError(
            f"{path}: frame {number} declares {count} particles in {size} dimensions, but its positions have shape "
            f"{positions.shape} and its box {edges.shape}; {REMEDY}"
        )
    types = chunk("particles/typeid", np.zeros(count)).astype(np.int64).reshape(-1)
    images = chunk("particles/image", np.zeros((count, 3))).astype(np.float64)
    if types.shape != (count,) or images.shape != (count, 3):
        raise DataError(f"{path}: frame {number} holds {len(types)} types and {len(images)} images; {REMEDY}")
    types, species = _species(path, number, types, chunk("particles/types", np.zeros((0, 0), np.uint8)))
    lx, ly, lz, xy, xz, yz = edges
    if size == 3 and lz == 0 and not np.ptp(positions[:, 2]):
        size = 2
    cell = np.array([[lx, 0, 0], [xy * ly, ly, 0], [xz * lz, yz * lz, lz]])[:size, :size]
    # The centre of the box is 0, its corner minus half of the sum of its vectors.
    positions = positions[:, :size] + images[:, :size] @ cell
    return Frame(positions, types, plain_box(cell), -cell.sum(axis=0) / 2, None, step, None, species=species)


def _species(path: Path, number: int, types: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Types by the names that stand for `typeid` 0, 1, ...; as they are where the file has no names.

    The names are text that ends at the first 0, one in each row.
    """
    if rows.ndim != 2 or len(rows) == 0:
        return types, None
    names = [bytes(row).partition(b"\0")[0].decode("utf-8", "replace") for row in rows.astype(np.uint8)]
    used = sorted(set(types.tolist()))
    if used[0] < 0 or used[-1] >= len(names):
        raise DataError(f"{path}: frame {number} has typeid {used[0] if used[0] < 0 else used[-1]} but names {names}")
    if len({names[k] for k in used}) < len(used):
        return types, None  # names that do not tell the types apart
    return number_species(path, np.array(names)[types], names)


def _check_index(path: Path) -> None:
    """DataError when the header or an entry of the index points outside the file.

    The package trusts sizes that it reads: an N or M from a damaged index would be allocated first.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        header = file.read(256)
        if len(header) < 256:
            raise DataError(f"{path}: truncated GSD ({size} bytes, less than the header); copy the file again")
        # magic, then where the index and the list of names begin, and for how many entries of 32 and 64 bytes
        _, place, entries, names_place, names = struct.unpack_from("<QQQQQ", header)
        damaged = DataError(f"{path}: truncated or damaged GSD (its index lies outside the file); copy the file again")
        if max(place, names_place) > size or entries * 32 > size - place or names * 64 > size - names_place:
            raise damaged
        file.seek(place)
        index = np.frombuffer(
            file.read(entries * 32),
            np.dtype([("frame", "<u8"), ("rows", "<u8"), ("at", "<i8"), ("columns", "<u4"), ("rest", "<u4")]),
        )
    used = index[index["at"] != 0]
    # Python integers: a product of damaged numbers would overflow any other.
    for entry in used:
        if int(entry["at"]) < 0 or int(entry["at"]) + int(entry["rows"]) * int(entry["columns"]) > size:
            raise damaged

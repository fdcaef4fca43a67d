"""LAMMPS data files (`write_data`, `read_data`), plain or gzip: one configuration in its box, no runs.

Read are the header (`atoms`, `atom types`, `xlo xhi` and so on, `xy xz yz`, or `avec bvec cvec abc origin`) and the
section Atoms, in the style that stands behind it (`Atoms # atomic`) or else the one that its columns allow. Types are
numbers from 1, or names of the section Atom Type Labels. Image flags do not matter for one configuration. Other
sections (Masses, Velocities, Bonds, ...) are passed over. Units must be lj where the first line says them.
The layout of the file: https://docs.lammps.org/read_data.html
"""

import re
from pathlib import Path

import numpy as np

from ..errors import DataError
from .configuration import Configuration
from .frames import Frame, drop_flat_axis, frames_to_configurations
from .species import numbers_and_names
from .text import read_text, text_head

NAME = "LAMMPS data file"
EXPECTED = "a LAMMPS data file (gzip or not)"
REMEDY = "copy the file again, or write it again by write_data"
# Columns after the id: where the type stands, where x stands, how many columns there are (image flags make three more).
STYLES = {
    "atomic": (1, 2, 5),
    "charge": (1, 3, 6),
    "bond": (2, 3, 6),
    "angle": (2, 3, 6),
    "molecular": (2, 3, 6),
    "full": (2, 4, 7),
    "sphere": (1, 4, 7),
    "ellipsoid": (1, 4, 7),
    "dipole": (1, 3, 9),
}
_SECTION = re.compile(r"[A-Z][A-Za-z/]*(?: [A-Za-z]+)*")  # "Atoms", "Pair Coeffs", "Atom Type Labels"


def recognises(path: Path, head: bytes) -> bool:
    text = text_head(head, path)
    first = text.partition(b"\n")[0]
    if b"\x00" in text or first.startswith(b"ITEM:") or first.strip().isdigit():  # an XYZ may have "8 atoms" as comment
        return False
    # The first line is a comment of any length.
    pattern = rb"(?m)^\s*\d+\s+atoms\s*(#.*)?$"
    if re.search(pattern, text) is not None:
        return True
    if b"LAMMPS" not in first:
        return False
    try:
        return re.search(pattern, read_text(path)[:10_000]) is not None
    except DataError:
        return True  # what is wrong with the text is said by read


def read(path: Path) -> list[Configuration]:
    [frame] = read_frames(path)
    name = path.name.removesuffix(".gz")
    stem, _, ending = name.rpartition(".")
    # data.glass is a name, glass.data has an ending.
    known = ending.lower() in ("data", "lmp", "lammps", "dat", "txt")
    return frames_to_configurations(stem if stem and known else name, path, [frame])


def read_frames(path: Path) -> list[Frame]:
    """The one frame of the file."""
    lines = read_text(path).decode("utf-8", "replace").split("\n")
    units = re.search(r"\bunits\s*=\s*(\w+)", lines[0])
    if units and units[1] != "lj":
        raise DataError(f"{path}: units are {units[1]!r}; convert the file to Lennard-Jones units")
    header, sections = _split(path, lines)
    cell, origin = _box(path, header)
    count, kinds = _whole(path, header, "atoms"), _whole(path, header, "atom types")
    labels = _labels(path, sections, kinds)
    if "Atoms" not in sections:
        raise DataError(f"{path}: no section Atoms; {REMEDY}")
    hint, rows = sections["Atoms"]
    if len(rows) != count:
        raise DataError(f"{path}: the header declares {count} atoms, but {len(rows)} lines follow Atoms; {REMEDY}")
    table = [row.split() for row in rows]
    width = len(table[0])
    odd = next((row for row, words in zip(rows, table, strict=True) if len(words) != width), None)
    if odd is not None:
        raise DataError(f"{path}: the line {odd[:40]!r} of Atoms does not have {width} columns as others; {REMEDY}")
    words = np.array(table)
    kind, first, _ = _style(path, hint, words, kinds, labels)
    ids = _integers(path, "ids", words[:, 0])
    types = _types(path, words[:, kind], kinds, labels)
    try:
        positions = words[:, first : first + 3].astype(np.float64)
    except ValueError:
        raise DataError(f"{path}: Atoms hold a coordinate that is not a number; {REMEDY}") from None
    order = np.argsort(ids, kind="stable")
    ids, positions, types = ids[order], positions[order], types[order]
    if (np.diff(ids) == 0).any():
        raise DataError(f"{path}: atom {ids[:-1][np.diff(ids) == 0][0]} stands there twice; {REMEDY}")
    species = None
    if labels:
        by_number = {number: name for name, number in labels.items()}
        types, species = numbers_and_names(path, types, [by_number[int(number) + 1] for number in types])
    return drop_flat_axis(path, [Frame(positions, types, cell, origin, ids, species=species)])


def _split(path: Path, lines: list[str]) -> tuple[dict[str, list[str]], dict[str, tuple[str, list[str]]]]:
    """Header, keyword -> numbers before it; sections, name -> (comment behind it, lines that are not empty)."""
    header: dict[str, list[str]] = {}
    sections: dict[str, tuple[str, list[str]]] = {}
    rows: list[str] | None = None
    for line in lines[1:]:
        text, _, comment = line.partition("#")
        text = text.strip()
        if not text:
            continue
        if _SECTION.fullmatch(text):
            if text in sections:
                raise DataError(f"{path}: two sections {text}; {REMEDY}")
            rows = []
            sections[text] = (comment.strip(), rows)
        elif rows is not None:
            rows.append(text)
        else:
            match = re.fullmatch(r"((?:[-+.\deE]+\s+)+)([a-z][A-Za-z ]*)", text)
            if match is None:
                raise DataError(f"{path}: the header has the line {text[:40]!r}; {REMEDY}")
            header[" ".join(match[2].split())] = match[1].split()
    return header, sections


def _numbers(path: Path, header: dict[str, list[str]], key: str, count: int) -> np.ndarray:
    try:
        values = np.array([float(word) for word in header[key]])
    except ValueError:
        values = np.empty(0)
    if len(values) != count or not np.isfinite(values).all():
        raise DataError(f"{path}: {key} reads {' '.join(header[key])[:40]!r}; expected {count} numbers")
    return values


def _whole(path: Path, header: dict[str, list[str]], key: str) -> int:
    if key not in header:
        raise DataError(f"{path}: the header does not tell the number of {key}; {REMEDY}")
    [value] = _numbers(path, header, key, 1)
    if value != int(value) or not 1 <= value < 2**53:
        raise DataError(f"{path}: the header declares {value:g} {key}; expected a positive integer")
    return int(value)


def _box(path: Path, header: dict[str, list[str]]) -> tuple[np.ndarray, np.ndarray]:
    """Edge lengths or row vectors, and the corner. Bounds that are not there are -0.5 and 0.5, as LAMMPS says."""
    if "avec" in header:
        missing = next((key for key in ("bvec", "cvec", "abc origin") if key not in header), None)
        if missing:
            raise DataError(f"{path}: the header has avec but no {missing}; {REMEDY}")
        cell = np.stack([_numbers(path, header, key, 3) for key in ("avec", "bvec", "cvec")])
        return cell, _numbers(path, header, "abc origin", 3)
    bounds = np.tile([-0.5, 0.5], (3, 1))
    for axis, letter in enumerate("xyz"):
        key = f"{letter}lo {letter}hi"
        if key in header:
            bounds[axis] = _numbers(path, header, key, 2)
        elif letter != "z":
            raise DataError(f"{path}: the header has no {key}; {REMEDY}")
    edges = bounds[:, 1] - bounds[:, 0]
    if "xy xz yz" not in header:
        return edges, bounds[:, 0].copy()
    xy, xz, yz = _numbers(path, header, "xy xz yz", 3)
    if not (xy or xz or yz):
        return edges, bounds[:, 0].copy()
    return np.array([[edges[0], 0, 0], [xy, edges[1], 0], [xz, yz, edges[2]]]), bounds[:, 0].copy()


def _labels(path: Path, sections: dict[str, tuple[str, list[str]]], kinds: int) -> dict[str, int]:
    """Name -> type number of the section Atom Type Labels; empty where there is none."""
    labels: dict[str, int] = {}
    for row in sections.get("Atom Type Labels", ("", []))[1]:
        words = row.split()
        if len(words) != 2 or not re.fullmatch(r"[1-9]\d{0,8}", words[0]) or int(words[0]) > kinds:
            raise DataError(f"{path}: Atom Type Labels have the line {row[:40]!r}; expected a type and its name")
        labels[words[1]] = int(words[0])
    if labels and sorted(labels.values()) != list(range(1, kinds + 1)):
        raise DataError(f"{path}: Atom Type Labels name {len(labels)} of {kinds} atom types; {REMEDY}")
    return labels


def _style(path: Path, hint: str, words: np.ndarray, kinds: int, labels: dict[str, int]) -> tuple[int, int, int]:
    """The columns of Atoms: those of the style that the file names, else of the only kind that they can be."""
    count = words.shape[1]
    if hint:
        name = hint.split()[0].partition("/")[0]  # atomic/kk is atomic on other hardware
        if name == "hybrid" and count >= 5:
            return (1, 2, count)  # whatever its styles are: id, type, x, y, z stand before what they add
        if name not in STYLES:
            raise DataError(f"{path}: Atoms are of style {name[:40]!r}; known are {', '.join(STYLES)}, hybrid")
        if count not in (STYLES[name][2], STYLES[name][2] + 3):
            raise DataError(
                f"{path}: Atoms of style {name} have {count} columns; expected {STYLES[name][2]}, or with images "
                f"{STYLES[name][2] + 3}"
            )
        return STYLES[name]

    def may_be_types(column: int) -> bool:
        texts = set(words[:, column].tolist())
        return all(
            text in labels or (re.fullmatch(r"[1-9]\d{0,8}", text) is not None and int(text) <= kinds) for text in texts
        )

    fitting = {
        STYLES[name]: name
        for name in ("full", "molecular", "charge", "atomic", "sphere")
        if count in (STYLES[name][2], STYLES[name][2] + 3) and may_be_types(STYLES[name][0])
    }
    if len(fitting) > 1:  # columns that cannot be what the style says
        fitting = {style: name for style, name in fitting.items() if _possible(name, words)}
    if len(fitting) != 1:
        found = " or ".join(fitting.values()) or "none that is known"
        raise DataError(
            f"{path}: Atoms with {count} columns are of style {found}; write the style behind it, as in "
            "'Atoms # atomic'"
        )
    return next(iter(fitting))


def _possible(name: str, words: np.ndarray) -> bool:
    """Can the columns between id and x be those of the style? A molecule has a whole number, a sphere a diameter."""
    if name in ("full", "molecular"):
        return all(re.fullmatch(r"\d{1,18}", text) is not None for text in set(words[:, 1].tolist()))
    if name == "sphere":
        try:
            values = words[:, 2:4].astype(np.float64)
        except ValueError:
            return False
        return bool((values > 0).all())
    return True


def _integers(path: Path, what: str, texts: np.ndarray) -> np.ndarray:
    try:
        return np.array([int(text) for text in texts.tolist()], dtype=np.int64)
    except (ValueError, OverflowError):
        raise DataError(f"{path}: the {what} of Atoms are not all integers; {REMEDY}") from None


def _types(path: Path, texts: np.ndarray, kinds: int, labels: dict[str, int]) -> np.ndarray:
    """Type numbers from 0."""
    numbers = _integers(path, "types", np.array([str(labels.get(text, text)) for text in texts.tolist()]))
    if numbers.min() < 1 or numbers.max() > kinds:
        bad = numbers.min() if numbers.min() < 1 else numbers.max()
        raise DataError(f"{path}: Atoms hold type {bad}, outside 1 to {kinds} of the header; {REMEDY}")
    return numbers - 1

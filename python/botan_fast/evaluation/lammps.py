"""Predictions in the formats of LAMMPS: a data file with bonds, and dumps of the numbers of particles and bonds."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from ..errors import InputError
from ..files import FilePath, atomic_write
from ..quantities import FIRST_SHELL
from .colors import Scale, scale_of_bonds, scale_of_particles
from .columns import Bonds, bonds_of, cell_of, names_of, particle_columns, places_of, radii_of
from .prediction import ConfigurationPrediction

__all__ = ["DATA_ENDINGS", "lammps_files", "write_lammps"]

DATA_ENDINGS = (".data", ".lmp")
_ROWS = 65536  # that are made to text at once


def lammps_files(path: FilePath) -> tuple[Path, Path, Path]:
    """The files that `write_lammps` writes: the data file, the dump of particles, the dump of bonds.

    >>> from botan_fast.evaluation.lammps import lammps_files
    >>> [file.name for file in lammps_files("run/conf.data")]
    ['conf.data', 'conf.dump', 'conf.bonds.dump']
    """
    path = Path(path)
    if path.suffix not in DATA_ENDINGS:
        raise InputError(f"path = '{path}'; a LAMMPS data file is named NAME{' or NAME'.join(DATA_ENDINGS)}")
    return path, path.with_suffix(".dump"), path.with_suffix(".bonds.dump")


def write_lammps(
    prediction: ConfigurationPrediction, path: FilePath, *, color: str | None = None, bonds: float = FIRST_SHELL
) -> list[Path]:
    """Write a prediction for LAMMPS and the programs that read its files: NAME.data, NAME.dump and NAME.bonds.dump.

    A data file has no place for numbers of the user, and none for colours, so they are in dumps beside it:

    - NAME.data: cell, particles (`Atoms # hybrid bond sphere`, with diameters: OVITO draws them in their size) and
      bonds, the pairs with r_ij(0) < `bonds`, whose type is the pair of species (A-A, A-B, B-B). LAMMPS reads it with
      `atom_style hybrid bond sphere`; botan_fast, OVITO and MDAnalysis read it too.
    - NAME.dump, of `dump custom`: the particles with the columns of `write_xyz` and `Color.R`, `Color.G`, `Color.B`,
      which OVITO opens with the colours on.
    - NAME.bonds.dump, of `dump local`: `batom1`, `batom2`, `btype`, and the columns of `bonds_of` with colours. OVITO
      puts them on the bonds of NAME.data through its modifier Load Trajectory.

    Positions lie in the cell, with image flags; the corner of the cell is 0. A tilted cell whose first vector is along
    x and the second in the plane of x and y is written by its tilt factors, any other as a general triclinic one. Two
    dimensions have z = 0. Each file is written completely or not at all.

    Parameters
    ----------
    path : NAME.data or NAME.lmp.
    color : as in `write_xyz`; bonds get the same of E_ij (predicted, actual, error) on a scale around 0.
    bonds : largest length of a bond; 0 for none.

    Returns the three paths.

    Raises
    ------
    InputError
        For another ending, more than 26 species, a color that is no column, a negative length.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> from botan_fast.evaluation.lammps import write_lammps
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x, positions=x[None])
    >>> [prediction] = bf.predict(bf.BOTAN(hidden_size=8, num_steps=1), folder.name + "/a.npz")
    >>> [path.name for path in write_lammps(prediction, folder.name + "/b.data")]
    ['b.data', 'b.dump', 'b.bonds.dump']
    """
    paths = lammps_files(path)
    scale = scale_of_particles(prediction, color)
    system = _System.of(prediction, bonds_of(prediction, bonds))
    with atomic_write(paths[0]) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _write_data(file, system)
    with atomic_write(paths[1]) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _write_particles(file, system, particle_columns(prediction), scale)
    with atomic_write(paths[2]) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _write_bonds(file, system, scale_of_bonds(system.bonds, scale, prediction.quantity))
    return list(paths)


class _System(NamedTuple):
    """What the three files share; positions are in the cell."""

    names: list[str]
    types: np.ndarray  # (N,) from 1
    places: np.ndarray  # (N, 3)
    images: np.ndarray  # (N, 3)
    cell: np.ndarray  # (3, 3) row vectors, right-handed
    flat: bool
    radii: np.ndarray  # (N,)
    bonds: Bonds
    bond_types: np.ndarray  # (P,) from 1
    bond_names: list[str]

    @classmethod
    def of(cls, prediction: ConfigurationPrediction, bonds: Bonds) -> "_System":
        cell, flat = cell_of(prediction), prediction.positions.shape[1] == 2
        if np.linalg.det(cell) < 0:  # LAMMPS wants a right-handed cell; the same lattice has one
            cell = cell[[1, 0, 2]]
        fractions = places_of(prediction) @ np.linalg.inv(cell)
        images = np.floor(fractions)
        names = names_of(prediction)
        kinds = [(a, b) for a in range(len(names)) for b in range(a, len(names))]
        table = np.zeros((len(names), len(names)), int)
        for number, (a, b) in enumerate(kinds, start=1):
            table[a, b] = table[b, a] = number
        return cls(
            names,
            prediction.types + 1,
            places_of(prediction) - images @ cell,
            images.astype(np.int64),
            cell,
            flat,
            radii_of(prediction),
            bonds,
            table[prediction.types[bonds.pairs[:, 0]], prediction.types[bonds.pairs[:, 1]]],
            [f"{names[a]}-{names[b]}" for a, b in kinds],
        )

    @property
    def bounds(self) -> np.ndarray:
        """(3, 2) lowest and highest coordinate along the axes of an orthogonal or restricted triclinic cell."""
        low = [0.0, 0.0, -0.5 if self.flat else 0.0]
        return np.stack([low, low + np.diag(self.cell)], axis=1)

    @property
    def tilts(self) -> np.ndarray:
        """xy, xz, yz."""
        return self.cell[[1, 2, 2], [0, 0, 1]]

    @property
    def restricted(self) -> bool:
        """Is the first vector along x, the second in the plane of x and y, in positive directions?"""
        return not np.triu(self.cell, 1).any() and bool((np.diag(self.cell) > 0).all())


def _write_data(file: TextIO, system: _System) -> None:
    s = system
    pairs = s.bonds.pairs
    file.write("LAMMPS data file, written by botan_fast, units = lj\n\n")
    file.write(f"{len(s.places)} atoms\n{len(s.names)} atom types\n")
    file.write(f"{len(pairs)} bonds\n{len(s.bond_names)} bond types\n\n")
    if s.restricted:
        for axis, (low, high) in zip("xyz", s.bounds, strict=True):
            file.write(f"{low:.17g} {high:.17g} {axis}lo {axis}hi\n")
        if s.tilts.any():
            file.write(" ".join(f"{x:.17g}" for x in s.tilts) + " xy xz yz\n")
    else:
        for name, vector in zip(("avec", "bvec", "cvec"), s.cell, strict=True):
            file.write(" ".join(f"{x:.17g}" for x in vector) + f" {name}\n")
        file.write(f"0 0 {-0.5 if s.flat else 0:g} abc origin\n")
    for title, names in (("Atom", s.names), ("Bond", s.bond_names)):
        lines = "".join(f"{k} {name}\n" for k, name in enumerate(names, start=1))
        file.write(f"\n{title} Type Labels\n\n{lines}")
    file.write("\nMasses\n\n" + "".join(f"{k + 1} 1\n" for k in range(len(s.names))))
    # A density with which each mass is 1: LAMMPS computes masses of spheres from it.
    densities = 1 / (4 / 3 * np.pi * s.radii**3)
    file.write("\nAtoms # hybrid bond sphere\n\n")  # id type x y z molecule diameter density ix iy iz
    for k, (place, image) in enumerate(zip(s.places, s.images, strict=True)):
        where, turns = " ".join(f"{x:.16g}" for x in place), " ".join(map(str, image))
        file.write(f"{k + 1} {s.types[k]} {where} 1 {2 * s.radii[k]:g} {densities[k]:.10g} {turns}\n")
    if len(pairs):
        file.write("\nBonds\n\n")
        for k, ((i, j), kind) in enumerate(zip(pairs, s.bond_types, strict=True), start=1):
            file.write(f"{k} {kind} {i + 1} {j + 1}\n")


def _write_particles(file: TextIO, system: _System, columns: dict[str, np.ndarray], scale: Scale | None) -> None:
    s = system
    numbers, names = _numbers(columns, scale, len(s.places))
    _write_head(file, s, "ATOMS", len(s.places))
    file.write(f"ITEM: ATOMS id type x y z ix iy iz radius{names}\n")
    for k, (place, image, rest) in enumerate(zip(s.places, s.images, numbers, strict=True)):
        where, turns = " ".join(f"{x:.16g}" for x in place), " ".join(map(str, image))
        file.write(f"{k + 1} {s.types[k]} {where} {turns} {s.radii[k]:g}{rest}\n")


def _write_bonds(file: TextIO, system: _System, scale: Scale | None) -> None:
    s = system
    numbers, names = _numbers(s.bonds.columns, scale, len(s.bonds.pairs))
    _write_head(file, s, "BONDS", len(s.bonds.pairs))
    file.write(f"ITEM: BONDS batom1 batom2 btype{names}\n")
    for (i, j), kind, rest in zip(s.bonds.pairs, s.bond_types, numbers, strict=True):
        file.write(f"{i + 1} {j + 1} {kind}{rest}\n")


def _numbers(columns: dict[str, np.ndarray], scale: Scale | None, number: int) -> tuple[Iterator[str], str]:
    """The rest of each line, one after the other, and the names of what stands there: the columns and the colours."""
    names, arrays = list(columns), list(columns.values())
    colors: list[np.ndarray] = []
    if scale is not None:
        names += ["Color.R", "Color.G", "Color.B"]
        colors = list(scale.colors(columns[scale.column]).T)

    def lines() -> Iterator[str]:
        for first in range(0, number, _ROWS):  # a liquid of 10^5 particles has 10^6 bonds, whose texts fill a memory
            rows = slice(first, min(first + _ROWS, number))
            texts = [[f" {x:.9g}" for x in values[rows].tolist()] for values in arrays]
            texts += [[f" {x:.4f}" for x in values[rows].tolist()] for values in colors]
            yield from map("".join, zip(*texts, strict=True)) if texts else [""] * (rows.stop - first)

    return lines(), "".join(f" {name}" for name in names)


def _write_head(file: TextIO, system: _System, what: str, number: int) -> None:
    s = system
    file.write(f"ITEM: TIMESTEP\n0\nITEM: NUMBER OF {what}\n{number}\n")
    if not s.restricted:
        file.write("ITEM: BOX BOUNDS abc origin pp pp pp\n")
        origin = [0.0, 0.0, -0.5 if s.flat else 0.0]
        for vector, corner in zip(s.cell, origin, strict=True):
            file.write(" ".join(f"{x:.17g}" for x in (*vector, corner)) + "\n")
    elif s.tilts.any():  # the bounds of a dump hold the whole tilted cell
        xy, xz, yz = s.tilts
        bounds = s.bounds
        bounds[0] += min(0.0, xy, xz, xy + xz), max(0.0, xy, xz, xy + xz)
        bounds[1] += min(0.0, yz), max(0.0, yz)
        file.write("ITEM: BOX BOUNDS xy xz yz pp pp pp\n")
        for (low, high), tilt in zip(bounds, s.tilts, strict=True):
            file.write(f"{low:.17g} {high:.17g} {tilt:.17g}\n")
    else:
        file.write("ITEM: BOX BOUNDS pp pp pp\n")
        file.writelines(f"{low:.17g} {high:.17g}\n" for low, high in s.bounds)

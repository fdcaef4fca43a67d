"""LAMMPS data files: every style, box and order of rows gives the same configuration."""

import gzip
from pathlib import Path

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.helpers.format_files import lammps_data_text, simulation

TILTED = [[5.0, 0, 0], [1.5, 6.0, 0], [-0.5, 1.0, 7.0]]


LAMMPS = Path(__file__).parent / "lammps"


def one(path):
    [configuration] = read(path)
    return configuration


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("style", ["atomic", "charge", "molecular", "full", "sphere"])
@pytest.mark.parametrize("images", [True, False])
def test_styles(tmp_path, style, images):
    s = simulation()
    c = one(write(tmp_path / "glass.data", lammps_data_text(s, style, images)))
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)
    np.testing.assert_array_equal(c.types, s.types)
    np.testing.assert_allclose(c.box, s.box)
    assert (c.name, c.trajectories, c.time, c.temperature) == ("glass", None, None, None)


@pytest.mark.parametrize("style", ["atomic", "charge", "molecular", "full"])
@pytest.mark.parametrize("images", [True, False])
def test_the_style_follows_from_the_columns(tmp_path, style, images):
    s = simulation()
    c = one(write(tmp_path / "a.data", lammps_data_text(s, style, images, hint=False)))
    np.testing.assert_array_equal(c.types, s.types)
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)


@pytest.mark.parametrize("hint", ["hybrid", "hybrid bond sphere"])  # LAMMPS writes the first, others the second
def test_hybrid_styles_begin_with_type_and_place(tmp_path, hint):
    s = simulation()
    text = lammps_data_text(s).replace("Atoms  # atomic", f"Atoms # {hint}")
    head, atoms = text.split(f"{hint}\n\n")
    rows, rest = atoms.split("\n\n", 1)
    # id type x y z, what the styles add (molecule, diameter, density), image flags
    words = [row.split() for row in rows.splitlines()]
    rows = "\n".join(" ".join([*row[:5], "1", "0.88", "1.5", *row[5:]]) for row in words)
    c = one(write(tmp_path / "a.data", f"{head}{hint}\n\n{rows}\n\n{rest}"))
    np.testing.assert_array_equal(c.types, s.types)
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)


@pytest.mark.parametrize(
    ("rows", "style"),
    [
        (["1 1 1 0.5 0.5 0.5", "2 2 1 1.5 1.5 1.5"], "molecular or charge"),  # both columns may be the types
        (["1 1 1 1 0.5 0.5 0.5", "2 2 1 1 1.5 1.5 1.5"], "full or sphere"),
        (["1 9 0.5 0.5 0.5", "2 9 1.5 1.5 1.5"], "none that is known"),
    ],
)
def test_columns_that_may_be_two_things_are_refused(tmp_path, rows, style):
    """Guessing would swap species without a word."""
    text = "x\n\n2 atoms\n2 atom types\n0 5 xlo xhi\n0 5 ylo yhi\n0 5 zlo zhi\n\nAtoms\n\n" + "\n".join(rows)
    with pytest.raises(DataError, match=f"are of style {style}; write the style behind it"):
        read(write(tmp_path / "a.data", text))


def test_boxes(tmp_path):
    tilted = simulation(cell=TILTED)
    c = one(write(tmp_path / "tilted.data", lammps_data_text(tilted, origin=-2.5)))
    np.testing.assert_allclose(c.box, TILTED)
    np.testing.assert_allclose(c.positions, tilted.positions, atol=1e-12)
    s = simulation()
    c = one(write(tmp_path / "moved.data", lammps_data_text(s, origin=-2.5)))
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)
    text = lammps_data_text(s).replace("zlo zhi", "zlo zhi\n0 0 0 xy xz yz")
    np.testing.assert_allclose(one(write(tmp_path / "zero.data", text)).box, s.box)
    lines = lammps_data_text(tilted).splitlines()
    place = next(k for k, line in enumerate(lines) if line.endswith("xlo xhi"))
    vectors = [" ".join(map(str, row)) for row in TILTED]
    names = ("avec", "bvec", "cvec")
    lines[place : place + 4] = [f"{v} {n}" for v, n in zip(vectors, names, strict=True)] + ["0 0 0 abc origin"]
    np.testing.assert_allclose(one(write(tmp_path / "general.data", "\n".join(lines))).box, TILTED)


def test_two_dimensions(tmp_path):
    s = simulation(dimensions=2, cell=[6.0, 6.0])
    c = one(write(tmp_path / "flat.data", lammps_data_text(s)))
    assert c.positions.shape == (40, 2)
    np.testing.assert_allclose(c.box, [6, 6])
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)


def test_gzip_comments_and_names(tmp_path):
    s = simulation()
    text = lammps_data_text(s).replace("40 atoms", "  40   atoms   # all of them").replace("\n", "\r\n")
    (tmp_path / "data.kob_andersen.gz").write_bytes(gzip.compress(text.encode()))
    c = one(tmp_path / "data.kob_andersen.gz")
    assert c.name == "data.kob_andersen"
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)
    long = lammps_data_text(s).replace("LAMMPS data file", "LAMMPS data file " + "x" * 2000)
    assert one(write(tmp_path / "long.lmp", long)).name == "long"


def test_type_labels(tmp_path):
    s = simulation()
    text = lammps_data_text(s).replace("Masses", "Atom Type Labels\n\n1 Ge\n2 Si\n\nMasses")
    c = one(write(tmp_path / "a.data", text))
    np.testing.assert_array_equal(c.types, s.types)
    assert c.species == ("Ge", "Si")
    named = text.replace("\n1 1\n2 1\n", "\nGe 1\nSi 1\n")
    lines = named.splitlines()
    start = lines.index("Atoms  # atomic") + 2
    for k in range(start, start + 40):
        words = lines[k].split()
        words[1] = {"1": "Ge", "2": "Si"}[words[1]]
        lines[k] = " ".join(words)
    c = one(write(tmp_path / "b.data", "\n".join(lines)))
    np.testing.assert_array_equal(c.types, s.types)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("units = lj", "units = real", "units are 'real'; convert the file to Lennard-Jones"),
        ("40 atoms", "41 atoms", "declares 41 atoms, but 40 lines follow"),
        ("2 atom types", "1 atom types", "hold type 2, outside 1 to 1"),
        ("2 atom types\n", "", "does not tell the number of atom types"),
        ("ylo yhi", "", "the header has the line"),
        ("Atoms  # atomic", "Bodies", "no section Atoms"),
        ("Atoms  # atomic", "Atoms  # body", "of style 'body'; known are atomic"),
        ("Atoms  # atomic", "Atoms  # full", "style full have 8 columns; expected 7, or with images 10"),
        ("0.0 5.0 xlo", "0.0 nan xlo", "the header has no xlo xhi"),
        ("0.0 5.0 xlo", "5.0 0.0 xlo", "has no volume"),
        ("\n7 ", "\n8 ", "atom 8 stands there twice"),
    ],
)
def test_what_is_refused(tmp_path, old, new, message):
    text = lammps_data_text(simulation())
    assert old in text
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path / "a.data", text.replace(old, new, 1)))
    assert "\n" not in str(caught.value)


def test_predictions_are_those_of_the_same_arrays(tmp_path, tiny_model):
    s = simulation(number=80)
    write(tmp_path / "a.data", lammps_data_text(s))
    np.savez(tmp_path / "b.npz", positions=s.positions, types=s.types, box=s.box)
    [a], [b] = (list(bf.predict(tiny_model, tmp_path / name)) for name in ("a.data", "b.npz"))
    np.testing.assert_allclose(a.propensity, b.propensity, atol=1e-6)
    with pytest.raises(DataError, match="no trajectories, so no targets"):
        bf.evaluate(tiny_model, tmp_path / "a.data")


@pytest.mark.parametrize("style", ["atomic", "charge", "molecular", "full"])
def test_files_that_lammps_wrote(style):
    """The dump of the same instant holds the same configuration, up to its digits."""
    data, dump = (one(LAMMPS / f"data_{style}.{end}.gz") for end in ("data", "dump"))
    assert data.name == f"data_{style}"
    assert data.positions.shape == ((30, 2) if style == "molecular" else (30, 3))
    np.testing.assert_array_equal(data.types, dump.types)
    np.testing.assert_allclose(data.box, dump.box, rtol=1e-8)
    cell = np.diag(data.box) if data.box.ndim == 1 else data.box
    difference = (data.positions - dump.positions) @ np.linalg.inv(cell)
    np.testing.assert_allclose(difference - np.rint(difference), 0, atol=1e-7)
    assert data.species == (("Si", "Ge") if style == "full" else None)

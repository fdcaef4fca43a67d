"""Formats of frames: LAMMPS dumps, extended XYZ, GSD, H5MD. Whatever the format, the displacements are the same."""

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.helpers.format_files import frames_of, lammps_text, simulation, write_gsd, write_h5md, xyz_text
from tests.helpers.tiny_data import write_tiny

DATA = Path(__file__).parent / "lammps"
TILTED = [[6.0, 0, 0], [1.1, 6.5, 0], [-0.7, 0.9, 7.0]]
GENERAL = [[6.0, 0.5, -0.2], [0.4, 6.5, 0.3], [-0.7, 0.9, 7.0]]


def check(configurations, s, run=0, times=None, atol=1e-9):
    """The configurations are those of one run of the simulation `s`."""
    assert len(configurations) == len(s.runs)
    for k, c in enumerate(configurations):
        assert c.positions is configurations[0].positions
        assert c.trajectories.shape == (1, *s.positions.shape)
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, run], atol=atol)
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_allclose(c.box, s.box, atol=atol)
        fractions = c.positions / c.box if c.box.ndim == 1 else c.positions @ np.linalg.inv(c.box)
        assert (fractions >= -1e-12).all()
        assert (fractions < 1 + 1e-12).all()
        # The same places, but for whole box vectors.
        moved = (c.positions - s.positions) @ np.linalg.inv(s.cell)
        shift = moved - moved[0]
        np.testing.assert_allclose(shift, np.rint(shift), atol=max(atol, 1e-9))
        assert c.time == pytest.approx(times[k]) if times is not None else c.time is None
        assert c.time_index == k


# LAMMPS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", ["xu yu zu", "x y z ix iy iz", "xs ys zs ix iy iz", "xsu ysu zsu"])
@pytest.mark.parametrize("cell", [None, TILTED], ids=["orthogonal", "triclinic"])
def test_lammps_coordinates(tmp_path, columns, cell):
    s = simulation(cell=cell)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s, 1), columns, origin=-2.5))
    check(read(tmp_path / "a.dump"), s, run=1)


def test_lammps_gzip_by_content_and_time(tmp_path):
    s = simulation()
    (tmp_path / "a.txt").write_bytes(gzip.compress(lammps_text(s, frames_of(s), time=True).encode()))
    check(read(tmp_path / "a.txt"), s, times=s.times)


def test_lammps_in_two_dimensions(tmp_path):
    s = simulation(dimensions=2)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s), "x y z ix iy iz"))
    check(read(tmp_path / "a.dump"), s)
    (tmp_path / "b.dump").write_text(lammps_text(s, frames_of(s), "xu yu"))
    check(read(tmp_path / "b.dump"), s)


@pytest.mark.parametrize(
    ("box", "kinds"), [("orth", ["xu"]), ("tri", ["xu", "xi"]), ("gen", ["xu", "xsi"]), ("2d", ["xi", "xsu"])]
)
def test_dumps_written_by_lammps(box, kinds):
    """Real dumps of one run in two kinds of coordinates; every box shape that LAMMPS has."""
    results = [read(DATA / f"{box}_{kind}.dump.gz") for kind in kinds]
    for configurations in results:
        assert len(configurations) == 2
        first = configurations[0]
        assert first.name == f"{box}_{kinds[results.index(configurations)]}"
        assert first.positions.shape == ((25, 2) if box == "2d" else (32, 3))
        assert first.box.shape == {"orth": (3,), "2d": (2,)}.get(box, (3, 3))
        volume = np.prod(first.box) if first.box.ndim == 1 else np.linalg.det(first.box)
        assert len(first.positions) / volume == pytest.approx({"gen": 1.0}.get(box, 0.8), rel=1e-4)
        assert set(first.types.tolist()) == {0, 1}
        if box == "orth":  # a face-centred crystal of density 0.8 at first
            d = bf.neighbor_list("d", first.positions, first.box, 1.3)
            np.testing.assert_allclose(d, (4 / 0.8) ** (1 / 3) / 2**0.5, rtol=1e-6)
            assert len(d) == 12 * 32
        for c, other in zip(configurations, results[0], strict=True):
            np.testing.assert_allclose(c.trajectories - c.positions, other.trajectories - other.positions, atol=1e-7)
    if kinds[0] == "xu":
        assert [c.time for c in results[0]] == pytest.approx([1.2, 2.4])


def test_wrapped_dump_of_lammps_is_refused():
    with pytest.raises(DataError, match=r"wrapped into the periodic box.*xu yu zu"):
        read(DATA / "orth_atom.dump.gz")


def test_a_single_frame_is_a_static_configuration(tmp_path):
    s = simulation()
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s)[:1], "x y z", shuffle=True))
    [c] = read(tmp_path / "a.dump")
    assert c.trajectories is None
    assert c.time is None
    np.testing.assert_allclose(c.positions, s.positions, atol=1e-12)
    [sample] = bf.load_samples(tmp_path / "a.dump", require_targets=False)
    assert sample.targets is None


def test_lammps_elements(tmp_path):
    s = simulation()
    text = lammps_text(s, frames_of(s)[:1])
    lines = text.replace("id type", "id element").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("ITEM: ATOMS")) + 1
    lines[start:] = [f"{a} {'BA'[b == '1']} {rest}" for a, b, rest in (line.split(" ", 2) for line in lines[start:])]
    (tmp_path / "a.dump").write_text("\n".join(lines))
    [c] = read(tmp_path / "a.dump")
    np.testing.assert_array_equal(c.types, s.types)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("pp pp pp", "pp pp ff", r"not periodic along z"),
        ("ATOMS\n40", "ATOMS\n1000000000000", r"declares 1000000000000 atoms with 5 columns, but 200 values follow"),
        ("ATOMS\n40", "ATOMS\n41", r"declares 41 atoms with 5 columns, but 200 values"),
        ("ATOMS\n40", "ATOMS\nmany", r"NUMBER OF ATOMS of frame 0 reads 'many'; expected 1 numbers"),
        ("ATOMS\n40", "ATOMS\n-4", r"NUMBER OF ATOMS is -4"),
        ("id type xu", "id kind xu", r"columns are id kind xu yu zu; expected type"),
        ("xu yu zu", "vx vy vz", r"expected coordinates, best xu yu zu"),
        ("xu yu zu", "xu ys zu", r"expected one kind of coordinates for all axes"),
        ("0.0 5.0", "5.0 0.0", r"frame 0 \[-5\.0, 6\.0, 7\.0\]; expected runs at constant volume"),
        ("0.0 5.0", "0.0 nan", r"BOX BOUNDS of frame 0 reads '0\.0 nan'"),
        ("ITEM: TIMESTEP", "ITEM: UNITS\nreal\nITEM: TIMESTEP", r"UNITS are 'real'; convert"),
        ("ITEM: BOX", "ITEM: PIE", r"no BOX BOUNDS|where a line 'ITEM"),
    ],
)
def test_lammps_refusals(tmp_path, old, new, message):
    s = simulation()
    text = lammps_text(s, frames_of(s))
    assert old in text
    (tmp_path / "a.dump").write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "a.dump")
    assert "\n" not in str(error.value)


def test_frames_of_other_particles_or_boxes_are_refused(tmp_path):
    s = simulation()
    one, two = (lammps_text(s, [frame]) for frame in frames_of(s)[:2])
    for old, new, message in (
        ("0.0 5.0", "0.0 5.1", r"the box of frame 1 is \[5\.1.*constant volume"),
        ("ATOMS id type", "ATOMS mass type", r"without particle ids"),
        ("\n40 ", "\n77 ", r"different ids"),
    ):
        assert old in two
        (tmp_path / "a.dump").write_text(one + two.replace(old, new, 1))
        with pytest.raises(DataError, match=message):
            read(tmp_path / "a.dump")
    (tmp_path / "a.dump").write_text(one + lammps_text(simulation(number=39), [(1.0, simulation(number=39).positions)]))
    with pytest.raises(DataError, match="frame 1 holds 39 particles in 3 dimensions, frame 0 40"):
        read(tmp_path / "a.dump")
    (tmp_path / "a.dump").write_text(one.replace("\n40 ", "\n39 ", 1))
    with pytest.raises(DataError, match="holds atom 39 twice"):
        read(tmp_path / "a.dump")


# Wrapped trajectories -----------------------------------------------------------------------------------------------


def wrapped_frames(s, run=0):
    return [(t, s.wrapped(x)[0]) for t, x in frames_of(s, run)]


@pytest.mark.parametrize("step", [0.05, 0.2, 1.0, 3.0])
def test_wrapped_trajectories_are_refused_and_unwrapped_ones_are_not(tmp_path, step):
    """From the first crossing of a face up to motion by several boxes."""
    s = simulation(number=100, step=step)
    (tmp_path / "a.xyz").write_text(xyz_text(s, wrapped_frames(s)))
    with pytest.raises(DataError, match=r"wrapped into the periodic box, or start from other images") as error:
        read(tmp_path / "a.xyz")
    assert "\n" not in str(error.value)
    (tmp_path / "b.xyz").write_text(xyz_text(s, frames_of(s)))
    check(read(tmp_path / "b.xyz"), s, times=s.times)


def test_runs_that_count_from_other_images_are_refused(tmp_path):
    """The initial positions wrapped, the runs unwrapped from where the particles were long before."""
    s = simulation()
    shift = np.random.default_rng(0).integers(-2, 3, s.positions.shape) * s.box
    frames = frames_of(s)
    (tmp_path / "a.xyz").write_text(xyz_text(s, [frames[0], *((t, x + shift) for t, x in frames[1:])]))
    with pytest.raises(DataError, match="start from other images"):
        read(tmp_path / "a.xyz")


def test_wrapped_npz_of_the_authors_format_is_refused(tmp_path):
    s = simulation(number=64, cell=[(64 / 1.2) ** (1 / 3)] * 3, step=0.1)
    for name, runs in (("unwrapped", s.runs[0]), ("wrapped", s.wrapped(s.runs[0])[0])):
        np.savez(tmp_path / f"{name}.npz", types=s.types, initial_positions=s.positions, positions=runs)
    assert len(read(tmp_path / "unwrapped.npz")) == 1
    with pytest.raises(DataError, match="wrapped into the periodic box"):
        read(tmp_path / "wrapped.npz")


# Extended XYZ -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("species", [True, False])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_xyz(tmp_path, species, dimensions):
    s = simulation(dimensions=dimensions)
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s), species))
    check(read(tmp_path / "a.xyz"), s, times=s.times)


def test_xyz_in_a_general_cell(tmp_path):
    s = simulation(cell=GENERAL)
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)))
    check(read(tmp_path / "a.xyz"), s, times=s.times)


def test_xyz_that_the_package_writes(tmp_path, tiny_model):
    from botan_fast.evaluation.prediction import predict
    from botan_fast.evaluation.writing import write_xyz

    [prediction] = predict(tiny_model, write_tiny(tmp_path / "a.npz", 0))
    write_xyz(prediction, tmp_path / "a.xyz")
    [c] = read(tmp_path / "a.xyz")
    np.testing.assert_allclose(c.positions, prediction.positions, atol=1e-12)
    np.testing.assert_array_equal(c.types, prediction.types)
    np.testing.assert_array_equal(c.box, prediction.box)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("40\n", "41\n", r"line 42|frame 0 has lines|expected a number|declares 41"),
        ("40\n", "99999999999\n", r"declares 99999999999 particles, but 166 lines follow"),
        ("Lattice=", "Cell=", r"no Lattice"),
        (":pos:R:3", ":place:R:3", r"expected pos:R:3"),
        (":R:1 ", ":R ", r"do not read name:kind:count"),
        ("species:S:1", "x:S:1", r"expected species:S:1"),
        ('pbc="T T T"', 'pbc="T T F"', r"expected a periodic box"),
        ("\nA ", "\nA x ", r"do not hold the 5 values"),
    ],
)
def test_xyz_refusals(tmp_path, old, new, message):
    s = simulation()
    (tmp_path / "a.xyz").write_text(xyz_text(s, frames_of(s)).replace(old, new, 1))
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.xyz")


# GSD ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [None, TILTED], ids=["orthogonal", "triclinic"])
def test_gsd(tmp_path, cell):
    s = simulation(cell=cell)
    write_gsd(tmp_path / "a.dat", s, frames_of(s, 2))
    check(read(tmp_path / "a.dat"), s, run=2, atol=2e-5)  # GSD holds float32


def test_gsd_in_two_dimensions(tmp_path):
    s = simulation(dimensions=2)
    write_gsd(tmp_path / "a.gsd", s, frames_of(s))
    check(read(tmp_path / "a.gsd"), s, atol=2e-5)


def test_gsd_without_images_is_refused(tmp_path):
    s = simulation(number=100)
    write_gsd(tmp_path / "a.gsd", s, frames_of(s), images=False)
    with pytest.raises(DataError, match="wrapped into the periodic box"):
        read(tmp_path / "a.gsd")


def test_gsd_names_the_remedy_without_its_package(tmp_path, monkeypatch):
    s = simulation()
    write_gsd(tmp_path / "a.gsd", s, frames_of(s))
    monkeypatch.setitem(__import__("sys").modules, "gsd.fl", None)
    with pytest.raises(DataError, match=r'needs the gsd package; pip install "botan_fast\[formats\]"'):
        read(tmp_path / "a.gsd")


# H5MD ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fixed_box", [True, False])
@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("cell", [None, TILTED], ids=["orthogonal", "triclinic"])
def test_h5md(tmp_path, cell, images, fixed_box):
    s = simulation(cell=cell)
    write_h5md(tmp_path / "a.dat", s, frames_of(s, 3), images=images, fixed_box=fixed_box)
    check(read(tmp_path / "a.dat"), s, run=3, times=s.times)


def test_h5md_with_one_interval_in_place_of_the_steps(tmp_path):
    s = simulation(dimensions=2)
    write_h5md(tmp_path / "a.h5", s, frames_of(s), sparse=True)
    check(read(tmp_path / "a.h5"), s)


def test_h5md_sorted_by_id(tmp_path):
    s = simulation()
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["particles/all"]
        orders = np.stack([rng.permutation(40) for _ in range(4)])
        for name in ("position", "image"):
            values = group[name]["value"][:]
            group[name]["value"][:] = np.stack([v[order] for v, order in zip(values, orders, strict=True)])
        group["id/value"], group["id/step"] = orders, group["position/step"][:]
        species = group["species"][:]
        del group["species"]
        group["species/value"] = np.stack([species[order] for order in orders])
        group["species/step"] = group["position/step"][:]
    check(read(tmp_path / "a.h5"), s, times=s.times)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.__delitem__("box"), "has no box"),
        (lambda g: (g["box"].__delitem__("edges"), g["box"].create_group("edges")), "box/edges has no value"),
        (lambda g: g.__delitem__("position"), "has no position"),
        (lambda g: g.__delitem__("species"), "has no species"),
        (
            lambda g: g["box"].attrs.__setitem__("boundary", np.array([b"periodic", b"none", b"periodic"])),
            "boundary periodic, none",
        ),
        (
            lambda g: (g.__delitem__("species"), g.__setitem__("species", h5py.ExternalLink("other.h5", "/x"))),
            "other|link|HDF5",
        ),
        (
            lambda g: (g["position"].__delitem__("step"), g["position"].__setitem__("step", np.arange(9))),
            r"shape \(9,\)",
        ),
    ],
)
def test_h5md_refusals(tmp_path, change, message):
    s = simulation()
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file["particles/all"])
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.h5")


def test_hdf5_that_declares_more_than_it_stores(tmp_path):
    s = simulation()
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["particles/all/position"]
        del group["value"]
        group.create_dataset("value", (10**6, 40, 3), "f8", chunks=(1, 40, 3))[0] = s.positions
    with pytest.raises(DataError, match=r"declares shape \(1000000, 40, 3\) but the file stores"):
        read(tmp_path / "a.h5")

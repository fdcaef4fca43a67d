"""One cell written in several ways is one box; a system in a plane is two-dimensional."""

import h5py
import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from tests.helpers.format_files import frames_of, lammps_text, simulation, write_gsd, write_h5md, xyz_text

BOX = ["0.0 5.0", "0.0 6.0", "0.0 7.0"]
CELLS = {
    "orthogonal": ["pp pp pp", *BOX],
    "zero tilt": ["xy xz yz pp pp pp", *(line + " 0.0" for line in BOX)],
    "negative zeros": ["xy xz yz pp pp pp", *(line + " -0.0" for line in BOX)],
    "general": ["abc origin pp pp pp", "5.0 0.0 0.0 0.0", "-0.0 6.0 0.0 0.0", "0.0 0.0 7.0 0.0"],
    "other digits": ["pp pp pp", "0.0 5.000001", "-1e-7 6.0", "0.0 7.0"],
}


def in_cell(text, name):
    return text.replace("\n".join(["BOUNDS pp pp pp", *BOX]), "\n".join([f"BOUNDS {CELLS[name][0]}", *CELLS[name][1:]]))


@pytest.mark.parametrize("first", CELLS)
@pytest.mark.parametrize("second", CELLS)
def test_one_cell_in_two_frames(tmp_path, first, second):
    s = simulation()
    frames = frames_of(s)
    one, rest = in_cell(lammps_text(s, frames[:1]), first), in_cell(lammps_text(s, frames[1:]), second)
    (tmp_path / "a.dump").write_text(one + rest)
    configurations = read(tmp_path / "a.dump")
    assert len(configurations) == 3
    for k, c in enumerate(configurations):
        assert c.box.shape == (3,)
        assert not np.signbit(c.box).any()
        np.testing.assert_allclose(c.box, s.box, atol=2e-6)
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-9)


def test_one_cell_in_the_files_of_a_layout(tmp_path):
    s = simulation()
    (tmp_path / "initial.dump").write_text(lammps_text(s, frames_of(s)[:1]))
    for run, name in enumerate(["zero tilt", "general", "negative zeros", "orthogonal"]):
        (tmp_path / f"run{run}.dump").write_text(in_cell(lammps_text(s, frames_of(s, run)), name))
    (tmp_path / "a.toml").write_text('pattern = "run{run}.dump"\ninitial = "initial.dump"\ntimestep = 0.01\n')
    for k, c in enumerate(read(tmp_path / "a.toml")):
        np.testing.assert_allclose(c.trajectories - c.positions, s.displacements[k], atol=1e-9)


@pytest.mark.parametrize("tilt", ["0.1 0 0", "0 0.1 0", "0 0 0.1"])
def test_another_tilt_is_another_box(tmp_path, tilt):
    s = simulation()
    frames = frames_of(s)
    lines = [f"{line} {value}" for line, value in zip(BOX, tilt.split(), strict=True)]
    second = lammps_text(s, frames[1:2]).replace(
        "\n".join(["BOUNDS pp pp pp", *BOX]), "\n".join(["BOUNDS xy xz yz pp pp pp", *lines])
    )
    (tmp_path / "a.dump").write_text(lammps_text(s, frames[:1]) + second)
    with pytest.raises(DataError, match=r"the box of frame 1 is .*constant volume"):
        read(tmp_path / "a.dump")


# Two dimensions -----------------------------------------------------------------------------------------------------


def check_flat(path, s, number=3, atol=1e-9):
    configurations = read(path)
    assert len(configurations) == number
    for k, c in enumerate(configurations):
        assert c.positions.shape == s.positions.shape
        np.testing.assert_allclose(c.box, s.box, atol=atol)
        if c.trajectories is not None:
            np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=atol)


@pytest.mark.parametrize(
    "columns",
    ["xu yu z", "xu yu zu", "xsu ysu z", "x y z ix iy", "xs ys z ix iy", "x y z ix iy iz", "xu yu zs", "xu yu"],
)
@pytest.mark.parametrize("boundary", ["pp pp pp", "pp pp ff", "pp pp fs", "pp pp mm"])
def test_lammps_in_a_plane(tmp_path, columns, boundary):
    s = simulation(dimensions=2)
    text = lammps_text(s, frames_of(s), columns).replace("0.0 1.0\n", "-0.5 0.5\n").replace("pp pp pp", boundary)
    (tmp_path / "a.dump").write_text(text)
    check_flat(tmp_path / "a.dump", s)


def test_lammps_in_a_plane_at_some_height(tmp_path):
    s = simulation(dimensions=2)
    lines = lammps_text(s, frames_of(s), "xu yu z").splitlines()
    lines = [line[: line.rindex("0")] + "0.25" if len(line.split()) == 5 else line for line in map(str.rstrip, lines)]
    (tmp_path / "a.dump").write_text("\n".join(lines))
    check_flat(tmp_path / "a.dump", s)


@pytest.mark.parametrize("columns", ["x y z", "xs ys z"])
def test_wrapped_coordinates_in_a_plane_are_refused(tmp_path, columns):
    s = simulation(dimensions=2)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s), columns))
    with pytest.raises(DataError, match="wrapped"):
        read(tmp_path / "a.dump")


@pytest.mark.parametrize("boundary", ["pp pp ff", "pp ff pp", "ff pp pp", "ff ff ff"])
def test_lammps_with_a_wall_is_refused(tmp_path, boundary):
    s = simulation()
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s)).replace("pp pp pp", boundary))
    with pytest.raises(DataError, match=r"a\.dump: the box is not periodic along .*; expected a periodic box \(pp\)"):
        read(tmp_path / "a.dump")
    s = simulation(dimensions=2)
    (tmp_path / "a.dump").write_text(lammps_text(s, frames_of(s)).replace("pp pp pp", boundary))
    if boundary != "pp pp ff":
        with pytest.raises(DataError, match="not periodic along"):
            read(tmp_path / "a.dump")


@pytest.mark.parametrize("height", [0.0, 0.5])
@pytest.mark.parametrize("boundary", [["periodic"] * 3, ["periodic", "periodic", "none"]])
def test_h5md_in_a_plane(tmp_path, boundary, height):
    s = simulation(dimensions=2)
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["particles/all"]
        for name, value in (("position", height), ("image", 0)):
            old = group[name]["value"][:]
            del group[name]["value"]
            group[name]["value"] = np.pad(old, ((0, 0), (0, 0), (0, 1)), constant_values=value)
        del group["box/edges"]
        group["box/edges"] = [*s.box, 1.0]
        group["box"].attrs["dimension"] = 3
        group["box"].attrs["boundary"] = np.array(boundary, dtype="S8")
    check_flat(tmp_path / "a.h5", s)
    if boundary[2] == "none":
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file["particles/all/position/value"][2, 7, 2] += 0.1
        with pytest.raises(DataError, match="boundary periodic, periodic, none; expected a periodic box"):
            read(tmp_path / "a.h5")


@pytest.mark.parametrize("text", ["fixed length", "variable length", "objects", "scalar strings"])
@pytest.mark.parametrize("boundary", [["periodic", "periodic", "none"], ["none"] * 3, ["none", "periodic", "periodic"]])
def test_h5md_with_a_wall_is_refused(tmp_path, boundary, text):
    """However Python writes the words: a list of str becomes text of variable length."""
    s = simulation()
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    written = {
        "fixed length": lambda words: np.array(words, dtype="S8"),
        "variable length": list,
        "objects": lambda words: np.array(words, dtype=object),
        "scalar strings": lambda words: np.array(words, dtype=h5py.string_dtype()),
    }[text]
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        box = file["particles/all/box"]
        box.attrs["creator"] = ["periodic", "none", "someone with a long name"]  # words of others do not matter
        box.attrs["boundary"] = written(["periodic"] * 3)
    assert len(read(tmp_path / "a.h5")) == 3
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["particles/all/box"].attrs["boundary"]
        file["particles/all/box"].attrs["boundary"] = written(boundary)
    with pytest.raises(DataError, match=r"boundary .*none.*; expected a periodic box"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("pbc", ['"T T F"', '"T T T"', "[T, T, F]", "{1 1 0}", "T", '"True True False"'])
def test_xyz_in_a_plane(tmp_path, pbc):
    s = simulation(dimensions=2)
    for lattice in (" 1.0", " 0.0"):  # ASE writes a third vector of length 0 where there is none
        (tmp_path / "a.xyz").write_text(
            xyz_text(s, frames_of(s)).replace('"T T T"', pbc).replace('1.0" Prop', f'{lattice.strip()}" Prop')
        )
        check_flat(tmp_path / "a.xyz", s)


@pytest.mark.parametrize(("dimensions", "height"), [(2, 1.0), (2, 0.0), (3, 1.0), (3, 0.0)])
def test_gsd_in_a_plane(tmp_path, dimensions, height):
    """Two dimensions by their number, or by a plane; older versions of HOOMD-blue write a box of height 0."""
    import gsd.hoomd

    s = simulation(dimensions=2)
    write_gsd(tmp_path / "whole.gsd", s, frames_of(s))
    with gsd.hoomd.open(tmp_path / "whole.gsd") as whole, gsd.hoomd.open(tmp_path / "a.gsd", "w") as file:
        for frame in whole:
            frame.configuration.dimensions = dimensions
            frame.configuration.box = [*frame.configuration.box[:2], height, 0, 0, 0]
            file.append(frame)
    check_flat(tmp_path / "a.gsd", s, atol=2e-5)


# Images of the first frame alone ------------------------------------------------------------------------------------


def test_gsd_with_images_in_the_first_frame_alone(tmp_path):
    """What HOOMD-blue writes by default. Later frames seem to have the images of the first one."""
    import gsd.hoomd

    s = simulation(step=0.05)
    write_gsd(tmp_path / "whole.gsd", s, frames_of(s))

    def write(keep):
        with gsd.hoomd.open(tmp_path / "whole.gsd") as whole, gsd.hoomd.open(tmp_path / "a.gsd", "w") as file:
            for number, frame in enumerate(whole):
                frame.particles.image = frame.particles.image if keep(number) else None
                file.append(frame)

    write(lambda number: number == 0)
    with pytest.raises(DataError, match=r"wrapped.*dynamic=\['property', 'momentum'\]"):
        read(tmp_path / "a.gsd")
    write(lambda number: True)
    check_flat(tmp_path / "a.gsd", s, atol=2e-5)


def test_gsd_in_which_no_particle_crosses_a_face(tmp_path):
    """Images that are those of the first frame are not written again, which is right."""
    s = simulation(step=0.001)
    s.positions[0] = s.box / 2
    s.positions[:] = np.clip(s.positions, 0.1, s.box - 0.1)
    s.runs = s.positions + 0.01 * np.random.default_rng(0).standard_normal(s.runs.shape)
    write_gsd(tmp_path / "a.gsd", s, frames_of(s))
    check_flat(tmp_path / "a.gsd", s, atol=2e-5)


def test_h5md_with_images_of_the_first_frame_alone(tmp_path):
    s = simulation(step=0.05)
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        image = file["particles/all/image"]
        for name in ("value", "step", "time"):
            first = image[name][:1]
            del image[name]
            image[name] = first
    with pytest.raises(DataError, match="wrapped"):
        read(tmp_path / "a.h5")

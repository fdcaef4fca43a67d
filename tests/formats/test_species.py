"""Species by name: A is type 0 in every format, and names that are not letters have one documented order."""

import h5py
import numpy as np
import pytest

from botan_fast.errors import DataError
from botan_fast.formats import read
from botan_fast.formats.species import number_species
from tests.helpers.format_files import (
    frames_of,
    lammps_text,
    plain_arrays,
    simulation,
    write_gsd,
    write_h5md,
    write_h5md_groups,
    xyz_text,
)


@pytest.mark.parametrize(
    ("labels", "order", "types", "species"),
    [
        ("BAAAA", "", [1, 0, 0, 0, 0], ("A", "B")),
        ("BBBBA", "BA", [1, 1, 1, 1, 0], ("A", "B")),  # letters, whatever the majority and the file's order
        ("BBB", "", [1, 1, 1], ("A", "B")),
        ("CAB", "", [2, 0, 1], ("A", "B", "C")),
        ("ba", "", [1, 0], ("a", "b")),
        (["1", "2", "1"], "", [0, 1, 0], None),
        (["2", "2"], "", [1, 1], None),
        (["1", "1"], "01", [1, 1], None),  # the file lists a 0 that no particle has
        (["1", "1"], "12", [0, 0], None),
        (["2", "2"], "21", [1, 1], None),
        (["0", "2"], "", [0, 2], None),
        (["Ge", "Si", "Si", "Si", "Si"], "", [1, 0, 0, 0, 0], ("Si", "Ge")),
        (["Ni", "Ni", "Ni", "Ni", "P"], "", [0, 0, 0, 0, 1], ("Ni", "P")),
        (["large", "small"], "", [0, 1], ("large", "small")),  # one half each: no majority
        (["large", "small"], ["small", "large"], [1, 0], ("small", "large")),
        (["x10", "x2"], "", [1, 0], ("x2", "x10")),
        (["Cu"] * 3 + ["Al", "Zr"], ["Zr", "Al", "Cu"], [0, 0, 0, 2, 1], ("Cu", "Zr", "Al")),
        (["B", "P"], "", [0, 1], ("B", "P")),  # boron and phosphorus: beyond E letters are names
    ],
)
def test_the_rule(labels, order, types, species):
    numbers, names = number_species("a.xyz", list(labels), list(order))
    assert numbers.tolist() == types
    assert numbers.dtype == np.int64
    assert names == species


def renamed(s, names, types=None):
    """The simulation's XYZ with other names for its species A and B, and types of their own where given."""
    text = xyz_text(s, frames_of(s)).splitlines()
    for k, line in enumerate(text):
        word, _, rest = line.partition(" ")
        if word in ("A", "B"):
            number = "AB".index(word)
            text[k] = f"{names[number]} {rest}" + ("" if types is None else f" {types[number]}")
        elif types is not None and "Properties" in line:
            text[k] = line.replace("mass:R:1", "mass:R:1:type:I:1")
    return "\n".join(text)


@pytest.mark.parametrize("names", [("Si", "Ge"), ("Ni", "P"), ("A", "B"), ("1", "2")])
def test_xyz_names(tmp_path, names):
    """The majority is A: 80:20, wherever it stands in the alphabet."""
    s = simulation()
    (tmp_path / "a.xyz").write_text(renamed(s, names))
    for c in read(tmp_path / "a.xyz"):
        np.testing.assert_array_equal(c.types, s.types)
        assert c.species == (None if names[0] == "1" else names)


@pytest.mark.parametrize(
    ("names", "types", "species"),
    [
        (("A", "B"), (2, 1), ("A", "B")),  # letters overrule numbers
        (("Ge", "Si"), (1, 2), ("Ge", "Si")),  # other names do not
        (("C", "C"), (1, 2), None),  # LAMMPS calls every element C unless it was told
        (("a", "b"), (2, 1), ("a", "b")),
        (("x", "y"), (0, 1), ("x", "y")),
    ],
)
def test_names_and_numbers(tmp_path, names, types, species):
    s = simulation()
    (tmp_path / "a.xyz").write_text(renamed(s, names, types))
    for c in read(tmp_path / "a.xyz"):
        np.testing.assert_array_equal(c.types, s.types)
        assert c.species == species


def test_one_type_that_lammps_calls_c(tmp_path):
    s = simulation()
    s.types[:] = 0
    text = lammps_text(s, frames_of(s)[:1]).replace("id type", "id type element")
    rows = [line.split() for line in text.splitlines()]
    lines = [" ".join([*row[:2], "C", *row[2:]] if len(row) == 5 else row) for row in rows]
    (tmp_path / "a.dump").write_text("\n".join(lines))
    [c] = read(tmp_path / "a.dump")
    assert not c.types.any()
    assert c.species is None


def test_names_and_numbers_that_contradict_each_other(tmp_path):
    s = simulation()
    (tmp_path / "a.xyz").write_text(renamed(s, ("A", "B"), (1, 1)))
    with pytest.raises(DataError, match=r"one type number stands beside several names \(type 0 = A, type 0 = B\)"):
        read(tmp_path / "a.xyz")


@pytest.mark.parametrize("column", ["element", "typelabel", "type typelabel", "type element"])
@pytest.mark.parametrize("names", [("A", "B"), ("Si", "Ge")])
def test_lammps_names(tmp_path, column, names):
    s = simulation()
    lines = []
    for line in lammps_text(s, frames_of(s)).splitlines():
        words = line.split()
        if line.startswith("ITEM: ATOMS"):
            line = line.replace("id type", f"id {column}")
        elif len(words) == 5:  # id, type, and three coordinates
            name = names[int(words[1]) - 1]
            line = " ".join([words[0], f"{words[1]} {name}" if " " in column else name, *words[2:]])
        lines.append(line)
    (tmp_path / "a.dump").write_text("\n".join(lines))
    for k, c in enumerate(read(tmp_path / "a.dump")):
        np.testing.assert_array_equal(c.types, s.types)
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0], atol=1e-9)
        assert c.species == names


@pytest.mark.parametrize(
    ("names", "typeid", "species"),
    [
        (["B", "A"], [1, 0], ("A", "B")),
        (["A", "B"], [0, 1], ("A", "B")),
        (["Ge", "Si"], [1, 0], ("Si", "Ge")),
        (["wall", "B", "A"], [2, 1], ("A", "B")),  # a type that no particle has
        (["B"], None, ("A", "B")),
    ],
)
def test_gsd_names(tmp_path, names, typeid, species):
    import gsd.hoomd

    s = simulation()
    write_gsd(tmp_path / "whole.gsd", s, frames_of(s))
    with gsd.hoomd.open(tmp_path / "whole.gsd") as whole, gsd.hoomd.open(tmp_path / "a.gsd", "w") as file:
        for frame in whole:
            frame.particles.types = names
            frame.particles.typeid = np.zeros(40) if typeid is None else np.array(typeid)[s.types]
            file.append(frame)
    for c in read(tmp_path / "a.gsd"):
        np.testing.assert_array_equal(c.types, np.ones(40) if typeid is None else s.types)
        assert c.species == species


def test_gsd_with_a_typeid_that_has_no_name(tmp_path):
    import gsd.hoomd

    s = simulation()
    write_gsd(tmp_path / "whole.gsd", s, frames_of(s))
    with gsd.hoomd.open(tmp_path / "whole.gsd") as whole, gsd.hoomd.open(tmp_path / "a.gsd", "w") as file:
        frame = whole[0]
        frame.particles.types = ["B"]
        file.append(frame)
    with pytest.raises(DataError, match=r"frame 0 has typeid 1 but names \['B'\]"):
        read(tmp_path / "a.gsd")


# Groups and enumerated types of H5MD --------------------------------------------------------------------------------


@pytest.mark.parametrize("species", [None, (0, 1), (1, 2)])
@pytest.mark.parametrize("names", [("A", "B"), ("Si", "Ge")])
@pytest.mark.parametrize("ids", [True, False])
def test_groups_are_put_together(tmp_path, names, species, ids):
    s = simulation()
    write_h5md_groups(tmp_path / "a.h5", s, names, species, ids)
    order = np.arange(40) if ids else np.argsort(s.types, kind="stable")
    if not ids and names[1] < names[0]:  # group by group, in the order of their names
        order = np.argsort(1 - s.types, kind="stable")
    configurations = read(tmp_path / "a.h5")
    assert [c.time for c in configurations] == s.times.tolist()
    for k, c in enumerate(configurations):
        np.testing.assert_array_equal(c.types, s.types[order])
        np.testing.assert_allclose(c.trajectories[0] - c.positions, s.displacements[k, 0][order], atol=1e-9)
        assert c.species == names


def test_a_group_of_all_particles_beside_its_parts(tmp_path):
    s = simulation()
    write_h5md_groups(tmp_path / "a.h5", s, also="all")
    for c in read(tmp_path / "a.h5"):
        np.testing.assert_array_equal(c.types, s.types)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["particles"].move("all", "whole")
    with pytest.raises(DataError, match=r"groups A, B, whole|the group A has no species"):
        read(tmp_path / "a.h5")


def change_steps(file):
    for name in ("position", "image"):
        file["particles/B"][name]["step"][1] = 17


def change_box(file):
    del file["particles/B/box/edges"]
    file["particles/B/box/edges"] = np.array([5.0, 6.0, 7.5])


def remove_position(file):
    del file["particles/B/position"]


def remove_species(file):
    del file["particles/B/species"]


def same_particles(file):
    for name in ("position", "image"):
        del file["particles/B"][name]
        file["particles/B"][name] = file["particles/A"][name]
    del file["particles/B/species"]
    file["particles/B/species"] = np.ones(len(file["particles/A/species"]), dtype=int)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_steps, "groups A and B have positions at different steps"),
        (change_box, "boxes of the groups A and B differ"),
        (remove_position, "/particles/B has no position"),
        (remove_species, "the group B has no species, but A has"),
        (same_particles, "two particles of the groups A, B are at one place"),
    ],
)
def test_groups_that_do_not_belong_together(tmp_path, change, message):
    s = simulation()
    write_h5md_groups(tmp_path / "a.h5", s, species=(0, 1))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        change(file)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.h5")


def test_groups_whose_names_and_species_contradict_each_other(tmp_path):
    s = simulation()
    write_h5md_groups(tmp_path / "a.h5", s, species=(0, 0))
    with pytest.raises(DataError, match="one type number stands beside several names"):
        read(tmp_path / "a.h5")


@pytest.mark.parametrize("table", [{"B": 0, "A": 1}, {"Ge": 3, "Si": 7}])
def test_an_enumerated_type_of_h5md(tmp_path, table):
    s = simulation()
    write_h5md(tmp_path / "a.h5", s, frames_of(s))
    minority, majority = table.values()
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        del file["particles/all/species"]
        values = np.where(s.types == 1, minority, majority).astype(np.int32)
        file["particles/all"].create_dataset("species", data=values, dtype=h5py.enum_dtype(table, basetype="i4"))
    for c in read(tmp_path / "a.h5"):
        np.testing.assert_array_equal(c.types, s.types)
        assert c.species == tuple(table)[::-1]


@pytest.mark.parametrize("kind", ["npz", "hdf5"])
def test_names_in_arrays_are_told_to_be_numbers(tmp_path, kind):
    arrays = {**plain_arrays(simulation()), "types": np.array([b"Si"] * 40)}
    path = tmp_path / "a"
    if kind == "npz":
        with open(path, "wb") as file:
            np.savez(file, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
    with pytest.raises(DataError, match=r"types has dtype .*; expected numbers \(0 = A, 1 = B, \.\.\.\)"):
        read(path)

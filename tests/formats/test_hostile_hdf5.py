"""HDF5 files made to harm: nothing of another file is read, and no link is followed before it is looked at."""

import os

import h5py
import numpy as np
import pytest

from botan_fast.formats import read
from tests.helpers.format_files import frames_of, plain_arrays, simulation, write_h5md, write_plain_hdf5
from tests.helpers.one_file import message_of

SIMULATION = simulation(number=24, runs=2)
H5MD_LINKS = [
    "h5md",
    "particles",
    "particles/all",
    "particles/all/position",
    "particles/all/position/value",
    "particles/all/position/time",
    "particles/all/species",
    "particles/all/image/value",
    "particles/all/box",
    "particles/all/box/edges",
]


def replaced(file, place, link):
    del file[place]
    file[place] = link


def h5md(path):
    write_h5md(path, SIMULATION, frames_of(SIMULATION))


@pytest.mark.parametrize("place", H5MD_LINKS)
@pytest.mark.parametrize("target", ["pipe", "file"])
def test_links_of_h5md_to_other_files(tmp_path, place, target):
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    h5md(path)
    os.mkfifo(other) if target == "pipe" else h5md(other)
    with h5py.File(path, "a") as file:
        replaced(file, place, h5py.ExternalLink(str(other), place))
    if place == "h5md":  # nobody looks into it: that it is there says what the file is
        assert len(read(path)) == 3
        return
    text = message_of(path)
    assert f"/{place} is a link to another file" in text
    assert "b.h5" in text


@pytest.mark.parametrize("place", ["positions", "types", "box", "trajectories", "time", "temperature"])
def test_links_of_plain_hdf5_to_other_files(tmp_path, place):
    path, other = tmp_path / "a.h5", tmp_path / "b.h5"
    write_plain_hdf5(path, SIMULATION)
    os.mkfifo(other)
    with h5py.File(path, "a") as file:
        replaced(file, place, h5py.ExternalLink("b.h5", place))
    assert f"/{place} is a link to another file (b.h5)" in message_of(path)


def test_a_link_to_a_group_of_another_file(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["conf_1"] = h5py.ExternalLink("b.h5", "/")
    os.mkfifo(tmp_path / "b.h5")
    assert "/conf_1 is a link to another file" in message_of(tmp_path / "a.h5")


@pytest.mark.parametrize("place", ["particles", "particles/all", "particles/all/position", "particles/all/box/edges"])
def test_soft_links_lead_within_the_file(tmp_path, place):
    path = tmp_path / "a.h5"
    h5md(path)
    before = read(path)
    with h5py.File(path, "a") as file:
        file.move(place, "elsewhere")
        file[place] = h5py.SoftLink("/elsewhere")
    for a, b in zip(before, read(path), strict=True):
        np.testing.assert_array_equal(a.trajectories, b.trajectories)
    os.mkfifo(tmp_path / "b.h5")
    with h5py.File(path, "a") as file:
        del file["elsewhere"]
        file["elsewhere"] = h5py.ExternalLink("b.h5", "/")
    assert "/elsewhere is a link to another file" in message_of(path)
    with h5py.File(path, "a") as file:
        replaced(file, "elsewhere", h5py.SoftLink(f"/{place}"))
    assert "which leads to nothing" in message_of(path)


def test_data_in_other_files(tmp_path):
    path = tmp_path / "a.h5"
    write_plain_hdf5(path, SIMULATION)
    with h5py.File(path, "a") as file:
        del file["types"]
        file.create_dataset("types", (24,), "i8", external=[("/etc/hostname", 0, 24 * 8)])
    assert "/types keeps its data in another file" in message_of(path)
    layout = h5py.VirtualLayout((24,), "i8")
    layout[:] = h5py.VirtualSource("b.h5", "types", (24,))
    with h5py.File(path, "a") as file:
        del file["types"]
        file.create_virtual_dataset("types", layout)
    assert "/types keeps its data in another file" in message_of(path)


@pytest.mark.parametrize("dtype", [h5py.ref_dtype, h5py.regionref_dtype, h5py.string_dtype(), h5py.vlen_dtype("f8")])
def test_references_and_texts_in_place_of_numbers(tmp_path, dtype):
    path = tmp_path / "a.h5"
    write_plain_hdf5(path, SIMULATION)
    with h5py.File(path, "a") as file:
        del file["types"]
        file.create_dataset("types", (24,), dtype)
    assert "expected numbers" in message_of(path)


@pytest.mark.parametrize("name", ["..", "a\nb", "\x1b[2Jconf", "a" * 2000])
def test_names_of_groups(tmp_path, name):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("good")
        for key, value in plain_arrays(SIMULATION).items():
            group[key] = value
        file.move("good", name)
    assert "the configuration's name" in message_of(tmp_path / "a.h5")


def test_a_group_whose_name_is_no_utf_8(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group(b"l\xe4")
        for key, value in plain_arrays(SIMULATION).items():
            group[key] = value
    assert {c.name for c in read(tmp_path / "a.h5")} == {"l\ufffd"}

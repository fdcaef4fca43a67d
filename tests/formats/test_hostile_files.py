"""Files made to harm: no wait, and no memory beyond a small multiple of the file."""

import os
import socket
import struct
import warnings
import zipfile
import zlib

import h5py
import numpy as np
import pytest

from botan_fast.formats import read
from tests.helpers.format_files import frames_of, plain_arrays, simulation, write_gsd, write_plain_hdf5
from tests.helpers.one_file import message_of, report

SIMULATION = simulation(number=24, runs=2)


# ---- sizes ----------------------------------------------------------------------------------------------------------


def zeros_npz(path):
    """400 MB of zeros in 400 kB."""
    types = np.zeros(10, int)
    arrays = {"types": types, "positions": np.zeros((10, 3)), "box": np.ones(3)}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in arrays.items():
            with archive.open(f"{key}.npy", "w") as file:
                np.lib.format.write_array(file, value)
        with archive.open("trajectories.npy", "w") as file:
            header = {"descr": "<f8", "fortran_order": False, "shape": (1_666_667, 10, 3)}
            np.lib.format.write_array_header_1_0(file, header)
            for _ in range(400):
                file.write(bytes(1_000_000))
    return "would take"


def authors_zeros_npz(path):
    """The same in the authors' own form."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for key, shape in (("types", (24,)), ("initial_positions", (24, 3)), ("positions", (700_000, 24, 3))):
            with archive.open(f"{key}.npy", "w") as file:
                descr = "<i8" if key == "types" else "<f8"
                np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
                for _ in range(max(1, np.prod(shape) // 2400)):
                    file.write(bytes(8 * min(np.prod(shape), 2400)))
    return "would take"


def many_members_npz(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
        archive.filelist *= 60_000  # what is written at its end
    return "lists too many arrays"


def many_members_zip64(path):
    """More members than the plain end record can count."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"")
        archive.filelist *= 70_000
    return "lists too many arrays"


def compressed_hdf5(path):
    """1 GB of zeros, as compressed chunks."""
    with h5py.File(path, "w") as file:
        for key, value in plain_arrays(SIMULATION).items():
            if key not in ("trajectories", "time"):
                file[key] = value
        runs = file.create_dataset("trajectories", (1_800_000, 24, 3), "f8", chunks=(20_000, 24, 3), compression="gzip")
        chunk = zlib.compress(bytes(20_000 * 24 * 3 * 8))
        for k in range(90):
            runs.id.write_direct_chunk((k * 20_000, 0, 0), chunk)
    return "trajectories would take"


def never_written_hdf5(path):
    write_plain_hdf5(path, SIMULATION)
    with h5py.File(path, "a") as file:
        del file["trajectories"]
        file.create_dataset("trajectories", (1_800_000, 24, 3), "f8", chunks=(1000, 24, 3))
    return "the file stores 0 bytes"


def many_groups_hdf5(path):
    with h5py.File(path, "w", libver="latest") as file:
        for k in range(12_000):
            file.create_group(f"g{k:05d}")
    return "12000 groups"


def many_frames_h5md(path):
    """A million frames of two particles, all zero: little to store, but each frame takes its own arrays."""
    with h5py.File(path, "w") as file:
        file.create_group("h5md")
        group = file.create_group("particles/all")
        group["species"] = np.zeros(2, int)
        group["box/edges"] = np.full(3, 5.0)
        group.create_dataset("position/value", data=np.zeros((1_000_000, 2, 3)), chunks=(10_000, 2, 3), compression=9)
    return "position would take"


def many_frames_gsd(path):
    """20,000 frames that hold their step alone, so that all else is as in frame 0: 2,000 particles each."""
    import gsd.fl

    big = simulation(number=2000, runs=1)
    write_gsd(path, big, frames_of(big)[:1])
    with gsd.fl.open(str(path), "r+") as file:
        for k in range(20_000):
            file.write_chunk("configuration/step", np.array([k], np.uint64))
            file.end_frame()
    return "its frames would take"


def nested_tables(path):
    path.write_text('pattern = "a"\n[' + ".".join(["a"] * 20_000) + "]\n")
    return "a layout has no tables"


def dotted_keys(path):
    path.write_text('pattern = "a"\n' + ".".join(["a"] * 20_000) + " = 1\n")
    return "a layout has no tables"


def many_tables(path):
    path.write_text('pattern = "a"\n' + "".join(f"[{'a.' * k}b]\n" for k in range(1, 600)))
    return "a layout has no tables"


def inline_tables(path):
    path.write_text('pattern = "a"\ntimes = ' + "{a = " * 20_000 + "\n")
    return "not a valid TOML file"


def lists_in_lists(path):
    path.write_text('pattern = "a"\ntimes = ' + "[" * 20_000 + "\n")
    return "not a valid TOML file"


def blank_lines(path):
    path.write_text("\n" * 1_000_000)
    return "which no format does"


BIG = [
    zeros_npz,
    authors_zeros_npz,
    many_members_npz,
    many_members_zip64,
    compressed_hdf5,
    never_written_hdf5,
    many_groups_hdf5,
    many_frames_h5md,
    many_frames_gsd,
    nested_tables,
    dotted_keys,
    many_tables,
    inline_tables,
    lists_in_lists,
    blank_lines,
]


@pytest.mark.parametrize("make", BIG, ids=lambda make: make.__name__)
def test_little_memory_and_time_for_what_is_refused(tmp_path, make):
    path = tmp_path / "a.dat"
    expected = make(path)
    found = report("formats", path)
    assert expected in found["message"]
    assert "\n" not in found["message"]
    assert len(found["message"]) < 1500
    assert found["seconds"] < 5
    assert found["megabytes"] < 120


def test_honest_compression_is_read(tmp_path, monkeypatch):
    """Particles of one type, at rest: types shrink 1000-fold, all arrays together 20-fold."""
    monkeypatch.setattr("botan_fast.formats.sizes.FLOOR", 0)
    rng = np.random.default_rng(0)
    number = 20_000
    positions = rng.random((number, 3)).round(3) * 50
    np.savez_compressed(
        tmp_path / "a.npz",
        positions=positions,
        types=np.zeros(number, np.int64),
        box=np.full(3, 50.0),
        trajectories=np.stack([positions] * 8),
        propensity=np.zeros(number),
    )
    del positions
    [c] = read(tmp_path / "a.npz")
    assert c.trajectories.shape == (8, number, 3)


def test_the_header_of_an_array_is_no_program(tmp_path):
    """What tokenize, literal_eval and NumPy say of such headers is many errors, of which none may escape."""
    for header in (
        b"(" * 5000,
        b"{'descr': '''",
        b"{'descr': '<f8', 'shape': (10**10**10,)}",
        b"\xff\xfe",
        b"1 +",
        b"",
    ):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            for key in ("types", "positions", "box"):
                archive.writestr(f"{key}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        assert "damaged npz" in message_of(tmp_path / "a.npz")


def test_arrays_of_python_objects_are_named(tmp_path):
    arrays = plain_arrays(SIMULATION)
    np.savez(tmp_path / "a.npz", **{**arrays, "types": arrays["types"].astype(object)})
    assert "types holds Python objects" in message_of(tmp_path / "a.npz")


def test_an_array_that_is_there_twice(tmp_path):
    arrays = plain_arrays(SIMULATION)
    np.savez(tmp_path / "a.npz", **arrays)
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("types.npy", archive.read("types.npy"))
    assert "the npz holds types twice" in message_of(tmp_path / "a.npz")


# ---- what is no file ------------------------------------------------------------------------------------------------


def test_pipes_sockets_devices_and_links(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        assert "is a socket" in message_of(tmp_path / "socket")
    assert "is a pipe (FIFO)" in message_of(tmp_path / "pipe")
    assert "is a pipe (FIFO)" in message_of(tmp_path / "link")
    assert "is a device" in message_of("/dev/zero")
    assert "links" in message_of(tmp_path / "self")
    assert "cannot be read" in message_of(str(tmp_path / "nul\0l"))
    assert "cannot be read" in message_of(tmp_path / ("a" * 300))
    assert "is a directory" in message_of(tmp_path)


def test_a_name_that_is_no_utf_8(tmp_path):
    """The file is read; its configuration gets a name that can be printed and stored."""
    path = os.fsencode(tmp_path) + b"/l\xe4\x1b.npz"
    arrays = plain_arrays(SIMULATION)
    np.savez(os.fsdecode(path), **arrays)
    assert {c.name for c in read(os.fsdecode(path))} == {"l??"}


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("{configuration}{run}", "stand side by side"),
        ("{run}{time}.dump", "stand side by side"),
        ("{run}**", "a pipe (FIFO)"),
        ("*", "a pipe (FIFO)"),
        ("**", "a pipe (FIFO)"),
        ("{no\\nplaceholder}", "is no placeholder"),
        ("nul\\u0000{run}", "names no file"),
        ("[z-{run}", "no file matches"),
        ("/", "names no file"),
        ("..", "no file matches"),
        ("a/../../{run}.dump", "no file matches"),
        ("{temperature}" + "*" * 5000, "no file matches"),
        ("{run}" + "*" * 200 + ".xyz", "no file matches"),
        ("*a" * 30, "more than 20 stars"),
    ],
)
def test_patterns(tmp_path, pattern, message):
    (tmp_path / "layout.toml").write_text(f'pattern = "{pattern}"\n')
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / ("x" * 200 + ".dump")).touch()  # a name that many stars could match in many ways
    assert message in message_of(tmp_path / "layout.toml")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("temperature = " + "9" * 400, "expected a number"),
        ("temperature = " + "9" * 9000, "not a valid TOML file"),
        ("temperature = 0x" + "f" * 9000, "too long to show; expected a number"),
        ("times = 0x" + "f" * 9000, "expected a list of numbers"),
        ("timestep = [[1]]", "expected a number"),
        ("times = [" + "9" * 400 + "]", "expected numbers"),
        ('initial = "nul\\u0000"', "cannot be read"),
        ('"a\\nb" = 1', "unknown entry a?b"),
        ('times = "' + "x" * 10_000 + '"', "expected a list of numbers"),
    ],
)
def test_entries_of_a_layout(tmp_path, entry, message):
    (tmp_path / "layout.toml").write_text(f'pattern = "{{run}}.xyz"\n{entry}\n')
    (tmp_path / "1.xyz").write_text('1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nA 1 1 1\n')
    text = message_of(tmp_path / "layout.toml")
    assert message in text
    assert len(text) < 1000

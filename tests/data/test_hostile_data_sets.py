"""Data sets made to harm, and inputs that are no files: one line, nothing written elsewhere, nothing followed."""

import os
import time
import zlib

import h5py
import numpy as np
import pytest

import botan_fast as bf
from botan_fast.data.sources import find_files
from botan_fast.errors import BotanFastError, DataError, InputError
from botan_fast.files import check_name, file_name, is_file
from tests.helpers.command_line import error_line
from tests.helpers.one_file import report

NAMES = ["../../escaped", "/tmp/escaped", "a/../../escaped", "a//b", ".", "..", "a\0b", "a\nb", "\x1b]0;title\x07", "/"]
NAMES += ["a/", "a\u2028b", "x" * 1001, "glass\u202ezpn.exe", "\u2066a"]


def data_set(path, number=2):
    rng = np.random.default_rng(0)
    with bf.DatasetWriter(path, cutoff=1.5) as writer:
        for k in range(number):
            times = [bf.TimeRecord(time=1.0, num_runs=4, propensity=rng.random(20))]
            record = bf.Record(f"conf_{k}", rng.random((20, 3)) * 4, np.zeros(20, int), 4.0, 0.5, times)
            writer.add(record)
    return path


def renamed(path, name):
    with h5py.File(path, "a") as file:
        group = file["configurations/000000"]
        del group.attrs["name"]
        data = name.encode()
        group.attrs.create("name", np.array(data, dtype=h5py.string_dtype("utf-8", len(data))))


def contents(path):
    with bf.Dataset(path) as dataset:
        return [dataset.arrays(k) for k in range(len(dataset))]


def message_of(path) -> str:
    start = time.process_time()
    with pytest.raises(DataError) as error:
        contents(path)
    assert time.process_time() - start < 1
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_elsewhere(tmp_path, tiny_model_file, capsys, name):
    (tmp_path / "work").mkdir()
    path = data_set(tmp_path / "work/a.h5")
    if "\0" not in name:  # which HDF5 itself ends the text at
        renamed(path, name)
        assert "the configuration's name" in message_of(path)
        before = sorted(tmp_path.rglob("*"))
        arguments = ["predict", "--model", tiny_model_file, "--data", path, "-o", tmp_path / "work/out", "--quiet"]
        assert "the configuration's name" in error_line(arguments, capsys)
        assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(DataError):
        file_name(name)
    writer = bf.DatasetWriter(tmp_path / "b.h5", cutoff=1.5)
    with writer, pytest.raises(InputError, match="the configuration's name"):
        writer.add(bf.Record(name, np.random.default_rng(0).random((20, 3)) * 4, np.zeros(20, int), 4.0))


def test_a_name_with_a_slash_is_a_name(tmp_path, tiny_model_file, capsys):
    from botan_fast.cli import main

    path = tmp_path / "a.h5"
    rng = np.random.default_rng(0)
    with bf.DatasetWriter(path) as writer:
        writer.add(bf.Record("T0.44/größe 1", rng.random((60, 3)) * 4.5, np.zeros(60, int), 4.5))
    assert bf.Dataset(path).names == ["T0.44/größe 1"]
    arguments = ["predict", "--model", tiny_model_file, "--data", path, "-o", tmp_path / "out", "--quiet"]
    assert main(list(map(str, arguments))) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["T0.44_größe 1.npz", "T0.44_größe 1.xyz"]


def test_names_as_long_as_files_may_have():
    assert check_name("ö" * 500) == "ö" * 500
    assert file_name("ö" * 125) == "ö" * 125
    with pytest.raises(DataError, match="too long for a file"):
        file_name("ö" * 126)


def test_atomic_write_of_a_long_name(tmp_path):
    from botan_fast.files import atomic_write

    with atomic_write(tmp_path / ("ö" * 125 + ".npz")) as temporary:
        temporary.write_bytes(b"1")
    assert [p.name for p in tmp_path.iterdir()] == ["ö" * 125 + ".npz"]


PLACES = [
    "configurations",
    "configurations/000000",
    "configurations/000000/positions",
    "configurations/000000/types",
    "configurations/000000/pairs",
    "configurations/000000/times",
    "configurations/000000/times/000",
    "configurations/000000/times/000/propensity",
]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["external", "soft"])
def test_links_are_refused_before_they_are_followed(tmp_path, place, kind):
    path = data_set(tmp_path / "a.h5")
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(path, "a") as file:
        file.move(place, "elsewhere")
        file[place] = h5py.SoftLink("/elsewhere") if kind == "soft" else h5py.ExternalLink("pipe.h5", place)
    assert "of its own" in message_of(path)


def test_a_gigabyte_of_zeros(tmp_path):
    """Types of 100 million particles in some kilobytes."""
    path = data_set(tmp_path / "a.h5", 1)
    with h5py.File(path, "a") as file:
        group = file["configurations/000000"]
        for name, shape, dtype in (("positions", (20_000_000, 3), "f8"), ("types", (20_000_000,), "i4")):
            del group[name]
            chunks = (2_000_000, *shape[1:])
            filled = group.create_dataset(name, shape, dtype, chunks=chunks, compression="gzip")
            chunk = zlib.compress(bytes(np.dtype(dtype).itemsize * int(np.prod(chunks))))
            for k in range(10):
                filled.id.write_direct_chunk((k * 2_000_000, 0)[: len(shape)], chunk)
    found = report("samples", path)
    assert "would take" in found["message"]
    assert found["megabytes"] < 100


def test_what_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.npz")
    for what in ("pipe.npz", "*.npz", "**", "**/*.npz", "{run}.npz"):
        with pytest.raises(DataError, match=r"pipe\.npz is a pipe"):
            bf.load_samples(what)
    for what in ("nul\0l", "a" * 300, "nul\0*"):
        with pytest.raises(DataError, match=r"cannot be read"):
            bf.load_samples(what)
    with pytest.raises(DataError, match="is a pipe"):
        bf.Dataset("pipe.npz")
    with pytest.raises(BotanFastError, match="is a pipe"):
        bf.convert("pipe.npz", "out.h5")
    with pytest.raises(BotanFastError, match="is a pipe"):
        bf.convert(str(data_set(tmp_path / "a.h5")), "pipe.npz")
    assert not is_file(tmp_path)


def test_stars_enter_each_folder_once(tmp_path, monkeypatch):
    """Links that lead in circles: two of them, and names would double at each of forty steps."""
    for name in ("a", "a/b", "a/.hidden"):
        (tmp_path / name).mkdir()
    for name in ("1.npz", "a/2.npz", "a/b/10.npz", "a/b/9.npz", "a/.hidden/3.npz", "a/b/.4.npz"):
        (tmp_path / name).touch()
    for name in ("loop", "round", "a/up"):
        (tmp_path / name).symlink_to(tmp_path)
    start = time.process_time()
    assert find_files(f"{tmp_path}/**/*.npz") == [tmp_path / n for n in ("1.npz", "a/2.npz", "a/b/9.npz", "a/b/10.npz")]
    monkeypatch.chdir(tmp_path)
    assert [str(file) for file in find_files("**/b/**/*.npz")] == ["a/b/9.npz", "a/b/10.npz"]
    assert [str(file) for file in find_files("a/b/**")] == ["a/b/9.npz", "a/b/10.npz"]
    assert [str(file) for file in find_files("**")] == ["1.npz", "a/2.npz", "a/b/9.npz", "a/b/10.npz"]
    assert time.process_time() - start < 1
    monkeypatch.setattr("botan_fast.data.sources.MAX_FOLDERS", 2)
    with pytest.raises(InputError, match=r"looks through more than 2 folders"):
        find_files("**/*.npz")


def test_convert_of_a_name_that_is_no_utf_8(tmp_path):
    from tests.helpers.tiny_data import tiny_arrays

    path = os.fsdecode(os.fsencode(tmp_path) + b"/l\xe4.npz")
    np.savez(path, **tiny_arrays(0))
    dataset = bf.Dataset(bf.convert(path, tmp_path / "out.h5", time=1.0))
    assert dataset.names == ["l?"]
    assert "l\\udce4.npz" in dataset[0].source

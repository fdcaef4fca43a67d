"""Data sets from strangers: damaged, forged or something else, each is one error."""

import json
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import DataError
from tests.helpers.records import make_record, write


def read_everything(path):
    with bf.Dataset(path) as dataset:
        for sample in dataset:
            assert sample.targets.propensity.isfinite().all()
            assert sample.graph.num_edges == len(sample.targets.pair_change)


def test_fuzzed_and_truncated_files_give_one_error(tmp_path, pytestconfig):
    """In a process of its own, which a crash of the HDF5 library would end."""
    path = write(tmp_path / "a.h5", [make_record(0), make_record(1)])
    command = [sys.executable, "-m", "tests.helpers.fuzzed_data_set", str(path), str(tmp_path), "1"]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["refused"] > 120  # a change in bytes that nobody reads is no damage


def test_every_array_has_a_checksum(tmp_path):
    path = write(tmp_path / "a.h5", [make_record(0)])
    with h5py.File(path) as stored:
        arrays = []
        stored.visititems(lambda _, item: arrays.append(item.id) if isinstance(item, h5py.Dataset) else None)
        offsets = [a.get_chunk_info(k).byte_offset for a in arrays for k in range(a.get_num_chunks())]
    assert len(offsets) >= 8
    data = path.read_bytes()
    for offset in offsets:
        broken = bytearray(data)
        broken[offset + 8] ^= 4
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"a\.h5: truncated or damaged data set"):
            read_everything(path)


def edit(path, change):
    with h5py.File(path, "r+", libver="v110") as stored:
        change(stored)
    return path


def replace(group, name, **options):
    value = group[name][()]
    del group[name]
    group.create_dataset(name, **({"data": value} | options))


FIRST = "configurations/000000"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.attrs.__setitem__("format_version", 3), r"format_version = 3 .* up to 2; update botan_fast"),
        (lambda f: f.attrs.__setitem__("format_version", -1), r"format_version = -1"),
        (lambda f: f.attrs.__setitem__("format", "other"), r"not a botan_fast data set"),
        (lambda f: f.attrs.__delitem__("cutoff"), "no attribute cutoff"),
        (lambda f: f.__delitem__("configurations"), "no group configurations"),
        (lambda f: f[FIRST].attrs.__setitem__("name", 3), "name .* is not text"),
        (lambda f: f[FIRST].attrs.__setitem__("time", np.zeros(1 << 21)), r"time .* is float64 \(2097152,\)"),
        (lambda f: f[FIRST].__delitem__("positions"), "no array positions"),
        (lambda f: f[FIRST].attrs.__delitem__("time"), "no attribute time"),
        (lambda f: f[FIRST].attrs.__setitem__("num_runs", [1, 2, 3]), r"num_runs .* has shape \(3,\)"),
        (lambda f: f[FIRST].attrs.__setitem__("box", [1.0, -1.0, 1.0]), r"box\[1\] = -1.0"),
        (lambda f: f[FIRST].attrs.__setitem__("box", np.ones(7)), r"box has shape \(7,\)"),
        (lambda f: replace(f[FIRST], "positions"), "not stored in chunks"),
        (lambda f: replace(f[FIRST], "positions", data=np.zeros((79, 3)), chunks=True), r"types is int32 \(80,\)"),
        (lambda f: replace(f[FIRST], "positions", data=np.full((80, 3), np.nan), chunks=True), "expected finite ones"),
        (lambda f: replace(f[FIRST], "types", data=np.array([b"A"] * 80, object), dtype=h5py.string_dtype()), "object"),
        (lambda f: replace(f[FIRST], "pairs", data=np.zeros((2, 9), "i4"), chunks=True), "pair_change is float32"),
        (lambda f: replace(f[FIRST], "positions", data=None, shape=(10**12, 3), dtype="f8", chunks=(10**6, 3)),
         "should have 24000000000000 bytes but the file holds 0"),
        (lambda f: replace(f[FIRST], "positions", data=None, shape=(10**7, 3), dtype="f8", external="/etc/passwd"),
         "not stored in chunks"),
        (lambda f: replace(f[FIRST], "types", compression="lzf"), "not stored in chunks of this file"),
        (lambda f: (f[FIRST].__delitem__("types"), f[FIRST].__setitem__("types", h5py.ExternalLink("/etc/x", "y"))),
         "no array types of its own"),
        (lambda f: (f[FIRST].__delitem__("times"), f[FIRST].__setitem__("times", h5py.SoftLink("/"))),
         "no group times"),
        (lambda f: f[FIRST + "/times/000"].__delitem__("propensity"), "has no propensity"),
        (lambda f: replace(f[FIRST + "/times/000"], "propensity", data=np.full(80, np.inf, "f4"), chunks=True),
         "propensity of configuration conf_0 is not finite"),
    ],
)  # fmt: skip
def test_files_of_others(tmp_path, change, message):
    path = edit(write(tmp_path / "a.h5", [make_record(0)]), change)
    start = time.perf_counter()
    with pytest.raises(DataError, match=message) as error:
        read_everything(path)
    assert time.perf_counter() - start < 1
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_data_set(tmp_path):
    for name, content in (("empty.h5", b""), ("text.h5", b"hello"), ("head.h5", b"\x89HDF\r\n\x1a\n")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=name):
            bf.Dataset(tmp_path / name)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = 1
    with pytest.raises(DataError, match=r"other\.h5 is an HDF5 file but not a botan_fast data set"):
        bf.Dataset(tmp_path / "other.h5")
    with pytest.raises(DataError, match="is a directory"):
        bf.Dataset(tmp_path)
    with pytest.raises(DataError, match=r"no such file; did you mean .*other\.h5"):
        bf.Dataset(tmp_path / "othr.h5")

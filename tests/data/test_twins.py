"""Configurations that are there twice, and files that hold one run each."""

import re
from pathlib import Path

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.data.runs import pattern_of_runs
from botan_fast.data.twins import Known
from botan_fast.errors import DataError, InputError
from tests.helpers.format_files import lammps_text, simulation
from tests.helpers.run_files import write_runs
from tests.helpers.tiny_data import write_tiny


def test_copies_are_found_and_others_are_not():
    rng = np.random.default_rng(0)
    known, types = Known(), (np.arange(500) % 5 == 4).astype(int)
    systems = [rng.random((500, 3)) * 7 for _ in range(20)]
    for k, x in enumerate(systems):
        known.add(x, types, k)
    for k, x in enumerate(systems):
        assert known.same(x, types) == [k]
        assert known.same(x.astype(np.float32), types) == [k]
        assert known.same(np.round(x, 5), types) == [k]  # the digits of a text file
        assert known.same(x + 3e-3, types) == []
        assert known.same(x, 1 - types) == []
        assert known.same(x[:-1], types[:-1]) == []


def test_pinned_particles_do_not_make_two_configurations_one():
    rng = np.random.default_rng(0)
    a, types = rng.random((1000, 3)) * 9, np.zeros(1000, int)
    b = a.copy()
    b[rng.random(1000) < 0.3] += 0.2  # the other seven of ten are pinned
    known = Known()
    known.add(a, types, "a")
    assert known.same(b, types) == []


def test_a_particle_in_a_face_may_be_on_either_side():
    a = np.random.default_rng(0).random((1000, 3)) * 9
    a[500, 1] = 0.0
    b = a.copy()
    b[500, 1] = 9.0 - 1e-15
    known = Known()
    known.add(a, np.zeros(1000, int), "a")
    assert known.same(b, np.zeros(1000, int)) == ["a"]


@pytest.mark.parametrize("name", ["{c}_{r}.dump", "T0.5/c{c}/x{r}y{r}.dump", "c{c}/{w}_{r}.dump"])
def test_the_pattern_of_runs(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_runs(name, (1, 2), (1, 2, 3), frames=2)
    files = sorted(Path().rglob("*.dump"))
    expected = name.format(c="{configuration}", r="{run}", w="{run}")
    joined = re.sub(r"\{run\}\w\{run\}", "{run}", expected)  # two parts that differ are one run
    assert pattern_of_runs(files[0], files[1], files) == joined


def test_no_pattern_where_the_names_do_not_tell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_runs("{c}_{r}.dump", (1, 2), (1, 2), frames=2)
    Path("2_1.dump").rename("deep.dump")
    Path("other").mkdir()
    Path("2_2.dump").rename("other/deeper.dump")
    files = [Path("1_1.dump"), Path("1_2.dump"), Path("deep.dump"), Path("other/deeper.dump")]
    assert pattern_of_runs(files[0], files[1], files) is None


def test_data_sets_of_one_run_each(tmp_path, monkeypatch):
    """Two data sets, and a data set and a file, get the line on the configuration, not one on their format."""
    monkeypatch.chdir(tmp_path)
    write_runs("r{r}.dump", (1,), (1, 2), times=[0.0, 1.0, 2.0, 3.0])
    for r in (1, 2):
        bf.convert(f"r{r}.dump", f"{r}.h5")
    for inputs in (["1.h5", "2.h5"], ["1.h5", "r2.dump"], ["r1.dump", "2.h5"]):
        with pytest.raises(InputError, match=rf"twice: {inputs[0]} and {inputs[1]}, both at time 1; leave one"):
            bf.convert(inputs, "a.h5")


@pytest.mark.parametrize("kept", [0, 1])
def test_one_is_left_out_as_the_message_says(tmp_path, kept):
    files = [write_tiny(tmp_path / name, 1) for name in ("a.npz", "b.npz")]
    with pytest.raises(InputError, match="leave one of them out"):
        bf.convert(files, tmp_path / "data.h5")
    assert bf.Dataset(bf.convert(files[kept], tmp_path / "data.h5")).names == ["ab"[kept]]


def test_what_an_interrupted_call_had_is_not_in_the_data_set_of_another(tmp_path):
    """A file that stopped a conversion may go, and others may come; but one that was stored is not left out unsaid."""
    good, other = write_tiny(tmp_path / "good.npz", 1), write_tiny(tmp_path / "other.npz", 2)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    with pytest.raises(DataError):
        bf.convert([good, tmp_path / "broken.npz"], tmp_path / "data.h5")
    with pytest.raises(InputError, match=r"was begun with other inputs \(.*good\.npz\) and interrupted; .*--force"):
        bf.convert(other, tmp_path / "data.h5")
    assert bf.Dataset(bf.convert([good, other], tmp_path / "data.h5")).names == ["good", "other"]
    with pytest.raises(DataError):
        bf.convert([good, tmp_path / "broken.npz"], tmp_path / "data.h5", force=True)
    assert bf.Dataset(bf.convert(other, tmp_path / "data.h5", force=True)).names == ["other"]


def test_configurations_without_targets_may_come_twice(tmp_path):
    """There is nothing to mix: two copies are two names."""
    s = simulation()
    for folder in ("T0.44", "T0.50"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "conf.dump").write_text(lammps_text(s, [(0.0, s.positions)]))
    bf.convert([tmp_path / "T0.44/conf.dump", tmp_path / "T0.50/conf.dump"], tmp_path / "a.h5")
    assert bf.Dataset(tmp_path / "a.h5").names == ["T0.44_conf", "T0.50_conf"]

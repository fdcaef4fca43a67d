"""Configurations that are there twice, and files that hold one run each."""

import re
from pathlib import Path

import numpy as np
import pytest

from botan_fast.data.runs import pattern_of_runs
from botan_fast.data.twins import Known
from tests.helpers.run_files import write_runs


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

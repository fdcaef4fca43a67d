"""Words on data that are legal but rarely meant."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.data.species import SpeciesOrder
from botan_fast.data.words import Majorities
from botan_fast.errors import DataError
from tests.helpers.authors_archive import warned, write_archive
from tests.helpers.tiny_data import tiny_arrays, write_tiny


def words(*types, species=None):
    majorities = Majorities()
    for k, counts in enumerate(types):
        majorities.add(f"conf_{k}", np.repeat(np.arange(len(counts)), counts), species)
    return warned(majorities.say)[1]


def test_majorities():
    assert words((80, 20), (75, 25)) == []
    assert words((50, 50)) == words((48, 52), (52, 48))[1:] == []
    assert words((40, 30, 30)) == []
    assert words((100,)) == []
    [line] = words((20, 80), species=("Ge", "Si"))
    assert line.startswith("type 0 (Ge) is the minority (20 of 100 particles)")
    assert "--species Si Ge (species=)" in line
    [line] = words((20, 30, 50))
    assert "--species C A B (species=)" in line
    [line] = words((80, 20), (20, 80))
    assert line.startswith("the majority is A in conf_0, B in conf_1: are the species of all files numbered alike?")
    [line] = words((0, 80, 20))
    assert line.startswith("no particle is of type 0: number the species from 0")


def test_names_that_agree():
    order = SpeciesOrder()
    types = np.array([0, 1])
    for names in (("A", "B"), None, ("A",), ("A", "B", "C"), ("a", "b"), ("0", "B")):
        assert order.apply(types, names, "file") == (types, names)
    with pytest.raises(DataError, match=r"other: the species are B, A in this order, but A, B, C in file"):
        order.apply(types, ("B", "A"), "other")


def test_two_dimensional_files_have_no_time_of_the_paper(tmp_path):
    for seed in (1, 2):
        write_tiny(tmp_path / f"isoconfig_T0.44_{seed}_tc0{seed}.npz", seed, dimensions=2)
    samples = bf.load_samples(tmp_path / "*.npz")
    assert [(s.temperature, s.time) for s in samples] == [(0.44, None)] * 2


def test_known_and_unknown_times_are_mixed_with_a_word(tmp_path):
    write_archive(tmp_path, configurations=(1,), tags=[7])
    np.savez(tmp_path / "z.npz", **tiny_arrays(3))
    _, said = warned(lambda: bf.load_samples(tmp_path / "*.npz"))
    assert said == ["two times are mixed in one target: 4120, unknown; a model is for one time, choose it with time="]

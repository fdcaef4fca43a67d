"""Inherent structures and arrays by name: through files and back, merged, refused where they are damaged."""

import json

import h5py
import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.data import extras
from botan_fast.errors import DataError, InputError
from tests.helpers.records import make_record, write

NUMBER, EDGE = 160, (160 / 1.2) ** (1 / 3)


def liquid(seed=0):
    """Positions inside the box, far enough from each other, and types."""
    rng = np.random.default_rng(seed)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    sites = rng.permutation(cells)[:NUMBER] + 0.5 + rng.uniform(-0.2, 0.2, (NUMBER, 3))
    return sites * EDGE / 6, np.arange(NUMBER) % 5 // 4


def plain_file(path, seed=0, **more):
    positions, types = liquid(seed)
    arrays = {"positions": positions, "types": types, "box": EDGE, "propensity": np.full(NUMBER, 0.3), "time": 1.0}
    np.savez(path, **(arrays | {"temperature": 0.5} | more))
    return path


def full_record():
    record, rng = make_record(1), np.random.default_rng(5)
    record.inherent = bf.InherentStructure(record.positions + 0.1, rng.random(80), 1e-7, 12, bf.KOB_ANDERSEN)
    record.arrays = {"diameter": rng.random(80), "cage": rng.random((80, 3)), "pressure": 2.5}
    return record


def check_full(sample, record):
    np.testing.assert_array_equal(sample.inherent.positions, record.inherent.positions)
    np.testing.assert_array_equal(sample.inherent.energy, record.inherent.energy)
    assert (sample.inherent.largest_force, sample.inherent.steps) == (1e-7, 12)
    assert sample.inherent.potential == bf.KOB_ANDERSEN
    assert set(sample.arrays) == set(record.arrays)
    for name, array in record.arrays.items():
        np.testing.assert_array_equal(sample.arrays[name], array)
        assert sample.arrays[name].dtype == np.float64


def test_there_and_back(tmp_path):
    record = full_record()
    path = write(tmp_path / "a.h5", [record, make_record(2)])
    with bf.Dataset(path) as dataset:
        for index in (0, 1):  # two times of one configuration
            check_full(dataset[index], record)
        assert (dataset[2].inherent, dataset[2].arrays) == (None, {})
        assert dataset[0].inherent is dataset[1].inherent
        arrays = dataset.arrays(0)
        np.testing.assert_array_equal(arrays["inherent_energy"], record.inherent.energy)
        np.testing.assert_array_equal(arrays["cage"], record.arrays["cage"])
        assert "inherent structure, energy" in dataset.describe()
        assert "arrays cage, diameter, pressure" in dataset.describe()
    check_full(bf.load_samples(path, time=1.0)[0].to("cpu"), record)
    merged = bf.convert([path], tmp_path / "b.h5")
    check_full(bf.Dataset(merged)[0], record)


def test_a_sample_of_ones_own():
    record = full_record()
    graph = bf.build_graph(record.positions, record.types, record.box)
    positions = torch.from_numpy(np.asarray(record.positions))
    sample = bf.Sample(graph, None, "mine", positions, inherent=record.inherent, arrays=record.arrays)
    check_full(sample, record)
    check_full(sample.to("cpu"), record)
    assert (bf.Sample(graph, None, "mine", positions).inherent, bf.Sample(graph, None, "a", positions).arrays) == (
        None,
        {},
    )


def test_later_times_bring_what_was_missing(tmp_path):
    early, late = make_record(1, times=(1.0,)), full_record()
    late.times = make_record(1, times=(20.0,)).times
    early.arrays = {"diameter": late.arrays["diameter"], "other": 1.0}
    path = write(tmp_path / "a.h5", [early])
    write(path, [late])
    with bf.Dataset(path) as dataset:
        assert len(dataset) == 2
        late.arrays["other"] = 1.0
        check_full(dataset[0], late)


def test_convert_inherent(tmp_path, monkeypatch, capsys):
    """The minimum of what is stored; several times of a configuration need one; a data set that has it keeps it."""
    positions, types = liquid()
    one, two = plain_file(tmp_path / "one.npz"), plain_file(tmp_path / "two.npz", time=2.0)
    calls = []
    monkeypatch.setattr(extras, "inherent_structure", lambda *a: calls.append(a) or bf.inherent_structure(*a))
    assert main(["convert", str(one), str(two), "-o", str(tmp_path / "a.h5"), "--inherent", "--quiet"]) == 0
    assert len(calls) == 1
    assert "inherent structure, energy" in capsys.readouterr().out
    sample = bf.Dataset(tmp_path / "a.h5")[0]
    found = bf.inherent_structure(positions, types, EDGE)
    np.testing.assert_array_equal(sample.inherent.positions, found.positions)
    np.testing.assert_array_equal(sample.inherent.energy, found.energy)
    assert sample.inherent.largest_force == found.largest_force <= 1e-6
    again = bf.convert(tmp_path / "a.h5", tmp_path / "b.h5", inherent=True)
    assert len(calls) == 1
    np.testing.assert_array_equal(bf.Dataset(again)[0].inherent.positions, found.positions)
    other = bf.LennardJones(bf.KOB_ANDERSEN.epsilon, bf.KOB_ANDERSEN.sigma, truncation="shifted")
    third = bf.convert(tmp_path / "a.h5", tmp_path / "c.h5", inherent=True, potential=other)
    assert bf.Dataset(third)[0].inherent.potential == other
    assert bf.Dataset(bf.convert(one, tmp_path / "d.h5"))[0].inherent is None
    small = plain_file(tmp_path / "small.npz", box=EDGE)
    with pytest.raises(
        InputError, match=r"configuration small, inherent structure: types.* the potential has 1 species"
    ):
        bf.convert(small, tmp_path / "e.h5", inherent=True, potential=bf.LennardJones(1.0, 1.0))


def test_plain_files(tmp_path):
    positions, types = liquid()
    found = bf.inherent_structure(positions, types, EDGE)
    wrapped, diameter = found.positions % EDGE, np.linspace(0.8, 1.2, NUMBER)
    path = plain_file(tmp_path / "a.npz", inherent_positions=wrapped, inherent_energy=found.energy, diameter=diameter)
    [sample] = bf.load_samples(path)
    np.testing.assert_allclose(sample.inherent.positions, found.positions, atol=1e-12)
    np.testing.assert_array_equal(sample.inherent.energy, found.energy)
    assert sample.inherent.potential is None
    np.testing.assert_array_equal(sample.arrays["diameter"], diameter)
    stored = bf.Dataset(bf.convert(path, tmp_path / "a.h5"))[0]
    assert np.isnan(stored.inherent.largest_force)
    np.testing.assert_array_equal(stored.inherent.positions, sample.inherent.positions)
    # Without an energy nobody knows the potential.
    [sample] = bf.load_samples(plain_file(tmp_path / "b.npz", inherent_positions=wrapped))
    assert sample.inherent is None
    np.testing.assert_allclose(sample.arrays["inherent_positions"], found.positions, atol=1e-12)
    for key, value, message in (
        ("inherent_positions", np.zeros((3, 3)), r"inherent positions have shape \(3, 3\)"),
        ("inherent_positions", np.full((NUMBER, 3), np.nan), r"inherent positions\[0, 0\] is nan"),
        ("inherent_energy", np.zeros(3), r"inherent energy has shape \(3,\)"),
        ("diameter", np.zeros(3), r"diameter has shape \(3,\)"),
    ):
        with pytest.raises(DataError, match=message):
            bf.load_samples(plain_file(tmp_path / "c.npz", **{key: value}))


def test_glassbench(tmp_path):
    """Inherent structure and cage next to the positions, whatever image the file has; the energy by the potential."""
    positions, types = liquid()
    found = bf.inherent_structure(positions, types, EDGE)

    def wrapped(array):
        return (array + EDGE / 2) % EDGE - EDGE / 2

    arrays = {
        "types": types + 1,
        "initial_positions": wrapped(positions - EDGE / 2),
        "initial_positions_inherent": wrapped(found.positions - EDGE / 2),
        "initial_positions_cage": wrapped(positions + 0.05 - EDGE / 2),
        "md_prop": np.full((2, NUMBER), 0.1),
    }
    np.savez(tmp_path / "N160T0.44_1.npz", **arrays)
    dataset = bf.Dataset(bf.convert(tmp_path / "N160T0.44_1.npz", tmp_path / "a.h5", time=[1.0, 2.0]))
    sample = dataset[0]
    np.testing.assert_allclose(sample.positions, positions, atol=1e-6)
    np.testing.assert_allclose(sample.inherent.positions, found.positions, atol=1e-6)
    np.testing.assert_allclose(sample.inherent.energy, found.energy, atol=1e-4)
    assert sample.inherent.potential == bf.KOB_ANDERSEN
    assert sample.inherent.largest_force < 1e-2
    np.testing.assert_allclose(sample.arrays["cage_positions"], positions + 0.05, atol=1e-6)
    # Three species are another mixture.
    np.savez(tmp_path / "N160T0.44_2.npz", **(arrays | {"types": np.arange(NUMBER) % 3 + 1}))
    other = bf.Dataset(bf.convert(tmp_path / "N160T0.44_2.npz", tmp_path / "b.h5", time=[1.0, 2.0]))[0]
    assert other.inherent is None
    np.testing.assert_allclose(other.arrays["inherent_positions"], found.positions, atol=1e-6)
    np.savez(tmp_path / "N160T0.44_3.npz", **(arrays | {"initial_positions_cage": np.zeros((5, 3))}))
    with pytest.raises(DataError, match=r"initial_positions_cage has shape \(5, 3\)"):
        bf.load_samples(tmp_path / "N160T0.44_3.npz", time=1.0)


@pytest.mark.parametrize(
    ("inherent", "arrays", "message"),
    [
        (np.zeros((80, 3)), {}, "inherent is a ndarray; give what inherent_structure returns"),
        (bf.InherentStructure(np.zeros((79, 3)), np.zeros(80), 0.0, 0), {}, r"inherent.positions has shape \(79, 3\)"),
        (bf.InherentStructure(np.zeros((80, 3)), np.zeros(79), 0.0, 0), {}, r"inherent.energy has shape \(79,\)"),
        (bf.InherentStructure(np.zeros((80, 3)), np.full(80, np.inf), 0.0, 0), {}, r"inherent.energy\[0\] = inf"),
        (None, [1.0], "arrays is a list; give a dict"),
        (None, {"a b": 1.0}, "arrays has 'a b'; names are letters"),
        (None, {"types": np.zeros(80)}, "arrays has 'types'; .* none of box, pairs"),
        (None, {"a": np.zeros(79)}, r"arrays\['a'\] has shape \(79,\); give \(80,\)"),
        (None, {"a": np.zeros((80, 2, 2))}, r"arrays\['a'\] has shape \(80, 2, 2\)"),
        (None, {"a": "text"}, r"arrays\['a'\] is not an array of real numbers"),
        (None, {"a": np.nan}, r"arrays\['a'\]\[0\] = nan is not finite"),
        (None, {f"a{k}": 0.0 for k in range(65)}, "arrays holds 65 arrays; give at most 64"),
    ],
)
def test_what_is_refused(tmp_path, inherent, arrays, message):
    record = make_record(1)
    record.inherent, record.arrays = inherent, arrays
    with pytest.raises(InputError, match=message):
        write(tmp_path / "a.h5", [record])


def replaced(group, name, array):
    del group[name]
    group.create_dataset(name, data=array, chunks=array.shape, fletcher32=True)


DAMAGE = {
    "shape": (lambda g: replaced(g["inherent"], "positions", np.zeros((79, 3))), "expected float64"),
    "dtype": (lambda g: replaced(g["inherent"], "energy", np.zeros(80, np.float32)), "expected float64"),
    "nan": (lambda g: replaced(g["inherent"], "energy", np.full(80, np.nan)), "energy of .* is not finite"),
    "missing": (lambda g: g["inherent"].__delitem__("energy"), "has no array energy"),
    "no attribute": (lambda g: g["inherent"].attrs.__delitem__("steps"), "has no attribute steps"),
    "link": (lambda g: (g.__delitem__("inherent"), g.__setitem__("inherent", h5py.SoftLink("/"))), "has no group"),
    "potential": (lambda g: g["inherent"].attrs.__setitem__("potential", '{"a": 1}'), "potential holds"),
    "no json": (lambda g: g["inherent"].attrs.__setitem__("potential", "{"), "truncated or damaged data set"),
    "deep json": (lambda g: g["inherent"].attrs.__setitem__("potential", "[" * 5000), "truncated or damaged"),
    "far potential": (
        lambda g: g["inherent"].attrs.__setitem__(
            "potential", json.dumps(bf.KOB_ANDERSEN.as_dict() | {"epsilon": [[-1]]})
        ),
        "epsilon",
    ),
    "name": (lambda g: g["arrays"].__setitem__("a b", np.zeros(80)), "'a b', which is no name"),
    "array shape": (lambda g: replaced(g["arrays"], "cage", np.zeros((80, 3, 2))), "expected float64"),
    "array length": (lambda g: replaced(g["arrays"], "cage", np.zeros((79, 3))), "expected float64"),
    "array nan": (lambda g: replaced(g["arrays"], "diameter", np.full(80, np.inf)), "diameter of .* is not finite"),
    "number": (lambda g: g["arrays"].attrs.__setitem__("pressure", np.zeros(3)), "has shape"),
    "text": (lambda g: g["arrays"].attrs.__setitem__("pressure", "high"), "attribute pressure"),
    "many": (lambda g: [g["arrays"].attrs.__setitem__(f"x{k}", 0.0) for k in range(70)], "more than 64"),
    "no group": (lambda g: (g.__delitem__("arrays"), g.__setitem__("arrays", np.zeros(3))), "is not a group"),
    "array link": (lambda g: g["arrays"].__setitem__("far", h5py.ExternalLink("/etc/passwd", "x")), "has no array far"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage(tmp_path, kind):
    path = write(tmp_path / "a.h5", [full_record()])
    change, message = DAMAGE[kind]
    with h5py.File(path, "a") as file:
        change(file["configurations/000000"])
    with pytest.raises(DataError, match=message) as error, bf.Dataset(path) as dataset:
        dataset[0]
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)

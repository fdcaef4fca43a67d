"""The HDF5 data set: what goes in comes out, and parts of it can be chosen."""

import os
import pickle

import h5py
import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data import dataset
from botan_fast.errors import DataError, InputError
from botan_fast.graph.pairs import edge_values, pair_list
from tests.helpers.records import EDGE, GRAPH_ARRAYS, make_record, write


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Six configurations at T = 0.44 and three at 0.64, at two times each."""
    records = [make_record(seed) for seed in range(6)] + [make_record(seed, temperature=0.64) for seed in (3, 7, 11)]
    return write(tmp_path_factory.mktemp("data") / "data.h5", records, provenance={"note": "test"})


# ---- round trip -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("box", "dimensions"), [(EDGE, 3), (np.diag([4.5, 5, 6]) + np.tri(3, k=-1) / 4, 3), ([9.0, 9.5], 2)]
)
def test_what_goes_in_comes_out(tmp_path, box, dimensions):
    record = make_record(2, times=(1.0, None, 0.5), box=box, dimensions=dimensions)
    record.times[0].local_strain = np.arange(80.0)
    dataset = bf.Dataset(write(tmp_path / "a.h5", [record]))
    assert [(s.name, s.temperature, s.time) for s in dataset] == [
        ("conf_2", 0.44, None),
        ("conf_2", 0.44, 0.5),
        ("conf_2", 0.44, 1.0),
    ]
    graph = bf.build_graph(record.positions, record.types, box)
    for sample, k in zip(dataset, (1, 2, 0), strict=True):
        for name in GRAPH_ARRAYS:
            assert getattr(sample.graph, name).numpy().tobytes() == getattr(graph, name).numpy().tobytes(), name
        assert sample.positions.numpy().tobytes() == record.positions.tobytes()
        assert sample.targets.num_runs == 6
        np.testing.assert_array_equal(sample.targets.propensity, record.times[k].propensity)
        np.testing.assert_array_equal(sample.targets.pair_change, edge_values(graph, record.times[k].pair_change))
    arrays = dataset.arrays(2)
    np.testing.assert_array_equal(arrays["local_strain"], np.arange(80))
    np.testing.assert_array_equal(arrays["pairs"], pair_list(graph))


def test_a_smaller_cutoff_and_self_edges(file):
    dataset = bf.Dataset(file)
    record = make_record(0)
    whole = bf.build_graph(record.positions, record.types, EDGE)
    change = dict(zip(map(tuple, pair_list(whole).T), record.times[0].pair_change, strict=True))
    [sample] = bf.load_samples(dataset[:1], cutoff=1.4, self_edges=True)
    graph = sample.graph
    assert graph.num_edges == bf.build_graph(record.positions, record.types, EDGE, 1.4, self_edges=True).num_edges
    for sender, receiver, value in zip(graph.senders, graph.receivers, sample.targets.pair_change, strict=True):
        pair = tuple(sorted((int(sender), int(receiver))))
        assert float(value) == (change[pair] if sender != receiver else 0)
    with pytest.raises(InputError, match=r"cutoff = 2\.01 but .* up to cutoff = 2\.0"):
        bf.load_samples(dataset[:1], cutoff=2.01)


def test_configurations_without_targets(tmp_path):
    record = make_record(1)
    record.times = []
    path = write(tmp_path / "a.h5", [record])
    [sample] = bf.load_samples(path, require_targets=False)
    assert sample.targets is None
    assert sample.graph.num_nodes == 80
    assert "no targets" in bf.Dataset(path).describe()
    with pytest.raises(DataError, match="conf_1 has no targets"):
        bf.load_samples(path)


@pytest.mark.parametrize("number", [1, 2])
def test_configurations_without_pairs(tmp_path, number):
    positions = np.array([[0.0, 0, 0], [4, 4, 4]])[:number]
    time = bf.TimeRecord(1.0, 1, np.ones(number), np.empty(0))
    path = write(tmp_path / "a.h5", [bf.Record("far", positions, np.zeros(number, int), 8.0, times=[time])])
    for cutoff in (2.0, 1.0):
        [sample] = bf.load_samples(path, cutoff=cutoff)
        assert sample.graph.num_edges == 0
        assert sample.targets.pair_change.shape == (0,)


def test_samples_are_pickled_copied_and_compared_like_others(file):
    dataset = bf.Dataset(file)
    sample, again = pickle.loads(pickle.dumps((dataset, dataset[3])))
    assert torch.equal(sample[3].graph.vectors, again.graph.vectors)
    assert isinstance(again, bf.Sample)
    assert again.to("cpu") is again
    assert again.to("meta").graph.device.type == "meta"
    assert "conf_1" in repr(again)


# ---- the data set as a sequence ----------------------------------------------------------------------------------


def test_the_sequence(file):
    dataset = bf.Dataset(file)
    assert len(dataset) == 18
    assert dataset.temperatures == [0.44, 0.64]
    assert dataset.times == [1.0, 10.0]
    assert dataset.cutoff == 2.0
    assert dataset.provenance["history"][0]["note"] == "test"
    assert dataset.names[:3] == ["conf_0", "conf_0", "conf_1"]
    assert [s.name for s in dataset[2:6:2]] == ["conf_1", "conf_2"]
    assert dataset[-1].name == "conf_11"
    with pytest.raises(IndexError):
        dataset[18]
    assert dataset.describe().splitlines()[0].endswith("data.h5: 9 configurations, 18 samples, cutoff 2")
    assert "  temperature 0.64, time 10: 3 configurations, 6 runs" in dataset.describe()


def test_selection(file):
    dataset = bf.Dataset(file)
    assert len(dataset.select(time=10)) == 9
    assert len(dataset.select(temperature=0.64, time=[1, 10])) == 6
    assert {s.time for s in dataset.select(time=10.0, temperature=0.44)} == {10.0}
    with pytest.raises(InputError, match=r"time = 11 is not in the data, which hold times 1, 10"):
        dataset.select(time=11)
    with pytest.raises(InputError, match=r"temperature = 'cold' is not a number"):
        dataset.select(temperature="cold")


def test_several_times_need_a_choice(file, tiny_model):
    for use in (lambda **k: bf.load_samples(file, **k), lambda **k: bf.evaluate(tiny_model, file, **k)):
        with pytest.raises(InputError, match=r"temperatures 0\.44, 0\.64; choose with temperature="):
            use(time=1)
        with pytest.raises(InputError, match=r"times 1, 10; choose with time="):
            use(temperature=0.44)
    parts = bf.Dataset(file).train_test_split()
    assert len(bf.load_samples(list(parts), temperature=0.64, time=10)) == 3
    assert len(bf.load_samples(file, temperature=[0.44, 0.64], time=[1, 10])) == 18
    assert len(list(bf.predict(bf.BOTAN(hidden_size=8, num_steps=1), file, temperature=0.64, time=1))) == 3
    with pytest.raises(InputError, match="box and density are for files"):
        bf.load_samples(file, box=5.0, temperature=0.64, time=10)
    with pytest.raises(InputError, match="temperature and time choose from files"):
        bf.load_samples(bf.Dataset(file)[0], time=1)


@pytest.mark.parametrize("test", [0.01, 0.2, 0.5, 0.99])
def test_splits(file, test):
    dataset = bf.Dataset(file)
    first, second = dataset.train_test_split(test=test, seed=3)

    def keys(part):
        return [(s.name, s.temperature, s.time) for s in part]

    assert sorted(keys(first) + keys(second)) == sorted(keys(dataset))
    assert not {k[:2] for k in keys(first)} & {k[:2] for k in keys(second)}  # by configuration: disjoint
    assert len(second) == 2 * min(max(1, round(9 * test)), 8)
    again = bf.Dataset(file).train_test_split(test=test, seed=3)
    assert [keys(part) for part in again] == [keys(first), keys(second)]
    assert any(keys(dataset.train_test_split(test=test, seed=s)[1]) != keys(second) for s in range(4, 10))


def test_a_split_needs_two_sides(file):
    with pytest.raises(InputError, match=r"test = 1\.5 must be a fraction"):
        bf.Dataset(file).train_test_split(1.5)
    with pytest.raises(InputError, match="1 configuration cannot be split"):
        bf.Dataset(file)[:2].train_test_split()


def test_opening_reads_no_array_and_samples_no_graph_before_its_time(file, monkeypatch):
    def fail(*_):
        raise AssertionError("read too early")

    with monkeypatch.context() as patch:
        patch.setattr("botan_fast.data.stored.read_array", fail)
        dataset = bf.Dataset(file)
        dataset.train_test_split()
        part = dataset.select(time=1.0)
    with monkeypatch.context() as patch:
        patch.setattr("botan_fast.data.stored.graph_from_pairs", fail)
        samples = bf.load_samples(part, temperature=[0.44, 0.64])
    made = [s for s in samples if s.graph.num_nodes and s._made is not None]
    assert len([s for s in made if s._made is not None]) <= 8  # the others' graphs are gone again


def test_it_can_be_closed_and_read_again_and_by_threads(file):
    from concurrent.futures import ThreadPoolExecutor

    with bf.Dataset(file) as dataset:
        expected = [s.targets.pair_change for s in dataset]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda k: dataset[k].targets.pair_change, range(len(dataset))))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_train_resumes_on_a_data_set_and_notices_another_time(file, tmp_path):
    options = {"hidden_size": 8, "num_steps": 1, "progress": False, "temperature": 0.44, "output": tmp_path / "run"}
    data = bf.Dataset(file)[:4]
    bf.train(data, time=1.0, epochs=1, **options)
    assert len(bf.train(data, time=1.0, epochs=2, resume=True, **options).history) == 2
    with pytest.raises(InputError, match=r"other targets \(time of conf_0: 10 instead of 1\)"):
        bf.train(data, time=10.0, epochs=2, resume=True, **options)


def test_a_file_that_only_h5py_reads_back(file):
    """The layout of docs/dataset.md, without this package."""
    with h5py.File(file) as stored:
        assert stored.attrs["format"].decode() == "botan_fast data set"
        configuration = stored["configurations/000000"]
        first, second = configuration["pairs"][()]
        k = int(np.flatnonzero(configuration.attrs["time"] == 10.0)[0])
        change = configuration[f"times/{k:03d}/pair_change"][()]
    graph = bf.Dataset(file).select(time=10.0, temperature=0.44)[0].graph
    assert (first < second).all()
    assert len(change) == len(first) == graph.num_edges // 2


def test_the_dataset_module_does_not_depend_on_the_file_name(file, tmp_path):
    (tmp_path / "data.bin").write_bytes(file.read_bytes())
    assert len(bf.load_samples(tmp_path / "data.bin", time=1, temperature=0.44)) == 6
    assert dataset.Dataset is bf.Dataset
    assert os.access(file, os.R_OK)


def test_the_energy_of_a_configuration(tmp_path):
    """An optional number: through a file, a merge, a conversion and a pickle; None where the file lacks it."""
    first, second, third = make_record(0), make_record(1), make_record(2)
    first.energy, third.energy = -7.125, np.float32(-7.25)
    path = write(tmp_path / "a.h5", [first, second, third])
    with h5py.File(path) as file:
        assert ["energy" in group.attrs for group in file["configurations"].values()] == [True, False, True]
    dataset = bf.Dataset(path)
    assert dataset.energies == [-7.125, -7.125, None, None, -7.25, -7.25]
    assert [sample.energy for sample in dataset] == dataset.energies
    assert pickle.loads(pickle.dumps(dataset[0])).energy == dataset[0].to("cpu").energy == -7.125
    assert bf.Dataset(bf.convert(path, tmp_path / "b.h5")).energies == dataset.energies
    # Further times of a configuration bring the energy that was missing, and change none that is there.
    later = [make_record(k, times=(100.0,)) for k in (0, 1)]
    later[0].energy, later[1].energy = -1.0, -7.5
    write(path, later)
    assert bf.Dataset(path).select(time=100.0).energies == [-7.125, -7.5]
    for wrong, message in (("low", "energy = 'low' is not a number"), (float("nan"), "energy = nan is not finite")):
        third.energy = wrong
        with pytest.raises(InputError, match=message):
            write(tmp_path / "c.h5", [third])

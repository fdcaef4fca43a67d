"""The HDF5 data set: what goes in comes out, parts of it can be chosen, and broken files are refused."""

import os
import pickle
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.data import dataset
from botan_fast.errors import DataError, InputError
from botan_fast.graph.pairs import edge_values, graph_from_pairs, pair_list, pair_values
from tests.helpers.tiny_data import tiny_arrays

EDGE = (80 / 1.2) ** (1 / 3)
GRAPH_ARRAYS = ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "box", "graph_ptr")


def make_record(seed, times=(1.0, 10.0), temperature=0.44, box=EDGE, dimensions=3):
    arrays = tiny_arrays(seed, dimensions=dimensions)
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], box)
    rng = np.random.default_rng(seed)
    records = []
    for t in times:
        moved = arrays["positions"] + 0.01 * (t or 2) * rng.standard_normal(arrays["positions"].shape)
        targets = bf.isoconfigurational_targets(arrays["initial_positions"], moved, graph)
        records.append(bf.TimeRecord.from_targets(t, targets, graph))
    return bf.Record(f"conf_{seed}", arrays["initial_positions"], arrays["types"], box, temperature, records)


def write(path, records, **options):
    with bf.DatasetWriter(path, **options) as writer:
        for record in records:
            writer.add(record)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Six configurations at T = 0.44 and three at 0.64, at two times each."""
    records = [make_record(seed) for seed in range(6)] + [make_record(seed, temperature=0.64) for seed in (3, 7, 11)]
    return write(tmp_path_factory.mktemp("data") / "data.h5", records, provenance={"note": "test"})


# ---- graphs from pairs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("kind", ["orthorhombic", "tilted", "tight"])
def test_a_graph_from_pairs_is_that_of_the_search_bit_for_bit(kind, dimensions, self_edges):
    rng = np.random.default_rng(dimensions)
    for number in (0, 1, 2, 150):
        box = rng.uniform(4.5, 8, dimensions)
        positions = rng.uniform(-3, 12, (number, dimensions))
        if kind == "tilted":
            box = np.diag(box) + np.tril(rng.uniform(-0.4, 0.4, (dimensions, dimensions)), -1)
        if kind == "tight":  # a grid whose pairs lie at half of a box of just twice the cutoff, and share coordinates
            box = np.full(dimensions, 4.0)
            positions = np.unique(np.round(rng.uniform(0, 4, (number, dimensions))) % 4, axis=0)
        types = np.arange(len(positions)) % 3
        wanted = bf.build_graph(positions, types, box, self_edges=self_edges)
        found = graph_from_pairs(pair_list(wanted), positions, types, box, 2.0, self_edges)
        for name in GRAPH_ARRAYS:
            one, two = getattr(found, name).numpy(), getattr(wanted, name).numpy()
            assert one.dtype == two.dtype, name
            assert one.tobytes() == two.tobytes(), name
        values = rng.random(found.num_edges).astype(np.float32)
        both = edge_values(found, pair_values(found, values))
        np.testing.assert_array_equal(both, both[found.reverse.numpy()])
        assert (both[(found.senders == found.receivers).numpy()] == 0).all()
        np.testing.assert_array_equal(pair_values(found, both), pair_values(found, values))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p[:, ::-1], r"pairs\[:, 1\] is not in order"),
        (lambda p: p[::-1], r"pairs\[:, 0\] must be two particles i < j"),
        (lambda p: np.where(p == p.max(), 80, p), "must be two particles"),
        (lambda p: p - 1, "must be two particles"),
        (lambda p: np.array([[0], [np.setdiff1d(np.arange(1, 80), p[1][p[0] == 0])[0]]]), "not closer than the cutoff"),
    ],
)
def test_wrong_pairs(change, message):
    arrays = tiny_arrays(0)
    graph = bf.build_graph(arrays["initial_positions"], arrays["types"], EDGE)
    pairs = change(pair_list(graph))
    with pytest.raises(InputError, match=message):
        graph_from_pairs(pairs, arrays["initial_positions"], arrays["types"], EDGE, 2.0)


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
    assert len(bf.load_samples([file, bf.Dataset(file)], temperature=0.64, time=10)) == 6
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
    with pytest.raises(InputError, match="train = files of the same names"):
        bf.train(data, time=10.0, epochs=2, resume=True, **options)


# ---- the writer -------------------------------------------------------------------------------------------------


def test_further_times_join_their_configuration(tmp_path):
    path = write(tmp_path / "a.h5", [make_record(0), make_record(1)])
    write(path, [make_record(0, times=(0.1, 100.0)), make_record(2)])
    dataset = bf.Dataset(path)
    assert [(s.name, s.time) for s in dataset] == [
        ("conf_0", 0.1), ("conf_0", 1.0), ("conf_0", 10.0), ("conf_0", 100.0),
        ("conf_1", 1.0), ("conf_1", 10.0), ("conf_2", 1.0), ("conf_2", 10.0),
    ]  # fmt: skip
    np.testing.assert_array_equal(dataset[3].targets.propensity, make_record(0, times=(0.1, 100.0)).times[1].propensity)
    assert dataset[0].graph.num_edges == dataset[1].graph.num_edges
    assert len(dataset.provenance["history"]) == 2


def test_order_decides_the_place(tmp_path):
    records = [make_record(seed) for seed in range(4)]
    for record, order in zip(records, (3, 1, 0, 2), strict=True):
        record.order = order
    assert bf.Dataset(write(tmp_path / "a.h5", records)).names[::2] == ["conf_2", "conf_1", "conf_3", "conf_0"]


def test_an_error_keeps_what_is_finished_and_another_writer_continues(tmp_path):
    path = tmp_path / "a.h5"

    def interrupted():
        with bf.DatasetWriter(path) as writer:
            writer.add(make_record(0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not path.exists()
    with pytest.raises(DataError, match=r"a\.h5: no such file; .*a\.h5\.parts holds 1 finished config"):
        bf.Dataset(path)
    with bf.DatasetWriter(path) as writer:
        assert writer.finished == {"conf_0"}
        assert writer.has("conf_0", 0.44, 10.0)
        assert not writer.has("conf_0", 0.44, 11.0)
        assert not writer.has("conf_0", None, 10.0)
        writer.add(make_record(1))
    assert bf.Dataset(path).names == ["conf_0", "conf_0", "conf_1", "conf_1"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_a_writer_with_nothing_to_write_leaves_no_trace(tmp_path):
    with pytest.raises(RuntimeError), bf.DatasetWriter(tmp_path / "a.h5"):
        raise RuntimeError
    bf.DatasetWriter(tmp_path / "a.h5").close()
    assert list(tmp_path.iterdir()) == []


def test_a_kill_between_merging_and_tidying_up_changes_nothing(tmp_path, monkeypatch):
    """The parts are merged into the file, but still there: the moment after os.replace."""
    path = tmp_path / "a.h5"
    from botan_fast.data import writer as dataset_writer

    with monkeypatch.context() as patch:
        patch.setattr(dataset_writer.Path, "unlink", lambda *_, **__: None)
        write(path, [make_record(0), make_record(1)])
    assert len(list((tmp_path / "a.h5.parts").glob("*.h5"))) == 2
    write(path, [make_record(2)])
    assert bf.Dataset(path).names[::2] == ["conf_0", "conf_1", "conf_2"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.h5"]


def test_two_writers_do_not_mix(tmp_path):
    with bf.DatasetWriter(tmp_path / "a.h5"), pytest.raises(InputError, match="is being written by another process"):
        bf.DatasetWriter(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name = ''"),
        ({"positions": np.zeros((80, 3))}, "conf_0: positions.* same point"),
        ({"types": np.zeros(79, int)}, r"types has shape \(79,\)"),
        ({"box": 3.0}, "smaller than 2"),
        ({"propensity": np.zeros(79)}, r"propensity has shape \(79,\); 80 particles"),
        ({"pair_change": np.zeros(7)}, r"pair_change has shape \(7,\); \d+ pairs \(cutoff = 2\.0\)"),
        ({"local_strain": np.full(80, np.nan)}, r"local_strain\[0\] = nan is not finite"),
        ({"num_runs": -1}, "num_runs = -1 must be"),
        ({"time": 10.0}, "holds one time twice"),
        ({"time": "soon"}, "time = 'soon'"),
        ({"temperature": "cold"}, "temperature = 'cold'"),
    ],
)
def test_wrong_records(tmp_path, changes, message):
    record = make_record(0)
    for name, value in changes.items():
        setattr(record if hasattr(record, name) else record.times[0], name, value)
    with bf.DatasetWriter(tmp_path / "a.h5") as writer, pytest.raises(InputError, match=message) as error:
        writer.add(record)
    assert "\n" not in str(error.value)


def test_names_cannot_be_taken_twice(tmp_path):
    with bf.DatasetWriter(tmp_path / "a.h5") as writer:
        writer.add(make_record(0))
        with pytest.raises(InputError, match=r"conf_0 at time = 1\.0 is in .* already"):
            writer.add(make_record(0))
        other = make_record(1)
        other.name = "conf_0"
        with pytest.raises(InputError, match="conf_0 differs from one of the same name"):
            writer.add(other)
    with pytest.raises(InputError, match=r"cutoff = 1\.5 but .* has cutoff = 2\.0"):
        bf.DatasetWriter(tmp_path / "a.h5", cutoff=1.5)
    with pytest.raises(InputError, match=r"the writer of .* is closed"):
        writer.add(make_record(5))


# ---- files from strangers ----------------------------------------------------------------------------------------


def read_everything(path):
    with bf.Dataset(path) as dataset:
        for sample in dataset:
            assert sample.targets.propensity.isfinite().all()
            assert sample.graph.num_edges == len(sample.targets.pair_change)


FUZZ = """
import random, shutil, sys, time
from pathlib import Path
import botan_fast as bf
from botan_fast.errors import BotanFastError
original, folder, seed = Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]), int(sys.argv[3])
rng = random.Random(seed)
path = folder / "fuzzed.h5"


def contents(path):
    with bf.Dataset(path) as dataset:
        sizes = [(s.graph.num_edges, len(s.targets.pair_change)) for s in dataset]
        arrays = [{k: v.tobytes() for k, v in dataset.arrays(i).items()} for i in range(len(dataset))]
        return dataset.names, dataset.temperature_time_pairs(), sizes, arrays


expected = contents(sys.argv[1])  # takes the time of the imports as well
found = {"read": 0, "refused": 0}
for round in range(200):
    data = bytearray(original)
    kind = round % 4
    if kind == 0:
        data = data[: rng.randrange(len(data))]
    elif kind == 1:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        start = rng.randrange(len(data))
        data[start : start + 64] = rng.randbytes(64)
    else:  # the metadata are at the beginning
        data[rng.randrange(4096)] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    start = time.process_time()  # other processes do not count
    try:
        assert contents(path) == expected  # what changed was not part of the data
        found["read"] += 1
    except BotanFastError as error:
        assert str(path) in str(error) and "\\n" not in str(error), error
        found["refused"] += 1
    assert time.process_time() - start < 1
print(found)
"""


def test_fuzzed_and_truncated_files_give_one_error(tmp_path):
    path = write(tmp_path / "a.h5", [make_record(0), make_record(1)])
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(path), str(tmp_path), "1"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = eval(done.stdout)
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
        (lambda f: f.attrs.__setitem__("format_version", 2), r"format_version = 2 .* up to 1; update botan_fast"),
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

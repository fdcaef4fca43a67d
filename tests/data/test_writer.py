"""The writer of data sets: what it joins, refuses and keeps when it is interrupted."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.data import writer as dataset_writer
from botan_fast.errors import DataError, InputError
from tests.helpers.records import make_record, write


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


def test_the_last_writer_may_end_while_the_next_begins(tmp_path, monkeypatch):
    """The folder of the parts goes between two calls of the next writer."""
    path = tmp_path / "a.h5"
    first = bf.DatasetWriter(path)
    first.add(make_record(0))
    acquire, calls = dataset_writer.Lock.acquire, []

    def late(lock):
        calls.append(lock)
        if len(calls) == 1:
            first.close()
        return acquire(lock)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_writer.Lock, "acquire", late)
        with bf.DatasetWriter(path) as second:
            second.add(make_record(1))
    assert len(calls) == 2
    assert sorted(set(bf.Dataset(path).names)) == ["conf_0", "conf_1"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("moment", ["merged", "reported", "tidied"])
def test_a_conversion_that_ends_in_its_last_calls_is_found_finished(tiny_data, tmp_path, monkeypatch, moment):
    path, pattern = tmp_path / "a.h5", tiny_data / "train/*.npz"

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "merged":  # the data set has its name, the parts are still there
            patch.setattr(dataset_writer.Path, "unlink", killed)
        if moment == "tidied":  # nothing is left but an empty folder
            patch.setattr(dataset_writer.Path, "rmdir", lambda *_: None)
        report = killed if moment == "reported" else None
        if moment == "tidied":
            bf.convert(pattern, path)
        else:
            with pytest.raises(Killed):
                bf.convert(pattern, path, report=report)
    assert path.exists()
    assert (tmp_path / "a.h5.parts").is_dir()
    names, called = bf.Dataset(path).names, []
    if moment == "tidied":  # who has something to add is told that the data set exists
        with pytest.raises(InputError, match=r"a\.h5' exists; add to it with append=True"):
            bf.convert(tiny_data / "test/*.npz", path)
        (tmp_path / "a.h5.parts").mkdir()
    assert bf.convert(pattern, path, report=called.append) == path
    assert called == [path]
    assert bf.Dataset(path).names == names
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5"]

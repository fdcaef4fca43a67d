"""convert: from files to a data set, and the same losses from it."""

import bz2
import gzip
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import DataError, InputError
from botan_fast.files import natural_key
from tests.helpers.format_files import frames_of, lammps_data_text, lammps_text, plain_xyz_text, simulation
from tests.helpers.tiny_data import tiny_arrays, write_tiny


def contents(path):
    """Everything in a data set but its dates."""
    dataset = bf.Dataset(path)
    items = zip(dataset.names, dataset.temperature_time_pairs(), range(len(dataset)), strict=True)
    return [(name, pair, {k: v.tobytes() for k, v in dataset.arrays(i).items()}) for name, pair, i in items]


def without_runs(scores):
    """Scores less what needs the runs, which a data set does not hold."""
    if not isinstance(scores, dict):
        return scores
    of_runs = ("ceiling", "ceiling_reason", "reliability")
    return {name: without_runs(value) for name, value in scores.items() if name not in of_runs}


def test_training_from_the_data_set_is_bitwise_that_from_the_files(tiny_data, tmp_path):
    options = {"epochs": 2, "hidden_size": 8, "num_steps": 1, "progress": False}
    from_files = bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", **options)
    train = bf.convert(tiny_data / "train/*.npz", tmp_path / "train.h5")
    test = bf.convert(tiny_data / "test/*.npz", tmp_path / "test.h5")
    from_dataset = bf.train(train, bf.Dataset(test), **options)
    for one, two in zip(from_files.history, from_dataset.history, strict=True):
        assert {**one, "seconds": 0} == {**two, "seconds": 0}
    for name, weights in from_files.model.state_dict().items():
        assert weights.equal(from_dataset.model.state_dict()[name])
    scores = [bf.evaluate(from_files.model, data) for data in (tiny_data / "test/*.npz", test)]
    assert without_runs(scores[0]) == without_runs(scores[1])


def test_what_the_data_set_holds(tiny_data, tmp_path):
    path = bf.convert(tiny_data / "train/*.npz", tmp_path / "a.h5", time=13, temperature=0.44)
    dataset = bf.Dataset(path)
    assert dataset.names == ["conf_1", "conf_2", "conf_3", "conf_10"]
    assert (dataset.times, dataset.temperatures) == ([13.0], [0.44])
    samples = bf.load_samples(tiny_data / "train/*.npz")
    for stored, sample in zip(dataset, samples, strict=True):
        for name in ("propensity", "pair_change"):
            assert getattr(stored.targets, name).equal(getattr(sample.targets, name))
        assert stored.graph.vectors.equal(sample.graph.vectors)
        assert stored.graph.box.equal(sample.graph.box)
    history = dataset.provenance["history"][0]
    assert history["command"] == "convert"
    assert history["time"] == 13.0
    assert history["botan_fast"] == bf.__version__
    assert "conf_1.npz" in dataset[0].source


def test_targets_and_cutoff_are_options(tiny_data, tmp_path):
    path = bf.convert(tiny_data / "train/conf_1.npz", tmp_path / "a.h5", targets="S", cutoff=1.5)
    assert bf.Dataset(path).cutoff == 1.5
    assert set(bf.Dataset(path).arrays(0)) == {"positions", "types", "box", "pairs", "propensity"}
    # Without values of pairs, any cutoff will do.
    [sample] = bf.load_samples(path, cutoff=2.0)
    assert sample.targets.pair_change is None
    assert sample.graph.num_edges == bf.load_samples(tiny_data / "train/conf_1.npz")[0].graph.num_edges


def test_data_sets_are_merged_and_filtered(tiny_data, tmp_path):
    first = bf.convert(tiny_data / "train/*.npz", tmp_path / "1.h5", time=1, temperature=0.44)
    second = bf.convert(tiny_data / "test/*.npz", tmp_path / "2.h5", time=1, temperature=0.44)
    later = bf.convert(tiny_data / "test/*.npz", tmp_path / "3.h5", time=5, temperature=0.44)
    merged = bf.convert([second, first, later], tmp_path / "all.h5")
    expected = contents(second) + contents(first) + contents(later)
    assert sorted(contents(merged), key=str) == sorted(expected, key=str)
    assert bf.Dataset(merged).names == ["conf_20"] * 2 + ["conf_21"] * 2 + ["conf_1", "conf_2", "conf_3", "conf_10"]
    late = bf.convert(merged, tmp_path / "late.h5", time=5, cutoff=1.5)
    assert bf.Dataset(late).names == ["conf_20", "conf_21"]
    assert bf.Dataset(late)[0].graph.num_edges < bf.Dataset(later)[0].graph.num_edges
    with pytest.raises(InputError, match=r"all\.h5: time = 7 is not in the data, which hold times 1, 5"):
        bf.convert(merged, tmp_path / "none.h5", time=7)
    with pytest.raises(InputError, match=r"late\.h5 holds pairs up to cutoff = 1\.5"):
        bf.convert(late, tmp_path / "wide.h5", cutoff=2.0)


def write_nodes_only(path, times, **more):
    """GlassBench's layout: ready-made propensities at several times, without runs and without the times' values."""
    arrays = tiny_arrays(1)
    edge = (80 / 1.2) ** (1 / 3)
    prop = np.linspace(0.1, 1, 80) * np.arange(1, times + 1)[:, None]
    initial = arrays["initial_positions"] - edge / 2
    np.savez(path, types=arrays["types"] + 1, initial_positions=initial, md_prop=prop, bb_prop=prop / 2, **more)
    return prop


def test_ready_made_node_targets_without_runs(tmp_path):
    prop = write_nodes_only(tmp_path / "one.npz", 3)
    with pytest.raises(InputError, match=r"one\.npz: the file has 3 times and does not tell which; convert it"):
        bf.load_samples(tmp_path / "one.npz")
    for wrong in (None, 5.0, [1.0, 2.0]):
        with pytest.raises(InputError, match=r"one\.npz: the file has 3 times and does not tell which, but time ="):
            bf.convert(tmp_path / "one.npz", tmp_path / "a.h5", time=wrong)
    path = bf.convert(tmp_path / "one.npz", tmp_path / "a.h5", time=[1.0, 10.0, 100.0], targets="SER")
    dataset = bf.Dataset(path)
    assert dataset.times == [1.0, 10.0, 100.0]
    np.testing.assert_array_equal(dataset.arrays(2)["propensity"], prop[2].astype(np.float32))
    np.testing.assert_array_equal(dataset.arrays(1)["bond_breaking"], (prop[1] / 2).astype(np.float32))
    assert "time 10: 1 configurations" in dataset.describe()
    assert " runs" not in dataset.describe()
    options = {"hidden_size": 8, "num_steps": 1, "epochs": 1, "time": 10, "progress": False}
    with pytest.raises(DataError, match=r"configuration one has no E_ij, which p = 0\.4 trains; use p=1"):
        bf.train(path, **options)
    [row] = bf.train(path, path, p=1, decoders="separate", **options).history
    assert row["edge_pearson"] is None
    assert row["node_pearson"] is not None
    [prediction] = bf.predict(bf.BOTAN(hidden_size=8, num_steps=1), path, time=10)
    assert prediction.target_pair_change is None
    assert prediction.pair_change is not None


def test_further_targets(tiny_data, tmp_path):
    path = bf.convert(tiny_data / "train/conf_1.npz", tmp_path / "a.h5", targets="SDCRL")
    arrays = tiny_arrays(1)
    graph = bf.Dataset(path)[0].graph
    wanted = bf.isoconfigurational_targets(arrays["initial_positions"], arrays["positions"], graph, which="SERCDL")
    [sample] = bf.load_samples(path)
    for letter in "SRCDGL":
        assert sample.targets.node(letter).equal(wanted.node(letter))
    assert sample.targets.pair_change is None
    later = bf.Dataset(bf.convert(path, tmp_path / "b.h5", targets="SL"))
    assert set(later.arrays(0)) == {"positions", "types", "box", "pairs", "propensity", "local_displacement"}


def test_the_finished_configurations_of_a_layout_are_not_read_again(tmp_path, monkeypatch):
    for seed in range(4):
        write_tiny(tmp_path / f"c{seed}_time5.npz", seed=seed)
    pattern = tmp_path / "{configuration}_time{time}.npz"
    whole = bf.convert(pattern, tmp_path / "whole.h5")
    assert bf.Dataset(whole).names == ["c0", "c1", "c2", "c3"]
    assert bf.Dataset(whole).times == [5.0]
    broken = tmp_path / "c2_time5.npz"
    data = broken.read_bytes()
    broken.write_bytes(data[:1000])
    with pytest.raises(DataError, match="c2_time5"):
        bf.convert(pattern, tmp_path / "a.h5")
    broken.write_bytes(data)
    for finished in (tmp_path / "c0_time5.npz", tmp_path / "c1_time5.npz"):
        finished.write_bytes(b"not to be read")
    bf.convert(pattern, tmp_path / "a.h5")
    assert contents(tmp_path / "a.h5") == contents(whole)


def test_append_adds_files_and_times_and_skips_what_is_there(tiny_data, tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    bf.convert(tiny_data / "train/*.npz", path, time=1, temperature=0.44)
    with pytest.raises(InputError, match=r"a\.h5' exists; add to it with append=True"):
        bf.convert(tiny_data / "train/*.npz", path, time=1, temperature=0.44)
    bf.convert(tiny_data / "t*/*.npz", path, time=1, temperature=0.44, append=True)
    assert bf.Dataset(path).names == ["conf_1", "conf_2", "conf_3", "conf_10", "conf_20", "conf_21"]
    bf.convert(tiny_data / "test/*.npz", path, time=5, temperature=0.44, append=True)
    assert [len(bf.Dataset(path).select(time=t)) for t in (1, 5)] == [6, 2]
    before = contents(path)
    with monkeypatch.context() as patch:
        patch.setattr("botan_fast.data.reading.iterate_groups", lambda *_: pytest.fail("read again"))
        bf.convert(tiny_data / "test/*.npz", path, time=5, temperature=0.44, append=True)
    assert contents(path) == before
    bf.convert(tiny_data / "test/*.npz", path, force=True)
    assert bf.Dataset(path).names == ["conf_20", "conf_21"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for folder, seed in (("a/x", 1), ("b/x", 2), ("b/y", 3)):
        (tmp_path / folder).mkdir(parents=True)
        write_tiny(tmp_path / folder / "conf.npz", seed=seed)
    write_tiny(tmp_path / "a/x/other.npz", seed=4)
    path = bf.convert(tmp_path / "*/*/*.npz", tmp_path / "a.h5")
    assert bf.Dataset(path).names == ["a_x_conf", "other", "b_x_conf", "b_y_conf"]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["dump.0", "dump.100", "dump.1000"], ["dump.0", "dump.100", "dump.1000"]),
        (["glass.1.gz", "glass.2.gz"], ["glass.1", "glass.2"]),
        (["T0.44/conf.dump.gz", "T0.50/conf.dump.gz"], ["T0.44_conf", "T0.50_conf"]),
        (["T0.44/conf.dump", "T0.50/conf.dump.bz2"], ["T0.44_conf", "T0.50_conf"]),
        (["T0.44/dump.1", "T0.50/dump.1"], ["T0.44_dump.1", "T0.50_dump.1"]),
        (["conf.dump", "conf.dump.gz", "conf.txt"], ["conf.dump", "conf.dump.gz", "conf.txt"]),
        (["conf.initial", "conf.final"], ["conf.initial", "conf.final"]),
    ],
)
def test_numbers_and_compression_in_the_names_of_files(tmp_path, files, names):
    compress = {".gz": gzip.compress, ".bz2": bz2.compress}
    for seed, file in enumerate(files):
        s = simulation(seed=seed)
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(compress.get(path.suffix, bytes)(lammps_text(s, frames_of(s)[:1]).encode()))
    path = bf.convert([tmp_path / file for file in files], tmp_path / "a.h5")
    assert bf.Dataset(path).names == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": "E"}, "targets = 'E' lacks S"),
        ({"targets": "SX"}, "targets has 'X'"),
        ({"time": "late"}, "time = 'late' is not a number"),
        ({"append": True, "force": True}, "append and force"),
        ({"cutoff": -1.0}, "cutoff = -1.0"),
        ({"density": 2.4}, r"conf_1\.npz: the largest coordinate"),
    ],
)
def test_wrong_arguments(tiny_data, tmp_path, options, message):
    with pytest.raises(bf.BotanFastError, match=message):
        bf.convert(tiny_data / "train/conf_1.npz", tmp_path / "a.h5", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_file_stops_it_and_repairing_it_continues(tiny_data, tmp_path):
    files = sorted((tiny_data / "train").glob("*.npz"), key=lambda file: natural_key(file.name))
    bad = tmp_path / "bad.npz"
    bad.write_bytes(files[2].read_bytes()[:3000])
    with pytest.raises(DataError, match=r"bad\.npz: truncated or damaged npz"):
        bf.convert([*files[:2], bad, files[3]], tmp_path / "a.h5")
    with pytest.raises(DataError, match="holds 2 finished configurations, repeat the command"):
        bf.load_samples(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"with other settings \(time = None instead of 5\.0\).*repeat with those"):
        bf.convert(files, tmp_path / "a.h5", time=5)
    bad.write_bytes(files[2].read_bytes())
    bf.convert([*files[:2], bad, files[3]], tmp_path / "a.h5")
    assert bf.Dataset(tmp_path / "a.h5").names == ["conf_1", "conf_2", "bad", "conf_10"]
    bf.convert(files, tmp_path / "a.h5", time=5, force=True)
    assert bf.Dataset(tmp_path / "a.h5").times == [5.0]


def test_a_kill_loses_nothing_that_was_finished(tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(40):
        np.savez(tmp_path / f"in/c_{seed}.npz", **tiny_arrays(seed, runs=2))
    whole = bf.convert(tmp_path / "in/*.npz", tmp_path / "whole.h5", time=1)
    arguments = ["convert", str(tmp_path / "in/*.npz"), "-o", str(tmp_path / "killed.h5"), "--time", "1", "--quiet"]
    parts = tmp_path / "killed.h5.parts"
    finished = {}
    for least in (3, 20):  # killed twice
        process = subprocess.Popen([sys.executable, "-m", "botan_fast.cli", *arguments])
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and len(set(parts.glob("[0-9]*.h5")) | set(finished)) < least:
            assert process.poll() is None
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = {p: p.stat().st_mtime_ns for p in parts.glob("[0-9]*.h5")}
        assert len(now) + len(finished) >= least
        finished |= now
    assert main(arguments) == 0
    assert contents(tmp_path / "killed.h5") == contents(whole)
    assert not parts.exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "killed.h5", "whole.h5"]


def test_nothing_finished_is_read_again_after_an_interruption(tiny_data, tmp_path, monkeypatch, capsys):
    from botan_fast.data import reading

    arguments = ["convert", str(tiny_data / "t*/*.npz"), "-o", str(tmp_path / "a.h5"), "--quiet"]
    iterate, seen = reading.iterate_groups, []

    def interrupted(file, skip):
        seen.append(file.name)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return iterate(file, skip)

    with monkeypatch.context() as patch:
        patch.setattr(reading, "iterate_groups", interrupted)
        assert main(arguments) == 130
        assert "2 finished configurations are kept, repeat the command" in capsys.readouterr().err
        assert main(arguments) == 0
    assert seen.count("conf_10.npz") == 1 + (seen[2] == "conf_10.npz")
    assert len(seen) == len(set(seen)) + 1
    assert contents(tmp_path / "a.h5") == contents(bf.convert(tiny_data / "t*/*.npz", tmp_path / "b.h5"))


def test_the_command_line(tiny_data, tmp_path, capsys, tiny_model_file):
    path = str(tmp_path / "a.h5")
    for value in ("1", "5"):
        data = str(tiny_data / "train/*.npz")
        assert main(["convert", data, "-o", path, "--time", value, "--temperature", "0.44", "--append"]) == 0
    assert "temperature 0.44, time 5: 4 configurations, 6 runs" in capsys.readouterr().out
    model = ["--model", str(tiny_model_file), "--data", path]
    assert main(["evaluate", *model]) == 2
    assert "hold times 1, 5; choose with --time" in capsys.readouterr().err
    assert main(["evaluate", *model, "--time", "5"]) == 0
    assert main(["predict", *model, "--time", "5", "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/conf_10.npz").exists()
    run = ["--epochs", "1", "--hidden-size", "8", "--num-steps", "1", "--quiet", "--output", str(tmp_path / "run")]
    assert main(["train", "--train", path, "--time", "5", "--temperature", "0.44", *run]) == 0
    assert main(["convert", path, "-o", path]) == 2
    assert "is among the inputs" in capsys.readouterr().err


def test_files_without_a_box_and_data_files(tmp_path):
    """Plain XYZ with the box that the user gives, and LAMMPS data files, which have no runs."""
    s = simulation(number=200, cell=[5.5] * 3)
    text = plain_xyz_text(s, [(t, positions - 2.75) for t, positions in frames_of(s)])
    (tmp_path / "run.xyz").write_text(text)
    (tmp_path / "start.data").write_text(lammps_data_text(s))
    bf.convert(tmp_path / "run.xyz", tmp_path / "run.h5", box=5.5)
    [direct] = bf.load_samples(tmp_path / "run.xyz", box=5.5, time=4.0)
    [stored] = bf.load_samples(tmp_path / "run.h5", time=4.0)
    np.testing.assert_array_equal(stored.positions, direct.positions)
    assert 0 <= float(stored.positions.min()) <= float(stored.positions.max()) <= 5.5
    np.testing.assert_array_equal(stored.targets.propensity, direct.targets.propensity)
    np.testing.assert_allclose(direct.targets.propensity, np.linalg.norm(s.displacements[1, 0], axis=1), rtol=1e-5)
    bf.convert(tmp_path / "start.data", tmp_path / "start.h5")
    [sample] = bf.load_samples(tmp_path / "start.h5", require_targets=False)
    assert not sample.has_targets


def test_several_processes_append_to_one_data_set(tmp_path, pytestconfig):
    """Stored is a promise: what a process was told is stored is there at the end, whatever the others did."""
    files = []
    for seed in range(18):
        np.savez(tmp_path / f"c_{seed}.npz", **tiny_arrays(seed, runs=2))
        files.append(str(tmp_path / f"c_{seed}.npz"))
    command = [sys.executable, "-m", "tests.helpers.appending", str(tmp_path / "a.h5")]
    options = {"cwd": pytestconfig.rootpath, "stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, *files[k::3]], stderr=subprocess.PIPE, **options) for k in range(3)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:  # all at once
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        out, error = worker.communicate(timeout=120)
        assert worker.returncode == 0, error
        assert out.count("stored") == 6
    assert sorted(bf.Dataset(tmp_path / "a.h5").names) == sorted(f"c_{seed}" for seed in range(18))
    assert not (tmp_path / "a.h5.parts").exists()


@pytest.mark.parametrize("merged", [False, True])
def test_what_a_call_with_other_inputs_left_gets_into_no_data_set(tmp_path, merged):
    """A call that failed at its second file has stored the first; the next one is about other files."""
    for seed, name in enumerate("abc"):
        write_tiny(tmp_path / f"{name}.npz", seed)
    (tmp_path / "bad.npz").write_text("no data")
    output = tmp_path / "d.h5"
    with pytest.raises(DataError):
        bf.convert([tmp_path / "a.npz", tmp_path / "bad.npz"], output)
    if merged:  # and was killed when it had done its work the second time
        settings = json.loads((tmp_path / "d.h5.parts/session.json").read_text())
        bf.DatasetWriter(output, append=True, settings=settings)._release()
    with pytest.raises(InputError, match=r"was begun with other inputs .*a\.npz"):
        bf.convert([tmp_path / "b.npz"], output)
    with pytest.raises(InputError, match=r"was begun with other inputs .*a\.npz"):
        bf.convert([tmp_path / "b.npz"], output)
    bf.convert([tmp_path / "b.npz"], output, force=True)
    assert bf.Dataset(output).names == ["b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz", "bad.npz", "c.npz", "d.h5"]


def test_a_call_goes_on_without_the_file_that_was_wrong(tmp_path):
    for seed, name in enumerate("ab"):
        write_tiny(tmp_path / f"{name}.npz", seed)
    bf.convert([tmp_path / "a.npz"], tmp_path / "a.h5")
    (tmp_path / "bad.npz").write_text("no data")
    with pytest.raises(DataError):
        bf.convert([tmp_path / "a.h5", tmp_path / "bad.npz"], tmp_path / "d.h5")
    bf.convert([tmp_path / "b.npz", tmp_path / "a.h5"], tmp_path / "d.h5")
    assert sorted(bf.Dataset(tmp_path / "d.h5").names) == ["a", "b"]

"""botan-fast figures: what it draws of which RUN, what it leaves out and why, and that it refuses before it writes."""

import dataclasses
import json

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.cli.found import find
from botan_fast.cli.seen import Seen, field_of
from botan_fast.simulation.protocol import Protocol
from tests.helpers.command_line import SMALL, data_arguments, error_line

PREDICTED = ("agreement-edge", "agreement-node", "bonds", "pair-change", "propensity")


def drawn(arguments, capsys, folder):
    """The files of a successful command, which it prints, and its lines on what is left out."""
    assert main(["figures", *map(str, arguments), "-o", str(folder), "--quiet"]) == 0
    printed = capsys.readouterr()
    files = sorted(path.name for path in folder.iterdir())
    assert sorted(line.rpartition("/")[2] for line in printed.out.splitlines()) == files
    return files, [line.removeprefix("botan-fast: left out: ") for line in printed.err.splitlines()]


def test_a_run_is_drawn_on_its_test_data(tiny_data, tmp_path, capsys):
    run = tmp_path / "mine"
    assert main(["train", *data_arguments(tiny_data), "--epochs", "2", "--output", str(run), *SMALL]) == 0
    capsys.readouterr()
    files, left_out = drawn([run, "--formats", "pdf"], capsys, tmp_path / "figures")
    names = ("losses-mine", *PREDICTED)
    assert files == sorted(f"{name}.pdf" for name in names)
    assert not any("arrows" in line for line in left_out)  # the files have trajectories
    assert "scattering: no RUN is a data set of simulate whose .work folder is there" in left_out
    assert "pearson-node-p, pearson-edge-p: no two results differ in p and in nothing else but seeds" in left_out

    before = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    again = ["figures", run, "-o", tmp_path / "figures", "--formats", "svg", "pdf", "--quiet"]
    line = error_line(again, capsys)
    assert ".pdf' exists; choose another --output, or overwrite with --force" in line
    assert {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()} == before

    (tmp_path / "figures/losses-mine.pdf").write_text("older")
    arguments = ["--data", tiny_data / "train/conf_1.npz", "--formats", "pdf", "--force"]
    assert drawn([run, *arguments], capsys, tmp_path / "figures")[0] == files
    assert (tmp_path / "figures/losses-mine.pdf").read_bytes() == before["losses-mine.pdf"]
    assert (tmp_path / "figures/propensity.pdf").read_bytes() != before["propensity.pdf"]  # of other data


def test_a_model_is_drawn_on_data(tiny_data, tiny_model_file, tmp_path, capsys):
    arguments = [tiny_model_file, "--data", tiny_data / "test/*.npz", "--formats", "svg"]
    files, left_out = drawn(arguments, capsys, tmp_path / "figures")
    assert files == [f"{name}.svg" for name in PREDICTED]
    assert "losses: no RUN is the folder of a training, or its history.csv" in left_out
    assert find("ka-t0.44-tau").model == "ka-t0.44-tau"
    line = error_line(["figures", tiny_model_file, "-o", tmp_path / "none"], capsys)
    assert "its test data are not known; name data with --data" in line


def test_predictions_in_files(tiny_data, tiny_model_file, tmp_path, capsys):
    arguments = ["predict", "--model", str(tiny_model_file), "--quiet", "--data", str(tiny_data / "test/*.npz")]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    files, left_out = drawn([tmp_path / "out", "--formats", "png"], capsys, tmp_path / "figures")
    assert files == [f"{name}.png" for name in PREDICTED]
    assert any(line.startswith("the arrows in propensity: ") for line in left_out)

    with np.load(tmp_path / "out/conf_20.npz") as file:
        arrays = {name: file[name] for name in file.files if not name.startswith("target_")}
    np.savez(tmp_path / "bare.npz", **arrays)
    line = error_line(["figures", tmp_path / "bare.npz", "-o", tmp_path / "none"], capsys)
    assert "there is nothing to draw" in line
    assert "propensity, agreement-node: the data have no targets of particles" in line
    assert not (tmp_path / "none").exists()


def test_a_table_of_a_sweep(tmp_path, capsys):
    lines = ["task,command,temperature,time,p,num_steps,seed,node_pearson,edge_pearson,source"]
    for seed in range(2):
        lines += [f"t{t}s{seed},train,0.44,{t},0.4,7,{seed},0.7,0.5," for t in (13, 130)]
        lines += [f"p{p}s{seed},train,0.44,13,{p},7,{seed},0.7,0.5," for p in (0, 1)]
        lines += [f"h{t}s{seed},train,0.64,{t},0.4,7,{seed},0.6,," for t in (13, 130)]
        lines += [f"x{seed},evaluate,0.64,16.5,,,{seed},0.3,0.2,0.44"]
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    files, left_out = drawn([tmp_path / "table.csv", "--formats", "png"], capsys, tmp_path / "figures")
    names = ("edge-p", "edge-time", "node-p", "node-time-T0.44", "node-time-T0.64")
    assert files == [*(f"pearson-{name}.png" for name in names), "transfer.png"]
    assert any(line.startswith("pearson-node-steps, pearson-edge-steps: ") for line in left_out)


def test_scores_of_a_model_of_several_times(tmp_path, capsys):
    rows = [{"temperature": 0.44, "time": t, "node_pearson": t / 9, "node_transfer": [t / 9, t / 8]} for t in (1, 2)]
    rows[1]["ceiling"] = {"node": 0.9, "edge": None, "runs": 32}
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"node_pearson": 0.1, "conditions": rows, "outputs": [1, 2]}))
    assert [row.get("node_ceiling") for row in find(str(path)).rows] == [None, 0.9]
    matrix, outputs, columns = find(str(path)).transfer["node"]
    np.testing.assert_allclose(matrix, [[1 / 9, 2 / 9], [1 / 8, 2 / 8]])  # an output is a row
    assert (outputs, columns) == ([1, 2], ["0.44, 1", "0.44, 2"])
    files, _ = drawn([path, "--formats", "png"], capsys, tmp_path / "figures")
    assert files == ["pearson-node-time.png", "transfer-node-scores.png"]


def test_scattering_of_a_simulation(tmp_path, capsys):
    times = np.geomspace(0.05, 200, 20)
    curve = 0.25 * np.exp(-((times / 0.2) ** 2)) + 0.75 * np.exp(-((times / 16.5) ** 0.7))
    folder = tmp_path / "ka.h5.work/T0.64"
    (folder / "reports").mkdir(parents=True)
    protocol = dataclasses.asdict(Protocol(temperature=0.64, times=tuple(times.tolist())))
    (folder / "protocol.json").write_text(json.dumps(protocol))
    for k in range(3):
        report = {"name": f"c{k}", "energy_drift": 0.0, "temperature": 0.64}
        (folder / f"reports/c{k}.json").write_text(json.dumps(report | {"scattering": (curve + 0.001 * k).tolist()}))
    (tmp_path / "ka.h5").write_bytes(b"")
    [simulated] = find(str(tmp_path / "ka.h5")).simulated
    assert simulated.result.fit().tau_alpha == pytest.approx(16.5, rel=0.02)
    files, _ = drawn([tmp_path / "ka.h5"], capsys, tmp_path / "figures")
    assert files == ["scattering.pdf", "scattering.png"]


def test_a_pair_has_the_mean_of_both_directions():
    arrays = {"senders": [0, 1, 1, 2, 0], "receivers": [1, 0, 2, 1, 0], "distance": [1.0, 1.0, 1.5, 1.5, 0.0]}
    edge, actual = np.array([0.1, 0.3, 0.5, 0.7, 9.0]), np.array([0.2, 0.2, np.nan, np.nan, 9.0])
    box, types = np.full(3, 8.0), np.array([0, 0, 1])
    seen = Seen("a", np.zeros((3, 3)), types, box, *map(np.array, arrays.values()), None, None, edge, actual)
    pairs, r, predicted, found = seen.pairs()  # without the self edge, and without what is not known
    assert pairs.tolist() == [[0], [1]]
    np.testing.assert_allclose((r[0], predicted[0], found[0]), (1.0, 0.2, 0.2))
    seen.actual_edge = np.array([0.2, 0.2, 0.4, 0.4, 9.0])
    assert seen.pairs()[0].tolist() == [[0, 1], [1, 2]]
    assert seen.pairs(window=1.35)[0].tolist() == seen.pairs(a_alone=True)[0].tolist() == [[0], [1]]


def test_the_field_is_that_of_the_configuration(tiny_data):
    data = str(tiny_data / "test/*.npz")
    [sample] = [one for one in bf.load_samples(data) if one.name == "conf_21"]
    with np.load(tiny_data / "test/conf_21.npz") as file:
        expected = bf.local_displacement_field(sample.positions, file["positions"], sample.graph).mean(0)
    nothing = dict.fromkeys(("senders", "receivers", "distance", "node", "actual_node", "edge", "actual_edge"))
    place = {"positions": sample.positions, "types": sample.graph.types, "box": sample.graph.box}
    found = field_of(Seen(name="conf_21", **place, **nothing), data)
    np.testing.assert_array_equal(found, expected.numpy())
    assert field_of(Seen(name="conf_22", **place, **nothing), data) is None


def test_refusals(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "a.json").write_text('{"a":')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "a.npz").write_bytes(b"\0\xff")
    for run, message in (
        ("missing", "does not exist"),
        ("empty", "is a folder without a run"),
        ("a.txt", "is none of .json, .csv, .npz, .h5, .safetensors and .pth"),
        ("a.csv", "holds no table"),
        ("a.json", "cannot be read"),
        ("list.json", "holds no object"),
        ("a.npz", "'{folder}/a.npz' cannot be read (it is no archive of arrays); give an npz of botan-fast predict"),
    ):
        line = error_line(["figures", tmp_path / run, "-o", tmp_path / "none"], capsys)
        assert message.format(folder=tmp_path) in line
        assert "done.json" not in line  # of a sweep, which this is not
    assert "is not the name of a folder" in error_line(["figures", "x", "-o", tmp_path / "a.txt"], capsys)
    line = error_line(["figures", "x", "--formats", "jpeg"], capsys)
    assert "--formats = 'jpeg' is none of pdf, png, svg" in line

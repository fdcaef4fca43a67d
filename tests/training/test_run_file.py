"""run.toml: the run that it describes, repeated by the command line, is the same bit for bit."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import BotanFastWarning
from botan_fast.option import OBJECTS, read_toml
from botan_fast.training.options import TRAIN
from botan_fast.training.run_directory import RunDirectory
from botan_fast.training.run_file import run_file
from tests.helpers.command_line import error_line
from tests.helpers.runs import FAST, run
from tests.helpers.structured import several
from tests.helpers.tiny_data import DENSITY, write_tiny

SHORT = {"epochs": 2, "hidden_size": 16, "num_steps": 1, "learning_rate": 1e-3, "progress": False}
SOFT = bf.LennardJones(((1.0, 1.4), (1.4, 0.6)), ((1.0, 0.8), (0.8, 0.88)))
SETTINGS = {"groups": ["radial", "energy"], "averages": 0, "smear_lengths": [], "radial_centres": [1.0, 1.5]}


@pytest.fixture(scope="module")
def at_two_times(tmp_path_factory):
    """A data set of two configurations near a lattice, at the times 1 and 4."""
    folder = tmp_path_factory.mktemp("lattice")
    grid = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3) * 1.05
    for time in (1.0, 4.0):
        (folder / f"{time:g}").mkdir()
        for k in range(2):
            rng = np.random.default_rng(k)
            x = grid + 0.02 * rng.standard_normal(grid.shape)
            moved = x + 0.05 * time * rng.standard_normal((8, *grid.shape))
            arrays = {"types": np.arange(125) % 2, "initial_positions": x, "positions": moved, "box": [5.25] * 3}
            np.savez(folder / f"{time:g}" / f"{k}.npz", **arrays)
        bf.convert(f"{folder}/{time:g}/*.npz", folder / f"{time:g}.h5", time=time)
    return bf.convert([folder / "1.h5", folder / "4.h5"], folder / "both.h5")


def repeated(folder, *more):
    """The run of the command that run.toml of a folder tells, in a folder beside it."""
    again = folder.with_name(f"{folder.name} again")
    command = re.search(r"(?m)^#     botan-fast (.*) --output ANOTHER$", (folder / "run.toml").read_text())[1]
    assert main([*shlex.split(command), "--output", str(again), "--quiet", *more]) == 0
    return again


def assert_repeats(folder):
    again = repeated(folder)
    states = [RunDirectory(path).read_state() for path in (folder, again)]
    for part in ("weights", "optimizer", "average", "best"):
        tensors = [getattr(state, part) for state in states]
        assert list(tensors[0]) == list(tensors[1])
        assert all(torch.equal(value, tensors[1][name]) for name, value in tensors[0].items())
    without_time = [[{**row, "seconds": None} for row in state.history] for state in states]
    assert without_time[0] == without_time[1]
    assert (folder / "last.safetensors").read_bytes() == (again / "last.safetensors").read_bytes()
    assert read_toml(folder / "run.toml") == read_toml(again / "run.toml")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 1, "precision": "bf16", "augmentation": "o3", "seed": 7, "self_edges": True, "decoders": "node"},
        {"species_weights": [1, 2.5], "validation": 0.5, "patience": 3, "target_scaling": True},
        {"species_weights": "equal", "validation": 1, "ema": np.float32(0.9), "batch_size": np.int64(2)},
        {"box": np.full(3, (80 / DENSITY) ** (1 / 3)), "cutoff": 2, "save_memory": True, "schedule": "cosine"},
        {"box": torch.eye(3, dtype=torch.float64) * (80 / DENSITY) ** (1 / 3), "device": torch.device("cpu")},
        {"edge_inputs": ("radial",), "radial": (0.8, 1.9, 6, 0.2), "node_inputs": ["species"], "num_species": 2},
    ],
)
def test_a_run_from_python(tiny_data, tmp_path, options):
    run(tiny_data, epochs=2, output=tmp_path / "run", **options)
    assert_repeats(tmp_path / "run")


def test_files_in_an_order_of_their_own(tiny_data, tmp_path):
    """The shell's order is made a natural one; that of a list in Python is the user's."""
    files = [tiny_data / "train" / f"conf_{k}.npz" for k in (10, 1, 3)]
    for name, order in (("run", files), ("sorted", sorted(files))):
        bf.train(order, **FAST, epochs=2, output=tmp_path / name)
    assert read_toml(tmp_path / "run/run.toml")["train"] == [str(path) for path in files]
    assert_repeats(tmp_path / "run")
    differ = [(tmp_path / name / "last.safetensors").read_bytes() for name in ("run", "sorted")]
    assert differ[0] != differ[1]  # so the order was kept, and mattered


def test_weights_to_start_from(tiny_data, tiny_model_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(tiny_data, epochs=1, output="run", init=tiny_model_file.name, p=0.0, hidden_size=None, num_steps=None)
    assert read_toml(tmp_path / "run/run.toml")["init"] == str(tiny_model_file)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert_repeats(tmp_path / "run")


@pytest.mark.parametrize("descriptors", [SETTINGS, bf.DescriptorSettings(**SETTINGS, geometry="inherent")])
def test_the_recipe_structure_with_a_potential_and_several_times(at_two_times, tmp_path, descriptors):
    options = {"recipe": "structure", "descriptors": descriptors, "potential": SOFT, "pairs": "thermal"}
    data = bf.Dataset(at_two_times)
    result = bf.train(data, [at_two_times], **SHORT, **options, time=[1, 4], output=tmp_path / "run")
    assert result.model.card.times == (1.0, 4.0)
    assert_repeats(tmp_path / "run")


def test_a_baseline(at_two_times, tmp_path):
    options = {"descriptors": SETTINGS, "node_inputs": ("descriptors", "energy"), "edges": False, "progress": False}
    output = tmp_path / "run"
    bf.train_baseline(at_two_times, **options, time=4, penalty=0.1, output=output)
    again = repeated(output)
    assert (output / "last.safetensors").read_bytes() == (again / "last.safetensors").read_bytes()
    assert "botan-fast baseline --config" in (output / "run.toml").read_text()
    bf.train_baseline(at_two_times, **options, time=4, penalty=1, output=output, force=True)
    assert read_toml(output / "run.toml")["penalty"] == 1.0


def test_patterns_and_odd_names(tiny_data, tmp_path, monkeypatch):
    """Globs stay globs, and brackets, spaces and quotes of folders mean themselves."""
    folder = tmp_path / "T=0.44 [a] 'é'"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for k in (1, 2, 11):
        write_tiny(Path(f"conf_{k}.npz"), seed=k)
    write_tiny(Path("conf_[3].npz"), seed=3)
    bf.train(["conf_[3].npz", "conf_?.npz"], "conf_11*.npz", **FAST, epochs=1, output="run [1]")
    monkeypatch.chdir(tmp_path)
    held = read_toml(folder / "run [1]/run.toml")
    assert held["train"] == [str(folder / "conf_[3].npz"), f"{tmp_path}/T=0.44 [[]a] 'é'/conf_?.npz"]
    assert_repeats(folder / "run [1]")
    write_tiny(folder / "conf_4.npz", seed=4)
    repeated(folder / "run [1]", "-o", str(tmp_path / "more"))
    assert '"conf_4"' in (tmp_path / "more/config.json").read_text()


def test_what_a_file_cannot_hold(tiny_data, tiny_model, tmp_path, capsys):
    options = {**FAST, "hidden_size": None, "num_steps": None}
    data = str(tiny_data / "train/*.npz")
    bf.train(bf.load_samples(data), init=tiny_model, **options, epochs=1, output=tmp_path / "run", callbacks=[print])
    text = (tmp_path / "run/run.toml").read_text()
    assert "# Not in this file, to be given besides: train (4 Sample), init (a BOTAN).\n" in text
    assert "callbacks (print)" in text
    assert read_toml(tmp_path / "run/run.toml")[OBJECTS] == ["train", "init"]
    capsys.readouterr()
    config = ["train", "--config", tmp_path / "run/run.toml", "-o", tmp_path / "again", "--quiet"]
    assert "run.toml: train was an object in Python, which a file cannot hold; give --train" in error_line(
        config, capsys
    )
    assert "run.toml: init was an object in Python" in error_line([*config, "--train", data], capsys)
    bf.save_model(tiny_model, tmp_path / "init.safetensors")
    again = [*config, "--train", data, "--init", tmp_path / "init.safetensors"]
    assert main([str(word) for word in again]) == 0
    files = [tmp_path / name / "last.safetensors" for name in ("run", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_samples_of_one_condition(tmp_path):
    bf.train(several((1, 2)), epochs=1, hidden_size=8, num_steps=1, output=tmp_path / "run", progress=False)
    assert "train (2 Sample)" in (tmp_path / "run/run.toml").read_text()


def test_every_option_can_be_written(tmp_path):
    """What is no object is in the file, and only what was given."""
    given = {"train": "a", "epochs": 3, "learning_rate": 1e-300, "p": float("nan"), "time": np.float64(1.3)}
    text = run_file("train", TRAIN, {**given, "output": "x", "resume": True, "box": None}, tmp_path)
    (tmp_path / "a.toml").write_bytes(text)
    held = read_toml(tmp_path / "a.toml")
    assert np.isnan(held.pop("p"))
    assert held == {"train": [f"{os.getcwd()}/a"], "epochs": 3, "learning_rate": 1e-300, "time": [1.3]}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("train", "caf\udce9.npz"),
        ("train", [1]),
        ("epochs", 1.5),
        ("species", ["A", None]),
        ("potential", 3),
        ("descriptors", {1: 2}),
    ],
)
def test_what_no_file_holds_is_an_object(tmp_path, option, value):
    text = run_file("train", TRAIN, {option: value}, tmp_path)
    (tmp_path / "a.toml").write_bytes(text)
    assert read_toml(tmp_path / "a.toml") == {OBJECTS: [option]}


def test_any_text_is_read_back(tmp_path):
    names = ["".join(map(chr, range(1, 128))), "σ \U0001f9ca", "'\"\\", "a\r\nb"]
    (tmp_path / "a.toml").write_bytes(run_file("train", TRAIN, {"species": names}, tmp_path / "new\nline"))
    assert read_toml(tmp_path / "a.toml") == {"species": names}


def test_a_run_of_several_processes(tmp_path):
    said = [run_file("train", TRAIN, {"seed": 1}, tmp_path, number).decode() for number in (1, 4)]
    assert "\n# The run has 4 processes; the same bits come from as many.\n" in said[1]
    assert "processes" not in said[0]


def test_a_folder_that_is_gone(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert 'train = [\n    "/a.npz",\n]' in run_file("train", TRAIN, {"train": "/a.npz"}, tmp_path).decode()


def test_a_resumed_run(tiny_data, tmp_path):
    """It writes the file anew where it has other options, and not where it has the same."""
    options = {"output": tmp_path / "run", "resume": True}
    run(tiny_data, epochs=1, **options)
    file = tmp_path / "run/run.toml"
    first = file.stat().st_ino
    run(tiny_data, epochs=1, **options)
    assert file.stat().st_ino == first
    run(tiny_data, epochs=2, **options)
    assert read_toml(file)["epochs"] == 2
    assert file.stat().st_ino != first
    assert_repeats(tmp_path / "run")
    file.unlink()
    run(tiny_data, epochs=3, **options)
    assert read_toml(file)["epochs"] == 3


def test_a_file_of_the_user_stays(tiny_data, tmp_path, capsys):
    """Who keeps the configuration in the run's folder keeps it."""
    folder = tmp_path / "run"
    folder.mkdir()
    text = f'# mine\ntrain = "{tiny_data}/train/*.npz"\noutput = "."\nepochs = 1\nhidden_size = 8\nnum_steps = 1\n'
    (folder / "run.toml").write_text(text)
    assert main(["train", "--config", str(folder / "run.toml"), "--quiet"]) == 0
    assert "run.toml' is not a file of botan_fast and stays as it is" in capsys.readouterr().err
    assert (folder / "run.toml").read_text() == text
    options = {"epochs": 2, "hidden_size": 8, "num_steps": 1, "progress": False}
    with pytest.warns(BotanFastWarning, match="stays as it is"):
        bf.train(tiny_data / "train/*.npz", **options, output=folder, resume=True)
    assert (folder / "run.toml").read_text() == text


def test_leftovers_of_a_killed_run_go(tiny_data, tmp_path):
    run(tiny_data, epochs=1, output=tmp_path / "run")
    left = tmp_path / "run/.run.0123456789ab.tmp.toml"
    left.touch()
    run(tiny_data, epochs=2, output=tmp_path / "run", resume=True)
    assert not left.exists()

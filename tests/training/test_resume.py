"""The folder of a run: its files, and that the run survives whatever ends it."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.training.loop import TrainingError
from botan_fast.training.run_directory import HISTORY_COLUMNS, RunDirectory
from tests.helpers.runs import FAST, Stop, assert_same_files, assert_same_run, run
from tests.helpers.tiny_data import TINY, write_tiny


def test_files_of_a_run(tiny_data, uninterrupted):
    folder = uninterrupted.output
    assert {file.name for file in folder.iterdir()} == {
        "run.toml",
        "config.json",
        "training_state.safetensors",
        "last.safetensors",
        "best.safetensors",
        "history.csv",
    }
    assert json.loads((folder / "config.json").read_text())["settings"]["p"] == 0.4
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert float(rows[3]["train_loss"]) == uninterrupted.history[3]["train_loss"]
    assert rows[3]["test_loss"] == ""
    for loaded in (bf.load_model(folder), bf.load_model(folder / "last.safetensors")):
        for name, value in uninterrupted.model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
    best = min(row["test_loss"] for row in uninterrupted.history if row["test_loss"] is not None)
    scores = bf.evaluate(bf.load_model(folder / "best.safetensors"), tiny_data / "test/*.npz")
    assert 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"] == best


def test_without_output_nothing_is_written(tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tiny_data, epochs=1).output is None
    assert not list(tmp_path.iterdir())


def test_resume_after_fewer_epochs(tiny_data, uninterrupted, tmp_path):
    run(tiny_data, epochs=3, output=tmp_path / "run")
    resumed = run(tiny_data, epochs=6, output=tmp_path / "run", resume=True)
    assert_same_run(resumed, uninterrupted)
    assert_same_files(tmp_path / "run", uninterrupted.output)
    assert json.loads((tmp_path / "run/config.json").read_text())["settings"]["epochs"] == 6


def test_resume_of_a_finished_run_returns_it(tiny_data, uninterrupted):
    before = {file: file.stat().st_mtime_ns for file in uninterrupted.output.iterdir()}
    for epochs in (6, 4):
        assert_same_run(run(tiny_data, epochs=epochs, output=uninterrupted.output, resume=True), uninterrupted)
    assert {file: file.stat().st_mtime_ns for file in uninterrupted.output.iterdir()} == before


def test_resume_without_a_run_starts_one(tiny_data, uninterrupted, tmp_path):
    assert_same_run(run(tiny_data, epochs=6, output=tmp_path / "new", resume=True), uninterrupted)


@pytest.mark.parametrize("where", ["within an epoch", "between the files", "within the state"])
def test_resume_after_sigkill(tiny_data, uninterrupted, tmp_path, where, pytestconfig):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "tests.helpers.killed_training", str(tiny_data), str(output), where]
    killed = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert RunDirectory(output).read_state().epochs == (4 if where == "between the files" else 3)
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)


@pytest.mark.parametrize("epoch", [0, 4])
def test_ctrl_c_saves_the_last_finished_epoch(tiny_data, uninterrupted, tmp_path, epoch):
    stop, output = Stop(epoch), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(tiny_data, epochs=6, output=output, checkpoint_every=3, callbacks=[stop])
    assert stop.ended
    if epoch:
        assert RunDirectory(output).read_state().epochs == epoch  # not the multiple of three before it
        assert len((output / "history.csv").read_text().splitlines()) == 1 + epoch
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)


def test_a_loss_that_is_not_finite_stops_the_run(tiny_data, tmp_path):
    output = tmp_path / "run"
    samples = bf.load_samples(tiny_data / "train/*.npz")

    def poison(row):
        if row["epoch"] == 1:
            samples[2].targets.propensity[7] = float("nan")

    with pytest.raises(
        TrainingError, match=r"loss = nan .* in epoch 2, configuration conf_3: .*learning_rate"
    ) as error:
        bf.train(samples, epochs=6, output=output, callbacks=[poison], checkpoint_every=10, **FAST)
    assert "\n" not in str(error.value)
    assert RunDirectory(output).read_state().epochs == 2
    assert all(value.isfinite().all() for value in bf.load_model(output).state_dict().values())
    assert len((output / "history.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.3}, r"p = 0\.3 differs from the run in '.*', which has p = 0\.4; resume with the same"),
        ({"seed": 1}, r"seed = 1 .* seed = 0;"),
        ({"learning_rate": 2e-3}, r"learning_rate = 0\.002 .* learning_rate = 0\.001;"),
        ({"augmentation": "o3"}, r"augmentation = 'o3' .* augmentation = 'octahedral';"),
        ({"batch_size": 2}, r"batch_size = 2 .* batch_size = 1;"),
        ({"hidden_size": 8}, r"hidden_size = 8 .* hidden_size = 32;"),
        ({"decoders": "shared"}, r"decoders = 'shared' .* decoders = 'separate';"),
        ({"density": 1.2}, r"density = 1\.2 .* density = None;"),
        ({"test": None}, r"test = 0 configurations .* test = 2 configurations;"),
        ({"train": "test/*.npz"}, r"train = 2 configurations .* train = 4 configurations;"),
        ({"test": "train/conf_?.npz"}, r"test = 3 configurations .* test = 2 configurations;"),
    ],
)
def test_resume_with_other_arguments(tiny_data, uninterrupted, change, message):
    data = {"train": "train/*.npz", "test": "test/*.npz"} | {k: change[k] for k in ("train", "test") if k in change}
    data = {name: pattern and tiny_data / pattern for name, pattern in data.items()}
    options = FAST | {name: value for name, value in change.items() if name not in data}
    with pytest.raises(InputError, match=message):
        bf.train(**data, **options, epochs=7, output=uninterrupted.output, resume=True)
    assert RunDirectory(uninterrupted.output).read_state().epochs == 6


def test_resume_with_other_contents_of_the_same_names(tiny_data, tmp_path):
    for folder, shift in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        write_tiny(tmp_path / folder / "conf.npz", seed=shift)
    bf.train(tmp_path / "a/conf.npz", epochs=1, output=tmp_path / "run", **FAST)
    with pytest.raises(InputError, match=r"train = files of the same names \(sha256 .*other contents"):
        bf.train(tmp_path / "b/conf.npz", epochs=2, output=tmp_path / "run", resume=True, **FAST)


def test_resume_with_other_weights(tiny_data, tiny_model, tmp_path):
    options = {"epochs": 1, "output": tmp_path / "run", "hidden_size": None, "num_steps": None}
    run(tiny_data, init=tiny_model, **options)
    with pytest.raises(InputError, match=r"init = None differs .* init = 'a BOTAN model'"):
        run(tiny_data, **{**options, **TINY}, resume=True)
    with torch.no_grad():
        tiny_model.node_encoder.fc1.bias += 1
    with pytest.raises(InputError, match=r"init = 'a BOTAN model' \(sha256"):
        run(tiny_data, init=tiny_model, **options, resume=True)


def test_a_used_output_directory(tiny_data, uninterrupted, tmp_path):
    with pytest.raises(InputError, match=r"output = '.*' holds a run already; continue it with resume=True"):
        run(tiny_data, epochs=1, output=uninterrupted.output)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; name a folder"):
        run(tiny_data, epochs=1, output=tmp_path / "file")
    with pytest.raises(InputError, match="cannot be created"):
        run(tiny_data, epochs=1, output=tmp_path / "file" / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    run(tiny_data, epochs=1, output=tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_a_damaged_run(tiny_data, tmp_path):
    output = tmp_path / "run"
    run(tiny_data, epochs=1, output=output)
    state = (output / "training_state.safetensors").read_bytes()
    for content in (state[:100], state[: len(state) // 2], b"", (output / "last.safetensors").read_bytes()):
        (output / "training_state.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"training_state\.safetensors cannot be read .*start a new run"):
            run(tiny_data, epochs=2, output=output, resume=True)
    for content in ("{", "[]"):
        (output / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            run(tiny_data, epochs=2, output=output, resume=True)
    (output / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json' is not of this version"):
        run(tiny_data, epochs=2, output=output, resume=True)
    (output / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        run(tiny_data, epochs=2, output=output, resume=True)


def test_a_folder_is_in_use_by_one_run(tiny_data, uninterrupted, tmp_path):
    output, refused = tmp_path / "run", []

    def second(row):
        if row["epoch"] == 1:
            for resume in (False, True):
                with pytest.raises(InputError, match="in use by another process") as error:
                    run(tiny_data, epochs=6, output=output, resume=resume)
                refused.append(str(error.value))

    result = run(tiny_data, epochs=6, output=output, callbacks=[second])
    assert len(refused) == 2
    assert_same_run(result, uninterrupted)
    assert_same_files(output, uninterrupted.output)


def test_what_a_run_did_not_write_it_does_not_leave(tiny_data, tmp_path):
    with pytest.raises(InputError):
        run(tiny_data, epochs=1, output=tmp_path / "a/b", density=-1.0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="output = '' is empty"):
        run(tiny_data, epochs=1, output="")


def test_ctrl_c_twice_while_it_saves(tiny_data, uninterrupted, tmp_path, monkeypatch):
    output, save, calls = tmp_path / "run", RunDirectory.save, []

    def interrupted(self, state, model):
        calls.append(state.epochs)
        if state.epochs == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        save(self, state, model)

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_data, epochs=6, output=output)
    assert RunDirectory(output).read_state().epochs == 3
    assert not [file for file in output.iterdir() if file.name.startswith(".")]
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)


@pytest.mark.parametrize("file", ["last.safetensors", "history.csv"])
def test_a_kill_or_a_full_disk_after_the_last_state(tiny_data, uninterrupted, tmp_path, monkeypatch, file):
    """The state of the last epoch is saved, what follows from it is not: resume writes it, and trains nothing."""
    output, replace = tmp_path / "run", os.replace

    def full(source, target):
        if str(target).endswith(file) and RunDirectory(output).read_state().epochs == 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="No space left"):
            run(tiny_data, epochs=6, output=output)
    rows = [*csv.DictReader((output / "history.csv").open())]
    assert len(rows) == 5
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)
    with open(output / "history.csv") as one, open(uninterrupted.output / "history.csv") as other:
        assert [{**row, "seconds": ""} for row in csv.DictReader(one)] == [
            {**row, "seconds": ""} for row in csv.DictReader(other)
        ]


def test_the_file_of_a_kill_before_the_first_state_goes(tiny_data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/.config.0123456789ab.tmp.json").write_text("{")
    run(tiny_data, epochs=1, output=tmp_path / "run")
    assert not [file for file in (tmp_path / "run").iterdir() if file.name.startswith(".")]

"""What is told while a run goes on, and to whom."""

import sys

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.training.callbacks import Callback, LogLines, ProgressBar
from tests.helpers.runs import run


def test_log_lines(tiny_data, capfd):
    run(tiny_data, epochs=3, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "training on cpu: 4 configurations, 2 to test, epochs 0 to 2"
    assert lines[1].endswith(": A 64, B 16")
    assert [line.split()[1] for line in lines[2:]] == ["0/3", "2/3"]
    assert "edge_r" in lines[2]


def test_progress_bar(tiny_data, capfd):
    run(tiny_data, epochs=2, callbacks=[ProgressBar()])
    last = capfd.readouterr().err.split("\r")[-1]
    assert "8/8" in last
    assert "edge_r" in last


def test_functions_and_objects_as_callbacks(tiny_data):
    rows, batches = [], []

    class Batches(Callback):
        def batch_finished(self, epoch, loss):
            batches.append((epoch, loss))

    result = run(tiny_data, epochs=2, callbacks=[rows.append, Batches(), LogLines()])
    assert rows == result.history
    assert np.mean([loss for epoch, loss in batches if epoch == 1]) == pytest.approx(rows[1]["train_loss"])


def test_tensorboard_when_it_is_installed(tiny_data, tmp_path, monkeypatch):
    written, purged = [], []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            purged.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run(tiny_data, epochs=2, output=tmp_path / "run")
    result = run(tiny_data, epochs=3, output=tmp_path / "run", resume=True)
    assert purged == [(str(tmp_path / "run/tensorboard"), 0), (str(tmp_path / "run/tensorboard"), 2)]
    assert ("train_loss", result.history[1]["train_loss"], 1) in written
    assert not [entry for entry in written if entry[0] == "test_loss" and entry[2] == 3]
    assert written[-1] == "closed"


def test_without_a_test_a_line_each_minute(tiny_data, capfd, monkeypatch):
    monkeypatch.setattr(LogLines, "EVERY", 0.0)
    bf.train(tiny_data / "train/*.npz", epochs=3, hidden_size=8, num_steps=1)
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "batch" in line]) == 3 * 4
    [line] = [line for line in lines if "epoch 1/3  batch 2/4  loss " in line]
    assert line.endswith(" left")


def test_the_bar_ends_with_the_scores_of_the_last_epoch(tiny_data, capfd):
    result = run(tiny_data, epochs=2, callbacks=[ProgressBar()])
    last = capfd.readouterr().err.split("\r")[-1]
    assert f"node_r={result.history[-1]['node_pearson']:.4f}" in last


@pytest.mark.parametrize("stream", ["missing", "closed"])
def test_without_standard_error(tiny_data, tmp_path, monkeypatch, stream):
    error = None if stream == "missing" else open(tmp_path / "error", "w")  # noqa: SIM115
    if error is not None:
        error.close()
    monkeypatch.setattr(sys, "stderr", error)
    result = bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", epochs=1, hidden_size=8, num_steps=1)
    bf.evaluate(result.model, tiny_data / "test/*.npz", progress=True)
    bf.convert(tiny_data / "test/*.npz", tmp_path / "a.h5", progress=True)
    assert repr(result).startswith("TrainingResult(1 epochs, train_loss=")
    assert "\n" not in repr(result)

"""What standard error tells of the prediction of a large system: lines in a log, a bar in a terminal."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.evaluation import progress
from botan_fast.model import streaming


@pytest.fixture
def large(monkeypatch, tmp_path):
    """A file of a long system, for which a model takes slabs."""
    monkeypatch.setattr(streaming, "LARGE", 0)
    monkeypatch.setattr(progress, "EVERY", 0.0)
    box = [60.0, 4.5, 4.5]
    places = np.random.default_rng(0).random((1458, 3)) * box
    np.savez(tmp_path / "long.npz", types=np.arange(1458) % 2, positions=places, box=box)
    return tmp_path / "long.npz"


def model():
    torch.manual_seed(0)
    return bf.BOTAN(hidden_size=32, num_steps=2)


def test_lines_in_a_log(large, capsys):
    list(bf.predict(model(), large, progress=True))
    lines = [line for line in capsys.readouterr().err.splitlines() if "slab-steps" in line]
    found = [re.fullmatch(r"predicting long: (\d+) of (\d+) slab-steps, \d+ s", line) for line in lines]
    assert [int(one[1]) for one in found] == list(range(1, int(found[0][2]) + 1))


def test_a_line_now_and_then(large, capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 3600.0)
    list(bf.predict(model(), large, progress=True))
    assert capsys.readouterr().err == ""


def test_a_bar_in_a_terminal(large, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    list(bf.predict(model(), large, progress=True))
    assert "predicting long" in capsys.readouterr().err


def test_silence(large, capsys, monkeypatch):
    list(bf.predict(model(), large))
    monkeypatch.setattr(streaming, "LARGE", 1 << 40)
    list(bf.predict(model(), large, progress=True))
    assert capsys.readouterr().err == ""


def test_a_prediction_file_is_the_same(large, monkeypatch):
    [in_slabs] = bf.predict(model(), large)
    monkeypatch.setattr(streaming, "LARGE", 1 << 40)
    [ordinary] = bf.predict(model(), large)
    for name, value in vars(ordinary).items():
        assert np.array_equal(value, getattr(in_slabs, name)), name
    assert in_slabs.propensity.dtype == in_slabs.pair_change.dtype == np.float32


CODE = """
import sys
from botan_fast import interruption
interruption.install()
from botan_fast.evaluation import progress
from botan_fast.model import streaming
from botan_fast.cli.entry import main
streaming.LARGE, progress.EVERY = 0, 0.0
before = streaming.ops.SlabProcessor.step
def slowly(*arguments):
    import time
    time.sleep(0.05)
    return before(*arguments)
streaming.ops.SlabProcessor.step = slowly
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_in_the_middle(large, tmp_path):
    """One more line, at once, and no file."""
    bf.save_model(model(), tmp_path / "model.safetensors")
    out = tmp_path / "out"
    command = [sys.executable, "-c", CODE, "predict", "--model", tmp_path / "model.safetensors", "--data", large]
    process = subprocess.Popen([*command, "-o", out], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = process.stderr.readline()
        while "3 of" not in first and process.poll() is None:
            first = process.stderr.readline()
        process.send_signal(2)
        began = time.monotonic()
        output, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert output == ""
    assert [line for line in error.splitlines() if "slab-steps" not in line] == ["botan-fast: interrupted"]
    assert list(out.rglob("*")) == []

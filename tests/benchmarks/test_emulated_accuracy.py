"""What benchmarks.emulated_accuracy writes about the emulated CUDA kernels."""

import json

import pytest
import torch

from benchmarks import emulated_accuracy, machine
from tests.helpers.checkpoints import authors_state, random_model


def test_its_file(tiny_data, tmp_path, monkeypatch):
    monkeypatch.setattr(emulated_accuracy, "CASES", ((5, 20, 32),))
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    (tmp_path / "accuracy").mkdir()
    model = random_model(decoders="shared", hidden_size=64, num_steps=2)
    torch.save(authors_state(model), tmp_path / "model.pth")
    data = tiny_data / "train/conf_1.npz"
    path = emulated_accuracy.main(["--model", str(tmp_path / "model.pth"), "--data", str(data)])
    found = json.loads(path.read_text())
    for name in ("hopper", "ampere"):
        [row] = found[name]
        assert (row["nodes"], row["edges"], row["hidden"]) == (5, 20, 32)
        row |= found[f"{name}_published_weights"]
        assert row["nodes"] > 1
        for error in ("outputs", "gradients", "emulated_node", "emulated_edge", "cpu_node", "cpu_edge"):
            assert 0 < row[error] < 1e-5
    assert found["hopper"] != found["ampere"]
    with pytest.raises(SystemExit):
        emulated_accuracy.main(["--models", "x"])

"""Run folders whose files hold something else than a run wrote: one line, before anything is trained."""

import json
import os

import pytest
import safetensors
import safetensors.torch
import torch

from botan_fast.errors import BotanFastError, CheckpointError
from tests.fuzz.files import make


def message_of(target) -> str:
    with pytest.raises(BotanFastError) as error:
        target.read()
    assert "\n" not in str(error.value)
    return str(error.value)


def changed_state(path, metadata=None, tensors=None):
    with safetensors.safe_open(path, "pt") as file:
        found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no dict)
        header = file.metadata()
    safetensors.torch.save_file({**found, **(tensors or {})}, path, {**header, **(metadata or {})})


@pytest.mark.parametrize(
    "metadata",
    [
        {"history": "null"},
        {"history": "[1]"},
        {"history": '[{"another": 1}]'},
        {"history": '[{"epoch": [1]}]'},
        {"history": "[" * 100_000},
        {"best_loss": '"low"'},
        {"best_loss": "{}"},
        {"stopped": "3"},
        {"stopped": "["},
        {"format": "a\nb"},
    ],
)
def test_histories(tmp_path, metadata):
    target = make("run state", tmp_path)
    changed_state(target.path, metadata)
    assert "cannot be read" in message_of(target)


WEIGHT, MOMENT = "weights.node_encoder.fc1.weight", "optimizer.exp_avg.node_encoder.fc1.weight"


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({WEIGHT: torch.zeros(5, 1)}, "do not fit its model"),
        ({WEIGHT: torch.zeros(4, 1, dtype=torch.int64)}, "floating-point"),
        ({"weights.another": torch.zeros(1)}, r"do not fit its model \(another\)"),
        ({MOMENT: torch.zeros(4)}, "optimizer does not fit"),
        ({"optimizer.step.node_encoder.fc1.weight": torch.zeros(2)}, "optimizer does not fit"),
        ({"optimizer.more.node_encoder.fc1.weight": torch.zeros(4, 1)}, "optimizer does not fit"),
    ],
)
def test_tensors(tmp_path, tensors, message):
    target = make("run state", tmp_path)
    target.read()
    changed_state(target.path, tensors=tensors)
    with pytest.raises(CheckpointError, match=message):
        target.read()


@pytest.mark.parametrize(
    "content", ["[]", "[" * 100_000, "{}", '{"settings": 1}', '{"settings": {}, "model": []}', "\xff"]
)
def test_config(tmp_path, content):
    target = make("run config", tmp_path)
    target.path.write_bytes(content.encode("latin-1"))
    message_of(target)


@pytest.mark.parametrize("name", ["sha256", "names"])
def test_data_of_config(tmp_path, name):
    target = make("run config", tmp_path)
    config = json.loads(target.path.read_text())
    for wrong in (None, 1, [], {}, "a\nb", [[1]]):
        if config["train"].get(name) != wrong:
            target.path.write_text(json.dumps({**config, "train": {**config["train"], name: wrong}}))
            message_of(target)


@pytest.mark.parametrize("mean", [10**400, [], [1.0], None, {}])  # an empty list compares equal to any number
def test_a_mean_that_is_no_float(tmp_path, mean):
    target = make("run config", tmp_path)
    config = json.loads(target.path.read_text())
    config["train"]["mean_propensity"] = mean
    target.path.write_text(json.dumps(config))
    assert "is not of this version" in message_of(target)


@pytest.mark.parametrize(
    "kind",
    ["run config", "run state", "simulate protocol", "simulate report", "simulate run", "simulate system"],
)
def test_a_pipe_in_the_place_of_a_file(tmp_path, kind):
    target = make(kind, tmp_path)
    target.path.unlink()
    os.mkfifo(target.path)
    assert "is a pipe" in message_of(target)


@pytest.mark.parametrize("kind", ["simulate protocol", "simulate report", "simulate run", "simulate system"])
def test_the_work_of_a_simulation(tmp_path, kind):
    target = make(kind, tmp_path)
    target.read()
    for content in (b"", b"[]", b"[" * 100_000, b"null", b'{"name": 1}', b"\xff", b"PK\x03\x04"):
        target.path.write_bytes(content)
        message_of(target)

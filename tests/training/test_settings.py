"""Settings of a run: what is refused, and the step size along the run."""

import json
import math

import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.training.callbacks import Callback
from tests.helpers.runs import FAST, Stop, assert_same_files, assert_same_run, run
from tests.helpers.tiny_data import write_tiny


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1.5}, r"p = 1\.5: .* between 0"),
        ({"p": float("nan")}, r"p = nan"),
        ({"p": "0.4"}, r"p = '0\.4': give a number"),
        ({"epochs": 0}, r"epochs = 0: give a whole number of at least 1"),
        ({"epochs": 2.5}, r"epochs = 2\.5"),
        ({"seed": -1}, r"seed = -1"),
        ({"batch_size": 0}, r"batch_size = 0"),
        ({"evaluate_every": 0}, r"evaluate_every = 0"),
        ({"checkpoint_every": 0}, r"checkpoint_every = 0"),
        ({"learning_rate": 0.0}, r"learning_rate = 0\.0"),
        ({"clip_norm": float("inf")}, r"clip_norm = inf"),
        ({"augmentation": "cubic"}, r"augmentation = 'cubic'"),
        ({"decoders": "node"}, r"p = 0\.4 trains edges, but decoders = 'node' has no edge decoder"),
        ({"resume": True}, r"resume = True needs output"),
        ({"device": "gpu"}, r"device = 'gpu'"),
    ],
)
def test_wrong_arguments(tiny_data, options, message):
    with pytest.raises(InputError, match=message):
        run(tiny_data, **options)


def test_init_of_another_architecture(tiny_data, tiny_model, tmp_path):
    with pytest.raises(InputError, match=r"hidden_size = 16 but init has hidden_size = 32; leave hidden_size out"):
        run(tiny_data, init=tiny_model, hidden_size=16)
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    with pytest.raises(InputError, match=r"init has dimensions = 3 but the training data are 2-dimensional"):
        bf.train(tmp_path / "flat.npz", init=tiny_model, progress=False)
    with pytest.raises(InputError, match=r"flat is 2-dimensional but conf_1 is 3-dimensional"):
        bf.train(tiny_data / "train/*.npz", tmp_path / "flat.npz", **FAST)


# ---- the step size -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cosine(tiny_data, tmp_path_factory):
    return run(tiny_data, epochs=6, schedule="cosine", output=tmp_path_factory.mktemp("cosine") / "run")


def test_cosine_rises_then_falls_to_zero(tiny_data):
    """4 configurations, 30 epochs: 120 steps, of which the first six rise."""
    result = run(tiny_data, epochs=30, schedule="cosine", evaluate_every=30)
    last_step = [4 * epoch + 3 for epoch in range(30)]
    expected = [1e-3 * min(1.0, (step + 1) / 6) * (1 + math.cos(math.pi * step / 120)) / 2 for step in last_step]
    assert [row["learning_rate"] for row in result.history] == pytest.approx(expected, rel=1e-12)


def test_the_step_size_decides_how_far_the_weights_move(tiny_data):
    """Adam moves a weight by about the step size: a run whose last epoch has a hundredth of it hardly moves there."""
    states = {}
    for schedule in ("constant", "cosine"):
        states[schedule] = []
        record = states[schedule].append
        result = run(tiny_data, epochs=12, schedule=schedule, callbacks=[Record(record)])
    assert result.history[-1]["learning_rate"] < 0.02 * 1e-3
    moved = {name: float((after - before).abs().max()) for name, (*_, before, after) in states.items()}
    assert 0 < moved["cosine"] < 0.1 * moved["constant"]


class Record(Callback):
    def __init__(self, record):
        self.record = record

    def epoch_finished(self, row, model):
        self.record(model.processor.edge_mlp.fc1.weight.detach().clone())


def test_interrupted_and_resumed(tiny_data, cosine, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(tiny_data, epochs=6, schedule="cosine", output=tmp_path / "run", callbacks=[Stop(3)])
    assert_same_run(run(tiny_data, epochs=6, schedule="cosine", output=tmp_path / "run", resume=True), cosine)
    assert_same_files(tmp_path / "run", cosine.output)


def test_its_end_cannot_be_moved(tiny_data, cosine):
    with pytest.raises(InputError, match="epochs = 9 differs from the run"):
        run(tiny_data, epochs=9, schedule="cosine", output=cosine.output, resume=True)
    with pytest.raises(InputError, match="schedule = 'constant' differs from the run"):
        run(tiny_data, epochs=6, output=cosine.output, resume=True)


def test_runs_of_before_the_choice_resume(tiny_data, tmp_path):
    first = run(tiny_data, epochs=2, output=tmp_path / "run")
    config = json.loads((first.output / "config.json").read_text())
    del config["settings"]["schedule"]
    (first.output / "config.json").write_text(json.dumps(config))
    assert len(run(tiny_data, epochs=3, output=first.output, resume=True).history) == 3


@pytest.mark.parametrize("value", ["linear", "", 3])
def test_bad_value(tiny_data, value):
    with pytest.raises(InputError, match=f"schedule = {value!r}: choose one of constant, cosine"):
        bf.train(tiny_data / "train/*.npz", epochs=1, **FAST, schedule=value)


def test_a_size_that_is_left_out_is_the_default(tiny_data):
    """Only num_steps, only hidden_size, or neither."""
    file = str(tiny_data / "train/*.npz")
    options = {"epochs": 1, "progress": False, "device": "cpu"}
    assert bf.train(file, **options, hidden_size=32).model.config["num_steps"] == 7
    assert bf.train(file, **options, num_steps=1).model.config["hidden_size"] == 64
    with pytest.raises(bf.BotanFastError, match="hidden_size"):
        bf.train(file, **options, hidden_size=0)

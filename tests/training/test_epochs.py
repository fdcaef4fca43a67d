"""The course of a run: Adam bit for bit, AdamW, averaged weights, early stopping, and all of it through resume."""

import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import CheckpointError, InputError
from botan_fast.training.augmentation import random_rotation
from botan_fast.training.callbacks import Callback
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.runs import FAST, Stop, assert_same_files, assert_same_run, run
from tests.helpers.structured import INPUTS, several
from tests.helpers.tiny_data import TINY


def by_hand(folder, epochs, seed=0, decay=0.0):
    """The default recipe written out: its weights after every step."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = bf.BOTAN(**TINY)
    samples = bf.load_samples(folder / "train/*.npz")
    if decay:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=decay)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    steps = []
    for epoch in range(epochs):
        state = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(state) >> 1)
        for k in torch.randperm(len(samples), generator=generator).tolist():
            graph, targets = samples[k].graph, samples[k].targets
            rotation = random_rotation("octahedral", 3, generator)
            prediction = model(graph.replace(vectors=graph.vectors @ rotation.T))
            loss = ops.loss(*prediction, targets.propensity, targets.pair_change, 0.4).total
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            steps.append({name: value.clone() for name, value in model.state_dict().items()})
    return steps


def assert_equal_weights(a, b):
    assert sorted(a) == sorted(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_defaults_are_adam_bit_for_bit_and_weight_decay_is_adamw(tiny_data, decay):
    result = run(tiny_data, epochs=2, weight_decay=decay)
    assert_equal_weights(result.model.state_dict(), by_hand(tiny_data, 2, decay=decay)[-1])


def test_averaged_weights_by_hand(tiny_data, tmp_path):
    """sum_s d^(t - s) w_s / sum_s d^(t - s) over the steps of a run that the averages do not change."""
    steps, scored = by_hand(tiny_data, 3), []
    result = run(tiny_data, epochs=3, ema=0.8, output=tmp_path / "run", callbacks=[Record(scored.append)])
    weights = 0.8 ** np.arange(len(steps))[::-1]
    for name, value in result.model.state_dict().items():
        stacked = np.stack([step[name].double().numpy() for step in steps])
        np.testing.assert_allclose(value.numpy(), np.average(stacked, axis=0, weights=weights), rtol=1e-5, atol=1e-7)
    assert_equal_weights(scored[-1], result.model.state_dict())
    assert_equal_weights(bf.load_model(tmp_path / "run").state_dict(), result.model.state_dict())
    assert_equal_weights(RunDirectory(tmp_path / "run").read_state().weights, steps[-1])
    scores = bf.evaluate(result.model, tiny_data / "test/*.npz")
    assert result.history[-1]["node_pearson"] == scores["node_pearson"]


class Record(Callback):
    def __init__(self, record):
        self.record = record

    def epoch_finished(self, row, model):
        self.record({name: value.clone() for name, value in model.state_dict().items()})


# ---- early stopping --------------------------------------------------------------------------------------------------

TURNS_WORSE = {"learning_rate": 0.02, "evaluate_every": 1, "patience": 3, "epochs": 60}


def test_it_stops_and_the_best_is_the_result(tiny_data, tmp_path):
    scored = []
    options = {**TURNS_WORSE, "output": tmp_path / "run", "callbacks": [Record(scored.append)]}
    result = run(tiny_data, **options)
    losses = [row["test_loss"] for row in result.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 4 < 60
    assert result.epoch == best
    assert_equal_weights(result.model.state_dict(), scored[best])
    for file in ("last.safetensors", "best.safetensors"):
        assert_equal_weights(bf.load_model(tmp_path / "run" / file).state_dict(), scored[best])
    scores = bf.evaluate(result.model, tiny_data / "test/*.npz")
    assert 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"] == min(losses)
    again = run(tiny_data, **{**options, "resume": True, "callbacks": [], "epochs": 100})
    assert_same_run(again, result)  # it is over, whatever the number of epochs


def test_without_patience_the_last_is_the_result(tiny_data):
    scored = []
    result = run(tiny_data, **{**TURNS_WORSE, "patience": 0, "epochs": 8}, callbacks=[Record(scored.append)])
    assert_equal_weights(result.model.state_dict(), scored[-1])
    assert len(result.history) == 8


def test_patience_counts_epochs_between_evaluations(tiny_data):
    result = run(tiny_data, **{**TURNS_WORSE, "evaluate_every": 4, "patience": 2})
    tested = [row["epoch"] for row in result.history if row["test_loss"] is not None]
    losses = [row["test_loss"] for row in result.history if row["test_loss"] is not None]
    assert tested == list(range(0, len(result.history), 4))
    assert np.argmin(losses) == len(losses) - 2  # the first evaluation without a gain is four epochs after the best


def test_patience_needs_something_to_look_at(tiny_data):
    with pytest.raises(InputError, match="patience = 3 needs a loss on data that are not trained on"):
        bf.train(tiny_data / "train/*.npz", **FAST, patience=3, epochs=1)


# ---- resume ----------------------------------------------------------------------------------------------------------

ALL = INPUTS | {
    "hidden_size": 32,
    "num_steps": 1,
    "augmentation": "o3",
    "learning_rate": 1e-2,
    "evaluate_every": 1,
    "seed": 4,
    "ema": 0.7,
    "input_noise": 0.2,
    "weight_decay": 0.02,
    "patience": 3,
    "validation": 1,
    "target_scaling": True,
    "species_weights": "equal",
    "progress": False,
}


@pytest.fixture(scope="module")
def samples():
    return several((1, 2, 3, 4))


@pytest.fixture(scope="module")
def straight(samples, tmp_path_factory):
    return bf.train(samples, epochs=4, output=tmp_path_factory.mktemp("all") / "run", **ALL)


def test_two_epochs_and_two_more_are_four(samples, straight, tmp_path):
    bf.train(samples, epochs=2, output=tmp_path / "run", **ALL)
    resumed = bf.train(samples, epochs=4, output=tmp_path / "run", resume=True, **ALL)
    assert_same_run(resumed, straight)
    assert_same_files(tmp_path / "run", straight.output)
    states = [RunDirectory(folder).read_state() for folder in (tmp_path / "run", straight.output)]
    for part in ("average", "best"):
        assert_equal_weights(*(getattr(state, part) for state in states))


def test_interrupted_within_an_epoch(samples, straight, tmp_path):
    options = {**ALL, "output": tmp_path / "run", "epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        bf.train(samples, **options, checkpoint_every=10, callbacks=[Stop(2)])
    assert_same_run(bf.train(samples, **options, resume=True), straight)
    assert_same_files(tmp_path / "run", straight.output)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ema": 0.8}, r"ema = 0\.8 differs from the run in .* ema = 0\.7"),
        ({"patience": 4}, r"patience = 4 .* patience = 3"),
        ({"validation": 2}, r"validation = 2 .* validation = 1"),
        ({"species_weights": [1, 2]}, r"species_weights = \[1\.0, 2\.0\] .* species_weights = \[1\.0, 1\.0\]"),
        ({"target_scaling": False}, r"scaled = False .* scaled = True"),
        ({"node_inputs": ["species", "energy"]}, r"node_inputs = \['species', 'energy'\] differs"),
    ],
)
def test_resume_with_other_options(samples, straight, change, message):
    with pytest.raises(InputError, match=message):
        bf.train(samples, **{**ALL, **change}, epochs=4, output=straight.output, resume=True)


def test_a_state_without_its_averages(samples, straight, tmp_path):
    bf.train(samples, **ALL, epochs=1, output=tmp_path / "run")
    folder = RunDirectory(tmp_path / "run")
    state = folder.read_state()
    state.average = {}
    folder.save(state, straight.model)
    with pytest.raises(CheckpointError, match="the run's averages do not fit its model"):
        bf.train(samples, **ALL, epochs=2, output=tmp_path / "run", resume=True)


def test_runs_of_before_these_options_resume(tiny_data, uninterrupted, tmp_path):
    run(tiny_data, epochs=3, output=tmp_path / "run")
    file = tmp_path / "run/config.json"
    config = json.loads(file.read_text())
    for name in ("ema", "weight_decay", "input_noise", "validation", "patience", "species_weights"):
        del config["settings"][name]
    file.write_text(json.dumps(config))
    assert_same_run(run(tiny_data, epochs=6, output=tmp_path / "run", resume=True), uninterrupted)

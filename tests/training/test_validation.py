"""What is held back: whole configurations, chosen by the seed, and the loss that says which model is the best."""

import csv
import json

import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.training.settings import TrainingSettings
from botan_fast.training.validation import hold_out
from tests.helpers.runs import FAST, run
from tests.helpers.structured import several
from tests.training.test_objective import BASE


def held(samples, validation, seed=0):
    train, back = hold_out(samples, TrainingSettings(**{**BASE, "validation": validation, "seed": seed}))
    assert [s for s in samples if s in train] == train  # both in the order of the data
    assert [s for s in samples if s in back] == back
    assert len(train) + len(back) == len(samples)
    return {s.name for s in train}, {s.name for s in back}


def test_number_and_fraction_of_configurations():
    samples = several(range(10))
    for validation, number in ((3, 3), (0.25, 2), (0.01, 1), (9, 9), (0, 0)):
        train, back = held(samples, validation)
        assert len(back) == number
        assert not train & back


def test_all_samples_of_a_configuration_are_on_one_side():
    samples = several((1, 2, 3, 4), times=(1.3, 13.0))
    for seed in range(5):
        train, back = held(samples[::2] + samples[1::2], 2, seed)
        assert not train & back
        assert len(back) == 2


def test_the_seed_chooses():
    samples = several(range(8))
    chosen = [held(samples, 2, seed)[1] for seed in (0, 0, 1, 2, 3)]
    assert chosen[0] == chosen[1]
    assert len({frozenset(names) for names in chosen}) > 1


def test_something_is_left_to_train_on(tiny_data):
    with pytest.raises(InputError, match="validation = 4 of 4 training configurations leaves none"):
        run(tiny_data, epochs=1, validation=4)


def test_it_is_not_trained_on_and_its_loss_decides(tiny_data, tmp_path):
    result = run(tiny_data, epochs=3, validation=0.25, evaluate_every=1, output=tmp_path / "run")
    description = json.loads((tmp_path / "run/config.json").read_text())
    [name] = description["validation"]["names"]
    assert name not in description["train"]["names"]
    assert len(description["train"]["names"]) == result.model.card.num_configurations == 3
    file = tiny_data / f"train/{name}.npz"
    scores = bf.evaluate(result.model, file)
    last = result.history[-1]
    assert last["validation_loss"] == 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"]
    assert last["validation_node_pearson"] == scores["node_pearson"]
    best = bf.evaluate(bf.load_model(tmp_path / "run/best.safetensors"), file)
    lowest = min(row["validation_loss"] for row in result.history)
    assert 0.4 * best["node_loss"] + 0.6 * best["edge_loss"] == lowest
    with open(tmp_path / "run/history.csv") as lines:
        rows = list(csv.DictReader(lines))
    assert float(rows[-1]["validation_loss"]) == last["validation_loss"]
    without = bf.train([f for f in sorted((tiny_data / "train").glob("*")) if f != file], epochs=3, **FAST)
    assert without.history[0]["train_loss"] == pytest.approx(result.history[0]["train_loss"], rel=1e-3)

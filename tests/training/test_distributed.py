"""Several processes train the model that one would: the same losses and scores, to rounding."""

import math

import pytest

import botan_fast as bf
from tests.helpers import team

NAMES = list(team.RUNS)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """All runs by two processes, one after the other."""
    folder = tmp_path_factory.mktemp("two")
    ended = team.start(2, [{"name": name} for name in NAMES], folder)
    assert [status for status, _ in ended] == [0, 0], ended
    return {name: team.results(folder, 2, number) for number, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def alone():
    return {name: team.train(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_train_as_one(two, alone, name):
    team.assert_one_model(two[name])
    # Products in bfloat16 round at 2^-9: a last bit of a weight may turn over one of their inputs.
    rough = {"loss": 2e-3, "score": 2e-2} if name == "bf16" else {}
    team.assert_equal_to_rounding(two[name][0]["history"], alone[name].history, **rough)
    assert two[name][0]["epoch"] == alone[name].epoch


def test_early_stopping_is_met(alone):
    """Else the runs with validation and with a callback that ends them would say nothing of it."""
    assert len(alone["validation"].history) < team.RUNS["validation"][1]["epochs"]
    assert alone["validation"].epoch < alone["validation"].history[-1]["epoch"]
    assert len(alone["stopped"].history) == 2


@pytest.mark.parametrize("name", ["only edges", "nodes beside an edge decoder"])
def test_a_decoder_without_weight_in_the_loss_keeps_its_weights(two, name):
    """Zeros in place of no gradient would let weight decay change it."""
    own = {"p": team.RUNS[name][1]["p"], "decoders": "separate", "epochs": 1, "learning_rate": 1e-30, "batch_size": 1}
    start = team.train("plain", **own).model.state_dict()
    decoder = "node_decoder" if name == "only edges" else "edge_decoder"
    for saved in two[name]:
        kept = {key: value for key, value in saved["weights"].items() if key.startswith(decoder)}
        assert kept
        team.assert_same_weights(kept, {key: start[key] for key in kept})


@pytest.mark.parametrize("name", NAMES)
def test_one_sum_in_each_step(two, alone, name):
    saved, epochs = two[name][0], len(alone[name].history)
    samples = len(team.RUNS[name][0]()[0]) - team.RUNS[name][1].get("validation", 0)
    assert len(saved["sums"]) == epochs * math.ceil(samples / 2)
    weights = [parameter.numel() for parameter in alone[name].model.parameters()]
    assert set(saved["sums"]) == {sum(weights) + len(weights) + 4}


@pytest.mark.parametrize("name", NAMES)
def test_each_configuration_is_scored_once(two, alone, name):
    by_rank = [saved["scored"] for saved in two[name]]
    evaluations = sum(row["test_loss"] is not None for row in alone[name].history)
    held = team.RUNS[name][1].get("validation", 0)
    assert len(by_rank[0] + by_rank[1]) == evaluations * (3 + held)
    assert not set(by_rank[0]) & set(by_rank[1])
    assert {"conf_20", "conf_21", "conf_22"} <= {*by_rank[0], *by_rank[1]}


def test_each_inherent_structure_is_made_once(two):
    assert [saved["minima"] for saved in two["minima"]] == [4, 3]  # of four configurations to train on, three to test


@pytest.mark.parametrize("name", ["plain", "only edges", "times"])
def test_scores_are_those_of_one_process_bit_for_bit(two, alone, name):
    model, saved = alone[name].model, two[name][0]
    model.load_state_dict(saved["weights"])
    scores, row = bf.evaluate(model, team.RUNS[name][0]()[1]), saved["history"][-1]
    for column in ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled"):
        noise = name == "only edges" and column.startswith("node")
        assert row[column] == (None if noise else scores[column])


def test_three_processes_with_batches_of_five(tmp_path):
    """Shares of 1, 2 and 2 graphs; of the last batch of two graphs one process has none."""
    assert [status for status, _ in team.start(3, [{"name": "scaled", "batch_size": 5}], tmp_path)] == [0, 0, 0]
    saved = team.results(tmp_path, 3)
    team.assert_one_model(saved)
    team.assert_equal_to_rounding(saved[0]["history"], team.train("scaled", batch_size=5).history)

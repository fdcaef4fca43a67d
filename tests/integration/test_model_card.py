"""A model knows what it was trained for: from train through the file to predict and evaluate."""

import contextlib
import dataclasses
import json
import warnings

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import BotanFastWarning, InputError
from botan_fast.model.card import ModelCard
from tests.helpers.runs import FAST
from tests.helpers.tiny_data import tiny_arrays, write_tiny


@contextlib.contextmanager
def said():
    """The lines that botan_fast says while the block runs."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lines
    lines += [str(one.message) for one in caught if issubclass(one.category, BotanFastWarning)]


@pytest.fixture(scope="module")
def runs(tiny_data, tmp_path_factory):
    """Run folders of p = 0, 0.4 and 1."""
    folder = tmp_path_factory.mktemp("runs")
    for name, p in (("pairs", 0), ("both", 0.4), ("nodes", 1)):
        bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", **FAST, p=p, epochs=1, output=folder / name)
    return folder


def test_train_fills_the_card(runs):
    card = bf.load_model(runs / "both").card
    assert card.density == pytest.approx(1.2, rel=1e-12)
    assert dataclasses.replace(card, density=1.2) == ModelCard(
        outputs=("S", "E"),
        p=0.4,
        species=("A", "B"),
        fractions=(0.8, 0.2),
        density=1.2,
        dimensions=3,
        cutoff=2.0,
        num_configurations=4,
        num_runs=(6,),
        botan_fast=bf.__version__,
    )
    assert bf.load_model(runs / "pairs").card.outputs == ("E",)
    assert bf.load_model(runs / "nodes").card.outputs == ("S",)
    assert bf.load_model(runs / "both/best.safetensors").card == card


def test_the_card_follows_the_last_training(runs, tiny_data):
    """Weights of p = 0.4 that go on with p = 0 no longer predict S, whatever they began as."""
    result = bf.train(tiny_data / "train/*.npz", **FAST, p=0, epochs=1, init=runs / "both")
    assert result.model.card.outputs == ("E",)
    result = bf.train(tiny_data / "train/*.npz", **FAST, p=0.4, epochs=1, init=runs / "pairs")
    assert result.model.card.outputs == ("S", "E")
    with said() as lines:
        bf.evaluate(result.model, tiny_data / "test/*.npz")
    assert lines == []


def test_scores_of_noise_stay_out_of_the_history(runs):
    for name, kept in (("pairs", "edge"), ("nodes", "node"), ("both", "")):
        [header, row] = (runs / name / "history.csv").read_text().splitlines()
        row = dict(zip(header.split(","), row.split(","), strict=True))
        for column in ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled"):
            assert (row[column] != "") == column.startswith(kept), (name, column)
        assert row["test_loss"] != ""


def test_a_resumed_run_has_the_same_file(runs, tiny_data, tmp_path):
    data = tiny_data / "train/*.npz", tiny_data / "test/*.npz"
    bf.train(*data, **FAST, p=0.4, epochs=2, output=tmp_path / "once")
    for epochs in (1, 2):
        bf.train(*data, **FAST, p=0.4, epochs=epochs, output=tmp_path / "twice", resume=True)
    once, twice = ((tmp_path / name / "last.safetensors").read_bytes() for name in ("once", "twice"))
    assert once == twice


def test_predict_leaves_an_untrained_output_out(runs, tiny_data):
    with said() as lines:
        [first, _] = bf.predict(runs / "pairs", tiny_data / "test/*.npz")
    assert lines == ["propensity left out: pairs was trained for pair changes alone (p = 0)"]
    assert first.propensity is None
    assert first.pair_change is not None
    assert first.target_propensity is not None  # of the data, not of the model
    with said() as lines:
        [first, _] = bf.predict(bf.load_model(runs / "pairs"), tiny_data / "test/*.npz")
    assert lines == ["propensity left out: the model was trained for pair changes alone (p = 0)"]
    with said() as lines:
        [first, _] = bf.predict(runs / "nodes", tiny_data / "test/*.npz")
    assert lines == []  # it has no decoder of pairs
    assert first.pair_change is None
    with said() as lines:
        [first, _] = bf.predict(runs / "both", tiny_data / "test/*.npz")
    assert lines == []
    assert first.propensity is not None
    assert first.pair_change is not None


def test_edges_of_separate_decoders_need_training_too(tiny_data):
    result = bf.train(tiny_data / "train/*.npz", **FAST, p=1, epochs=1, decoders="separate")
    with said() as lines:
        [first, _] = bf.predict(result.model, tiny_data / "test/*.npz")
    assert lines == ["pair change left out: the model was trained for propensity alone (p = 1)"]
    assert first.pair_change is None
    with said() as lines:
        bf.evaluate(result.model, tiny_data / "test/*.npz")
    assert len(lines) == 1
    assert lines[0].startswith("edge scores are those of noise")


def test_a_model_without_a_card_predicts_all(tiny_data, tiny_model):
    with said() as lines:
        [first, _] = bf.predict(tiny_model, tiny_data / "test/*.npz")
    assert lines == []
    assert first.propensity is not None
    assert first.pair_change is not None


def test_evaluate_says_which_scores_are_noise(runs, tiny_data):
    with said() as lines:
        scores = bf.evaluate(runs / "pairs", tiny_data / "test/*.npz")
    assert lines == [
        "node scores are those of noise: pairs was trained for pair changes alone (p = 0), not for propensity"
    ]
    assert scores["edge_pearson"] is not None


def test_files_of_predict(runs, tiny_data, tmp_path, capsys):
    arguments = ["--data", str(tiny_data / "test/conf_20.npz"), "--quiet", "-o", str(tmp_path / "out")]
    assert main(["predict", "--model", str(runs / "pairs"), *arguments]) == 0
    printed = capsys.readouterr().err.splitlines()
    assert printed == ["botan-fast: warning: propensity left out: pairs was trained for pair changes alone (p = 0)"]
    with np.load(tmp_path / "out/conf_20.npz") as file:
        assert "propensity" not in file
        assert {"pair_change", "target_propensity", "target_pair_change"} <= set(file)
    comment = (tmp_path / "out/conf_20.xyz").read_text().splitlines()[1]
    assert "Properties=species:S:1:pos:R:3:target_propensity:R:1:id:I:1:radius:R:1:Color:R:3 " in comment
    assert "ColorBy=target_propensity " in comment


def test_paths_in_place_of_models(runs, tiny_data):
    expected = bf.evaluate(bf.load_model(runs / "both"), tiny_data / "test/*.npz")
    for path in (runs / "both", str(runs / "both"), runs / "both/last.safetensors"):
        assert bf.evaluate(path, tiny_data / "test/*.npz") == expected
    [one, _] = bf.predict(str(runs / "both"), tiny_data / "test/*.npz")
    [two, _] = bf.predict(bf.load_model(runs / "both"), tiny_data / "test/*.npz")
    np.testing.assert_array_equal(one.propensity, two.propensity)
    with pytest.raises(bf.BotanFastError, match="does not exist"):
        bf.evaluate(runs / "nowhere", tiny_data / "test/*.npz")
    for wrong in (3, None, torch.nn.Linear(2, 2)):
        with pytest.raises(InputError, match=r"model is a .*; give a BOTAN, or the path"):
            bf.predict(wrong, tiny_data / "test/*.npz")


def carded(**entries):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = bf.BOTAN(hidden_size=8, num_steps=1)
    known = {"species": ("A", "B"), "fractions": (0.8, 0.2), "density": 1.2, "dimensions": 3, "cutoff": 2.0}
    model.card = ModelCard(outputs=("S", "E"), p=0.4, **{**known, **entries})
    return model


def test_data_that_differ_get_one_line(tmp_path):
    arrays = tiny_arrays(0, number=200)
    box = (200 / 1.2) ** (1 / 3)
    path = tmp_path / "a.npz"

    def lines_for(model, types=arrays["types"], scale=1.0, **more):
        np.savez(
            path,
            types=types,
            positions=arrays["initial_positions"] * scale,
            box=box * scale,
            trajectories=arrays["positions"] * scale,
            **more,
        )
        list(bf.predict(model, [path]))  # what is said once in a process (a width without kernels) is said here
        with said() as lines:
            list(bf.predict(model, [path]))
        with said() as again:
            bf.evaluate(model, [path])
        assert again == lines
        return lines

    start = "the data differ from what the model was trained on: "
    assert lines_for(carded(temperatures=(0.44,), times=(13.0,)), temperature=0.44, time=13.0) == []
    assert lines_for(carded()) == []
    assert lines_for(carded(temperatures=(0.44,), times=(13.0,))) == []  # the file does not tell
    assert lines_for(carded(), scale=1.02) == []  # 6 % of the density
    assert lines_for(carded(), scale=1.05) == [start + "number density 1.037 (trained: 1.2)"]
    half = (np.arange(200) % 2).astype(int)
    assert lines_for(carded(), types=half) == [start + "species fractions 0.5, 0.5 (trained: 0.8, 0.2)"]
    three = arrays["types"] + (np.arange(200) == 0) * 2
    with pytest.raises(InputError, match=r"a has particles of type 2 \(C\), but the model was trained on A 0.8, B 0.2"):
        lines_for(carded(), types=three)
    with pytest.raises(InputError, match=r"a has particles of type 1 \(B\), but the model was trained on A 1, B 0"):
        lines_for(carded(fractions=(1.0, 0.0)))
    both = lines_for(carded(temperatures=(0.44,), times=(13.0,)), scale=1.05, temperature=0.5, time=130.0)
    assert both == [
        start + "number density 1.037 (trained: 1.2), temperature 0.5 (trained: 0.44), time 130 (trained: 13)"
    ]


@pytest.fixture
def several(tmp_path):
    """A data set of two temperatures and two times."""
    box = (80 / 1.2) ** (1 / 3)
    with bf.DatasetWriter(tmp_path / "data.h5") as writer:
        for k, temperature in enumerate((0.44, 0.44, 0.5)):
            arrays = tiny_arrays(k)
            times = [bf.TimeRecord(time=t, num_runs=4, propensity=np.linspace(0, t, 80)) for t in (1.0, 10.0)]
            x = arrays["initial_positions"]
            writer.add(bf.Record(f"conf_{k}", x, arrays["types"], box, temperature=temperature, times=times))
    return tmp_path / "data.h5"


def test_the_card_chooses_temperature_and_time(several):
    model = carded(temperatures=(0.44,), times=(10.0,))
    with said() as lines:
        scores = bf.evaluate(model, several)
    assert scores == bf.evaluate(carded(), several, temperature=0.44, time=10.0)
    assert lines == [
        "temperature 0.44 and time 10 are taken, which the model was trained for; the data hold others too"
    ]
    with said() as lines:
        predictions = list(bf.predict(model, several))
    assert [p.name for p in predictions] == ["conf_0", "conf_1"]
    assert predictions[0].target_propensity.max() == 10.0
    assert len(lines) == 1
    with said() as lines:  # a choice of the user stands
        bf.evaluate(model, several, temperature=0.5, time=1.0)
    assert lines == [
        "the data differ from what the model was trained on: temperature 0.5 (trained: 0.44), time 1 (trained: 10)"
    ]


def test_where_the_card_does_not_help(several):
    with pytest.raises(InputError, match=r"hold times 1, 10; choose with time="):
        bf.evaluate(carded(temperatures=(0.44,), times=(3.0,)), several)
    with pytest.raises(InputError, match=r"hold temperatures 0\.44, 0\.5; choose with temperature="):
        bf.evaluate(carded(temperatures=(0.3,)), several, time=1.0)
    with pytest.raises(InputError, match=r"temperatures 0\.44, 0\.5; choose"):
        bf.evaluate(carded(), several)
    with pytest.raises(InputError, match=r"time = 3 is not in the data"):
        bf.evaluate(carded(times=(10.0,)), several, temperature=0.44, time=3.0)


def test_predictions_need_no_time(several):
    """One for each configuration, without targets where nobody says of which time."""
    for model in (carded(), carded(times=(3.0,))):
        with said() as lines:
            predictions = list(bf.predict(model, several, temperature=[0.44, 0.5]))
        assert [p.name for p in predictions] == ["conf_0", "conf_1", "conf_2"]
        assert all(p.target_propensity is None for p in predictions)
        assert lines == [
            "the data hold several times and none is chosen: each configuration is predicted once, without targets"
        ]
    [p, *_] = bf.predict(carded(), several, temperature=0.44, time=1.0)
    assert p.target_propensity.max() == 1.0


def test_a_run_of_several_times_in_one_target(several):
    """What no card can choose from is refused as without a card, not mixed in silence."""
    model = carded(temperatures=(0.44,), times=(1.0, 10.0))
    with pytest.raises(InputError, match="choose with time="):
        bf.evaluate(model, several)


def test_info_shows_the_card(runs, tmp_path, tiny_model_file, capsys):
    assert main(["info", "--model", str(runs / "pairs")]) == 0
    printed = capsys.readouterr().out
    assert "trained for         pair changes alone (p = 0)\n" in printed
    assert "runs                6\n" in printed
    assert main(["info", "--model", str(tiny_model_file)]) == 0
    assert "unknown: the file has no model card" in capsys.readouterr().out
    assert main(["info", "--json", "--model", str(runs / "pairs")]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["outputs"] == ["E"]
    assert main(["info", "--model", str(tmp_path / "nowhere.pth")]) == 2


def test_flat_data_and_a_model_in_three_dimensions(tmp_path):
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    with pytest.raises(InputError, match="model has dimensions = 3 but flat has 2-dimensional"):
        bf.predict(carded(), tmp_path / "flat.npz")

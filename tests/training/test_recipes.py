"""Which value an option has: the given one, else the recipe's."""

import json

import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.training.recipes import RECIPES, resolve
from tests.helpers.runs import FAST, assert_same_run, run
from tests.helpers.structured import several
from tests.helpers.tiny_data import TINY


def test_given_options_win():
    options = resolve("structure", {"ema": 0.0, "learning_rate": None, "p": 0.0})
    assert (options["ema"], options["p"]) == (0.0, 0.0)
    assert options["learning_rate"] == RECIPES["structure"]["learning_rate"]
    with pytest.raises(InputError, match="recipe = 'best' is unknown; choose one of paper, structure"):
        resolve("best", {})


def test_the_default_is_the_paper(tiny_data, tmp_path):
    options = {"a": {}, "b": {"recipe": "paper"}}
    assert_same_run(*(run(tiny_data, epochs=1, output=tmp_path / name, **o) for name, o in options.items()))
    settings = json.loads((tmp_path / "a/config.json").read_text())["settings"]
    assert settings["p"] == 0.4
    assert settings["augmentation"] == "octahedral"
    assert settings["evaluate_every"] == FAST["evaluate_every"]
    assert settings["ema"] == settings["weight_decay"] == settings["input_noise"] == settings["patience"] == 0


def test_options_of_the_recipe_reach_run_and_model(tmp_path):
    """All but the descriptors, which take the positions of a real configuration."""
    inputs = {"node_inputs": ("species", "energy")}
    result = bf.train(several((1, 2)), recipe="structure", epochs=1, output=tmp_path / "run", progress=False, **inputs)
    recipe, config = RECIPES["structure"], result.model.config
    assert {name: config[name] for name in ("hidden_size", "num_steps")} == {
        name: recipe[name] for name in ("hidden_size", "num_steps")
    }
    assert config["edge_inputs"] == list(recipe["edge_inputs"])
    assert config["scaled"] is recipe["target_scaling"]
    recorded = json.loads((tmp_path / "run/config.json").read_text())
    for name in ("p", "ema", "schedule", "augmentation", "learning_rate", "weight_decay", "input_noise"):
        assert recorded["settings"][name] == recipe[name]
    assert recorded["model"]["structure"] == config["structure"]


def test_a_resumed_run_has_the_recipe_that_it_began_with(tiny_data, tmp_path):
    run(tiny_data, epochs=1, output=tmp_path / "run")
    inputs = {"node_inputs": ["type"], "edge_inputs": ["vector"]}
    with pytest.raises(InputError, match="differs from the run in"):
        run(tiny_data, epochs=2, recipe="structure", **inputs, output=tmp_path / "run", resume=True)


def test_weights_to_start_from_keep_their_architecture(tiny_data, tiny_model):
    """The recipe's options of the model give way to init; those that are given must agree with it."""
    options = {"init": tiny_model, "recipe": "structure", "hidden_size": None, "num_steps": None, "epochs": 1}
    result = run(tiny_data, **options)
    assert result.model.config == tiny_model.config
    with pytest.raises(InputError, match=r"edge_inputs = \['vector', 'radial'\] but init has edge_inputs = "):
        run(tiny_data, **{**options, "edge_inputs": ("vector", "radial")})
    with pytest.raises(InputError, match="scaled = True but init has scaled = False"):
        run(tiny_data, **{**options, "target_scaling": True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ema": 1.0}, r"ema = 1\.0: give a decay below 1"),
        ({"ema": "0.9"}, r"ema = '0\.9': give a number"),
        ({"weight_decay": -0.1}, r"weight_decay = -0\.1: give a number that is not negative"),
        ({"input_noise": float("nan")}, r"input_noise = nan"),
        ({"validation": 1.5}, r"validation = 1\.5: give a number of training configurations, or a fraction"),
        ({"validation": -1}, r"validation = -1"),
        ({"validation": True}, r"validation = True"),
        ({"patience": 1.5}, r"patience = 1\.5: give a whole number of at least 0"),
        ({"species_weights": "both"}, r"species_weights = 'both': give 'particles', 'equal', or a list"),
        ({"species_weights": [1, -1]}, r"species_weights = \(1\.0, -1\.0\)"),
        ({"species_weights": 3}, r"species_weights = 3: give 'particles', 'equal', or a list"),
        ({"species_weights": [1.0, "b"]}, r"species_weights = \[1\.0, 'b'\]: give"),
        ({"species_weights": []}, r"species_weights = \(\): give"),
        ({"species_weights": [1, 1, 1]}, r"species_weights = \[1\.0, 1\.0, 1\.0\] has 3 numbers, but the data hold 2"),
        ({"num_species": 1, "target_scaling": True}, r"num_species = 1, but the data hold 2 species"),
        ({"node_inputs": "type"}, r"node_inputs = 'type'; it must be a list"),
        ({"edge_inputs": ["vectors"]}, r"edge_inputs = \['vectors'\]; it must be a list of different names among"),
        ({"radial": [1, 2]}, r"radial = \[1, 2\]"),
        ({"pairs": "all"}, r"pairs = 'all' is unknown; choose one of thermal, inherent, union"),
        ({"potential": "soft"}, r"potential = 'soft' is unknown"),
        ({"recipe": None}, r"recipe = None is unknown"),
    ],
)
def test_wrong_options(tiny_data, options, message):
    with pytest.raises(InputError, match=message):
        run(tiny_data, **{"epochs": 1, **options})


def test_species_weights_move_the_weights(tiny_data):
    results = {w: run(tiny_data, epochs=1, species_weights=w) for w in ("particles", "equal", (1.0, 1.0), (1.0, 0.0))}
    losses = {w: result.history[0]["train_node_loss"] for w, result in results.items()}
    assert_same_run(results["equal"], results[1.0, 1.0])
    assert len({*losses.values()}) == 3
    assert results["equal"].model.config == bf.BOTAN(**TINY).config  # a matter of the run, not of the model


def test_the_command_says_what_it_cannot_read(capsys, tmp_path):
    from botan_fast.cli import main

    for option in (["--species-weights", "1", "b"], ["--potential", str(tmp_path / "none.json")]):
        assert main(["train", "--train", "a.npz", "-o", str(tmp_path / "run"), *option]) == 2
        assert option[0] in capsys.readouterr().err
    (tmp_path / "bad.json").write_text('{"epsilon": 1}')
    bad = ["--potential", str(tmp_path / "bad.json")]
    assert main(["train", "--train", "a.npz", "-o", str(tmp_path / "run"), *bad]) == 2
    assert "potential holds ['epsilon']" in capsys.readouterr().err

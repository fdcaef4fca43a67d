"""What a model reads besides the graph: its configuration from the data, its scales from the training part."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli.demo import demo_data
from botan_fast.data.making import StructureMaker
from botan_fast.errors import InputError
from botan_fast.training.features import columns_of, reads_structure, structure_config
from tests.helpers.authors_archive import warned
from tests.helpers.structured import INPUTS, several
from tests.helpers.tiny_data import TINY

FAST = {**TINY, "num_steps": 1, "learning_rate": 1e-3, "epochs": 2, "progress": False}


@pytest.fixture(scope="module")
def result():
    return bf.train(several((1, 2)), several((5,)), **FAST, **INPUTS)


def test_the_configuration_comes_from_the_data(result):
    config = result.model.config
    assert config["input_columns"] == {"shells": 3}
    assert config["num_species"] == 2
    assert config["structure"] == {"pairs": "thermal"}
    assert config["node_inputs"] == list(INPUTS["node_inputs"])


def test_scales_are_those_of_the_training_part(result):
    samples = several((1, 2))
    columns = np.concatenate([np.column_stack([*s.graph.arrays.values()]) for s in samples]).astype(np.float64)
    model = result.model
    np.testing.assert_allclose(model.node_input_mean.numpy(), [0, 0, *columns.mean(0)], rtol=1e-5)
    np.testing.assert_allclose(model.node_input_width.numpy(), [1, 1, *columns.std(0)], rtol=1e-5)


def test_scales_do_not_know_the_part_held_back():
    samples = several((1, 2, 3))
    samples[0].graph.arrays["energy"] += 100
    found = [bf.train(samples, **{**FAST, "epochs": 1, "seed": seed}, **INPUTS, validation=1) for seed in (0, 4, 6)]
    means = [result.model.node_input_mean[2].item() for result in found]
    assert {mean > 20 for mean in means} == {True, False}  # it is held back by some seeds, not by others


def test_what_is_read_is_learnt():
    """A target that is the energy of the particle: found with the input, not without."""
    samples = several(range(3), number=200)
    for sample in samples:
        sample.targets.propensity[:] = 0.1 + 0.02 * sample.graph.arrays["energy"]
    test = samples.pop()
    options = {**FAST, "epochs": 40, "p": 1, "target_scaling": True, "learning_rate": 1e-2, "evaluate_every": 100}
    with_energy, without = (
        bf.train(samples, [test], **options, node_inputs=inputs).history[-1]["node_pearson"]
        for inputs in (("species", "energy"), ("species",))
    )
    assert with_energy > 0.9
    assert without < 0.5


def test_vectors_turn_together():
    """A rotation leaves the angle between both vectors of an edge as it is: the loss of an invariant model too."""
    samples = several((1,))
    model = bf.BOTAN(**{**TINY, "num_steps": 1}, edge_inputs=("radial", "inherent"), num_outputs=1)
    q = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    turned = samples[0].graph.rotate(q)
    products = [(g.vectors * g.inherent_vectors).sum(1) for g in (samples[0].graph, turned)]
    torch.testing.assert_close(*products, rtol=1e-5, atol=1e-5)
    assert model(turned).node.shape == (80,)


def test_target_scaling_is_of_the_model(tmp_path):
    samples = several((1, 2))
    result = bf.train(samples, several((5,)), **FAST, target_scaling=True, output=tmp_path / "run")
    model = result.model
    types = np.concatenate([s.types for s in samples])
    propensity = np.concatenate([s.targets.propensity.double().numpy() for s in samples])
    expected = [[propensity[types == s].mean() for s in (0, 1)]]
    np.testing.assert_allclose(model.node_output_mean.numpy(), expected, rtol=1e-5)
    loaded = bf.load_model(tmp_path / "run")
    assert torch.equal(loaded.node_output_width, model.node_output_width)
    scores = bf.evaluate(model, several((5,)))
    last = result.history[-1]
    assert last["node_pearson"] == scores["node_pearson"]
    assert last["test_loss"] > 10 * scores["node_loss"]  # in units of the widths, which are small


def test_with_weights_to_start_from_their_scales_stay(result):
    options = {**FAST, "hidden_size": None, "num_steps": None, "epochs": 1}
    again = bf.train(several((3, 4)), init=result.model, **options)
    assert torch.equal(again.model.node_input_mean, result.model.node_input_mean)
    assert again.model.config == result.model.config


def test_data_without_what_the_model_reads():
    samples = several((1,))
    del samples[0].graph.arrays["shells"]
    bare = [bf.Sample(s.graph.replace(arrays=None), s.targets, s.name, s.positions) for s in several((2,))]
    for wrong, init in ((bare, None), (samples, None)):
        with pytest.raises((InputError, ImportError)):
            bf.train(wrong, **FAST, **INPUTS, init=init)


def test_several_temperatures_want_an_input():
    samples = several((1,), temperature=0.44) + several((2,), temperature=0.5)
    for sample in samples:
        sample.graph.arrays["temperature"] = torch.full((80,), sample.temperature)
    result, said = warned(lambda: bf.train(samples, **FAST))
    assert said == [
        "the training data are of temperatures 0.44, 0.5, and the model does not know which: add 'temperature' to "
        "node_inputs"
    ]
    assert result.model.card.temperatures == (0.44, 0.5)
    assert warned(lambda: bf.train(samples, **FAST, node_inputs=("species", "temperature")))[1] == []


def test_noise_without_an_input_for_it():
    _, said = warned(lambda: bf.train(several((1,)), **FAST, input_noise=0.1))
    assert said == ["input_noise = 0.1 does nothing: no node input is a scaled number (['type'])"]


@pytest.mark.parametrize(
    ("config", "reads"),
    [
        ({}, False),
        ({"node_inputs": ["type", "species"], "edge_inputs": ["vector", "radial"]}, False),
        ({"node_inputs": ["species", "energy"]}, True),
        ({"edge_inputs": ["inherent"]}, True),
        ({"structure": {"pairs": "union"}}, True),
    ],
)
def test_who_reads_structure(config, reads):
    assert reads_structure(config) is reads
    pairs = config.get("structure", {}).get("pairs")
    structure = structure_config(None, config, pairs, "kob-andersen", {"averages": 1})
    assert bool(structure) is reads
    assert not reads or structure["potential"] == bf.KOB_ANDERSEN.as_dict()
    assert not reads or structure["descriptors"] == bf.DescriptorSettings(averages=1).as_dict()


def test_another_potential_than_init_has():
    potential = bf.LennardJones(epsilon=((1.0,),), sigma=((1.0,),))
    model = bf.BOTAN(hidden_size=8, structure={"pairs": "union", "potential": bf.KOB_ANDERSEN.as_dict()})
    assert structure_config(model, model.config, None, "kob-andersen") == model.config["structure"]
    with pytest.raises(InputError, match=r"potential = \{.*\} but init has potential = "):
        structure_config(model, model.config, None, potential)
    with pytest.raises(InputError, match="pairs = 'thermal' but init has pairs = 'union'"):
        structure_config(model, model.config, "thermal")
    with pytest.raises(InputError, match=r"descriptors = \{.*\} but init has descriptors = "):
        structure_config(model, model.config, descriptors={"averages": 1})
    with pytest.raises(InputError, match="entry 'average' is no setting of descriptors"):
        structure_config(None, {"node_inputs": ["descriptors"]}, descriptors={"average": 1})


def test_from_positions_to_scores(tmp_path):
    """The recipe on configurations that hold nothing but positions: minimised, described, learnt, saved, loaded."""
    train, rest = bf.Dataset(demo_data()).train_test_split(test=0.8)
    test = rest.train_test_split(test=0.1)[1]
    settings = {"averages": 0, "smear_lengths": [1.0], "smear_radius": 4.5}
    options = {"time": [4.0, 16.5], "recipe": "structure", "descriptors": settings, "epochs": 1, "progress": False}
    result = bf.train(train, test, **options, output=tmp_path / "run")
    config = result.model.config
    assert config["structure"]["potential"] == bf.KOB_ANDERSEN.as_dict()
    assert bf.DescriptorSettings.from_dict(config["structure"]["descriptors"]).smear_lengths == (1.0,)
    assert config["num_outputs"] == 2
    scores = bf.evaluate(tmp_path / "run", test, time=[4.0, 16.5])
    row = result.history[-1]
    assert row["node_pearson"] == scores["node_pearson"]
    assert [row[f"edge_pearson[t={t}]"] for t in ("4", "16.5")] == [one["edge_pearson"] for one in scores["times"]]
    again = bf.train(train, test, **options, output=tmp_path / "run", resume=True)
    assert again.history == result.history


def test_columns():
    assert columns_of(several((1,)), {"node_inputs": ["species", "energy", "shells"]}) == {"shells": 3}


def test_samples_with_structure_are_made_once(monkeypatch):
    """Graphs and arrays of few configurations stay, whatever they were made of; no epoch makes them again."""
    calls, made = [], StructureMaker.__call__
    monkeypatch.setattr(StructureMaker, "__call__", lambda self: calls.append(1) or made(self))
    data = bf.Dataset(demo_data()).select(time=4.0)
    options = {"node_inputs": ("species", "energy"), "edge_inputs": ("vector", "inherent")}
    bf.train(data.train_test_split(test=0.2)[1], **options, **{**FAST, "epochs": 3})
    assert len(calls) == 2

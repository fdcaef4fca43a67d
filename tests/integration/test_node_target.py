"""Training on a node target other than the propensity: from runs, from a data set, and back from a model file."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import BotanFastError, InputError
from botan_fast.evaluation.writing import write_npz, write_xyz
from botan_fast.quantities import NODE_TARGETS
from tests.helpers.tiny_data import TINY


@pytest.mark.parametrize("letter", ["S", "R", "D"])
def test_the_loss_is_that_of_the_target(tiny_data, letter):
    """With no learning to speak of, the node loss is the mean squared difference to the chosen target."""
    options = {"p": 1.0, "epochs": 1, "learning_rate": 1e-30, "augmentation": "none", "progress": False, **TINY}
    result = bf.train(str(tiny_data / "train/*.npz"), node_target=letter, batch_size=1, **options)
    samples = bf.load_samples(str(tiny_data / "train/*.npz"), node_target=letter)
    losses = []
    for sample in samples:
        target = getattr(sample.targets, NODE_TARGETS[letter]).double()
        losses.append(float((result.model(sample.graph).node.detach().double() - target).square().mean()))
    assert result.history[0]["train_node_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert result.model.config["node_target"] == letter


def test_a_model_remembers_its_target(tiny_data, tmp_path):
    bf.train(str(tiny_data / "train/*.npz"), node_target="R", epochs=1, output=tmp_path / "run", progress=False, **TINY)
    model = bf.load_model(tmp_path / "run")
    scores = bf.evaluate(model, str(tiny_data / "test/*.npz"))
    samples = bf.load_samples(str(tiny_data / "test/*.npz"), node_target="R")
    expected = np.mean(
        [
            float((model(s.graph).node.detach().double() - s.targets.relative_propensity.double()).square().mean())
            for s in samples
        ]
    )
    assert scores["node_loss"] == pytest.approx(expected, rel=1e-5)
    [prediction, _] = bf.predict(model, samples)
    write_npz(prediction, tmp_path / "p.npz")
    write_xyz(prediction, tmp_path / "p.xyz")
    with np.load(tmp_path / "p.npz") as file:
        np.testing.assert_array_equal(file["target_relative_propensity"], samples[0].targets.relative_propensity)
        assert "propensity" not in file
    assert "relative_propensity:R:1:target_relative_propensity:R:1" in (tmp_path / "p.xyz").read_text()


def test_a_data_set_must_hold_the_target(tiny_data, tmp_path):
    with_d = bf.convert(str(tiny_data / "train/*.npz"), tmp_path / "d.h5", targets="SED", time=1.0)
    without = bf.convert(str(tiny_data / "train/*.npz"), tmp_path / "s.h5", time=1.0)
    options = {"node_target": "D", "epochs": 2, "progress": False, **TINY}
    from_npz = bf.train(str(tiny_data / "train/*.npz"), **options)
    from_h5 = bf.train(with_d, **options)
    assert [row["train_loss"] for row in from_h5.history] == [row["train_loss"] for row in from_npz.history]
    with pytest.raises(BotanFastError, match=r"does not hold node_target = 'D'.*targets='SED'"):
        bf.train(without, **options)


def test_unknown_target(tiny_data):
    with pytest.raises(InputError, match="node_target = 'Q'; choose one of 'S'"):
        bf.train(str(tiny_data / "train/*.npz"), node_target="Q", epochs=1, progress=False)

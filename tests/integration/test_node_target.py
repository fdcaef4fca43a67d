"""Training on a node target other than the propensity: from runs, from a data set, and back from a model file."""

import json

import h5py
import numpy as np
import pytest
import safetensors
import safetensors.torch

import botan_fast as bf
from botan_fast.errors import BotanFastError, InputError
from botan_fast.evaluation.writing import write_npz, write_xyz
from botan_fast.model.checkpoint import read_metadata
from botan_fast.quantities import NODE_TARGETS
from tests.helpers.tiny_data import TINY


@pytest.mark.parametrize("letter", ["S", "R", "C", "D"])
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
    found = [model(s.graph).node.detach().double() for s in samples]
    wanted = [s.targets.strain_relative_propensity for s in samples]
    expected = np.mean([float((a - b).square().mean()) for a, b in zip(found, wanted, strict=True)])
    assert scores["node_loss"] == pytest.approx(expected, rel=1e-5)
    [prediction, _] = bf.predict(model, samples)
    write_npz(prediction, tmp_path / "p.npz")
    write_xyz(prediction, tmp_path / "p.xyz")
    with np.load(tmp_path / "p.npz") as file:
        np.testing.assert_array_equal(file["target_strain_relative_propensity"], wanted[0])
        assert "propensity" not in file
    assert "strain_relative_propensity:R:1:target_strain_relative_propensity:R:1" in (tmp_path / "p.xyz").read_text()


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
    with pytest.raises(InputError, match="node_target = 'Q'; it must be one of S, R"):
        bf.train(str(tiny_data / "train/*.npz"), node_target="Q", epochs=1, progress=False)


# ---- what R meant before ------------------------------------------------------------------------------------------


def as_version_1(path):
    """The model file as the first version wrote it: with R for what is C now."""
    state = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, "pt") as file:
        header = file.metadata()
    config = {**json.loads(header["config"]), "node_target": "R"}
    safetensors.torch.save_file(state, path, {**header, "format_version": "1", "config": json.dumps(config)})


def test_r_of_an_older_model_is_c(tmp_path):
    for letter in "RCS":
        bf.save_model(bf.BOTAN(hidden_size=8, num_steps=1, node_target=letter), tmp_path / letter)
        assert bf.load_model(tmp_path / letter).config["node_target"] == letter
    # Earlier versions read what means the same to them, and refuse the new R and the unknown letter C.
    assert [read_metadata(tmp_path / letter)["format_version"] for letter in "RCS"] == [2, 1, 1]
    as_version_1(tmp_path / "C")
    assert bf.load_model(tmp_path / "C").config["node_target"] == "C"
    assert read_metadata(tmp_path / "C")["config"]["node_target"] == "C"


def test_r_of_an_older_data_set_is_c(tiny_data, tmp_path):
    path = bf.convert(str(tiny_data / "train/*.npz"), tmp_path / "a.h5", targets="SEC", time=1.0)
    with h5py.File(path, "r+", libver="v110") as file:
        assert file.attrs["format_version"] == 2
        file.attrs["format_version"] = np.int64(1)
        assert "relative_propensity" in file["configurations/000000/times/000"]  # where version 1 had its R
    [old, *_] = bf.load_samples(path, node_target="C")
    [runs, *_] = bf.load_samples(str(tiny_data / "train/*.npz"), node_target="C")
    assert old.targets.node("C").equal(runs.targets.node("C"))
    with pytest.raises(BotanFastError, match=r"node_target = 'R'.*it holds C.*format_version 1 called R\).*'SER'"):
        bf.load_samples(path, node_target="R")
    # Nor is C dropped by who asks for it under its old letter.
    with pytest.raises(BotanFastError, match=r"holds C \(relative_propensity\).* and no R; give targets with C"):
        bf.convert(path, tmp_path / "b.h5", targets="SER")
    assert bf.load_samples(bf.convert(path, tmp_path / "c.h5", targets="SC"))[0].has_node_target("C")
    # More configurations make it a file of version 2; what it holds keeps its name.
    bf.convert(str(tiny_data / "test/*.npz"), path, targets="SERC", time=1.0, append=True)
    with h5py.File(path) as file:
        assert file.attrs["format_version"] == 2
        held = ["strain_relative_propensity" in group["times/000"] for group in file["configurations"].values()]
    assert held.count(True) == 2
    assert held.count(False) == len(held) - 2


def test_r_of_an_older_run_is_c(tiny_data, tmp_path):
    options = {"progress": False, "output": tmp_path / "run", **TINY}
    bf.train(str(tiny_data / "train/*.npz"), node_target="C", epochs=1, **options)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["letters_version"]
    config["model"]["node_target"] = "R"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"node_target = 'R' differs from the run in .* which has node_target = 'C'"):
        bf.train(str(tiny_data / "train/*.npz"), node_target="R", epochs=2, resume=True, **options)
    result = bf.train(str(tiny_data / "train/*.npz"), node_target="C", epochs=2, resume=True, **options)
    assert len(result.history) == 2


def test_pretraining_on_edges_serves_every_target(tiny_data, tmp_path):
    """One p = 0 model starts runs on S and on R; a model that has learnt a node target keeps it."""
    data, options = str(tiny_data / "train/*.npz"), {"epochs": 1, "progress": False, **TINY}
    bf.train(data, p=0.0, output=tmp_path / "edges", **options)
    pretrained = bf.load_model(tmp_path / "edges")
    result = bf.train(data, init=tmp_path / "edges", node_target="R", output=tmp_path / "R", **options)
    assert result.model.config == {**pretrained.config, "node_target": "R"}
    assert bf.load_model(tmp_path / "R").card.outputs == ("R", "E")
    still = bf.train(data, init=tmp_path / "edges", node_target="R", learning_rate=1e-30, **options).model
    for name, value in pretrained.state_dict().items():
        np.testing.assert_array_equal(still.state_dict()[name], value, err_msg=name)
    with pytest.raises(InputError, match=r"node_target = 'D' but init has node_target = 'R'"):
        bf.train(data, init=tmp_path / "R", node_target="D", **options)

"""evaluate and predict of several models: members, gain, calibration, spread, and the commands."""

import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.evaluation.ensembles import calibration
from botan_fast.evaluation.forward import named_model
from tests.helpers.structured import several


def model(seed, **options):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return bf.BOTAN(hidden_size=8, num_steps=1, **options)


@pytest.fixture(scope="module")
def samples():
    return several((1, 2, 3))


def test_members_and_calibration(samples):
    members = [model(seed) for seed in range(3)]
    ensemble = bf.Ensemble(members)
    scores = bf.evaluate(ensemble, samples)
    for found, member in zip(scores["members"], members, strict=True):
        wanted = bf.evaluate(member, samples)
        assert found == {name: wanted[name] for name in ("node_pearson", "edge_pearson")}
    spread, error = [], []
    with torch.no_grad():
        for sample in samples:
            a = sample.types == 0
            spread.append(ensemble.spread(sample.graph).node.double().numpy()[a])
            error.append((ensemble(sample.graph).node - sample.targets.propensity).double().numpy()[a])
    spread, error = np.concatenate(spread), np.abs(np.concatenate(error))
    found = scores["calibration"]
    assert found["pearson"] == pytest.approx(np.corrcoef(spread, error)[0, 1], rel=1e-5)
    order = np.argsort(spread, kind="stable")
    for row, part in zip(found["bins"], np.array_split(order, 5), strict=True):
        assert row["spread"] == pytest.approx(spread[part].mean(), rel=1e-5)
        assert row["error"] == pytest.approx(np.sqrt((error[part] ** 2).mean()), rel=1e-5)
    assert "members" not in bf.evaluate(members[0], samples)


def test_every_pass_is_made_once(samples, monkeypatch):
    """Mean, spread and members come from the same passes, in evaluate and in predict."""
    ensemble, calls = bf.Ensemble([model(0), model(1)], rotations=3), []
    forward = bf.BOTAN.forward
    monkeypatch.setattr(bf.BOTAN, "forward", lambda *given: calls.append(1) or forward(*given))
    bf.evaluate(ensemble, samples)
    assert len(calls) == 2 * 3 * len(samples)
    list(bf.predict(ensemble, samples))
    assert len(calls) == 2 * 2 * 3 * len(samples)


def test_members_have_no_score_of_noise(samples):
    members = [model(0), model(1)]
    members[0].card, members[1].card = bf.ModelCard(outputs=("S",)), bf.ModelCard(outputs=("E",))
    scores = bf.evaluate(bf.Ensemble(members), samples)
    assert [row["edge_pearson"] for row in scores["members"]] == [None, scores["edge_pearson"]]
    assert [row["node_pearson"] for row in scores["members"]] == [scores["node_pearson"], None]


def test_calibration_of_few_and_of_constant_numbers():
    assert np.isnan(calibration(np.ones(4), np.arange(4.0))["pearson"])
    assert len(calibration(np.arange(3.0), np.ones(3))["bins"]) == 3
    assert calibration(np.empty(0), np.empty(0))["bins"] == []


def test_predict_has_the_spread(samples, tmp_path):
    ensemble = bf.Ensemble([model(0), model(1)])
    [prediction] = bf.predict(ensemble, samples[:1])
    with torch.no_grad():
        wanted = ensemble.spread(samples[0].graph)
    np.testing.assert_allclose(prediction.propensity_spread, wanted.node, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(prediction.pair_change_spread, wanted.edge, rtol=1e-5, atol=1e-7)
    [alone] = bf.predict(model(0), samples[:1])
    assert alone.propensity_spread is None


def test_the_commands(tiny_data, tmp_path, capsys):
    data = str(next(iter(sorted((tiny_data / "test").glob("*.npz")))))
    paths = []
    for seed in range(2):
        paths.append(str(tmp_path / f"{seed}.safetensors"))
        bf.save_model(model(seed), paths[-1])
    assert main(["evaluate", "--model", *paths, "--data", data, "--rotations", "2", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert "gain" in printed
    assert "by fifths of the spread" in printed
    assert main(["evaluate", "--model", *paths, "--data", data, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert len(scores["members"]) == 2
    assert len(scores["calibration"]["bins"]) == 5
    assert main(["evaluate", "--model", paths[0], "--data", data, "--json"]) == 0
    assert "members" not in json.loads(capsys.readouterr().out)
    assert main(["predict", "--model", *paths, "--data", data, "-o", str(tmp_path / "p.xyz"), "--quiet"]) == 0
    assert "propensity_spread:R:1" in (tmp_path / "p.xyz").read_text().splitlines()[1]
    assert main(["predict", "--model", *paths, "--data", data, "-o", str(tmp_path / "p.npz"), "--quiet"]) == 0
    assert "propensity_spread" in np.load(tmp_path / "p.npz")
    assert main(["evaluate", "--model", paths[0], str(tmp_path / "no.pth"), "--data", data]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["evaluate", "--model", *paths, "--data", data, "--rotations", "-1"]) == 2
    assert "--rotations = -1" in capsys.readouterr().err


def test_what_figures_call_a_model():
    linear = bf.LinearBaseline(node_inputs=["species"])
    bapst = bf.BOTAN(hidden_size=8, num_steps=1, edge_node_skip=True)
    models = (bf.BOTAN(hidden_size=8, num_steps=1), bapst, linear, [linear, linear])
    assert [named_model(model).kind for model in models] == ["BOTAN", "network", "linear baseline", "linear baseline"]

"""train_baseline against closed forms by NumPy, its penalty against brute force, and the command."""

import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import InputError
from botan_fast.training.baseline import ONE
from botan_fast.training.ridge import PENALTIES, Sums, best_penalty, solve
from tests.helpers.authors_archive import warned
from tests.helpers.structured import several


def ridge(x, y, penalty):
    """The definition: columns in units of their widths, the constant free."""
    mean, width = x.mean(0), x.std(0)
    z = (x - mean) / width
    weights = np.linalg.solve(z.T @ z + penalty * len(z) * np.eye(z.shape[1]), z.T @ (y - y.mean(0)))
    return weights / width[:, None], y.mean(0) - (mean / width) @ weights


def numbers(rows, seed, columns=5, targets=2):
    rng = np.random.default_rng(seed)
    x = rng.normal(3, [1, 10, 0.1, 2, 5][:columns], (rows, columns))
    return x, np.stack([x @ rng.normal(size=columns) + rng.normal(size=rows) for _ in range(targets)], 1)


@pytest.mark.parametrize("penalty", [1e-5, 0.03, 2.0])
def test_ridge_is_its_definition(penalty):
    x, y = numbers(400, 0)
    sums = Sums.of(x[:150], y[:150]) + Sums.of(x[150:], y[150:])
    for found, wanted in zip(solve(sums, penalty), ridge(x, y, penalty), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)


def test_columns_that_do_not_vary_and_no_rows():
    x, y = numbers(50, 1)
    x[:, 2] = 7.0
    weights, constant = solve(Sums.of(x, y), 0.01)
    assert (weights[2] == 0).all()
    assert np.isfinite(weights).all()
    assert np.isfinite(constant).all()
    nothing = solve(Sums.of(x[:0], y[:0]), 0.01)
    assert not nothing[0].any()
    assert not nothing[1].any()


@pytest.mark.parametrize("configurations", [2, 5, 13])
def test_the_penalty_is_that_of_brute_force(configurations):
    rng = np.random.default_rng(5)
    parts = []
    for k in range(configurations):
        x = rng.normal(size=(40, 20))
        parts.append((x, (x[:, :1] + 3 * rng.normal(size=(40, 1)) + k)))  # few rows, much noise: it matters
    errors = []
    for penalty in PENALTIES:
        error = 0.0
        for fold in range(min(configurations, 10)):
            out = list(range(configurations))[fold :: min(configurations, 10)]
            kept = [parts[k] for k in range(configurations) if k not in out]
            weights, _ = ridge(*(np.concatenate(a) for a in zip(*kept, strict=True)), penalty)
            for k in out:
                difference = parts[k][1] - parts[k][0] @ weights
                error += float(((difference - difference.mean(0)) ** 2).sum())
        errors.append(error)
    assert best_penalty([Sums.of(*part) for part in parts]) == PENALTIES[int(np.argmin(errors))]


INPUTS = {"node_inputs": ["energy", "shells"], "edge_inputs": ["radial"], "progress": False}


def test_against_numpy_on_samples():
    """Nodes by species; pairs by species and window, each once, with x_i + x_j and Gaussians of r."""
    samples = several((1, 2, 3))
    model = bf.train_baseline(samples, penalty=0.1, **INPUTS).model
    test = several((7,))[0]
    found = model(test.graph)

    def columns(sample):
        return np.column_stack([*(sample.graph.arrays[name] for name in INPUTS["node_inputs"])]).astype(float)

    for s in range(2):
        x = np.concatenate([columns(one)[one.types == s] for one in samples])
        y = np.concatenate([one.targets.propensity.numpy()[one.types == s] for one in samples])
        weights, constant = ridge(x, y[:, None].astype(float), 0.1)
        here = test.types == s
        np.testing.assert_allclose(
            found.node.numpy()[here], (columns(test)[here] @ weights + constant)[:, 0], rtol=1e-4, atol=1e-5
        )

    def pairs(sample):
        graph, x = sample.graph, columns(sample)
        i, j = graph.senders.numpy(), graph.receivers.numpy()
        r = np.linalg.norm(graph.vectors.double().numpy(), axis=1)
        gauss = np.exp(-((r[:, None] - np.linspace(0.75, 2.0, 18)) ** 2) / (2 * 0.08**2))
        kind = np.sort(np.stack([sample.types[i], sample.types[j]]), axis=0)
        return np.column_stack([x[i] + x[j], gauss]), (kind == [[0], [1]]).all(0) & (r >= 1.35), i < j

    parts = [pairs(one) for one in samples]
    x = np.concatenate([x[here & once] for x, here, once in parts])
    y = np.concatenate([s.targets.pair_change.numpy()[h & o] for s, (_, h, o) in zip(samples, parts, strict=True)])
    keep = x.std(0) > 0
    weights, constant = ridge(x[:, keep], y[:, None].astype(float), 0.1)
    x, here, _ = pairs(test)
    np.testing.assert_allclose(
        found.edge.numpy()[here], (x[here][:, keep] @ weights + constant)[:, 0], rtol=2e-3, atol=2e-4
    )


def test_a_linear_target_is_found_and_the_folder_is_a_model(tmp_path):
    samples = several(range(4), number=200)
    for sample in samples:
        sample.targets.propensity[:] = 0.1 + 0.02 * sample.graph.arrays["energy"]
    result = bf.train_baseline(samples[:3], samples[3:], output=tmp_path / "b", **INPUTS)
    assert result.scores["node_pearson"] > 0.999
    again = bf.load_model(tmp_path / "b")
    assert bf.evaluate(again, samples[3:])["node_pearson"] == pytest.approx(result.scores["node_pearson"], abs=1e-6)
    assert again.card.num_configurations == 3
    said = json.loads((tmp_path / "b/baseline.json").read_text())
    assert said["penalties"].keys() == result.penalties.keys()
    [prediction] = bf.predict(again, samples[3:])
    np.testing.assert_allclose(prediction.propensity, again(samples[3].graph).node.numpy(), rtol=1e-6)
    with pytest.raises(InputError, match="b'"):
        bf.train_baseline(samples[:3], output=tmp_path / "b", **INPUTS)


def test_force_fits_again_and_spares_the_run_of_a_network(tiny_data, tmp_path):
    samples = several(range(3))
    first = bf.train_baseline(samples, output=tmp_path / "b", penalty=1.0, **INPUTS)
    weights = (tmp_path / "b/last.safetensors").read_bytes()
    again = bf.train_baseline(samples, output=tmp_path / "b", force=True, **INPUTS)
    assert set(first.penalties.values()) == {1.0} != set(again.penalties.values())
    assert (tmp_path / "b/last.safetensors").read_bytes() != weights
    bf.train(tiny_data / "train/*.npz", output=tmp_path / "run", epochs=1, hidden_size=32, num_steps=1, progress=False)
    weights = (tmp_path / "run/last.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        bf.train_baseline(samples, output=tmp_path / "run", force=True, **INPUTS)
    assert (tmp_path / "run/last.safetensors").read_bytes() == weights


def test_one_configuration_has_a_word_and_a_penalty():
    result, lines = warned(lambda: bf.train_baseline(several((1,)), **INPUTS))
    assert [line for line in lines if "one training configuration" in line]
    assert set(result.penalties.values()) == {ONE}


def test_nodes_alone():
    result = bf.train_baseline(several((1, 2)), edges=False, **INPUTS)
    assert result.model(several((3,))[0].graph).edge is None
    assert result.model.card.outputs == ("S",)


def test_the_same_each_time():
    one, two = (bf.train_baseline(several((1, 2)), **INPUTS).model.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_command(tiny_data, tmp_path, capsys):
    data = [*map(str, sorted((tiny_data / "train").glob("*.npz")))]
    settings = tmp_path / "settings.json"
    plain = bf.DescriptorSettings(
        groups=["radial"], geometry="thermal", radial_centres=[1.0, 1.5], radial_width=0.1, averages=0, smear_lengths=[]
    ).as_dict()
    settings.write_text(json.dumps(plain))
    command = ["baseline", "--train", *data, "-o", str(tmp_path / "b"), "--descriptors", str(settings), "--quiet"]
    assert main([*command, "--edge-inputs", "radial"]) == 0
    printed = capsys.readouterr().out
    assert "next: botan-fast predict --model" in printed
    assert main([*command, "--edge-inputs", "radial"]) == 2  # the folder holds a run
    assert "b" in capsys.readouterr().err
    assert main([*command, "--edge-inputs", "radial", "--force"]) == 0
    capsys.readouterr()
    assert main([*command[:-2], "missing.json"]) == 2
    assert "--descriptors missing.json cannot be read" in capsys.readouterr().err
    assert main([*command, "--penlty", "1"]) == 2
    assert "did you mean --penalty?" in capsys.readouterr().err
    assert main(["baseline", "--train", *data, "-o", str(tmp_path / "c"), "--penalty", "-1"]) == 2
    assert "--penalty = -1.0" in capsys.readouterr().err

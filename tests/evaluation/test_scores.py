"""Scores and predictions."""

import math
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.evaluation.scores import pearson
from botan_fast.evaluation.writing import write_npz, write_xyz
from tests.helpers.tiny_data import write_tiny


class Fixed(torch.nn.Module):
    """A 'model' that returns given arrays, to score known numbers."""

    def __init__(self, outputs, decoders="separate"):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.outputs, self.calls = outputs, 0
        self.config = {"cutoff": 2.0, "self_edges": False, "dimensions": 3, "decoders": decoders, "node_target": "S"}

    def forward(self, graph, precision="fp32"):
        node, edge = self.outputs[self.calls]
        self.calls += 1
        return SimpleNamespace(node=torch.as_tensor(node), edge=None if edge is None else torch.as_tensor(edge))


def masks(sample):
    g = sample.graph
    is_a = g.types.numpy() == 0
    r = np.linalg.norm(g.vectors.double().numpy(), axis=1)
    return is_a, is_a[g.senders.numpy()] & is_a[g.receivers.numpy()] & (r < 1.35)


def test_scores_of_known_arrays(tiny_data):
    samples = bf.load_samples(tiny_data / "train/*.npz")
    rng = np.random.default_rng(0)
    outputs = [
        (
            (s.targets.propensity.numpy() + 0.1 * rng.standard_normal(s.graph.num_nodes)).astype(np.float32),
            (0.3 * s.targets.pair_change.numpy() + 0.1 * rng.standard_normal(s.graph.num_edges)).astype(np.float32),
        )
        for s in samples
    ]
    scores = bf.evaluate(Fixed(outputs), samples)
    node, edge, pooled = [], [], {"node": [], "edge": []}
    for s, (n, e) in zip(samples, outputs, strict=True):
        a, aa = masks(s)
        target_n, target_e = s.targets.propensity.numpy(), s.targets.pair_change.numpy()
        pooled["node"].append((n[a], target_n[a]))
        pooled["edge"].append((e[aa], target_e[aa]))
        node.append((np.mean((n.astype(float) - target_n) ** 2), np.corrcoef(n[a], target_n[a])[0, 1]))
        edge.append((np.mean((e.astype(float) - target_e) ** 2), np.corrcoef(e[aa], target_e[aa])[0, 1]))
    for name, parts in (("node", node), ("edge", edge)):
        loss, correlation = np.mean(parts, axis=0)
        assert scores[f"{name}_loss"] == pytest.approx(loss, rel=1e-9)
        assert scores[f"{name}_pearson"] == pytest.approx(correlation, abs=1e-7)
        x, y = (np.concatenate(part) for part in zip(*pooled[name], strict=True))
        assert scores[f"{name}_pearson_pooled"] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-7)
    assert scores["num_configurations"] == 4


def test_the_two_conventions_differ(tiny_data):
    """Predictions right about the mean of each configuration and wrong within: pooled high, mean over them -1."""
    samples = bf.load_samples(tiny_data / "train/*.npz")
    outputs = []
    for s in samples:
        target = s.targets.propensity
        outputs.append((10 * target.mean() - 1e-3 * target, torch.zeros(s.graph.num_edges)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = bf.evaluate(Fixed(outputs), samples)
    assert scores["node_pearson"] == pytest.approx(-1, abs=1e-3)
    assert scores["node_pearson_pooled"] > 0.5
    assert math.isnan(scores["edge_pearson"])


def test_self_edges_stay_out_of_the_edge_score(tiny_data, tiny_model):
    """Self edges have r = 0 and target 0; counted, they would raise the score of any model."""
    [sample] = bf.load_samples(tiny_data / "train/conf_1.npz", self_edges=True)
    own = sample.graph.senders == sample.graph.receivers
    guess = torch.randn(sample.graph.num_edges, generator=torch.Generator().manual_seed(0))
    scores = []
    for value in (0.0, 100.0):
        model = Fixed([(torch.zeros(80), torch.where(own, torch.tensor(value), guess))])
        model.config["self_edges"] = True
        scores.append(bf.evaluate(model, [sample])["edge_pearson"])
    assert scores[0] == scores[1]


def test_pearson():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 1000))
    assert pearson(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-14)
    assert pearson(1e6 + 1e-3 * x, y) == pytest.approx(pearson(x, y), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for constant in (np.full(1000, 0.1), np.full(1000, np.float32(1) / 3)):
            assert math.isnan(pearson(constant, y))
            assert math.isnan(pearson(y, constant))
        assert math.isnan(pearson([], []))
        assert math.isnan(pearson([1.0], [1.0]))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(tiny_data, tiny_model, training):
    tiny_model.train(training)
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    bf.evaluate(tiny_model, tiny_data / "test/*.npz")
    assert tiny_model.training is training
    assert all(p.grad is None for p in tiny_model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


def test_a_model_without_edge_decoder(tiny_data):
    model = bf.BOTAN(hidden_size=16, num_steps=1, decoders="node", self_edges=True, edge_node_skip=True)
    scores = bf.evaluate(model, tiny_data / "test/*.npz")
    assert scores["edge_pearson"] is None
    assert scores["edge_pearson_pooled"] is None
    assert scores["edge_loss"] is None
    assert -1 <= scores["node_pearson"] <= 1
    [first, _] = bf.predict(model, tiny_data / "test/*.npz")
    assert first.pair_change is None


def test_predictions_are_the_models_output(tiny_data, tiny_model):
    samples = bf.load_samples(tiny_data / "test/*.npz")
    predictions = list(bf.predict(tiny_model, tiny_data / "test/*.npz"))
    assert [p.name for p in predictions] == ["conf_20", "conf_21"]
    for sample, prediction in zip(samples, predictions, strict=True):
        with torch.no_grad():
            expected = tiny_model(sample.graph)
        np.testing.assert_array_equal(prediction.propensity, expected.node.numpy())
        np.testing.assert_array_equal(prediction.pair_change, expected.edge.numpy())
        np.testing.assert_array_equal(prediction.target_propensity, sample.targets.propensity.numpy())


def test_wrong_dimensions_and_device(tmp_path, tiny_model, tiny_data, monkeypatch):
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    with pytest.raises(InputError, match="model has dimensions = 3 but flat has 2-dimensional"):
        bf.evaluate(tiny_model, tmp_path / "flat.npz")
    with pytest.raises(InputError, match="model has dimensions = 3"):
        bf.predict(tiny_model, tmp_path / "flat.npz")  # by the call itself
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="finds no CUDA device; use device='cpu'"):
        bf.evaluate(tiny_model, tiny_data / "test/*.npz", device="cuda")
    with pytest.raises(InputError, match="device = 'gpu' is not a torch device"):
        bf.evaluate(tiny_model, tiny_data / "test/*.npz", device="gpu")


def parse_xyz(path):
    """A reader of extended XYZ by its definition: number, comment with Lattice and Properties, columns."""
    number, comment, *lines = path.read_text().splitlines()
    fields = dict(part.split("=", 1) for part in json_like_split(comment))
    names = fields["Properties"].split(":")
    columns = [(names[k], names[k + 1], int(names[k + 2])) for k in range(0, len(names), 3)]
    table = [line.split() for line in lines]
    assert len(table) == int(number)
    out, start = {}, 0
    for name, kind, width in columns:
        out[name] = [row[start] if kind == "S" else [float(x) for x in row[start : start + width]] for row in table]
        start += width
    assert all(len(row) == start for row in table)
    return np.array(fields["Lattice"].split(), dtype=float).reshape(3, 3), fields["pbc"], out


def json_like_split(comment):
    parts, quoted = [""], False
    for character in comment:
        if character == '"':
            quoted = not quoted
        elif character == " " and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def test_xyz_in_three_dimensions(tiny_data, tiny_model, tmp_path):
    [p] = bf.predict(tiny_model, tiny_data / "test/conf_20.npz")
    write_xyz(p, tmp_path / "a.xyz")
    lattice, periodic, columns = parse_xyz(tmp_path / "a.xyz")
    np.testing.assert_array_equal(lattice, np.diag(p.box))
    assert periodic == "T T T"
    names = ["species", "pos", "propensity", "target_propensity", "propensity_error", "id", "radius", "Color"]
    assert list(columns) == names
    assert columns["species"] == ["AB"[t] for t in p.types]
    np.testing.assert_allclose(columns["pos"], p.positions, rtol=1e-15)
    np.testing.assert_array_equal(np.float32(columns["propensity"])[:, 0], p.propensity)
    np.testing.assert_array_equal(np.float32(columns["target_propensity"])[:, 0], p.target_propensity)


def test_xyz_triclinic_and_flat(tiny_data, tiny_model, tmp_path):
    cell = np.array([[5.0, 0, 0], [1.0, 5.0, 0], [0, 1.0, 5.0]])
    arrays = dict(np.load(tiny_data / "test/conf_20.npz"))
    arrays["initial_positions"] = arrays["initial_positions"] / 4.1 @ cell
    np.savez(tmp_path / "tilted.npz", **arrays)
    [p] = bf.predict(tiny_model, tmp_path / "tilted.npz", box=cell)
    write_xyz(p, tmp_path / "tilted.xyz")
    np.testing.assert_array_equal(parse_xyz(tmp_path / "tilted.xyz")[0], cell)

    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    [p] = bf.predict(bf.BOTAN(hidden_size=8, num_steps=1, dimensions=2), tmp_path / "flat.npz")
    write_xyz(p, tmp_path / "flat.xyz")
    lattice, periodic, columns = parse_xyz(tmp_path / "flat.xyz")
    np.testing.assert_array_equal(lattice, np.diag([*p.box, 1.0]))
    assert periodic == "T T F"
    assert (np.array(columns["pos"])[:, 2] == 0).all()


def test_npz_holds_particles_and_pairs(tiny_data, tiny_model, tmp_path):
    [p] = bf.predict(tiny_model, tiny_data / "test/conf_20.npz")
    write_npz(p, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        arrays = {key: file[key] for key in file}
    assert set(arrays) == set(vars(p)) - {
        "node_target",
        "times",
        "propensity_spread",
        "pair_change_spread",
    }  # of several
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, getattr(p, key))
    [sample] = bf.load_samples(tiny_data / "test/conf_20.npz")
    np.testing.assert_array_equal(arrays["senders"], sample.graph.senders.numpy())
    np.testing.assert_allclose(arrays["distance"], np.linalg.norm(sample.graph.vectors.numpy(), axis=1), rtol=1e-6)
    # a score from the file is the score of evaluate
    a, aa = masks(sample)
    scores = bf.evaluate(tiny_model, [sample])
    assert pearson(arrays["propensity"][a], arrays["target_propensity"][a]) == scores["node_pearson"]
    assert pearson(arrays["pair_change"][aa], arrays["target_pair_change"][aa]) == scores["edge_pearson"]

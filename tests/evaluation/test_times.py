"""Models with an output for each time: scores and predictions against NumPy, and data at several temperatures."""

import json

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.errors import BotanFastWarning, InputError
from botan_fast.evaluation.writing import write_npz, write_xyz
from botan_fast.formats import read
from tests.helpers.tiny_data import tiny_arrays, write_tiny

TIMES = (1.0, 13.0, 100.0)
pytestmark = pytest.mark.filterwarnings("ignore:hidden_size")


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = bf.BOTAN(hidden_size=8, num_steps=1, num_outputs=3)
    model.card = bf.ModelCard(outputs=("S", "E"), p=0.5, times=TIMES)
    return model


@pytest.fixture
def data(tmp_path):
    """A data set: configuration a at times 1, 13 and 50, b at 13 alone; at T = 0.5."""
    with bf.DatasetWriter(tmp_path / "data.h5", cutoff=2.0) as writer:
        for name, seed, times in (("a", 1, (1.0, 13.0, 50.0)), ("b", 2, (13.0,))):
            arrays = tiny_arrays(seed)
            x, types, box = arrays["initial_positions"], arrays["types"], np.full(3, (80 / 1.2) ** (1 / 3))
            graph = bf.build_graph(x, types, box)
            records = []
            for time in times:
                rng = np.random.default_rng(int(time) + seed)
                targets = bf.isoconfigurational_targets(x, x + 0.1 * rng.standard_normal((4, 80, 3)), graph)
                records.append(bf.TimeRecord.from_targets(time, targets, graph))
            writer.add(bf.Record(name, x, types, box, temperature=0.5, times=records))
    return tmp_path / "data.h5"


def oracle(model, samples):
    """(output, Pearson node, edge, loss node, edge) of single samples, in NumPy."""
    rows = []
    for sample in samples:
        k = TIMES.index(sample.time)
        with torch.no_grad():
            node, edge = (part.double().numpy() for part in model(sample.graph))
        g = sample.graph
        a = g.types.numpy() == 0
        aa = a[g.senders.numpy()] & a[g.receivers.numpy()] & (np.linalg.norm(g.vectors.numpy(), axis=1) < 1.35)
        s, e = sample.targets.propensity.double().numpy(), sample.targets.pair_change.double().numpy()
        pearson = np.corrcoef(node[a, k], s[a])[0, 1], np.corrcoef(edge[aa, k], e[aa])[0, 1]
        rows.append((k, *pearson, np.mean((node[:, k] - s) ** 2), np.mean((edge[:, k] - e) ** 2), node, s, a))
    return rows


def test_scores_of_each_time(model, data):
    with pytest.warns(BotanFastWarning, match="the times 1, 13, 100 are taken, which the model was trained for"):
        scores = bf.evaluate(model, data)
    samples = bf.load_samples(data, time=[1.0, 13.0])
    rows = oracle(model, samples)
    names = ("node_pearson", "edge_pearson", "node_loss", "edge_loss")
    assert [row["time"] for row in scores["times"]] == [1.0, 13.0]
    assert [row["num_configurations"] for row in scores["times"]] == [1, 2]
    assert scores["outputs"] == list(TIMES)
    for of_time in scores["times"]:
        for place, name in enumerate(names, start=1):
            wanted = np.mean([row[place] for row in rows if TIMES[row[0]] == of_time["time"]])
            assert of_time[name] == pytest.approx(wanted, abs=1e-6)
    for name in (*names, "node_pearson_pooled"):
        assert scores[name] == pytest.approx(np.mean([row[name] for row in scores["times"]]), abs=1e-12)
    assert scores["num_configurations"] == 2
    # The transfer matrix: each output with the data at each time.
    early = scores["conditions"][0]
    assert (early["temperature"], early["time"]) == (0.5, 1.0)
    _, *_, node, s, a = next(row for row in rows if row[0] == 0)
    wanted = [np.corrcoef(node[a, k], s[a])[0, 1] for k in range(3)]
    np.testing.assert_allclose(early["node_transfer"], wanted, atol=1e-6)
    assert early["node_transfer"][0] == pytest.approx(early["node_pearson"])


def test_one_time_is_chosen(model, data):
    scores = bf.evaluate(model, data, time=13.0)
    assert [row["time"] for row in scores["times"]] == [13.0]
    assert "conditions" not in scores
    with pytest.raises(InputError, match="a has time = 50, and the outputs of the model are for the times 1, 13, 100"):
        bf.evaluate(model, data, time=[13.0, 50.0])
    with pytest.raises(InputError, match="not in the data"):
        bf.evaluate(model, data, time=7.0)
    model.card = None
    with pytest.raises(InputError, match=r"3 outputs and its card does not name their times; set model.card"):
        bf.evaluate(model, data, time=13.0)


def test_predictions_of_each_time(model, data, tmp_path):
    with pytest.warns(BotanFastWarning, match="are taken"):
        a, b = bf.predict(model, data)
    assert (a.times, b.times) == (TIMES, TIMES)
    assert (a.name, b.name) == ("a", "b")
    assert a.propensity.shape == (80, 3)
    assert a.pair_change.shape == (len(a.senders), 3)
    known = np.isfinite(a.target_propensity).all(0), np.isfinite(b.target_propensity).all(0)
    assert [list(k) for k in known] == [[True, True, False], [False, True, False]]
    sample = bf.load_samples(data, time=1.0)[0]
    np.testing.assert_array_equal(a.target_propensity[:, 0], sample.targets.propensity)
    np.testing.assert_array_equal(a.target_pair_change[:, 0], sample.targets.pair_change)
    with torch.no_grad():
        np.testing.assert_array_equal(a.propensity, model(sample.graph).node)
    write_npz(a, tmp_path / "a.npz")
    np.testing.assert_array_equal(np.load(tmp_path / "a.npz")["times"], TIMES)
    write_xyz(a, tmp_path / "a.xyz")
    names = (tmp_path / "a.xyz").read_text().splitlines()[1].split("Properties=")[1].split()[0].split(":")[::3]
    assert names[2:8] == [f"{what}propensity_t{t}" for what in ("", "target_") for t in (1, 13, 100)]
    np.testing.assert_allclose(read(tmp_path / "a.xyz")[0].positions, a.positions, atol=1e-12)
    row = (tmp_path / "a.xyz").read_text().splitlines()[2].split()
    np.testing.assert_array_equal(np.float32(row[4:7]), a.propensity[0])


def test_predictions_of_files_without_a_time(model, tmp_path):
    write_tiny(tmp_path / "a.npz", 1)
    with pytest.warns(BotanFastWarning, match="no target is at a time of the outputs of the model, 1, 13, 100, for a"):
        [a] = bf.predict(model, tmp_path / "a.npz")
    assert a.propensity.shape == (80, 3)
    assert a.target_propensity is None
    with pytest.raises(InputError, match="a has time = unknown"):
        bf.evaluate(model, tmp_path / "a.npz")


def test_conditions_of_a_model_with_one_output(tiny_model, tmp_path):
    """Several temperatures: the scores of all are those of before, and each has a line."""
    samples = []
    for k, temperature in enumerate((0.5, 0.44, 0.5)):
        [sample] = bf.load_samples(write_tiny(tmp_path / f"{k}.npz", k))
        sample.temperature, sample.time = temperature, 13.0
        samples.append(sample)
    scores = bf.evaluate(tiny_model, samples)
    assert "times" not in scores
    cold, warm = scores["conditions"]
    assert (cold["temperature"], cold["time"], cold["num_configurations"]) == (0.44, 13.0, 1)
    for own, part in ((cold, samples[1:2]), (warm, samples[::2])):
        alone = bf.evaluate(tiny_model, part)
        assert "conditions" not in alone
        assert alone == {name: own[name] for name in alone}
    assert scores["node_pearson"] == pytest.approx((cold["node_pearson"] + 2 * warm["node_pearson"]) / 3)


def test_the_temperatures_of_the_card(tiny_model, tmp_path):
    with bf.DatasetWriter(tmp_path / "data.h5", cutoff=2.0) as writer:
        for k, temperature in enumerate((0.44, 0.5, 0.6)):
            [sample] = bf.load_samples(write_tiny(tmp_path / f"{k}.npz", k))
            record = bf.TimeRecord.from_targets(13.0, sample.targets, sample.graph)
            box = sample.graph.box.numpy()
            writer.add(bf.Record(f"{k}", sample.positions.numpy(), sample.types, box, temperature, times=[record]))
    tiny_model.card = bf.ModelCard(outputs=("S", "E"), temperatures=(0.44, 0.5), times=(13.0,))
    with pytest.warns(BotanFastWarning, match="temperature 0.44, 0.5 is taken, which the model was trained for"):
        scores = bf.evaluate(tiny_model, tmp_path / "data.h5")
    assert [row["temperature"] for row in scores["conditions"]] == [0.44, 0.5]
    tiny_model.card = bf.ModelCard(outputs=("S", "E"), temperatures=(0.44, 0.7), times=(13.0,))
    with pytest.raises(InputError, match=r"the data hold temperatures 0.44, 0.5, 0.6; choose with temperature="):
        bf.evaluate(tiny_model, tmp_path / "data.h5")


def test_columns_for_a_model_with_one_output(tiny_model, data):
    joined = bf.data.times.join_times(bf.load_samples(data, time=[1.0, 13.0]), [1.0, 13.0])
    with pytest.raises(InputError, match="a holds targets at 2 times in columns, and the model has one output"):
        bf.evaluate(tiny_model, joined)


def test_joined_samples_are_taken(model, data):
    samples = bf.load_samples(data, time=[1.0, 13.0])
    joined = bf.data.times.join_times(samples, [1.0, 13.0])
    assert bf.evaluate(model, joined) == bf.evaluate(model, samples)


def test_table(model, data, tmp_path, capsys):
    bf.save_model(model, tmp_path / "m.pt")
    with pytest.warns(BotanFastWarning):
        scores = bf.evaluate(tmp_path / "m.pt", data)
    arguments = ["evaluate", "--model", str(tmp_path / "m.pt"), "--data", str(data), "--quiet"]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "mean over 2 times" in lines
    place = next(k for k, line in enumerate(lines) if line.startswith("temperature"))
    assert lines[place].split() == ["temperature", "time", "node", "pooled", "edge", "pooled", "configurations"]
    row = scores["conditions"][1]
    assert lines[place + 2].split()[:3] == ["0.5", "13", f"{row['node_pearson']:.5f}"]
    place = next(k for k, line in enumerate(lines) if line.startswith("node Pearson of each output"))
    assert lines[place + 1].split() == ["temperature", "time", "t=1", "t=13", "t=100"]
    assert lines[place + 3].split()[2:] == [f"{value:.5f}" for value in row["node_transfer"]]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["times"][0]["time"] == 1.0

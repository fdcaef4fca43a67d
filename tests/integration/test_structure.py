"""A model that reads structure is trained on files, kept, and scored on files: every step makes the same graphs."""

from importlib.resources import files

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.errors import BotanFastWarning, DataError

pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{text}") for text in ("hidden_size", ".*test configurations", "the data hold")
]

SOFT = bf.LennardJones(((0.1, 0.1), (0.1, 0.1)), ((0.5, 0.4), (0.4, 0.44)), cutoff=2.0)  # tiny_data are ideal gases
OPTIONS = {
    "epochs": 1, "hidden_size": 8, "num_steps": 1, "p": 0.5, "progress": False, "potential": SOFT, "pairs": "union",
    "node_inputs": ("species", "energy", "displacement"), "edge_inputs": ("vector", "radial", "inherent"),
}  # fmt: skip


def test_train_and_evaluate_files(tiny_data, tmp_path):
    train, test = tiny_data / "train/*.npz", tiny_data / "test/*.npz"
    result = bf.train(train, test=test, output=tmp_path / "run", **OPTIONS)
    scores = bf.evaluate(tmp_path / "run", test)
    for name in ("node_pearson", "edge_pearson", "edge_pearson_pooled"):
        assert scores[name] == pytest.approx(result.history[-1][name], abs=1e-6)
    structure = bf.Structure.from_config(bf.load_model(tmp_path / "run").config)
    assert (structure.pairs, structure.potential) == ("union", SOFT)
    prediction = next(bf.predict(tmp_path / "run", test))
    assert np.isfinite(prediction.target_pair_change).all()
    assert (prediction.distance > 2.0).any()


def test_a_data_set_of_too_few_pairs(tiny_data, tmp_path):
    """One clear error, and none where no E_ij is needed."""
    bf.convert(tiny_data / "train/*.npz", tmp_path / "a.h5", time=1.0, temperature=0.5, density=1.2)
    with pytest.raises(DataError, match=r"E_ij of \d+ pairs is not in the data.*convert with cutoff"):
        bf.train(tmp_path / "a.h5", **OPTIONS)
    result = bf.train(tmp_path / "a.h5", **(OPTIONS | {"p": 1.0}))
    scores = bf.evaluate(result.model, tmp_path / "a.h5")
    assert scores["edge_pearson"] is None
    assert abs(scores["node_pearson"]) <= 1


def test_an_output_for_each_time(tmp_path):
    """Scores of a run and those of evaluate are the same, time by time; predict has a column for each."""
    demo = files("botan_fast") / "data" / "demo.h5"
    with bf.Dataset(demo) as dataset:
        times = sorted({time for _, time in dataset.temperature_time_pairs()})
    data = [sample for sample in bf.load_samples(demo, time=times) if sample.name.endswith("0000-00")]
    assert len(data) == len(times) > 2
    joined = join_times([sample for sample in data if sample.time in times[:2]], times[:2])
    options = {"epochs": 1, "hidden_size": 8, "num_steps": 1, "p": 0.5, "progress": False}
    result = bf.train(joined, test=joined, output=tmp_path / "run", **options)
    with pytest.warns(BotanFastWarning, match="are taken, which run was trained for"):
        scores = bf.evaluate(tmp_path / "run", data)
    row = result.history[-1]
    for of_time in scores["times"]:
        for end in ("node", "edge"):
            assert of_time[f"{end}_pearson"] == pytest.approx(row[f"{end}_pearson[t={of_time['time']:g}]"], abs=1e-6)
    assert scores["node_pearson"] == pytest.approx(row["node_pearson"], abs=1e-6)
    with pytest.warns(BotanFastWarning, match="are taken"):
        [prediction] = bf.predict(tmp_path / "run", data)
    assert prediction.times == tuple(times[:2])
    assert prediction.propensity.shape == prediction.target_propensity.shape

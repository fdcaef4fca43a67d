"""benchmarks.structure on three small configurations."""

import json

import pytest

import botan_fast as bf
from benchmarks import structure
from botan_fast.cli.demo import demo_data


@pytest.fixture(scope="module")
def data():
    data = bf.Dataset(demo_data()).select(time=16.5)
    return data[:2], data[2:3]


def test_models_ensembles_and_the_figure(data, tmp_path, monkeypatch):
    monkeypatch.setattr(structure, "STEPS", 2)
    train, test = data
    rows = {
        "baseline": structure.baseline(train, test, tmp_path / "baseline"),
        "baselines of one": structure.baselines_of_one(train, test),
        "baseline of 1": structure.baseline(train[:1], test, tmp_path / "one"),
        "network seed 0": structure.network(train, test, tmp_path / "network", 0),
        "network of 1": structure.network(train[:1], test, tmp_path / "network-1", 0),
    }
    assert [rows[name]["epochs"] for name in ("network seed 0", "network of 1")] == [1, 2]
    assert len(rows["baselines of one"]["each"]) == 2
    again = structure.network(train, test, tmp_path / "network", 0)  # not trained again
    assert again["scores"] == rows["network seed 0"]["scores"]
    both = structure.ensemble([tmp_path / "network", tmp_path / "baseline"], test, 2)
    assert len(both["scores"]["members"]) == 2
    files = structure.per_file(bf.load_model(tmp_path / "baseline"), test)
    assert files[0]["node"] == pytest.approx(rows["baseline"]["scores"]["node_pearson"])
    structure.draw(rows, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000
    json.dumps(rows)

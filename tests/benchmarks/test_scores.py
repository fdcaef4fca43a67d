"""Scores of models on tiny files, and the blocks of docs/scores.md that are made of them."""

import json

import pytest

import botan_fast as bf
from benchmarks import report, scores
from tests.helpers.tiny_data import TINY


@pytest.fixture
def path(tmp_path, tiny_data, monkeypatch):
    # The package's own model wants the structure of a dense liquid: its place is taken by one of a tiny network.
    model = tmp_path / "shipped.safetensors"
    bf.save_model(bf.BOTAN(**TINY), model)
    monkeypatch.setattr(scores, "SHIPPED", str(model))
    arguments = [str(tiny_data / "test/*.npz"), "--models", str(model), "--runs", str(tiny_data / "train/*.npz")]
    path = scores.main(arguments, tmp_path / "results")
    monkeypatch.setattr(scores, "SHIPPED", model.name)
    return path


def test_the_record(path, tiny_data):
    record = json.loads(path.read_text())
    assert {"machine", "versions", "commit", "date"} <= set(record)
    assert record["scores"]["shipped.safetensors"]["num_configurations"] == len(record["data"]) == 2
    [first, *_] = record["ceilings"]
    [file] = [path for path in sorted((tiny_data / "train").glob("*.npz")) if path.stem == first["file"]]
    model = bf.BOTAN(**TINY)
    assert first["ceiling"] == bf.evaluate(model, file)["ceiling"]["node"]
    assert first["runs"] == 6


def test_the_page(path, tmp_path, monkeypatch):
    """Written, found to be right, and after a number has changed to be wrong."""
    record = json.loads(path.read_text())
    blocks = scores.blocks(path)
    found = record["scores"]["shipped.safetensors"]
    assert f"| `shipped.safetensors` | {found['node_pearson']:.4f} (" in blocks["published-scores"]
    [line] = [line for line in blocks["scores"].splitlines() if line.startswith("    node A")]
    assert line.split()[2] == f"{found['species']['A']['pearson']:.4f}"
    values = [row["ceiling"] for row in record["ceilings"]]
    assert f"{min(values):.3f} to {max(values):.3f} one by one" in blocks["ceilings"]
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in blocks))
    monkeypatch.setattr(scores, "PAGE", "page.md")
    options = report.argparse.Namespace(root=tmp_path, check=False)
    report.settle(options, scores.PAGE, blocks, path)
    options.check = True
    report.settle(options, scores.PAGE, blocks, path)
    page.write_text(page.read_text().replace("node A", "node C"))
    with pytest.raises(SystemExit, match=r"page\.md is not what scores\.json gives"):
        report.settle(options, scores.PAGE, blocks, path)

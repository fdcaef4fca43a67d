"""precision="auto": what it is on which device, what a run records of it, and what a resumed run takes."""

import json
import warnings

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.cli import main
from botan_fast.errors import InputError
from tests.helpers.tiny_data import TINY

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
LEVELS = {"generic": "fp32", "avx2": "fp32", "avx512": "fp32", "avx512_bf16": "bf16"}


@pytest.fixture
def level(monkeypatch):
    """Sets the instruction set that the package believes to have; the kernels stay what they are."""
    monkeypatch.setattr("botan_fast.ops.precision._warned", set())
    return lambda name: monkeypatch.setattr("botan_fast.ops.precision._core.simd_level", lambda: name)


@pytest.mark.parametrize(("name", "expected"), LEVELS.items())
def test_on_a_cpu(level, name, expected):
    level(name)
    assert [ops.resolve_precision("auto", CPU, hidden) for hidden in (7, 24, 64, 128)] == [expected] * 4
    assert ops.resolve_precision("auto", CPU, 129) == "fp32"  # in plain torch
    assert ops.resolve_precision("auto", CPU) == "fp32"  # of a model without a network


@pytest.mark.parametrize("name", LEVELS)
@pytest.mark.parametrize("precision", ops.PRECISIONS)
def test_a_named_one_stays(level, name, precision):
    level(name)
    for device in (CPU, GPU, torch.device("meta")):
        assert ops.resolve_precision(precision, device, 64) == precision


def test_on_a_gpu(level, monkeypatch):
    """bf16 where its kernels fit into the shared memory, whatever the CPU is; fp32 where plain torch computes."""
    level("avx2")
    fits = {("bf16", 32), ("bf16", 64), ("fp32", 32)}
    monkeypatch.setattr(
        "botan_fast.ops.precision.has_message_passing", lambda index, hidden, precision: (precision, hidden) in fits
    )
    assert [ops.resolve_precision("auto", GPU, hidden) for hidden in (24, 64)] == ["bf16", "bf16"]
    assert ops.resolve_precision("auto", GPU, 128) == "fp32"
    assert ops.resolve_precision("auto", torch.device("meta"), 64) == "fp32"


def test_where_auto_is_no_precision(tiny_data, tiny_model):
    """A call of a network computes in one that is named; other words are refused everywhere, with all choices."""
    with pytest.raises(InputError, match=r"precision = 'auto'; choose one of 'fp32', 'bf16', 'tf32'$"):
        bf.MLP(3, 64)(torch.zeros(1, 3), "auto")
    with pytest.raises(InputError, match=r"precision = 'best'; choose one of 'fp32', 'bf16', 'tf32', 'auto'$"):
        bf.evaluate(tiny_model, tiny_data / "test/*.npz", precision="best")
    with pytest.raises(InputError, match=r"precision = 'best'; .* 'auto'$"):
        bf.train(tiny_data / "train/*.npz", precision="best")


@pytest.mark.parametrize(("name", "expected"), LEVELS.items())
def test_predictions_and_scores(level, tiny_data, tiny_model, name, expected):
    level(name)
    data = tiny_data / "test/*.npz"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what auto chooses is nothing to be warned of
        warnings.filterwarnings("ignore", message="this processor has neither AVX2 nor AVX-512")
        found = list(bf.predict(tiny_model, data, precision="auto"))
        scores = bf.evaluate(tiny_model, data, precision="auto")
    for a, b in zip(found, bf.predict(tiny_model, data, precision=expected), strict=True):
        assert np.array_equal(a.propensity, b.propensity)
    assert scores == bf.evaluate(tiny_model, data, precision=expected)


def test_a_run(level, tiny_data, tmp_path, capsys):
    """The run is that of the precision by name; its folder and its first line tell what was chosen."""
    data, options = tiny_data / "train/*.npz", {"epochs": 2, **TINY}
    weights = {}
    for name, expected in (("avx2", "fp32"), ("avx512_bf16", "bf16")):
        level(name)
        result = bf.train(data, output=tmp_path / name, precision="auto", **options)
        assert f"training on cpu in {expected} (precision = 'auto'): " in capsys.readouterr().err
        config = json.loads((tmp_path / name / "config.json").read_text())
        assert (config["settings"]["precision"], config["asked_precision"]) == (expected, "auto")
        weights[name] = result.model.state_dict()
        named = bf.train(data, output=tmp_path / expected, precision=expected, **options)
        assert "training on cpu: " in capsys.readouterr().err
        assert "asked_precision" not in json.loads((tmp_path / expected / "config.json").read_text())
        assert all(
            torch.equal(a, b) for a, b in zip(weights[name].values(), named.model.state_dict().values(), strict=True)
        )
    assert any(not torch.equal(a, b) for a, b in zip(*(w.values() for w in weights.values()), strict=True))


@pytest.mark.parametrize(("first", "then"), [("avx512_bf16", "avx2"), ("avx2", "avx512_bf16")])
@pytest.mark.parametrize("begun", ["auto", "named"])
def test_a_resumed_run_keeps_its_precision(level, tiny_data, tmp_path, first, then, begun):
    """On a machine of the other kind, the bits of a run that nothing interrupted."""
    data, options = tiny_data / "train/*.npz", {"progress": False, **TINY}
    precision = LEVELS[first]
    whole = bf.train(data, epochs=4, precision=precision, **options)
    level(first)
    bf.train(data, epochs=2, output=tmp_path, precision="auto" if begun == "auto" else precision, **options)
    level(then)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="precision = 'bf16' is no faster")
        resumed = bf.train(data, epochs=4, output=tmp_path, precision="auto", resume=True, **options)
    assert json.loads((tmp_path / "config.json").read_text())["settings"]["precision"] == precision
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))
    with pytest.raises(InputError, match=f"precision = '{LEVELS[then]}' differs from the run"):
        bf.train(data, epochs=5, output=tmp_path, precision=LEVELS[then], resume=True, **options)


def test_resume_where_there_is_no_run_yet(level, tiny_data, tmp_path):
    level("avx512_bf16")
    bf.train(
        tiny_data / "train/*.npz", epochs=1, output=tmp_path, precision="auto", resume=True, progress=False, **TINY
    )
    assert json.loads((tmp_path / "config.json").read_text())["settings"]["precision"] == "bf16"


@pytest.mark.parametrize("settings", [{"precision": "fp8"}, {"precision": ["fp32"]}, None])
def test_a_damaged_record_is_refused(level, tiny_data, tmp_path, settings):
    options = {"output": tmp_path, "progress": False, "precision": "auto", **TINY}
    bf.train(tiny_data / "train/*.npz", epochs=1, **options)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    config["settings"] = None if settings is None else config["settings"] | settings
    file.write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"differs from the run|is not of this version"):
        bf.train(tiny_data / "train/*.npz", epochs=2, resume=True, **options)


def test_commands(level, tiny_data, tiny_model_file, tmp_path, capsys):
    level("avx512_bf16")
    data = ["--data", str(tiny_data / "test/conf_20.npz"), "--model", str(tiny_model_file)]
    scores = []
    for precision in ("auto", "bf16"):
        assert main(["evaluate", *data, "--json", "--precision", precision]) == 0
        scores.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
        out = tmp_path / f"{precision}.npz"
        assert main(["predict", *data, "--quiet", "-o", str(out), "--precision", precision]) == 0
    assert scores[0] == scores[1]
    found = [np.load(tmp_path / f"{p}.npz")["propensity"] for p in ("auto", "bf16")]
    assert np.array_equal(*found)
    run = ["train", "--train", str(tiny_data / "train/*.npz"), "--output", str(tmp_path / "run"), "--epochs", "1"]
    assert main([*run, "--hidden-size", "24", "--num-steps", "1", "--precision", "auto"]) == 0
    assert "training on cpu in bf16 (precision = 'auto')" in capsys.readouterr().err

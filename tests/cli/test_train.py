"""The botan-fast command: what it prints, writes and returns, and one line for every mistake."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.training.run_directory import RunDirectory
from tests.conftest import tiny_arrays, write_tiny

SMALL = ["--hidden-size", "32", "--num-steps", "2", "--learning-rate", "1e-3", "--quiet"]


def data_arguments(tiny_data):
    return ["--train", str(tiny_data / "train/*.npz"), "--test", str(tiny_data / "test/*.npz")]


# ---- commands -----------------------------------------------------------------------------------------------------


def test_train_then_evaluate_then_predict(tiny_data, tmp_path, capsys):
    output = tmp_path / "run"
    assert main(["train", *data_arguments(tiny_data), "--epochs", "2", "--output", str(output), *SMALL]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert re.match(r"2 epochs, train loss 0\.\d+, node Pearson -?0\.\d+, edge Pearson -?0\.\d+", lines[0])
    assert str(output) in lines[1]
    assert "history.csv" in lines[1]
    assert lines[2].startswith(f"next: botan-fast predict --model {output} --data ")

    assert main(["evaluate", "--model", str(output), "--data", str(tiny_data / "test/*.npz"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    expected = bf.evaluate(bf.load_model(output), tiny_data / "test/*.npz")
    assert scores == expected

    assert main(["evaluate", "--model", str(output), "--data", str(tiny_data / "test/*.npz"), "--quiet"]) == 0
    table = capsys.readouterr().out
    for name in ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled", "node_loss"):
        assert f"{expected[name]:.5f}" in table
    assert "2 configurations" in table

    # the command that train proposed
    proposed = lines[2].removeprefix("next: botan-fast ").replace("'", "").split()
    assert main([*proposed[:-1], str(tmp_path / "predictions"), "--quiet"]) == 0
    assert "and 3 more files" in capsys.readouterr().out
    written = sorted(file.name for file in (tmp_path / "predictions").iterdir())
    assert written == ["conf_20.npz", "conf_20.xyz", "conf_21.npz", "conf_21.xyz"]
    [prediction] = bf.predict(bf.load_model(output), tiny_data / "test/conf_21.npz")
    with np.load(tmp_path / "predictions/conf_21.npz") as file:
        np.testing.assert_array_equal(file["propensity"], prediction.propensity)


def test_train_continues_a_run(tiny_data, tmp_path, capsys):
    arguments = ["train", *data_arguments(tiny_data), "--output", str(tmp_path / "run"), *SMALL]
    assert main([*arguments, "--epochs", "1"]) == 0
    assert main([*arguments, "--epochs", "3", "--resume"]) == 0
    assert capsys.readouterr().out.splitlines()[3].startswith("3 epochs")
    once = [*arguments[: -len(SMALL)], *SMALL]
    once[once.index(str(tmp_path / "run"))] = str(tmp_path / "once")
    assert main([*once, "--epochs", "3"]) == 0
    files = [tmp_path / name / "last.safetensors" for name in ("run", "once")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_every_option_of_train_arrives(tiny_data, tmp_path, monkeypatch):
    import botan_fast.training.loop

    seen = {}

    def fake(train, test, **options):
        seen.update(options, train=train, test=test)
        raise bf.BotanFastError("far enough")

    monkeypatch.setattr(botan_fast.training.loop, "train", fake)
    options = shlex.split(
        "--p 0.3 --epochs 7 --init m.pth --seed 3 --augmentation o3 --learning-rate 0.01 --schedule cosine "
        "--clip-norm 2 --batch-size 3 --evaluate-every 2 --checkpoint-every 4 --hidden-size 16 --num-steps 3 "
        "--node-target R --decoders shared --edge-node-skip --self-edges --cutoff 1.9 --box 5 6 7 --density 1.1 "
        "--temperature 0.44 --time 1.3 13 --device cpu --precision bf16 --save-memory --quiet --resume "
        "-o run"
    )
    assert main(["train", "--train", "c_10.npz", "c_2.npz", "--test", "t.npz", *options]) == 2
    assert seen == {
        "train": ["c_2.npz", "c_10.npz"],
        "test": ["t.npz"],
        "p": 0.3,
        "epochs": 7,
        "init": "m.pth",
        "seed": 3,
        "augmentation": "o3",
        "learning_rate": 0.01,
        "schedule": "cosine",
        "clip_norm": 2.0,
        "batch_size": 3,
        "evaluate_every": 2,
        "checkpoint_every": 4,
        "hidden_size": 16,
        "num_steps": 3,
        "node_target": "R",
        "decoders": "shared",
        "edge_node_skip": True,
        "self_edges": True,
        "cutoff": 1.9,
        "box": [5.0, 6.0, 7.0],
        "density": 1.1,
        "temperature": [0.44],
        "time": [1.3, 13.0],
        "device": "cpu",
        "precision": "bf16",
        "save_memory": True,
        "progress": False,
        "resume": True,
        "output": "run",
    }


def test_defaults_are_those_of_the_function(tmp_path, monkeypatch):
    import inspect

    import botan_fast.training.loop

    expected = {name: p.default for name, p in inspect.signature(botan_fast.training.loop.train).parameters.items()}
    seen = {}

    def fake(train, test, **options):
        seen.update(options)
        raise bf.BotanFastError("far enough")

    monkeypatch.setattr(botan_fast.training.loop, "train", fake)
    assert main(["train", "--train", "a.npz", "-o", "run"]) == 2
    assert {name: value for name, value in seen.items() if value != expected[name]} == {"output": "run"}


@pytest.mark.parametrize("name", ["out.npz", "out.xyz", "out.extxyz"])
def test_predict_into_one_file(tiny_data, tiny_model_file, tmp_path, name, capsys):
    arguments = ["predict", "--model", str(tiny_model_file), "--data", str(tiny_data / "test/conf_20.npz"), "--quiet"]
    output = tmp_path / name
    assert main([*arguments, "-o", str(output)]) == 0
    first = output.read_bytes()
    output.write_bytes(b"mine")
    assert main([*arguments, "-o", str(output)]) == 2
    assert "exists; choose another OUT, or overwrite with --force" in capsys.readouterr().err
    assert output.read_bytes() == b"mine"
    assert main([*arguments, "-o", str(output), "--force"]) == 0
    if name != "out.npz":  # a zip archive has dates
        assert output.read_bytes() == first


def test_info(capsys):
    assert main(["info", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    assert info == bf.build_info()
    assert info["version"] == bf.__version__
    assert info["torch"] == torch.__version__
    assert info["simd"] in ("avx512_bf16", "avx512", "avx2", "generic")
    assert main(["info"]) == 0
    assert re.search(rf"^threads +{torch.get_num_threads()}$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["predict", "--help"], ["--version"]])
def test_help(arguments, capsys):
    assert main(arguments) == 0
    assert "botan-fast" in capsys.readouterr().out


def test_help_does_not_load_torch():
    code = (
        "import sys; from botan_fast.cli import main; main(['train', '--help']); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'safetensors')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def test_ctrl_c(tiny_data, tmp_path):
    """SIGINT: status 130, the command to continue with, and a run that continues bitwise."""
    output, arguments = tmp_path / "run", ["train", *data_arguments(tiny_data), *SMALL]
    command = [sys.executable, "-m", "botan_fast.cli", *arguments, "-o", str(output), "--epochs", "1000000"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 100
        while not (output / "history.csv").exists() and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert f"continue with: botan-fast train --train {tiny_data}" in error.replace("'", "")
    assert error.rstrip().endswith("--resume")
    epochs = RunDirectory(output).read_state().epochs + 1
    assert main([*arguments, "-o", str(output), "--epochs", str(epochs), "--resume"]) == 0
    assert main([*arguments, "-o", str(tmp_path / "whole"), "--epochs", str(epochs)]) == 0
    files = [folder / "last.safetensors" for folder in (output, tmp_path / "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()


# ---- mistakes -----------------------------------------------------------------------------------------------------


def error_line(arguments, capsys):
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("botan-fast: error: ")
    return lines[0]


def save(folder, **changes):
    path = folder / "bad.npz"
    arrays = {**tiny_arrays(0), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return [path]


def truncated(folder):
    [path] = save(folder)
    path.write_bytes(path.read_bytes()[:1000])
    return [path]


def with_nan(folder):
    positions = tiny_arrays(0)["initial_positions"]
    positions[5, 2] = np.nan
    return save(folder, initial_positions=positions)


def text_file(folder):
    (folder / "bad.npz").write_text("1 2 3\n")
    return [folder / "bad.npz"]


def of_two_sizes(folder):
    return [*(write_tiny(folder / f"n{n}.npz", seed=n, number=n) for n in (80, 90)), "--box", "5"]


BAD_DATA = {
    "missing file": (lambda folder: [folder / "none.npz"], r"none\.npz: no such file"),
    "nothing matches": (lambda folder: [folder / "*.npz"], r"no file matches '.*/\*\.npz'"),
    "folder": (lambda folder: [folder], r"is a directory; name the files in it"),
    "truncated npz": (truncated, r"bad\.npz: truncated or damaged npz \(.*\); copy or download the file again"),
    "not an npz": (text_file, r"bad\.npz begins with .* no format does; expected an npz with types, initial_positions"),
    "wrong keys": (
        lambda folder: save(folder, positions=None),
        r"an npz with types, initial_positions; expected an npz",
    ),
    "NaN positions": (with_nan, r"positions\[5, 2\] is nan"),
    "box too small": (lambda folder: [write_tiny(folder / "bad.npz", 0, number=40)], r"bad\.npz: box.* 2 \* cutoff"),
    "positions outside": (
        lambda folder: [*save(folder), "--box", "4.01"],
        r"largest coordinate .* outside \[0, 4\.01\)",
    ),
    "wrong density": (lambda folder: [*save(folder), "--density", "1.5"], r"largest coordinate .* density = 1\.5"),
    "mismatched shapes": (lambda folder: save(folder, types=np.zeros(9, int)), r"types have shape \(9,\) .*\(80, 3\)"),
    "negative types": (lambda folder: save(folder, types=np.full(80, -2)), r"types hold -2"),
    "mixed particle numbers": (of_two_sizes, r"box = 5\.0 is given for files of different particle numbers: 80 .* 90"),
    "wrong number of edges": (lambda folder: [*save(folder), "--box", "5", "5"], r"box has shape \(2,\)"),
}


@pytest.mark.parametrize("command", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("mistake", BAD_DATA)
def test_bad_data(mistake, command, tmp_path, tiny_model_file, capsys):
    (tmp_path / "data").mkdir()
    make, message = BAD_DATA[mistake]
    data, output = make(tmp_path / "data"), tmp_path / "output"
    if command == "train":
        arguments = ["train", "--output", output, "--quiet", "--train", *data]
    else:
        arguments = [command, "--model", tiny_model_file, "--quiet", "--data", *data]
        arguments += ["-o", output] if command == "predict" else []
    assert re.search(message, error_line(arguments, capsys))
    assert not output.exists()


def test_unknown_checkpoint(tiny_data, tmp_path, capsys):
    (tmp_path / "model.bin").write_bytes(b"not a model of any kind")
    for command in ("evaluate", "predict"):
        arguments = [
            command,
            "--data",
            tiny_data / "test/*.npz",
            *(["-o", tmp_path / "out"] if command == "predict" else []),
        ]
        for model in ("model.bin", "missing.pth"):
            assert model in error_line([*arguments, "--model", tmp_path / model], capsys)
    arguments = ["train", *data_arguments(tiny_data), "-o", tmp_path / "run", "--init", tmp_path / "model.bin"]
    assert "model.bin" in error_line(arguments, capsys)


def test_checkpoint_of_another_architecture(tiny_data, tiny_model_file, tmp_path, capsys):
    flat = tmp_path / "flat.safetensors"
    bf.save_model(bf.BOTAN(hidden_size=8, num_steps=1, dimensions=2), flat)
    arguments = ["evaluate", "--data", tiny_data / "test/*.npz", "--model", flat]
    assert "model has dimensions = 2" in error_line(arguments, capsys)
    arguments = ["train", *data_arguments(tiny_data), "-o", tmp_path / "run", "--quiet"]
    line = error_line([*arguments, "--init", tiny_model_file, "--hidden-size", "64"], capsys)
    assert "hidden_size = 64 but init has hidden_size = 32" in line
    assert "init has dimensions = 2" in error_line([*arguments, "--init", flat], capsys)
    assert not (tmp_path / "run").exists()


def test_output_already_used(tiny_data, tmp_path, capsys):
    arguments = ["train", *data_arguments(tiny_data), "--epochs", "1", "-o", tmp_path / "run", *SMALL]
    assert main([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    assert "holds a run already; continue it with resume=True (--resume)" in error_line(arguments, capsys)
    line = error_line([*arguments, "--resume", "--epochs", "2", "--p", "0.5"], capsys)
    assert "p = 0.5 differs from the run in" in line


def test_predict_refuses_before_it_overwrites(tiny_data, tiny_model_file, tmp_path, capsys):
    arguments = ["predict", "--model", tiny_model_file, "--quiet", "--data", tiny_data / "test/*.npz", "-o"]
    (tmp_path / "file").write_text("mine")
    assert "is a file; name a folder" in error_line([*arguments, tmp_path / "file"], capsys)
    assert "is one file, for 2 configurations; name a folder" in error_line([*arguments, tmp_path / "out.xyz"], capsys)
    assert not (tmp_path / "out.xyz").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "conf_21.xyz").write_text("mine")
    assert "conf_21.xyz' exists" in error_line([*arguments, tmp_path / "out"], capsys)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["conf_21.xyz"]
    write_tiny(tmp_path / "conf_20.npz", seed=0)
    twice = [*arguments[:-2], tiny_data / "test/conf_20.npz", tmp_path / "conf_20.npz", "-o", tmp_path / "both"]
    assert "two configurations are named conf_20" in error_line(twice, capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "arguments are required: COMMAND"),
        (["trian"], "did you mean train?"),
        (["train", "--trian", "a.npz"], "unknown option --trian; did you mean --train?"),
        (["train", "--epoch=3"], "unknown option --epoch; did you mean --epochs?"),
        (["train", "--train", "a.npz"], "required: --output"),
        (
            ["train", "--train", "a.npz", "-o", "run", "--epochs", "many"],
            "argument --epochs: invalid int value: 'many'",
        ),
        (["train", "--train", "a.npz", "-o", "run", "--p", "2"], "p = 2.0"),
        (["train", "--train", "a.npz", "-o", "run", "--augmentation", "cubic"], "use one of octahedral, o3, none"),
        (["evaluate", "--model", "m"], "required: --data"),
        (["info", "more"], "unrecognized arguments: more"),
        (["evaluate", "--model", "m", "--data", "d", "--threads", "0"], "--threads = 0"),
    ],
)
def test_wrong_usage(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_line(arguments, capsys)


def test_debug_shows_the_traceback(tiny_model_file):
    with pytest.raises(bf.BotanFastError):
        main(["evaluate", "--model", str(tiny_model_file), "--data", "missing.npz", "--debug"])

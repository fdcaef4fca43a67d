"""botan-fast train: its options and what it proposes next, and how a run goes on."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time

import numpy as np

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.command_line import SMALL, data_arguments, error_line


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
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").write_text('{"averages": 1}')
    options = shlex.split(
        "--p 0.3 --epochs 7 --init m.pth --seed 3 --augmentation o3 --learning-rate 0.01 --schedule cosine "
        "--clip-norm 2 --batch-size 3 --evaluate-every 2 --checkpoint-every 4 --hidden-size 16 --num-steps 3 "
        "--node-target R --decoders shared --edge-node-skip --self-edges --cutoff 1.9 --box 5 6 7 --density 1.1 "
        "--recipe structure --ema 0.9 --weight-decay 0.1 --input-noise 0.2 --validation 0.3 --patience 8 "
        "--species-weights 1 2 --no-target-scaling --node-inputs species energy --edge-inputs radial "
        "--radial 0.8 1.9 10 0.1 --num-species 3 --pairs union --potential kob-andersen --descriptors settings.json "
        "--temperature 0.44 --time 1.3 13 --species Si Ge --device cpu --precision bf16 --save-memory --quiet --resume "
        "--logger tensorboard wandb -o run"
    )
    assert main(["train", "--train", "c_10.npz", "c_2.npz", "--test", "t.npz", *options]) == 2
    assert seen == {
        "train": ["c_2.npz", "c_10.npz"],
        "test": ["t.npz"],
        "p": 0.3,
        "epochs": 7,
        "logger": ["tensorboard", "wandb"],
        "init": "m.pth",
        "seed": 3,
        "recipe": "structure",
        "ema": 0.9,
        "weight_decay": 0.1,
        "input_noise": 0.2,
        "validation": 0.3,
        "patience": 8,
        "species_weights": [1.0, 2.0],
        "target_scaling": False,
        "node_inputs": ["species", "energy"],
        "edge_inputs": ["radial"],
        "radial": [0.8, 1.9, 10, 0.1],
        "num_species": 3,
        "pairs": "union",
        "potential": "kob-andersen",
        "descriptors": {"averages": 1},
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
        "species": ["Si", "Ge"],
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


def test_output_already_used(tiny_data, tmp_path, capsys):
    arguments = ["train", *data_arguments(tiny_data), "--epochs", "1", "-o", tmp_path / "run", *SMALL]
    assert main([str(argument) for argument in arguments]) == 0
    capsys.readouterr()
    assert "holds a run already; continue it with resume=True (--resume)" in error_line(arguments, capsys)
    line = error_line([*arguments, "--resume", "--epochs", "2", "--p", "0.5"], capsys)
    assert "p = 0.5 differs from the run in" in line

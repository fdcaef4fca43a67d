"""--config FILE: the same values as on the command line, which wins; one line for what is wrong."""

import json
import os
import shlex

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.cli import entry, main
from tests.helpers.command_line import SMALL, error_line
from tests.helpers.tiny_data import write_tiny

CONFIGURABLE = {command.NAME: command for command in entry.COMMANDS if hasattr(command, "TABLE")}


def parsed(*argv):
    """The values that a command would get, those that are its defaults included."""
    _, _, arguments = entry._parse([str(word) for word in argv])
    return vars(arguments)


def configured(command, text, tmp_path, *more):
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return parsed(command, "--config", path, *more)


# One value of each kind, as words and as TOML.
VALUES = {
    "text": ("o3", '"o3"'),
    "path": ("/a b", '"/a b"'),
    "data": ("/a.npz", '"/a.npz"'),
    "integer": ("3", "3"),
    "number": ("3", "3"),
    "count": ("0.5", "0.5"),
    "weight": ("1.5", "1.5"),
    "settings": ("/a.json", '"/a.json"'),
}


@pytest.mark.parametrize("command", CONFIGURABLE)
def test_every_option_is_the_same_from_a_file(command, tmp_path):
    words, positions, lines = [], [], []
    for option in CONFIGURABLE[command].TABLE:
        if option.kind == "switch":
            words.append(f"--no-{option.flag[2:]}" if option.default is True else option.flag)
            lines.append(f"{option.name} = {json.dumps(option.default is not True)}")
            continue
        word, value = VALUES[option.kind]
        if option.choices:
            word, value = option.choices[-1], json.dumps(option.choices[-1])
        number = 1 if not option.several else 2 if option.several is True else option.several
        if option.position:
            positions += [word] * number
        else:
            words += [option.flag, *[word] * number]
        lines.append(f"{option.name} = {value}" if number == 1 else f"{option.name} = [{', '.join([value] * number)}]")
    on_the_line = parsed(command, *positions, *words)
    from_a_file = configured(command, "\n".join(lines), tmp_path)
    assert from_a_file == on_the_line
    assert {name: type(value) for name, value in from_a_file.items()} == {
        name: type(value) for name, value in on_the_line.items()
    }
    # Nothing of the file is left where the line says something else; a switch goes off again.
    off = []
    for option in CONFIGURABLE[command].TABLE:
        if option.kind == "switch":
            off.append(option.flag if option.default is True else f"--no-{option.flag[2:]}")
    values = configured(command, "\n".join(lines), tmp_path, *off)
    for option in CONFIGURABLE[command].TABLE:
        if option.kind == "switch":
            assert values[option.name] is (option.default is True), option.name


def test_the_command_line_wins(tmp_path):
    text = 'train = ["b", "a"]\noutput = "run"\nepochs = 3\ntime = [1, 2]\nquiet = true\nsave_memory = true'
    more = ["--epochs", "4", "--no-quiet", "--train", "c_10", "c_2", "--time", "5"]
    values = configured("train", text, tmp_path, *more)
    assert (values["epochs"], values["quiet"], values["save_memory"]) == (4, False, True)
    assert values["train"] == ["c_2", "c_10"]
    assert values["time"] == [5.0]
    assert values["output"] == str(tmp_path / "run")
    before = parsed("train", "--epochs", "4", "--config", tmp_path / "run.toml")
    assert (before["epochs"], before["train"]) == (4, [str(tmp_path / "b"), str(tmp_path / "a")])  # its own order


def test_what_is_required_may_come_from_either(tmp_path, capsys):
    (tmp_path / "run.toml").write_text('train = "a.npz"')
    config = ["train", "--config", tmp_path / "run.toml"]
    assert "the following arguments are required: --output/-o" in error_line(config, capsys)
    assert parsed(*config, "-o", "run")["output"] == "run"
    (tmp_path / "run.toml").write_text('output = "a.h5"')
    assert "the following arguments are required: INPUT" in error_line(
        ["convert", "--config", tmp_path / "run.toml"], capsys
    )
    assert parsed("convert", "x_10", "x_9", "--config", tmp_path / "run.toml")["inputs"] == ["x_9", "x_10"]
    (tmp_path / "run.toml").write_text('output = "a.h5"\ninputs = ["x_10", "x_9"]')
    found = parsed("convert", "--config", tmp_path / "run.toml")["inputs"]
    assert found == [str(tmp_path / "x_10"), str(tmp_path / "x_9")]


def test_several_files_and_spellings(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.toml").write_text(f'train = "{name}"\noutput = "{name}"')
    config = [f"--config={tmp_path}/a.toml", "--config", f"{tmp_path}/b.toml"]
    assert parsed("train", *config)["output"] == str(tmp_path / "b")  # as of any option, the last one
    values = parsed("convert", "-o", "a.h5", "--", "--config")
    assert values["inputs"] == ["--config"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr = 1e-3", "{}: unknown option lr; did you mean learning_rate?"),
        ("learning-rate = 1e-3", "{}: unknown option learning-rate; did you mean learning_rate?"),
        ("penalty = 1", "{}: penalty is an option of baseline, not of this command; leave it out"),
        ("melt_time = 1", "{}: melt_time is an option of simulate, not of this command; leave it out"),
        ("config = 'a'", "{}: unknown option config"),
        ("epochs = '3'", '{}: epochs = "3"; give a whole number'),
        ("epochs = 3\nepochs = 4", "{}: not valid TOML ("),
        ("epochs = -3", "{}: epochs = -3: give a whole number of at least 1"),
        ("learning_rate = nan", "{}: learning_rate = nan: give a positive number"),
        ("p = 2", "{}: p = 2.0: the weight of the node loss"),
        ("potential = 'soft'", "{}: potential = 'soft' is unknown"),
        ("potential = 'soft.json'", "--potential {folder}/soft.json cannot be read (No such file or directory)"),
        ("[potential]\nepsilon = 1", "{}: potential holds ['epsilon']; it must hold"),
        ("[descriptors]\naverage = 1", "entry 'average' is no setting of descriptors"),
        ("objects = 3", "{}: objects = 3; give a list of names, or leave it out"),
        ("objects = ['init']", "{}: init was an object in Python, which a file cannot hold; give --init"),
    ],
)
def test_what_is_wrong(text, message, tiny_data, tmp_path, capsys):
    """In one line, with the file, and before anything is written."""
    path = tmp_path / "run.toml"
    path.write_text(f'train = "{tiny_data}/train/*.npz"\noutput = "run"\nnode_inputs = ["descriptors"]\n{text}')
    expected = message.format(path, folder=tmp_path)
    assert error_line(["train", "--config", path], capsys).startswith(f"botan-fast: error: {expected}")
    assert os.listdir(tmp_path) == ["run.toml"]


def test_values_that_the_command_line_replaced_are_named_as_there(tmp_path, capsys):
    (tmp_path / "run.toml").write_text('train = "a.npz"\noutput = "run"\np = 2\nepochs = 3')
    line = error_line(["train", "--config", tmp_path / "run.toml", "--p", "0.5", "--epochs", "-1"], capsys)
    assert "error: --epochs = -1: give a whole number" in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config"], "argument --config: expected one argument"),
        (["--config", "none.toml"], "none.toml: no such file"),
        (["--config", "."], ". is a folder; give a TOML file"),
        (["--config="], "--config is empty; give the name of a TOML file"),
        (["--confg", "a"], "unknown option --confg; did you mean --config?"),
    ],
)
def test_files_that_are_not_there(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in error_line(["train", *words], capsys)


@pytest.mark.parametrize("command", CONFIGURABLE)
def test_a_command_alone(command, capsys):
    assert "the following arguments are required: " in error_line([command], capsys)


def test_commands_without_a_table_have_no_config(capsys):
    for command in ("demo", "bench", "info"):
        assert "unknown option --config" in error_line([command, "--config", "a.toml"], capsys)


def test_help_shows_what_the_file_says(tmp_path, capsys):
    (tmp_path / "run.toml").write_text("seed = 17")
    assert main(["train", "--config", str(tmp_path / "run.toml"), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "decides initial weights, order and rotations (default: 17)" in shown


def test_a_whole_day_from_one_folder(tmp_path, monkeypatch, capsys):
    """Data, model, scores and predictions by files alone, run from elsewhere; names with blanks and brackets."""
    folder = tmp_path / "Kob & Andersen [a]"
    folder.mkdir()
    for k in (1, 2, 3):
        write_tiny(folder / f"conf_{k}.npz", seed=k)
    files = {
        "convert": 'inputs = "conf_[12].npz"\noutput = "ka.h5"\ntime = 13',
        "train": 'train = "ka.h5"\noutput = "run"\nepochs = 1\nhidden_size = 16\nnum_steps = 1\nquiet = true\n'
        "[descriptors]\naverages = 1",
        "evaluate": 'model = "run"\ndata = "conf_3.npz"\noutput = "scores.json"\nquiet = true',
        "predict": 'model = "run"\ndata = "conf_*.npz"\noutput = "predictions"\nquiet = true',
    }
    for command, text in files.items():
        (folder / f"{command}.toml").write_text(text)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for command in files:
        assert main([command, "--config", str(folder / f"{command}.toml")]) == 0, capsys.readouterr().err
    assert os.listdir() == []
    model = bf.load_model(folder / "run")
    scores = json.loads((folder / "scores.json").read_text())
    assert scores == bf.evaluate(model, folder / "conf_3.npz")
    [prediction] = bf.predict(model, folder / "conf_1.npz")
    with np.load(folder / "predictions/conf_1.npz") as file:
        np.testing.assert_array_equal(file["propensity"], prediction.propensity)
    monkeypatch.chdir(folder)
    proposed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("next: botan-fast predict")]
    assert main([*shlex.split(proposed[0])[2:-1], "again", "--quiet"]) == 0


def test_interrupted_runs_go_on_with_the_file(tiny_data, tmp_path):
    """--resume behind --config, as the last line of an interrupted run says."""
    text = f'train = "{tiny_data}/train/*.npz"\noutput = "run"'
    (tmp_path / "run.toml").write_text(text)
    config = ["train", "--config", str(tmp_path / "run.toml"), *SMALL]
    assert main([*config, "--epochs", "1"]) == 0
    assert main([*config, "--epochs", "2", "--resume"]) == 0
    assert main([*config, "--epochs", "2", "-o", str(tmp_path / "once")]) == 0
    files = [tmp_path / name / "last.safetensors" for name in ("run", "once")]
    assert files[0].read_bytes() == files[1].read_bytes()

"""Values from a TOML file: kinds, paths, and one line for what is wrong."""

import os

import pytest

from botan_fast.errors import BotanFastError, InputError
from botan_fast.option import Option, check_table, meant, place, read_toml
from botan_fast.training.options import BASELINE, TRAIN


def read(text, tmp_path, options=TRAIN):
    """The values of a file with this text, in a folder of that test."""
    (tmp_path / "run.toml").write_text(text, encoding="utf-8")
    return check_table(options, read_toml(tmp_path / "run.toml"), "run.toml")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("epochs = 3", {"epochs": 3}),
        ("learning_rate = 1", {"learning_rate": 1.0}),
        ("learning_rate = 1e-3", {"learning_rate": 1e-3}),
        ("p = inf", {"p": float("inf")}),  # the library says what is wrong with it
        ("validation = 2", {"validation": 2}),
        ("validation = 0.5", {"validation": 0.5}),
        ("radial = [0.75, 2, 6, 0.2]", {"radial": [0.75, 2, 6, 0.2]}),
        ("time = 13", {"time": [13.0]}),
        ("time = [1.3, 13]", {"time": [1.3, 13.0]}),
        ("box = 5", {"box": 5.0}),
        ("box = [5]", {"box": 5.0}),
        ("box = [5, 6, 7]", {"box": [5.0, 6.0, 7.0]}),
        ("box = [[5, 0], [1, 5]]", {"box": [[5.0, 0.0], [1.0, 5.0]]}),
        ("species_weights = 'equal'", {"species_weights": "equal"}),
        ("species_weights = 2", {"species_weights": [2.0]}),
        ("species_weights = [1, 2]", {"species_weights": [1.0, 2.0]}),
        ("train = 'a.npz'", {"train": ["a.npz"]}),
        ("train = ['b.npz', 'a.npz']", {"train": ["b.npz", "a.npz"]}),
        ("save_memory = true", {"save_memory": True}),
        ("potential = 'kob-andersen'", {"potential": "kob-andersen"}),
        ("descriptors = 'settings.json'", {"descriptors": "settings.json"}),
        ("[descriptors]\naverages = 1", {"descriptors": {"averages": 1}}),
        ("", {}),
    ],
)
def test_values(text, values, tmp_path):
    found = read(text, tmp_path)
    assert found == values
    assert [type(value) for value in found.values()] == [type(value) for value in values.values()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = 1.0", "run.toml: epochs = 1.0; give a whole number, 1"),
        ("epochs = 1e3", "run.toml: epochs = 1000.0; give a whole number, 1000"),
        ("epochs = inf", "run.toml: epochs = inf; give a whole number"),
        ("epochs = true", "run.toml: epochs = true; give a whole number"),
        ("epochs = '10'", 'run.toml: epochs = "10"; give a whole number'),
        ("epochs = [10]", "run.toml: epochs = [10]; give a whole number"),
        ("p = false", "run.toml: p = false; give a number"),
        ("p = '0.4'", 'run.toml: p = "0.4"; give a number'),
        ("p = 2024-01-01", 'run.toml: p = "2024-01-01"; give a number'),
        ("p = 07:32:00", 'run.toml: p = "07:32:00"; give a number'),
        (f"p = 1{'0' * 400}", "run.toml: p = 1000"),
        ("time = []", "run.toml: time = []; give a number, or a list of numbers"),
        ("time = [[1]]", "run.toml: time = [[1]]; give a number, or a list of numbers"),
        ("time = ['1']", 'run.toml: time = ["1"]; give a number, or a list of numbers'),
        ("radial = [1, 2]", "run.toml: radial = [1, 2]; give a list of 4 numbers"),
        ("radial = 1", "run.toml: radial = 1; give a list of 4 numbers"),
        ("quiet = 1", "run.toml: quiet = 1; give true or false"),
        ("quiet = 'yes'", 'run.toml: quiet = "yes"; give true or false'),
        ("recipe = ['paper']", 'run.toml: recipe = ["paper"]; give a text in quotes'),
        ("train = 3", "run.toml: train = 3; give a path or a glob pattern in quotes, or a list of paths or glob"),
        ("train = ['a', 3]", 'run.toml: train = ["a", 3]; give a path'),
        ("init = {a = 1}", 'run.toml: init = {"a": 1}; give a path in quotes'),
        ("descriptors = 3", "run.toml: descriptors = 3; give a table, or the name of a JSON file in quotes"),
        ("box = [[1, 2], 3]", "run.toml: box = [[1, 2], 3]; give a number, or a list of numbers"),
        ("box = [['a']]", 'run.toml: box = [["a"]]; give a number, or a list of numbers'),
        ("lr = 1", "run.toml: unknown option lr; did you mean learning_rate?"),
        ("learning-rate = 1", "run.toml: unknown option learning-rate; did you mean learning_rate?"),
        ("Epochs = 1", "run.toml: unknown option Epochs; did you mean epochs?"),
        ("hidden = 64", "run.toml: unknown option hidden; did you mean hidden_size?"),
        ("sede = 1", "run.toml: unknown option sede; did you mean seed?"),
        ("xyzzy = 1", "run.toml: unknown option xyzzy"),
        ('"" = 1', "run.toml: unknown option "),
        ("[train]\ndata = 1", 'run.toml: train = {"data": 1}; give a path'),
        ('"a\\nb" = 1', "run.toml: unknown option a?b"),
    ],
)
def test_what_is_wrong(text, message, tmp_path):
    with pytest.raises(InputError) as caught:
        read(text, tmp_path)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_an_option_of_another_command(tmp_path):
    with pytest.raises(InputError, match="penalty is an option of baseline, not of this command; leave it out"):
        check_table(TRAIN, {"penalty": 1}, "run.toml", others={"baseline": BASELINE})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"epochs = ", "not valid TOML ("),
        (b"epochs = 1\nepochs = 2\n\n", "at line 2"),
        (b"epochs: 1\n", "at line 1"),
        (b"a = " + b"[" * 100_000, "not valid TOML ("),
        (b"a = " + b"9" * 10_000, "not valid TOML ("),
        (b"a = '\xff'", "is not a text in UTF-8; give a TOML file"),
        (b"PK\x03\x04", "not valid TOML ("),
        (b"#" * 10_000_001, "has more than 10 MB; give a TOML file of options"),
    ],
)
def test_files_that_are_no_toml(content, message, tmp_path):
    path = tmp_path / "a.toml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_toml(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").touch()
    os.mkfifo("pipe")
    os.mkdir("empty")
    for path, message in {
        "rum.toml": "rum.toml: no such file; did you mean run.toml?",
        "empty": "empty is a folder; give a TOML file",
        ".": ". is a folder; did you mean ./run.toml?",
        "pipe": "pipe is a pipe (FIFO), not a file; write what it gives to a file first",
        "a\0b": "a?b: cannot be read (embedded null byte); give the name of a file",
    }.items():
        with pytest.raises(BotanFastError) as caught:
            read_toml(path)
        assert str(caught.value) == message


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a.toml").touch(mode=0o200)
    with pytest.raises(InputError, match=r"a\.toml: cannot be read \(Permission denied\)"):
        read_toml(tmp_path / "a.toml")


def test_paths_count_from_the_folder_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/kob")
    folder = tmp_path / "T [0.44]"
    folder.mkdir()
    (folder / "conf_[1].npz").touch()
    table = {
        "train": ["a.npz", "/b.npz", "*.npz", "conf_[1].npz", "~/c.npz", "{configuration}/run*.dump"],
        "output": "run [1]",
        "init": "../model.pth",
        "potential": "soft.json",
        "descriptors": "settings.json",
    }
    escaped = str(tmp_path / "T [[]0.44]")
    assert check_table(TRAIN, table, "run.toml", folder) == {
        "train": [
            f"{folder}/a.npz",
            "/b.npz",
            f"{escaped}/*.npz",
            f"{folder}/conf_[1].npz",
            "/home/kob/c.npz",
            f"{folder}/{{configuration}}/run*.dump",
        ],
        "output": f"{folder}/run [1]",
        "init": f"{folder}/../model.pth",
        "potential": f"{folder}/soft.json",
        "descriptors": f"{folder}/settings.json",
    }
    names = {"init": "ka-t0.44-tau", "potential": "kob-andersen"}
    assert check_table(TRAIN, names, "run.toml", folder) == names
    assert check_table(TRAIN, {"output": ""}, "run.toml", folder) == {"output": ""}  # which the library refuses


def test_a_file_in_this_folder():
    """Names stay as they are written."""
    assert place("a.npz", "") == "a.npz"
    assert place("*.npz", "", patterns=True) == "*.npz"


def test_choices():
    option = Option("replicas", "text", "runs", choices=("nve", "nvt"))
    assert option.value("nvt", "a.toml") == "nvt"
    with pytest.raises(InputError, match=r'a\.toml: replicas = "npt"; give one of "nve", "nvt"'):
        option.value("npt", "a.toml")


def test_suggestions_name_options_that_there_are():
    assert meant("gpu", ["epochs"]) == ""
    assert meant("gpu", ["device", "epochs"]) == "; did you mean device?"
    assert meant("rate", ["learning_rate", "false_rate"]) == "; did you mean learning_rate or false_rate?"

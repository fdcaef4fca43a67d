"""One line for every mistake in data and models, whichever command reads them."""

import re

import numpy as np
import pytest

import botan_fast as bf
from tests.helpers.command_line import data_arguments, error_line
from tests.helpers.tiny_data import tiny_arrays, write_tiny


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
    assert "--hidden-size = 64 but init has --hidden-size = 32" in line
    assert "init has dimensions = 2" in error_line([*arguments, "--init", flat], capsys)
    assert not (tmp_path / "run").exists()

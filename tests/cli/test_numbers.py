"""Every number that a command takes, with values that nobody means: it works or says in one line what is wrong."""

import argparse
import contextlib
import warnings

import pytest
import torch
from matplotlib.figure import Figure

from botan_fast.cli import entry, main
from botan_fast.sweep.manifest import Manifest
from tests.helpers.command_line import SMALL

VALUES = ("0", "-1", "2147483648", "10000000000000000000", "1" + "0" * 30, "1e300", "-1e300", "1e-320", "nan", "inf")


def numeric_options():
    for command in entry.COMMANDS:
        if command.NAME in ("simulate", "demo", "bench"):  # which would work for minutes where a number is right
            continue
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        for action in parser._actions:
            if action.type in (int, float):
                yield command.NAME, action.option_strings[0]


@pytest.mark.parametrize(("command", "option"), list(numeric_options()))
def test_any_number(command, option, tiny_data, tiny_model_file, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    data = str(tiny_data / "train/conf_1.npz")
    lines = {
        "train": ["--train", data, "-o", "run", "--epochs", "1", *SMALL],
        "baseline": [
            "--train",
            data,
            "-o",
            "run",
            "--node-inputs",
            "temperature",
            "--edge-inputs",
            "radial",
            "--quiet",
        ],
        "evaluate": ["--model", str(tiny_model_file), "--data", data, "--quiet"],
        "predict": ["--model", str(tiny_model_file), "--data", data, "-o", "out", "--force", "--quiet"],
        "convert": [data, "-o", "a.h5", "--force", "--quiet"],
        "figures": ["out/conf_1.npz", "--data", data, "-o", "figures", "--formats", "png", "--force"],
        "report": [str(tiny_model_file), "--data", data, "-o", "a.html", "--force", "--quiet"],
        "sweep": ["-o", "sweep", "--quiet"],
    }
    if command == "figures":
        assert main(["predict", *lines["predict"]]) == 0
        monkeypatch.setattr(Figure, "savefig", lambda self, path, **_: path.write_bytes(b""))  # which takes the time
        capfd.readouterr()
    (tmp_path / "sweep").mkdir()
    Manifest([]).write(tmp_path / "sweep")
    try:
        for number, value in enumerate(VALUES):
            if option == "--epochs" and float(value) > 1:
                continue  # it would train that long
            line = [item if item != "run" else f"run{number}" for item in lines[command]]
            with warnings.catch_warnings(), contextlib.suppress(SystemExit):
                warnings.simplefilter("ignore")
                status = main([command, *line, f"{option}={value}"])
            error = capfd.readouterr().err
            assert status in (0, 2), (value, error)
            assert "Traceback" not in error
            if status == 2:
                assert error.startswith("botan-fast: error: "), (value, error)
                assert len(error.splitlines()) == 1, (value, error)
    finally:
        torch.set_num_threads(threads)

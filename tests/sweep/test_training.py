"""Sweeps of real commands: a training is interrupted and killed, and goes on; a search asks for its trials."""

import json
import os
import signal
import subprocess
import sys

import pytest

from botan_fast.cli import main
from botan_fast.sweep.manifest import Manifest, Task
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.fake_sweeps import children, parents, processes_of, wait_until

SMALL = {"hidden_size": 32, "num_steps": 2, "learning_rate": 1e-3}


def manifest(tiny_data, epochs):
    data = {"train": [str(tiny_data / "train/*.npz")], "test": [str(tiny_data / "test/*.npz")]}
    options = {**data, **SMALL, "epochs": epochs, "output": "../../runs/botan"}
    model = {"model": ["../../runs/botan"], "data": data["test"], "output": "../../scores/mean.json"}
    return Manifest([Task("botan", "botan", "train", options), Task("mean", "mean", "evaluate", model, ("botan",))])


def start(folder, *options):
    command = [sys.executable, "-m", "botan_fast", "sweep", "-o", str(folder), "--quiet", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are found by /proc")
def test_a_training_is_interrupted_and_killed_and_goes_on(tiny_data, tmp_path, capsys):
    manifest(tiny_data, 100_000).write(tmp_path)
    run = RunDirectory(tmp_path / "runs/botan")

    process = start(tmp_path, "--workers", "1")
    wait_until(run.history_file.exists, 90)
    assert main(["sweep", "status", str(tmp_path), "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)["running_tasks"]
    assert (row["name"], row["epochs"]) == ("botan", 100_000)
    assert row["epoch"] >= 1
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=90)
    assert (process.returncode, out) == (130, "")
    assert error == "botan-fast: interrupted; 0 of 2 tasks are done, the same command continues\n"
    assert not (tmp_path / "tasks/botan/failed.json").exists()
    saved = run.read_state().epochs
    assert saved >= 1

    process = start(tmp_path, "--worker")  # this process is the worker
    wait_until(lambda: len(children(process.pid)) == 1, 90)
    [training] = children(process.pid)
    wait_until(lambda: run.read_state().epochs > saved, 90)
    process.kill()
    process.communicate()
    wait_until(lambda: training not in parents(), 90)  # it has saved itself
    assert processes_of(tmp_path) == []
    assert "interrupted" in (tmp_path / "tasks/botan/log.txt").read_text().splitlines()[-1]

    epochs = run.read_state().epochs + 1
    manifest(tiny_data, epochs).write(tmp_path)
    process = start(tmp_path, "--workers", "2")
    assert process.communicate(timeout=120)[0].startswith("2 of 2 tasks done\n")
    assert process.returncode == 0
    assert run.read_state().epochs == epochs
    assert json.loads((tmp_path / "tasks/botan/done.json").read_text())["attempts"] == 3
    assert "node_pearson" in json.loads((tmp_path / "scores/mean.json").read_text())


def test_workers_ask_a_search_for_its_trials(tiny_data, tmp_path):
    pytest.importorskip("optuna")
    (tmp_path / "plan.toml").write_text(
        f"[search]\ntrials = 2\nmetric = 'test_loss'\noptions = {{ train = '{tiny_data}/train/*.npz', "
        f"test = '{tiny_data}/test/*.npz', epochs = 1, hidden_size = 32, num_steps = {{ low = 1, high = 2 }} }}\n"
    )
    folder = tmp_path / "sweep"
    command = [sys.executable, "-m", "botan_fast", "sweep", str(tmp_path / "plan.toml"), "-o", str(folder), "--quiet"]
    done = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("2 of 2 tasks done\n")
    assert [task.name for task in Manifest.read(folder)] == [f"search-000{k}" for k in range(2)]
    done = subprocess.run([*command, "--stage", "search"], capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, "2 of 2 tasks done")

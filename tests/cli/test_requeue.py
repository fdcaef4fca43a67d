"""SIGUSR1 before the end of a job's time: saved, then requeued where SLURM is, status 138, one line."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from botan_fast.training.run_directory import RunDirectory
from tests.helpers.command_line import SMALL, data_arguments

# What scontrol is asked, by whom, and what the run folder holds at that moment.
SCONTROL = """#!{python}
import json, os, sys
state = {{"arguments": sys.argv[1:], "parent": os.getppid(), "history": None}}
history = os.path.join({folder!r}, "run", "history.csv")
if os.path.exists(history):
    state["history"] = len(open(history).read().splitlines()) - 1
with open(os.path.join({folder!r}, "asked"), "a") as file:
    print(json.dumps(state), file=file)
print({says!r}, file=sys.stderr)
sys.exit({status})
"""


def fake_scontrol(folder, status=0, says=""):
    program = folder / "bin" / "scontrol"
    program.parent.mkdir(exist_ok=True)
    program.write_text(SCONTROL.format(python=sys.executable, folder=str(folder), status=status, says=says))
    program.chmod(0o755)


def asked(folder):
    file = folder / "asked"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def stopped_by(number, folder, tiny_data, *more, environment):
    """A run of training that gets a signal after its first epoch: process id, status, standard error."""
    line = ["train", *data_arguments(tiny_data), "-o", folder / "run", "--epochs", "100000", *SMALL, *more]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "botan_fast", *map(str, line), "--checkpoint-every", "1000000"],
        env={**clean, "PATH": f"{folder / 'bin'}{os.pathsep}{clean['PATH']}", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (folder / "run/best.safetensors").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert out == ""
    assert len(error.splitlines()) == 1, error
    assert error.startswith("botan-fast: interrupted; ")
    epochs = RunDirectory(folder / "run").read_state().epochs
    assert f"'{folder / 'run'}' holds {epochs} finished epochs" in error
    return process.pid, process.returncode, error


@pytest.mark.parametrize(
    ("job", "name"),
    [
        ({"SLURM_JOB_ID": "17"}, "17"),
        ({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4", "SLURM_PROCID": "0"}, "12_4"),
    ],
)
def test_saved_then_requeued(job, name, tiny_data, tmp_path):
    fake_scontrol(tmp_path)
    process, status, error = stopped_by(signal.SIGUSR1, tmp_path, tiny_data, "--resume", environment=job)
    assert status == 138
    assert error.endswith(f" finished epochs; job {name} is requeued\n")
    [call] = asked(tmp_path)
    assert call["arguments"] == ["requeue", name]
    assert call["parent"] == process
    # By then everything was saved, although no epoch's turn to be saved had come.
    assert call["history"] == RunDirectory(tmp_path / "run").read_state().epochs > 0


def test_a_refusal_is_said_and_the_run_is_saved(tiny_data, tmp_path):
    fake_scontrol(tmp_path, status=1, says="Requested operation is presently disabled\nfor job 17")
    job = {"SLURM_JOB_ID": "17"}
    _, status, error = stopped_by(signal.SIGUSR1, tmp_path, tiny_data, "--resume", environment=job)
    assert status == 138
    assert "; job 17 could not be requeued (Requested operation is presently disabled for job 17); continue " in error
    assert error.endswith(" --resume --checkpoint-every 1000000\n")


@pytest.mark.parametrize(
    ("number", "more", "job", "said"),
    [
        (signal.SIGUSR1, [], {}, "; continue with: botan-fast train "),
        (signal.SIGTERM, ["--resume"], {"SLURM_JOB_ID": "17"}, "; continue with: "),  # SLURM requeues what it preempts
        (signal.SIGUSR1, ["--resume"], {"SLURM_JOB_ID": "17", "SLURM_PROCID": "1"}, "; continue with: "),
        (signal.SIGUSR1, [], {"SLURM_JOB_ID": "17"}, "; job 17 is not requeued, as its command has no --resume; "),
        (signal.SIGUSR1, ["--resume"], {"SLURM_JOB_ID": "17", "BOTAN_FAST_PARENT": str(os.getpid())}, "; continue "),
    ],
    ids=["no SLURM", "SIGTERM", "not the first process", "no --resume", "a worker's child"],
)
def test_when_the_job_is_not_requeued(number, more, job, said, tiny_data, tmp_path):
    fake_scontrol(tmp_path)
    _, status, error = stopped_by(number, tmp_path, tiny_data, *more, environment=job)
    assert status == 128 + number
    assert said in error
    assert asked(tmp_path) == []


def test_without_scontrol(tiny_data, tmp_path):
    job = {"SLURM_JOB_ID": "17", "PATH": str(tmp_path)}
    _, status, error = stopped_by(signal.SIGUSR1, tmp_path, tiny_data, "--resume", environment=job)
    assert status == 138
    assert "; job 17 could not be requeued (there is no scontrol in PATH); continue with: " in error


@pytest.mark.parametrize("command", ["convert", "simulate"])
def test_commands_that_go_on_when_they_are_repeated(command, tmp_path):
    """While they still load what they need, as at any other moment."""
    fake_scontrol(tmp_path)
    code = f"""
import os, signal, sys
from botan_fast.cli import entry
def run(arguments):
    os.kill(os.getpid(), signal.SIGUSR1)
entry.{command}.run = run
sys.argv = ["botan-fast", "{command}", *sys.argv[1:]]
sys.exit(entry.main())
"""
    arguments = {"convert": ["a.npz", "-o", "a.h5"], "simulate": ["-o", "a.h5"]}[command]
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "9"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (138, "", "botan-fast: interrupted; job 9 is requeued\n")
    assert [call["arguments"] for call in asked(tmp_path)] == [["requeue", "9"]]


def test_a_command_without_something_to_continue_ends(tmp_path):
    fake_scontrol(tmp_path)
    code = """
import os, signal, sys
from botan_fast.cli import entry
entry.info.run = lambda arguments: os.kill(os.getpid(), signal.SIGUSR1)
sys.argv = ["botan-fast", "info"]
sys.exit(entry.main())
"""
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "9"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (138, "", "botan-fast: interrupted\n")
    assert asked(tmp_path) == []


def test_the_run_goes_on_as_if_nothing_had_been(tiny_data, tmp_path):
    """The job script again: the same line with --resume, until it is done."""
    fake_scontrol(tmp_path)
    stopped_by(signal.SIGUSR1, tmp_path, tiny_data, "--resume", environment={"SLURM_JOB_ID": "17"})
    epochs = RunDirectory(tmp_path / "run").read_state().epochs
    line = ["train", *data_arguments(tiny_data), *SMALL, "--resume", "--epochs", str(epochs + 1)]
    for output in ("run", "whole"):
        subprocess.run(
            [sys.executable, "-m", "botan_fast", *line, "-o", str(tmp_path / output)], check=True, capture_output=True
        )
    files = [Path(tmp_path, output, "last.safetensors").read_bytes() for output in ("run", "whole")]
    assert files[0] == files[1]


def test_train_itself_leaves_signals_to_its_caller(tiny_data):
    """In a library it is the caller who decides what a signal does."""
    from tests.helpers.runs import run

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
    before, within = [signal.getsignal(number) for number in numbers], []
    run(tiny_data, epochs=1, callbacks=[lambda row: within.append([signal.getsignal(number) for number in numbers])])
    assert within == [before]
    assert [signal.getsignal(number) for number in numbers] == before

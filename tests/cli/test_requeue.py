"""SIGUSR1 before the end of a job's time: saved, then requeued where SLURM is, status 138, one line."""

import json
import os
import signal
import subprocess
import sys
import time

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
# A command whose work is to get a signal, before or while there is something to tidy up; `saved` is what training says.
COMMAND = """
import os, sys
from botan_fast.cli import entry
from botan_fast.interruption import Interrupted, orderly
def run(arguments):
    try:
        if {early}:
            os.kill(os.getpid(), {number})
        with orderly():
            os.kill(os.getpid(), {number})
    except Interrupted as stop:
        stop.saved = "; all is kept"
        raise
entry.{command}.run = run
sys.argv = ["botan-fast", "{command}", *sys.argv[1:]]
sys.exit(entry.main())
"""
ONE_LINE = "botan-fast: interrupted\n"
ARGUMENTS = {
    "train": ["--train", "a.npz", "-o", "run"],
    "convert": ["a.npz", "-o", "a.h5"],
    "simulate": ["-o", "a.h5"],
    "evaluate": ["--model", "a", "--data", "b"],
}


def fake_scontrol(folder, status=0, says=""):
    program = folder / "bin" / "scontrol"
    program.parent.mkdir(exist_ok=True)
    program.write_text(SCONTROL.format(python=sys.executable, folder=str(folder), status=status, says=says))
    program.chmod(0o755)


def asked(folder):
    file = folder / "asked"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def environment_of(job, folder):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return {**clean, "PATH": f"{folder / 'bin'}{os.pathsep}{clean['PATH']}", **job}


def ended(command, folder, *more, number=signal.SIGUSR1, early=False, **job):
    """The last line of a command that gets the signal; its status is that of the signal."""
    code = COMMAND.format(command=command, number=int(number), early=early)
    arguments = [sys.executable, "-c", code, *ARGUMENTS[command], *more]
    environment = environment_of(job, folder)
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, cwd=folder)
    assert (done.returncode, done.stdout) == (128 + number, ""), done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("botan-fast: interrupted; all is kept")
    return line.removeprefix("botan-fast: interrupted; all is kept")


def test_a_run_is_saved_then_requeued_and_goes_on(tiny_data, tmp_path):
    """A real one, in an array; the job script again comes to the end of a run that nothing had stopped."""
    fake_scontrol(tmp_path)
    line = [sys.executable, "-m", "botan_fast", "train", *data_arguments(tiny_data), *SMALL, "--resume"]
    job = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4", "SLURM_PROCID": "0"}
    process = subprocess.Popen(
        [*line, "-o", str(tmp_path / "run"), "--epochs", "100000", "--checkpoint-every", "1000000"],
        env=environment_of(job, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "run/best.safetensors").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    epochs = RunDirectory(tmp_path / "run").read_state().epochs
    kept = f"'{tmp_path / 'run'}' holds {epochs} finished epochs"
    assert (process.returncode, out) == (138, "")
    assert error == f"botan-fast: interrupted; {kept}; job 12_4 is requeued\n"
    # By then everything was saved, although no epoch's turn to be saved had come.
    assert asked(tmp_path) == [{"arguments": ["requeue", "12_4"], "parent": process.pid, "history": epochs}]
    for output in ("run", "whole"):
        again = [*line, "--epochs", str(epochs + 1), "-o", str(tmp_path / output)]
        subprocess.run(again, check=True, capture_output=True)
    files = [(tmp_path / output / "last.safetensors").read_bytes() for output in ("run", "whole")]
    assert files[0] == files[1]


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(("command", "more"), [("train", ["--resume"]), ("convert", []), ("simulate", [])])
def test_commands_that_go_on_when_they_are_repeated(command, more, early, tmp_path):
    """At any moment, also while they load what they need, where nothing may be raised (torch would abort)."""
    fake_scontrol(tmp_path)
    assert ended(command, tmp_path, *more, early=early, SLURM_JOB_ID="17") == "; job 17 is requeued"
    assert [call["arguments"] for call in asked(tmp_path)] == [["requeue", "17"]]


def test_a_refusal_is_said(tmp_path):
    fake_scontrol(tmp_path, status=1, says="Requested operation is presently disabled\nfor job 17")
    line = ended("train", tmp_path, "--resume", SLURM_JOB_ID="17")
    refusal = "; job 17 could not be requeued (Requested operation is presently disabled for job 17)"
    assert line == f"{refusal}; continue with: botan-fast train --train a.npz -o run --resume"


def test_without_scontrol(tmp_path):
    line = ended("train", tmp_path, "--resume", SLURM_JOB_ID="17", PATH=str(tmp_path))
    assert line.startswith("; job 17 could not be requeued (there is no scontrol in PATH); continue with: ")


def test_scontrol_that_does_not_answer(monkeypatch, tmp_path):
    from botan_fast.cli import requeue

    program = tmp_path / "scontrol"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(requeue, "_PATIENCE", 0.1)
    assert requeue._ask("17") == "scontrol did not answer within 0 s"


@pytest.mark.parametrize(
    ("more", "number", "job", "said"),
    [
        ([], signal.SIGUSR1, {}, "; continue with: botan-fast train "),
        (["--resume"], signal.SIGTERM, {"SLURM_JOB_ID": "17"}, "; continue with: "),  # SLURM requeues what it preempts
        (["--resume"], signal.SIGUSR1, {"SLURM_JOB_ID": "17", "SLURM_PROCID": "1"}, "; continue with: "),
        ([], signal.SIGUSR1, {"SLURM_JOB_ID": "17"}, "; job 17 is not requeued, as its command has no --resume; "),
        (["--resume"], signal.SIGUSR1, {"SLURM_JOB_ID": "17", "BOTAN_FAST_PARENT": str(os.getpid())}, "; continue "),
    ],
    ids=["no SLURM", "SIGTERM", "not the first process", "no --resume", "a worker's child"],
)
def test_when_the_job_is_not_requeued(more, number, job, said, tmp_path):
    fake_scontrol(tmp_path)
    assert ended("train", tmp_path, *more, number=number, **job).startswith(said)
    assert asked(tmp_path) == []


def test_of_several_processes_the_first_one_speaks_and_requeues(tmp_path):
    fake_scontrol(tmp_path)
    job = {"SLURM_JOB_ID": "17", "SLURM_PROCID": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "2000"}
    code = COMMAND.format(command="train", number=int(signal.SIGUSR1), early=False)
    command = [sys.executable, "-c", code, *ARGUMENTS["train"], "--resume"]
    for rank, said in (("1", ""), ("0", "botan-fast: interrupted; all is kept; job 17 is requeued\n")):
        assert asked(tmp_path) == []
        environment = environment_of({**job, "RANK": rank}, tmp_path)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (138, "", said)
    assert [call["arguments"] for call in asked(tmp_path)] == [["requeue", "17"]]


@pytest.mark.parametrize(("rank", "expected"), [("0", "17"), ("1", None)])
def test_the_first_of_the_processes_of_torchrun(rank, expected, monkeypatch):
    from botan_fast.cli.requeue import job_name

    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_PROCID", "0")  # torchrun is one task of SLURM on each machine
    monkeypatch.setenv("RANK", rank)
    assert job_name() == expected


def test_a_command_without_something_to_continue_ends(tmp_path):
    fake_scontrol(tmp_path)
    assert ended("evaluate", tmp_path, SLURM_JOB_ID="17") == ""
    assert asked(tmp_path) == []


@pytest.mark.parametrize(("command", "expected"), [("convert", (0, "done\n", "")), ("evaluate", (138, "", ONE_LINE))])
def test_a_signal_before_the_command_is_known(command, expected, tmp_path):
    """What goes on when it is repeated may end before it is due; then there is nothing to requeue. Others end."""
    fake_scontrol(tmp_path)
    code = f"""
import os, signal, sys
from botan_fast.interruption import install
install()
os.kill(os.getpid(), signal.SIGUSR1)
from botan_fast.cli import entry
entry.{command}.run = lambda arguments: print("done") or 0
sys.argv = ["botan-fast", "{command}", *sys.argv[1:]]
sys.exit(entry.main())
"""
    arguments = [sys.executable, "-c", code, *ARGUMENTS[command]]
    environment = environment_of({"SLURM_JOB_ID": "17"}, tmp_path)
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == expected
    assert asked(tmp_path) == []


def test_train_itself_leaves_signals_to_its_caller(tiny_data):
    """In a library it is the caller who decides what a signal does."""
    from tests.helpers.runs import run

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
    before, within = [signal.getsignal(number) for number in numbers], []
    run(tiny_data, epochs=1, callbacks=[lambda row: within.append([signal.getsignal(number) for number in numbers])])
    assert within == [before]
    assert [signal.getsignal(number) for number in numbers] == before

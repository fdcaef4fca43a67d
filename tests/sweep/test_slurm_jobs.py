"""Arrays of jobs that really run: under submitit's local and debug executors, and under a SLURM of one machine.

The tasks are fake and take milliseconds; workers, claims, signals and processes are real.
"""

import os
import shlex
import signal
import subprocess
import sys

import pytest

from botan_fast.sweep import slurm as module
from botan_fast.sweep.manifest import Manifest
from botan_fast.sweep.slurm import submit
from botan_fast.sweep.states import Board
from tests.helpers.fake_sweeps import (
    COMMAND,
    ROOT,
    done,
    fake,
    make_sweep,
    parents,
    processes_of,
    record,
    start_command,
    starts,
    wait_until,
)

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are found by /proc")
LONG = 600.0  # seconds: a task that is to be interrupted


@pytest.fixture(autouse=True)
def fake_tasks(monkeypatch):
    """Jobs work on fake tasks."""
    monkeypatch.setattr(module, "_COMMAND", COMMAND)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))


def two_stages():
    first = [fake(f"data{k}", stage="data") for k in range(3)]
    return first + [fake(f"train{k}", f"data{k % 3}", stage="train", seconds=0.02) for k in range(8)]


def submit_all(folder, executor="slurm", *words, arguments=()):
    board = Board(folder)
    before = board.watch.now()
    words = ["time=30", *words]

    def finished(task):
        return board.state(task.name).kind == "done"

    arguments = ["--retry-before", repr(before), *arguments]
    return submit(folder, board.manifest, finished, executor, words=words, arguments=arguments, tell=len)


def each_once(folder, tasks):
    """Every task is done, and was begun and ended once."""
    names = sorted(task.name for task in tasks)
    return done(folder) == names == sorted(record(folder, "ends")) == sorted(starts(folder))


def released(folder, name):
    return any(path.name.startswith("released.") for path in (folder / "tasks" / name).iterdir())


@pytest.mark.parametrize(
    ("executor", "words"), [("local", ["jobs=3"]), ("local", ["workers_per_job=2"]), ("debug", [])]
)
def test_here(tmp_path, executor, words):
    folder = make_sweep(tmp_path / "sweep", two_stages())
    submit_all(folder, executor, *words)
    assert each_once(folder, two_stages())


def test_an_array_for_each_stage(tmp_path, slurm):
    folder = make_sweep(tmp_path / "sweep", two_stages())
    assert submit_all(folder, "slurm", "train.jobs=4") == ["101", "102"]
    slurm.finish()
    assert each_once(folder, two_stages())
    assert slurm.runs == ["101_0", "101_1", "101_2", "102_0", "102_1", "102_2", "102_3"]
    assert submit_all(folder) == []


def test_a_second_submission_beside_the_first_is_harmless(tmp_path, slurm):
    folder = make_sweep(tmp_path / "sweep", two_stages())
    submit_all(folder)
    submit_all(folder)
    slurm.finish()
    assert each_once(folder, two_stages())
    assert len(slurm.runs) == 22


def long_task(tmp_path):
    """A sweep of a task that takes long, and of one that takes nothing."""
    return make_sweep(tmp_path / "sweep", [fake("long", seconds=LONG), fake("short", stage="other")])


def shorten(folder):
    """From now on the long task is short."""
    Manifest([fake("long"), fake("short", stage="other")]).write(folder)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_whose_time_is_over_saves_and_goes_on(tmp_path, slurm, workers):
    folder = long_task(tmp_path)
    submit_all(folder, "slurm", f"workers_per_job={workers}")
    slurm.start()
    wait_until(lambda: starts(folder, "long"))
    slurm.signal("101", signal.SIGUSR2)
    slurm.processes["101"].wait(60)
    assert released(folder, "long")  # by a worker that was asked to, not left to be found stale
    assert not (folder / "tasks/long/failed.json").exists()
    assert (slurm.state / "101.requeue").exists()
    shorten(folder)
    slurm.finish()
    assert slurm.runs == ["101", "102", "101"]
    assert done(folder) == ["long", "short"]
    assert len(starts(folder, "long")) == 2


def test_submitit_starts_a_job_again_here_too(tmp_path):
    import submitit

    from botan_fast.sweep.array_job import ArrayJob

    folder = long_task(tmp_path)
    executor = submitit.LocalExecutor(tmp_path / "jobs")
    executor.update_parameters(timeout_min=5, signal_delay_s=60)
    job = executor.submit(ArrayJob([*COMMAND, "-o", str(folder), "--worker"], 30.0))
    try:
        wait_until(lambda: starts(folder, "long"))
        worker = parents()[starts(folder, "long")[0]]
        of_submitit = parents()[worker]
        shorten(folder)
        os.kill(of_submitit, signal.SIGUSR2)
        assert job.result() == 0
    finally:
        job.cancel()
    assert done(folder) == ["long", "short"]
    assert len(starts(folder, "long")) == 2
    assert released(folder, "long")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_after_scancel_and_after_a_lost_node_the_same_command_goes_on(tmp_path, slurm, number):
    folder = long_task(tmp_path)
    submit_all(folder, "slurm", "signal_delay_s=2")
    slurm.start()
    wait_until(lambda: starts(folder, "long"))
    task = starts(folder, "long")[0]
    slurm.signal("101", number)
    slurm.processes["101"].wait(60)
    wait_until(lambda: not os.path.exists(f"/proc/{task}"))  # nothing of it goes on unseen
    shorten(folder)
    submit_all(folder)
    slurm.finish()
    assert done(folder) == ["long", "short"]
    assert len(starts(folder, "long")) == 2
    assert not (folder / "tasks/long/failed.json").exists()


def test_what_fails_is_not_tried_by_the_other_jobs_of_the_array(tmp_path, slurm):
    tasks = [fake("bad", fails="no such data"), *(fake(f"good{k}") for k in range(4))]
    folder = make_sweep(tmp_path / "sweep", tasks)
    submit_all(folder)
    slurm.finish()
    assert len(slurm.runs) == 5
    assert len(starts(folder, "bad")) == 1
    assert done(folder) == ["good0", "good1", "good2", "good3"]
    (folder / "record/repaired").touch()
    submit_all(folder)
    slurm.finish()
    assert len(slurm.runs) == 6
    assert len(starts(folder, "bad")) == 2
    assert "bad" in done(folder)


def test_a_script_of_ones_own_is_put_back_too(tmp_path, slurm):
    """The array of docs/training.md: SIGUSR1 (#SBATCH --signal=USR1@180) stops the worker, which asks scontrol."""
    folder = long_task(tmp_path)
    script = tmp_path / "sweep.sh"
    command = shlex.join([sys.executable, *COMMAND, "-o", str(folder), "--worker"])
    script.write_text(f"#!/bin/bash\n#SBATCH --array=0-1\n#SBATCH --signal=USR1@180\nsrun {command}\n")
    subprocess.run(["sbatch", script], check=True)
    slurm.start()
    wait_until(lambda: starts(folder, "long"))
    # The other job has done the short task, and leaves the long one to this one.
    wait_until(lambda: done(folder) == ["short"] and any(slurm.over(job) for job in ("101_0", "101_1")))
    [job] = [job for job in ("101_0", "101_1") if not slurm.over(job)]
    slurm.signal(job, signal.SIGUSR1)
    assert slurm.processes[job].wait(60) == 128 + signal.SIGUSR1
    assert released(folder, "long")
    assert f"job {job} is requeued" in (slurm.state / f"{job}.log").read_text()
    shorten(folder)
    slurm.finish()
    assert slurm.runs == ["101_0", "101_1", job]
    assert done(folder) == ["long", "short"]
    assert len(starts(folder, "long")) == 2


@pytest.mark.parametrize(
    ("executor", "number", "terminal"),
    [("local", signal.SIGINT, True), ("local", signal.SIGTERM, False), ("debug", signal.SIGINT, True)],
)
def test_the_command_that_waits_for_local_jobs_ends_them(tmp_path, executor, number, terminal):
    """Ctrl-C in a terminal reaches the jobs too, a signal to the command does not."""
    folder = long_task(tmp_path)
    process = start_command(folder, "--executor", executor, "--slurm-option", "time=30")
    wait_until(lambda: starts(folder, "long"))
    if terminal:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + number, error
    assert "the same command continues" in error.splitlines()[-1]
    wait_until(lambda: not processes_of(folder))
    assert released(folder, "long")
    shorten(folder)
    again = start_command(folder, "--executor", executor, "--slurm-option", "time=30")
    assert again.communicate(timeout=60)[0].endswith(f"2 of 2 tasks done\nnext: botan-fast collect {folder}\n")
    assert again.returncode == 0
    assert len(starts(folder, "long")) == 2

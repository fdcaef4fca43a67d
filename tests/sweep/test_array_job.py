"""A job of a cluster and its workers: every way in which it can be ended, with real processes and real signals."""

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from botan_fast.sweep.array_job import ArrayJob

# A worker that says when it is there, saves when it is asked to end, and ends with a status of its own.
WORKER = """
import os, signal, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
def save(number, frame):
    (folder / "saved").write_text(str(number))
    sys.exit(143)
signal.signal(signal.SIGTERM, {term})
(folder / "started").write_text(str(os.getpid()))
while not (folder / "release").exists():
    time.sleep(0.01)
sys.exit(int(sys.argv[2]))
"""
PATIENT = WORKER.format(term="save")
DEAF = WORKER.format(term="signal.SIG_IGN")
SLOW = 30.0  # seconds after which a test that waits has failed


def until(found):
    end = time.monotonic() + SLOW
    while not found():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Has the process ended? A zombie that its parent does not fetch has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Job:
    """An `ArrayJob` in a process of its own, as submitit would have it."""

    def __init__(self, folder: Path, worker: str, executor: str, patience: float = 20.0, status: int = 0):
        code = f"""
            import signal, sys
            from botan_fast.sweep.array_job import ArrayJob
            signal.signal(signal.SIGTERM, lambda *_: None)  # submitit passes over it
            job = ArrayJob(["-c", {worker!r}, {str(folder)!r}, "{status}"], {patience})
            def checkpoint(number, frame):
                after = job.checkpoint()
                print("again", after.function.arguments[2], flush=True)
                sys.exit(99)
            signal.signal(signal.SIGUSR2, checkpoint)
            print("status", job(), flush=True)
        """
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "SUBMITIT_EXECUTOR": executor},
            stdout=subprocess.PIPE,
            text=True,
        )
        until(lambda: (folder / "started").exists() and (folder / "started").read_text())
        self.worker = int((folder / "started").read_text())

    def ended(self) -> tuple[int, str]:
        output, _ = self.process.communicate(timeout=SLOW)
        return self.process.returncode, output


@pytest.fixture
def job(tmp_path):
    """A function that starts a job; what is left of it is killed after the test."""
    jobs = []

    def start(*arguments, **options):
        jobs.append(Job(tmp_path, *arguments, **options))
        return jobs[-1]

    yield start
    for one in jobs:
        one.process.kill()
        one.process.communicate()
        if not gone(one.worker):
            os.kill(one.worker, signal.SIGKILL)


@pytest.mark.parametrize(
    ("executor", "status", "expected"),
    [
        ("slurm", 0, (0, "status 0\n")),
        ("slurm", 1, (1, "")),  # sacct shows that tasks failed
        ("local", 1, (1, "")),
        ("debug", 1, (0, "status 1\n")),  # the process is the user's command
    ],
)
def test_the_status_of_the_workers(job, tmp_path, executor, status, expected):
    started = job(PATIENT, executor, status=status)
    (tmp_path / "release").touch()
    assert started.ended() == expected
    assert gone(started.worker)


def test_a_time_out_saves_before_the_job_is_put_back(job, tmp_path):
    started = job(PATIENT, "slurm")
    started.process.send_signal(signal.SIGUSR2)
    assert started.ended() == (99, f"again {tmp_path}\n")
    assert (tmp_path / "saved").read_text() == str(int(signal.SIGTERM))
    assert gone(started.worker)


def test_workers_that_do_not_end_are_killed(job, tmp_path):
    started = job(DEAF, "slurm", patience=0.3)
    started.process.send_signal(signal.SIGUSR2)
    assert started.ended()[0] == 99
    assert gone(started.worker)


def test_the_signal_of_a_time_out_does_not_reach_the_workers(job, tmp_path):
    """Some SLURMs send it to every process of a job; Python without a handler dies of it."""
    started = job(PATIENT, "slurm")
    os.kill(started.worker, signal.SIGUSR2)
    (tmp_path / "release").touch()
    assert started.ended() == (0, "status 0\n")


@pytest.mark.parametrize("executor", ["slurm", "local"])
def test_scancel_saves(job, tmp_path, executor):
    started = job(PATIENT, executor, patience=1.0)
    began = time.monotonic()
    started.process.terminate()
    assert started.ended() == (143, "")
    assert (tmp_path / "saved").exists()
    # A job that is preempted has to be there when SLURM puts it back into the queue.
    assert executor == "local" or time.monotonic() - began >= 1.0


def test_a_preemption_saves_at_the_first_signal_and_is_put_back_at_the_second(job, tmp_path):
    started = job(PATIENT, "slurm", patience=SLOW)
    started.process.terminate()
    until(lambda: gone(started.worker))
    started.process.send_signal(signal.SIGUSR2)
    assert started.ended() == (99, f"again {tmp_path}\n")


def test_ctrl_c_stops_the_workers(job, tmp_path):
    started = job(PATIENT, "debug")
    started.process.send_signal(signal.SIGINT)
    assert started.ended()[0] != 0
    assert (tmp_path / "saved").exists()
    assert gone(started.worker)


def test_what_submitit_keeps_is_a_name_and_plain_values():
    import cloudpickle

    job = ArrayJob(["-m", "botan_fast"], 3.0)
    job._workers = object()  # a process cannot be kept
    kept = cloudpickle.dumps(job)
    found = pickle.loads(kept)
    assert (type(found), found.arguments, found.patience, found._workers) == (ArrayJob, ("-m", "botan_fast"), 3.0, None)
    assert b"botan_fast.sweep.array_job" in kept
    assert len(kept) < 200


def test_workers_know_whom_they_work_for(tmp_path):
    code = f"import os; open({str(tmp_path / 'parent')!r}, 'w').write(os.environ['BOTAN_FAST_PARENT'])"
    assert ArrayJob(["-c", code], 1.0)() == 0
    assert (tmp_path / "parent").read_text() == str(os.getpid())
    assert "BOTAN_FAST_PARENT" not in os.environ

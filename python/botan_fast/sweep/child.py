"""The process that carries out a task: an ordinary command of botan_fast, with its environment, log, and end."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import printable, write_bytes

if TYPE_CHECKING:
    from .manifest import Task

__all__ = [
    "INTERRUPTED",
    "Child",
    "Resources",
    "environment",
    "explain",
    "remove_locks",
    "safe_path",
    "task_argv",
    "write_options",
]

# Ends of a process that was asked to stop, or killed from outside; -9 is also the kernel's where memory ran out.
INTERRUPTED = {130, 143, 129, 138} | {
    -int(number)
    for number in (
        *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL),
        *(signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU),
    )
}
# Variables that mean "one of several processes of one program": torchrun, SLURM, MPI. A task is a program of its own.
_OF_A_GROUP = re.compile(
    "RANK|WORLD_SIZE|LOCAL_RANK|LOCAL_WORLD_SIZE|(GROUP|ROLE)_.*|MASTER_(ADDR|PORT)|"
    "(TORCHELASTIC|SLURM|PMI|PMIX|PMI2|OMPI|MPI|MPIEXEC|HYDRA)_.*|PMI_?.*"
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_WITH_THREADS = ("train", "baseline", "convert", "evaluate")  # simulate: its bits depend on them, the plan decides
_WITH_DEVICE = ("train", "evaluate")


@dataclass(frozen=True)
class Resources:
    """What a worker may give to its tasks; None: what they find.

    threads   threads of each task
    device    --device of each task: "cpu", "cuda"
    """

    threads: int | None = None
    device: str | None = None


def task_argv(task: Task, place: Path, resources: Resources) -> list[str]:
    """The command of a task, for its folder tasks/NAME, where run.toml is: what a user could type.

    A task that ran before continues: train resumes, simulate and convert continue what is not finished. What is
    finished is written again with the same content; train leaves it as it is.
    """
    words = [sys.executable, "-m", "botan_fast", task.command, "--config", str(place / "run.toml"), "--quiet"]
    if task.command == "train":
        words.append("--resume")
    output = task.options.get("output")
    if task.command in ("convert", "evaluate", "baseline") and output and os.path.exists(place / output):
        words.append("--force")
    if resources.threads is not None and task.command in _WITH_THREADS and "threads" not in task.options:
        words += ["--threads", str(resources.threads)]
    if resources.device is not None and task.command in _WITH_DEVICE and "device" not in task.options:
        words += ["--device", resources.device]
    return words


def environment(resources: Resources, base: Mapping[str, str]) -> dict[str, str]:
    """The environment of a task: the worker's own, less what makes one of several processes of it."""
    result = {name: value for name, value in base.items() if not _OF_A_GROUP.fullmatch(name)}
    if resources.threads is not None:
        result |= dict.fromkeys(_THREADS, str(resources.threads))
    return result | safe_path() | {"BOTAN_FAST_PARENT": str(os.getpid())}


def safe_path() -> dict[str, str]:
    """The variable by which Python does not look for modules in the current folder, unless this process does.

    `python -m` would put it first, and a user's random.py there would be taken for Python's.
    """
    try:
        here = os.getcwd()
    except OSError:  # it was removed
        return {}
    return {} if {"", here} & set(sys.path) else {"PYTHONSAFEPATH": "1"}


def write_options(task: Task, place: Path) -> None:
    """Write run.toml, the options of a task, with the command that carries it out; make the folder of its output."""
    import tomli_w

    more = " --resume" if task.command == "train" else ""
    options = {name: value for name, value in task.options.items() if value is not None}
    head = f"# botan-fast {task.command} --config run.toml{more}\n"
    if output := options.get("output"):
        (place / output).resolve().parent.mkdir(parents=True, exist_ok=True)
    write_bytes(place / "run.toml", (head + tomli_w.dumps(options)).encode())


def remove_locks(task: Task, folder: Path) -> None:
    """Remove the locks of a task's output: their owner is on a machine that is suspended, cut off, or gone.

    Network file systems keep such a lock as long as that machine may come back. A lock on a file that has lost its name
    holds nobody up (see `botan_fast.lock`).
    """
    from .expansion import output_of

    output = folder / output_of(task)
    for lock in (output / ".lock", Path(f"{output}.parts/.lock")):
        with contextlib.suppress(OSError):
            os.unlink(lock)


class Child:
    """A process that waits for `begin`, and never begins where this one dies before.

    The shell reads a line before it becomes the command, with the same process id: meanwhile that can be written down.
    It leads a group of its own, so that Ctrl-C in a terminal reaches the worker alone.
    """

    def __init__(self, argv: list[str], environment: Mapping[str, str], log: Path) -> None:
        with open(log, "ab", buffering=0) as file:
            self._log, self._offset = log, file.tell()
            file.write(f"\n# {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}: {shlex.join(argv)}\n".encode())
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", 'read -r go && exec "$@" </dev/null', "sh", *argv],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=dict(environment),
                start_new_session=True,
            )
        self._lock = threading.Lock()  # between the end of the process and a signal to its number

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def begin(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it was killed meanwhile
            self._process.stdin.write(b"\n")
            self._process.stdin.close()

    def poll(self) -> int | None:
        """Its status, negative for a signal; None while it runs. What it started ends with it."""
        with self._lock:
            if self._process.returncode is None and self._has_ended():
                with contextlib.suppress(OSError):
                    os.killpg(self._process.pid, signal.SIGKILL)
            return self._process.poll()

    def _has_ended(self) -> bool:
        """Has it ended? It is not reaped where that can be told before: till then its number is nobody else's."""
        if not hasattr(os, "waitid"):  # macOS
            return self._process.poll() is not None
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def send(self, number: int) -> None:
        """Send it a signal, to its whole group."""
        with self._lock, contextlib.suppress(OSError):
            if self._process.returncode is None:  # not reaped: the number is nobody else's
                os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)

    def close(self) -> None:
        """End it if it still runs, and wait for that."""
        self.kill()
        while self.poll() is None:
            time.sleep(0.001)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def last_words(self) -> str:
        """The last line that it wrote, an error of botan_fast before others; "" where it wrote none."""
        with contextlib.suppress(OSError), open(self._log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(self._offset, file.tell() - 65536))
            text = file.read().decode(errors="replace")
            lines = [line.strip() for line in re.split("[\r\n]+", text) if line.strip() and not line.startswith("# ")]
            errors = [line for line in lines if line.startswith("botan-fast: error: ")]
            return printable((errors or lines or [""])[-1].removeprefix("botan-fast: error: "), 500)
        return ""


def explain(status: int, last_words: Callable[[], str]) -> str:
    """Why a process failed, in a line.

    >>> from botan_fast.sweep.child import explain
    >>> explain(2, lambda: "--p = 3.0: give a number from 0 to 1"), explain(-11, str)
    ('--p = 3.0: give a number from 0 to 1', 'killed by SIGSEGV')
    """
    if status >= 0:
        return last_words() or f"ended with status {status} without a word"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"killed by {name}" + (", as the system does when memory runs out" if status == -signal.SIGKILL else "")

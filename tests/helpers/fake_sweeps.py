"""Sweeps of tasks that take milliseconds (`fake_task`), the command that works on them, and what their record says.

`python -m tests.helpers.fake_sweeps sweep -o DIR ...` is `botan-fast sweep -o DIR ...` with fake tasks.
"""

import contextlib
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from botan_fast.sweep.manifest import Manifest, Task

ARGV = "tests.helpers.fake_sweeps:argv"
COMMAND = ("-m", "tests.helpers.fake_sweeps", "sweep")
ROOT = Path(__file__).parents[2]
_PROGRAM = str(Path(__file__).with_name("fake_task.py"))


def argv(task, place, resources):
    """The command of a fake task, in place of `botan_fast.sweep.child.task_argv`."""
    options = {"seconds": 0.0, "fails": "", **task.options}
    return [sys.executable, "-S", "-E", _PROGRAM, task.name, str(place), str(options["seconds"]), options["fails"]]


def fake(name, *needs, stage="fake", **options):
    return Task(name, stage, "train", options, needs=tuple(needs))


def make_sweep(folder, tasks):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record").mkdir()
    Manifest(tasks).write(folder)
    return folder


def record(folder, name):
    """The lines of a file of the record."""
    path = folder / "record" / name
    return path.read_text().split("\n")[:-1] if path.exists() else []


def starts(folder, name=None):
    """The tasks that were started, in order, or the process ids of one of them."""
    lines = [line.split() for line in record(folder, "events") if line.startswith("start ")]
    return [words[1] for words in lines] if name is None else [int(words[2]) for words in lines if words[1] == name]


def done(folder):
    """The names of the tasks that are recorded as done."""
    return sorted(path.parent.name for path in folder.glob("tasks/*/done.json"))


def start_command(folder, *options):
    """The command as a process of its own session."""
    command = [sys.executable, *COMMAND, "-o", str(folder), *options]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_until(condition, seconds=30.0):
    """Poll until a condition holds; the time is the patience of a test that will fail, not of one that passes."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def parents():
    """The parent of every process, by /proc."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                fields = Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()
                if fields[0] not in b"ZX":
                    found[int(entry)] = int(fields[1])
    return found


def children(pid):
    return sorted(child for child, parent in parents().items() if parent == pid)


def processes_of(folder):
    """The processes whose command names the folder: the commands of a sweep, their workers, and the tasks."""
    found = []
    for pid in parents():
        with contextlib.suppress(OSError):
            if str(folder).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


if __name__ == "__main__":
    from botan_fast.__main__ import start
    from botan_fast.sweep import pool, slurm, worker

    slurm._COMMAND = COMMAND
    pool.run_pool = partial(pool.run_pool, argv=ARGV)
    worker.work = partial(worker.work, argv=ARGV)
    sys.exit(start())

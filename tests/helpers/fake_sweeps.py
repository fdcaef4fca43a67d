"""Sweeps of tasks that take milliseconds (`fake_task`), and what their record says."""

import sys
from pathlib import Path

from botan_fast.sweep.manifest import Manifest, Task

ARGV = "tests.helpers.fake_sweeps:argv"
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


def done(folder):
    """The names of the tasks that are recorded as done."""
    return sorted(path.parent.name for path in folder.glob("tasks/*/done.json"))

"""The shipped plan on two workers: killed at random moments and continued, its table is that of a sweep left alone."""

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from botan_fast.sweep.manifest import Manifest

WORKERS = 2
KILLS = 5
SEED = 7


def command(*words):
    return [sys.executable, "-m", "botan_fast", *map(str, words)]


def start(folder):
    return subprocess.Popen(
        command("sweep", "quick", "-o", folder, "--workers", WORKERS, "--quiet"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    """Wait for a sweep that is left alone: status 0 and no word."""
    _, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (0, "")


def family(pid):
    """A process and all that came from it, children after their parents."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children = {}
    for line in listed.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def table_of(folder):
    """The rows without seconds and host, as they are written."""
    done = subprocess.run(command("collect", folder, "--complete"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    rows = list(csv.reader(done.stdout.splitlines()))
    assert rows[0][-2:] == ["seconds", "host"]
    return [row[:-2] for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that nobody disturbs."""
    folder = tmp_path_factory.mktemp("whole") / "sweep"
    finish(start(folder))
    return folder


def test_every_kind_of_task_has_its_row(whole):
    rows = [dict(zip(row, cells, strict=True)) for [row, *rest] in [table_of(whole)] for cells in rest]
    assert [row["task"] for row in rows] == [task.name for task in Manifest.read(whole)]
    for row in rows:
        edges = row["stage"] in ("pretrain", "botan", "baseline", "mean")
        nodes = row["stage"] != "pretrain"
        for name, there in (("node", nodes), ("edge", edges)):
            for column in (f"{name}_pearson", f"{name}_pearson_pooled"):
                assert bool(row[column]) == there, (row["task"], column)
                assert not there or -1 <= float(row[column]) <= 1
    assert {row["command"] for row in rows} == {"train", "baseline", "evaluate"}


def test_what_a_second_command_finds_done_it_leaves(whole):
    files = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file() and path.name[0] != "."}
    finish(start(whole))
    assert {path: path.stat().st_mtime_ns for path in files} == files


@pytest.mark.slow
def test_killed_at_random_and_continued_the_table_is_the_same(whole, tmp_path):
    """kill -9 of one process of the sweep, be it the command, a worker or a task, or of all of them."""
    folder, chance = tmp_path / "sweep", random.Random(SEED)
    for number in range(KILLS):
        process = start(folder)
        try:
            # The first ones within the start of a command, the later ones where tasks run.
            leave_alone(process, chance.uniform(0.2, 2.0 + 2.0 * number))
            alive = family(process.pid)
            victims = alive if chance.random() < 0.5 else [chance.choice(alive)]
            for pid in victims:
                kill(pid)
            if process.pid not in victims:  # the others go on
                leave_alone(process, chance.uniform(0.0, 4.0))
        finally:
            kill(process.pid)
            process.communicate()
    finish(start(folder))
    assert table_of(folder) == table_of(whole)
    assert not list(Path(folder).rglob("*.tmp*"))


def leave_alone(process, seconds):
    """Let it work for so long, or until it ends."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

"""How far a sweep is, from the files of its folder."""

import json
import os
from dataclasses import asdict, replace

import pytest

from botan_fast.sweep.claims import Owner, create
from botan_fast.sweep.manifest import Manifest, Task
from botan_fast.sweep.states import Board
from botan_fast.sweep.status import Progress, line, text

ME = Owner.this_process()


def training(name, *needs, stage="botan"):
    return Task(name, stage, "train", {"output": f"../../runs/{name}"}, needs=needs)


def put(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.fixture
def folder(tmp_path):
    """Two pretrainings are done, one of four trainings runs, one has failed; a score needs that one."""
    tasks = [training(f"edges{k}", stage="pretraining") for k in range(2)]
    tasks += [training(f"botan{k}", "edges0") for k in range(4)] + [
        Task("scores", "scores", "evaluate", {}, ("botan1",))
    ]
    Manifest(tasks).write(tmp_path)
    for k, seconds in enumerate((100, 300)):
        put(tmp_path, f"tasks/edges{k}/done.json", {"seconds": seconds})
    owner = replace(ME, host="node7")
    (tmp_path / "tasks/botan0").mkdir(parents=True)
    create(tmp_path / "tasks/botan0/claim.1", json.dumps(asdict(owner)).encode())
    child = put(tmp_path, "tasks/botan0/child.1", {"pid": 1, "start": "1"})
    put(tmp_path, "tasks/botan1/failed.json", {"reason": "no such file", "attempts": 2})
    put(tmp_path, "tasks/.clock", "")
    board = Board(tmp_path)
    began = board.watch.now() - 600
    os.utime(child, (began, began))
    return tmp_path


def test_counts_means_and_rows(folder):
    found = Progress(Board(folder)).look()
    assert found["tasks"] == 7
    assert {kind: found[kind] for kind in ("done", "running", "failed", "blocked", "waiting")} == {
        "done": 2,
        "running": 1,
        "failed": 1,
        "blocked": 1,
        "waiting": 2,
    }
    assert found["stages"]["pretraining"] == {
        "tasks": 2,
        "done": 2,
        "running": 0,
        "failed": 0,
        "blocked": 0,
        "waiting": 0,
        "seconds": 200.0,
    }
    [row] = found["running_tasks"]
    assert (row["name"], row["host"], row["worker"]) == ("botan0", "node7", ME.worker)
    assert row["seconds"] == pytest.approx(600, abs=30)
    assert row["heartbeat"] < 30
    log = str(folder / "tasks/botan1/log.txt")
    assert found["failed_tasks"] == [{"name": "botan1", "reason": "no such file", "attempts": 2, "log": log}]
    assert found["blocked_tasks"] == [{"name": "scores", "need": "botan1"}]
    assert (found["seconds_left"], found["at_least"]) == (None, False)  # no training tells how long one takes
    assert json.loads(json.dumps(found)) == found


def test_epochs_tell_the_time_left(folder):
    put(folder, "runs/botan0/config.json", {"settings": {"epochs": 100}})
    put(folder, "runs/botan0/history.csv", "epoch,seconds\n" + "".join(f"{k},{20 + k % 2}\n" for k in range(40)))
    found = Progress(Board(folder)).look()
    [row] = found["running_tasks"]
    assert (row["epoch"], row["epochs"], row["epoch_seconds"]) == (40, 100, 20.5)
    # 60 epochs of the running one and 100 of each of two others, by one worker.
    assert found["seconds_left"] == pytest.approx(20.5 * 260, abs=1)
    assert line(found) == "2 of 7 tasks done, 1 running, 1 failed, 1 blocked, about 1 h 29 min left"
    assert "  running  botan0  on node7, for 10 min, epoch 40 of 100" in text(found).splitlines()


def test_finished_tasks_of_the_stage_tell_the_time_left(folder):
    put(folder, "tasks/botan2/done.json", {"seconds": 1000})
    found = Progress(Board(folder)).look()
    assert found["seconds_left"] == pytest.approx(1000 - 600 + 1000, abs=30)


@pytest.mark.parametrize("content", ["", "epoch\n1\n", "epoch,seconds\n0,\n", "\0", "epoch,seconds\n0,x\n"])
def test_a_history_that_is_being_written_tells_nothing(folder, content):
    put(folder, "runs/botan0/config.json", {"settings": {"epochs": 100}})
    put(folder, "runs/botan0/history.csv", content)
    assert "epoch" not in Progress(Board(folder)).look()["running_tasks"][0]


def test_a_worker_elsewhere_that_is_silent_is_shown(folder):
    claim = folder / "tasks/botan0/claim.2"
    create(claim, json.dumps(asdict(replace(ME, host="node8", machine="another boot"))).encode())
    old = Board(folder).watch.now() - 300
    os.utime(claim, (old, old))
    found = Progress(Board(folder)).look()
    assert found["running_tasks"][0]["heartbeat"] == pytest.approx(300, abs=30)
    assert "on node8, no heartbeat for 5 min" in text(found)


def test_it_can_be_read_where_nothing_can_be_written(folder):
    (folder / "tasks/.clock").unlink()
    folder.chmod(0o500)
    (folder / "tasks").chmod(0o500)
    try:
        assert Progress(Board(folder)).look()["running"] == 1
    finally:
        for path in (folder, folder / "tasks"):
            path.chmod(0o700)

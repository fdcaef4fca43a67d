"""One worker's life: what it takes, in which order, how it ends, and how it is stopped."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import pytest

from botan_fast.errors import DataError, InputError
from botan_fast.lock import Lock
from botan_fast.sweep import alive, claims
from botan_fast.sweep.claims import Watch
from botan_fast.sweep.states import Board
from botan_fast.sweep.worker import Summary, Worker
from botan_fast.sweep.worker import work as real_work
from tests.helpers.fake_sweeps import ARGV, ROOT, done, fake, make_sweep, parents, record, starts, wait_until

work = partial(real_work, argv=ARGV)


def recorded(folder, name, which="done"):
    return json.loads((folder / f"tasks/{name}/{which}.json").read_text())


def worker_process(folder, **options):
    """A worker that is a process of its own."""
    code = "import json, sys; from botan_fast.sweep.worker import work; work(sys.argv[1], **json.loads(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(folder), json.dumps({"argv": ARGV, **options})]
    return subprocess.Popen(command, cwd=ROOT, start_new_session=True)


def test_tasks_in_their_order_and_those_that_fail_stop_no_others(tmp_path, capfd):
    tasks = [fake("c", fails="--p = 3: give less"), fake("d", "c"), fake("e", "d"), fake("a"), fake("b", "a")]
    folder = make_sweep(tmp_path / "sweep", [*tasks, fake("f", fails="crash")])
    assert work(folder, quiet=False) == Summary(["a", "b"], ["c", "f"], None)
    assert starts(folder) == ["c", "a", "b", "f"]
    states = Board(folder).states()
    assert {name: (state.kind, state.need) for name, state in states.items()} == {
        "c": ("failed", ""),
        "d": ("blocked", "c"),
        "e": ("blocked", "d"),
        "a": ("done", ""),
        "b": ("done", ""),
        "f": ("failed", ""),
    }
    failed = recorded(folder, "c", "failed")
    assert (failed["reason"], failed["status"], failed["attempts"]) == ("--p = 3: give less", 2, 1)
    assert recorded(folder, "f", "failed")["reason"] == "killed by SIGSEGV"
    assert set(recorded(folder, "a")) == {"seconds", "attempts", "host", "finished"}
    assert f"botan-fast: c failed: --p = 3: give less; see {folder}/tasks/c/log.txt" in capfd.readouterr().err
    assert "working\n" in (folder / "tasks/c/log.txt").read_text()


def test_what_failed_is_tried_again_by_the_next_and_only_once(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", fails="wrong"), fake("b", "a")])

    def later():
        """Let the file system's clock, which may tick in steps of milliseconds, leave the last failure behind."""
        failed = (folder / "tasks/a/failed.json").stat().st_mtime
        wait_until(lambda: Watch(folder / "tasks/.clock").now() > failed)

    assert work(folder).failed == ["a"]
    later()
    assert work(folder, skip_failed=True) == Summary([], [], None)
    moment = Board(folder).watch.now()
    assert work(folder).failed == ["a"]
    assert recorded(folder, "a", "failed")["attempts"] == 2
    assert work(folder, retry_before=moment) == Summary([], [], None)  # it has failed since
    later()
    assert work(folder, retry_before=float("inf")).failed == ["a"]  # of the future: it would have no end
    later()
    (folder / "record/repaired").touch()
    assert work(folder) == Summary(["a", "b"], [], None)
    assert not (folder / "tasks/a/failed.json").exists()
    assert starts(folder) == ["a", "a", "a", "a", "b"]


def test_a_finished_task_whose_record_is_missing_is_run_again_and_recorded(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=0.05)])
    work(folder)
    (folder / "tasks/a/done.json").unlink()
    assert work(folder).done == ["a"]
    assert record(folder, "ends") == ["a"]


def test_stop_lets_the_task_save_itself_and_gives_it_back(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60), fake("b")])
    worker = Worker(folder, argv=ARGV)
    thread = threading.Thread(target=worker.run)
    thread.start()
    wait_until(lambda: starts(folder) == ["a"])
    worker.stop(signal.SIGHUP)
    thread.join(30)
    assert worker.summary == Summary([], [], signal.SIGHUP)
    assert (folder / "tasks/a/released.1").exists()
    assert not (folder / "tasks/a/failed.json").exists()
    assert starts(folder, "a")[0] not in parents()
    assert Board(folder).state("a").kind == "ready"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signals_stop_in_order(number, tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60)])
    worker = worker_process(folder)
    wait_until(lambda: starts(folder) == ["a"])
    for _ in range(3):
        worker.send_signal(number)
    assert worker.wait(30) == 0
    assert (folder / "tasks/a/released.1").exists()


def test_it_stops_when_its_parent_is_gone(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60)])
    worker = Worker(folder, argv=ARGV, parent=os.getppid() + 1)  # any that is not
    assert worker.run().stopped == signal.SIGTERM
    assert starts(folder) == []


def test_shards_divide_the_work_and_wait_for_each_other(tmp_path, capfd):
    tasks = [fake("edges", stage="pretraining", seconds=0.2)] + [fake(f"t{k}", "edges") for k in range(5)]
    folder = make_sweep(tmp_path / "sweep", tasks)
    found = {}
    second = threading.Thread(target=lambda: found.update({2: work(folder, shard=(2, 2), quiet=False)}))
    second.start()
    said = ""
    while "waiting" not in said:
        said += capfd.readouterr().err
        time.sleep(0.005)
    assert said == "botan-fast: waiting for edges, of another shard or stage\n"
    found[1] = work(folder, shard=(1, 2))
    second.join(30)
    assert {part: summary.done for part, summary in found.items()} == {
        1: ["edges", "t1", "t3"],
        2: ["t0", "t2", "t4"],
    }
    assert sorted(record(folder, "ends")) == ["edges", "t0", "t1", "t2", "t3", "t4"]


def test_stages_and_no_waiting(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", stage="data"), fake("b", "a", stage="train"), fake("c", "b")])
    assert work(folder, stages=["train"], wait=False) == Summary([], [], None)
    assert work(folder, stages=["data"]).done == ["a"]
    assert work(folder, stages=["train", "fake"], wait=False).done == ["b", "c"]


def test_tasks_in_other_hands_are_left_to_them_but_not_by_one_who_lingers(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60), fake("b")])
    other = worker_process(folder)
    wait_until(lambda: starts(folder) == ["a"])
    assert work(folder).done == ["b"]
    lingering = Worker(folder, argv=ARGV, linger=True)
    thread = threading.Thread(target=lingering.run)
    thread.start()
    other.kill()
    other.wait()
    wait_until(lambda: len(starts(folder, "a")) == 2)  # taken over
    lingering.stop()
    thread.join(30)
    assert (folder / "tasks/a/released.2").exists()


def test_a_suspended_worker_does_not_finish_what_was_taken_over(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=0.6)])
    first = worker_process(folder, stale=0.8)
    wait_until(lambda: starts(folder) == ["a"])
    os.kill(first.pid, signal.SIGSTOP)
    assert work(folder, linger=True).done == ["a"]
    os.kill(first.pid, signal.SIGCONT)
    assert first.wait(30) == 0
    assert record(folder, "ends") == ["a"]
    assert len(starts(folder, "a")) == 2
    assert recorded(folder, "a")["attempts"] == 2


def test_a_suspended_machine_wakes_up_and_ends_its_process(tmp_path, monkeypatch):
    """As on two machines: neither sees the other's processes."""
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=0.6)])
    first = worker_process(folder, stale=0.8)
    wait_until(lambda: starts(folder) == ["a"])
    [task] = starts(folder, "a")
    for pid in (first.pid, task):
        os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(alive, "machine", lambda: "another boot")
    monkeypatch.setattr(claims, "machine", lambda: "another boot")
    assert work(folder, linger=True).done == ["a"]
    os.kill(first.pid, signal.SIGCONT)  # and its task a moment later
    assert first.wait(30) == 0
    assert task not in parents()
    assert record(folder, "ends") == ["a"]
    assert recorded(folder, "a")["attempts"] == 2


def test_a_worker_elsewhere_that_is_silent_is_followed(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    (folder / "tasks/a").mkdir(parents=True)
    owner = claims.Owner("node7-1", "node7", "another boot", 1, "1", 0.4)
    claims.create(folder / "tasks/a/claim.1", json.dumps(vars(owner)).encode())
    claims.create(folder / "tasks/a/child.1", b'{"pid": 1, "start": "1"}')
    (folder / "runs/a").mkdir(parents=True)
    lock = Lock.acquire(folder / "runs/a/.lock")  # which the file server keeps for a machine that may come back
    assert work(folder, linger=True).done == ["a"]
    assert sorted(path.name for path in (folder / "tasks/a").glob("claim.*")) == ["claim.1", "claim.2"]
    assert not (folder / "runs/a/.lock").exists()
    Lock.acquire(folder / "runs/a/.lock").release()
    lock.release()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": (3, 2)}, "shard = 3/2: give part I of N"),
        ({"stages": ["tran"]}, "stage = 'tran': the sweep has fake"),
        ({"stale": 0.0}, "stale = 0.0: give seconds"),
        ({"stale": float("nan")}, "stale = nan: give seconds"),
        ({"retry_before": float("nan")}, "retry_before = nan: give seconds"),
    ],
)
def test_wrong_arguments(options, message, tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    with pytest.raises(InputError, match=message):
        work(folder, **options)


def test_folders_that_are_no_sweep(tmp_path):
    with pytest.raises(DataError, match="holds no sweep"):
        work(tmp_path)
    for name in ("../a", ".a", "", "a/b"):
        make_sweep(tmp_path / f"sweep{len(name)}", [fake(name)])
        with pytest.raises(DataError, match="not one that a plan makes"):
            work(tmp_path / f"sweep{len(name)}")


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])

    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere else
    with pytest.raises(InputError, match=r"folder = '.*/sweep' cannot be written to \(Read-only file system\)"):
        work(folder)


def test_a_full_disk_ends_the_worker_and_no_task_is_lost(tmp_path, monkeypatch):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    write = os.write

    def full(descriptor, content):
        if b"finished" in bytes(content):
            raise OSError(28, "No space left on device")
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as error:
        work(folder)
    assert error.value.filename == str(folder / "tasks/a/done.json")
    monkeypatch.undo()
    assert work(folder).done == ["a"]
    assert done(folder) == ["a"]
    assert record(folder, "ends") == ["a"]

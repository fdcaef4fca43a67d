"""A lock on a file that goes with it: one holder at a time, whatever the others do in between."""

import errno
import fcntl
import multiprocessing
import os
import signal
import time

from botan_fast.lock import Lock


def test_one_holder_at_a_time(tmp_path):
    path = tmp_path / ".lock"
    first = Lock.acquire(path)
    assert Lock.acquire(path) is None
    first.release()
    first.release()
    assert list(tmp_path.iterdir()) == []
    again = Lock.acquire(path)
    assert again is not None
    again.release()


def test_a_file_that_went_meanwhile_is_no_lock(tmp_path, monkeypatch):
    """Opened before the holder removed it, locked afterwards: a lock on nothing."""
    path = tmp_path / ".lock"
    holder = Lock.acquire(path)
    flock, calls = fcntl.flock, []

    def late(descriptor, operation):
        calls.append(descriptor)
        if len(calls) == 1:
            holder.release()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    lock = Lock.acquire(path)
    assert len(calls) == 2
    assert path.exists()
    monkeypatch.undo()
    assert Lock.acquire(path) is None
    lock.release()


def test_a_file_system_without_locks_locks_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    first, second = Lock.acquire(tmp_path / ".lock"), Lock.acquire(tmp_path / ".lock")
    assert first is not None
    assert second is not None
    first.release()
    second.release()


def _hold(path, ready):
    Lock.acquire(path)
    ready.set()
    time.sleep(60)


def test_a_kill_frees_it(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path / ".lock"), ready))
    process.start()
    assert ready.wait(60)
    assert Lock.acquire(tmp_path / ".lock") is None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    lock = Lock.acquire(tmp_path / ".lock")
    assert lock is not None
    lock.release()


def _count(folder, rounds):
    for _ in range(rounds):
        while (lock := Lock.acquire(f"{folder}/.lock")) is None:
            time.sleep(0.0005)
        with open(f"{folder}/number") as file:
            number = int(file.read())
        with open(f"{folder}/number", "w") as file:
            file.write(str(number + 1))
        lock.release()


def test_several_processes_count_without_a_loss(tmp_path):
    (tmp_path / "number").write_text("0")
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_count, args=(str(tmp_path), 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert (tmp_path / "number").read_text() == "400"

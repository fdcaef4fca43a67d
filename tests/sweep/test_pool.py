"""A pool of workers: what each has for itself, what it shows, and what ends it."""

import signal
import sys
import threading

import pytest

from botan_fast.errors import BotanFastError, InputError
from botan_fast.sweep.pool import Pool
from botan_fast.sweep.seats import seats
from botan_fast.sweep.worker import Summary
from tests.helpers.fake_sweeps import ARGV, done, fake, make_sweep, record, starts, wait_until


def pool(folder, **options):
    return Pool(folder, argv=ARGV, **options)


def test_each_worker_has_cores_and_a_gpu_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    folder = make_sweep(tmp_path / "sweep", [fake(f"t{k}", seconds=0.3) for k in range(6)])
    summary = pool(folder, workers=3, device="cuda", progress=False).run()
    assert summary == Summary([f"t{k}" for k in range(6)], [], None)
    expected = {f"{seat.gpu} {seat.threads} {sorted(seat.cores)}" for seat in seats(3, device="cuda")}
    assert set(record(folder, "seats")) <= expected
    assert {line.split()[0] for line in record(folder, "seats")} == {"4", "7"}


def test_a_line_when_a_task_has_ended(tmp_path, capfd):
    folder = make_sweep(tmp_path / "sweep", [fake("a"), fake("b", "a")])
    assert pool(folder, workers=1).run().done == ["a", "b"]
    lines = capfd.readouterr().err.splitlines()
    assert lines[-1] == "botan-fast: 2 of 2 tasks done"
    assert len(set(lines)) == len(lines)
    assert pool(folder, workers=1).run() == Summary([], [], None)


def test_stop_from_another_thread(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60)])
    one = pool(folder, workers=2, progress=False)
    found = []
    thread = threading.Thread(target=lambda: found.append(one.run()))
    thread.start()
    wait_until(lambda: starts(folder) == ["a"])
    one.stop(signal.SIGHUP)
    thread.join(60)
    assert found == [Summary([], [], signal.SIGHUP)]
    assert (folder / "tasks/a/released.1").exists()


def test_workers_that_are_killed_as_soon_as_they_begin_are_not_replaced_for_ever(tmp_path, monkeypatch):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    (tmp_path / "dies").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "dies").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "dies"))
    with pytest.raises(BotanFastError, match="killed by SIGKILL as soon as they begin"):
        pool(folder, workers=1, progress=False).run()
    monkeypatch.undo()
    assert pool(folder, workers=1, progress=False).run().done == ["a"]
    assert done(folder) == ["a"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "workers = 0: give 1 to 1024"),
        ({"workers": 1, "shard": (2, 1)}, "shard = 2/1"),
        ({"workers": 1, "stages": ["x"]}, "stage = 'x': the sweep has fake"),
        ({"workers": 1, "device": "cuda:0"}, "device = 'cuda:0': write cuda"),
    ],
)
def test_wrong_arguments_start_nothing(options, message, tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    with pytest.raises(InputError, match=message):
        pool(folder, **options)
    assert starts(folder) == []

"""Workers that are suspended, as by `scontrol suspend` or a closed laptop, or killed, unseen by each other.

Each has a machine of its own, made up, so that a claim is taken over by its age alone.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from botan_fast.sweep import worker
from botan_fast.sweep.claims import Owner, create
from botan_fast.sweep.worker import Summary, work
from tests.helpers.fake_sweeps import ARGV, ROOT, children, done, fake, make_sweep, record, wait_until

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are found by /proc")
SECONDS = 10.0  # in which they are disturbed
WORKER = f"""
import sys
from botan_fast.sweep import alive, claims
from botan_fast.sweep.worker import work
name, folder = sys.argv[1:]
alive.machine = claims.machine = lambda: name
work(folder, argv={ARGV!r}, stale=1.0, linger=True)
"""


class Workers:
    """Some workers at a time; one that has ended is replaced by one of another machine."""

    def __init__(self, folder, number, rng):
        self.folder, self.rng, self.machines = folder, rng, 0
        self.asleep = {}  # until when, and which processes
        self.errors = open(folder / "errors", "ab")  # noqa: SIM115 (closed by `end`)
        self.there = [self.start() for _ in range(number)]
        self.statuses = set()

    def start(self):
        self.machines += 1
        command = [sys.executable, "-c", WORKER, f"machine{self.machines}", str(self.folder)]
        return subprocess.Popen(command, cwd=ROOT, stderr=self.errors, stdin=subprocess.DEVNULL)

    def disturb(self):
        """kill -9 of a worker, or sleep for some seconds, with its task or without."""
        one = self.rng.choice(self.there)
        if one in self.asleep or one.poll() is not None:
            return
        pids = [one.pid, *(children(one.pid) if self.rng.random() < 0.7 else ())]
        if self.rng.random() < 0.3:
            one.kill()
            return
        for pid in pids:
            send(pid, signal.SIGSTOP)
        self.asleep[one] = (time.monotonic() + self.rng.uniform(0.2, 4.0), pids)

    def look(self, wake=False):
        """Wake those whose time has come, and replace those that have ended."""
        for one, (until, pids) in list(self.asleep.items()):
            if wake or time.monotonic() > until:
                for pid in pids:
                    send(pid, signal.SIGCONT)
                del self.asleep[one]
        for place, one in enumerate(self.there):
            if one.poll() is not None:
                self.statuses.add(one.returncode)
                if not wake:
                    self.there[place] = self.start()

    def end(self):
        self.look(wake=True)
        for one in self.there:
            one.kill()
            one.wait()
        self.errors.close()


def send(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def test_suspended_and_killed_at_random(tmp_path):
    seed = int(os.environ.get("SWEEP_SEED", random.randrange(1 << 30)))
    print(f"SWEEP_SEED={seed}", file=sys.stderr)
    rng = random.Random(seed)
    tasks = [fake(f"data{k}") for k in range(4)]
    tasks += [fake(f"train{k}", f"data{k % 4}", seconds=rng.uniform(0, 0.8)) for k in range(24)]
    names = sorted(task.name for task in tasks)
    folder = make_sweep(tmp_path / "sweep", tasks)
    workers = Workers(folder, 4, rng)
    try:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and done(folder) != names:
            time.sleep(rng.uniform(0.05, 0.3))
            workers.look()
            if rng.random() < 0.6:
                workers.disturb()
        workers.look(wake=True)
        wait_until(lambda: workers.look() or done(folder) == names, 60)
    finally:
        workers.end()
    assert set(record(folder, "ends")) == set(names)
    assert [line for line in record(folder, "events") if not line.startswith("start ")] == []  # nothing is repeated
    assert not list(folder.glob("tasks/*/failed.json"))
    assert workers.statuses <= {0, -signal.SIGKILL}, (folder / "errors").read_text()


def test_a_worker_that_wakes_up_while_it_writes(tmp_path, monkeypatch):
    """The next owner has removed its temporary file."""
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    owner = json.dumps(vars(Owner("node7-1", "node7", "another boot", 1, "1", 60.0))).encode()

    def write(task, place):
        create(place / "claim.2", owner)
        raise FileNotFoundError(2, "No such file or directory", str(place / "run.toml"))

    monkeypatch.setattr(worker, "write_options", write)
    assert work(folder, argv=ARGV) == Summary()
    assert done(folder) == []


def test_one_who_woke_up_too_late_has_removed_a_file_of_the_owner(tmp_path, monkeypatch):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    real, calls = worker.write_options, []

    def write(task, place):
        calls.append(task.name)
        if len(calls) < 3:
            raise FileNotFoundError(2, "No such file or directory", str(place / "run.toml"))
        real(task, place)

    monkeypatch.setattr(worker, "write_options", write)
    assert work(folder, argv=ARGV).done == ["a"]
    calls.clear()
    monkeypatch.setattr(worker, "_TRIES", 2)
    with pytest.raises(FileNotFoundError):  # it is not that
        work(make_sweep(tmp_path / "other", [fake("a")]), argv=ARGV)


def test_a_file_that_cannot_be_written_by_who_holds_the_claim_is_an_error(tmp_path, monkeypatch):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])

    def write(task, place):
        raise OSError(28, "No space left on device", str(place / "run.toml"))

    monkeypatch.setattr(worker, "write_options", write)
    with pytest.raises(OSError, match="No space left"):
        work(folder, argv=ARGV)
    assert (folder / "tasks/a/released.1").exists()

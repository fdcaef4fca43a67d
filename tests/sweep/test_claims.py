"""Claims: one process wins, in whatever order and whoever dies; stale ones are taken over, others are not."""

import errno
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import asdict, replace

import pytest

from botan_fast.sweep import alive, claims
from botan_fast.sweep.claims import Owner, Watch, create, look, take
from tests.helpers.fake_sweeps import wait_until

ME = Owner.this_process()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "task").mkdir()
    return tmp_path / "task"


@pytest.fixture
def watch(tmp_path):
    (tmp_path / ".clock").touch()
    return Watch(tmp_path / ".clock")


def foreign(place, patience, number=1):
    """A claim of a worker on another machine."""
    owner = replace(ME, machine="another boot", host="node7", patience=patience)
    create(place / f"claim.{number}", json.dumps(asdict(owner)).encode())
    return place / f"claim.{number}"


def test_a_claim_is_taken_once_and_again_after_its_release(place, watch):
    claim = take(place, look(place), ME, watch)
    assert (claim.number, watch.is_free(place, look(place))) == (1, False)
    assert take(place, claims.Look(), ME, watch) is None  # one who looked before
    claim.release(2.5)
    seen = look(place)
    assert (seen.number, seen.released, watch.is_free(place, seen)) == (1, True, True)
    assert json.loads((place / "released.1").read_text()) == {"seconds": 2.5}
    second = take(place, seen, ME, watch)
    assert (second.number, second.holds(), claim.holds()) == (2, True, False)
    second.release()
    assert sorted(os.listdir(place)) == ["claim.1", "claim.2", "released.1", "released.2"]


def test_of_many_processes_one_makes_each_claim(tmp_path):
    """Six processes race for a hundred names; each says what it made."""
    code = (
        "import sys, pathlib\n"
        "from botan_fast.sweep.claims import create\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "sys.stdin.read()\n"
        "print(*[k for k in range(100) if create(folder / f'claim.{k}', sys.argv[2].encode())])"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), f"racer {k}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for k in range(6)
    ]
    made = [racer.communicate()[0].split() for racer in racers]
    assert Counter(name for names in made for name in names) == Counter(str(k) for k in range(100))
    for k, names in enumerate(made):
        assert all((tmp_path / f"claim.{name}").read_text() == f"racer {k}" for name in names)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def test_an_answer_that_the_network_lost(place, monkeypatch):
    """The server has made the link, and refuses the repeated request."""
    link = os.link

    def lost(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", lost)
    assert create(place / "claim.1", b"mine")
    assert not create(place / "claim.1", b"too late")
    assert (place / "claim.1").read_bytes() == b"mine"


@pytest.mark.parametrize("error", [FileExistsError, FileNotFoundError])
def test_the_winner_has_cleared_the_folder_meanwhile(error, place, monkeypatch):
    def cleared(source, target):
        os.unlink(source)
        raise error(source)

    monkeypatch.setattr(os, "link", cleared)
    assert not create(place / "claim.1", b"too late")


def test_a_file_system_without_links(place, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert create(place / "claim.1", b"mine")
    assert not create(place / "claim.1", b"too late")
    assert os.listdir(place) == ["claim.1"]


def test_a_full_disk_names_the_file(place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left") as error:
        create(place / "claim.1", b"mine")
    assert error.value.filename == str(place / "claim.1")
    assert os.listdir(place) == []


def test_a_dead_process_of_this_machine_is_stale_at_once(place, watch):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    start = alive.start_of(gone.pid)
    gone.wait()
    create(place / "claim.1", json.dumps(asdict(replace(ME, pid=gone.pid, start=start or "0"))).encode())
    assert watch.is_free(place, look(place))
    # The number is in use again, by a process that began at another time.
    create(place / "claim.2", json.dumps(asdict(replace(ME, start="1"))).encode())
    assert watch.is_free(place, look(place))
    create(place / "claim.3", json.dumps(asdict(ME)).encode())
    assert not watch.is_free(place, look(place))


def test_a_zombie_is_dead():
    child = subprocess.Popen([sys.executable, "-c", ""])
    start = alive.start_of(child.pid)
    wait_until(lambda: not alive.is_alive(child.pid, start or ""))  # nobody has waited for it
    child.wait()


def test_a_silent_worker_elsewhere_is_stale_and_a_busy_one_is_not(place, watch):
    claim = foreign(place, patience=0.5)
    end = time.monotonic() + 1.2
    while time.monotonic() < end:
        os.utime(claim)
        assert not watch.is_free(place, look(place))
        time.sleep(0.01)
    silent = time.monotonic()
    wait_until(lambda: watch.is_free(place, look(place)))
    assert time.monotonic() - silent > 0.45


def test_an_old_claim_must_have_been_seen_unchanged(place, watch):
    """A clock that is wrong by an hour takes nobody's task away."""
    claim = foreign(place, patience=0.8)
    os.utime(claim, (time.time() - 3600, time.time() - 3600))
    first = time.monotonic()
    assert not watch.is_free(place, look(place))
    wait_until(lambda: watch.is_free(place, look(place)))
    assert time.monotonic() - first > 0.24  # 2.5 of 8 heartbeats, far less than an hour


def test_a_claim_of_the_future_becomes_stale(place, watch):
    claim = foreign(place, patience=0.3)
    os.utime(claim, (time.time() + 3600, time.time() + 3600))
    assert not watch.is_free(place, look(place))
    wait_until(lambda: watch.is_free(place, look(place)))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"worker": 1}', json.dumps({**asdict(ME), "pid": "1"})])
def test_a_claim_of_nobody_known_is_judged_by_its_age(place, watch, content):
    create(place / "claim.1", content.encode())
    assert watch.owner(place / "claim.1") is None
    assert not watch.is_free(place, look(place))
    watch._seen[place / "claim.1"] = (os.stat(place / "claim.1").st_mtime_ns, time.monotonic() - claims.PATIENCE)
    assert watch.is_free(place, look(place))


def test_a_heartbeat_keeps_a_claim_and_ends_when_another_has_taken_it(place, watch):
    claim = take(place, look(place), replace(ME, patience=0.4), watch)
    lost = threading.Event()
    claim.lost = lost.set
    first = os.stat(place / "claim.1").st_mtime_ns
    wait_until(lambda: os.stat(place / "claim.1").st_mtime_ns > first)
    assert not lost.is_set()
    foreign(place, 60, number=2)
    assert lost.wait(30)
    assert not claim.holds()
    claim.release()


def test_who_takes_over_from_a_silent_owner_waits_for_two_of_its_heartbeats(place, watch):
    foreign(place, patience=1.6)
    began = time.monotonic()
    claim = take(place, look(place), ME, watch)
    assert claim.clear()
    assert time.monotonic() - began >= 0.4
    claim.release()


def test_processes_of_all_earlier_claims_end_before_the_next_begins(place, watch):
    """Two owners died; the process of the first is still there, and saves itself for a while."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), sys.exit(0)))\n"
        "print(flush=True)\n"
        "time.sleep(60)"
    )
    left = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    left.stdout.read(1)
    dead = json.dumps(asdict(replace(ME, start="1"))).encode()
    create(place / "claim.1", dead)
    create(place / "child.1", json.dumps({"pid": left.pid, "start": alive.start_of(left.pid)}).encode())
    create(place / "claim.2", dead)
    (place / ".run.0123456789ab.tmp.toml").touch()
    claim = take(place, look(place), ME, watch)
    assert claim.clear()
    assert not alive.is_alive(left.pid, "")
    assert left.wait() == 0  # it was asked, not killed
    assert [name for name in os.listdir(place) if name.startswith(".")] == []
    claim.release()


def test_a_process_that_has_the_number_now_is_left_alone(place, watch):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    create(place / "claim.1", json.dumps(asdict(replace(ME, start="1"))).encode())
    create(place / "child.1", json.dumps({"pid": other.pid, "start": "1"}).encode())
    claim = take(place, look(place), ME, watch)
    assert claim.clear()
    assert other.poll() is None
    other.kill()
    other.wait()
    claim.release()


# ---- every order of events ------------------------------------------------------------------------------------------


class Simulated:
    """A worker in steps, between which others take theirs; what it must not do is asserted."""

    def __init__(self, rng, pid, places, watch, living, busy):
        self.rng = rng
        self.owner = replace(ME, pid=pid, start="s", worker=f"w{pid}")
        self.places, self.watch, self.living, self.busy = places, watch, living, busy
        living.add(pid)
        self.claim = None

    def life(self):
        for place in [place for _ in range(3) for place in self.places]:
            seen = look(place)
            while self.rng.random() < 0.8:  # what it has seen grows old
                yield
            if "done.json" in seen.names or not self.watch.is_free(place, seen):
                continue
            yield
            self.claim = take(place, seen, self.owner, self.watch)
            yield
            if self.claim is None:
                continue
            if "done.json" not in look(place).names:
                yield
                assert not (place / "done.json").exists(), "a finished task is begun again"
                assert {pid for pid, task in self.busy.items() if task == place} == set(), "two at one task"
                self.busy[self.owner.pid] = place
                yield
                yield
                del self.busy[self.owner.pid]
                if self.claim.holds():
                    yield
                    create(place / "done.json", b"{}")
            yield
            self.claim.release()
            self.claim = None

    def die(self):
        self.living.discard(self.owner.pid)
        self.busy.pop(self.owner.pid, None)  # its process ends with it, see `Claim.clear`
        if self.claim is not None:
            self.claim._ended.set()


@pytest.mark.parametrize("seed", range(60))
def test_any_order_and_any_death(seed, tmp_path, watch, monkeypatch):
    rng = random.Random(seed)
    living, busy, pids = set(), {}, iter(range(1, 1000))
    monkeypatch.setattr(claims, "is_alive", lambda pid, start: pid in living)
    places = [tmp_path / f"task{k}" for k in range(3)]
    for place in places:
        place.mkdir()
    workers = []
    deaths = 0
    while not all((place / "done.json").exists() for place in places):
        if len(workers) < 4:
            worker = Simulated(rng, next(pids), rng.sample(places, 3), watch, living, busy)
            workers.append((worker, worker.life()))
        chosen = rng.randrange(len(workers))
        worker, life = workers[chosen]
        if deaths < 30 and rng.random() < 0.1:
            worker.die()
            deaths += 1
            del workers[chosen]
        elif next(life, "over") == "over":
            del workers[chosen]
    for worker, _ in workers:
        worker.die()

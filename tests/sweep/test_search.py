"""The search: trials are tasks, asked for and told once, whoever is killed."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest

from botan_fast.errors import InputError
from botan_fast.sweep.manifest import Manifest
from botan_fast.sweep.opening import open_sweep
from botan_fast.sweep.search import JOURNAL, more_tasks
from botan_fast.sweep.table import collect

optuna = pytest.importorskip("optuna", reason="the extra search is not installed")

PLAN = """
[defaults.train]
train = "{shipped}/demo.h5"
time = 4

[[stage]]
name = "pre"
command = "train"
options = { p = 0 }

[search]
trials = 6
metric = "validation_loss"
seed = 5

[search.options]
init = "{pre}"
validation = 2
epochs = 3
p = { low = 0.1, high = 0.9 }
learning_rate = { low = 1e-5, high = 1e-2, log = true }
num_steps = { low = 2, high = 8 }
node_inputs = { choices = [["type"], ["type", "force"]] }
"""


def begin(folder, text=PLAN):
    folder.mkdir(exist_ok=True)
    (folder / "plan.toml").write_text(text)
    open_sweep(folder / "plan.toml", folder / "sweep")
    finish(folder / "sweep", "pre")
    return folder / "sweep"


def finish(sweep, name, value=None):
    """What a worker and the command leave of a task; the value is the validation loss."""
    run, state = sweep / "runs" / name, sweep / "tasks" / name
    run.mkdir(exist_ok=True)
    (run / "config.json").write_text(json.dumps({"settings": {"validation": 2, "p": 0.4}, "model": {}}))
    (run / "history.csv").write_text(
        f"epoch,train_loss,validation_loss\n0,1.0,{'' if value is None else repr(value)}\n"
    )
    state.mkdir(exist_ok=True)
    (state / "done.json").write_text(json.dumps({"seconds": 1.0, "host": "here"}))


def loss(task):
    """A function of the parameters, as a training would be."""
    return (task.keys["p"] - 0.3) ** 2 + abs(task.keys["num_steps"] - 5) / 10


def study(sweep):
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(sweep / JOURNAL)))
    return optuna.load_study(study_name="search", storage=storage)


def search_alone(sweep):
    while new := more_tasks(sweep):
        for task in new:
            finish(sweep, task.name, loss(task))
    return {task.name: dict(task.keys) for task in Manifest.read(sweep) if task.stage == "search"}


def test_trials_are_tasks_within_their_ranges(tmp_path):
    sweep = begin(tmp_path / "a")
    found = search_alone(sweep)
    assert list(found) == [f"search-{number:04d}" for number in range(6)]
    manifest = Manifest.read(sweep)
    for name, keys in found.items():
        task = manifest[name]
        assert 0.1 <= keys["p"] <= 0.9
        assert 1e-5 <= keys["learning_rate"] <= 1e-2
        assert keys["num_steps"] in range(2, 9)
        assert keys["node_inputs"] in (["type"], ["type", "force"])
        assert task.options == {
            "train": ["../../shipped/demo.h5"], "time": [4.0], "init": "../../runs/pre", "validation": 2, "epochs": 3,
            **keys, "output": f"../../runs/{name}",
        }  # fmt: skip
        assert task.needs == ("pre",)
    trials = study(sweep).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 6
    assert [trial.value for trial in trials] == [loss(manifest[name]) for name in found]
    rows = [row for row in collect(sweep).rows if row["stage"] == "search"]
    assert [row["learning_rate"] for row in rows] == [keys["learning_rate"] for keys in found.values()]


def test_the_same_seed_gives_the_same_search(tmp_path):
    one, two = (search_alone(begin(tmp_path / name)) for name in "ab")
    assert one == two
    other = search_alone(begin(tmp_path / "c", PLAN.replace("seed = 5", "seed = 6")))
    assert all(one[name] != other[name] for name in one)


def test_no_trial_before_what_it_needs(tmp_path):
    sweep = begin(tmp_path / "a")
    (sweep / "tasks/pre/done.json").unlink()
    assert more_tasks(sweep) == []
    assert not (sweep / JOURNAL).exists()
    finish(sweep, "pre")
    assert len(more_tasks(sweep)) == 1


def test_a_trial_is_told_once_and_an_open_one_stays(tmp_path):
    sweep = begin(tmp_path / "a")
    [first], [second] = more_tasks(sweep), more_tasks(sweep)
    assert (first.name, second.name) == ("search-0000", "search-0001")
    finish(sweep, second.name, 0.25)
    for _ in range(3):
        more_tasks(sweep)
    trials = study(sweep).trials
    assert [trial.state.name for trial in trials] == ["RUNNING", "COMPLETE", "RUNNING", "RUNNING", "RUNNING"]
    assert trials[1].value == 0.25
    # It failed, or its worker is gone: it is still the task that it was, and told when it is done.
    assert Manifest.read(sweep)[first.name] == first
    finish(sweep, first.name, 0.5)
    more_tasks(sweep)
    assert study(sweep).trials[0].value == 0.5


def test_a_result_that_is_no_number_closes_the_trial(tmp_path):
    sweep = begin(tmp_path / "a")
    [task] = more_tasks(sweep)
    finish(sweep, task.name, None)
    more_tasks(sweep)
    assert study(sweep).trials[0].state.name == "FAIL"
    assert task.name in Manifest.read(sweep).tasks  # it was carried out, and counts


def test_a_result_that_cannot_be_read_leaves_the_trial_open(tmp_path):
    sweep = begin(tmp_path / "a")
    [task] = more_tasks(sweep)
    finish(sweep, task.name, 0.5)
    (sweep / "runs" / task.name / "history.csv").write_text("")
    assert len(more_tasks(sweep)) == 1
    assert study(sweep).trials[0].state.name == "RUNNING"
    assert "history.csv cannot be read" in collect(sweep).missing[0]


KILLED = """import os, signal, sys
import botan_fast.sweep.search as search
from botan_fast.files import write_bytes
import optuna
place, sweep = sys.argv[1:]
def kill(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if place == "asked":
    search.write_bytes = kill
elif place == "written":
    search.write_bytes = lambda *words: (write_bytes(*words), kill())
elif place == "half asked":
    step = optuna.trial.Trial._suggest
    optuna.trial.Trial._suggest = lambda self, name, kind: kill() if name == "num_steps" else step(self, name, kind)
elif place == "told":
    tell = optuna.Study.tell
    optuna.Study.tell = lambda *words, **names: (tell(*words, **names), kill())
else:
    optuna.Study.tell = kill
search.more_tasks(sweep)
"""


@pytest.mark.parametrize("place", ["half asked", "asked", "written", "before it was told", "told"])
def test_killed_anywhere_it_goes_the_way_of_one_that_was_not(tmp_path, place):
    """kill -9 in the middle of a call, at the third trial."""
    whole = search_alone(begin(tmp_path / "whole"))
    sweep = begin(tmp_path / "killed")
    for _ in range(3):
        [task] = more_tasks(sweep)
        finish(sweep, task.name, loss(task))
    child = subprocess.run([sys.executable, "-c", KILLED, place, str(sweep)], timeout=60, check=False)
    assert child.returncode == -signal.SIGKILL
    for task in Manifest.read(sweep):  # what another worker would do
        if task.stage == "search" and not (sweep / "tasks" / task.name / "done.json").exists():
            finish(sweep, task.name, loss(task))
    found = search_alone(sweep)
    assert len(found) == 6
    states = [trial.state.name for trial in study(sweep).trials]
    if place == "half asked":  # nobody ever had it; the trial after it has a number, and so a seed, of its own
        assert states == ["COMPLETE"] * 3 + ["RUNNING"] + ["COMPLETE"] * 3
        assert list(found.values())[:3] == list(whole.values())[:3]
    else:
        assert states == ["COMPLETE"] * 6
        assert found == whole
    told = [trial.value for trial in study(sweep).trials if trial.value is not None]
    assert told == [loss(task) for task in Manifest.read(sweep) if task.stage == "search"]


def worker(sweep):
    while new := more_tasks(sweep):
        for task in new:
            finish(sweep, task.name, loss(task))


def test_several_workers_make_exactly_as_many_trials(tmp_path):
    sweep = begin(tmp_path / "a", PLAN.replace("trials = 6", "trials = 12"))
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=worker, args=(sweep,)) for _ in range(3)]
    for process in workers:
        process.start()
    for process in workers:
        process.join(120)
    assert [process.exitcode for process in workers] == [0, 0, 0]
    more_tasks(sweep)
    trials = study(sweep).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 12
    assert len({json.dumps(trial.params) for trial in trials}) == 12
    assert not (sweep / ".search.lock").exists()


def test_more_trials_may_be_asked_for_and_nothing_else_changed(tmp_path):
    sweep = begin(tmp_path / "a")
    first = search_alone(sweep)
    begin(tmp_path / "a", PLAN.replace("trials = 6", "trials = 8"))
    found = search_alone(sweep)
    assert len(found) == 8
    assert list(found.values())[:6] == list(first.values())
    for old, new in (("high = 0.9", "high = 0.8"), ("seed = 5", "seed = 6"), ("epochs = 3", "epochs = 4")):
        with pytest.raises(InputError, match=r"\[search\] differs in"):
            begin(tmp_path / "a", PLAN.replace(old, new))
    with pytest.raises(InputError, match=r"has no \[search\]"):
        begin(tmp_path / "a", PLAN[: PLAN.index("[search]")])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("trials = 6", "", "trials = None; give a whole number of at least 1"),
        ("trials = 6", "trials = 0", "trials = 0; give"),
        ("trials = 6", "trails = 6", r"trails is not a key of \[search\]; did you mean trials"),
        ('"validation_loss"', '"loss"', "metric = 'loss'; give one of"),
        ('"validation_loss"', '"test_loss"', "metric = test_loss needs the option test"),
        ("validation = 2\n", "", "metric = validation_loss needs the option validation"),
        ("seed = 5", 'direction = "up"', "direction = 'up'; give minimize or maximize"),
        ("low = 0.1, high = 0.9", "low = 0.9, high = 0.1", "give two numbers, the lower one first"),
        ("low = 0.1, high = 0.9", "low = 0.1", r"p = { low = 0.1, high = None }; give two numbers"),
        ("low = 0.1, high = 0.9", "lwo = 0.1", "p: lwo is no key of a range"),
        ("low = 2, high = 8", "low = 2.5, high = 8", "num_steps = 2.5; give a whole number"),
        ("low = 1e-5", "low = 0", "log = True; give true, with a low above 0"),
        ("p = {", "q = {", "train has no option q"),
        ("p = {", "augmentation = {", "augmentation is no number; give choices"),
        ('["type", "force"]]', "5]", "node_inputs = 5; give a text"),
        ("{pre}", "{pro}", r"\[search\]: {pro}: pro is no key of the grid"),
        ("epochs = 3", "epoch = 3", r"\[search\]: train has no option epoch; did you mean epochs"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(tmp_path, old, new, message):
    assert old in PLAN
    with pytest.raises(InputError, match=f"plan.toml: .*{message}") as caught:
        begin(tmp_path, PLAN.replace(old, new))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "sweep").exists()


def test_without_optuna_one_line_says_how_to_get_it(tmp_path):
    code = f"""import sys
sys.modules["optuna"] = None
from botan_fast.cli import main
import importlib.util
find = importlib.util.find_spec
import botan_fast.sweep.search as search
search.find_spec = lambda name: None
sys.exit(main(["sweep", {str(tmp_path / "plan.toml")!r}, "-o", {str(tmp_path / "sweep")!r}]))"""
    (tmp_path / "plan.toml").write_text(PLAN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "botan-fast: error: plan.toml: [search]: a search needs Optuna; pip install 'botan_fast[search]'\n"
    )

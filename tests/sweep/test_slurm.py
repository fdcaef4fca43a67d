"""Arrays of a sweep as SLURM gets them, read from what sbatch was given."""

import os
import shlex
import subprocess
import sys

import pytest

from botan_fast.errors import InputError
from botan_fast.sweep.manifest import Manifest, Task
from botan_fast.sweep.slurm import stage_arrays, submit

TASKS = [
    Task("md", "data", "simulate"),
    *(Task(f"edges{k}", "pretraining", "train", needs=("md",)) for k in range(2)),
    *(Task(f"botan{k}", "botan", "train", needs=("md", f"edges{k % 2}")) for k in range(5)),
    *(Task(f"score{k}", "scores", "evaluate", needs=(f"botan{k}",)) for k in range(5)),
]


@pytest.fixture
def sweep(tmp_path):
    """The folder of a sweep with a plan."""
    folder = tmp_path / "my sweep"
    folder.mkdir()
    manifest = Manifest(TASKS)
    manifest.write(folder)
    (folder / "plan.toml").write_text(
        """
        [slurm]
        partition = "gpu"
        time = "12:00:00"
        gpus_per_node = 1
        setup = ["module load cuda", "export OMP_PLACES=cores"]
        sbatch = ["--mail-type=END", "--exclusive"]

        [slurm.data]
        partition = "cpu"
        gpus_per_node = 0
        cpus_per_task = 16
        time = 90
        """
    )
    return folder, manifest


def unfinished(task):
    return False


def test_each_stage_is_an_array_that_begins_after_those_it_needs(sweep, slurm):
    lines = []
    numbers = submit(*sweep, unfinished, arguments=["--device", "cuda"], tell=lines.append)
    assert numbers == ["101", "102", "103", "104"]
    found = [slurm.options(number) for number in numbers]
    assert [options.get("array") for options in found] == [None, "0-1%2", "0-4%5", "0-4%5"]
    after = [options.get("dependency") for options in found]
    assert after == [None, "afterany:101", "afterany:101:102", "afterany:103"]
    assert [options["job-name"] for options in found][:2] == ["my sweep-data", "my sweep-pretraining"]
    assert lines[2] == "stage botan: 5 unfinished tasks, 5 jobs, number 103, begins after 101 and 102"


def test_what_a_job_asks_for(sweep, slurm):
    submit(*sweep, unfinished, tell=len)
    data, botan = slurm.options("101"), slurm.options("103")
    assert [data[name] for name in ("partition", "time", "gpus-per-node", "cpus-per-task")] == ["cpu", "90", "0", "16"]
    assert [botan[name] for name in ("partition", "time", "gpus-per-node", "cpus-per-task")] == ["gpu", "720", "1", "1"]
    assert botan["signal"] == "USR2@180"
    assert botan["mail-type"] == "END"
    assert {"requeue", "exclusive"} <= botan.keys()
    lines = slurm.scripts["103"].splitlines()
    assert lines.index("module load cuda") < lines.index("export OMP_PLACES=cores")
    [work] = [line for line in lines if line.startswith("srun")]
    assert lines.index("export OMP_PLACES=cores") < lines.index(work)
    assert subprocess.run(["bash", "-n", slurm.state / "103.sh"], check=False).returncode == 0
    assert "--cpus-per-task=1" in shlex.split(work)
    assert "wckey" not in botan
    assert shlex.split(work)[-5:-1] == [sys.executable, "-u", "-m", "submitit.core._submit"]
    assert shlex.split(work)[-1] == str(sweep[0] / "slurm")


def test_the_command_line_wins_and_may_name_a_stage(sweep, slurm):
    words = ["time=2-00:00:00", "botan.partition=h100", "jobs=2", "botan.workers_per_job=4", "setup=module load new"]
    words.append("srun_args=--cpu-bind=none")
    submit(*sweep, unfinished, words=words, tell=len)
    data, botan, scores = (slurm.options(number) for number in ("101", "103", "104"))
    assert [options["time"] for options in (data, botan)] == ["2880", "2880"]
    assert [options["partition"] for options in (data, botan, scores)] == ["cpu", "h100", "gpu"]
    assert [botan["array"], scores["array"]] == ["0-1%2", "0-1%2"]
    assert botan["cpus-per-task"] == "4"
    assert "srun --unbuffered --output" in slurm.scripts["103"]
    assert " --cpus-per-task=4 --cpu-bind=none " in slurm.scripts["103"]
    assert "module load new" in slurm.scripts["103"]
    assert "module load cuda" not in slurm.scripts["103"]


def test_finished_stages_are_not_waited_for(sweep, slurm):
    submit(*sweep, lambda task: task.name in ("md", "edges0", "edges1", "botan0"), tell=len)
    assert [slurm.options(number).get("dependency") for number in ("101", "102")] == [None, "afterany:101"]
    assert [slurm.options(number)["array"] for number in ("101", "102")] == ["0-3%4", "0-4%5"]
    assert submit(*sweep, lambda task: True, tell=len) == []
    assert len(slurm.scripts) == 2


def test_single_stages_can_be_submitted(sweep, slurm):
    submit(*sweep, unfinished, stages=["data"], tell=len)
    assert len(slurm.scripts) == 1


def test_a_search_has_an_array_before_it_has_tasks():
    search = {"task": {"name": "search", "needs": ["edges0"]}, "trials": 20}
    trial = Task("search-0000", "search", "train", needs=("edges0",))
    tables = [{"search": {"jobs": 3}}]

    def arrays(tasks, finished):
        found = stage_arrays(Manifest(tasks, search), lambda task: task.name in finished, tables)
        return [(array.stage, array.tasks, array.jobs, array.needs) for array in found if array.stage == "search"]

    assert arrays(TASKS, ()) == [("search", 20, 3, ("pretraining",))]
    assert arrays([*TASKS, trial], ("md", "edges0", "edges1")) == [("search", 20, 3, ())]
    assert arrays([*TASKS, trial], ("search-0000",)) == [("search", 19, 3, ("pretraining",))]


@pytest.mark.parametrize(
    ("words", "tasks", "expected"),
    [
        ([], 30, 30),
        (["tasks_per_job=4"], 30, 8),
        (["tasks_per_job=2", "workers_per_job=3"], 30, 5),
        (["jobs=7"], 30, 7),
        (["jobs=7"], 3, 3),
        ([], 5000, 1000),
    ],
)
def test_the_length_of_an_array(words, tasks, expected):
    from botan_fast.sweep.slurm_settings import from_words

    manifest = Manifest(Task(str(k), "botan", "train") for k in range(tasks))
    [array] = stage_arrays(manifest, unfinished, [from_words(words, ["botan"], "--slurm-option")])
    assert array.jobs == expected


def test_stages_that_need_each_other_in_turn_wait_for_nobody_behind_them():
    tasks = [
        Task("a", "one", "train"),
        Task("b", "two", "train", needs=("a",)),
        Task("c", "one", "train", needs=("b",)),
    ]
    assert [(array.stage, array.needs) for array in stage_arrays(Manifest(tasks), unfinished)] == [
        ("one", ()),
        ("two", ("one",)),
    ]


def test_what_sbatch_says_is_the_error(sweep, slurm):
    slurm.refuse("sbatch: error: invalid partition specified: gpu\nsbatch: error: Batch job submission failed")
    with pytest.raises(
        InputError, match=r"refused the jobs of stage data \(.*invalid partition specified: gpu"
    ) as error:
        submit(*sweep, unfinished, tell=len)
    assert "\n" not in str(error.value)


def test_no_slurm_here(sweep, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="sbatch is not on the PATH; submit from a login node"):
        submit(*sweep, unfinished, tell=len)


def test_no_submitit_here(sweep, slurm, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(InputError, match=r'install it with: pip install "botan_fast\[slurm\]"'):
        submit(*sweep, unfinished, tell=len)


def test_nobody_else_can_put_a_pickle_where_jobs_read_it(sweep, slurm, monkeypatch):
    folder, manifest = sweep
    (folder / "slurm").mkdir()
    (folder / "slurm").chmod(0o777)
    submit(folder, manifest, unfinished, tell=len)
    assert (folder / "slurm").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(InputError, match=r"belongs to another user .* start workers of your own"):
        submit(folder, manifest, unfinished, tell=len)


def test_a_folder_whose_name_slurm_would_change(tmp_path, slurm):
    folder = tmp_path / "50%a"
    with pytest.raises(InputError, match="choose another folder"):
        submit(folder, Manifest(TASKS), unfinished, tell=len)

"""The plans that come with the package: how many tasks they are, by arithmetic, and that the commands take them."""

from collections import Counter
from pathlib import Path

import pytest

from botan_fast.paper import TAU_ALPHA, times_of
from botan_fast.simulation.protocol import Protocol
from botan_fast.sweep.expansion import expand
from botan_fast.sweep.plan import FOLDER, Plan, read_plan, shipped_plans

FIGURES = str(Path(__file__).parents[2] / "benchmarks/plans/figures.toml")
SEEDS = 5
PAIRS = sum(len(times_of(temperature)) for temperature in TAU_ALPHA)  # 10 + 10 + 9: times of Table I
EXPECTED = {
    "simulated_train": 3 * 400,
    "simulated_test": 3 * 100,
    "train": 3,
    "test": 3,
    "pretrain": 3 * SEEDS,
    "botan": PAIRS * 3 * SEEDS,
    "node": PAIRS * 3 * SEEDS,
    "scan_p": 9 * SEEDS,
    "pretrain_n": 9 * SEEDS,
    "scan_n": 9 * SEEDS,
    "transfer": 6 * SEEDS,
    "baseline": PAIRS,
}


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    return {task.name: task for task in expand(read_plan("paper"), tmp_path_factory.mktemp("paper"))}


def test_there_are_two():
    assert shipped_plans() == ["paper", "quick"]


def test_the_paper_is_as_many_tasks_as_arithmetic_says(paper):
    assert PAIRS == 29
    assert Counter(task.stage for task in paper.values()) == EXPECTED
    assert len(paper) == sum(EXPECTED.values()) == 2585


def test_tasks_come_after_what_they_need(paper):
    seen = set()
    for task in paper.values():
        assert seen.issuperset(task.needs), task.name
        seen.add(task.name)


def test_what_a_run_of_the_paper_is(paper):
    run = paper["botan-T0.44-t4120-R-seed3"]
    assert run.options == {
        "train": ["../../data/train-T0.44.h5"],
        "test": ["../../data/test-T0.44.h5"],
        "recipe": "paper",
        "init": "../../runs/pretrain-R-seed3",
        "p": 0.4,
        "temperature": [0.44],
        "time": [4120.0],
        "node_target": "R",
        "seed": 3,
        "output": "../../runs/botan-T0.44-t4120-R-seed3",
    }
    assert run.needs == ("train-T0.44", "test-T0.44", "pretrain-R-seed3")
    assert paper["pretrain-R-seed3"].options["epochs"] == 2000
    assert "init" not in paper["node-T0.44-t4120-R-seed3"].options
    scan = paper["scan_n-T0.44-t4120-n3-seed2"]
    assert scan.options["init"] == "../../runs/pretrain_n-n3-seed2"
    across = paper["transfer-source0.44-source_time4120-T0.5-t217-seed1"].options
    assert across["model"] == ["../../runs/botan-T0.44-t4120-S-seed1"]
    assert (across["data"], across["temperature"], across["time"]) == (["../../data/test-T0.5.h5"], [0.5], [217.0])
    assert len(paper["train-T0.64"].options["inputs"]) == 400


@pytest.mark.parametrize("plan", [*shipped_plans(), FIGURES], ids=lambda plan: Path(plan).stem)
def test_weights_to_start_from_are_of_the_same_node_target(plan, tmp_path):
    """`train` refuses others, and would do so after the pretraining."""
    tasks = {f"../../runs/{task.name}": task for task in expand(read_plan(plan), tmp_path)}
    started = [task for task in tasks.values() if "init" in task.options]
    assert started
    for task in started:
        target = tasks[task.options["init"]].options.get("node_target", "S")
        assert task.options.get("node_target", "S") == target, task.name


def test_simulated_data_have_exactly_the_times_that_are_trained_on(paper):
    """No time is rounded to another by the step, and the quenches are as many as the shards."""
    for task in paper.values():
        if task.command == "simulate" and task.name.endswith(".1-of-100"):
            options = {k: v for k, v in task.options.items() if k not in ("output", "shard", "targets")}
            protocol = Protocol(**options).checked()
            assert protocol.target_times == times_of(protocol.temperature)
            assert protocol.num_quenches == 100
            assert (protocol.melt_time, protocol.runs, protocol.num_particles) == (1e4, 32, 4096)
            assert task.options["targets"] == "SERD"


def test_from_the_files_of_the_authors_by_one_table(tmp_path):
    """As the plan itself says: other lines in [values], and nothing is simulated."""
    for temperature in ("0.44", "0.50", "0.64"):
        for part in ("train", "test"):
            (tmp_path / f"T{temperature}/{part}").mkdir(parents=True)
            (tmp_path / f"T{temperature}/{part}/isoconfig_N4096T{temperature}_1_tc07.npz").touch()
    text = (FOLDER / "paper.toml").read_text()
    for part in ("train", "test"):
        line = f'{part}_files = "{{simulated_{part}}}"'
        assert line in text
        text = text.replace(line, f'{part}_files = "T{{temperature:.2f}}/{part}/*.npz"')
        assert f"/{part}/*.npz" in (FOLDER / "paper.toml").read_text()  # the comment says the same
    (tmp_path / "mine.toml").write_text(text)
    tasks = expand(read_plan(tmp_path / "mine.toml"), tmp_path / "sweep")
    assert len(tasks) == 2585 - 1500
    assert next(task for task in tasks if task.name == "train-T0.5").options["inputs"] == ["../../../T0.50/train/*.npz"]


def test_quick_has_every_kind_of_row(tmp_path):
    tasks = expand(read_plan("quick"), tmp_path)
    assert Counter(task.stage for task in tasks) == {"pretrain": 2, "botan": 4, "node": 4, "baseline": 2, "mean": 2}
    assert {task.options["init"] for task in tasks if task.stage == "botan"} == {
        f"../../runs/pretrain-seed{seed}" for seed in (0, 1)
    }
    times = {time for task in tasks if task.stage != "pretrain" for time in task.options["time"]}
    assert times == {0.13, 4.0}


def test_quick_makes_its_own_data_by_one_line(tmp_path):
    text = (FOLDER / "quick.toml").read_text()
    line = 'data = "{shipped}/demo.h5"'
    assert line in text
    (tmp_path / "mine.toml").write_text(text.replace(line, 'data = "{merged}"'))
    tasks = expand(read_plan(tmp_path / "mine.toml"), tmp_path / "sweep")
    assert [task.name for task in tasks[:3]] == ["simulated-T0.64.1-of-2", "simulated-T0.64.2-of-2", "merged"]
    assert tasks[3].options["train"] == ["../../data/merged.h5"]
    assert len(tasks) == 3 + 14


@pytest.mark.parametrize("name", shipped_plans())
def test_they_are_documented_in_lines_that_fit(name):
    plan = read_plan(name)
    assert isinstance(plan, Plan)
    assert all(len(line) <= 120 for line in plan.text.decode().splitlines())

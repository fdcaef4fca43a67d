"""A plan file that is wrong is refused in one line, which names file, stage, key, value and remedy."""

import re

import pytest

from botan_fast.errors import BotanFastError, InputError
from botan_fast.sweep.braces import parse
from botan_fast.sweep.expansion import expand
from botan_fast.sweep.grid import rows, task_name
from botan_fast.sweep.plan import read_plan

PLAN = """
[values]
data = "data/T{temperature}.npz"

[defaults.train]
epochs = 10

[[stage]]
name = "pretrain"
command = "train"
grid = { seed = [0, 1] }
options = { train = "data/T0.44.npz", p = 0 }

[[stage]]
name = "botan"
command = "train"
grid = { temperature = [0.44, 0.64], seed = [0, 1] }
options = { train = "{data}", init = "{pretrain}", p = 0.4 }
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for temperature in (0.44, 0.64):
        (tmp_path / f"data/T{temperature}.npz").touch()
    return tmp_path


def expanded(folder, text):
    (folder / "plan.toml").write_text(text)
    return expand(read_plan(folder / "plan.toml"), folder / "sweep")


def test_the_plan_of_these_tests_is_right(folder):
    names = [task.name for task in expanded(folder, PLAN)]
    assert names == [
        *("pretrain-seed0", "pretrain-seed1", "botan-T0.44-seed0", "botan-T0.44-seed1"),
        *("botan-T0.64-seed0", "botan-T0.64-seed1"),
    ]


WRONG = {
    # a change of the plan above, and the line
    ("[[stage]]", "[[stages]]"): "plan.toml: stages is not a table of a plan; did you mean stage?",
    ('name = "botan"', 'nmae = "botan"'): "plan.toml: stage 2: nmae is not a key of a stage; did you mean name?",
    ('name = "botan"', 'name = "a b"'): "stage a b: name = 'a b'; give a letter, then letters, digits, _ and -",
    ('name = "botan"', 'name = "pretrain"'): "stage pretrain: the name is the name of a stage; give another",
    ('name = "botan"', 'name = "data"'): "stage data: the name is a name of [values]; give another",
    ('name = "botan"', 'name = "search"'): "stage search: the name is a word that plans have a meaning for",
    ('command = "train"', 'command = "trian"'): "command = 'trian'; give one of train, baseline, simulate, convert, "
    "evaluate; did you mean train?",
    ('command = "train"', ""): "command = None; give one of train",
    ("[defaults.train]", "[defaults.trian]"): "[defaults]: trian is not a command; did you mean train?",
    ("epochs = 10", "epoch = 10"): "plan.toml: stage pretrain: train has no option epoch; did you mean epochs?",
    ("epochs = 10", "penalty = 1.0"): "penalty is an option of baseline, not of train; leave it out",
    ("epochs = 10", 'epochs = "ten"'): 'stage pretrain: epochs = "ten"; give a whole number',
    ("epochs = 10", 'output = "here"'): "output is chosen by the sweep; leave it out",
    ("seed = [0, 1]", 'seed = ["a"]'): 'stage pretrain: seed = "a"; give a whole number',
    ("seed = [0, 1]", "seed = []"): "grid: seed = [] has no value",
    ("seed = [0, 1]", "seed = { a = 1 }"): "grid: seed = {'a': 1}; give texts, numbers, true or false",
    ("seed = [0, 1]", "sead = [0, 1]"): "grid: sead is no option of train, and no braces depend on it; did "
    "you mean seed?",
    ("grid = { seed = [0, 1] }", "grid = 5"): "grid = 5; give a table, such as { seed = [0, 1] }, or a list of tables",
    ("grid = { seed = [0, 1] }", "grid = []"): "grid = []; give a table",
    ("p = 0 }", 'p = 0, seed = 2 }'): "seed is in grid and in options; leave it out of one of them",
    ("p = 0 }", 'p = 0, test = "{botan}" }'): "the stages need each other in a circle: pretrain -> botan -> pretrain",
    ("p = 0 }", 'p = 0 }\nneeds = ["boton"]'): "stage pretrain: needs 'boton', no stage; did you mean botan?",
    ("p = 0 }", "p = 0 }\nas_needed = 1"): "as_needed = 1; give true or false",
    ("{pretrain}", "{pretrian}"): "{pretrian}: pretrian is no key of the grid, no stage and none of [values]; did you "
    "mean pretrain?",
    ("{pretrain}", "{pretrain"): "expected '}' before end of string; double braces that stand for themselves: {{run}}",
    ("{pretrain}", "{pretrain seed}"): "{pretrain seed} is not of the form {name}, {name:.2f} or {stage key=value ...}",
    ("{pretrain}", "{pretrain sed=0}"): "{pretrain sed=0}: the grid of pretrain has no key sed; did you mean seed?",
    ("{pretrain}", "{pretrain seed=7}"): "pretrain has no task with seed = 7; give its grid that, or choose: "
    "{pretrain seed=...}",
    ("{pretrain}", "{pretrain seed=*}"): "init = '{pretrain seed=*}' is 2 paths, and init takes one",
    ("{pretrain}", "{data seed=0}"): "{data seed=0}: only a stage can be chosen from, and data is none",
    ("{pretrain}", "x/{pretrain}"): "'x/{pretrain}': {pretrain} is a path; begin with it",
    ('p = 0.4', 'p = "{pretrain}"'): "p = '{pretrain}' is a path; give a number",
    ("data/T{temperature}", "data/T{temperature:.2x}"): "{temperature:.2x}: ",
    ("data/T{temperature}", "data/T{run}"): "run is no key of the grid, no stage and none of [values]; of a layout it "
    "is doubled: {{run}}",
    ("data/T{temperature}", "{data}"): "[values] data stands for itself: data -> data",
    ("data/T{temperature}", "dat/T{temperature}"): "dat/T0.44.npz': no such file, and no task makes it; the path "
    "exists only up to",
    ("data/T{temperature}.npz", "data/U*.npz"): "train = 'data/U*.npz': no file matches",
    ("temperature = [0.44, 0.64]", "pretrain = [0.44, 0.64]"): "grid has the key pretrain, which is the name of a "
    "stage",
    ("temperature = [0.44, 0.64]", "temperature = [0.44, 0.440]"): "two tasks would be called botan-T0.44-seed0",
    ("temperature = [0.44, 0.64]", 'temperature = 0.47, time = "paper"'): "grid: time = 'paper' at temperature = 0.47; "
    "known at 0.44, 0.5, 0.64, else give numbers",
    ("temperature = [0.44, 0.64]", 'time = "paper"'): "depends on the temperature; give temperature in the same table",
    ("temperature = [0.44, 0.64]", 'temperature = 0.44, time = "all"'): "time = 'all'; give numbers, 'paper' (Table I)",
    ('train = "{data}", ', ""): "stage botan: train needs train; give it in options",
    ("p = 0.4 }", "p = 0.4 "): "plan.toml: not valid TOML",
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG.items(), ids=[f"{a} to {b}" for a, b in WRONG])
def test_what_is_wrong_is_one_line(folder, change, message):
    assert change[0] in PLAN
    place = PLAN.rindex(change[0]) if change[0] in ('name = "botan"', "{pretrain}") else PLAN.index(change[0])
    text = PLAN[:place] + change[1] + PLAN[place + len(change[0]) :]
    with pytest.raises(InputError) as caught:
        expanded(folder, text)
    line = str(caught.value)
    assert line.startswith(str(folder) if "TOML" in message else "plan.toml: ")
    assert message.removeprefix("plan.toml: ") in line
    assert "\n" not in line


def test_no_plan(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(
        InputError, match=r"qick: no such file, nor a plan of botan_fast \(paper, quick\); did you mean q"
    ):
        read_plan("qick")
    with pytest.raises(BotanFastError, match="data is a folder; give a TOML file"):
        read_plan("data")
    (folder / "empty.toml").touch()
    with pytest.raises(InputError, match=r"empty.toml: there is no stage; begin one with the line \[\[stage\]\]"):
        read_plan("empty.toml")
    (folder / "one.toml").write_text("[stage]\nname = 'a'\n")
    with pytest.raises(InputError, match="stage is not a list of tables"):
        read_plan("one.toml")


def test_a_file_of_the_name_goes_before_a_shipped_plan(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert len(read_plan("quick").stages) > 2
    assert read_plan("quick.toml").text == read_plan("quick").text
    (folder / "quick.toml").write_text(PLAN)
    assert read_plan("quick.toml").path == folder / "quick.toml"


# ---- grids and names ---------------------------------------------------------------------------------------------


def test_a_grid_is_the_product_in_its_own_order():
    found = rows(({"seed": [0, 1], "p": [0.1, 0.2], "recipe": "paper"},), "")
    assert [tuple(row.values()) for row in found] == [(s, p, "paper") for s in (0, 1) for p in (0.1, 0.2)]
    assert list(found[0]) == ["seed", "p", "recipe"]


def test_times_of_table_i_depend_on_the_temperature():
    found = rows(({"time": "paper", "temperature": [0.44, 0.5, 0.64]}, {"temperature": 0.64, "time": [7]}), "")
    counts = [sum(row["temperature"] == t for row in found) for t in (0.44, 0.5, 0.64)]
    assert counts == [10, 10, 9 + 1]
    assert {"time": 0.108, "temperature": 0.5} in found
    taus = rows(({"temperature": [0.44, 0.5, 0.64], "time": "tau_alpha"},), "")
    assert [row["time"] for row in taus] == [4120, 217, 16.5]


def test_shards():
    assert [row["shard"] for row in rows(({"shard": 3},), "")] == ["1/3", "2/3", "3/3"]
    assert [row["shard"] for row in rows(({"shard": ["2/3"]},), "")] == ["2/3"]
    for wrong in (0, -1, True):
        with pytest.raises(InputError, match="give the number of shards"):
            rows(({"shard": wrong},), "x")


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"temperature": 0.44, "time": 4120.0, "seed": 0}, "s-T0.44-t4120-seed0"),
        ({"time": 130000.0}, "s-t130000"),
        ({"time": 1e-7}, "s-t1e-07"),
        ({"node_target": "R", "num_steps": 7, "p": 0.4}, "s-R-n7-p0.4"),
        ({"shard": "2/8", "temperature": 0.5}, "s-T0.5.2-of-8"),
        ({"recipe": "../../etc"}, "s-recipe.._.._etc"),
        ({"node_inputs": ["type", "force"]}, "s-node_inputs=type+force"),
        ({}, "s"),
    ],
)
def test_names_are_safe_names_of_files(row, name):
    found = task_name("s", row, "")
    assert found == name
    assert re.fullmatch(r"[A-Za-z0-9_.+=-]+", found)


def test_a_long_name_is_refused():
    with pytest.raises(InputError, match="give fewer or shorter keys"):
        task_name("s", {"data": "x" * 200}, "plan.toml")


def test_braces():
    assert parse("run{{run}}/{{x}}", "") == ["run{run}/{x}"]
    field = parse("{botan time=13 seed=other}", "")[0]
    assert (field.name, field.choice) == ("botan", {"time": "13", "seed": "other"})

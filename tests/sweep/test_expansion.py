"""What a plan becomes: options, paths, and which task needs which."""

import os

import pytest

from botan_fast.errors import InputError
from botan_fast.option import check_table
from botan_fast.sweep.expansion import expand, output_of
from botan_fast.sweep.plan import option_tables, read_plan


def tasks_of(folder, text, sweep="sweep"):
    (folder / "plan.toml").write_text(text)
    return {task.name: task for task in expand(read_plan(folder / "plan.toml"), folder / sweep)}


def stage(name, command, grid, options, more=""):
    return f'[[stage]]\nname = "{name}"\ncommand = "{command}"\ngrid = {grid}\noptions = {options}\n{more}\n'


DATA = stage("data", "simulate", "{ temperature = [0.44, 0.64] }", "{ configurations = 3 }")


def test_a_stage_in_braces_is_the_tasks_that_agree(tmp_path):
    found = tasks_of(
        tmp_path,
        DATA
        + stage("pre", "train", "{ temperature = [0.44, 0.64], seed = [0, 1] }", '{ train = "{data}", time = 13 }')
        + stage("run", "train", "{ temperature = 0.64, seed = [0, 1] }", '{ train = "{data}", init = "{pre}" }'),
    )
    assert found["data-T0.44"].options["output"] == "../../data/data-T0.44.h5"
    assert found["pre-T0.44-seed1"].options["train"] == ["../../data/data-T0.44.h5"]
    run = found["run-T0.64-seed1"]
    assert run.options["init"] == "../../runs/pre-T0.64-seed1"
    assert run.needs == ("data-T0.64", "pre-T0.64-seed1")
    assert run.keys == {"temperature": 0.64, "seed": 1}
    assert run.options["temperature"] == [0.64]
    assert run.options["seed"] == 1


def test_options_that_take_several_get_all(tmp_path):
    found = tasks_of(
        tmp_path,
        DATA
        + stage("run", "train", "{ seed = [0, 1, 2] }", '{ train = "{data}", test = ["{data temperature=0.44}"] }')
        + stage("mean", "evaluate", "{}", '{ model = ["{run}", "ka-t0.44-tau"], data = "{data temperature=0.64}" }'),
    )
    assert found["run-seed2"].options["train"] == ["../../data/data-T0.44.h5", "../../data/data-T0.64.h5"]
    assert found["run-seed2"].options["test"] == ["../../data/data-T0.44.h5"]
    mean = found["mean"].options
    assert mean["model"] == [*(f"../../runs/run-seed{seed}" for seed in range(3)), "ka-t0.44-tau"]
    assert mean["output"] == "../../scores/mean.json"
    assert found["mean"].needs == ("run-seed0", "run-seed1", "run-seed2", "data-T0.64")


def test_a_choice_by_value_and_by_a_key_of_the_own_grid(tmp_path):
    grid = "{ source = [0.44, 0.64], temperature = [0.44, 0.64] }"
    options = '{ model = "{run temperature=source}/best.safetensors", data = "{data}" }'
    found = tasks_of(
        tmp_path,
        DATA
        + stage("run", "train", "{ temperature = [0.44, 0.64] }", '{ train = "{data}" }')
        + stage("transfer", "evaluate", grid, options),
    )
    cross = found["transfer-source0.44-T0.64"]
    assert cross.options["model"] == ["../../runs/run-T0.44/best.safetensors"]
    assert cross.options["data"] == ["../../data/data-T0.64.h5"]
    assert "source" not in cross.options
    assert cross.needs == ("run-T0.44", "data-T0.64")


def test_numbers_agree_as_numbers(tmp_path):
    runs = stage("run", "train", "{ time = [4.0, 13] }", '{ train = "{data}" }')
    for choice in ("time=13", "time=13.0", "time=1.3e1"):
        found = tasks_of(
            tmp_path, DATA + runs + stage("e", "evaluate", "{}", f'{{ model = "{{run {choice}}}", data = "{{data}}" }}')
        )
        assert found["e"].options["model"] == ["../../runs/run-t13"]


def test_rows_without_a_key_agree_with_all(tmp_path):
    found = tasks_of(
        tmp_path,
        DATA
        + stage("run", "train", "[{ seed = 0, temperature = 0.44 }, { seed = 1 }]", '{ train = "{data}" }')
        + stage("e", "evaluate", "{ temperature = 0.64 }", '{ model = "{run}", data = "{data}" }'),
    )
    assert found["e-T0.64"].needs == ("run-seed1", "data-T0.64")


def test_needs_without_braces(tmp_path):
    found = tasks_of(
        tmp_path,
        DATA
        + stage("a", "train", "{ seed = [0, 1] }", '{ train = "{data}" }')
        + stage("b", "train", "{ seed = [0, 1] }", '{ train = "{data}" }', 'needs = ["a"]'),
    )
    assert found["b-seed1"].needs == ("a-seed1", "data-T0.44", "data-T0.64")


def test_shards_are_the_files_that_simulate_writes(tmp_path):
    found = tasks_of(
        tmp_path,
        stage("data", "simulate", "{ temperature = [0.44, 0.64], shard = 2 }", "{ configurations = 4 }")
        + stage("part", "simulate", "{}", '{ configurations = 4, shard = "2/4" }')
        + stage("all", "convert", "{ temperature = 0.64 }", '{ inputs = ["{data}", "{part}"] }'),
    )
    shard = found["data-T0.64.2-of-2"]
    assert shard.options["output"] == "../../data/data-T0.64.h5"  # simulate adds the rest
    assert shard.options["shard"] == "2/2"
    assert output_of(shard) == "data/data-T0.64.2-of-2.h5"
    assert found["all-T0.64"].options["inputs"] == [
        f"../../data/{name}.h5" for name in ("data-T0.64.1-of-2", "data-T0.64.2-of-2", "part.2-of-4")
    ]


def test_tasks_come_after_what_they_need_wherever_their_stages_stand(tmp_path):
    run = stage("run", "train", "{ seed = [0, 1] }", '{ train = "{data}" }')
    names = list(tasks_of(tmp_path, run + DATA))
    assert names == ["data-T0.44", "data-T0.64", "run-seed0", "run-seed1"]


def test_as_needed_is_left_out_where_nothing_needs_it(tmp_path):
    (tmp_path / "mine.npz").touch()
    text = '[values]\ntrain = "{}"\n' + DATA + "as_needed = true\n"
    text += stage("run", "train", "{ temperature = [0.44, 0.64] }", '{ train = "{train}" }')
    assert len(tasks_of(tmp_path, text.replace('"{}"', '"{data}"'))) == 4
    found = tasks_of(tmp_path, text.replace('"{}"', '"mine.npz"'))
    assert list(found) == ["run-T0.44", "run-T0.64"]
    only = '[[stage]]\nname = "data"\ncommand = "simulate"\nas_needed = true\n'
    with pytest.raises(InputError, match="all stages are as_needed"):
        tasks_of(tmp_path, only)


def test_paths_count_from_the_folder_of_the_plan(tmp_path):
    """Relative ones stay relative, so that everything may be moved together; absolute ones stay."""
    (tmp_path / "in [1]/T0.50").mkdir(parents=True)
    (tmp_path / "in [1]/T0.50/a.npz").touch()
    plan = tmp_path / "in [1]"
    absolute = tmp_path / "b.npz"
    absolute.touch()
    text = stage(
        "run", "train", "{ temperature = 0.5 }", f'{{ train = "T{{temperature:.2f}}/*.npz", test = "{absolute}" }}'
    )
    (plan / "plan.toml").write_text(text)
    [task] = expand(read_plan(plan / "plan.toml"), tmp_path / "sweep")
    [path] = task.options["train"]
    assert path == "../../../in [[]1]/T0.50/*.npz"  # a glob pattern: the bracket of the folder is none
    assert task.options["test"] == [str(absolute)]
    # What the command makes of it in tasks/NAME:
    read = check_table(option_tables()["train"], task.options, "", folder=tmp_path / "sweep/tasks" / task.name)
    (tmp_path / "sweep/tasks" / task.name).mkdir(parents=True)
    import glob

    assert [os.path.realpath(found) for found in glob.glob(read["train"][0])] == [str(plan / "T0.50/a.npz")]


def test_layouts_have_doubled_braces(tmp_path):
    text = stage("run", "convert", "{ temperature = 0.5 }", '{ inputs = "T{temperature:.2f}/run{{run}}.dump" }')
    assert tasks_of(tmp_path, text)["run-T0.5"].options["inputs"] == ["../../../T0.50/run{run}.dump"]


def test_names_that_are_no_paths_stay(tmp_path):
    (tmp_path / "a.npz").touch()
    text = stage("run", "train", "{}", '{ train = "a.npz", init = "ka-t0.44-tau", potential = "kob-andersen" }')
    options = tasks_of(tmp_path, text)["run"].options
    assert (options["init"], options["potential"]) == ("ka-t0.44-tau", "kob-andersen")


def test_shipped_data_and_the_prefix_of_a_checkpoint(tmp_path):
    (tmp_path / "model.ckpt.index").touch()
    text = stage("run", "evaluate", "{}", '{ model = "model.ckpt", data = "{shipped}/demo.h5" }')
    assert tasks_of(tmp_path, text)["run"].options["data"] == ["../../shipped/demo.h5"]
    with pytest.raises(InputError, match=r"data = '{shipped}/dmo.h5': no such file.*did you mean .*demo.h5"):
        tasks_of(tmp_path, text.replace("demo", "dmo"))


def test_lists_are_values_of_a_grid_too(tmp_path):
    (tmp_path / "a.npz").touch()
    text = stage("run", "train", '{ node_inputs = [["type"], ["type", "force"]] }', '{ train = "a.npz" }')
    found = tasks_of(tmp_path, text)
    assert [task.options["node_inputs"] for task in found.values()] == [["type"], ["type", "force"]]
    assert list(found) == ["run-node_inputs=type", "run-node_inputs=type+force"]


def test_defaults_give_way_to_options_and_grids(tmp_path):
    (tmp_path / "a.npz").touch()
    text = (
        '[defaults.train]\ntrain = "a.npz"\nepochs = 7\n'
        + stage("a", "train", "{}", "{}")
        + stage("b", "train", "{}", "{ epochs = 9 }")
    )
    text += stage("c", "train", "[{ epochs = [5, 6] }, { seed = 1 }]", "{}")
    found = tasks_of(tmp_path, text)
    assert [found[name].options["epochs"] for name in ("a", "b", "c-epochs5", "c-seed1")] == [7, 9, 5, 7]


def test_braces_in_a_grid_are_needs_too(tmp_path):
    text = stage("mean", "evaluate", '{ model = ["{a}", "{b}"] }', '{ data = "{shipped}/demo-test.h5" }')
    for name in "ab":
        text += stage(name, "train", "{}", '{ train = "{shipped}/demo.h5" }')
    found = tasks_of(tmp_path, text)
    assert list(found) == ["a", "b", "mean-model_a_", "mean-model_b_"]
    assert found["mean-model_b_"].needs == ("b",)
    assert found["mean-model_b_"].options["model"] == ["../../runs/b"]


def test_a_date_is_no_value(tmp_path):
    text = stage("a", "train", "{}", '{ train = "{shipped}/demo.h5", descriptors = { groups = 2020-01-01 } }')
    with pytest.raises(InputError, match=r"descriptors = .* holds a date or a time"):
        tasks_of(tmp_path, text)


def test_values_of_a_plan_are_texts_lists_and_numbers(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}-0.npz").touch()
    text = '[values]\nboth = ["{one}", "b-{seed}.npz"]\none = "a-{seed}.npz"\nlong = 700\n'
    text += stage("run", "train", "{ seed = 0 }", '{ train = "{both}", test = ["{one}"], epochs = "{long}" }')
    options = tasks_of(tmp_path, text)["run-seed0"].options
    assert options["train"] == ["../../../a-0.npz", "../../../b-0.npz"]
    assert (options["test"], options["epochs"]) == (["../../../a-0.npz"], 700)


def test_needs_that_nothing_agrees_with(tmp_path):
    text = stage("a", "train", "{ seed = [0, 1] }", '{ train = "{shipped}/demo.h5" }')
    text += stage("b", "train", "{ seed = [5] }", '{ train = "{shipped}/demo.h5" }', 'needs = ["a"]')
    with pytest.raises(InputError, match="stage b: needs a, which has no task that agrees with b-seed5"):
        tasks_of(tmp_path, text)

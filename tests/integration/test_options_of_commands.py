"""The tables of options, the functions of the library and their docstrings: one does not know what another does not."""

import dataclasses
import inspect
import re
import subprocess
import sys

import pytest

import botan_fast as bf
from botan_fast.cli import entry
from botan_fast.data.options import CONVERT
from botan_fast.evaluation.options import EVALUATE, PREDICT
from botan_fast.physics.potential import KOB_ANDERSEN, check_potential
from botan_fast.report.options import REPORT
from botan_fast.report.write import write_report
from botan_fast.simulation.options import SIMULATE
from botan_fast.simulation.protocol import REPLICAS, Protocol
from botan_fast.training import recipes
from botan_fast.training.options import BASELINE, TRAIN
from botan_fast.training.settings import TrainingSettings
from tests.helpers.documents import ROOT

# Of a command: its table, its function, what the table has more, and what no file or command line can give.
COMMANDS = {
    "train": (TRAIN, bf.train, {"threads", "quiet"}, {"progress", "callbacks"}),
    "baseline": (BASELINE, bf.train_baseline, {"threads", "quiet"}, {"progress"}),
    "simulate": (SIMULATE, bf.simulate, {"quiet"}, {"progress", "options"}),
    "convert": (CONVERT, bf.convert, {"threads", "quiet"}, {"progress", "report"}),
    "evaluate": (
        EVALUATE,
        bf.evaluate,
        {"threads", "quiet", "rotations", "json", "output", "force", "seeds"},
        {"progress"},
    ),
    "report": (REPORT, write_report, {"threads", "quiet"}, {"progress", "command"}),
    "predict": (
        PREDICT,
        bf.predict,
        {"threads", "quiet", "rotations", "output", "force", "formats", "color", "bonds"},
        {"progress"},
    ),
}
FIELDS = {field.name: field.default for field in dataclasses.fields(Protocol)}


def arguments_of(command):
    """The names and defaults of what the function takes; of `simulate`, the fields of the protocol too."""
    _, function, _, others = COMMANDS[command]
    found = {p.name: p.default for p in inspect.signature(function).parameters.values() if p.name not in others}
    return found | FIELDS if command == "simulate" else found


@pytest.mark.parametrize("command", COMMANDS)
def test_table_and_function_have_the_same_arguments(command):
    table, _, more, _ = COMMANDS[command]
    names = [option.name for option in table]
    assert len(names) == len(set(names))
    assert set(names) - more == set(arguments_of(command))
    assert more <= set(names)


@pytest.mark.parametrize("command", COMMANDS)
def test_table_and_function_have_the_same_defaults(command):
    table, _, more, _ = COMMANDS[command]
    defaults = arguments_of(command)
    options = {option.name: option for option in table if option.name not in more}
    assert {name for name, option in options.items() if option.required and option.name != "output"} == {
        name for name, value in defaults.items() if value is inspect.Parameter.empty and name != "output"
    }
    found = {name: option.default for name, option in options.items() if not option.required}
    expected = {name: value for name, value in defaults.items() if not options[name].required}
    if command == "convert":  # an object, and letters one by one
        assert check_potential(found.pop("potential")) == expected.pop("potential") == KOB_ANDERSEN
        assert tuple(found.pop("targets")) == expected.pop("targets")
    assert found == expected


@pytest.mark.parametrize("command", [name for name in COMMANDS if name != "predict"])  # which refers to evaluate
def test_every_argument_is_described(command):
    """At the beginning of a line of the docstring, or in backticks."""
    text = inspect.getdoc(COMMANDS[command][1])
    described = r"(?m)^[\w, ().:\"]*\b{0}\b|`{0}`"
    assert [name for name in arguments_of(command) if not re.search(described.format(name), text)] == []


def test_tables_can_be_read_at_once():
    """The command line, and the workers of a sweep, have them without torch and NumPy."""
    rooms = ("training", "simulation", "data", "evaluation", "figures", "report")
    code = f"import sys; {'; '.join(f'import botan_fast.{room}.options' for room in rooms)}; "
    code += "sys.exit(bool({'torch', 'numpy', 'h5py'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_settings_of_a_run_are_options_of_train():
    names = {option.name for option in TRAIN}
    assert {field.name for field in dataclasses.fields(TrainingSettings)} <= names
    assert {*recipes.OPTIONS, *recipes.MODEL_OPTIONS} <= names
    for recipe in recipes.RECIPES.values():
        assert recipe.keys() <= set(recipes.OPTIONS)
    own = {field.name for field in dataclasses.fields(TrainingSettings)} - {"seed", "checkpoint_every"}
    assert own - set(recipes.OPTIONS) == {"precision", "save_memory"}  # which no recipe decides
    # What a recipe may decide has no default of its own.
    assert [option.name for option in TRAIN if option.name in recipes.OPTIONS and option.default is not None] == []


def test_numbers_in_the_help_are_those_of_the_paper():
    """ "(paper: 0.4)" in a line of --help is the recipe's value."""
    said = {}
    for option in TRAIN:
        if match := re.search(r"\(paper: ([^;,)]+)", option.help):
            said[option.name] = match[1]
    paper = recipes.RECIPES["paper"]
    assert said.pop("batch_size") == "1"  # None in the recipe, 5 for p = 1
    assert said.pop("target_scaling") == "no"
    assert {name: float(value) for name, value in said.items()} == {name: float(paper[name]) for name in said}
    assert {"p", "epochs", "learning_rate", "clip_norm", "evaluate_every", "ema"} <= said.keys()


def test_choices_are_those_of_the_library():
    [replicas] = [option for option in SIMULATE if option.name == "replicas"]
    assert replicas.choices == REPLICAS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_has_the_table(command):
    [module] = [module for module in entry.COMMANDS if command == module.NAME]
    assert module.TABLE is COMMANDS[command][0]


def test_a_help_is_one_line_without_a_full_stop():
    for table, *_ in COMMANDS.values():
        for option in table:
            assert option.help, option.name
            assert "\n" not in option.help
            assert not option.help.endswith(".") or option.help.endswith("..."), option.name


def test_the_table_in_the_docs_is_that_of_train():
    command = [sys.executable, str(ROOT / "docs/options.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stale_table_is_found(tmp_path):
    for name in ("options.py", "training.md"):
        (tmp_path / name).write_text((ROOT / "docs" / name).read_text())
    text = (tmp_path / "training.md").read_text()
    (tmp_path / "training.md").write_text(text.replace("step size of Adam", "size of a step"))
    command = [sys.executable, str(tmp_path / "options.py")]
    done = subprocess.run([*command, "--check"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "is not what the options of train are; run python docs/options.py" in done.stderr
    assert subprocess.run(command, timeout=60, check=False).returncode == 0
    assert (tmp_path / "training.md").read_text() == text

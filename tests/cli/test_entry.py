"""The loop over the commands: help, the ways to start it, wrong usage, and Ctrl-C."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import botan_fast as bf
import botan_fast.data.schema  # where convert counts what is finished
from botan_fast import cli
from botan_fast.cli import entry, main
from tests.helpers.command_line import error_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMANDS = {command.NAME: command for command in entry.COMMANDS}


def test_every_file_of_a_command_is_in_the_loop():
    files = Path(cli.__file__).parent.glob("*.py")
    assert {path.stem for path in files if "\nNAME = " in path.read_text()} == COMMANDS.keys()


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help(arguments, capsys):
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.startswith(("usage: botan-fast", f"botan-fast {bf.__version__}"))


def test_help_names_every_command_in_order(capsys):
    main(["--help"])
    assert re.findall(r"^    (\w+) +\w", capsys.readouterr().out, re.MULTILINE) == list(COMMANDS)


def test_help_does_not_load_torch():
    lines = [["--help"], *([name, "--help"] for name in COMMANDS)]
    code = (
        f"import sys; from botan_fast.cli import main; [main(line) for line in {lines}]; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'safetensors', 'h5py', 'matplotlib')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0


def script_of(name):
    """What an installer writes for an entry of [project.scripts]."""
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    module, function = pyproject["project"]["scripts"][name].split(":")
    return f"import sys; from {module} import {function}; sys.exit({function}())"


@pytest.mark.parametrize(
    "start",
    [["-m", "botan_fast"], ["-m", "botan_fast.cli"], ["-c", script_of("botan-fast")]],
    ids=["-m botan_fast", "-m botan_fast.cli", "botan-fast"],
)
def test_three_ways_to_start_it(start):
    def started(*arguments):
        done = subprocess.run([sys.executable, *start, *arguments], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr

    assert started("--version") == (0, f"botan-fast {bf.__version__}\n", "")
    status, out, error = started("inof")
    assert (status, out) == (2, "")
    assert error.startswith("botan-fast: error: argument COMMAND: invalid choice: 'inof'")


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("train --train a.npz -o run", "; continue with: botan-fast train --train a.npz -o run --resume"),
        ("train --resume --train 'a b' -o r", "; continue with: botan-fast train --resume --train 'a b' -o r"),
        ("evaluate --model m --data a.npz", ""),
        ("predict --model m --data a.npz -o out", ""),
        ("convert a.npz -o none.h5", ""),
        ("convert a.npz -o begun.h5", "; 2 finished configurations are kept, repeat the command to continue"),
        ("simulate -o a.h5", "; the same command continues"),
        ("demo", ""),
        ("bench", ""),
        ("info", ""),
    ],
)
def test_ctrl_c(line, more, tmp_path, monkeypatch, capsys):
    def run(arguments):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    (tmp_path / "begun.h5.parts").mkdir()
    for number in (0, 1):
        (tmp_path / f"begun.h5.parts/{number:06}.h5").touch()
    arguments = shlex.split(line)
    monkeypatch.setattr(COMMANDS[arguments[0]], "run", run)
    assert main(arguments) == 130
    assert capsys.readouterr() == ("", f"botan-fast: interrupted{more}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "arguments are required: COMMAND"),
        (["trian"], "did you mean train?"),
        (["train", "--trian", "a.npz"], "unknown option --trian; did you mean --train?"),
        (["train", "--epoch=3"], "unknown option --epoch; did you mean --epochs?"),
        (["train", "--train", "a.npz"], "required: --output"),
        (
            ["train", "--train", "a.npz", "-o", "run", "--epochs", "many"],
            "argument --epochs: invalid int value: 'many'",
        ),
        (["train", "--train", "a.npz", "-o", "run", "--p", "2"], "p = 2.0"),
        (["train", "--train", "a.npz", "-o", "run", "--augmentation", "cubic"], "use one of octahedral, o3, none"),
        (["evaluate", "--model", "m"], "required: --data"),
        (["info", "more"], "unrecognized arguments: more"),
        (["evaluate", "--model", "m", "--data", "d", "--threads", "0"], "--threads = 0"),
    ],
)
def test_wrong_usage(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error_line(arguments, capsys)


def test_debug_shows_the_traceback(tiny_model_file):
    with pytest.raises(bf.BotanFastError):
        main(["evaluate", "--model", str(tiny_model_file), "--data", "missing.npz", "--debug"])

"""The fenced blocks of README.md and docs/**/*.md as examples that run: Python, shell, TOML, cells of notebooks."""

import atexit
import gzip
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from unittest import mock

import torch
from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from botan_fast.cli import entry
from botan_fast.formats.pattern import tomllib
from tests.helpers.checkpoints import authors_state, random_model
from tests.helpers.format_files import Simulation, frames_of, lammps_text, simulation
from tests.helpers.scripts import fake_slurm, run_script
from tests.helpers.tiny_data import write_tiny

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md"]
    if path.name != "CHANGELOG.md"
)

# The documents tell what a user wants; a test wants the same in seconds. Each of these is searched for in the block.
SHORTER = {
    "epochs=1000": "epochs=2",
    "epochs = 1000": "epochs = 2",
    "trials = 50": "trials = 2",
    "--epochs 1000": "--epochs 2",
    "--configurations 400": "--configurations 8",
    "--configurations 10": "--configurations 2",
}

# Options that a command gets in addition, or in place of what it has.
SIZES = {
    "demo": "--epochs 2",
    "bench": "--help",  # tests/bench does the work
    "sweep quick": "--help",  # tests/integration/test_sweep.py does
    "sweep paper": "--help",  # tests/sweep/test_shipped_plans.py counts its tasks
    "sweep status paper": "--help",
    "collect paper": "--help",
    "simulate": "--num-particles 160 --runs 2 --tau-alpha 1 --times 0.05 0.2 --melt-time 0.5 "
    "--quench-time 0.5 --equilibration 1",
    "train": "--hidden-size 32 --num-steps 2",
}
# Programs whose work is done elsewhere, in the same run of CI or by a developer: here their files and options count.
DEVELOPER = {"python3", "source", "pre-commit", "ruff", "mypy", "clang-format", ".ci/run", "#SBATCH", "tensorboard"}


def documents() -> Sybil:
    """What finds the blocks of a document and runs them one after the other, in one namespace and folder."""
    return Sybil(
        parsers=[
            CodeBlockParser("python", run_python),
            CodeBlockParser("{code-cell} ipython3", run_python),
            CodeBlockParser("bash", run_shell),
            CodeBlockParser("toml", write_toml),
        ],
        patterns=["*.md"],
    )


def blocks(document: Document) -> list[str]:
    """The languages of all fenced blocks, found without sybil: none may be left out."""
    fences = re.findall(r"(?m)^ *```(.*)$", document.text)
    return fences[::2]


def workspace(folder: Path) -> None:
    """The files that README and docs speak of, small: npz files of the authors, their weights, runs of LAMMPS."""
    for part, numbers in (("train", (1, 2)), ("test", (401, 402))):
        (folder / "T0.44" / part).mkdir(parents=True)
        for number in numbers:
            write_tiny(folder / f"T0.44/{part}/isoconfig_N80T0.44_{number}_tc07.npz", seed=number)
    (folder / "initial_model").mkdir()
    torch.save(
        authors_state(random_model(decoders="shared", hidden_size=64, num_steps=7)), folder / "initial_model/model1.pth"
    )
    for temperature in ("0.44", "0.50"):
        s = simulation(number=60, cell=[4.2, 4.3, 4.4], seed=int(100 * float(temperature)))
        write_runs(folder / f"T{temperature}/c1", s)


def write_runs(folder: Path, s: Simulation) -> None:
    """The runs of one configuration: a file for each frame, and a file for each run."""
    folder.mkdir(parents=True)
    (folder / "initial.dump").write_text(lammps_text(s, [(0.0, s.positions)], dt=0.0025))
    for run in range(s.runs.shape[1]):
        (folder / f"run{run}").mkdir()
        frames = frames_of(s, run)
        for frame in frames:
            (folder / f"run{run}/frame{frame[0]:g}.dump").write_text(lammps_text(s, [frame]))
        (folder / f"run{run}.dump.gz").write_bytes(gzip.compress(lammps_text(s, frames[1:], dt=0.0025).encode()))


def shorter(text: str) -> str:
    """A block with the numbers of `SHORTER`."""
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


def run_python(example: Example) -> None:
    """Run a Python block with the numbers of `SHORTER`."""
    text = shorter(example.parsed)
    place = f"{example.path}:{example.line}"
    exec(compile(text, place, "exec"), example.namespace)


def run_shell(example: Example) -> None:
    """Run the lines of a shell block; what they print is `printed` in the Python blocks after it."""
    text = shorter(example.parsed)
    if text.startswith("#!"):
        for words in run_script(text):
            run_botan_fast(words) if words[0] == "train" else check_options(words)
        return
    printed = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("#SBATCH"):
            os.environ["SLURM_ARRAY_TASK_ID"] = "1"
            continue
        for command in line.split("&&"):
            words = shlex.split(os.path.expandvars(command), comments=True)
            if words:
                printed.append(run_command(words))
    example.namespace["printed"] = "".join(printed)


def run_command(words: list[str]) -> str:
    """Run a command of botan-fast; of the others, look whether what they name exists."""
    program, rest = words[0], words[1:]
    if program == "botan-fast":
        return run_botan_fast(rest)
    if program == "pip":
        check_pip(rest)
    elif program == "pytest":
        places = [word for word in rest if "/" in word or word == "benchmarks"]
        assert all((ROOT / place).exists() for place in places), words
    elif program == "python":
        module = rest[1] if rest[0] == "-m" else None
        if module is None:
            assert (ROOT / rest[0]).is_file(), words
        elif module not in of_extras():  # such as sphinx, which the tests do without
            assert importlib.util.find_spec(module), words
    elif program == "torchrun":
        run_torchrun(rest)
    elif "=" in program:  # a variable before a command
        with mock.patch.dict(os.environ, [program.split("=", 1)]):
            return run_command(rest)
    else:
        assert program in DEVELOPER, f"{program}: tests/helpers/documents.py does not know it"
    return ""


@lru_cache
def of_extras() -> frozenset[str]:
    """Names of the packages in the extras of pyproject.toml."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    return frozenset(re.split(r"[^\w-]", package)[0] for packages in extras.values() for package in packages)


def run_botan_fast(arguments: list[str]) -> str:
    if "cuda" in arguments and not torch.cuda.is_available():
        check_options(arguments)
        return ""
    if "wandb" in arguments and not importlib.util.find_spec("wandb"):  # no part of the tests' extra
        check_options(arguments)
        return ""
    if any(word.endswith("ovito") for word in arguments) and not importlib.util.find_spec("ovito"):  # nor is this
        check_options(arguments)
        return ""
    names = (" ".join(arguments[:number]) for number in (3, 2, 1))
    sizes = next((SIZES[name] for name in names if name in SIZES), "").split()
    if "--init" in arguments:  # the weights say how large the network is
        sizes = []
    if arguments == ["demo"]:
        printed, folder = demo()
        shutil.copytree(folder, "botan-fast-demo", dirs_exist_ok=True)
        return printed
    for option in [word for word in sizes if word.startswith("--")]:
        while option in arguments:  # argparse would take the last one; a list of values needs it removed
            start = arguments.index(option)
            end = start + 1
            while end < len(arguments) and not arguments[end].startswith("-"):
                end += 1
            del arguments[start:end]
    command = [sys.executable, "-m", "botan_fast", *arguments, *sizes]
    environment = None
    if "--slurm" in arguments:
        environment = os.environ | {"PATH": f"{fake_slurm().programs}:{os.environ['PATH']}"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stderr}"
    return done.stdout


@lru_cache
def demo() -> tuple[str, Path]:
    """What the demo prints, and the folder that it leaves: once for all the documents that show it."""
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    command = [sys.executable, "-m", "botan_fast", "demo", *SIZES["demo"].split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=place)
    assert done.returncode == 0, f"demo\n{done.stderr}"
    return done.stdout, place / "botan-fast-demo"


def run_torchrun(words: list[str]) -> None:
    """Several processes of a training or of a script; of several nodes, the options count."""
    place = words.index("-m") if "-m" in words else None
    if place is not None and any(word.startswith("--nnodes") for word in words):
        assert words[place + 1] == "botan_fast"
        check_options(words[place + 2 :])
        return
    sizes = SIZES["train"].split() if place is not None else []
    command = [sys.executable, "-m", "torch.distributed.run", *words, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"torchrun {shlex.join(words)}\n{done.stderr}"


def check_options(arguments: list[str]) -> None:
    """The options of a command that is not run here are some that it has."""
    entry._parse(arguments)


def check_pip(words: list[str]) -> None:
    """The extras that an installation names are those of pyproject.toml, and its files are there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for word in words:
        for extras in re.findall(r"\[(.*)\]", word):
            unknown = set(extras.split(",")) - set(project["optional-dependencies"])
            assert not unknown, f"pip install: no extra {unknown}"
        if word.endswith(".txt"):
            assert (ROOT / word).is_file(), word


def write_toml(example: Example) -> None:
    """Write a file under the name in its first line, `# NAME; ...`, or as layout.toml."""
    name = re.match(r"# ([\w.-]+\.toml)", example.parsed)
    Path(name[1] if name else "layout.toml").write_text(shorter(example.parsed), encoding="utf-8")

"""botan-fast sweep --slurm as a user sees it: what it prints, and one line for each mistake."""

import shlex
import subprocess
import sys

import pytest

from botan_fast.cli import main
from botan_fast.sweep.manifest import Manifest


def worker_of(number, folder):
    """The command of the workers of the first job of an array, which submitit keeps in a pickle."""
    from submitit.core.utils import DelayedSubmission

    first = min((folder / "slurm").glob(f"{number}*_submitted.pkl"))
    return list(DelayedSubmission.load(first).function.arguments)


def test_what_it_prints(slurm, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "sweep quick -o sweep --slurm --jobs 3 --workers 2 --device cuda --threads 4 --slurm-option partition=gpu"
    assert main(shlex.split(words)) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "stage pretrain: 2 unfinished tasks, 2 jobs, number 101"
    assert printed[1] == "stage botan: 4 unfinished tasks, 3 jobs, number 102, begins after 101"
    assert printed[-2] == "watch: botan-fast sweep status sweep; what jobs print is in sweep/slurm"
    numbers = " ".join(slurm.scripts)
    assert printed[-1] == f"stop: scancel {numbers}; the same command continues, also beside jobs that still run"
    assert slurm.options("102")["partition"] == "gpu"
    command = worker_of("102", tmp_path / "sweep")
    assert command[:6] == ["-m", "botan_fast", "sweep", "-o", str(tmp_path / "sweep"), "--worker"]
    assert command[command.index("--stage") + 1] == "botan"
    for option, value in (("--workers", "2"), ("--device", "cuda"), ("--threads", "4")):
        assert command[command.index(option) + 1] == value
    assert "--retry-before" in command


def test_workers_understand_their_command(slurm, tmp_path, monkeypatch, capsys):
    """The command of a job is one that botan-fast takes, with a stage that is there."""
    monkeypatch.chdir(tmp_path)
    main(["sweep", "quick", "-o", "sweep", "--slurm", "--stage", "pretrain"])
    command = worker_of("101", tmp_path / "sweep")
    for task in Manifest.read(tmp_path / "sweep"):  # nothing is left to do
        (tmp_path / "sweep/tasks" / task.name).mkdir(exist_ok=True)
        (tmp_path / "sweep/tasks" / task.name / "done.json").write_text("{}")
    assert main(command[2:]) == 0
    capsys.readouterr()
    assert main(["sweep", "quick", "-o", "sweep", "--slurm"]) == 0
    assert capsys.readouterr().out == "nothing is left to submit\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--jobs 3", "--jobs is for jobs of a cluster; add --slurm, or take --workers for this machine"),
        ("--slurm-option time=3", "--slurm-option is for jobs of a cluster"),
        ("--slurm --slurm-option tim=3", "unknown option tim; did you mean time?"),
        ("--slurm --slurm-option data.time=3", "[slurm.data] is no stage of the plan"),
        ("--slurm --jobs 0", "jobs = 0; give a whole number of at least 1"),
        ("--executor cloud", "executor = cloud; choose of slurm, local, debug"),
        ("--slurm --shard 1/4", "leave out --slurm"),
    ],
)
def test_a_mistake_is_one_line(slurm, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "quick", "-o", "sweep", *shlex.split(words)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert slurm.scripts == {}


def test_nothing_of_it_is_imported_for_help():
    """--help answers in half a second."""
    code = (
        "import sys; from botan_fast.cli import main; main(['sweep', '--help']); "
        "sys.exit(bool({'submitit', 'torch', 'numpy', 'cloudpickle'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--slurm-option [STAGE.]KEY=VALUE" in done.stdout

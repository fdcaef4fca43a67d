"""The process of a task: its command, its environment, how it begins, and what is said of its end."""

import os
import signal
import sys

import pytest

from botan_fast.formats.pattern import tomllib
from botan_fast.processes import VARIABLES
from botan_fast.sweep.alive import start_of
from botan_fast.sweep.child import Child, Resources, environment, explain, task_argv, write_options
from botan_fast.sweep.manifest import Task
from tests.helpers.fake_sweeps import wait_until


def words(command, tmp_path, resources=Resources(), **options):  # noqa: B008 (it is frozen)
    return task_argv(Task("t", "s", command, options), tmp_path, resources)[3:]


def test_the_command_of_a_task(tmp_path):
    file = str(tmp_path / "run.toml")
    both = Resources(threads=3, device="cuda")
    assert words("train", tmp_path) == ["train", "--config", file, "--quiet", "--resume"]
    assert words("train", tmp_path, both)[4:] == ["--resume", "--threads", "3", "--device", "cuda"]
    assert words("train", tmp_path, both, threads=1, device="cpu")[4:] == ["--resume"]  # the plan's own
    assert words("simulate", tmp_path, both)[4:] == []  # whose bits depend on the threads
    assert words("baseline", tmp_path, both)[4:] == ["--threads", "3"]
    assert words("evaluate", tmp_path, output="s.json")[4:] == []
    (tmp_path / "s.json").touch()
    assert words("evaluate", tmp_path, output="s.json")[4:] == ["--force"]


def test_options_are_written_as_toml_with_the_command(tmp_path):
    place = tmp_path / "tasks/t"
    place.mkdir(parents=True)
    options = {"train": ["../../data/a.h5"], "p": 0.4, "output": "../../runs/t", "seed": 1, "cutoff": None}
    write_options(Task("t", "s", "train", options), place)
    content = (place / "run.toml").read_text()
    assert content.startswith("# botan-fast train --config run.toml --resume\n")
    del options["cutoff"]
    assert tomllib.loads(content) == options
    assert (tmp_path / "runs").is_dir()


def test_a_task_is_no_part_of_a_group_of_processes(monkeypatch):
    group = (*VARIABLES, "SLURM_PROCID", "SLURM_JOB_ID", "PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "ROLE_NAME")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    found = environment(Resources(threads=2), {"HOME": "/home/a", "PATH": "/bin", **dict.fromkeys(group, "1")})
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    assert found == {
        "HOME": "/home/a",
        "PATH": "/bin",
        "BOTAN_FAST_PARENT": str(os.getpid()),
        **dict.fromkeys(threads, "2"),
    }


def test_modules_of_the_current_folder_are_not_pythons(tmp_path, monkeypatch):
    (tmp_path / "random.py").write_text("print('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", str(tmp_path))])
    found = environment(Resources(), {})
    assert found["PYTHONSAFEPATH"] == "1"
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as after python -m
    assert "PYTHONSAFEPATH" not in environment(Resources(), {})


def start(tmp_path, code):
    return Child([sys.executable, "-c", code], os.environ, tmp_path / "log.txt")


def end_of(child):
    wait_until(lambda: child.poll() is not None)
    return child.poll()


def test_it_begins_when_it_is_told_to_and_keeps_its_number(tmp_path):
    child = start(tmp_path, "import os; print(os.getpid(), os.read(0, 1))")
    assert child.poll() is None
    child.begin()
    assert end_of(child) == 0
    assert (tmp_path / "log.txt").read_text().splitlines()[-1] == f"{child.pid} b''"
    child.close()


def test_it_never_begins_where_its_worker_dies_before(tmp_path):
    child = start(tmp_path, "print('began')")
    os.close(child._process.stdin.fileno())  # as the end of the worker does
    assert end_of(child) != 0
    assert "began" not in (tmp_path / "log.txt").read_text().partition("\n# ")[2].partition("\n")[2]


def test_its_last_words_are_those_of_this_attempt(tmp_path):
    first = start(tmp_path, "print('botan-fast: error: the first')")
    first.begin()
    end_of(first)
    assert first.last_words() == "the first"
    second = start(tmp_path, "import sys; print('one\\ntwo\\rthree'); sys.exit(3)")
    second.begin()
    assert explain(end_of(second), second.last_words) == "three"
    third = start(tmp_path, "import sys; print('botan-fast: error: bad\\nmore'); sys.exit(2)")
    third.begin()
    assert explain(end_of(third), third.last_words) == "bad"
    silent = start(tmp_path, "import sys; sys.exit(3)")
    silent.begin()
    assert explain(end_of(silent), silent.last_words) == "ended with status 3 without a word"
    log = (tmp_path / "log.txt").read_text()
    assert [word for word in ("the first", "three", "bad") if word in log] == ["the first", "three", "bad"]


@pytest.mark.parametrize("end", ["sys.exit(0)", "os.kill(os.getpid(), 9)"])
def test_what_it_leaves_behind_ends_with_it(end, tmp_path):
    inner = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = (
        "import os, subprocess, sys\n"
        f"left = subprocess.Popen([sys.executable, '-c', {inner!r}], stdout=subprocess.PIPE)\n"
        "print(left.stdout.readline().decode(), flush=True)\n"
        f"{end}"
    )
    child = start(tmp_path, code)
    child.begin()
    assert end_of(child) in (0, -9)
    left = int((tmp_path / "log.txt").read_text().split()[-1])
    wait_until(lambda: start_of(left) is None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_signals_reach_what_it_started_too(number, tmp_path):
    inner = "import os, time; print('it is', os.getpid(), flush=True); time.sleep(60)"
    child = start(tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}])")
    child.begin()
    log = tmp_path / "log.txt"
    wait_until(lambda: log.read_text().splitlines()[-1].startswith("it is"))
    started = int(log.read_text().split()[-1])
    child.send(number)
    assert end_of(child) == -number
    wait_until(lambda: start_of(started) is None)

"""`botan-fast sweep`: its lines, its status, Ctrl-C, and what is wrong with its arguments."""

import json
import os
import signal

import pytest

from botan_fast.cli import main
from tests.helpers.command_line import error_line
from tests.helpers.fake_sweeps import done, fake, make_sweep, processes_of, record, start_command, starts, wait_until


def run(folder, *options):
    process = start_command(folder, *options)
    try:
        out, error = process.communicate(timeout=60)
    finally:
        process.terminate()
    return process.returncode, out, error


@pytest.mark.parametrize("options", [["--workers", "3"], ["--worker"]])
def test_all_is_done(options, tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a"), *(fake(f"b{k}", "a") for k in range(5))])
    status, out, error = run(folder, *options)
    assert (status, out) == (0, f"6 of 6 tasks done\nnext: botan-fast collect {folder}\n"), error
    assert sorted(record(folder, "ends")) == ["a", *(f"b{k}" for k in range(5))]
    assert all(line.startswith("botan-fast: ") for line in error.splitlines())
    assert run(folder, "--quiet", *options) == (0, out, "")  # nothing is left to do
    assert len(starts(folder)) == 6


def test_tasks_that_fail_are_named_and_tried_again(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a", fails="no such file"), fake("b", "a"), fake("c")])
    status, out, error = run(folder, "--workers", "2", "--quiet")
    assert status == 1
    assert out == "1 of 3 tasks done, 1 failed, 1 blocked\nnext: the same command tries failed tasks again\n"
    assert error.splitlines() == [
        f"botan-fast: a failed: no such file ({folder}/tasks/a/log.txt)",
        "botan-fast: b is blocked: it needs a",
    ]
    assert run(folder, "--skip-failed", "--quiet")[0] == 1
    assert len(starts(folder, "a")) == 1
    (folder / "record/repaired").touch()
    assert run(folder, "--quiet")[0] == 0
    assert done(folder) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("options", "number", "times"),
    [
        (["--workers", "2"], signal.SIGINT, 1),
        (["--workers", "2"], signal.SIGINT, 3),
        (["--worker"], signal.SIGTERM, 2),
    ],
)
def test_signals_end_in_order_and_the_same_command_continues(options, number, times, tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a"), fake("b", "a", seconds=60), fake("c", "b")])
    process = start_command(folder, *options, "--quiet")
    wait_until(lambda: starts(folder) == ["a", "b"])
    for _ in range(times):
        process.send_signal(number)
    out, error = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, "")
    assert error == "botan-fast: interrupted; 1 of 3 tasks are done, the same command continues\n"
    assert processes_of(folder) == []
    assert (folder / "tasks/b/released.1").exists()
    again = start_command(folder, *options, "--quiet")
    wait_until(lambda: starts(folder) == ["a", "b", "b"])
    assert again.poll() is None
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)


def test_workers_that_cannot_go_on_end_the_command_in_one_line(tmp_path):
    folder = make_sweep(tmp_path / "sweep", [fake("a")])
    (folder / "tasks").mkdir()
    (folder / "tasks/a").touch()  # in place of a folder
    status, out, error = run(folder, "--workers", "2", "--quiet")
    assert (status, out) == (2, "")
    assert error == f"botan-fast: error: {folder}/tasks/a: Not a directory\n"


def test_without_a_plan_there_must_be_a_sweep(tmp_path, capsys):
    line = error_line(["sweep", "-o", tmp_path], capsys)
    assert line == (
        f"botan-fast: error: '{tmp_path}' holds no sweep; begin one with botan-fast sweep PLAN -o {tmp_path}"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan.toml"], "--output is missing"),
        (["plan.toml", "sweep", "-o", "x"], "'sweep' after the plan; the folder of the sweep is given by --output"),
        (["-o", "{sweep}", "--shard", "0/2"], "--shard = 0/2: give part I of N"),
        (["-o", "{sweep}", "--shard", "half"], "--shard = 'half': give part I of N, such as 1/4 ... 4/4"),
        (["-o", "{sweep}", "--stage", "tran"], "--stage = 'tran': the sweep has fake; give some of them"),
        (["-o", "{sweep}", "--workers", "0"], "--workers = 0: give 1 to 1024, best no more than cores"),
        (["-o", "{sweep}", "--threads", "0"], "--threads = 0; give 1 to 1024, best the number of cores"),
        (["-o", "{sweep}", "--device", "cuda:1"], "--device = 'cuda:1': write cuda"),
        (["-o", "{sweep}", "--json"], "--json goes with status"),
        (["-o", "{sweep}", "--jobs", "3"], "--jobs is for jobs of a cluster"),
        (["-o", "{sweep}", "--slurm", "--worker"], "--worker, --shard and --no-wait are for workers"),
        (["-o", "{sweep}", "--wokers", "3"], "unknown option --wokers; did you mean --workers?"),
        (["status"], "status: name the folder of the sweep, botan-fast sweep status DIR"),
        (["status", "{sweep}", "--workers", "2"], "--workers does not go with status; leave it out"),
        (["status", "nowhere"], "'nowhere' holds no sweep; begin one with botan-fast sweep PLAN -o nowhere"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = make_sweep(tmp_path / "there", [fake("a")])
    assert message in error_line(["sweep", *(word.format(sweep=folder) for word in arguments)], capsys)


def test_status(tmp_path, capsys):
    folder = make_sweep(tmp_path / "sweep", [fake("a"), fake("b", fails="wrong"), fake("c", "b"), fake("d", "a")])
    assert run(folder, "--quiet", "--no-wait", "--shard", "1/2")[0] == 0  # a; c waits for b
    assert run(folder, "--quiet", "--shard", "2/2")[0] == 1  # b and d
    assert main(["sweep", "status", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {name: found[name] for name in ("tasks", "done", "running", "failed", "blocked", "waiting")} == {
        "tasks": 4,
        "done": 2,
        "running": 0,
        "failed": 1,
        "blocked": 1,
        "waiting": 0,
    }
    assert main(["sweep", "status", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{folder}: 2 of 4 tasks done, 1 failed, 1 blocked"
    assert lines[1:3] == [f"  failed   b  wrong ({folder}/tasks/b/log.txt)", "  blocked  c  needs b"]

"""Several processes that do not all get to the end: resume, a kill, an error of one, arguments that differ."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from botan_fast.processes import VARIABLES
from botan_fast.training.run_directory import RunDirectory
from tests.helpers import team
from tests.helpers.tiny_data import write_tiny


def lines(error):
    """What a process wrote on standard error, but for what gloo and torch say by themselves."""
    return [line for line in error.splitlines() if not line.startswith(("[", "W0", "W1", "E0", "E1"))]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Six epochs of "scaled" by two processes, which then resume it; the folder."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    job = {"name": "scaled", "epochs": 6, "output": str(folder / "run"), "checkpoint_every": 4}
    ended = team.start(2, [job, {**job, "resume": True}], folder)
    assert [status for status, _ in ended] == [0, 0], ended
    return folder


def test_process_0_alone_writes(uninterrupted):
    saved = team.results(uninterrupted, 2)
    team.assert_one_model(saved)
    run = RunDirectory(uninterrupted / "run")
    assert json.loads(run.config_file.read_text())["processes"] == 2
    assert repr(run.read_state().history) == repr(saved[0]["history"])
    team.assert_same_weights(run.read_state().result, saved[1]["weights"])
    assert not [file for file in run.path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("rank", [0, 1])
def test_after_a_kill_the_others_end_and_the_run_goes_on(uninterrupted, tmp_path, rank):
    """In the sixth of six epochs of four batches, with four epochs saved."""
    job = {"name": "scaled", "epochs": 6, "output": str(tmp_path / "run"), "checkpoint_every": 4}
    ended = team.start(2, [job], tmp_path, kill=[rank, 5 * 4 + 2])
    assert ended[rank][0] == -signal.SIGKILL
    [line] = lines(ended[1 - rank][1])
    assert line.startswith(f"LostProcess elsewhere={rank == 0}: process {1 - rank} of 2: another process of this run")
    assert ended[1 - rank][0] == 2
    # Process 0 saves what it has finished, if it lives.
    assert RunDirectory(tmp_path / "run").read_state().epochs == (5 if rank else 4)
    again = team.start(2, [{**job, "resume": True}], tmp_path)
    assert [status for status, _ in again] == [0, 0], again
    saved, wanted = team.results(tmp_path, 2), team.results(uninterrupted, 2)[0]
    for one in saved:
        assert repr(team.without_time(one["history"])) == repr(team.without_time(wanted["history"]))
        team.assert_same_weights(one["weights"], wanted["weights"])


def test_resume_by_another_number_of_processes(tmp_path):
    options = {"output": str(tmp_path / "run"), "resume": True, "batch_size": 4}
    config = tmp_path / "run/config.json"
    assert [s for s, _ in team.start(2, [{"name": "plain", "epochs": 1, **options}], tmp_path)] == [0, 0]
    assert json.loads(config.read_text())["processes"] == 2
    team.train("plain", epochs=3, **options)
    assert "processes" not in json.loads(config.read_text())
    assert [s for s, _ in team.start(3, [{"name": "plain", "epochs": 5, **options}], tmp_path)] == [0, 0, 0]
    assert json.loads(config.read_text())["processes"] == 3
    saved = team.results(tmp_path, 3)
    team.assert_one_model(saved)
    team.assert_equal_to_rounding(saved[0]["history"], team.train("plain", epochs=5, batch_size=4).history)


def test_a_finished_run_is_given_to_all(uninterrupted):
    saved = team.results(uninterrupted, 2, 1)
    team.assert_one_model(saved)
    assert saved[0]["sums"] == []
    team.assert_same_weights(saved[1]["weights"], team.results(uninterrupted, 2)[0]["weights"])


WRONG = [
    ({"batch_size": 1}, "InputError", "batch_size = 1 is that of all 2 processes together"),
    ({"p": 2.0}, "InputError", "p = 2.0: "),
    ({"seed": "rank"}, "InputError", "seed = 0 in process 0 and 1 in process 1, which train one model together: "),
    ({"validation": 6}, "InputError", "train holds 1 configurations to learn from, fewer than the 2 processes"),
    ({"output": "TAKEN"}, "InputError", "output = "),  # process 0 alone looks at the folder
    ({"output": "NEW", "checkpoint_every": 3}, "DataError", "conf_3: damaged"),  # in process 1, in its second epoch
    ({"learning_rate": 1e30}, "TrainingError", "loss = "),
]


def test_what_one_cannot_do_is_one_line_and_ends_all(uninterrupted, tmp_path):
    """After each they are together for the next: nobody waits for anybody, or has ended."""
    folders = {"TAKEN": str(uninterrupted / "run"), "NEW": str(tmp_path / "run")}
    jobs = [{"name": "plain", **options} for options, *_ in WRONG] + [{"name": "plain"}]
    for job in jobs:
        if "output" in job:
            job["output"] = folders[job["output"]]
    ended = team.start(2, jobs, tmp_path, fail=[1, 4 + 2])
    assert [status for status, _ in ended] == [2, 2]
    said = [lines(error) for _, error in ended]
    for place, (_, kind, text) in enumerate(WRONG):
        first, second = (of_rank[place] for of_rank in said)
        speaker = int(kind == "DataError")
        assert [first, second][speaker].startswith(f"{kind} elsewhere=False: {text}")
        assert [second, first][speaker] == [first, second][speaker].replace("elsewhere=False", "elsewhere=True")
    assert [len(of_rank) for of_rank in said] == [len(WRONG)] * 2
    team.assert_one_model(team.results(tmp_path, 2, len(WRONG)))


def test_a_process_whose_others_do_not_come(tmp_path):
    """Rank 0 of two, alone, with two seconds of patience."""
    alone = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    [(status, error)] = team.start(1, [{"name": "plain"}], tmp_path, each=lambda rank: alone, wait=2.0)
    assert status == 2
    assert "InputError elsewhere=False: process 0 of WORLD_SIZE = 2 has not met the others at MASTER_ADDR" in error


def test_tasks_of_srun(tmp_path):
    """The variables of a step with two tasks on one machine."""

    def task(rank):
        return {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": str(rank), "SLURM_STEP_NUM_NODES": "1"} | {
            "SLURM_JOB_ID": "7",
            "SLURM_STEP_NODELIST": "nobody-knows-this-name",
        }

    assert [status for status, _ in team.start(2, [{"name": "plain"}], tmp_path, each=task)] == [0, 0]
    saved = team.results(tmp_path, 2)
    team.assert_one_model(saved)
    assert saved[0]["sums"]
    team.assert_equal_to_rounding(saved[0]["history"], team.train("plain").history)


@pytest.mark.parametrize("groups", [1, 2])
def test_a_process_group_of_the_user(tmp_path, groups):
    jobs = [{"name": "plain"}, {"name": "plain"}]
    assert [status for status, _ in team.start(2, jobs, tmp_path, join=True, groups=groups)] == [0, 0]
    first, second = (team.results(tmp_path, 2, number) for number in (0, 1))
    team.assert_one_model(second)
    team.assert_same_weights(first[0]["weights"], second[0]["weights"])
    assert first[0]["sums"]
    team.assert_equal_to_rounding(first[0]["history"], team.train("plain").history)


def test_a_signal_to_all(tmp_path):
    """SIGTERM, as at the end of a job: all end as by the signal, and one line says what is saved."""
    for k in range(3):
        write_tiny(tmp_path / f"{k}.npz", seed=k)
    command = [sys.executable, "-m", "botan_fast", "train", "--train", *(str(tmp_path / f"{k}.npz") for k in range(3))]
    command += ["-o", str(tmp_path / "run"), "--hidden-size", "32", "--num-steps", "2", "--epochs", "1000000"]
    command += ["--batch-size", "2", "--density", "1.2", "--quiet"]
    port = str(team.free_port())
    alone = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    alone |= {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    running = [
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**alone, "RANK": str(rank)})
        for rank in range(2)
    ]
    try:
        deadline = time.monotonic() + team.LIMIT
        while not (tmp_path / "run/history.csv").exists() and time.monotonic() < deadline:
            assert [process.poll() for process in running] == [None, None]
            time.sleep(0.05)
        for process in reversed(running):  # process 1 may be gone before the other one hears of it
            process.send_signal(signal.SIGTERM)
        first, second = (process.communicate(timeout=team.LIMIT)[1] for process in running)
    finally:
        for process in running:
            process.kill()
    assert [process.returncode for process in running] == [143, 143]
    assert lines(second) == []
    [line] = lines(first)
    epochs = RunDirectory(tmp_path / "run").read_state().epochs
    assert line.startswith(f"botan-fast: interrupted; '{tmp_path / 'run'}' holds {epochs} finished epochs")
    assert line.endswith("; continue with the same command and --resume")


def test_the_command_under_torchrun(tmp_path):
    """One line of what was trained, from one process; a second time the folder is taken, and one line says so."""
    for k in range(3):
        write_tiny(tmp_path / f"{k}.npz", seed=k)
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--standalone",
        "-m",
        "botan_fast",
    ]
    command += ["train", "--train", *(str(tmp_path / f"{k}.npz") for k in range(3)), "-o", str(tmp_path / "run")]
    command += ["--hidden-size", "32", "--num-steps", "2", "--epochs", "2", "--batch-size", "2", "--density", "1.2"]
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    done = subprocess.run(command, capture_output=True, text=True, timeout=team.LIMIT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines() if not line.startswith("[Gloo]")][1:] == [
        "model and history",
        "next",
    ]
    assert "training on cpu in 2 processes: 3 configurations" in done.stderr
    assert RunDirectory(tmp_path / "run").read_state().epochs == 2
    again = subprocess.run(command, capture_output=True, text=True, timeout=team.LIMIT, env=environment, check=False)
    assert again.returncode != 0
    said = [line for line in again.stderr.splitlines() if line.startswith("botan-fast:")]
    assert len(said) == 1
    assert "holds a run already" in said[0]

"""Which process of several this one is: torchrun's variables, those of a step of srun, and half of either."""

import os
import subprocess
import sys

import pytest

from botan_fast.errors import InputError
from botan_fast.processes import VARIABLES, Place, check_command, find_place, first_host, speaks

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "node7", "MASTER_PORT": "29500"}
SRUN = {
    "SLURM_JOB_ID": "123456",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[017-018]",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NTASKS": "8",
}


@pytest.fixture
def nowhere(monkeypatch):
    for name in [name for name in os.environ if name in VARIABLES or name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    return monkeypatch


def test_torchrun():
    assert find_place(TORCHRUN) == Place(1, 4, 1, "node7", 29500, "torchrun")


def test_srun():
    place = find_place(SRUN)
    assert place == Place(5, 8, 1, "gpu017", place.port, "srun")
    assert 15_000 <= place.port < 31_000
    assert {find_place({**SRUN, "SLURM_PROCID": str(k)}).port for k in range(8)} == {place.port}
    assert find_place({**SRUN, "SLURM_STEP_ID": "3"}).port != place.port
    assert find_place({**SRUN, "SLURM_JOB_ID": "123457"}).port != place.port


def test_srun_on_one_machine_needs_no_name():
    assert find_place({**SRUN, "SLURM_STEP_NUM_NODES": "1"}).address == "127.0.0.1"


def test_what_the_user_says_wins_over_slurm():
    place = find_place({**SRUN, "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "4000"})
    assert (place.address, place.port) == ("10.0.0.1", 4000)


def test_torchrun_within_a_step_of_srun():
    """One torchrun for each machine, started by srun."""
    assert find_place({**SRUN, **TORCHRUN}) == find_place(TORCHRUN)


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WORLD_SIZE": "1"},
        {"WORLD_SIZE": "1", "RANK": "0"},
        {"WORLD_SIZE": ""},
        {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7", "SLURM_NNODES": "2"},  # a batch script
        {**SRUN, "SLURM_STEP_NUM_TASKS": "1"},
    ],
)
def test_alone(environment):
    assert find_place(environment) is None


@pytest.mark.parametrize("name", ["RANK", "MASTER_ADDR", "MASTER_PORT"])
def test_half_of_torchrun_names_what_is_missing(name):
    with pytest.raises(InputError, match=rf"^WORLD_SIZE = 4, but {name} is not set; .* or unset WORLD_SIZE"):
        find_place({key: value for key, value in TORCHRUN.items() if key != name})


def test_a_rank_without_a_number_of_processes():
    with pytest.raises(InputError, match=r"^RANK = 1, but WORLD_SIZE is not set; .* or unset RANK"):
        find_place({"RANK": "1"})


@pytest.mark.parametrize("name", ["SLURM_PROCID", "SLURM_JOB_ID", "SLURM_STEP_NODELIST"])
def test_half_of_srun_names_what_is_missing(name):
    with pytest.raises(InputError, match=rf"^SLURM_STEP_NUM_TASKS = 8, but .*{name}.* set; .* or unset"):
        find_place({key: value for key, value in SRUN.items() if key != name})


@pytest.mark.parametrize("name", ["RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_PORT"])
@pytest.mark.parametrize("value", ["-1", "two", "1.5", "9" * 30, "0x1"])
def test_what_is_no_number_is_named(name, value):
    with pytest.raises(InputError, match=rf"^{name} = '{value}': .* or unset it"):
        find_place({**TORCHRUN, name: value})


@pytest.mark.parametrize(("name", "value"), [("RANK", "4"), ("MASTER_PORT", "0"), ("MASTER_PORT", "65536")])
def test_numbers_that_do_not_fit(name, value):
    with pytest.raises(InputError, match=f"^{name} = '{value}': "):
        find_place({**TORCHRUN, name: value})
    with pytest.raises(InputError, match=r"^SLURM_PROCID = '8': "):
        find_place({**SRUN, "SLURM_PROCID": "8"})


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("tux", "tux"),
        ("a-1,b[2-3]", "a-1"),
        ("gpu[007-012,20],x1", "gpu007"),
        ("gpu[3]", "gpu3"),
        ("rack[2-3]n[01,05]-ib,z", "rack2n01-ib"),
        ("n1.cluster.org,n2.cluster.org", "n1.cluster.org"),
    ],
)
def test_the_first_machine_of_a_list(nodes, first):
    assert first_host(nodes) == first


def test_other_commands_are_for_one_process(nowhere):
    for name, value in TORCHRUN.items():
        nowhere.setenv(name, value)
    assert not speaks("train")
    assert not speaks("predict")
    check_command("train")
    check_command("info")
    for name in ("predict", "convert", "baseline", "demo", "simulate", "evaluate", "sweep"):
        with pytest.raises(InputError, match=rf"^WORLD_SIZE = 4: {name} is the work of one process"):
            check_command(name)


def test_tasks_of_srun_may_be_many_commands(nowhere):
    for name, value in SRUN.items():
        nowhere.setenv(name, value)
    for name in ("predict", "simulate", "sweep", "train"):
        check_command(name)
        assert speaks(name) == (name != "train")


def test_half_of_the_variables_stops_a_training_alone(nowhere):
    nowhere.setenv("RANK", "1")
    check_command("predict")
    with pytest.raises(InputError, match="RANK = 1"):
        check_command("train")
    assert speaks("train")


def test_what_is_taken_out_for_others_leaves_a_process_alone():
    for environment in (TORCHRUN, SRUN, {**SRUN, **TORCHRUN}):
        assert find_place({name: text for name, text in environment.items() if name not in VARIABLES}) is None


def test_half_of_the_variables_is_one_line_of_the_command(nowhere, tmp_path):
    nowhere.setenv("WORLD_SIZE", "2")
    nowhere.setenv("RANK", "0")
    command = [sys.executable, "-m", "botan_fast", "train", "--train", "a.npz", "-o", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "botan-fast: error: WORLD_SIZE = 2, but MASTER_ADDR is not set; start the 2 processes by torchrun, which sets "
        "it, or unset WORLD_SIZE for one process"
    ]


def test_no_torch():
    code = "import sys, botan_fast.processes as p; p.find_place(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Which process among several this one is, by the variables of torchrun or of a step of srun. No torch.

Several processes that are started together train one model (`training/distributed.py`). A plain command in the batch
script of a job with several tasks is one process: SLURM sets SLURM_NTASKS there too, so a step is known by
SLURM_STEP_NUM_TASKS alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InputError

__all__ = ["VARIABLES", "Place", "check_command", "find_place", "first_host", "speaks"]

# What makes a process one of several. A command that starts others, each with a model of its own, takes them out of
# their environment.
VARIABLES = (
    *("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE"),
    *("ROLE_RANK", "ROLE_WORLD_SIZE", "ROLE_NAME", "MASTER_ADDR", "MASTER_PORT"),
    *("TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"),
    *("TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS", "SLURM_STEP_NUM_TASKS"),
)
_TOGETHER = ("train", "info")  # commands that several processes may carry out
_FIRST_PORT, _PORTS = 15_000, 16_000  # below those that Linux gives to outgoing connections


@dataclass(frozen=True)
class Place:
    """Process `rank` of `size`, which meet at address:port.

    local_rank   its number among those on its machine, which chooses its GPU; None where nobody says
    launcher     "torchrun" (or whoever sets the same variables), "srun"
    """

    rank: int
    size: int
    local_rank: int | None
    address: str
    port: int
    launcher: str


def find_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """The place of this process; None where it is alone.

    Raises
    ------
    InputError
        The variables are there in part, or are no numbers that fit together: one line with the variable and the remedy.

    Examples
    --------
    >>> from botan_fast.processes import find_place
    >>> find_place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None  # a batch script
    True
    >>> find_place({"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "77",
    ...     "SLURM_STEP_NODELIST": "node[08-09]"})
    Place(rank=3, size=4, local_rank=1, address='node08', port=15077, launcher='srun')
    """
    given = {name: text.strip() for name, text in (os.environ if environment is None else environment).items()}
    given = {name: text for name, text in given.items() if text}
    if "WORLD_SIZE" in given or "RANK" in given:
        return _of_torchrun(given)
    return _of_srun(given)


def _of_torchrun(given: Mapping[str, str]) -> Place | None:
    if "WORLD_SIZE" not in given:
        raise InputError(
            f"RANK = {given['RANK']}, but WORLD_SIZE is not set; start several processes by torchrun, or unset RANK"
        )
    size = _number(given, "WORLD_SIZE", 0)
    if size <= 1:
        return None
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if name not in given:
            raise InputError(
                f"WORLD_SIZE = {size}, but {name} is not set; start the {size} processes by torchrun, which sets it, "
                "or unset WORLD_SIZE for one process"
            )
    rank = _number(given, "RANK", 0, size - 1, f"there are WORLD_SIZE = {size} processes, counted from 0")
    local = _number(given, "LOCAL_RANK", 0) if "LOCAL_RANK" in given else None
    return Place(rank, size, local, given["MASTER_ADDR"], _port(given), "torchrun")


def _of_srun(given: Mapping[str, str]) -> Place | None:
    size = _number(given, "SLURM_STEP_NUM_TASKS", 0) if "SLURM_STEP_NUM_TASKS" in given else 1
    if size <= 1:
        return None
    remedy = f"SLURM_STEP_NUM_TASKS = {size}, but {{}}; start them by srun, or unset SLURM_STEP_NUM_TASKS"
    if "SLURM_PROCID" not in given:
        raise InputError(remedy.format("SLURM_PROCID is not set"))
    rank = _number(given, "SLURM_PROCID", 0, size - 1, f"there are SLURM_STEP_NUM_TASKS = {size} tasks, counted from 0")
    local = _number(given, "SLURM_LOCALID", 0) if "SLURM_LOCALID" in given else None
    address = given.get("MASTER_ADDR")
    if address is None:
        nodes = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST") or given.get("SLURM_NODELIST")
        if nodes is None:
            raise InputError(remedy.format("neither SLURM_STEP_NODELIST nor MASTER_ADDR is set"))
        # Of one machine the own name need not be known, as in a container.
        address = "127.0.0.1" if given.get("SLURM_STEP_NUM_NODES") == "1" else first_host(nodes)
    if "MASTER_PORT" in given:
        return Place(rank, size, local, address, _port(given), "srun")
    if "SLURM_JOB_ID" not in given:
        raise InputError(remedy.format("neither SLURM_JOB_ID nor MASTER_PORT is set"))
    # Jobs and steps that share a machine meet at ports of their own.
    step = _number(given, "SLURM_STEP_ID", 0) if "SLURM_STEP_ID" in given else 0
    port = _FIRST_PORT + (_number(given, "SLURM_JOB_ID", 0) + 127 * step) % _PORTS
    return Place(rank, size, local, address, port, "srun")


def first_host(nodes: str) -> str:
    """The first machine of SLURM's list of them.

    >>> from botan_fast.processes import first_host
    >>> [first_host(nodes) for nodes in ("a,b", "gpu[007-012,20],x1", "rack[2-3]n[01,05]-ib", "tux")]
    ['a', 'gpu007', 'rack2n01-ib', 'tux']
    """
    head = re.match(r"(?:[^,\[]|\[[^\]]*\])*", nodes)
    assert head is not None  # it matches nothing at least
    return re.sub(r"\[(\w+)[^\]]*\]", r"\1", head[0])


def speaks(command: str | None) -> bool:
    """Does this process say how the command went? Of several that carry it out together the first one does.

    >>> from botan_fast.processes import speaks
    >>> speaks("train")
    True
    """
    try:
        place = find_place()
    except InputError:
        return True
    alone = place is None or (command != "train" and place.launcher == "srun")
    return alone or (place is not None and place.rank == 0)


def check_command(name: str) -> None:
    """InputError for a command that each process of torchrun would do anew, all with the same files.

    Tasks of srun that are not a training are often many commands with arguments of their own: they may be. So may
    variables that are there in part, but for a training, which is refused before it loads torch.
    """
    try:
        place = find_place()
    except InputError:
        if name == "train":
            raise
        return
    if name not in _TOGETHER and place is not None and place.launcher == "torchrun":
        raise InputError(
            f"WORLD_SIZE = {place.size}: {name} is the work of one process, and {place.size} of them would do the same "
            "with the same files; start it without torchrun"
        )


def _number(given: Mapping[str, str], name: str, least: int, most: int | None = None, why: str = "") -> int:
    text = given[name]
    value = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else -1
    if value < least or (most is not None and value > most):
        raise InputError(f"{name} = {text!r}: {why or f'give a whole number of at least {least}'}; or unset it")
    return value


def _port(given: Mapping[str, str]) -> int:
    return _number(given, "MASTER_PORT", 1, 65535, "give the number of a port, 1 to 65535")

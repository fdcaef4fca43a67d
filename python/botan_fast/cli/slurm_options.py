"""The options by which `botan-fast sweep` submits to a cluster, and what it prints then."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ..errors import InputError

__all__ = ["add_arguments", "executor_of", "submit"]

_NOT_OF_JOBS = {"shard": None, "worker": False, "no_wait": False}  # claims divide the tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a cluster to the command."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--slurm", action="store_true", help="submit arrays of jobs, and return; needs submitit")
    group.add_argument("--jobs", type=int, metavar="N", help="jobs of each array (default: one for each task)")
    group.add_argument(
        "--slurm-option",
        action="append",
        default=[],
        metavar="[STAGE.]KEY=VALUE",
        help="time, partition, gpus_per_node, ... as in the table [slurm] of a plan; may be given several times",
    )
    group.add_argument("--executor", help="where jobs run: slurm (default), local, or debug, in this process")


def executor_of(arguments: argparse.Namespace) -> str | None:
    """The executor that the command line asks for; None where this command itself is to work.

    InputError where options for jobs are given without --slurm, or with it some for workers that share by hand.
    """
    if arguments.slurm or arguments.executor:
        for name, default in _NOT_OF_JOBS.items():
            if getattr(arguments, name) != default:
                raise InputError(f"--{name.replace('_', '-')} does not go with --slurm; its jobs share by claims")
        return arguments.executor or "slurm"
    for flag, given in (("--jobs", arguments.jobs is not None), ("--slurm-option", bool(arguments.slurm_option))):
        if given:
            raise InputError(f"{flag} is for jobs of a cluster; add --slurm, or take --workers for this machine")
    return None


def submit(folder: Path, executor: str, arguments: argparse.Namespace) -> None:
    """Submit what is unfinished, and print the numbers of the jobs and what can be done with them."""
    from ..sweep.slurm import submit
    from ..sweep.states import Board

    board = Board(folder)
    over = {"done", "failed"} if arguments.skip_failed else {"done"}
    words = list(arguments.slurm_option)
    for name, value in (("jobs", arguments.jobs), ("workers_per_job", arguments.workers)):
        if value is not None:
            words.append(f"{name}={value}")
    # What fails in one of the jobs is not for the others to try again: the moment of the submission counts.
    passed_on = ["--stale", repr(arguments.stale), "--retry-before", repr(board.watch.now())]
    passed_on += ["--skip-failed"] * arguments.skip_failed
    for name in ("device", "threads"):
        if getattr(arguments, name) is not None:
            passed_on += [f"--{name}", str(getattr(arguments, name))]
    numbers = submit(
        folder,
        board.manifest,
        lambda task: board.state(task.name).kind in over,
        executor,
        words=words,
        stages=arguments.stage,
        arguments=passed_on,
    )
    place = shlex.quote(str(folder))
    if not numbers:
        print("nothing is left to do")
    elif executor == "slurm":
        print(f"watch: botan-fast sweep status {place}; what jobs print is in {place}/slurm")
        print(f"stop: scancel {' '.join(numbers)}; the same command continues, also beside jobs that still run")

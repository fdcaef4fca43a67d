"""The options by which `botan-fast sweep` submits to a cluster, and what it prints then."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..sweep.manifest import Manifest, Task

__all__ = ["add_arguments", "executor_of", "submit"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a cluster to the command."""
    group = parser.add_argument_group("cluster")
    group.add_argument("--slurm", action="store_true", help="submit arrays of jobs, and return; needs submitit")
    group.add_argument("--jobs", type=int, metavar="N", help="jobs of each array (default: one for each task)")
    group.add_argument(
        "--slurm-option",
        action="append",
        metavar="[STAGE.]KEY=VALUE",
        help="time, partition, gpus_per_node, ... as in the table [slurm] of a plan; may be given several times",
    )
    group.add_argument("--executor", help="where jobs run: slurm (default), local, or debug, in this process")


def executor_of(arguments: argparse.Namespace) -> str | None:
    """The executor that the command line asks for; None where this command itself is to work.

    InputError where options for jobs are given without --slurm.
    """
    if arguments.slurm or arguments.executor:
        return arguments.executor or "slurm"
    for flag, given in (("--jobs", arguments.jobs is not None), ("--slurm-option", bool(arguments.slurm_option))):
        if given:
            raise InputError(f"{flag} is for jobs of a cluster; add --slurm, or take --workers for this machine")
    return None


def submit(
    folder: Path,
    manifest: Manifest,
    finished: Callable[[Task], bool],
    executor: str,
    arguments: argparse.Namespace,
    passed_on: list[str],
) -> None:
    """Submit what is unfinished, and print the numbers of the jobs and what can be done with them.

    `passed_on` are the options of the workers. --workers is how many of them each job has.
    """
    from ..sweep.slurm import submit

    words = list(arguments.slurm_option or ())
    for name, value in (("jobs", arguments.jobs), ("workers_per_job", arguments.workers)):
        if value is not None:
            words.append(f"{name}={value}")
    numbers = submit(folder, manifest, finished, executor, words=words, stages=arguments.stage, arguments=passed_on)
    place = shlex.quote(str(folder))
    if not numbers:
        print("nothing is left to submit")
    elif executor == "slurm":
        print(f"watch: botan-fast sweep status {place}; what jobs print is in {place}/slurm")
        print(f"stop: scancel {' '.join(numbers)}; the same command continues, also beside jobs that still run")

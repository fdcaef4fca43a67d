"""botan-fast sweep: all tasks of a plan, on this machine or many; and how far they are."""

import argparse
import json
import re
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..interruption import orderly
from ..terminal import say
from . import slurm_options
from .options import MAX_THREADS

if TYPE_CHECKING:
    from ..sweep.states import Board

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "interrupted", "run"]

NAME = "sweep"
DESCRIPTION = (
    "Carry out a plan: simulations, data sets, trainings, scores, each when what it needs is done. The same command "
    "continues. 'botan-fast sweep status DIR' tells how far it is."
)
_STATUS = "status"
_OF_WORKERS = {"workers": None, "shard": None, "worker": False, "stage": None, "no_wait": False, "skip_failed": False}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("plan", nargs="?", metavar="PLAN", help="TOML file, or a plan that comes along: quick, paper; or: status DIR")
    add("folder", nargs="?", metavar="DIR", help=argparse.SUPPRESS)
    add("--output", "-o", metavar="DIR", help="folder of the sweep; one that has a plan already needs no PLAN")
    add("--workers", type=int, metavar="K", help="tasks at a time on this machine, each on its own cores (default: 1)")
    add("--worker", action="store_true", help="one of many such commands: end when the rest is in other hands")
    add("--shard", metavar="I/N", help="only part I of N (1 ... N) of the tasks")
    add("--stage", nargs="+", metavar="NAME", help="only tasks of these stages of the plan")
    add("--no-wait", action="store_true", help="do not wait for tasks of others: end when nothing can be taken now")
    add("--skip-failed", action="store_true", help="leave tasks that failed before as they are")
    add("--device", help="of the tasks; cuda: the visible GPUs are dealt out to the workers")
    add("--threads", type=int, metavar="N", help="CPU threads of each task (default: the cores of its worker)")
    add(
        "--stale",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="without a sign of life, then a task is free again",
    )
    add("--retry-before", type=float, help=argparse.SUPPRESS)
    add("--quiet", action="store_true", help="no progress on standard error")
    add("--json", action="store_true", help="of status: print one JSON object")
    slurm_options.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    if arguments.plan == _STATUS:
        return _status(arguments)
    if arguments.folder is not None:
        raise InputError(f"'{arguments.folder}' after the plan; the folder of the sweep is given by --output")
    if arguments.json:
        raise InputError("--json goes with status: botan-fast sweep status DIR --json")
    if not arguments.output:
        raise InputError("--output is missing; name the folder of the sweep")
    with orderly():
        folder = _open(arguments)
        options = _options(arguments)
        executor = slurm_options.executor_of(arguments)
        if executor is not None:
            _submit(folder, executor, arguments, options)
            return 0 if executor == "slurm" else _report(folder, arguments, options)
        summary = _work(folder, arguments, options)
        if summary.stopped is not None:
            _end_by(summary.stopped)
        return _report(folder, arguments, options)


def _open(arguments: argparse.Namespace) -> Path:
    """The folder of the sweep, made from the plan where one is given."""
    from ..sweep.manifest import Manifest

    folder = Path(arguments.output)
    if arguments.plan is None:
        Manifest.read(folder)  # or there is none
        return folder
    from ..sweep.opening import open_sweep

    for line in open_sweep(arguments.plan, folder)[1]:
        say(f"botan-fast: {line}")
    return folder


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of a worker, as `Worker` names them."""
    shard = None
    if arguments.shard is not None:
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", arguments.shard)
        if found is None:
            raise InputError(f"shard = '{arguments.shard}': give part I of N, such as 1/4 ... 4/4")
        shard = (int(found[1]), int(found[2]))
    if arguments.threads is not None and not 1 <= arguments.threads <= MAX_THREADS:
        raise InputError(f"threads = {arguments.threads}; give 1 to {MAX_THREADS}, best the number of cores")
    return {
        "shard": shard,
        "stages": arguments.stage,
        "wait": not arguments.no_wait,
        "skip_failed": arguments.skip_failed,
        "retry_before": arguments.retry_before,
        "threads": arguments.threads,
        "device": arguments.device,
        "stale": arguments.stale,
    }


def _work(folder: Path, arguments: argparse.Namespace, options: dict[str, Any]) -> Any:
    """Work, in this process for a plain --worker, else by a pool of processes."""
    if arguments.worker and arguments.workers is None:
        from ..sweep.worker import work

        return work(folder, quiet=arguments.quiet, **options)
    from ..sweep.pool import run_pool

    linger = not (arguments.worker or arguments.no_wait)
    workers = 1 if arguments.workers is None else arguments.workers
    return run_pool(folder, workers=workers, linger=linger, progress=not arguments.quiet, **options)


def _submit(folder: Path, executor: str, arguments: argparse.Namespace, options: dict[str, Any]) -> None:
    """Submit jobs that do what is left; what failed before this moment they try again, once."""
    from ..sweep.states import Board

    if arguments.worker or arguments.shard or arguments.no_wait:
        raise InputError("--worker, --shard and --no-wait are for workers that are started by hand; leave out --slurm")
    board = Board(folder)
    before = board.watch.now() if arguments.retry_before is None else arguments.retry_before
    words = ["--skip-failed"] if arguments.skip_failed else ["--retry-before", repr(before)]
    board.retry_before = float("-inf") if arguments.skip_failed else before
    for name in ("device", "threads", "stale"):
        if options[name] is not None:
            words += [f"--{name}", str(options[name])]
    if arguments.quiet:
        words.append("--quiet")
    finished = ("done", "failed")
    slurm_options.submit(
        folder,
        board.manifest,
        lambda task: board.state(task.name).kind in finished,
        executor,
        arguments,
        words,
    )


def _end_by(number: int) -> None:
    """End as the command ends by this signal: all is tidied up, the last line is still to come."""
    if not callable(signal.getsignal(number)):  # not in the command
        raise KeyboardInterrupt
    signal.raise_signal(number)


def _report(folder: Path, arguments: argparse.Namespace, options: dict[str, Any]) -> int:
    """What came of it, of the tasks that this command was for; the status."""
    from ..sweep.shares import tasks_of
    from ..sweep.states import Board
    from ..sweep.status import Progress, line

    board = Board(folder)
    found = Progress(board).look()
    mine = {task.name for task in tasks_of(board, options["shard"], options["stages"])}
    failed = [row for row in found["failed_tasks"] if row["name"] in mine]
    blocked = [row for row in found["blocked_tasks"] if row["name"] in mine]
    for row in failed:
        say(f"botan-fast: {row['name']} failed: {row['reason']} ({row['log']})")
    for row in blocked:
        say(f"botan-fast: {row['name']} is blocked: it needs {row['need']}")
    print(line(found))
    place = shlex.quote(str(folder))
    if failed or blocked:
        print("next: the same command tries failed tasks again")
        return 1
    if found["done"] == found["tasks"]:
        print(f"next: botan-fast collect {place}")
        return 0
    print(f"next: botan-fast sweep status {place}")
    # Without an option that says so, this command was for all tasks: somebody has stopped its workers.
    return 0 if arguments.worker or arguments.no_wait or options["shard"] or options["stages"] else 1


def _status(arguments: argparse.Namespace) -> int:
    """How far a sweep is: botan-fast sweep status DIR."""
    from ..sweep.states import Board
    from ..sweep.status import Progress, text

    for name, default in _OF_WORKERS.items():
        if getattr(arguments, name) != default:
            raise InputError(f"--{name.replace('_', '-')} does not go with status; leave it out")
    folder = arguments.folder or arguments.output
    if not folder:
        raise InputError("status: name the folder of the sweep, botan-fast sweep status DIR")
    found = Progress(Board(folder)).look()
    print(json.dumps(found) if arguments.json else text(found))
    return 0


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """How far it is, and how it goes on."""
    from ..sweep.states import Board

    board = Board(arguments.output)
    return f"; {_done(board)} of {len(board.manifest)} tasks are done, the same command continues"


def _done(board: "Board") -> int:
    return sum(state.kind == "done" for state in board.states().values())

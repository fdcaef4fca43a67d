"""A sweep on SLURM: one array of jobs for each stage, submitted through submitit.

No job is told its tasks. Each runs workers on the sweep's folder, which claim what is free, so that arrays of any
length, a second submission, jobs that SLURM starts again and workers elsewhere share the tasks without repeating one.
An array begins when those of the stages that it needs have ended (--dependency=afterany), so that no GPU waits for a
pretraining.

submitit keeps what a job calls in pickle files, below DIR/slurm, a folder that only its owner can write to. They hold
the name `ArrayJob` and its words, are written by `submit` alone, and read by the jobs alone.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import FilePath, printable
from ..option import read_toml
from .array_job import ArrayJob
from .manifest import Manifest, Task
from .slurm_settings import JobSettings, check_slurm, from_words, settings_of

__all__ = ["EXECUTORS", "StageArray", "stage_arrays", "submit"]

EXECUTORS = ("slurm", "local", "debug")
SEARCH = "search"  # the stage of trials
_COMMAND = ("-m", "botan_fast", "sweep")  # of the workers
_POLL = 0.2  # seconds between two looks whether local jobs have ended


@dataclass(frozen=True)
class StageArray:
    """The jobs of one stage.

    tasks   how many of its tasks are not finished
    needs   stages whose arrays must have ended
    """

    stage: str
    tasks: int
    needs: tuple[str, ...]
    settings: JobSettings

    @property
    def jobs(self) -> int:
        return self.settings.number_of_jobs(self.tasks)


def stage_arrays(
    manifest: Manifest,
    finished: Callable[[Task], bool],
    tables: Sequence[Mapping[str, Mapping[str, Any]]] = (),
    stages: Iterable[str] | None = None,
    where: str = "[slurm]",
) -> list[StageArray]:
    """The arrays of a sweep, in an order in which each comes after those that it needs.

    Parameters
    ----------
    manifest
        The tasks.
    finished
        Is nothing left to do for a task? Stages of which all are finished have no array, and nobody waits for them.
    tables
        Settings, see `settings_of`.
    stages
        Those to submit; all by default.

    Examples
    --------
    >>> from botan_fast.sweep.manifest import Manifest, Task
    >>> from botan_fast.sweep.slurm import stage_arrays
    >>> tasks = [Task("edges", "pretraining", "train")]
    >>> tasks += [Task(f"botan{k}", "botan", "train", needs=("edges",)) for k in range(2)]
    >>> [(array.stage, array.jobs, array.needs) for array in stage_arrays(Manifest(tasks), lambda task: False)]
    [('pretraining', 1, ()), ('botan', 2, ('pretraining',))]
    """
    left: Counter[str] = Counter()
    needed: dict[str, set[str]] = {}
    for task in manifest:
        if not finished(task):
            left[task.stage] += 1
            needed.setdefault(task.stage, set()).update(manifest[name].stage for name in task.needs)
    if manifest.search is not None:  # a trial becomes a task when a worker asks for it
        done = sum(task.stage == SEARCH and finished(task) for task in manifest)
        left[SEARCH] = max(0, manifest.search["trials"] - done)
        needed.setdefault(SEARCH, set()).update(manifest[name].stage for name in manifest.search["task"]["needs"])
    wanted = [stage for stage, tasks in left.items() if tasks and (stages is None or stage in set(stages))]
    arrays = []
    for place, stage in enumerate(wanted):
        # Only those that stand before it: stages whose tasks need each other in turn would wait for ever.
        needs = tuple(other for other in wanted[:place] if other in needed[stage])
        arrays.append(StageArray(stage, left[stage], needs, settings_of(tables, stage, where)))
    return arrays


def submit(
    folder: FilePath,
    manifest: Manifest,
    finished: Callable[[Task], bool],
    executor: str = "slurm",
    *,
    words: Sequence[str] = (),
    stages: Sequence[str] | None = None,
    arguments: Sequence[str] = (),
    tell: Callable[[str], object] = print,
) -> list[str]:
    """Submit the arrays of a sweep. Returns the numbers of the jobs; at once, apart from local ones, which end first.

    Parameters
    ----------
    folder
        The sweep's folder, on a disk that all nodes see.
    manifest, finished, stages
        See `stage_arrays`.
    executor
        "slurm"; "local", jobs as processes of this machine; "debug", one after the other in this process.
    words
        KEY=VALUE, see `from_words`; they win over the table [slurm] of the folder's plan.toml.
    arguments
        Of the workers, besides those that this function adds.
    tell
        Called with each line for the user.

    Raises
    ------
    InputError
        submitit or SLURM are not there, a setting is wrong, sbatch refuses it, or the folder is another user's.
    """
    folder = Path(folder).resolve()
    if executor not in EXECUTORS:
        raise InputError(f"executor = {printable(executor, 40)}; choose of {', '.join(EXECUTORS)}")
    if "%" in str(folder):
        raise InputError(f"{folder}: SLURM gives % in the names of files a meaning of its own; choose another folder")
    named = list(dict.fromkeys(task.stage for task in manifest))
    if manifest.search is not None and SEARCH not in named:
        named.append(SEARCH)
    plan = folder / "plan.toml"
    table = read_toml(plan).get("slurm", {}) if plan.exists() else {}
    tables = [check_slurm(table, named, str(plan)), from_words(words, named, "--slurm-option")]
    arrays = stage_arrays(manifest, finished, tables, stages)
    if not arrays:
        return []
    make = _executor_class(executor)
    logs = _own_folder(folder / "slurm")
    numbers: dict[str, str] = {}
    for array in arrays:
        command = [*_COMMAND, "-o", str(folder), "--worker", "--no-wait", "--stage", array.stage, *arguments]
        if array.settings.workers_per_job > 1:
            command += ["--workers", str(array.settings.workers_per_job)]
        jobs = array.jobs if executor == "slurm" else array.settings.jobs or 1
        after = [numbers[stage] for stage in array.needs if stage in numbers]
        chosen = make(logs, max_num_timeout=array.settings.requeues) if executor != "debug" else make(logs)
        chosen.update_parameters(**_parameters(executor, array, f"{folder.name}-{array.stage}", after))
        job = ArrayJob(command, array.settings.patience)
        handles = _submit_one(chosen, job, jobs, array.stage, numbers)
        numbers[array.stage] = handles[0].job_id.partition("_")[0]
        begins = f", begins after {' and '.join(after)}" if executor == "slurm" and after else ""
        counted = f"{_counted(array.tasks, 'unfinished task')}, {_counted(jobs, 'job')}"
        tell(f"stage {array.stage}: {counted}, number {numbers[array.stage]}{begins}")
        if executor != "slurm":
            _wait(handles, executor, array.settings.patience)
    return list(numbers.values())


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _executor_class(executor: str) -> Any:
    try:
        import submitit
    except ImportError:
        raise InputError(
            '--slurm needs the package submitit; install it with: pip install "botan_fast[slurm]"'
        ) from None
    if executor == "slurm":
        for program in ("sbatch", "srun"):
            if shutil.which(program) is None:
                raise InputError(
                    f"--slurm: {program} is not on the PATH; submit from a login node of the cluster, "
                    "or take --executor local"
                )
        from submitit.slurm.slurm import SlurmExecutor

        return SlurmExecutor
    return submitit.LocalExecutor if executor == "local" else submitit.DebugExecutor


def _own_folder(folder: Path) -> Path:
    """A folder in which nobody else can put a file: a job runs what a pickle in it names."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    owner = folder.stat().st_uid
    if folder.is_symlink() or owner != os.getuid():
        raise InputError(
            f"{folder} belongs to another user (number {owner}), and jobs read their commands there; "
            "start workers of your own with botan-fast sweep --worker"
        )
    folder.chmod(0o700)
    return folder


def _parameters(executor: str, array: StageArray, name: str, after: Sequence[str]) -> dict[str, Any]:
    """The parameters of submitit's executor."""
    settings = array.settings
    if executor == "debug":
        return {}
    if executor == "local":
        local = {key: settings.parameters[key] for key in ("gpus_per_node", "setup") if key in settings.parameters}
        visible = [word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word.strip().isdigit()]
        if visible and local.get("gpus_per_node"):
            local["visible_gpus"] = [int(word) for word in visible]
        return {"timeout_min": settings.minutes, "signal_delay_s": settings.signal_delay, **local}
    return {
        "job_name": name,
        "time": math.ceil(settings.minutes),
        "signal_delay_s": math.ceil(settings.signal_delay),
        **({"dependency": "afterany:" + ":".join(after)} if after else {}),
        **settings.parameters,
    }


def _submit_one(executor: Any, job: ArrayJob, jobs: int, stage: str, before: Mapping[str, str]) -> list[Any]:
    """The handles of an array's jobs; InputError with the words of sbatch where it refuses."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        with executor.batch():
            handles = [executor.submit(job) for _ in range(jobs)]
    except (FailedJobError, FailedSubmissionError) as error:
        said = printable(" ".join(str(error).split()) or "no reason given", 300)
        there = f"; submitted before: scancel {' '.join(before.values())}" if before else ""
        raise InputError(f"sbatch refused the jobs of stage {stage} ({said}); change [slurm]{there}") from None
    return handles


def _wait(jobs: Sequence[Any], executor: str, patience: float) -> None:
    """Until all have ended. Ctrl-C and SIGTERM end them in order."""
    from ..interruption import orderly

    with orderly():
        if executor == "debug":
            for job in jobs:
                job.results()
            return
        try:
            while not all(job.done() for job in jobs):
                time.sleep(_POLL)
        except KeyboardInterrupt:
            for job in jobs:
                with contextlib.suppress(OSError):
                    job._process.terminate()  # submitit's controller, which passes it on to the job
            end = time.monotonic() + patience
            while not all(job.done() for job in jobs) and time.monotonic() < end:
                time.sleep(_POLL)
            raise

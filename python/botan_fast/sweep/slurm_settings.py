"""What the jobs of a cluster ask for: the table [slurm] of a plan, its tables for single stages, and the command line.

[slurm]
partition = "gpu"
time = "12:00:00"
gpus_per_node = 1
setup = ["module load cuda"]

[slurm.data]          # the stage of this name in the plan, where it differs
partition = "cpu"
gpus_per_node = 0
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..files import did_you_mean, printable
from ..option import Option, check_table

__all__ = ["SLURM", "JobSettings", "check_slurm", "from_words", "settings_of"]

# Those without a remark have the names and meanings of sbatch.
SLURM = (
    Option("jobs", "integer", "jobs of an array (default: one for every tasks_per_job unfinished tasks of a stage)"),
    Option("tasks_per_job", "integer", "tasks that a job is meant to do, one after the other", default=1),
    Option("workers_per_job", "integer", "tasks that a job does at once", default=1),
    Option("requeues", "integer", "how often a job goes on after its time was over", default=100),
    Option("signal_delay_s", "number", "seconds before the time is over at which a job begins to save", default=180.0),
    Option("setup", "text", "lines of shell before the work, such as module load", several=True),
    Option("time", "weight", "time limit of a job: minutes, or D-HH:MM:SS", default="1-00:00:00"),
    Option("partition", "text", "partition"),
    Option("account", "text", "account"),
    Option("qos", "text", "quality of service"),
    Option("cpus_per_task", "integer", "cores of a job (default: one for each worker)"),
    Option("gpus_per_node", "integer", "GPUs of a job"),
    Option("gres", "text", "other resources, such as gpu:a100:1"),
    Option("mem", "text", "memory of a job, such as 16GB"),
    Option("constraint", "text", "features of nodes"),
    Option("exclude", "text", "nodes not to use"),
    Option("array_parallelism", "integer", "jobs of an array that run at the same time", default=256),
    Option("sbatch", "text", "any other options of sbatch, such as --mail-type=END", several=True),
    Option("srun_args", "text", "options of srun, such as --cpu-bind=none", several=True),
)
_OPTIONS = {option.name: option for option in SLURM}
_AT_LEAST = {"requeues": 0, "gpus_per_node": 0}  # the other whole numbers are at least 1
_MOST_JOBS = 1000  # SLURM's own limit of an array, MaxArraySize, is 1001 unless the administrators set another
_LONGEST = 525600.0  # minutes
_TIME = re.compile(r"(?:(?P<days>\d{1,3})-)?(?P<first>\d{1,4})(?::(?P<second>\d{1,2}))?(?::(?P<third>\d{1,2}))?")


@dataclass(frozen=True)
class JobSettings:
    """How the tasks of a stage become jobs.

    minutes      time limit of a job
    parameters   of submitit's SlurmExecutor, apart from the time and names
    """

    jobs: int | None
    tasks_per_job: int
    workers_per_job: int
    requeues: int
    signal_delay: float
    minutes: float
    parameters: Mapping[str, Any]

    def number_of_jobs(self, tasks: int) -> int:
        """The length of the array for so many unfinished tasks: at least one job, and never more than tasks.

        >>> from botan_fast.sweep.slurm_settings import settings_of
        >>> settings_of([{"": {"tasks_per_job": 2, "workers_per_job": 4}}], "botan").number_of_jobs(30)
        4
        """
        wanted = self.jobs or math.ceil(tasks / (self.tasks_per_job * self.workers_per_job))
        return max(1, min(wanted, tasks, _MOST_JOBS))

    @property
    def patience(self) -> float:
        """Seconds that workers have to save: the rest of `signal_delay` is for telling SLURM to start the job again."""
        return max(self.signal_delay - 30.0, self.signal_delay / 2)


def check_slurm(table: Mapping[str, Any], stages: Collection[str], where: str) -> dict[str, dict[str, Any]]:
    """The table [slurm] of a plan: checked values for all stages under "", and for single ones under their names.

    Raises
    ------
    InputError
        for a name that is neither an option nor, for a table, a stage; for a value of another kind or size.

    Examples
    --------
    >>> from botan_fast.sweep.slurm_settings import check_slurm
    >>> check_slurm({"mem": "8GB", "data": {"time": 60}}, ["data", "botan"], "plan.toml")
    {'': {'mem': '8GB'}, 'data': {'time': 60.0}}
    """
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: slurm = {printable(table, 60)}; write a table, [slurm]")
    tables = {name: value for name, value in table.items() if isinstance(value, Mapping)}
    for name in tables:
        if name in _OPTIONS:
            raise InputError(f"{where}, [slurm]: {name} is a table; give {_OPTIONS[name].called}")
        if name not in stages:
            known = did_you_mean(name, stages) or f"; the stages are {', '.join(stages)}"
            raise InputError(f"{where}: [slurm.{printable(name, 40)}] is no stage of the plan{known}")
    rest = {name: value for name, value in table.items() if name not in tables}
    checked = {"": _checked(rest, f"{where}, [slurm]")}
    for name, values in tables.items():
        checked[name] = _checked(values, f"{where}, [slurm.{name}]")
    return checked


def from_words(words: Iterable[str], stages: Collection[str], where: str) -> dict[str, dict[str, Any]]:
    """The same from the words of a command line: KEY=VALUE, or STAGE.KEY=VALUE for one stage alone.

    An option of which there may be several may be given several times.

    >>> from botan_fast.sweep.slurm_settings import from_words
    >>> from_words(["time=90", "botan.partition=gpu", "setup=module load cuda"], ["botan"], "--slurm-option")
    {'': {'time': 90.0, 'setup': ['module load cuda']}, 'botan': {'partition': 'gpu'}}
    """
    table: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise InputError(f"{where} {printable(word, 60)}: give KEY=VALUE, such as partition=gpu")
        stage, _, name = key.strip().rpartition(".")
        place = table.setdefault(stage, {}) if stage else table
        option = _OPTIONS.get(name)
        if option is not None and option.several and isinstance(place, dict):
            place.setdefault(name, []).append(text)
        else:
            place[name] = _number(text) if option is not None and option.kind != "text" else text
    return check_slurm(table, stages, where)


def settings_of(tables: Iterable[Mapping[str, Mapping[str, Any]]], stage: str, where: str = "[slurm]") -> JobSettings:
    """What the jobs of a stage ask for, from tables of `check_slurm` of which a later one wins.

    In each table the values of the stage win over those of all stages; so `--slurm-option time=60` wins over
    [slurm.data].

    >>> from botan_fast.sweep.slurm_settings import settings_of
    >>> found = settings_of([{"": {"mem": "8GB"}}, {"data": {"time": "2:00:00"}}], "data")
    >>> found.minutes, found.parameters["mem"], found.workers_per_job
    (120.0, '8GB', 1)
    """
    values = {option.name: option.default for option in SLURM if option.default is not None}
    for table in tables:
        values |= {**table.get("", {}), **table.get(stage, {})}
    minutes = _minutes(values.pop("time"), where)
    delay = values.pop("signal_delay_s")
    if delay >= 60 * minutes:
        raise InputError(
            f"{where}: signal_delay_s = {delay:g} s is not shorter than time = {minutes:g} minutes; give a longer time"
        )
    own = {name: values.pop(name, None) for name in ("jobs", "tasks_per_job", "workers_per_job", "requeues")}
    values.setdefault("cpus_per_task", own["workers_per_job"])
    further = {"requeue": True, **_flags(values.pop("sbatch", []), where)}
    # Since version 22.05 srun does not take this over from the job, and would bind all workers to one core.
    srun = [f"--cpus-per-task={values['cpus_per_task']}", *values.pop("srun_args", [])]
    # submitit's own key of accounting, which a cluster that checks such keys would refuse
    parameters = {"wckey": None, **values, "srun_args": srun, "additional_parameters": further}
    return JobSettings(**own, signal_delay=delay, minutes=minutes, parameters=parameters)


def _checked(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The values of one table; InputError for numbers that make no sense."""
    values = check_table(SLURM, table, where)
    for name, value in values.items():
        least = _AT_LEAST.get(name, 1)
        if _OPTIONS[name].kind == "integer" and value < least:
            raise InputError(f"{where}: {name} = {value}; give a whole number of at least {least}")
    if "time" in values:
        _minutes(values["time"], where)
    if not 0 < values.get("signal_delay_s", 1.0) < math.inf:
        raise InputError(f"{where}: signal_delay_s = {values['signal_delay_s']:g}; give seconds above 0")
    if len(name := "\n".join(values.get("setup", []))) != len(name.replace("\0", "")):
        raise InputError(f"{where}: setup holds a null character; give lines of shell")
    _flags(values.get("sbatch", []), where)
    return values


def _minutes(time: float | str, where: str) -> float:
    """Minutes of a time limit, written as a number or as SLURM writes it."""
    minutes = time if isinstance(time, float) else _read_time(time)
    if minutes is None or not 0 < minutes <= _LONGEST:
        shown = f"{time:g}" if isinstance(time, float) else f'"{printable(time, 40)}"'
        raise InputError(f'{where}: time = {shown}; give minutes, or a time such as "12:00:00" or "2-00:00:00"')
    return minutes


def _read_time(text: str) -> float | None:
    """SLURM reads minutes, minutes:seconds, hours:minutes:seconds; after days hours, hours:minutes, and so on."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    days, *parts = (None if part is None else int(part) for part in match.groups())
    first, second, third = (part or 0 for part in parts)
    if days is not None:
        return 1440.0 * days + 60 * first + second + third / 60
    return 60.0 * first + second + third / 60 if parts[2] is not None else first + second / 60


def _flags(words: Iterable[str], where: str) -> dict[str, Any]:
    """Options of sbatch by their names, as submitit takes them: "--mail-type=END", "--exclusive"."""
    flags: dict[str, Any] = {}
    for word in words:
        match = re.fullmatch(r"--([A-Za-z][A-Za-z-]*)(?:=(.+))?", word.strip())
        if match is None:
            raise InputError(f'{where}: sbatch = "{printable(word, 60)}"; write each as "--name=value" or "--name"')
        flags[match[1]] = True if match[2] is None else match[2]
    return flags


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text

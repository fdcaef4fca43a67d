"""Search over options of `train` by Optuna: each trial is a task, chosen by what the trials before it have found.

    [search]
    trials = 50
    metric = "validation_loss"     # a column of history.csv, of the epoch that the result is of
    direction = "minimize"         # left out: minimize a loss, maximize a coefficient
    seed = 0

    [search.options]               # of train, some of them ranges
    train = "{data}"
    validation = 0.1
    epochs = 100
    p = { low = 0.1, high = 0.9 }
    learning_rate = { low = 1e-5, high = 1e-2, log = true }
    num_steps = { low = 2, high = 8 }
    augmentation = { choices = ["octahedral", "o3"] }

Optuna's journal, search.journal in the folder of the sweep, alone says which trials there are and what came of them. A
trial is asked for under a lock, and its task is written (trials/NAME.json) before the lock goes. A trial of which a
process that was killed had asked for a part is nobody's and does not count; one that was asked for in full is carried
out with its parameters whoever does it, and its result is told once. On a disk that locks nothing between machines
there may be a trial more than the plan wants; none is lost, or told twice. The sampler is seeded by seed and number of
the trial: with one worker a search that was killed goes the way of one that was not; with several, what is known when a
trial is asked for depends on who was first.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import DataError, InputError
from ..files import FilePath, did_you_mean, printable, write_bytes
from ..lock import Lock
from ..option import Option, meant
from .manifest import TRIALS, Manifest, Task, task_from
from .plan import option_tables, refuse
from .results import TRAIN_COLUMNS, train_rows

__all__ = ["JOURNAL", "check_search", "more_tasks"]

JOURNAL = "search.journal"
_METRICS = tuple(name for name in TRAIN_COLUMNS if name.endswith(("_loss", "_pearson", "_pooled")))
_DIRECTIONS = ("minimize", "maximize")
_RANGE = ("low", "high", "log", "choices")


def check_search(
    where: str, fixed: Mapping[str, Any], ranges: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], int, str, str, int]:
    """Ranges, trials, metric, direction and seed of a table [search]; InputError for what makes no sense.

    >>> from botan_fast.sweep.search import check_search
    >>> ranges = {"num_steps": {"low": 2, "high": 8}}
    >>> check_search("plan.toml", {"validation": 0.1}, ranges, {"trials": 20, "metric": "validation_loss"})[1:]
    (20, 'validation_loss', 'minimize', 0)
    """
    if find_spec("optuna") is None:
        refuse(where, "a search needs Optuna; pip install 'botan_fast[search]'")
    known = {option.name: option for option in option_tables()["train"]}
    if not ranges:
        refuse(where, "no option has a range, such as p = { low = 0.1, high = 0.9 } or { choices = [1, 2] }")
    checked = {name: _range(where, name, value, known.get(name)) for name, value in ranges.items()}
    for name, least in (("trials", 1), ("seed", 0)):
        value = given.get(name, 0 if name == "seed" else None)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 31:
            refuse(where, f"{name} = {printable(value)}; give a whole number of at least {least}")
    metric = given.get("metric")
    if metric not in _METRICS:
        more = did_you_mean(str(metric), _METRICS)
        refuse(where, f"metric = {printable(metric)!r}; give one of {', '.join(_METRICS)}{more}")
    needs = "validation" if metric.startswith("validation") else None if metric.startswith("train") else "test"
    if needs and needs not in fixed:
        refuse(where, f"metric = {metric} needs the option {needs}; give it, or another metric")
    direction = given.get("direction", "minimize" if metric.endswith("loss") else "maximize")
    if direction not in _DIRECTIONS:
        refuse(where, f"direction = {printable(direction)!r}; give minimize or maximize")
    return checked, given["trials"], metric, direction, given.get("seed", 0)


def _range(where: str, name: str, value: Mapping[str, Any], option: Option | None) -> dict[str, Any]:
    """A range, as Optuna takes it; of whole numbers where the option is one."""
    if option is None:
        refuse(where, f"train has no option {printable(name, 40)}{meant(name, _names())}")
    for key in value:
        if key not in _RANGE:
            refuse(where, f"{name}: {printable(key)} is no key of a range; there are {', '.join(_RANGE)}")
    if "choices" in value:
        choices = value["choices"]
        if len(value) > 1 or not isinstance(choices, list) or len(choices) < 2:
            refuse(where, f"{name}: choices stand alone, a list of two values or more")
        for choice in choices:
            option.value(choice, where)
        if option.kind in ("path", "data", "settings"):
            refuse(where, f"{name} is a path; it cannot be searched over")
        return {"choices": choices}
    low, high, log = value.get("low"), value.get("high"), value.get("log", False)
    if option.kind not in ("integer", "number", "count") or option.several:
        refuse(where, f"{name} is no number; give choices = [...]")
    numbers = [option.value(one, where) for one in (low, high) if one is not None]
    if len(numbers) < 2 or not numbers[0] < numbers[1] or not all(map(math.isfinite, numbers)):
        refuse(where, f"{name} = {{ low = {low}, high = {high} }}; give two numbers, the lower one first")
    if not isinstance(log, bool) or (log and numbers[0] <= 0):
        refuse(where, f"{name}: log = {log}; give true, with a low above 0, or leave it out")
    kind = "int" if all(isinstance(number, int) for number in numbers) else "float"
    return {"low": numbers[0], "high": numbers[1], "log": log, "kind": kind}


def _names() -> list[str]:
    return [option.name for option in option_tables()["train"]]


def more_tasks(folder: FilePath) -> list[Task]:
    """A further trial, or none; for a worker that finds nothing to do.

    Tells Optuna what the finished trials gave, and asks for a new one where there are fewer than the plan wants and
    what they need is done. `Manifest.read` then has its task. A trial that failed stays open: it is repeated like any
    task, and told when it is done.

    Raises
    ------
    InputError
        Optuna is not installed.
    DataError
        The journal is broken.
    """
    folder = Path(folder)
    search = Manifest.read(folder).search
    if search is None or not all((folder / "tasks" / name / "done.json").exists() for name in search["task"]["needs"]):
        return []
    with _held(folder):
        return _Trials(folder, search).more()


class _Trials:
    """The trials of one search, with the lock held."""

    def __init__(self, folder: Path, search: Mapping[str, Any]) -> None:
        self.folder, self.search = folder, search
        self.template = task_from(search["task"])
        try:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend
        except ImportError as error:
            raise InputError(f"a search needs Optuna ({error}); pip install 'botan_fast[search]'") from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.optuna = optuna
        try:
            self.study = optuna.create_study(
                storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
                study_name="search",
                direction=search["direction"],
                load_if_exists=True,
            )
        except (ValueError, KeyError) as error:
            raise DataError(f"{folder / JOURNAL} cannot be read ({printable(error)}); name another folder") from error

    def more(self) -> list[Task]:
        running, failed = self.optuna.trial.TrialState.RUNNING, self.optuna.trial.TrialState.FAIL
        given, new = 0, []
        for trial in self.study.get_trials(deepcopy=False):
            file = self._file(trial.number)
            if trial.state == running and set(trial.params) != set(self.search["ranges"]):
                continue  # its process was killed while it asked: nobody has it
            given += trial.state != failed or file.exists()
            if trial.state != running:
                continue
            if not file.exists():
                new.append(self._write(trial.number, trial.params))
            elif (self.folder / "tasks" / self._name(trial.number) / "done.json").exists():
                self._tell(trial.number)
        if not new and given < self.search["trials"]:
            new.append(self._ask())
        return new

    def _ask(self) -> Task:
        number = len(self.study.get_trials(deepcopy=False))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what is experimental in Optuna
            seed = (self.search["seed"] * 1_000_003 + number) % (1 << 32)
            self.study.sampler = self.optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            trial = self.study.ask(fixed_distributions=self._distributions())
        return self._write(trial.number, trial.params)

    def _distributions(self) -> dict[str, Any]:
        kinds = self.optuna.distributions
        found = {}
        for name, value in self.search["ranges"].items():
            if "choices" in value:  # a list is no choice for Optuna, a text is
                found[name] = kinds.CategoricalDistribution([json.dumps(choice) for choice in value["choices"]])
            elif value["kind"] == "int":
                found[name] = kinds.IntDistribution(value["low"], value["high"], log=value["log"])
            else:
                found[name] = kinds.FloatDistribution(value["low"], value["high"], log=value["log"])
        return found

    def _write(self, number: int, params: Mapping[str, Any]) -> Task:
        ranges, template, name = self.search["ranges"], self.template, self._name(number)
        keys = {key: json.loads(params[key]) if "choices" in ranges[key] else params[key] for key in ranges}
        options = {**template.options, **keys, "output": f"../../runs/{name}"}
        task = Task(name, template.stage, template.command, options, template.needs, keys)
        (self.folder / TRIALS).mkdir(exist_ok=True)
        write_bytes(self._file(number), (json.dumps(asdict(task), indent=1) + "\n").encode())
        return task

    def _tell(self, number: int) -> None:
        try:
            value = train_rows(self.folder / "runs" / self._name(number))[0].get(self.search["metric"])
        except DataError:  # `collect` says so
            return
        if isinstance(value, float) and math.isfinite(value):
            self.study.tell(number, value, skip_if_finished=True)
        else:  # a coefficient of something that does not vary
            self.study.tell(number, state=self.optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def _name(self, number: int) -> str:
        return f"search-{number:04d}"

    def _file(self, number: int) -> Path:
        return self.folder / TRIALS / f"{self._name(number)}.json"


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The journal and the trials for this process alone; others wait, some tenths of a second."""
    while (lock := Lock.acquire(folder / ".search.lock")) is None:
        time.sleep(0.05)
    try:
        yield
    finally:
        lock.release()

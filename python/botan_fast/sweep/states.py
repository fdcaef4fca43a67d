"""Where every task of a sweep stands, read from the sweep's folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import FilePath, printable
from .claims import Look, Watch, look
from .manifest import Manifest, Task

__all__ = ["KINDS", "Board", "State", "read_json"]

KINDS = ("done", "running", "failed", "blocked", "waiting", "ready")

_NOTHING = Look()


@dataclass(frozen=True)
class State:
    """Where a task stands.

    kind    of KINDS: "done"; "failed"; "running": somebody has it; "ready": it can be taken; "waiting": for `need`;
            "blocked": `need` has failed, or is blocked itself
    seen    the listing of its folder, where there was one
    need    the task that it waits for, or is blocked by
    """

    kind: str
    seen: Look = _NOTHING
    need: str = ""


class Board:
    """The states of all tasks, as one process sees them; what is done is asked for once, everything else each round.

    Parameters
    ----------
    folder
        Of the sweep.
    retry_before
        Tasks that failed before this moment, in seconds of the file server's clock, count as not yet tried.

    Raises
    ------
    DataError
        The folder holds no sweep, or its manifest is broken.
    """

    def __init__(self, folder: FilePath, retry_before: float = float("-inf")) -> None:
        self.folder = Path(folder)
        self.retry_before = retry_before
        self.watch = Watch(self.folder / "tasks/.clock")
        self._done: dict[str, Look] = {}
        self._listed: set[str] = set()
        self._round: dict[str, State] = {}
        self.read()

    def read(self) -> None:
        """Read the manifest, again where a search has added tasks to it."""
        self.manifest = Manifest.read(self.folder)
        for task in self.manifest:
            if not task.name or task.name.startswith(".") or "/" in task.name or not task.command.isidentifier():
                where = f"{self.folder}/manifest.json: task '{printable(task.name, 60)}'"
                raise DataError(f"{where} is not one that a plan makes; begin the sweep in another folder")

    def place(self, name: str) -> Path:
        """The folder that workers keep of a task."""
        return self.folder / "tasks" / name

    def begin_round(self) -> None:
        """Forget what may have changed."""
        self._round.clear()

    def finished(self, name: str, seen: Look) -> None:
        """A task is done, and stays so."""
        self._done[name] = seen
        self._round[name] = State("done", seen)

    def states(self) -> dict[str, State]:
        """The states of all tasks, in the manifest's order."""
        return {task.name: self.state(task.name) for task in self.manifest}

    def state(self, name: str) -> State:
        """The state of a task, and with it of those that it needs; the same for the whole round."""
        if name in self._done:
            return State("done", self._done[name])
        if name not in self._round:
            self._round[name] = self._find(name)
        return self._round[name]

    def _find(self, name: str) -> State:
        if name not in self.manifest.tasks:
            return State("blocked", need=name)  # a plan that was changed by hand
        task = self.manifest[name]
        waits = self._needs(task)
        if waits is not None and name in self._listed:
            return waits  # nobody works on it, and a folder is not listed without need
        self._listed.add(name)
        seen = look(self.place(name))
        if "done.json" in seen.names:
            self.finished(name, seen)
            return State("done", seen)
        if waits is not None:
            return waits
        free = self.watch.is_free(self.place(name), seen)
        if not free:
            return State("running", seen)
        return State("failed" if self.has_failed(name, seen) else "ready", seen)

    def has_failed(self, name: str, seen: Look) -> bool:
        """Has a task failed, and is not to be tried again?"""
        if "failed.json" not in seen.names:
            return False
        try:
            return os.stat(self.place(name) / "failed.json").st_mtime >= self.retry_before
        except OSError:  # tried again with success in this moment: the next round sees it
            return False

    def _needs(self, task: Task) -> State | None:
        """Why a task cannot begin: it is blocked, before it waits; None when all that it needs is done."""
        waits = None
        for need in task.needs:
            kind = self.state(need).kind
            if kind in ("failed", "blocked"):
                return State("blocked", need=need)
            if kind != "done" and waits is None:
                waits = State("waiting", need=need)
        return waits


def read_json(path: Path) -> dict[str, Any]:
    """What a small file of a worker says; {} where it says nothing."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

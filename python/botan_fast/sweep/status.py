"""How far a sweep is: for people, for programs, and for the line that a pool of workers shows."""

from __future__ import annotations

import contextlib
import csv
import os
from collections import Counter
from typing import Any

from .manifest import Task
from .states import Board, State, read_json

__all__ = ["KINDS", "Progress", "duration", "line", "text"]

_WORTH_SAYING = 5.0  # seconds left below which nothing is said of them
KINDS = ("done", "running", "failed", "blocked", "waiting")


def duration(seconds: float) -> str:
    """A time for people.

    >>> from botan_fast.sweep.status import duration
    >>> duration(7), duration(7.25), duration(42.1), duration(125), duration(12345), duration(1e6)
    ('7 s', '7.2 s', '42 s', '2 min', '3 h 26 min', '11 d 14 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


class Progress:
    """What the folder of a sweep tells about the whole of it; what is done is read once."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._seconds: dict[str, float] = {}  # of tasks that are done

    def look(self) -> dict[str, Any]:
        """How far the sweep is now, as JSON holds it.

        folder, tasks   of the sweep, and how many
        done, running, failed, blocked, waiting   how many of each
        seconds_left    of all that is not done, with as many workers as now; None where no task tells how long it takes
        at_least        true where some tasks are not in seconds_left
        stages          for each stage the same numbers, and `seconds`, the mean of its tasks
        running_tasks   name, host, worker, seconds (since it began), heartbeat (seconds since the last), epoch, epochs
        failed_tasks    name, reason, attempts, log
        blocked_tasks   name, need
        """
        if self.board.manifest.search is not None:
            self.board.read()
        self.board.begin_round()
        states = self.board.states()
        counts: dict[str, Counter[str]] = {}
        for task in self.board.manifest:
            counts.setdefault(task.stage, Counter())[_shown(states[task.name])] += 1
        total = sum(counts.values(), Counter())
        running = [self._running(task, states[task.name]) for task in self.board.manifest
                   if states[task.name].kind == "running"]  # fmt: skip
        means = self._means(states)
        left, at_least = self._left(states, means, {row["name"]: row for row in running})
        return {
            "folder": str(self.board.folder),
            "tasks": len(states),
            **_in_order(total),
            "seconds_left": left and round(left),
            "at_least": at_least,
            "stages": {
                stage: {"tasks": sum(count.values()), **_in_order(count), "seconds": means.get(stage)}
                for stage, count in counts.items()
            },
            "running_tasks": running,
            "failed_tasks": [self._failed(name) for name, state in states.items() if state.kind == "failed"],
            "blocked_tasks": [
                {"name": name, "need": state.need} for name, state in states.items() if state.kind == "blocked"
            ],
        }

    def _failed(self, name: str) -> dict[str, Any]:
        place = self.board.place(name)
        found = read_json(place / "failed.json")
        return {
            "name": name,
            "reason": str(found.get("reason", "not known")),
            "attempts": found.get("attempts"),
            "log": str(place / "log.txt"),
        }

    def _running(self, task: Task, state: State) -> dict[str, Any]:
        place, number = self.board.place(task.name), state.seen.number
        owner = self.board.watch.owner(place / f"claim.{number}")
        now = self.board.watch.now()
        row: dict[str, Any] = {
            "name": task.name,
            "host": owner and owner.host,
            "worker": owner and owner.worker,
            "seconds": None,
            "heartbeat": None,
        }
        for key, name in (("seconds", f"child.{number}"), ("heartbeat", f"claim.{number}")):
            with contextlib.suppress(OSError):
                row[key] = round(max(0.0, now - os.stat(place / name).st_mtime), 1)
        if task.command == "train" and task.options.get("output"):
            row |= _epochs(place / task.options["output"])
        return row

    def _means(self, states: dict[str, State]) -> dict[str, float]:
        """Mean seconds of the finished tasks of each stage."""
        found: dict[str, list[float]] = {}
        for task in self.board.manifest:
            if states[task.name].kind == "done":
                if task.name not in self._seconds:
                    seconds = read_json(self.board.place(task.name) / "done.json").get("seconds")
                    self._seconds[task.name] = float(seconds) if isinstance(seconds, (int, float)) else 0.0
                found.setdefault(task.stage, []).append(self._seconds[task.name])
        return {stage: round(sum(seconds) / len(seconds), 3) for stage, seconds in found.items()}

    def _left(self, states: dict, means: dict[str, float], running: dict[str, dict]) -> tuple[float | None, bool]:
        """Seconds until all is done, and whether that leaves out tasks of which nothing is known.

        A task takes what those of its stage took; before one has finished, what the epochs of a running one promise.
        """
        means = dict(means)
        for task in self.board.manifest:
            row = running.get(task.name, {})
            if task.stage not in means and row.get("epoch"):
                means[task.stage] = row["epoch_seconds"] * row["epochs"]
        work, known, unknown = 0.0, 0, 0
        for task in self.board.manifest:
            kind, row = states[task.name].kind, running.get(task.name, {})
            if kind in ("done", "failed", "blocked"):
                continue
            if row.get("epoch"):
                work += row["epoch_seconds"] * max(0, row["epochs"] - row["epoch"])
            elif task.stage in means:
                work += max(0.0, means[task.stage] - (row.get("seconds") or 0.0))
            else:
                unknown += 1
                continue
            known += 1
        return (work / max(1, len(running)) if known else None), bool(known and unknown)


def _in_order(count: Counter[str]) -> dict[str, int]:
    return {kind: count[kind] for kind in KINDS}


def _shown(state: State) -> str:
    return "waiting" if state.kind == "ready" else state.kind


def _epochs(run: Any) -> dict[str, Any]:
    """How many epochs a run has finished, of how many, and how long one takes; {} where it does not say yet."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, csv.Error):
        epochs = int(read_json(run / "config.json")["settings"]["epochs"])
        with open(run / "history.csv", encoding="utf-8", newline="") as file:
            seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
        if seconds:
            return {"epoch": len(seconds), "epochs": epochs, "epoch_seconds": round(sum(seconds) / len(seconds), 3)}
    return {}


def text(found: dict[str, Any]) -> str:
    """What `Progress.look` gives, for people."""
    lines = [f"{found['folder']}: {line(found)}"]
    names = [row["name"] for key in ("running_tasks", "failed_tasks", "blocked_tasks") for row in found[key]]
    width = max(map(len, names), default=0)
    for row in found["running_tasks"]:
        cells = [f"on {row['host'] or 'a machine that is not known'}"]
        if row["seconds"] is not None:
            cells.append(f"for {duration(row['seconds'])}")
        if "epoch" in row:
            cells.append(f"epoch {row['epoch']} of {row['epochs']}")
        if (row["heartbeat"] or 0) > 60:
            cells.append(f"no heartbeat for {duration(row['heartbeat'])}")
        lines.append(f"  running  {row['name']:{width}}  {', '.join(cells)}")
    for row in found["failed_tasks"]:
        lines.append(f"  failed   {row['name']:{width}}  {row['reason']} ({row['log']})")
    lines += [f"  blocked  {row['name']:{width}}  needs {row['need']}" for row in found["blocked_tasks"]]
    width = max(map(len, ("stage", *found["stages"])))
    lines.append(f"{'stage':{width}}{'tasks':>8}" + "".join(f"{kind:>9}" for kind in KINDS) + f"{'mean time':>14}")
    for stage, row in found["stages"].items():
        mean = "-" if row["seconds"] is None else duration(row["seconds"])
        lines.append(f"{stage:{width}}{row['tasks']:>8}" + "".join(f"{row[kind]:>9}" for kind in KINDS) + f"{mean:>14}")
    return "\n".join(lines)


def line(found: dict[str, Any]) -> str:
    """The whole sweep in a few words.

    >>> from botan_fast.sweep.status import line
    >>> line({"tasks": 9, "done": 4, "running": 2, "failed": 0, "blocked": 0, "seconds_left": 240, "at_least": False})
    '4 of 9 tasks done, 2 running, about 4 min left'
    """
    words = [f"{found['done']} of {found['tasks']} tasks done"]
    words += [f"{found[kind]} {kind}" for kind in ("running", "failed", "blocked") if found[kind]]
    if (found["seconds_left"] or 0) >= _WORTH_SAYING:
        words.append(f"{'more than' if found['at_least'] else 'about'} {duration(found['seconds_left'])} left")
    return ", ".join(words)

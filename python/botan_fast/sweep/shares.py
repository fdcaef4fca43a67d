"""Which of a sweep's tasks are one worker's to do."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from .manifest import Task
from .states import Board

__all__ = ["share_of", "stages_of", "tasks_of"]


def share_of(tasks: Sequence[Task], part: int, parts: int) -> list[Task]:
    """Part 1 ... parts of the tasks: every stage is divided evenly, and so is the whole.

    >>> from botan_fast.sweep.manifest import Task
    >>> from botan_fast.sweep.shares import share_of
    >>> tasks = [Task(f"{stage}{k}", stage, "train") for stage in "ab" for k in range(3)]
    >>> [task.name for task in share_of(tasks, 1, 2)], [task.name for task in share_of(tasks, 2, 2)]
    (['a0', 'a2', 'b1'], ['a1', 'b0', 'b2'])
    """
    by_stage: dict[str, list[Task]] = {}
    for task in tasks:
        by_stage.setdefault(task.stage, []).append(task)
    in_order = [task for stage in by_stage.values() for task in stage]
    chosen = {task.name for task in in_order[part - 1 :: parts]}
    return [task for task in tasks if task.name in chosen]


def stages_of(board: Board) -> list[str]:
    """The stages of a sweep; that of a search too, before its first trial."""
    names = dict.fromkeys(task.stage for task in board.manifest)
    if board.manifest.search is not None:
        names[board.manifest.search["task"]["stage"]] = None
    return list(names)


def tasks_of(board: Board, shard: tuple[int, int] | None, stages: Sequence[str] | None) -> list[Task]:
    """The tasks of these stages, of them part i of n; the trials of a search, which come later, are everybody's.

    InputError for a stage that the sweep does not have, and a part that there is not.
    """
    tasks = list(board.manifest)
    if stages is not None:
        known = stages_of(board)
        for stage in stages:
            if stage not in known:
                raise InputError(f"stage = '{stage}': the sweep has {', '.join(known)}; give some of them")
        tasks = [task for task in tasks if task.stage in stages]
    if shard is not None:
        if not 1 <= shard[0] <= shard[1]:
            raise InputError(f"shard = {shard[0]}/{shard[1]}: give part I of N, such as 1/4 ... 4/4")
        search = board.manifest.search["task"]["stage"] if board.manifest.search is not None else None
        mine = {task.name for task in share_of([task for task in tasks if task.stage != search], *shard)}
        tasks = [task for task in tasks if task.stage == search or task.name in mine]
    return tasks

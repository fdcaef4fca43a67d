"""Particles of one system that a file keeps in several groups, put together (H5MD)."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import DataError
from .frames import Frame
from .periodic import same_box
from .species import number_species, numbers_and_names

__all__ = ["join_groups"]


def join_groups(path: Path, groups: dict[str, tuple[list[Frame], bool]]) -> list[Frame]:
    """The frames of all groups together: name -> its frames, and do their types mean anything?

    Particles are in the order of their ids where no two groups share one, else group by group. Where no group has
    types, the groups are the species.

    Raises
    ------
    DataError
        The groups are at different times, in different boxes, or hold the same particles.
    """
    names = list(groups)
    first, _ = groups[names[0]]
    typed = [has_types for _, has_types in groups.values()]
    if any(typed) and not all(typed):
        raise DataError(
            f"{path}: the group {names[typed.index(False)]} has no species, but {names[typed.index(True)]} has; "
            "write the species of all groups"
        )
    for name in names[1:]:
        other = groups[name][0]
        if [(f.step, f.time) for f in other] != [(f.step, f.time) for f in first]:
            raise DataError(
                f"{path}: the groups {names[0]} and {name} have positions at different steps ({len(first)} and "
                f"{len(other)} frames); write both together"
            )
        for one, two in zip(first, other, strict=True):
            if one.positions.shape[1] != two.positions.shape[1] or not same_box(one.box, two.box):
                raise DataError(f"{path}: the boxes of the groups {names[0]} and {name} differ; expected one box")
    return [
        _joined(path, names, [groups[name][0][k] for name in names], typed[0], first=k == 0) for k in range(len(first))
    ]


def _joined(path: Path, names: list[str], frames: list[Frame], typed: bool, first: bool) -> Frame:
    positions = np.concatenate([frame.positions for frame in frames])
    if first and len(np.unique(positions, axis=0)) < len(positions):
        raise DataError(
            f"{path}: two particles of the groups {', '.join(names)} are at one place; "
            "expected groups without particles in common, or one of the name all"
        )
    labels = np.repeat(names, [len(frame.positions) for frame in frames])
    types, species = _types(path, names, frames, labels, typed)
    ids = None
    known = [frame.ids for frame in frames if frame.ids is not None]
    if len(known) == len(frames):
        ids = np.concatenate(known)
        if len(np.unique(ids)) < len(ids):  # each group counts for itself
            ids = None
    joined = replace(frames[0], positions=positions, types=types, species=species, ids=ids)
    if ids is not None:
        order = np.argsort(ids, kind="stable")
        joined = replace(joined, positions=positions[order], types=types[order], ids=ids[order])
    return joined


def _types(
    path: Path, names: list[str], frames: list[Frame], labels: np.ndarray, typed: bool
) -> tuple[np.ndarray, tuple[str, ...] | None]:
    if not typed:
        return number_species(path, labels, names)
    if all(frame.species is not None for frame in frames):  # each group numbers the names that it holds
        words = [np.array(frame.species)[frame.types] for frame in frames if frame.species is not None]
        return number_species(path, np.concatenate(words))
    types = np.concatenate([frame.types for frame in frames])
    types = types - (types.min() > 0)
    letters = all(len(name) == 1 and "A" <= name <= "E" for name in names)
    numbers = [set(frame.types.tolist()) for frame in frames]
    if letters or (all(len(found) == 1 for found in numbers) and len(set.union(*numbers)) == len(numbers)):
        return numbers_and_names(path, types, labels)
    return types, None

"""From what a reader read to a sample: box, graph, targets."""

import copy
from dataclasses import replace

import numpy as np
import torch

from ..arrays import Array
from ..box import check_box
from ..errors import BotanFastError, DataError, InputError, warn
from ..formats import Configuration
from ..formats.periodic import fractional, place_in_box, refuse_wrapped
from ..graph.build import build_graph
from ..physics.targets import Targets, isoconfigurational_targets
from .extras import extras_of
from .making import hold_pairs
from .sample import Sample
from .structure import Structure


def build_sample(
    configuration: Configuration,
    cutoff: float,
    self_edges: bool,
    box: Array | None,
    density: float | None,
    require_targets: bool,
    which: str = "SE",
    structure: Structure | None = None,
    halves: bool = False,
) -> Sample:
    """The sample of what a reader read, with the targets `which` as far as the file has what they are made of.

    With a `structure` of other pairs than those of the positions, E_ij of these pairs too (`Sample.held_pairs`). With
    `halves`, the targets of the two halves of the runs besides (`Sample.halves`).
    """
    c = configuration
    if require_targets and c.trajectories is None and c.propensity is None:
        raise DataError(f"{c.path}: no trajectories, so no targets; training and evaluation need them")
    told = box is not None or density is not None
    box = _box_of(c, box, density)
    if c.box is None and c.trajectories is not None and (told or c.density is None):
        try:
            refuse_wrapped(c.path, c.positions, c.trajectories, box)  # the reader could not, without a box
        except DataError as error:
            if require_targets:
                raise
            warn(f"{error}; the first frame is taken alone, without targets")
            c = replace(c, trajectories=None)
    if _anywhere(c):
        positions, trajectories = place_in_box(c.path, c.positions, c.trajectories, box)
        moved = None if c.inherent_positions is None else c.inherent_positions + (positions - c.positions)
        c = replace(c, positions=positions, trajectories=trajectories, inherent_positions=moved)
    targets = None
    try:
        graph = build_graph(c.positions, c.types, box, cutoff=cutoff, self_edges=self_edges)
        if c.trajectories is not None:
            targets = isoconfigurational_targets(c.positions, c.trajectories, graph, which=which)
        elif c.propensity is not None:
            targets = Targets(torch.from_numpy(c.propensity.astype(np.float32)), None, 0)
    except BotanFastError as error:
        raise type(error)(f"{c.path}: {error}") from error
    extras = extras_of(c, box)
    sample = Sample(graph, targets, c.name, torch.from_numpy(c.positions), c.temperature, c.time, c.species, *extras)
    if c.trajectories is None:
        return sample
    try:
        if structure is not None and structure.pairs != "thermal" and "E" in which:
            hold_pairs(sample, structure, c.trajectories)
        if halves and len(c.trajectories) > 1:
            sample.halves = _halves(sample, c.trajectories, which, structure)
    except BotanFastError as error:
        raise type(error)(f"{c.path}: {error}") from error
    return sample


def _halves(sample: Sample, trajectories: np.ndarray, which: str, structure: Structure | None) -> tuple[Sample, Sample]:
    """The sample with the targets of every other run, and with those of the rest; of an odd number one is left out.

    Runs next to each other go to different halves: whatever drifts along the runs of a file is in both.
    """
    found = []
    for first in (0, 1):
        runs = np.ascontiguousarray(trajectories[first : 2 * (len(trajectories) // 2) : 2])
        half = copy.copy(sample)
        targets = isoconfigurational_targets(sample.positions, runs, sample.graph, which=which)
        half._made = sample.graph, targets
        if sample.held_pairs is not None and structure is not None:
            hold_pairs(half, structure, runs)
        found.append(half)
    return found[0], found[1]


def _anywhere(configuration: Configuration) -> bool:
    """Does the file tell neither a box nor a density, so that nothing is known of where its coordinates begin?"""
    return configuration.box is None and configuration.density is None


def _box_of(configuration: Configuration, box: Array | None, density: float | None) -> np.ndarray:
    """The periodic box of a configuration, checked against its positions."""
    c = configuration
    number, dimensions = c.positions.shape
    if box is None and density is None and c.box is not None:
        box = c.box
    if box is not None:
        try:
            box, _ = check_box(box, dimensions)
        except InputError as error:
            raise InputError(f"{c.path}: {error}") from None
        _check_inside(c, box, f"box = {box.tolist()}")
        return box
    if density is None:
        density = c.density
    if density is None:
        raise DataError(f"{c.path}: the file holds no box; give box= or density=")
    box = np.full(dimensions, (number / density) ** (1 / dimensions))
    origin = f"box edge L = {box[0]:.6g} (from N = {number} and density = {density})"
    _check_inside(c, box, origin)
    _check_filled(c, box, origin)
    return box


def _check_inside(configuration: Configuration, box: np.ndarray, origin: str) -> None:
    """Refuse a box that does not hold all positions in [0, L): the upper face gets a tolerance for rounding.

    Coordinates that may begin anywhere must extend over L or less, but for the few particles that strayed over a face
    before the code wrapped them again.
    """
    if _anywhere(configuration):
        _check_extent(configuration, box, origin)
        return
    positions = configuration.positions
    # In a triclinic cell the condition is on the fractional coordinates, which end at 1.
    coordinates, ends = (positions, box) if box.ndim == 1 else (positions @ np.linalg.inv(box), np.ones(len(box)))
    lowest, highest = coordinates.min(axis=0), coordinates.max(axis=0)
    kind = "coordinate" if box.ndim == 1 else "fractional coordinate"
    remedy = "give the right one with box= or density="
    for axis in range(len(ends)):
        tolerance = 1e-6 * ends[axis]
        if highest[axis] > ends[axis] + tolerance:
            raise DataError(
                f"{configuration.path}: the largest {kind} along axis {axis} is {highest[axis]:.6g}, outside "
                f"[0, {ends[axis]:.6g}) of the {origin}; {remedy}"
            )
        if lowest[axis] < -tolerance:
            raise DataError(
                f"{configuration.path}: the smallest {kind} along axis {axis} is {lowest[axis]:.6g}, outside "
                f"[0, {ends[axis]:.6g}) of the {origin}; wrap the positions into the box, or {remedy}"
            )


def _check_extent(configuration: Configuration, box: np.ndarray, origin: str) -> None:
    """Refuse a box that is smaller than the coordinates extend: more than 2 % of the particles are outside of any edge
    length, or one is by 1/10. Were such a box too small, that many would lie on top of others after wrapping."""
    coordinates = np.sort(fractional(configuration.positions, box), axis=0)
    spans = coordinates[-1] - coordinates[0]
    for axis, ordered in enumerate(coordinates.T):
        inside = np.searchsorted(ordered, ordered + (1 + 1e-6), side="right") - np.arange(len(ordered))
        outside = len(ordered) - inside.max()
        if spans[axis] > 1.1 or outside > max(1, 0.02 * len(ordered)):
            raise DataError(
                f"{configuration.path}: the coordinates extend over {spans[axis]:.4g} edges of the {origin} along axis "
                f"{axis}; wrap the positions into the box, or give the right one with box= or density="
            )


def _check_filled(configuration: Configuration, box: np.ndarray, origin: str) -> None:
    """Refuse a box computed from a density when it is too large: the particles then leave an empty layer at its faces.

    The layer counts as empty when, along every axis, it is three times as wide as the widest gap between the
    particles' coordinates and wider than a quarter of the particle distance. Real configurations of a bulk system,
    crystals included, have no such layer; edges across the faces would be missing without any other sign. A few
    particles say nothing about it.
    """
    ordered = np.sort(configuration.positions, axis=0)
    if len(ordered) < 50:
        return
    layer = box - (ordered[-1] - ordered[0])
    widest = np.diff(ordered, axis=0).max(axis=0)
    distance = (np.prod(box) / len(ordered)) ** (1 / len(box))
    if (layer > np.maximum(3 * widest, 0.25 * distance)).all():
        raise DataError(
            f"{configuration.path}: the largest coordinate is {ordered[-1].max():.6g}, which leaves an empty layer in "
            f"the {origin}; give the right one with box= or density="
        )

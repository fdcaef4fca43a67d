"""Every frame of a trajectory as a sample without targets, one after the other."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arrays import Array
from ..errors import DataError, InputError
from ..files import name_of
from ..formats import is_layout, read_trajectory
from ..formats.periodic import place_in_box
from ..formats.registry import choose
from ..formats.trajectory import Trajectory, static_configuration
from ..graph.graph import Graph
from .build import build_sample
from .loading import Data, read_samples
from .sample import Sample
from .sources import open_sources
from .species import Names, SpeciesOrder

__all__ = ["FrameSample", "FrameSource", "open_frames"]


class FrameSample(Sample):
    """A sample that is one frame of a trajectory: its number from 0, and its time and step where the file tells."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        positions: torch.Tensor,
        frame: int,
        frame_time: float | None,
        step: int | None,
        species: Names = None,
    ) -> None:
        super().__init__(graph, None, name, positions, species=species)
        self.frame, self.frame_time, self.step = frame, frame_time, step


@dataclass(frozen=True)
class FrameSource:
    """The samples of one file or object, under one name; nothing is read before `samples()` is iterated."""

    name: str
    samples: Callable[[], Iterator[Sample]]


def open_frames(
    data: Data,
    cutoff: float,
    self_edges: bool,
    box: Array | None,
    density: float | None,
    species: Sequence[str] | None = None,
) -> list[FrameSource]:
    """What gives the samples of each file or object of `data`.

    Files without frames (npz, data sets, ...) give the samples that they give without `frames`, each under its name.
    The graph of one frame is in memory at a time, and the positions of one file; of a Universe those of one frame.

    Raises
    ------
    InputError
        for samples and for layouts, whose frames belong to runs.
    """
    items = data if isinstance(data, (list, tuple)) else [data]
    if any(isinstance(item, Sample) for item in items):
        raise InputError("frames = 'all' takes files of frames; these samples are configurations already")
    build: dict[str, Any] = {"cutoff": cutoff, "self_edges": self_edges, "box": box, "density": density}
    found = []
    for source in open_sources(data, runs=True):
        if isinstance(source, Path) and is_layout(source):
            raise InputError(f"frames = 'all' takes files of frames; {source} describes the runs of an ensemble")
        if isinstance(source, Trajectory):
            found.append(FrameSource(source.name, _reader(source, species, build)))
        elif isinstance(source, Path) and hasattr(choose(source), "read_frames"):
            found.append(FrameSource(name_of(source), _reader(source, species, build)))
        else:
            for sample in _static(source, species, build):
                found.append(FrameSource(sample.name, functools.partial(iter, [sample])))
    return found


def _static(source: Any, species: Sequence[str] | None, build: dict[str, Any]) -> list[Sample]:
    rest: dict[str, Any] = dict.fromkeys(("temperature", "time")) | {"species": species}
    return read_samples(
        source, **build, **rest, node_target="S", require_targets=False, progress=False, time_optional=True
    )


def _reader(
    source: Path | Trajectory, species: Sequence[str] | None, build: dict[str, Any]
) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        trajectory = source if isinstance(source, Trajectory) else read_trajectory(source)
        assert trajectory is not None  # its reader has frames
        order = SpeciesOrder(species)
        first: np.ndarray | None = None  # the box of the first frame
        for number in range(trajectory.count):
            frame = trajectory.frame(number)
            try:
                configuration = static_configuration(trajectory.name, trajectory.path, frame)
                types, names = order.apply(configuration.types, configuration.species, str(configuration.path))
                configuration = dataclasses.replace(configuration, types=types, species=names)
                told = build
                if first is not None and configuration.box is None and configuration.density is None:
                    # The first frame tells whether a given box can be right; later ones may have diffused out of it.
                    places, _ = place_in_box(configuration.path, configuration.positions, None, first)
                    configuration = dataclasses.replace(configuration, positions=places, box=first)
                    told = build | {"box": None, "density": None}
                made = build_sample(configuration, **told, require_targets=False)
                first = made.graph.box.numpy() if made.graph.box is not None else None
            except (DataError, InputError) as error:
                raise type(error)(f"frame {number}: {error}") from error
            yield FrameSample(made.graph, trajectory.name, made.positions, number, frame.time, frame.step, names)
        order.check_found()

    return samples

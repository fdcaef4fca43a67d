"""Predictions for configurations, with or without targets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Array
from ..data.frames import FrameSample, FrameSource, open_frames
from ..data.loading import Data
from ..data.sample import Sample
from ..data.selection import Numbers
from ..data.structure import with_structure
from ..device import Device
from ..errors import InputError, warn
from ..files import FilePath
from ..markup import html_table
from ..ops.precision import check_precision
from ..quantities import FIRST_SHELL, NODE_TARGETS
from .differences import differences
from .forward import Model, NamedModel, Passed, check_fits, forward_passes, named_model, samples_for, structure_of
from .times import output_times

__all__ = ["ConfigurationPrediction", "FramePrediction", "predict"]

FRAMES = ("first", "all")


@dataclass(repr=False)
class ConfigurationPrediction:
    """What a model says about one configuration. NumPy arrays; lengths in units of sigma_AA.

    name                name of the configuration
    positions           (N, D) float64, as in the data
    types               (N,) int64, 0 = A
    box                 (D,) or (D, D) float64
    propensity          (N,) float32, predicted S_i, or the model's other node target; None where the model's card says
                        that it was not trained for it
    senders, receivers  (E,) int32: row k of the pair arrays is the edge senders[k] -> receivers[k]
    distance            (E,) float32, r_ij(0)
    pair_change         (E,) float32, predicted E_ij of the directed edge, or None without edge decoder or training of
                        it. The model does not force both directions of a pair to agree; their mean is its prediction
                        for the pair
    target_propensity, target_pair_change   (N,) and (E,) float32, or None where the data hold no trajectories; NaN for
                        pairs of the inherent structure of which the data hold no E_ij
    propensity_spread, pair_change_spread   of an `Ensemble`, standard deviations over its members and rotations, in the
                        shapes of the predictions; else None
    times               of a model with K outputs the K times, by its card. The four are then (N, K) and (E, K), targets
                        with NaN at a time that the data do not have. None for a model with one output
    """

    name: str
    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    propensity: np.ndarray | None
    senders: np.ndarray
    receivers: np.ndarray
    distance: np.ndarray
    pair_change: np.ndarray | None = None
    target_propensity: np.ndarray | None = None
    target_pair_change: np.ndarray | None = None
    node_target: str = "S"
    times: tuple[float, ...] | None = None
    propensity_spread: np.ndarray | None = None
    pair_change_spread: np.ndarray | None = None

    def __repr__(self) -> str:
        lines = self._described()
        return f"{type(self).__name__}({self.name!r}, {', '.join(f'{name}={value}' for name, value in lines)})"

    def _repr_html_(self) -> str:
        return html_table(f"{type(self).__name__} {self.name}", self._described())

    def _described(self) -> list[tuple[str, object]]:
        """What is in it, without the numbers."""
        lines: list[tuple[str, object]] = [("particles", len(self.types)), ("edges", len(self.senders))]
        lines += [] if self.times is None else [("times", list(self.times))]
        known = ("propensity", "pair_change", "target_propensity", "target_pair_change", "propensity_spread")
        held = [name.replace("propensity", self.quantity) for name in known if getattr(self, name) is not None]
        return [*lines, ("holds", " ".join(held) or "nothing")]

    @property
    def quantity(self) -> str:
        """The name of the node values in files, "propensity" or the field of `Targets` that `node_target` means."""
        return NODE_TARGETS[self.node_target]

    def to_ase(self, *, symbols: Sequence[str] | None = None, bonds: float = FIRST_SHELL) -> Any:
        """An `Atoms` of ASE with what the model says.

        Lengths are in sigma_AA, not in Angstrom, and `info["units"]` is "lj". The arrays are `type` (0 = A) and the
        columns of the XYZ file: `propensity`, `propensity_spread`, `target_propensity`, `propensity_error`. `info` has
        `name`, of a frame `frame`, `time`, `step`, and the pairs with r_ij(0) < `bonds` (0 for none): `pairs` (P, 2),
        `distance`, `pair_change`, `target_pair_change`, `pair_change_error` (P,), means of both directions.
        `botan_fast.predict` reads these Atoms again.

        symbols : chemical symbols of A, B, ..., such as ("Ni", "P"); None: all are "X", of no element.

        Raises `InputError` without ASE (extra `ase`), for too few symbols, and for one that ASE does not know.

        >>> import numpy as np
        >>> from botan_fast.evaluation.prediction import ConfigurationPrediction
        >>> pair = np.empty(0, np.int32)
        >>> p = ConfigurationPrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
        ...     pair, pair, np.empty(0, np.float32))
        >>> p.to_ase().arrays["propensity"].tolist()
        [1.0]
        """
        from .objects import to_ase

        return to_ase(self, symbols=symbols, bonds=bonds)

    def to_ovito(self, *, color: str | None = None, bonds: float = FIRST_SHELL) -> Any:
        """A `DataCollection` of OVITO with particles and bonds in their colours.

        Particles have `Position`, `Particle Type` (A, B, ...), `Particle Identifier`, `Radius`, the columns of the XYZ
        file, and `Color`, of the column `color` as in `write_xyz`; bonds are the pairs with r_ij(0) < `bonds` (0 for
        none), with `distance`, `pair_change`, `target_pair_change`, `pair_change_error` and `Color`. Attributes:
        `Name`, `ColorBy`, `ColorLow`, `ColorHigh`, `ColorMap`, and of a frame `Frame`, `Time`, `Timestep`.
        Where there are bonds, particles are drawn at 0.4 of their size, as balls and sticks.

        Raises `InputError` without OVITO (extra `ovito`), and for a color that is no column. To see it::

            Pipeline(source=StaticSource(data=prediction.to_ovito())).add_to_scene()
        """
        from .objects import to_ovito

        return to_ovito(self, color=color, bonds=bonds)

    @classmethod
    def from_sample(
        cls,
        sample: Sample,
        propensity: np.ndarray | None,
        pair_change: np.ndarray | None,
        node_target: str = "S",
        times: tuple[float, ...] | None = None,
    ) -> "ConfigurationPrediction":
        """Join a sample with the outputs (N,) and (E,) of a model for it; with `times`, (N, K) and (E, K)."""
        graph, targets = sample.graph.to("cpu"), sample.targets
        if times is not None and sample.times is None:
            targets = None  # those of a time that the model has no output for
        node = targets.node(node_target) if targets is not None and sample.has_node_target(node_target) else None
        pair = None if targets is None else targets.pair_change
        return cls(
            name=sample.name,
            positions=np.asarray(sample.positions),
            types=graph.types.numpy(),
            box=np.asarray(graph.box),
            propensity=propensity,
            senders=graph.senders.numpy(),
            receivers=graph.receivers.numpy(),
            distance=graph.vectors.norm(dim=1).numpy(),
            pair_change=pair_change,
            target_propensity=None if node is None else node.cpu().numpy(),
            target_pair_change=None if pair is None else pair.cpu().numpy(),
            node_target=node_target,
            times=times,
        )


@dataclass(repr=False)
class FramePrediction(ConfigurationPrediction):
    """What a model says about one frame of a trajectory: `frame`, its number from 0, and what its file tells of it.

    time    instant of the frame in Lennard-Jones units, or None
    step    number of the step, or None
    """

    frame: int = 0
    time: float | None = None
    step: int | None = None


def predict(
    model: Model | FilePath | Sequence[Any],
    data: Data,
    *,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    frames: str = "first",
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> Iterator[ConfigurationPrediction]:
    """Predict the propensity of every particle and the pair-distance change of every directed edge.

    An output that the model was not trained for, by its card, is None, and a warning says so. Warnings also tell of
    data that differ from what the model was trained on, see `evaluate`.

    Parameters
    ----------
    model, data, box, density, temperature, time, species, device, precision, progress
        As in `evaluate`; the files need no trajectories. Of a file with several times one prediction comes: with the
        targets of the time that is chosen, or that the model was trained for, else without targets. A model with
        several outputs gets the targets at all of its times.
    frames : {"first", "all"}
        Of a trajectory, the first frame or every frame; each of the latter is a `FramePrediction` without targets, in
        the order of time, made when it is asked for. Files without frames give what they give anyway.

    Yields
    ------
    ConfigurationPrediction
        One for each configuration, in the order of `data`; write it with `write_npz` or `write_xyz` of
        `botan_fast.evaluation.writing`.

    Raises
    ------
    DataError, InputError
        as `evaluate`, before the first prediction; with `frames="all"` where a frame is wrong, when it comes.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x, positions=x[None])
    >>> [prediction] = bf.predict(bf.BOTAN(hidden_size=8, num_steps=1), folder.name + "/a.npz")
    >>> prediction.name, prediction.propensity.shape
    ('a', (100,))
    """
    # Not a generator itself: bad input is reported by the call, not by the first step of a loop.
    check_precision(precision, auto=True)
    check_frames(frames)
    named = named_model(model)
    if frames == "all":
        if temperature is not None or time is not None:
            raise InputError("frames = 'all' takes every frame; leave temperature and time out")
        config = named.model.config
        sources = open_frames(data, config["cutoff"], config["self_edges"], box, density, species)
        return predict_samples(named, frame_samples(named, sources), device, precision, progress)
    samples = samples_for(
        named, data, box, density, temperature, time, species=species, require_targets=False, progress=progress
    )
    warn_of_differences(named, samples)
    return predict_samples(named, samples, device, precision, progress)


def check_frames(frames: str) -> None:
    """InputError unless `frames` is "first" or "all"."""
    if frames not in FRAMES:
        raise InputError(f"frames = {frames!r}; choose one of {', '.join(map(repr, FRAMES))}")


def frame_samples(named: NamedModel, sources: Iterable[FrameSource]) -> Iterator[Sample]:
    """The samples of the sources, one after the other; the first one is compared with the model's card."""
    first, structure = True, structure_of(named)
    for source in sources:
        for sample in source.samples():
            check_fits(named, sample)
            sample = with_structure(sample, structure, pair_targets=False)
            if first:
                warn_of_differences(named, [sample])
                first = False
            yield sample


def warn_of_differences(named: NamedModel, samples: list[Sample]) -> None:
    """One line about data that are not like those that the model was trained on."""
    text = None if named.card is None else differences(named.card, samples)
    if text:
        warn(f"the data differ from what {named.name} was trained on: {text}")


def predict_samples(
    named: NamedModel, samples: Iterable[Sample], device: Device, precision: str, progress: bool
) -> Iterator[ConfigurationPrediction]:
    """The predictions of samples; what the model was not trained for is left out, which a warning says at once."""
    target = named.model.config["node_target"]
    card, times = named.card, output_times(named.model.config, named.card)
    node_trained = card is None or card.trains(target)
    edge_trained = card is None or card.trains("E") or named.model.config["decoders"] == "node"
    left_out = [] if node_trained else [NODE_TARGETS[target].replace("_", " ")]
    left_out += [] if edge_trained else ["pair change"]
    if left_out:
        assert card is not None
        warn(f"{' and '.join(left_out)} left out: {named.name} was trained for {card.trained_for}")

    def made(passed: Passed) -> ConfigurationPrediction:
        sample, (node, edge) = passed.sample, passed.outputs
        kind = FramePrediction if isinstance(sample, FrameSample) else ConfigurationPrediction
        prediction = kind.from_sample(
            sample,
            node.astype(np.float32, copy=False) if node_trained else None,
            edge.astype(np.float32, copy=False) if edge is not None and edge_trained else None,
            target,
            times,
        )
        if passed.spread is not None:
            nodes, pairs = (
                None if values is None else values.astype(np.float32, copy=False) for values in passed.spread
            )
            prediction.propensity_spread = nodes if node_trained else None
            prediction.pair_change_spread = pairs if edge_trained else None
        if isinstance(sample, FrameSample) and isinstance(prediction, FramePrediction):
            prediction.frame, prediction.time, prediction.step = sample.frame, sample.frame_time, sample.step
        return prediction

    passes = forward_passes(named.model, samples, device, precision, progress, "predicting")
    return map(made, passes)

"""Predictions for configurations, with or without targets."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..data.loading import Data
from ..data.sample import Sample
from ..data.selection import Numbers
from ..device import Device
from ..ops.precision import check_precision
from ..quantities import NODE_TARGETS
from .forward import Model, forward_passes, samples_for

__all__ = ["ConfigurationPrediction", "predict"]


@dataclass
class ConfigurationPrediction:
    """What a model says about one configuration. NumPy arrays; lengths in units of sigma_AA.

    name                name of the configuration
    positions           (N, D) float64, as in the data
    types               (N,) int64, 0 = A
    box                 (D,) or (D, D) float64
    propensity          (N,) float32, predicted S_i, or the model's other node target
    senders, receivers  (E,) int32: row k of the pair arrays is the edge senders[k] -> receivers[k]
    distance            (E,) float32, r_ij(0)
    pair_change         (E,) float32, predicted E_ij of the directed edge, or None without edge decoder. The model does
                        not force both directions of a pair to agree; their mean is its prediction for the pair
    target_propensity, target_pair_change   (N,) and (E,) float32, or None where the data hold no trajectories
    """

    name: str
    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    propensity: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    distance: np.ndarray
    pair_change: np.ndarray | None = None
    target_propensity: np.ndarray | None = None
    target_pair_change: np.ndarray | None = None
    node_target: str = "S"

    @property
    def quantity(self) -> str:
        """Name of the node values in files: "propensity", or the field of `Targets` that `node_target` stands for."""
        return NODE_TARGETS[self.node_target]

    @classmethod
    def from_sample(
        cls, sample: Sample, propensity: np.ndarray, pair_change: np.ndarray | None, node_target: str = "S"
    ) -> "ConfigurationPrediction":
        """Join a sample with the outputs (N,) and (E,) of a model for it."""
        graph, targets = sample.graph.to("cpu"), sample.targets
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
        )


def predict(
    model: Model,
    data: Data,
    *,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> Iterator[ConfigurationPrediction]:
    """Predict the propensity of every particle and the pair-distance change of every directed edge.

    Parameters
    ----------
    model, data, box, density, temperature, time, species, device, precision, progress
        As in `evaluate`; the files need no trajectories.

    Yields
    ------
    ConfigurationPrediction
        One for each configuration, in the order of `data`; write it with `write_npz` or `write_xyz` of
        `botan_fast.evaluation.writing`.

    Raises
    ------
    DataError, InputError
        as `evaluate`, before the first prediction.

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
    check_precision(precision)
    samples = samples_for(
        model, data, box, density, temperature, time, species=species, require_targets=False, progress=progress
    )
    return (
        ConfigurationPrediction.from_sample(
            sample,
            node.astype(np.float32),
            None if edge is None else edge.astype(np.float32),
            model.config["node_target"],
        )
        for sample, node, edge in forward_passes(model, samples, device, precision, progress, "predicting")
    )

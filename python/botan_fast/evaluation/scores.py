"""Scores of a model on data with targets, and predictions for data without."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..arrays import Array
from ..data.loading import Data
from ..data.sample import Sample
from ..data.selection import Numbers
from ..device import Device
from ..errors import warn
from ..files import FilePath
from ..ops.precision import check_precision
from ..quantities import NODE_TARGETS
from .forward import Model, NamedModel, float64_array, forward_passes, named_model, samples_for
from .prediction import warn_of_differences

__all__ = ["PAIR_CUTOFF", "evaluate", "pearson", "score"]

PAIR_CUTOFF = 1.35  # A-A pairs closer than this at t = 0, the first neighbour shell, enter the edge score


def evaluate(
    model: Model | FilePath,
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
) -> dict[str, float | int | None]:
    """Compare a model's predictions with the targets.

    The node score is Pearson's correlation of S_hat_i with S_i (or with the model's other node target) over the
    particles of type A; the edge score that of E_hat_ij with E_ij over the directed A-A pairs with r_ij(0) < 1.35
    (Shiba et al., J. Chem. Phys. 158, 084503 (2023)). Two conventions are in use, and they differ when the mean of
    the targets varies between configurations:

    - `node_pearson`, `edge_pearson`: one coefficient for each configuration, then their mean (the paper);
    - `node_pearson_pooled`, `edge_pearson_pooled`: one coefficient over the particles or pairs of all configurations
      together (GlassBench).

    Parameters
    ----------
    model : BOTAN, or path of a model file or run folder
        Parameters and mode (train or eval) of a BOTAN are the same afterwards.
    data : path, glob pattern, Dataset, list of them, or list of Sample
        See `load_samples`; the model's cutoff and self edges apply.
    box, density, temperature, time, species
        See `load_samples`. Of several temperatures or times, the one that the model was trained for (`model.card`) is
        taken when none is chosen, and a warning says so.
    device : str or torch.device, optional
        Where to compute; by default where the model is. The model is moved back afterwards.
    precision : {"fp32", "bf16", "tf32"}
        How matrix products are computed, see docs/precision.md.
    progress : bool
        Show progress bars on standard error, when that is a terminal.

    Returns
    -------
    dict
        The four scores above, `node_loss` and `edge_loss` (mean squared errors over all particles and over all
        directed edges of a configuration, then the mean over configurations), `num_configurations`. A coefficient is
        nan where predictions or targets do not vary. The edge values are None for a model without edge decoder
        and for data without E_ij. All
        sums are in float64. Scores of an output that the model was not trained for are those of noise.

    Warns
    -----
    BotanFastWarning
        One line for an output that the model was not trained for, by its card; and one for data that differ from what
        it was trained on: names of species, their fractions or the number density by 10 %, temperature, time.

    Raises
    ------
    DataError, InputError
        as `load_samples`; InputError also when the model's and the data's number of dimensions differ.

    Examples
    --------
    >>> import numpy as np, tempfile, torch
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> rng, generator = np.random.default_rng(0), torch.manual_seed(0)
    >>> x = rng.random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x,
    ...     positions=x + 0.1 * rng.standard_normal((8, 100, 3)))
    >>> scores = bf.evaluate(bf.BOTAN(hidden_size=8, num_steps=1), folder.name + "/a.npz")
    >>> scores["num_configurations"], abs(scores["node_pearson"]) <= 1
    (1, True)
    """
    check_precision(precision)
    named = named_model(model)
    samples = samples_for(
        named, data, box, density, temperature, time, species=species, require_targets=True, progress=progress
    )
    warn_of_differences(named, samples)
    _warn_of_noise(named)
    return score(named.model, samples, device, precision, progress)


def score(
    model: Model, samples: list[Sample], device: Device = None, precision: str = "fp32", progress: bool = False
) -> dict[str, float | int | None]:
    """What `evaluate` returns, for samples that fit the model and hold its targets, without a word."""
    scores: dict[str, list[float]] = {name: [] for name in ("node_loss", "node_pearson", "edge_loss", "edge_pearson")}
    pooled: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"node": [], "edge": []}
    for sample, node, edge in forward_passes(model, samples, device, precision, progress, "evaluating"):
        masks = _masks(sample)
        targets = sample.targets
        assert targets is not None  # they were required
        parts: list[tuple[str, np.ndarray, torch.Tensor]] = []
        parts.append(("node", node, targets.node(model.config["node_target"])))
        if edge is not None and targets.pair_change is not None:
            parts.append(("edge", edge, targets.pair_change))
        for name, prediction, wanted in parts:
            target = float64_array(wanted)
            scores[f"{name}_loss"].append(float(np.mean((prediction - target) ** 2)))
            chosen = prediction[masks[name]], target[masks[name]]
            scores[f"{name}_pearson"].append(pearson(*chosen))
            pooled[name].append(chosen)
    result: dict[str, float | int | None] = {
        name: float(np.mean(values)) if values else None for name, values in scores.items()
    }
    for name, pieces in pooled.items():
        both = (np.concatenate(part) for part in zip(*pieces, strict=True))
        result[f"{name}_pearson_pooled"] = pearson(*both) if pieces else None
    result["num_configurations"] = len(samples)
    return result


def _warn_of_noise(named: NamedModel) -> None:
    card, target = named.card, named.model.config["node_target"]
    if card is None:
        return
    noise = [] if card.trains(target) else ["node"]
    noise += [] if card.trains("E") or named.model.config["decoders"] == "node" else ["edge"]
    if noise:
        word = NODE_TARGETS[target].replace("_", " ") if noise[0] == "node" else "pair changes"
        scores = " and ".join(noise)
        warn(f"{scores} scores are those of noise: {named.name} was trained for {card.trained_for}, not for {word}")


def pearson(x: Array, y: Array) -> float:
    """Pearson's correlation coefficient of two arrays, in float64; nan where one of them does not vary.

    sum (x - <x>) (y - <y>) / sqrt(sum (x - <x>)^2 sum (y - <y>)^2)

    Examples
    --------
    >>> from botan_fast.evaluation.scores import pearson
    >>> round(pearson([1, 2, 3], [1, 2, 4]), 6)
    0.981981
    >>> pearson([1, 1], [1, 2])
    nan
    """
    x, y = np.asarray(x, dtype=np.float64).ravel(), np.asarray(y, dtype=np.float64).ravel()
    # A constant array minus its rounded mean need not be exactly zero, so constancy is tested by itself.
    if x.size < 2 or x.min() == x.max() or y.min() == y.max():
        return math.nan
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt(np.dot(x, x)) * math.sqrt(np.dot(y, y))
    return float(np.dot(x, y)) / scale if scale > 0 else math.nan


def _masks(sample: Sample) -> dict[str, np.ndarray]:
    """What enters the scores: particles of type A, and A-A pairs with r_ij(0) < PAIR_CUTOFF without self edges."""
    graph = sample.graph
    is_a = (graph.types == 0).cpu().numpy()
    senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
    near = np.linalg.norm(float64_array(graph.vectors), axis=1) < PAIR_CUTOFF
    return {"node": is_a, "edge": near & is_a[senders] & is_a[receivers] & (senders != receivers)}

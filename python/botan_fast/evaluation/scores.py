"""Scores of a model on data with targets, and predictions for data without."""

import math
import sys
from collections.abc import Iterator

import numpy as np
import torch

from ..data.loading import Sample, load_samples
from ..errors import InputError
from ..ops.message_passing import check_precision
from .writing import ConfigurationPrediction

__all__ = ["PAIR_CUTOFF", "choose_device", "evaluate", "pearson", "predict"]

PAIR_CUTOFF = 1.35  # A-A pairs closer than this at t = 0, the first neighbour shell, enter the edge score


def evaluate(
    model,
    data,
    *,
    box=None,
    density: float | None = None,
    temperature=None,
    time=None,
    device=None,
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
    model : BOTAN
        Its parameters and its mode (train or eval) are the same afterwards.
    data : path, glob pattern, Dataset, list of them, or list of Sample
        See `load_samples`; the model's cutoff and self edges apply.
    box, density, temperature, time
        See `load_samples`.
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
        sums are in float64.

    Raises
    ------
    DataError, InputError
        as `load_samples`; InputError also when the model's and the data's number of dimensions differ.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x,
    ...     positions=x + 0.1 * rng.standard_normal((8, 100, 3)))
    >>> scores = bf.evaluate(bf.BOTAN(hidden_size=8, num_steps=1), folder.name + "/a.npz")
    >>> scores["num_configurations"], abs(scores["node_pearson"]) <= 1
    (1, True)
    """
    check_precision(precision)
    samples = _samples_for(model, data, box, density, temperature, time, require_targets=True, progress=progress)
    scores: dict[str, list[float]] = {name: [] for name in ("node_loss", "node_pearson", "edge_loss", "edge_pearson")}
    pooled: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"node": [], "edge": []}
    for sample, node, edge in _forward(model, samples, device, precision, progress, "evaluating"):
        masks = _masks(sample)
        parts = [("node", node, sample.targets.node(model.config["node_target"]))]
        if edge is not None and sample.has_pair_targets:
            parts.append(("edge", edge, sample.targets.pair_change))
        for name, prediction, target in parts:
            target = _float64(target)
            scores[f"{name}_loss"].append(float(np.mean((prediction - target) ** 2)))
            chosen = prediction[masks[name]], target[masks[name]]
            scores[f"{name}_pearson"].append(pearson(*chosen))
            pooled[name].append(chosen)
    result: dict[str, float | int | None] = {
        name: float(np.mean(values)) if values else None for name, values in scores.items()
    }
    for name, chosen in pooled.items():
        both = (np.concatenate(part) for part in zip(*chosen, strict=True))
        result[f"{name}_pearson_pooled"] = pearson(*both) if chosen else None
    result["num_configurations"] = len(samples)
    return result


def predict(
    model,
    data,
    *,
    box=None,
    density: float | None = None,
    temperature=None,
    time=None,
    device=None,
    precision: str = "fp32",
    progress: bool = False,
) -> Iterator[ConfigurationPrediction]:
    """Predict the propensity of every particle and the pair-distance change of every directed edge.

    Parameters
    ----------
    model, data, box, density, temperature, time, device, precision, progress
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
    samples = _samples_for(model, data, box, density, temperature, time, require_targets=False, progress=progress)
    return (
        ConfigurationPrediction.from_sample(
            sample,
            node.astype(np.float32),
            None if edge is None else edge.astype(np.float32),
            model.config["node_target"],
        )
        for sample, node, edge in _forward(model, samples, device, precision, progress, "predicting")
    )


def pearson(x: np.ndarray, y: np.ndarray) -> float:
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


def choose_device(device=None, default: torch.device | None = None) -> torch.device:
    """The torch device for `device`; when None, `default`, or else the GPU if torch has one, or else the CPU.

    Examples
    --------
    >>> from botan_fast.evaluation.scores import choose_device
    >>> choose_device("cpu")
    device(type='cpu')
    """
    if device is None:
        return default if default is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError(f"device = {device!r} is not a torch device; use 'cpu', 'cuda' or 'cuda:1'") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device = '{device}' but torch {torch.__version__} finds no CUDA device; use device='cpu'")
    return chosen


def _samples_for(
    model, data, box, density, temperature, time, *, require_targets: bool, progress: bool
) -> list[Sample]:
    config = model.config
    samples = load_samples(
        data,
        cutoff=config["cutoff"],
        self_edges=config["self_edges"],
        box=box,
        density=density,
        temperature=temperature,
        time=time,
        node_target=config["node_target"],
        require_targets=require_targets,
        progress=progress,
    )
    for sample in samples:
        if sample.positions.shape[1] != config["dimensions"]:
            raise InputError(
                f"the model has dimensions = {config['dimensions']} but {sample.name} has "
                f"{sample.positions.shape[1]}-dimensional positions; use a model trained on such data"
            )
    return samples


def _forward(
    model, samples: list[Sample], device, precision: str, progress: bool, description: str
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray | None]]:
    """Yield each sample with the model's node and edge output as float64; leave the model as it was."""
    home = next(model.parameters()).device
    device = choose_device(device, default=home)
    was_training = model.training
    if progress and sys.stderr.isatty():
        from tqdm import tqdm

        samples = tqdm(samples, desc=description, unit="graph", leave=False)
    try:
        model.to(device).eval()
        for sample in samples:
            with torch.no_grad():
                prediction = model(sample.graph.to(device), precision)
            edge = None if prediction.edge is None else _float64(prediction.edge)
            yield sample, _float64(prediction.node), edge
    finally:
        model.to(home).train(was_training)


def _masks(sample: Sample) -> dict[str, np.ndarray]:
    """What enters the scores: particles of type A, and A-A pairs with r_ij(0) < PAIR_CUTOFF without self edges."""
    graph = sample.graph
    is_a = (graph.types == 0).cpu().numpy()
    senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
    near = np.linalg.norm(_float64(graph.vectors), axis=1) < PAIR_CUTOFF
    return {"node": is_a, "edge": near & is_a[senders] & is_a[receivers] & (senders != receivers)}


def _float64(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()

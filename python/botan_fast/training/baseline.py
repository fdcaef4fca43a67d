"""train_baseline(): ridge regression on descriptors, what every network must beat."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ..arrays import Array
from ..data.loading import Data, read_samples
from ..data.sample import Sample
from ..data.selection import Numbers
from ..errors import InputError, warn
from ..evaluation.scores import score
from ..files import FilePath, write_bytes
from ..log import logger, tell
from ..model.checkpoint import LAST, save_model
from ..model.inputs import node_columns
from ..model.linear import LinearBaseline, edge_terms, windows
from ..model.scales import Moments
from ..physics.descriptor_settings import DescriptorSettings, species_name
from ..physics.potential import PotentialLike
from ..quantities import FIRST_SHELL
from ..terminal import progress_bar
from .card import training_card
from .features import columns_of, structure_config, with_features
from .options import BASELINE
from .ridge import Sums, best_penalty, solve
from .run_directory import RunDirectory
from .run_file import run_file
from .samples import check_samples, number_of_species

__all__ = ["BaselineResult", "train_baseline"]

_LOG = logger(__name__)

ONE = 0.3  # the penalty where there is one configuration and none can be left out: benchmarks/results/accuracy
_ROWS = 65536  # pairs at once


@dataclass(repr=False)
class BaselineResult:
    """What train_baseline() returns.

    model       LinearBaseline; its `card` says what it was fitted to
    scores      those of `evaluate` on the test data; {} without
    penalties   of each regression: "node A", "edge A-A, r < 1.35", ...
    seconds     reading, minimising and fitting, and the scores apart
    output      the folder, or None

    >>> import botan_fast as bf
    >>> model = bf.LinearBaseline(node_inputs=["energy"], num_species=1)
    >>> bf.BaselineResult(model, {"node_pearson": 0.78125}, {"node A": 0.03})
    BaselineResult(1 regressions, node_pearson=0.7812)
    """

    model: LinearBaseline
    scores: dict[str, Any]
    penalties: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    output: Path | None = None

    def __repr__(self) -> str:
        names = ("node_pearson", "edge_pearson")
        numbers = "".join(f", {name}={self.scores[name]:.4g}" for name in names if self.scores.get(name) is not None)
        return f"BaselineResult({len(self.penalties)} regressions{numbers})"


def train_baseline(
    train: Data,
    test: Data | None = None,
    *,
    penalty: float | None = None,
    edges: bool = True,
    node_inputs: Sequence[str] = ("descriptors",),
    edge_inputs: Sequence[str] = ("radial", "inherent"),
    pairs: str | None = None,
    potential: PotentialLike | None = None,
    descriptors: DescriptorSettings | Mapping[str, Any] | None = None,
    output: FilePath | None = None,
    force: bool = False,
    cutoff: float = 2.0,
    node_target: str = "S",
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    progress: bool = True,
) -> BaselineResult:
    """Fit a `LinearBaseline`: ridge regression, in closed form, with the penalty by leaving configurations out.

    For each species, and for each pair of species within and beyond 1.35, the weights w and the constant b make
    sum (y - w . x - b)^2 + penalty n |w s|^2 least, where n is the number of rows and s are the widths of the columns.
    A network that does not beat it has learned nothing. Minutes for tens of configurations; float64; the same each
    time.

    Parameters
    ----------
    train, test, cutoff, node_target, box, density, temperature, time, species : as in `botan_fast.train`; one time.
    penalty : float, optional
        By default of each regression the one of 1e-5, 3.16e-5, ..., 3.16 with the least error on training
        configurations left out; 0.3 where there is one configuration, of which none can be left out.
    edges : bool
        Also E_ij; without, the data need not hold it.
    node_inputs, edge_inputs, pairs, potential, descriptors : as in `botan_fast.train`.
    output : path, optional
        Folder for the model (``last.safetensors``, which `load_model` reads of the folder), ``baseline.json``
        (penalties, scores, seconds) and ``run.toml`` (`botan_fast.training.run_file`). It must not hold a run.
    force : bool
        Fit again where `output` holds a baseline; the run of a network it never overwrites.
    progress : bool
        Show progress on standard error.

    Raises
    ------
    InputError, DataError
        for wrong arguments and data files.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> grid = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3) * 1.05
    >>> for k in range(2):
    ...     rng = np.random.default_rng(k)
    ...     x = grid + 0.02 * rng.standard_normal(grid.shape)
    ...     np.savez(f"{folder.name}/{k}.npz", types=np.arange(216) % 2, initial_positions=x, box=[6.3] * 3,
    ...         positions=x + 0.1 * rng.standard_normal((8, 216, 3)))
    >>> settings = bf.DescriptorSettings(groups=["radial"], geometry="thermal", radial_centres=[1.0, 1.5], averages=0,
    ...     smear_lengths=[])
    >>> result = bf.train_baseline(folder.name + "/*.npz", descriptors=settings, edge_inputs=["radial"], progress=False)
    >>> result.model.node_weight.shape  # (1 time, 2 species, 4 columns)
    torch.Size([1, 2, 4])
    """
    arguments = dict(locals())
    if penalty is not None and not (np.isfinite(penalty) and penalty >= 0):
        raise InputError(f"penalty = {penalty!r}: give a number that is not negative, or leave it out")
    run = None if output is None else RunDirectory(output)
    if run is not None:
        run.options = run_file("baseline", BASELINE, arguments, run.path)
    reading = {"box": box, "density": density, "temperature": temperature, "time": time, "species": species}
    # An empty model says what is wrong with the inputs before the data are read.
    options: dict[str, Any] = {"node_inputs": node_inputs, "edge_inputs": edge_inputs}
    options |= {"cutoff": cutoff, "node_target": node_target}
    config = LinearBaseline(**options, decoders="separate" if edges else "node").config
    config = config | {"structure": structure_config(None, config, pairs, potential, descriptors)}
    again = run is not None and force and not (run.config_file.exists() or run.state_file.exists())
    with contextlib.nullcontext() if run is None else run.held(again):
        start = perf_counter()
        read: dict[str, Any] = reading | {"cutoff": cutoff, "self_edges": False, "node_target": node_target}
        read |= {"require_targets": True, "progress": progress}
        parts = [read_samples(train, **read), [] if test is None else read_samples(test, **read)]
        dimensions = check_samples(parts[0], parts[1], 0.5 if edges else 1.0)
        config |= {"num_species": number_of_species([*parts[0], *parts[1]]), "dimensions": dimensions}
        (samples, tests), structure = with_features(parts, config, edges, progress)
        config |= {"structure": structure, "input_columns": columns_of(samples, config)}
        if run is not None:
            run.write_options()
        model = LinearBaseline(**{name: value for name, value in config.items() if name != "kind"})
        penalties = fit(model, samples, penalty, progress)
        card = training_card(0.5 if edges else 1.0, model.config, samples)
        model.card = replace(card, p=None)  # particles and pairs are fitted apart: no weight joins them
        seconds = {"fit": perf_counter() - start}
        scores: dict[str, Any] = score(model, tests, progress=progress) if tests else {}
        seconds["scores"] = perf_counter() - start - seconds["fit"]
        result = BaselineResult(model, scores, penalties, seconds, None if run is None else run.path)
        if run is not None:
            said = {"penalties": penalties, "scores": scores, "seconds": seconds, "model": model.config}
            save_model(model, run.path / LAST)
            write_bytes(run.path / "baseline.json", (json.dumps(said, indent=1, default=str) + "\n").encode())
    return result


def fit(model: LinearBaseline, samples: list[Sample], penalty: float | None, progress: bool) -> dict[str, float]:
    """Set the weights of `model` to those of the ridge regressions on the samples; the penalty of each, by its name."""
    species = model.config["num_species"]
    edges = model.config["decoders"] != "node"
    if len(samples) == 1 and penalty is None:
        warn(f"one training configuration: none can be left out, so the penalty is {ONE}")
    _fit_scales(model, samples)
    sums: dict[tuple[int, ...], list[Sums]] = {}  # of each regression, one for each configuration
    for sample in progress_bar(samples, show=progress, desc="descriptors", unit=" configurations", leave=False):
        for place, one in _sums_of(model, sample, edges):
            sums.setdefault(place, []).append(one)
    tell(_LOG, f"{len(sums)} regressions on {len(samples)} configurations", progress)
    penalties = {}
    with torch.no_grad():
        for place, parts in sums.items():
            chosen = penalty
            if chosen is None:
                chosen = best_penalty(parts) if len(parts) > 1 else ONE
            weights, constant = solve(sum(parts[1:], parts[0]), chosen)
            penalties[_name(place)] = chosen
            _put(model, place, species, torch.from_numpy(weights.T.copy()), torch.from_numpy(constant))
    return penalties


def _sums_of(model: LinearBaseline, sample: Sample, edges: bool) -> list[tuple[tuple[int, ...], Sums]]:
    """The sums of each regression over one configuration: (species,), and (window, species, species) of pairs."""
    graph, targets, config = sample.graph, sample.targets, model.config
    assert targets is not None  # they were required
    species = config["num_species"]
    columns = node_columns(config, graph, torch.float64)
    x = ((columns - model.node_input_mean) / model.node_input_width).numpy()
    y = targets.node(config["node_target"]).numpy().reshape(len(x), -1)
    types = graph.types.numpy()
    found: list[tuple[tuple[int, ...], Sums]] = []
    for s in range(species):
        found.append(((s,), Sums.of(x[types == s], y[types == s])))
    if not edges:
        return found
    assert targets.pair_change is not None  # p < 1 was checked
    pair_y = targets.pair_change.numpy().reshape(graph.num_edges, -1)
    terms = edge_terms(config, graph).numpy()
    senders, receivers = graph.senders.numpy(), graph.receivers.numpy()
    place = windows(graph, species).numpy()
    once = senders < receivers
    for window in range(2):
        for s in range(species):
            for t in range(s, species):
                here = {(window * species + s) * species + t, (window * species + t) * species + s}
                rows = np.flatnonzero(once & np.isin(place, list(here)))
                total = Sums.zero(x.shape[1] + terms.shape[1], pair_y.shape[1])
                for begin in range(0, len(rows), _ROWS):
                    part = rows[begin : begin + _ROWS]
                    both = x[senders[part]] + x[receivers[part]]
                    total = total + Sums.of(np.concatenate([both, terms[part]], axis=1), pair_y[part])
                found.append(((window, s, t), total))
    return found


def _fit_scales(model: LinearBaseline, samples: list[Sample]) -> None:
    moments = Moments(model.node_input_mean.shape[0])
    for sample in samples:
        moments.add(node_columns(model.config, sample.graph, torch.float64))
    model.node_input_mean.copy_(moments.mean)
    model.node_input_width.copy_(moments.width)


def _put(model: LinearBaseline, place: tuple[int, ...], species: int, weights: Any, constant: Any) -> None:
    if len(place) == 1:
        model.node_weight[:, place[0]] = weights.float()
        model.node_bias[:, place[0]] = constant.float()
        return
    window, s, t = place
    columns = model.edge_node_weight.shape[-1]
    for a, b in {(s, t), (t, s)}:
        model.edge_node_weight[:, window, a, b] = weights[:, :columns].float()
        model.edge_weight[:, window, a, b] = weights[:, columns:].float()
        model.edge_bias[:, window, a, b] = constant.float()


def _name(place: tuple[int, ...]) -> str:
    letters = [species_name(s) for s in place[-2:]]
    return f"node {letters[-1]}" if len(place) == 1 else f"edge {'-'.join(letters)}, r {'<>'[place[0]]} {FIRST_SHELL}"

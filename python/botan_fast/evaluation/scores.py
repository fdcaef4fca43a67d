"""Scores of a model on data with targets, and predictions for data without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..arrays import Array
from ..data.loading import Data
from ..data.sample import Sample
from ..data.selection import Numbers
from ..device import Device
from ..errors import warn
from ..files import FilePath
from ..log import logger
from ..model.botan import BOTAN
from ..model.card import ModelCard
from ..model.ensemble import Ensemble
from ..ops.precision import check_precision
from ..quantities import FIRST_SHELL, NODE_TARGETS
from .coefficients import pearson
from .details import Cell, Details, check_windows
from .ensembles import calibration
from .forward import Model, NamedModel, Outputs, float64_array, forward_passes, named_model, samples_for
from .intervals import COEFFICIENT, POSITIVE, mean_interval
from .measures import pooled_interval
from .prediction import warn_of_differences
from .times import columns, num_outputs, output_times

__all__ = ["Tally", "evaluate", "pearson", "score", "tallies_of"]

_LOG = logger(__name__)
FIRST_SCORES = ("node_pearson", "edge_pearson", "node_loss", "edge_loss")


def evaluate(
    model: Model | NamedModel | FilePath | Sequence[Any],
    data: Data,
    *,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    windows: float | Sequence[float] | None = None,
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> dict[str, Any]:
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
    model : BOTAN, LinearBaseline or Ensemble, path of a model file or run folder, or a list of paths: their ensemble
        Parameters and mode (train or eval) of a model are the same afterwards.
    data : path, glob pattern, Dataset, list of them, or list of Sample
        See `load_samples`; the model's cutoff and self edges apply.
    box, density, temperature, time, species
        See `load_samples`. Of several temperatures or times, the one that the model was trained for (`model.card`) is
        taken when none is chosen, and a warning says so. Of a model with several outputs it is all of its times.
    windows : float or list of float, optional
        Edges of the windows of r_ij(0) of the scores in `pairs`, ascending up to the model's cutoff: [0, 1.1, 1.35, 2]
        are three windows, and the whole; a number r is [0, r]; by default [0, 1.35].
    device : str or torch.device, optional
        Where to compute; by default where the model is. The model is moved back afterwards.
    precision : {"fp32", "bf16", "tf32", "auto"}
        How matrix products are computed, see docs/precision.md; "auto" chooses by the device.
    progress : bool
        Show progress bars on standard error, when that is a terminal; of a large system a line now and then elsewhere.

    Returns
    -------
    dict
        The four scores above, `node_loss` and `edge_loss` (mean squared errors over all particles and over all
        directed edges of a configuration, then the mean over configurations), `num_configurations`. A coefficient is
        nan where predictions or targets do not vary. The edge values are None for a model without edge decoder
        and for data without E_ij. All
        sums are in float64. Scores of an output that the model was not trained for are those of noise.

        One by one, docs/scores.md has the equations and their sources: `species` ("A", "B", ...) and `pairs` ("A-A",
        "A-B", ..., with their `window`, and `bins` of several), a dict of coefficients each
        (`botan_fast.evaluation.measures.measures`); `intervals`, 95 % confidence intervals of the scores above over
        configurations, [low, high] or None; `ceiling`, the largest coefficients that the number of runs allows
        (`botan_fast.evaluation.ceiling`), or None with the reason in `ceiling_reason`; `heterogeneity`, chi_4 and the
        spatial correlation of actual and predicted values (`botan_fast.evaluation.heterogeneity`), or None for several
        states together; `temperature` and `time` of data of one state.

        Of a model with K outputs the scores are means over its times, `times` is a list of a dict for each time, with
        `time` and the same scores, one by one too, and `outputs` are the K times. Of data at several temperatures or
        times, `conditions` is a list of a dict for each pair, with `temperature`, `time` and the same scores, one by
        one too; with K outputs also `node_transfer` and `edge_transfer`, K coefficients each: every output against
        these data (mean over configurations).

        Of an `Ensemble`, `members` is a list of the node and edge score of each (None for what it was not trained for),
        and `calibration` what its spread tells of its errors on particles of type A
        (`botan_fast.evaluation.ensembles.calibration`).

    Warns
    -----
    BotanFastWarning
        One line for an output that the model was not trained for, by its card; and one for data that differ from what
        it was trained on: names of species, their fractions or the number density by 10 %, temperature, time.

    Raises
    ------
    DataError, InputError
        as `load_samples` and `with_structure`; InputError also when the model's and the data's number of dimensions
        differ, for times that are none of those of the model's outputs, and for windows that do not ascend or go
        beyond the model's cutoff.

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
    check_precision(precision, auto=True)
    named = named_model(model)
    check_windows(windows, named.model.config["cutoff"])
    samples = samples_for(
        named,
        data,
        box,
        density,
        temperature,
        time,
        species=species,
        require_targets=True,
        progress=progress,
        halves=True,
    )
    warn_of_differences(named, samples)
    _warn_of_noise(named)
    scores = score(named.model, samples, device, precision, progress, windows)
    numbers = ", ".join(f"{name} {scores[name]:.4f}" for name in FIRST_SCORES if scores[name] is not None)
    _LOG.info("scored %d configurations: %s", len(samples), numbers)
    return scores


def score(
    model: Model,
    samples: list[Sample],
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
    windows: float | Sequence[float] | None = None,
) -> dict[str, Any]:
    """What `evaluate` returns, for samples that fit the model and hold its targets, without a word."""
    own = Tally(model.config, getattr(model, "card", None), Details(model.config, windows))
    members = [Tally(member.config, member.card) for member in model.each] if isinstance(model, Ensemble) else []
    apart: list[tuple[np.ndarray, np.ndarray]] = []  # spread and error of the particles that count
    for passed in forward_passes(model, samples, device, precision, progress, "evaluating"):
        sample, masks = passed.sample, _masks(passed.sample)
        own.add(sample, passed.outputs, masks)
        for tally, outputs in zip(members, passed.members, strict=True):
            tally.add(sample, outputs, masks)
        if passed.spread is not None and not own.several and sample.targets is not None:
            error = passed.outputs.node - float64_array(sample.targets.node(own.config["node_target"]))
            apart.append((passed.spread.node[masks["node"]].astype(np.float64), error[masks["node"]]))
    result = own.result(len(samples))
    if members:
        result["members"] = [tally.trained_scores(len(samples)) for tally in members]
    if apart:
        result["calibration"] = calibration(*(np.concatenate(part) for part in zip(*apart, strict=True)))
    return result


def tallies_of(model: BOTAN, samples: list[Sample], precision: str) -> list[Tally]:
    """What is known of each sample, for `Tally.joined`: parts of the samples may be elsewhere."""
    tallies = []
    for passed in forward_passes(model, samples, None, precision, False, "evaluating"):
        tallies.append(Tally(model.config, model.card))
        tallies[-1].add(passed.sample, passed.outputs, _masks(passed.sample))
    return tallies


class Tally:
    """The scores of a model with this configuration and card, sample by sample."""

    @classmethod
    def joined(cls, tallies: Sequence[Tally]) -> Tally:
        """The tally of all their samples: the bits of one that met them in this order."""
        whole = cls(tallies[0].config, tallies[0].card)
        for tally in tallies:
            whole._parts += tally._parts
            whole._transfer += tally._transfer
        return whole

    def __init__(self, config: dict[str, Any], card: ModelCard | None, details: Details | None = None) -> None:
        self.config, self.card, self.several = config, card, num_outputs(config) > 1
        self._details = details
        self._parts: list[Part] = []
        self._transfer: list[tuple[tuple, str, list[float]]] = []

    def add(self, sample: Sample, outputs: Outputs, masks: dict[str, np.ndarray]) -> None:
        """The output for a sample, compared with its targets."""
        targets, (node, edge) = sample.targets, outputs
        assert targets is not None  # they were required
        pairs: list[tuple[str, np.ndarray, torch.Tensor]] = []
        pairs.append(("node", node, targets.node(self.config["node_target"])))
        if edge is not None and targets.pair_change is not None:
            pairs.append(("edge", edge, targets.pair_change))
        found = columns(self.config, self.card, sample)
        cells = [None] * len(found) if self._details is None else self._details.cells(sample, outputs, found)
        for column, cell in zip(found, cells, strict=True):
            condition = sample.temperature, column.time
            scored: dict[str, Scored] = {}
            for name, predictions, wanted in pairs:
                target = float64_array(wanted if column.target is None else wanted[:, column.target])
                if self.several and np.isnan(target).any():
                    continue  # a time that this configuration does not have
                prediction = predictions[:, column.output] if self.several else predictions
                mask = masks[name]
                chosen = prediction[mask], target[mask]
                scored[name] = Scored(float(np.mean((prediction - target) ** 2)), pearson(*chosen), chosen)
                if self.several:
                    each = [pearson(predictions[mask, k], target[mask]) for k in range(predictions.shape[1])]
                    self._transfer.append((condition, name, each))
            if scored:
                self._parts.append(Part(condition, column.output, scored, cell))

    def result(self, number: int) -> dict[str, Any]:
        """What `evaluate` says of one model, over `number` configurations."""
        parts = self._parts
        if not self.several:
            return self._summary(parts, number) | self._by_condition()
        of_output = {part.output: part.condition[1] for part in parts}
        times = [
            {"time": of_output[k], **self._summary(own, len(own))}
            for k in sorted(of_output)
            if (own := [part for part in parts if part.output == k])
        ]
        result: dict[str, Any] = {
            name: _mean([row[name] for row in times]) for name in summary([], 0) if name != "num_configurations"
        }
        outputs = _outputs(self.config, self.card, of_output)
        result |= {"num_configurations": number, "times": times, "outputs": outputs}
        return result | self._by_condition()

    def trained_scores(self, number: int) -> dict[str, Any]:
        """Node and edge score, None for what the model was not trained for by its card."""
        scores, card = self.result(number), self.card
        letters = {"node_pearson": self.config["node_target"], "edge_pearson": "E"}
        return {name: scores[name] if card is None or card.trains(end) else None for name, end in letters.items()}

    def _summary(self, parts: list[Part], number: int) -> dict[str, Any]:
        result = summary(parts, number)
        if self._details is None:
            return result
        cells = [part.cell for part in parts if part.cell is not None]
        states = {part.condition for part in parts}
        one_state = len(states) == 1
        if one_state:
            [(result["temperature"], result["time"])] = states
        return result | {"intervals": intervals(parts)} | self._details.summary(cells, one_state)

    def _by_condition(self) -> dict[str, Any]:
        """ "conditions": the scores for each temperature and time, where there are several; of a model with several
        outputs each with the row "transfer", in which every output is compared with these data."""
        parts = self._parts
        held = sorted(
            {part.condition for part in parts}, key=lambda pair: tuple((x is not None, x or 0.0) for x in pair)
        )
        if len(held) < 2:
            return {}
        rows = []
        for condition in held:
            own = [part for part in parts if part.condition == condition]
            row = {"temperature": condition[0], "time": condition[1], **self._summary(own, len(own))}
            for name in ("node", "edge"):
                values = [each for of, what, each in self._transfer if (of, what) == (condition, name)]
                if values:
                    row[f"{name}_transfer"] = np.mean(values, axis=0).tolist()
            rows.append(row)
        return {"conditions": rows}


class Scored(NamedTuple):
    """Of one output on one configuration: mean squared error, Pearson's coefficient, and what it is of."""

    loss: float
    pearson: float
    chosen: tuple[np.ndarray, np.ndarray]


class Part(NamedTuple):
    """The scores of one output on one configuration: by "node" and "edge"."""

    condition: tuple[float | None, float | None]  # temperature and time of the data
    output: int
    scored: dict[str, Scored]
    cell: Cell | None = None


def summary(parts: list[Part], number: int) -> dict[str, Any]:
    """Means over configurations, and the pooled coefficients."""
    result: dict[str, Any] = {}
    held = {name: [part.scored[name] for part in parts if name in part.scored] for name in ("node", "edge")}
    for name, scored in held.items():
        for field in ("loss", "pearson"):
            values = [getattr(one, field) for one in scored]
            result[f"{name}_{field}"] = float(np.mean(values)) if values else None
    for name, scored in held.items():
        both = (np.concatenate(part) for part in zip(*(one.chosen for one in scored), strict=True))
        result[f"{name}_pearson_pooled"] = pearson(*both) if scored else None
    result["num_configurations"] = number
    return result


def intervals(parts: list[Part]) -> dict[str, Any]:
    """The 95 % confidence intervals over configurations of the scores of `summary`, [low, high] or None."""
    result: dict[str, Any] = {}
    for name in ("node", "edge"):
        scored = [part.scored[name] for part in parts if name in part.scored]
        result[f"{name}_pearson"] = mean_interval([one.pearson for one in scored], COEFFICIENT)
        result[f"{name}_loss"] = mean_interval([one.loss for one in scored], POSITIVE)
        chosen = [one.chosen for one in scored]
        whole = pearson(*(np.concatenate(part) for part in zip(*chosen, strict=True))) if chosen else 0.0
        result[f"{name}_pearson_pooled"] = pooled_interval("pearson", chosen, whole) if chosen else None
    return result


def _outputs(config: dict[str, Any], card: ModelCard | None, met: dict[int, float | None]) -> list[float | None]:
    """The time of each output, as far as it is known."""
    times = output_times(config, card)
    return [met.get(k) for k in range(num_outputs(config))] if times is None else list(times)


def _mean(values: list[Any]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


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


def _masks(sample: Sample) -> dict[str, np.ndarray]:
    """What enters the scores: particles of type A, and A-A pairs with r_ij(0) < FIRST_SHELL without self edges."""
    graph = sample.graph
    is_a = (graph.types == 0).cpu().numpy()
    senders, receivers = graph.senders.cpu().numpy(), graph.receivers.cpu().numpy()
    near = np.linalg.norm(float64_array(graph.vectors), axis=1) < FIRST_SHELL
    return {"node": is_a, "edge": near & is_a[senders] & is_a[receivers] & (senders != receivers)}

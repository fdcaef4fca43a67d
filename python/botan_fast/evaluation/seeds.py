"""Scores over seeds: the median, the best and the worst of several trainings, as in the paper's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np

from ..data.loading import Data
from ..data.structure import Structure
from ..errors import InputError
from ..files import printable
from .forward import named_model
from .scores import evaluate

__all__ = ["RANGED", "RANGED_OF_GROUPS", "evaluate_seeds", "over_seeds"]

# The scores that have a range, and whether the largest is the best.
RANGED = {
    **dict.fromkeys(("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled"), True),
    **dict.fromkeys(("node_loss", "edge_loss"), False),
}
# The same of a group of particles or pairs. Of slopes neither the largest nor the smallest is the best.
RANGED_OF_GROUPS = {"pearson": True, "spearman": True, "pearson_pooled": True, "spearman_pooled": True, "loss": False}


def evaluate_seeds(models: Sequence[Any], data: Data, **options: Any) -> dict[str, Any]:
    """The scores of trainings that differ in their seed: median, best and worst, and those of each.

    Where `evaluate` takes the mean of the models' predictions, an ensemble, this scores each model alone and says how
    far the scores scatter: Shiba et al., J. Chem. Phys. 158, 084503 (2023), show the median of several trainings with
    the range from the worst to the best.

    Parameters
    ----------
    models : list of models, model files or run folders, at least one
        All of them read the same graphs: one cutoff, node target, structure, number of outputs.
    data, and all other arguments
        As `evaluate`.

    Returns
    -------
    dict
        `node_pearson`, `edge_pearson`, `node_pearson_pooled`, `edge_pearson_pooled`, `node_loss`, `edge_loss`: medians
        over the seeds; `num_configurations`; `range`: for each of the six `median`, `best` and `worst` (None where a
        model has no such score); `range_of_groups`: the same one by one, `species` ("A", "B", ...) and `pairs` ("A-A",
        ..., with `bins` where there are several windows), a dict each of `pearson`, `spearman`, their `_pooled` and
        `loss`; `seeds`: for each model its scores and `model`, its name. Where `evaluate` has `conditions` or `times`,
        they are here too, with medians, `range` and `range_of_groups` for each temperature and time.

    Raises
    ------
    InputError
        for no model, and models that do not read the same graphs; and as `evaluate`.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> from botan_fast.evaluation.seeds import evaluate_seeds
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x,
    ...     positions=x + 0.1 * np.random.default_rng(1).standard_normal((8, 100, 3)))
    >>> models = [bf.BOTAN(hidden_size=8, num_steps=1) for seed in range(3)]
    >>> scores = evaluate_seeds(models, folder.name + "/a.npz")
    >>> found = scores["range"]["node_pearson"]
    >>> found["best"] >= found["median"] >= found["worst"], len(scores["seeds"])
    (True, 3)
    """
    if not isinstance(models, (list, tuple)) or not models:
        raise InputError("models must be a list of models, model files or run folders, one for each seed; give one")
    named = [named_model(model) for model in models]
    first = named[0]
    for other in named[1:]:
        for name in ("cutoff", "self_edges", "dimensions", "node_target", "decoders", "num_outputs"):
            ours, theirs = first.model.config.get(name), other.model.config.get(name)
            if ours != theirs:
                raise InputError(
                    f"{first.name} has {name} = {ours!r} but {other.name} has {theirs!r}; seeds are trainings that "
                    "differ in nothing else: give those, or evaluate the models one by one"
                )
        if Structure.from_config(first.model.config) != Structure.from_config(other.model.config):
            raise InputError(f"{first.name} and {other.name} read different structure; evaluate them one by one")
    pairs = zip(models, named, strict=True)
    seeds = [{"model": _name(model, one.name), **evaluate(one, data, **options)} for model, one in pairs]
    for one in seeds[1:]:
        if _states(one) != _states(seeds[0]):
            raise InputError(
                f"{seeds[0]['model']} and {one['model']} are scored at different temperatures or times, those of their "
                "training; choose with temperature= and time="
            )
    common = ("temperature", "time", "num_configurations")  # the first two where the data are of one state
    result = _median(seeds) | {name: seeds[0][name] for name in common if name in seeds[0]}
    if "outputs" in seeds[0]:
        result["outputs"] = seeds[0]["outputs"]
    for key in ("times", "conditions"):
        if all(key in scores for scores in seeds):
            rows = zip(*(scores[key] for scores in seeds), strict=True)
            result[key] = [{k: row[0][k] for k in common if k in row[0]} | _median(row) for row in rows]
    return result | {"seeds": seeds}


def over_seeds(rows: Sequence[Mapping[str, Any]], by: Sequence[str] = ("temperature", "time")) -> list[dict[str, Any]]:
    """Median, best and worst of each score over rows that agree in `by`, such as those of a sweep's table.

    Parameters
    ----------
    rows : list of dict
        `botan_fast.sweep.table.collect(folder).rows`, or of `csv.DictReader` of its CSV: texts are read as numbers.
        Take those of one command (`row["command"]`) alone.
    by : names of columns
        Rows with equal values of these are trainings that differ in their seed; a row without one has None there.

    Returns
    -------
    list of dict
        For each group, in the order of its first row: the columns of `by`, `number` of rows, and for each score of
        `node_pearson`, `edge_pearson`, their `_pooled`, `node_loss`, `edge_loss` that a row has a dict of `median`,
        `best` (the largest coefficient, the smallest loss) and `worst`.

    Raises
    ------
    InputError
        for a `by` that no row has, and for a score that is no number.

    >>> from botan_fast.evaluation.seeds import over_seeds
    >>> rows = [{"time": 13.0, "seed": k, "node_pearson": 0.70 + 0.02 * k} for k in range(3)]
    >>> [group] = over_seeds(rows, by=("time",))
    >>> group["number"], group["node_pearson"]
    (3, {'median': 0.72, 'best': 0.74, 'worst': 0.7})
    """
    for name in by:
        if rows and not any(name in row for row in rows):
            raise InputError(f"by = {list(by)!r}: no row has {name!r}; the rows have {', '.join(map(str, rows[0]))}")
    groups: dict[tuple, list[Mapping[str, Any]]] = {}
    for row in rows:
        key = tuple(tuple(value) if isinstance(value := row.get(name), list) else value for name in by)
        groups.setdefault(key, []).append(row)
    result = []
    for key, held in groups.items():
        ranges = {name: found for name in RANGED if (found := _range(name, held)) is not None}
        result.append({**dict(zip(by, key, strict=True)), "number": len(held), **ranges})
    return result


def _states(scores: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Of what data the scores are: temperature, time and number of configurations of each row."""
    names = ("temperature", "time", "num_configurations")
    rows = [scores, *scores.get("times", ()), *scores.get("conditions", ())]
    return [tuple(row.get(name) for name in names) for row in rows]


def _median(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The medians of the scores, and `range`, of the same thing by several models."""
    ranges = {name: _range(name, rows) for name in RANGED}
    medians = {name: None if found is None else found["median"] for name, found in ranges.items()}
    of_groups = {
        kind: {name: _of_group([row[kind][name] for row in rows]) for name in rows[0][kind]}
        for kind in ("species", "pairs")
        if all(kind in row for row in rows)
    }
    return medians | {"range": ranges, "range_of_groups": of_groups}


def _of_group(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of one group of particles or pairs, the same for all models since they read the same graphs."""
    result: dict[str, Any] = {"window": rows[0]["window"]} if "window" in rows[0] else {}
    result |= {name: _range(name, rows, largest) for name, largest in RANGED_OF_GROUPS.items()}
    if "bins" in rows[0]:
        result["bins"] = [_of_group(held) for held in zip(*(row["bins"] for row in rows), strict=True)]
    return result


def _range(name: str, rows: Sequence[Mapping[str, Any]], largest: bool | None = None) -> dict[str, float] | None:
    """Median, best and worst of what is known of a score; nan has no place among numbers, and makes all of them nan."""
    try:
        values = [float(row[name]) for row in rows if row.get(name) not in (None, "")]
    except (TypeError, ValueError):
        raise InputError(f"rows have a {name} that is no number; give rows as `collect` has them") from None
    if not values:
        return None
    if any(math.isnan(value) for value in values):
        return dict.fromkeys(("median", "best", "worst"), math.nan)
    best, worst = (max, min) if (RANGED[name] if largest is None else largest) else (min, max)
    return {"median": float(np.median(values)), "best": best(values), "worst": worst(values)}


def _name(model: Any, name: str) -> str:
    """A path in whole, since the files of several runs have one name; of a model in memory what messages call it."""
    return printable(str(model)) if isinstance(model, (str, PathLike)) else name

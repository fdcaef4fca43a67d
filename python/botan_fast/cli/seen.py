"""Predictions that `botan-fast figures` draws: those of models on data, and those in files of `predict`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import is_zipfile

import numpy as np

from ..errors import InputError
from ..files import printable

if TYPE_CHECKING:
    from .found import Found

__all__ = ["Seen", "field_of", "from_files", "from_model"]


@dataclass
class Seen:
    """A prediction with its targets, NumPy arrays as in `ConfigurationPrediction`, and T and t where they are known.

    None: not predicted, or not known. Of a model of several times, those at the last one with targets."""

    name: str
    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    senders: np.ndarray
    receivers: np.ndarray
    distance: np.ndarray
    node: np.ndarray | None
    actual_node: np.ndarray | None
    edge: np.ndarray | None
    actual_edge: np.ndarray | None
    quantity: str = "propensity"
    model: str = "prediction"  # of which model, files do not tell
    temperature: float | None = None
    time: float | None = None

    def pairs(
        self, window: float | None = None, a_alone: bool = False
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Pairs (2, P) with i < j, their distances, and predicted and actual E_ij, means of both directions.

        Those with r_ij(0) < `window`, and with `a_alone` of particles of type A.
        """
        from ..evaluation.columns import bonds_of
        from ..evaluation.prediction import ConfigurationPrediction

        where = (self.name, self.positions, self.types, self.box)
        ends = (self.senders, self.receivers, self.distance)
        prediction = ConfigurationPrediction(
            *where, None, *ends, pair_change=self.edge, target_pair_change=self.actual_edge
        )
        found = bonds_of(prediction, 1 + float(self.distance.max(initial=0)) if window is None else window)
        keep = np.isfinite(found.columns["target_pair_change"])
        if a_alone:
            keep &= (self.types[found.pairs] == 0).all(axis=1)
        r, edge, actual = (found.columns[name][keep] for name in ("distance", "pair_change", "target_pair_change"))
        return found.pairs[keep].T, r, edge, actual


def from_model(found: Found, data: Any, options: dict[str, Any], device: Any, progress: bool) -> Iterator[Seen]:
    """The predictions of a run's model, one after the other."""
    from ..evaluation.forward import named_model, samples_for
    from ..evaluation.prediction import predict_samples, warn_of_differences

    assert found.model is not None
    named = named_model(found.model)
    samples = samples_for(named, data, **options, require_targets=True, progress=progress)
    warn_of_differences(named, samples)
    card = named.card
    for sample, prediction in zip(samples, predict_samples(named, samples, device, "fp32", progress), strict=True):
        told = {name: getattr(sample, name) for name in ("temperature", "time")}
        for name, values in told.items():
            of_card: tuple[float, ...] = () if card is None else getattr(card, f"{name}s")
            if values is None and len(of_card) == 1:
                told[name] = of_card[0]
        yield replace(_seen(vars(prediction) | {"quantity": prediction.quantity}, told), model=named.kind)


def from_files(paths: list[Path], told: dict[str, float | None]) -> Iterator[Seen]:
    """What `predict` has written as npz; the files do not tell T and t, `told` may."""
    from ..quantities import NODE_TARGETS

    for path in paths:
        try:
            if not is_zipfile(path):  # numpy would speak of pickles
                raise ValueError("it is no archive of arrays")
            with np.load(path, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError) as error:
            raise InputError(
                f"'{path}' cannot be read ({printable(error)}); give an npz of botan-fast predict"
            ) from None
        quantity = next((name for name in NODE_TARGETS.values() if name in arrays), "propensity")
        for kind in ("", "target_"):
            arrays[f"{kind}propensity"] = arrays.get(f"{kind}{quantity}")
        lacking = [name for name in ("positions", "types", "box", "senders", "receivers") if name not in arrays]
        if lacking:
            raise InputError(f"'{path}' has no {lacking[0]}; give an npz of botan-fast predict")
        yield _seen(arrays | {"name": path.stem, "quantity": quantity}, told)


def _seen(arrays: dict[str, Any], told: dict[str, float | None]) -> Seen:
    times = arrays.get("times")
    names = ("propensity", "target_propensity", "pair_change", "target_pair_change")
    node, actual_node, edge, actual_edge = (arrays.get(name) for name in names)
    time = told.get("time")
    if times is not None and len(times):
        held = [k for k in range(len(times)) if actual_node is None or np.isfinite(actual_node[:, k]).all()]
        chosen = held[-1] if held else len(times) - 1
        node, actual_node, edge, actual_edge = (
            None if values is None else values[:, chosen] for values in (node, actual_node, edge, actual_edge)
        )
        time = float(times[chosen])
    common = {name: arrays[name] for name in ("name", "positions", "types", "box", "senders", "receivers", "quantity")}
    return Seen(
        **common, distance=arrays["distance"], node=node, actual_node=actual_node, edge=edge, actual_edge=actual_edge,
        temperature=told.get("temperature"), time=time,
    )  # fmt: skip


def field_of(seen: Seen, data: Any) -> np.ndarray | None:
    """The local displacement field (N, D) of Eq. (16), a mean over the runs in the files; None where they have none."""
    from ..data.field import field_of

    return field_of(data, seen.name, seen.box, seen.time)

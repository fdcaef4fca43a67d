"""Results for the figures of the gallery: small models of the data that come with botan_fast, fitted in seconds."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

import botan_fast as bf
from botan_fast.cli.demo import demo_data

TEMPERATURE, TIMES = 0.64, (0.13, 4.0, 16.5)


@dataclass(frozen=True)
class HeldOut:
    """A configuration that the model has not seen: what the simulation says of it, and what the model."""

    positions: np.ndarray
    types: np.ndarray
    box: np.ndarray
    actual: np.ndarray  # S_i
    predicted: np.ndarray
    pairs: np.ndarray  # (2, E), both directions
    distances: np.ndarray  # |r_ij(0)|
    actual_pairs: np.ndarray  # E_ij
    predicted_pairs: np.ndarray


@lru_cache
def split(time: float, seed: int = 0) -> tuple[bf.Dataset, bf.Dataset]:
    """Eight configurations for training and two for the test, at one time."""
    return bf.Dataset(demo_data()).select(time=time).train_test_split(test=0.2, seed=seed)


@lru_cache
def held_out(time: float = 16.5) -> HeldOut:
    """The first test configuration with the prediction of a linear model of its structure."""
    train, test = split(time)
    model = bf.train_baseline(train, descriptors={"smear_radius": 4.5}, progress=False).model
    found = next(iter(bf.predict(model, test, progress=False)))
    return HeldOut(
        found.positions,
        found.types,
        found.box,
        found.target_propensity,
        found.propensity,
        np.stack([found.senders, found.receivers]),
        found.distance,
        found.target_pair_change,
        found.pair_change,
    )


@lru_cache
def quick_fit(time: float, seed: int = 0, number: int = 8, target: str = "S") -> bf.LinearBaseline:
    """A linear model of forces and distances alone, of `number` configurations; no energy is minimised for it."""
    train, _ = split(time, seed)
    fit = bf.train_baseline(
        train[:number],
        node_inputs=("force", "thermal_energy"),
        edge_inputs=("radial",),
        node_target=target,
        progress=False,
    )
    return fit.model


@lru_cache
def quick_scores(time: float, seed: int = 0, number: int = 8, tested_at: float | None = None) -> dict[str, float]:
    """Its scores on the two other configurations, at the same time or another."""
    _, test = split(time if tested_at is None else tested_at, seed)
    return bf.evaluate(quick_fit(time, seed, number), test, progress=False)

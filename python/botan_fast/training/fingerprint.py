"""The targets of a run's data in a few numbers, by which a resumed run finds that they are others.

The last bits of targets may differ between machines, so no digest of their bytes would do. Each array is projected on a
few fixed directions: a change anywhere moves the projections, rounding by no more than rounding.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..data.sample import Sample
from ..quantities import NODE_TARGETS

__all__ = ["describe_targets", "first_difference"]

# Square roots of primes: k^2 times them, less the whole part, are phases without a pattern (Weyl), and of IEEE
# arithmetic alone, so the directions are the same everywhere.
_DIRECTIONS = tuple(math.sqrt(prime) for prime in (2, 3, 5))
_TOLERANCE = 1e-5  # of the norm: float32 rounding is at 1e-7


def describe_targets(samples: Sequence[Sample], node_target: str) -> list[dict[str, Any]]:
    """For each sample: temperature, time, number of runs, and of S, E and the node target the norm and projections."""
    return [_describe(sample, node_target) for sample in samples]


def first_difference(names: Sequence[str], was: Sequence[dict], now: Sequence[dict]) -> str | None:
    """What differs between two descriptions, such as 'time of conf_1: 13 instead of 4', or None.

    What one of them does not know (a time that is None, runs that are 0) is no difference.
    """
    for name, old, new in zip(names, was, now, strict=True):
        for key in ("temperature", "time", "runs"):
            a, b = old.get(key), new.get(key)
            if a and b and not math.isclose(a, b, rel_tol=1e-9):
                return f"{key} of {name}: {b:g} instead of {a:g}"
        for key in sorted(old["targets"].keys() & new["targets"].keys()):
            a, b = (np.asarray(side["targets"][key], np.float64) for side in (old, new))
            if a.shape != b.shape or not (np.abs(a - b) <= _TOLERANCE * max(a[0], b[0])).all():
                return f"{key} of {name}"
    return None


def _describe(sample: Sample, node_target: str) -> dict[str, Any]:
    targets = sample.targets
    assert targets is not None  # training reads no samples without
    arrays: dict[str, list[float]] = {}
    for name in dict.fromkeys(("propensity", "pair_change", NODE_TARGETS[node_target])):
        values: torch.Tensor | None = getattr(targets, name)
        if values is not None:
            values = values[:, None] if values.ndim == 1 else values
            columns = values.detach().cpu().double().nan_to_num().numpy().T
            arrays |= {
                name if sample.times is None else f"{name}[{k}]": [float(f"{x:.9g}") for x in _projections(column)]
                for k, column in enumerate(columns)
            }
    return {"temperature": sample.temperature, "time": sample.time, "runs": targets.num_runs, "targets": arrays}


def _projections(values: np.ndarray) -> list[float]:
    """The norm, and the products with directions whose elements have a mean square of 1."""
    directions = _directions(1 << max(0, len(values) - 1).bit_length())[:, : len(values)]
    return [float(np.linalg.norm(values)), *(directions @ values).tolist()]


@functools.lru_cache(maxsize=4)
def _directions(length: int) -> np.ndarray:
    k = np.arange(1, length + 1, dtype=np.float64) ** 2
    return np.stack([math.sqrt(2) * np.cos(2 * math.pi * (k * root % 1.0)) for root in _DIRECTIONS])

"""A configuration packed for the view that turns: a few bytes for each particle, as text that a page can hold."""

from base64 import b64encode
from typing import Any

import numpy as np

from ..data.species import letter
from ..evaluation.columns import OTHER_RADIUS, RADII, cell_of, places_of
from ..evaluation.prediction import ConfigurationPrediction

__all__ = ["MOST", "colours", "packed"]

MOST = 50_000  # particles: 0.75 MB of text, and as many as a telephone turns smoothly
_MAPS = {"values": "viridis", "error": "RdBu_r"}  # told apart by colour-blind eyes; white is no error


def packed(prediction: ConfigurationPrediction, species: tuple[str, ...] = (), most: int = MOST) -> dict[str, Any]:
    """What the script of the page draws, as a dict for JSON. Arrays are base64 of little-endian numbers.

    positions   (n, 3) uint16: fractions of the cell, wrapped into it, times 65536
    types       (n,) uint8
    cell        (3, 3) row vectors; two dimensions lie in z = 0
    radii       of each type
    species     its names
    fields      one dict for each time of the model: label, predicted and actual (n,) float32 (actual None where it is
                not known), low and high of the colours, and error, the largest |predicted - actual| of the colours
    total       number of particles; where it is more than `most`, those in a slab of the cell are packed: `slab` is
                its thickness as a fraction of the cell, from 0 along the last axis

    The colours end at the 1st and 99th per cent of all values, so that a single fast particle does not darken the rest.

    >>> import numpy as np
    >>> from botan_fast.evaluation.prediction import ConfigurationPrediction
    >>> from botan_fast.report.particles import packed
    >>> none = np.empty(0, np.int32)
    >>> p = ConfigurationPrediction("a", np.array([[0.5, 2.0, 5.0]]), np.zeros(1, int), np.full(3, 4.0),
    ...     np.ones(1, np.float32), none, none, np.empty(0, np.float32))
    >>> packed(p)["positions"], packed(p)["total"]
    ('ACAAgABA', 1)
    """
    p = prediction
    number, dimensions = p.positions.shape
    cell = cell_of(p)
    fractions = places_of(p) @ np.linalg.inv(cell)
    fractions -= np.floor(fractions)
    slab = 1.0
    kept = np.arange(number)
    if number > most:
        along = fractions[:, dimensions - 1]
        kept = np.sort(np.argsort(along, kind="stable")[:most])
        slab = float(along[kept].max())
    steps = np.minimum(fractions[kept] * 65536, 65535).astype("<u2")
    kinds = int(p.types.max()) + 1 if number else 1
    return {
        "positions": _text(steps),
        "types": _text(np.minimum(p.types[kept], 255).astype("u1")),
        "cell": cell.round(6).tolist(),
        "dimensions": dimensions,
        "radii": list(RADII[:kinds]) if kinds <= len(RADII) else [OTHER_RADIUS] * kinds,
        "species": [species[k] if k < len(species) else letter(k) for k in range(kinds)],
        "fields": _fields(p, kept),
        "total": number,
        "slab": slab,
    }


def _fields(p: ConfigurationPrediction, kept: np.ndarray) -> list[dict[str, Any]]:
    if p.propensity is None:
        return []
    predicted = p.propensity.reshape(len(p.types), -1)
    actual = None if p.target_propensity is None else p.target_propensity.reshape(len(p.types), -1)
    fields = []
    for k in range(predicted.shape[1]):
        label = f"t = {p.times[k]:g}" if p.times and k < len(p.times) else ""
        known = actual is not None and k < actual.shape[1] and not np.isnan(actual[:, k]).any()
        both = [predicted[:, k]] + ([actual[:, k]] if known and actual is not None else [])
        low, high = (float(x) for x in np.percentile(np.concatenate(both), [1, 99]))
        error = float(np.percentile(np.abs(both[0] - both[-1]), 99)) if known else 0.0
        fields.append(
            {
                "label": label,
                "predicted": _text(both[0][kept].astype("<f4")),
                "actual": _text(both[1][kept].astype("<f4")) if known else None,
                "low": low,
                "high": high if high > low else low + 1.0,
                "error": error or 1.0,
            }
        )
    return fields


def colours() -> dict[str, str]:
    """The two maps of the view, "values" and "error": (256, 3) uint8 each, as base64."""
    from matplotlib import colormaps

    levels = np.linspace(0, 1, 256)
    return {use: _text((colormaps[name](levels)[:, :3] * 255).round().astype("u1")) for use, name in _MAPS.items()}


def _text(array: np.ndarray) -> str:
    return b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")

"""Colours of particles and bonds for programs that draw them: from a column to red, green and blue."""

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..files import did_you_mean
from .columns import Bonds, particle_columns
from .prediction import ConfigurationPrediction

__all__ = ["NO_COLOR", "Scale", "choose", "scale_of_bonds", "scale_of_particles"]

NO_COLOR = "none"
# Both are safe for colour-blind eyes: one for what grows from a smallest value, one for what has two signs.
GROWING, SIGNED = "viridis", "coolwarm"
UNKNOWN = (0.6, 0.6, 0.6)  # NaN: an actual value that the data do not hold


@dataclass(frozen=True)
class Scale:
    """Which column gives the colours, and how: from `low` to `high` through a colour map of matplotlib."""

    column: str
    low: float
    high: float
    colormap: str

    def colors(self, values: np.ndarray) -> np.ndarray:
        """(n, 3) red, green and blue from 0 to 1; beyond the ends as at the ends, NaN is grey."""
        from matplotlib import colormaps

        width = self.high - self.low
        places = np.clip((values.astype(np.float64) - self.low) / width, 0, 1) if width > 0 else 0.5 + 0 * values
        colors = np.asarray(colormaps[self.colormap](np.nan_to_num(places)))[:, :3]
        return np.where(np.isnan(values)[:, None], UNKNOWN, colors)


def choose(prediction: ConfigurationPrediction, color: str | None) -> str | None:
    """The column that gives the colours: the one that is named; None for the first, which is predicted.

    None where there is no column, or for "none".

    Raises
    ------
    InputError
        The prediction has no column of this name.
    """
    columns = list(particle_columns(prediction))
    if color == NO_COLOR or (color is None and not columns):
        return None
    if color is None:
        return columns[0]
    if color not in columns:
        there = ", ".join([*columns, NO_COLOR])
        raise InputError(f"color = {color!r} is no column; choose one of {there}{did_you_mean(str(color), columns)}")
    return color


def scale_of_particles(prediction: ConfigurationPrediction, color: str | None = None) -> Scale | None:
    """The scale of the column `choose` gives, without the outermost per cent at either end.

    Predicted and actual values have one scale, so that two pictures can be compared.
    """
    column = choose(prediction, color)
    if column is None:
        return None
    return _scale(column, particle_columns(prediction), prediction.quantity, signed=False)


def scale_of_bonds(bonds: Bonds, particles: Scale | None, quantity: str) -> Scale | None:
    """The scale of bonds that goes with that of the particles: predicted, actual or error, at the same time."""
    if particles is None:
        return None
    column = particles.column.replace(f"{quantity}_spread", quantity).replace(quantity, "pair_change")
    return _scale(column, bonds.columns, "pair_change", signed=True) if column in bonds.columns else None


def _scale(column: str, columns: dict[str, np.ndarray], quantity: str, signed: bool) -> Scale:
    error, spread = f"{quantity}_error", f"{quantity}_spread"
    if column.startswith((error, spread)):
        together, signed = [column], column.startswith(error)  # a spread has no sign, an error has
    else:
        predicted = column.removeprefix("target_")
        together = [name for name in (predicted, f"target_{predicted}") if name in columns]
    values = np.concatenate([columns[name] for name in together]).astype(np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return Scale(column, 0.0, 0.0, GROWING)
    if signed:
        high = float(np.percentile(abs(values), 99))
        return Scale(column, -high, high, SIGNED)
    low, high = np.percentile(values, [1, 99])
    return Scale(column, float(low), float(high), GROWING)

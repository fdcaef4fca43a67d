"""Ranges and bars of colours, and titles: what the pictures of particles and of pairs share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["color_bar", "limits_of", "say"]


def limits_of(limits: tuple[float, float] | None, *arrays: np.ndarray, per_cent: float = 1.0) -> tuple[float, float]:
    """The range of colours: as given, or all arrays together without their outermost per cents.

    Cut there, a single fast particle does not darken the rest.
    """
    if limits is None:
        joined = np.concatenate(arrays)
        low, high = np.percentile(joined, [per_cent, 100 - per_cent])
        return (float(low), float(high)) if low < high else (float(low) - 0.5, float(low) + 0.5)
    low, high = map(float, limits)
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"limits = {limits} must rise; give the lowest and the highest value of the colours")
    return low, high


def color_bar(drawn: Any, axes: list[Axes], label: str, values: np.ndarray, limits: tuple[float, float]) -> None:
    """A colour bar below the axes, with an arrow where values lie beyond it."""
    below, above = bool(values.min() < limits[0]), bool(values.max() > limits[1])
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    bar = axes[0].figure.colorbar(
        drawn, ax=axes, label=label, extend=extend, orientation="horizontal", shrink=0.7 if len(axes) == 1 else 0.5,
        aspect=22 * len(axes), pad=0.03,
    )  # fmt: skip
    bar.ax.tick_params(direction="out", top=False, length=2)


def say(ax: Axes, *lines: str) -> None:
    """A title of these lines, without those that are empty."""
    ax.set_title("\n".join(line for line in lines if line), loc="left")

"""Figures from results: drawn from arrays and predictions, never from inside the training loop."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..files import FilePath, atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["propensity_slice", "save_figure"]

# Drawn diameters: sigma_AA and sigma_BB of the Kob-Andersen mixture, Phys. Rev. E 51, 4626 (1995).
DIAMETERS = (1.0, 0.88)


def propensity_slice(
    positions: Any,
    types: Any,
    box: Any,
    target: Any,
    predicted: Any,
    *,
    axis: int = 2,
    center: float | None = None,
    thickness: float = 1.0,
) -> "Figure":
    """Actual and predicted propensity S_i of the particles in a slice, side by side on one colour scale.

    Parameters
    ----------
    positions : (N, D) array, D = 2 or 3, in the length unit of the box; wrapped into it for drawing
    types : (N,) integers, 0 = A, 1 = B; decides the drawn size
    box : (D,) edge lengths of an orthorhombic box
    target, predicted : (N,) S_i from simulation, and from the model
    axis : the direction across the slice (3D)
    center : position of the slice along the axis; by default the middle of the box
    thickness : particles with |r_axis - center| < thickness / 2 are drawn (3D)

    Returns
    -------
    matplotlib.figure.Figure
        The title holds the Pearson correlation over the type-A particles that are drawn.

    Raises
    ------
    InputError
        for shapes that do not agree, a triclinic box, or a slice without particles.

    Examples
    --------
    >>> import numpy as np
    >>> from botan_fast.figures.propensity import propensity_slice
    >>> rng = np.random.default_rng(0)
    >>> r, s = rng.random((500, 3)) * 7.5, rng.random(500)
    >>> figure = propensity_slice(r, np.zeros(500, int), [7.5, 7.5, 7.5], s, s)
    >>> len(figure.axes)
    3
    """
    positions, types = np.asarray(positions, dtype=np.float64), np.asarray(types)
    box = np.asarray(box, dtype=np.float64)
    target, predicted = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    number, dimensions = positions.shape
    if box.shape != (dimensions,):
        raise InputError(f"box has shape {box.shape}; the figure needs {dimensions} edge lengths (orthorhombic)")
    for name, array in (("types", types), ("target", target), ("predicted", predicted)):
        if array.shape != (number,):
            raise InputError(f"{name} has shape {array.shape}; positions need ({number},)")
    positions = positions - box * np.floor(positions / box)
    plane = [0, 1]
    inside = np.ones(number, dtype=bool)
    if dimensions == 3:
        plane = [d for d in range(3) if d != axis % 3]
        center = box[axis] / 2 if center is None else center
        away = positions[:, axis] - center
        inside = np.abs(away - box[axis] * np.round(away / box[axis])) < thickness / 2
    if not inside.any():
        raise InputError(f"no particle within thickness = {thickness} of center = {center} along axis {axis}")
    return _two_panels(positions[inside][:, plane], types[inside], box[plane], target[inside], predicted[inside])


def _two_panels(
    points: np.ndarray, types: np.ndarray, box: np.ndarray, target: np.ndarray, predicted: np.ndarray
) -> "Figure":
    from matplotlib.collections import EllipseCollection
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    # One scale for both, cut at the outermost per cents so that a single fast particle does not darken the rest.
    low, high = np.percentile(np.concatenate([target, predicted]), [1, 99])
    sizes = np.asarray(DIAMETERS)[np.minimum(types, len(DIAMETERS) - 1)]
    for panel, values, title in ((panels[0], target, "simulation"), (panels[1], predicted, "BOTAN")):
        circles = EllipseCollection(
            sizes, sizes, np.zeros(len(sizes)), units="xy", offsets=points, offset_transform=panel.transData
        )
        circles.set(array=values, clim=(low, high), cmap="viridis", edgecolor="black", linewidth=0.3)
        panel.add_collection(circles)
        panel.set(title=title, xlim=(0, box[0]), ylim=(0, box[1]), aspect="equal", xlabel=r"$x\,/\,\sigma_{AA}$")
    panels[0].set_ylabel(r"$y\,/\,\sigma_{AA}$")
    figure.colorbar(circles, ax=panels, label=r"propensity $S_i\,/\,\sigma_{AA}$", extend="both", shrink=0.9)
    is_a = types == 0
    if is_a.sum() > 2 and target[is_a].std() > 0 and predicted[is_a].std() > 0:
        pearson = np.corrcoef(target[is_a], predicted[is_a])[0, 1]
        figure.suptitle(f"propensity in a slice: Pearson {pearson:.2f} over {is_a.sum()} type-A particles")
    return figure


def save_figure(figure: "Figure", path: FilePath) -> None:
    """Write a matplotlib figure to `path` (png, pdf, svg by its ending), completely or not at all.

    >>> from matplotlib.figure import Figure
    >>> from botan_fast.figures.propensity import save_figure
    >>> save_figure(Figure(), "empty.png")
    """
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=160)

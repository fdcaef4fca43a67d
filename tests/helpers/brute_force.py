"""The definitions in float64 NumPy, by looking at every pair and many images: slow, and free of shortcuts."""

import itertools

import numpy as np


def as_cell(box, dimensions):
    box = np.asarray(box, dtype=np.float64)
    return np.diag(np.broadcast_to(box, dimensions)) if box.ndim < 2 else box


def nearest_images(difference, cell, reach=2):
    """The shortest d + n @ cell over all integers n within `reach` of the rounded one: (..., D) to (..., D)."""
    base = difference - np.rint(difference @ np.linalg.inv(cell)) @ cell
    best = base.copy()
    for n in itertools.product(range(-reach, reach + 1), repeat=len(cell)):
        image = base + np.array(n) @ cell
        nearer = (image**2).sum(-1) < (best**2).sum(-1)
        best[nearer] = image[nearer]
    return best


def edges(positions, box, cutoff, self_edges=False):
    """(receivers, senders, vectors) of all pairs with 0 < |r_ij| < cutoff, sorted by (receiver, sender)."""
    positions = np.asarray(positions, dtype=np.float64)
    cell = as_cell(box, positions.shape[1])
    vectors = nearest_images(positions[:, None] - positions[None, :], cell)  # [receiver, sender]
    distances = np.sqrt((vectors**2).sum(-1))
    exists = (distances < cutoff) & (distances > 0)
    if self_edges:
        exists |= np.eye(len(positions), dtype=bool)
    receivers, senders = np.nonzero(exists)
    return receivers, senders, vectors[receivers, senders]


def targets(initial, trajectories, box, senders, receivers, reach=2):
    """Propensity (N,) and pair change (E,) in float64."""
    cell = as_cell(box, initial.shape[1])
    propensity = np.sqrt(((trajectories - initial) ** 2).sum(-1)).mean(0)
    before = nearest_images(initial[receivers] - initial[senders], cell, reach)
    after = nearest_images(trajectories[:, receivers] - trajectories[:, senders], cell, reach)
    change = np.sqrt((after**2).sum(-1)) - np.sqrt((before**2).sum(-1))
    return propensity, change.mean(0)

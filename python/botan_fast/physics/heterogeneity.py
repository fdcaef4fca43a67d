"""Dynamic heterogeneity of propensities: their overlap, whose variance is chi_4, and their correlation in space."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..arrays import Array
from ..box import check_box
from ..checks import as_array, check_finite, positive
from ..errors import InputError
from ..graph.build import neighbor_list

__all__ = ["PairSums", "correlation_edges", "pair_sums", "propensity_overlap"]

# Dynamic correlations of supercooled liquids fall off within a few diameters; pairs grow with the cube of the reach.
REACH = 4.0
BIN = 0.25
MOST_PAIRS = 30_000_000  # i to j and j to i, 1 GB while they are summed; 4,096 particles have one million


def propensity_overlap(values: Array, length: float) -> float:
    """The overlap of propensities: the fraction of particles whose propensity is below `length`::

        Q = 1/N sum_i Theta(length - S_i)

    It is `overlap` with S_i, the mean displacement over runs, in place of the displacement in one run, so that it can
    be computed of a prediction too. N times its variance between configurations is a chi_4 (`botan_fast.chi_4`) to
    which only what the structure decides contributes.

    Parameters
    ----------
    values : (N,) float, S_i or another node target, N > 0, finite.
    length : float, in the unit of the values; a value equal to it does not count.

    Raises `InputError` for shapes that are none of these, no value, and what is not finite.

    Sources: Lacevic, Starr, Schroder and Glotzer, J. Chem. Phys. 119, 7372 (2003), for the overlap and chi_4; for the
    chi_4 of predictions of structure beside that of the dynamics Jung, Biroli and Berthier, Phys. Rev. Lett. 130,
    238202 (2023).

    >>> from botan_fast.physics.heterogeneity import propensity_overlap
    >>> propensity_overlap([0.1, 0.2, 0.3, 0.9], length=0.25)
    0.5
    """
    values = as_array("values", values, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise InputError(f"values has shape {values.shape}; give (N,) numbers, N > 0")
    check_finite("values", values)
    if not np.isfinite(length):
        raise InputError(f"length = {length} must be a finite number")
    return float((values < length).mean())


@dataclass(frozen=True, eq=False)
class PairSums:
    """Sums over the pairs i < j of each of B bins of distance, float64: they add up over configurations.

    number    (B,)             1
    both      (B,) or (K, B)   f_i + f_j, of one field or of K
    product   (B,) or (K, B)   f_i f_j

    >>> from botan_fast.physics.heterogeneity import pair_sums
    >>> sums = pair_sums([[0.5, 0.5], [1.5, 0.5]], [4.0, 4.0], [1.0, -1.0], [0.0, 0.75, 1.5])
    >>> (sums + sums).number.tolist(), (sums + sums).correlation(mean=0.0, variance=1.0).tolist()
    ([0.0, 2.0], [nan, -1.0])
    """

    number: np.ndarray
    both: np.ndarray
    product: np.ndarray

    def __add__(self, other: PairSums) -> PairSums:
        return PairSums(self.number + other.number, self.both + other.both, self.product + other.product)

    def correlation(self, mean: Array, variance: Array) -> np.ndarray:
        """The normalised correlation of fluctuations, float64; nan in bins without pairs and without variance::

            G(r) = < (f_i - mean) (f_j - mean) > / variance        over pairs with |r_ij| in the bin

        1 for particles that move alike, 0 for those that know nothing of each other. With the mean and the variance
        over all configurations together, fluctuations from one configuration to the next count too, as in chi_4. Of K
        fields both are (K,).
        """
        m, v = (np.asarray(value, np.float64)[..., None] for value in (mean, variance))
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (self.product - m * self.both + m**2 * self.number) / (self.number * v)
        return np.where((v > 0) & (self.number > 0), found, np.nan)


def correlation_edges(box: Array, dimensions: int, number: int) -> np.ndarray:
    """Edges of bins of 0.25 up to 4, or as far as half the width of the periodic box goes; (B + 1,) float64.

    Of so many particles (`number`, more than 120,000 at the usual density) that their pairs would not fit into memory
    the last edge is where 30 million pairs, counted both ways, are expected.

    >>> from botan_fast.physics.heterogeneity import correlation_edges
    >>> correlation_edges([2.1, 5.0], 2, 10).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    cell = check_box(box, dimensions)[1]
    # The distance of opposite faces is the volume over the face: one over the length of a row of the inverse.
    half = float(0.5 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())
    ball = math.pi if dimensions == 2 else 4 / 3 * math.pi
    room = (MOST_PAIRS * abs(np.linalg.det(cell)) / (number**2 * ball)) ** (1 / dimensions)
    return BIN * np.arange(int(min(REACH, half, room) / BIN + 1e-9) + 1)


def pair_sums(positions: Array, box: Array, values: Array, edges: Array) -> PairSums:
    """Sums over pairs of particles by their distance, of which the spatial correlation of a propensity follows.

    Parameters
    ----------
    positions : (N, D) float, those of the particles that count, such as type A, at time 0.
    box : as of `build_graph`.
    values : (N,) float, the propensity of each; or (K, N), K fields for one search of pairs.
    edges : (B + 1,) float, ascending, at least two, not negative; the last one at most half the width of the box. Bin
        k holds edges[k] <= |r_ij| < edges[k + 1] (minimum image).

    Returns `PairSums`; its `correlation` is G(r). It takes 24 bytes for each pair within the last edge, i to j
    and j to i, and some arrays of half that length.

    Raises `InputError` for shapes that do not match, what is not finite, edges that do not ascend, and a box that is
    smaller than twice the last edge.

    Sources: the correlation of scalar displacements, Poole, Donati and Glotzer, Physica A 261, 51 (1998), here of
    propensities and divided by their variance; its sum over space is a four-point susceptibility.

    >>> from botan_fast.physics.heterogeneity import pair_sums
    >>> pair_sums([[0.5, 0.5], [1.5, 0.5]], [4.0, 4.0], [2.0, 3.0], [0.0, 1.5]).product.tolist()
    [6.0]
    """
    fields, edges = as_array("values", values, np.float64), as_array("edges", edges, np.float64)
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all() or not edges[0] >= 0:
        raise InputError(f"edges = {edges.tolist()}; give two or more ascending distances that are not negative")
    positions = as_array("positions", positions, np.float64)
    if fields.ndim not in (1, 2) or fields.size == 0 or fields.shape[-1] != len(positions):
        raise InputError(f"values has shape {fields.shape} but there are {len(positions)} positions; give one for each")
    check_finite("values", fields)
    i, j, distance = neighbor_list("ijd", positions, box, positive("edges[-1]", float(edges[-1])))
    once = (i < j) & (distance >= edges[0])
    i, j = i[once], j[once]
    bins = np.searchsorted(edges, distance[once], side="right") - 1
    size = len(edges) - 1
    both, product = [], []
    for field in np.atleast_2d(fields):
        first, second = field[i], field[j]
        both.append(np.bincount(bins, weights=first + second, minlength=size))
        product.append(np.bincount(bins, weights=first * second, minlength=size))
    shape = (*fields.shape[:-1], size)
    return PairSums(
        np.bincount(bins, minlength=size).astype(np.float64), np.reshape(both, shape), np.reshape(product, shape)
    )

"""Time correlation functions of glassy dynamics: F_s, bond breaking, overlap and chi_4.

Trajectories are frames of unwrapped positions, (..., N, D): the leading axes may be times, runs, both or none, and
come back as the axes of the result. Everything is summed in float64 and does not depend on the number of threads.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from ..checks import as_array, check_finite, positive
from ..errors import InputError
from ..graph.build import neighbor_list
from ..graph.inputs import check_positions

__all__ = ["BondBreaking", "bond_breaking", "chi_4", "overlap", "self_intermediate_scattering"]


def self_intermediate_scattering(
    initial_positions: Array,
    trajectories: Array,
    k: float = 7.25,
    *,
    types: Array | None = None,
    species: int = 0,
) -> Any:
    """The self part of the intermediate scattering function, averaged over all directions of the wave vector::

        F_s(k, t) = < 1/N sum_j cos(k . u_j) >_{directions of k},   u_j = r_j(t) - r_j(0)
                  = 1/N sum_j sin(k |u_j|) / (k |u_j|)      in three dimensions
                  = 1/N sum_j J_0(k |u_j|)                  in two

    The average over directions is taken exactly. It is the limit of many wave vectors of length k, of which the
    common choice of the coordinate axes is a sample: same mean in an isotropic liquid, larger noise.

    Parameters
    ----------
    initial_positions : (N, D) float, D = 2 or 3.
    trajectories : (..., N, D) float, unwrapped positions at time t, for example (T, N, D) of T times or (R, N, D) of
        R runs.
    k : wave number, default 7.25: the first peak of the structure factor of the A particles in the Kob-Andersen
        mixture at density 1.2 (unit 1 / length of the positions).
    types : (N,) integers, or None: all particles count.
    species : with `types`, the only type that counts (0 = A).

    Returns an array (...) of float64, a float for a single frame (N, D): one value for each frame, not averaged over
    runs. Average them for F_s, or pass them to `chi_4`.

    Raises `InputError` for shapes that do not match, NaN or infinite positions, k not positive, and a species that
    does not occur.

    Source: Hansen and McDonald, Theory of Simple Liquids (self part of F(k, t)); k = 7.25 from Kob and Andersen,
    Phys. Rev. E 52, 4134 (1995).

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> start = np.zeros((2, 3))
    >>> frames = start + np.array([0.0, np.pi / 7.25])[:, None, None] * [1.0, 0.0, 0.0]
    >>> bf.self_intermediate_scattering(start, frames).round(6).tolist()
    [1.0, 0.0]
    """
    k = positive("k", k)
    initial, frames, chosen = _check_frames(initial_positions, trajectories, types, species)
    dimensions = initial.shape[1]
    values = np.empty(len(frames))
    for t, squared in enumerate(_squared_displacements(initial, frames, chosen)):
        x = k * np.sqrt(squared)
        factor = np.sinc(x / np.pi) if dimensions == 3 else _bessel_j0(x)
        values[t] = factor.mean()
    return _shaped(values, trajectories)


def overlap(
    initial_positions: Array,
    trajectories: Array,
    a: float = 0.3,
    *,
    types: Array | None = None,
    species: int = 0,
) -> Any:
    """The overlap: the fraction of particles that moved by less than a::

        Q(t) = 1/N sum_j Theta(a - |r_j(t) - r_j(0)|)

    Parameters and errors as in `self_intermediate_scattering`; a = 0.3 is the usual length in the Kob-Andersen
    mixture, beyond the vibration in the cage and well below a jump. Returns an array (...) of float64, one value for
    each frame (a float for a single one).

    Source: Lacevic, Starr, Schroder and Glotzer, J. Chem. Phys. 119, 7372 (2003), the self part.

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> bf.overlap(np.zeros((2, 3)), [[[0.1, 0.0, 0.0], [1.0, 0.0, 0.0]]]).tolist()
    [0.5]
    """
    a = positive("a", a)
    initial, frames, chosen = _check_frames(initial_positions, trajectories, types, species)
    values = np.empty(len(frames))
    for t, squared in enumerate(_squared_displacements(initial, frames, chosen)):
        values[t] = (np.sqrt(squared) < a).mean()
    return _shaped(values, trajectories)


@dataclass(frozen=True, eq=False)
class BondBreaking:
    """Bonds that survived; NumPy arrays.

    values (...) float64: C_B of each frame. particles (N,) float64: C_B of each particle, averaged over all frames
    (1 for a particle without a bond). mean: the average of `values`. bonds (N,) int64: bonds at time 0.

    >>> import botan_fast as bf
    >>> start = [[1.0, 0.0], [2.0, 0.0]]
    >>> result = bf.bond_breaking(start, start, box=[8.0, 8.0])
    >>> result.mean, result.bonds.tolist()
    (1.0, [1, 1])
    """

    values: np.ndarray
    particles: np.ndarray
    mean: float
    bonds: np.ndarray


def bond_breaking(
    initial_positions: Array,
    trajectories: Array,
    box: Array,
    *,
    types: Array | None = None,
    diameters: Array | None = None,
    inner: float = 1.35,
    outer: float = 1.7,
) -> BondBreaking:
    """The bond-breaking correlation: the part of the initial neighbours that are still near::

        C_B,i(t) = n_i(t) / n_i(0),      C_B(t) = mean of C_B,i(t) over the particles with n_i(0) > 0
        n_i(0) = number of j with 0 < |r_ij(0)| < inner * sigma_ij
        n_i(t) = number of these with    |r_ij(t)| < outer * sigma_ij

    Vibrations, elastic strain and long-wavelength motion break no bond, rearrangements do. The two lengths keep a pair
    at the edge of the shell from breaking by a vibration.

    Parameters
    ----------
    initial_positions : (N, D) float, D = 2 or 3.
    trajectories : (..., N, D) float, unwrapped positions at time t. Pass the runs of one time: all frames are averaged
        in `particles`.
    box : edge lengths (D,) or row-vector cell (D, D), for the neighbours at time 0. Later, r_ij(t) is
        r_ij(0) + u_j - u_i: a pair that separates does not meet again through the boundary.
    types, diameters : (N,) integers and the symmetric matrix of sigma_ab, for example `KOB_ANDERSEN_DIAMETERS`. Without
        them sigma = 1: inner and outer are lengths.
    inner, outer : in units of sigma_ij, 0 < inner <= outer. They are a choice; state them with the result.

    Returns `BondBreaking`.

    Raises `InputError` for shapes that do not match, NaN or infinite positions, a type without a diameter, a box
    smaller than twice the longest bond, no bond at all, and lengths out of order.

    Sources: Yamamoto and Onuki, Phys. Rev. E 58, 3515 (1998); for the single particle Shiba, Yamada, Kawasaki and Kim,
    Phys. Rev. Lett. 117, 245701 (2016), and Jung, Biroli and Berthier, Phys. Rev. Lett. 130, 238202 (2023).

    >>> import botan_fast as bf
    >>> start = [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    >>> moved = [[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]]
    >>> result = bf.bond_breaking(start, [start, moved], box=[8.0, 8.0])
    >>> result.values.tolist(), result.particles.tolist()
    ([1.0, 0.5], [1.0, 0.75, 0.5])
    """
    inner, outer = positive("inner", inner), positive("outer", outer)
    if inner > outer:
        raise InputError(f"inner = {inner} is larger than outer = {outer}; a bond would be broken from the start")
    initial, frames, _ = _check_frames(initial_positions, trajectories, None, 0)
    num_nodes, dimensions = initial.shape
    kinds, sigma = _check_diameters(types, diameters, num_nodes)

    first, second, distance, vectors = neighbor_list("ijdD", initial, box, inner * float(sigma.max()))
    length = sigma[kinds[first], kinds[second]]
    near = distance < inner * length
    first, second, vectors = first[near], second[near], np.ascontiguousarray(vectors[near])
    limits = np.ascontiguousarray(outer * length[near])
    bonds = np.bincount(first, minlength=num_nodes)
    if first.size == 0:
        raise InputError(f"inner = {inner} holds no pair at time 0; give a larger one")
    row_ptr = np.concatenate(([0], np.cumsum(bonds))).astype(np.int64)

    kept = np.empty((len(frames), num_nodes), dtype=np.int32)
    count = _core.surviving_bonds_f32 if frames.dtype == np.float32 else _core.surviving_bonds_f64
    count(
        initial.ctypes.data, frames.ctypes.data, len(frames), num_nodes, dimensions,
        *(x.ctypes.data for x in (row_ptr, second, vectors, limits, kept)), torch.get_num_threads(),
    )  # fmt: skip
    part = np.where(bonds > 0, kept / np.maximum(bonds, 1), 1.0)
    values = part[:, bonds > 0].mean(axis=1)
    return BondBreaking(np.asarray(_shaped(values, trajectories)), part.mean(axis=0), float(values.mean()), bonds)


def chi_4(samples: Array, num_particles: float, axis: int = 0) -> Any:
    """The four-point susceptibility: the fluctuation of a correlation function between samples::

        chi_4(t) = N ( <Q(t)^2> - <Q(t)>^2 )

    Parameters
    ----------
    samples : float, M >= 2 values of Q along `axis`, the other axes (times) are kept: `overlap` (the usual choice), or
        F_s or C_B of each run. Runs of one configuration give the isoconfigurational part, one run of each of many
        configurations the whole (Berthier and Jack, Phys. Rev. E 76, 041509 (2007)).
    num_particles : N, the number of particles that Q averages over.

    Returns a float or an array. The variance is the unbiased estimate (divisor M - 1), so that few runs do not make
    chi_4 too small. Runs of fixed energy and particle number give less than chi_4 of an open system (Berthier et al.,
    Science 310, 1797 (2005)).

    Raises `InputError` for fewer than two samples, NaN or infinite ones, and N < 1.

    Source: Lacevic, Starr, Schroder and Glotzer, J. Chem. Phys. 119, 7372 (2003).

    >>> import botan_fast as bf
    >>> bf.chi_4([0.25, 0.75], num_particles=100)
    12.5
    """
    samples = as_array("samples", samples, np.float64)
    if not -samples.ndim <= axis < samples.ndim:
        raise InputError(f"axis = {axis} is not an axis of samples of shape {samples.shape}")
    if samples.shape[axis] < 2:
        raise InputError(f"samples has shape {samples.shape}: fewer than two along axis {axis}; give more runs")
    check_finite("samples", samples)
    if not num_particles >= 1:
        raise InputError(f"num_particles = {num_particles} must be at least 1")
    result = float(num_particles) * samples.var(axis=axis, ddof=1)
    return float(result) if np.ndim(result) == 0 else result


# ---- checks and parts -------------------------------------------------------------------------------------------


def _check_frames(
    initial_positions: Array, trajectories: Array, types: Array | None, species: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Positions (N, D) float64, frames (F, N, D) float32 or float64, and the indices that count (None: all)."""
    initial = check_positions(initial_positions, "initial_positions")
    num_nodes, dimensions = initial.shape
    if num_nodes == 0:
        raise InputError("initial_positions has no particle; give at least one")
    frames = as_array("trajectories", trajectories)
    if frames.dtype != np.float32:
        frames = as_array("trajectories", frames, np.float64)
    if frames.ndim < 2 or frames.shape[-2:] != initial.shape:
        raise InputError(f"trajectories has shape {frames.shape}; give (..., {num_nodes}, {dimensions})")
    if frames.size == 0:
        raise InputError(f"trajectories has shape {frames.shape}: no frame; give at least one")
    check_finite("trajectories", frames)
    frames = frames.reshape(-1, num_nodes, dimensions)
    if types is None:
        return initial, frames, None
    kinds = _check_kinds(types, num_nodes)
    chosen = np.flatnonzero(kinds == species)
    if chosen.size == 0:
        raise InputError(f"species = {species} does not occur in types; give one that does")
    return initial, frames, chosen


def _check_kinds(types: Array, num_nodes: int) -> np.ndarray:
    kinds = as_array("types", types)
    if kinds.shape != (num_nodes,) or kinds.dtype.kind not in "iu":
        raise InputError(f"types has shape {kinds.shape} and dtype {kinds.dtype}; give ({num_nodes},) integers")
    return kinds.astype(np.int64)


def _check_diameters(types: Array | None, diameters: Array | None, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Types (N,) int64 and the matrix sigma_ab."""
    if diameters is None:
        return np.zeros(num_nodes, dtype=np.int64), np.ones((1, 1))
    sigma = as_array("diameters", diameters, np.float64)
    if sigma.ndim != 2 or sigma.shape[0] != sigma.shape[1] or not (sigma > 0).all() or not np.isfinite(sigma).all():
        raise InputError(f"diameters has shape {sigma.shape}; give a square matrix of positive lengths sigma_ab")
    if not np.array_equal(sigma, sigma.T):
        raise InputError("diameters is not symmetric; sigma_ab and sigma_ba are one length")
    if types is None:
        raise InputError("diameters are given without types; give the type of each particle")
    kinds = _check_kinds(types, num_nodes)
    if kinds.min() < 0 or kinds.max() >= len(sigma):
        raise InputError(f"types go from {kinds.min()} to {kinds.max()}; diameters has types 0 to {len(sigma) - 1}")
    return kinds, sigma


def _squared_displacements(initial: np.ndarray, frames: np.ndarray, chosen: np.ndarray | None) -> Iterator[np.ndarray]:
    """|u_j|^2 of each frame, (N,) float64: one frame at a time, so that memory does not grow with their number."""
    start = initial if chosen is None else initial[chosen]
    for frame in frames:
        moved = (frame if chosen is None else frame[chosen]) - start
        yield np.einsum("ij,ij->i", moved, moved)


_J0_EDGE = 25.0  # below: a polynomial in x^2; above: the asymptotic series


@lru_cache(maxsize=1)
def _j0_coefficients() -> np.ndarray:
    """Chebyshev coefficients of J_0 in s = 2 (x / edge)^2 - 1, from its integral, exact for so many angles."""
    cosines = np.cos(2 * np.pi * (np.arange(64) + 0.5) / 64)
    return np.polynomial.chebyshev.chebinterpolate(
        lambda s: np.cos(_J0_EDGE * np.sqrt((s + 1) / 2)[:, None] * cosines).mean(axis=1), 40
    )


def _bessel_j0(x: np.ndarray) -> np.ndarray:
    """J_0 for x >= 0 to about 1e-14. `torch.special.bessel_j0` is wrong by up to 4e-7 between 5 and 20."""
    scaled = 2 * (np.minimum(x, _J0_EDGE) / _J0_EDGE) ** 2 - 1
    result = np.polynomial.chebyshev.chebval(scaled, _j0_coefficients())
    far = x > _J0_EDGE
    if far.any():
        x = x[far]
        term, parts = np.ones_like(x), [0.0, 0.0]  # Hankel's expansion: even terms with the cosine, odd ones the sine
        for n in range(20):
            parts[n % 2] = parts[n % 2] + (-1) ** (n // 2) * term
            term = -term * (2 * n + 1) ** 2 / (8 * (n + 1) * x)
        phase = x - np.pi / 4
        result[far] = np.sqrt(2 / (np.pi * x)) * (parts[0] * np.cos(phase) - parts[1] * np.sin(phase))
    return result


def _shaped(values: np.ndarray, trajectories: Array) -> Any:
    """One value per frame in the shape of the leading axes; a float for a single frame."""
    shape = np.shape(trajectories)[:-2]
    return values.reshape(shape) if shape else float(values[0])

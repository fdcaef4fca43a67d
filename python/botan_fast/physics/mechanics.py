"""How stiff the surroundings of each particle are: pressure, curvature and softness of its site."""

from typing import NamedTuple

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from .inherent import System, call
from .potential import KOB_ANDERSEN, PotentialLike, check_potential

__all__ = ["LocalMechanics", "local_mechanics"]

TIE = 1.0  # spring of `softness`, epsilon_AA / sigma_AA^2


class LocalMechanics(NamedTuple):
    """What `local_mechanics` returns, each (N,) float64.

    virial      -1/2 sum_j r_ij V'(r_ij), in units of epsilon_AA: D times the particle's part of the pressure times V
    stiffness   tr H_i, in units of epsilon_AA / sigma_AA^2
    softness    tr (H_i + k)^-1, k = 1 epsilon_AA / sigma_AA^2, in units of sigma_AA^2 / epsilon_AA

    >>> import botan_fast as bf
    >>> bf.LocalMechanics._fields
    ('virial', 'stiffness', 'softness')
    """

    virial: np.ndarray
    stiffness: np.ndarray
    softness: np.ndarray


def local_mechanics(
    positions: Array, types: Array, box: Array, potential: PotentialLike = KOB_ANDERSEN
) -> LocalMechanics:
    """Virial, stiffness and softness of the site of each particle, all others held fast.

    H_i = d^2 U / dr_i dr_i = sum_j [V'' u u^T + V' / r (1 - u u^T)], (D, D), u the unit vector to neighbour j. In the
    harmonic approximation k_B T tr H_i^-1 is the mean square displacement of particle i in the cage of its neighbours;
    a weak spring k keeps it finite for a particle without neighbours, and negative curvature, which a minimum of the
    energy does not have, counts as none. Meant for `inherent_structure`.

    Parameters, threads and errors are those of `inherent_structure`.

    >>> import botan_fast as bf
    >>> pair = bf.LennardJones(1.0, 1.0, truncation="plain")
    >>> found = bf.local_mechanics([[0.0, 0.0, 0.0], [2 ** (1 / 6), 0.0, 0.0]], [0, 0], 6.0, pair)
    >>> [round(abs(float(x[0])), 3) for x in found]  # V' = 0, V'' = 57.146
    [0.0, 57.146, 2.017]
    """
    system = System(positions, types, box, check_potential(potential))
    number, dimensions = system.inputs.host_positions.shape
    virial, hessian = np.empty(number), np.empty((number, dimensions, dimensions))
    call(_core.pair_curvature, *system.arguments, virial.ctypes.data, hessian.ctypes.data, torch.get_num_threads())
    curvatures = np.linalg.eigvalsh(hessian) if number else np.empty((0, dimensions))
    return LocalMechanics(
        virial, np.trace(hessian, axis1=1, axis2=2), (1 / (np.maximum(curvatures, 0) + TIE)).sum(axis=1)
    )

"""The inherent structure: the minimum of the potential energy that lies downhill from a configuration."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from ..checks import positive
from ..errors import InputError
from ..graph.inputs import Inputs, check_inputs, check_types
from .potential import KOB_ANDERSEN, TRUNCATIONS, LennardJones, PotentialLike, check_potential

__all__ = ["FORCE_TOLERANCE", "InherentStructure", "inherent_structure", "potential_energy"]

FORCE_TOLERANCE = 1e-6
_SLICE = 200_000  # particles times steps between two returns to Python, where Ctrl-C is heard


@dataclass(frozen=True, eq=False)
class InherentStructure:
    """A minimum of the potential energy; see `inherent_structure`.

    =============  ==============  ===============================================================================
    positions      (N, D) float64  of the minimum, continuous with those it was sought from: the difference is the
                                   displacement, across the borders of the box too
    energy         (N,) float64    potential energy of each particle, half of that of each of its pairs
    largest_force  float           the largest component of a force that is left
    steps          int             how many it took
    potential      LennardJones    whose minimum it is, or None where nobody knows it
    =============  ==============  ===============================================================================

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> found = bf.InherentStructure(np.zeros((2, 3)), np.array([-0.5, -0.25]), 0.0, 0)
    >>> found.mean_energy
    -0.375
    """

    positions: np.ndarray
    energy: np.ndarray
    largest_force: float
    steps: int
    potential: LennardJones | None = None

    @property
    def mean_energy(self) -> float:
        """Potential energy per particle."""
        return float(np.mean(self.energy))


def inherent_structure(
    positions: Array,
    types: Array,
    box: Array,
    potential: PotentialLike = KOB_ANDERSEN,
    *,
    force_tolerance: float = FORCE_TOLERANCE,
    largest_move: float = 0.1,
    max_steps: int = 20_000,
) -> InherentStructure:
    """Moves the particles downhill, to the nearest minimum of U = sum of V(r_ij) over pairs (minimum image).

    Limited-memory BFGS (Nocedal, Math. Comp. 35, 773 (1980)), every step downhill and bounded by `largest_move`, so
    that the way does not leave the basin by a leap. Basins of a glass are fractal: another method, or another machine,
    may end in a neighbouring minimum in which a few particles sit otherwise (`docs/decisions.md`).

    Parameters
    ----------
    positions, types, box : (N, D) float, D = 2 or 3, (N,) integers 0 = A, 1 = B, ..., and the edge lengths (D,) or row
        vectors (D, D) of the periodic box. The box must hold the longest cutoff of the potential twice.
    potential : a `LennardJones`, or "kob-andersen".
    force_tolerance : no component of a force is larger at the end, in units of epsilon_AA / sigma_AA. The error of the
        energy is of the order of its square.
    largest_move : no coordinate changes by more in one step, in units of sigma_AA.
    max_steps : as many steps at most.

    Returns an `InherentStructure`, float64. ``torch.get_num_threads()`` threads; the result does not depend on their
    number, bit for bit. Linear in N for a step; ten thousand particles take some hundred steps.

    Raises `InputError` for shapes that do not match, numbers that are not finite, two particles at one point or so
    close that their force overflows, a species that the potential lacks, a box that is too small, and when the
    tolerance is not met within `max_steps`.

    Source of the idea: Stillinger and Weber, Phys. Rev. A 25, 978 (1982).

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> pair = np.array([[0.1, 0.0, 0.0], [1.3, 0.0, 0.0]])
    >>> found = bf.inherent_structure(pair, [0, 0], 6.0, bf.LennardJones(1.0, 1.0, truncation="shifted"))
    >>> round(float(np.diff(found.positions[:, 0])[0]), 6)  # 2^(1/6)
    1.122462
    """
    potential = check_potential(potential)
    tolerance = positive("force_tolerance", force_tolerance) * potential.epsilon[0][0] / potential.sigma[0][0]
    move = positive("largest_move", largest_move) * potential.sigma[0][0]
    if isinstance(max_steps, bool) or not isinstance(max_steps, (int, np.integer)) or max_steps < 0:
        raise InputError(f"max_steps = {max_steps!r} must be a whole number, at least 0")
    system = System(positions, types, box, potential)
    minimization = call(_core.Minimization, *system.arguments, move, torch.get_num_threads())
    slice_steps = max(1, _SLICE // max(1, system.inputs.num_nodes))
    done = converged = False
    while not done:
        before = minimization.num_steps
        part = min(slice_steps, int(max_steps) - before)
        converged = minimization.run(part, tolerance)
        done = converged or minimization.num_steps - before < part or minimization.num_steps >= max_steps
    if not converged:
        steps, force = minimization.num_steps, minimization.largest_force
        remedy = "no step goes down further, give a larger force_tolerance"
        raise InputError(
            f"force_tolerance = {force_tolerance:g} is not met after {steps} steps: the largest force is {force:.3g}; "
            + (remedy if steps < max_steps else "give more max_steps")
        )
    found, energy = np.empty_like(system.inputs.host_positions), np.empty(system.inputs.num_nodes)
    minimization.fill(found.ctypes.data, energy.ctypes.data)
    return InherentStructure(found, energy, minimization.largest_force, minimization.num_steps, potential)


def potential_energy(positions: Array, types: Array, box: Array, potential: PotentialLike = KOB_ANDERSEN) -> np.ndarray:
    """The potential energy of each particle, half of that of each of its pairs: (N,) float64.

    Parameters, threads and errors are those of `inherent_structure`.

    >>> import botan_fast as bf
    >>> bf.potential_energy([[0.0, 0.0], [1.0, 0.0]], [0, 0], 6.0, bf.LennardJones(1.0, 1.0, truncation="plain"))
    array([0., 0.])
    """
    return energy_and_forces(positions, types, box, potential)[0]


def energy_and_forces(
    positions: Array, types: Array, box: Array, potential: PotentialLike = KOB_ANDERSEN
) -> tuple[np.ndarray, np.ndarray]:
    """`potential_energy` (N,) and the forces (N, D), float64.

    >>> from botan_fast.physics.inherent import energy_and_forces
    >>> from botan_fast.physics.potential import LennardJones
    >>> energy_and_forces([[0.0, 0.0], [1.0, 0.0]], [0, 0], 6.0, LennardJones(1.0, 1.0, truncation="plain"))[1].tolist()
    [[-24.0, 0.0], [24.0, 0.0]]
    """
    system = System(positions, types, box, check_potential(potential))
    energy, forces = np.empty(system.inputs.num_nodes), np.empty_like(system.inputs.host_positions)
    call(_core.pair_forces, *system.arguments, energy.ctypes.data, forces.ctypes.data, torch.get_num_threads())
    return energy, forces


class System:
    """The arguments of the core, with the arrays that they point into."""

    def __init__(self, positions: Array, types: Array, box: Array, potential: LennardJones) -> None:
        self.inputs: Inputs = check_inputs(positions, box, potential.longest)
        kinds = check_types(types, self.inputs.num_nodes).numpy()
        if kinds.size and kinds.max() >= potential.num_species:
            k = int(np.argmax(kinds))
            raise InputError(
                f"types[{k}] = {kinds[k]}, but the potential has {potential.num_species} species, counted from 0; "
                "give a potential with a row for each species"
            )
        tables = (potential.epsilon, potential.sigma, potential.distances)
        self._arrays: list[np.ndarray] = [
            kinds.astype(np.int32),
            *(np.ascontiguousarray(table, np.float64) for table in tables),
        ]
        types_at, *tables_at = (array.ctypes.data for array in self._arrays)
        x, cell = self.inputs.host_positions, self.inputs.cells[0]
        self.arguments = (
            (*x.shape, x.ctypes.data, types_at, cell.ctypes.data),
            (potential.num_species, *tables_at, TRUNCATIONS.index(potential.truncation)),
        )


def call(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except ValueError as error:
        raise InputError(str(error)) from None

"""Cage positions: where particles are on average while springs keep each of them in its cage."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .. import _core
from ..arrays import Array
from ..checks import positive
from ..errors import InputError
from ..graph.inputs import check_positions
from .inherent import System, call
from .potential import KOB_ANDERSEN, PotentialLike, check_potential

__all__ = ["Cage", "cage"]

_SLICE = 200_000  # particles times steps between two returns to Python, where Ctrl-C is heard
_LARGEST_MOVE = 0.5  # sigma_AA in one step: farther only when the dynamics is no longer one


@dataclass(frozen=True, eq=False)
class Cage:
    """Averages of a dynamics that springs confine; see `cage`.

    ===========  ==============  =================================================================================
    positions    (N, D) float64  mean positions, continuous with `around`
    fluctuation  (N,) float64    <|r - <r>|^2> of each particle
    temperature  float           mean of v^2 / D over particles and samples
    steps        int             how many were made, equilibration included
    ===========  ==============  =================================================================================

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> bf.Cage(np.zeros((1, 3)), np.array([0.03]), 0.44, 2000).fluctuation
    array([0.03])
    """

    positions: np.ndarray
    fluctuation: np.ndarray
    temperature: float
    steps: int


def cage(
    positions: Array,
    types: Array,
    box: Array,
    temperature: float,
    potential: PotentialLike = KOB_ANDERSEN,
    *,
    around: Array | None = None,
    spring: float = 5.0,
    time: float = 10.0,
    time_step: float = 0.005,
    equilibration: float = 1.5,
    sample_every: float = 0.1,
    friction: float = 1.0,
    seed: int = 0,
) -> Cage:
    """Mean positions of a short dynamics in which no particle leaves its cage. All particles move by::

        dr_i/dt = v_i
        dv_i/dt = -dU/dr_i - spring (r_i - around_i) - friction v_i + sqrt(2 friction temperature) eta_i(t)

    with U = sum of V(r_ij) over pairs (minimum image), mass 1 and white noise eta of strength 1, from `positions` and
    velocities drawn at the temperature. After `equilibration`, r_i and |r_i|^2 are averaged. The mean displacement
    from `around` of all particles is taken off the positions, so that they do not drift as a whole.

    The inherent structure is where a particle is without heat, the cage position where it is with it, which says more
    of the dynamics that follows: Alkemade, Smallenburg, and Filion, J. Chem. Phys. 158, 134512 (2023), whose cage state
    is the mean while rearrangements are forbidden; here springs forbid them. Start from thermal positions, with
    `around` those of the inherent structure: a dynamics that starts in a minimum is cold for some 1 / friction.

    Parameters
    ----------
    positions, types, box, potential : as in `inherent_structure`.
    temperature : k_B T in units of epsilon_AA.
    around : (N, D), in any image of the box: where the springs are tied, `positions` by default; best those of the
        inherent structure.
    spring : in units of epsilon_AA / sigma_AA^2; 0 leaves the particles free.
    time, time_step, equilibration, sample_every : of the whole dynamics, of one step, of its first part that is not
        averaged, and between two samples, in units of sigma_AA (m / epsilon_AA)^(1/2); whole steps.
    friction : in units of the inverse time.
    seed : of velocities and noise, 0 <= seed < 2^64.

    Returns a `Cage`, float64. ``torch.get_num_threads()`` threads; the result does not depend on their number, bit for
    bit, as the noise is a function of (seed, step, particle). Linear in N. Integrated by BAOAB (Leimkuhler and
    Matthews, Appl. Math. Res. Express 2013, 34), whose means over harmonic wells are exact at any stable time step.

    Raises `InputError` for what `inherent_structure` refuses, a temperature, time or friction that is not positive, a
    negative spring, and for a dynamics that does not hold the temperature, because the time step is too long or the
    equilibration too short.

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> pair = np.array([[0.1, 0.0, 0.0], [1.3, 0.0, 0.0]])
    >>> found = bf.cage(pair, [0, 0], 6.0, 0.44)
    >>> found.positions.shape, found.fluctuation.shape, found.steps
    ((2, 3), (2,), 2000)
    """
    potential = check_potential(potential)
    energy, length = potential.epsilon[0][0], potential.sigma[0][0]
    unit = length / math.sqrt(energy)  # of time, in that of the core
    temperature, friction = positive("temperature", temperature), positive("friction", friction)
    spring = positive("spring", spring, zero=True)
    step = positive("time_step", time_step)
    whole, first = positive("time", time), positive("equilibration", equilibration, zero=True)
    every = max(1, round(positive("sample_every", sample_every) / step))
    steps, start = round(whole / step), round(first / step)
    if steps < start + every:
        raise InputError(
            f"time = {whole:g} leaves no sample after equilibration = {first:g}, one every {every * step:g}; give a "
            "longer time"
        )
    system = System(positions, types, box, potential)
    shape = system.inputs.host_positions.shape
    at = system.inputs.host_positions if around is None else check_positions(around, "around")
    if at.shape != shape:
        raise InputError(f"around has shape {at.shape}; positions need {shape}")
    dynamics = call(
        _core.ConfinedDynamics,
        *system.arguments,
        at.ctypes.data,
        spring * energy / length**2,
        temperature * energy,
        friction / unit,
        step * unit,
        _check_seed(seed),
        start,
        every,
        _LARGEST_MOVE * length,
        torch.get_num_threads(),
    )
    slice_steps = max(1, _SLICE // max(1, shape[0]))
    while dynamics.num_steps < steps:
        runaway = call(dynamics.run, min(slice_steps, steps - dynamics.num_steps))
        if runaway >= 0:
            raise InputError(
                f"positions[{runaway}] leaps in step {dynamics.num_steps + 1} of time_step = {step:g}; give a smaller "
                "time_step, or positions without overlaps"
            )
    found, fluctuation = np.empty(shape), np.empty(shape[0])
    dynamics.fill(found.ctypes.data, fluctuation.ctypes.data)
    measured = dynamics.temperature / energy
    if shape[0]:
        _check_temperature(measured, temperature, at.size * max(1.0, friction * (whole - first)), step)
        found -= (found - at).mean(axis=0)
    return Cage(found, fluctuation, measured, steps)


def _check_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise InputError(f"seed = {seed!r} must be a whole number, at least 0 and below 2^64")
    return int(seed)


def _check_temperature(measured: float, wanted: float, independent: float, step: float) -> None:
    """Refuses what is off by a tenth and by more than chance, `independent` being the number of velocities drawn."""
    if abs(measured / wanted - 1) < 0.1 + 6 * math.sqrt(2 / independent):
        return
    remedy = f"time_step = {step:g} is too long, give a smaller time_step"
    if measured < wanted:
        remedy = "give a longer equilibration or a larger friction"
    raise InputError(f"temperature = {wanted:g} is not held: {measured:.3g} was measured; {remedy}")

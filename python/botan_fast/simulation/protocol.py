"""The numbers that decide a simulation, and the steps that follow from them."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import positive
from ..errors import InputError
from ..physics.kob_andersen import DENSITY, Potential

__all__ = ["Protocol", "whole_number"]


@dataclass(frozen=True)
class Protocol:
    """All numbers that decide the data; see `simulate` for their meaning.

    >>> from botan_fast.simulation.protocol import Protocol
    >>> protocol = Protocol(configurations=5, configurations_per_quench=2, times=(0.13, 16.5)).checked()
    >>> protocol.num_quenches, protocol.pieces(0)[:2]
    (3, [(5.0, 5.0, 4000), (5.0, 0.64, 4000)])
    """

    temperature: float = 0.64
    tau_alpha: float | None = None
    num_particles: int = 4096
    configurations: int = 1
    runs: int = 32
    times: tuple[float, ...] | None = None
    density: float = DENSITY
    fraction_b: float = 0.2
    epsilon: tuple[float, float, float] = Potential.epsilon
    sigma: tuple[float, float, float] = Potential.sigma
    potential_cutoff: float = Potential.cutoff
    dt: float = 0.005
    melt_temperature: float = 5.0
    melt_time: float = 20.0
    quench_time: float = 20.0
    equilibration: float = 40.0
    configurations_per_quench: int = 1
    decorrelation: float = 10.0
    thermostat_time: float = 0.5
    cutoff: float = 2.0
    wave_number: float = 7.25
    seed: int = 0
    checkpoint_steps: int = 100_000
    threads: int = 1

    def checked(self) -> "Protocol":
        """The protocol with every value checked, defaults filled in, and times rounded to whole steps."""
        lengths_and_times = (
            "temperature", "density", "potential_cutoff", "dt", "melt_temperature", "melt_time", "quench_time",
            "equilibration", "decorrelation", "thermostat_time", "cutoff", "wave_number",
        )  # fmt: skip
        values: dict[str, Any] = {name: positive(name, getattr(self, name)) for name in lengths_and_times}
        counts = ("configurations", "runs", "configurations_per_quench", "checkpoint_steps", "threads")
        values |= {name: whole_number(name, getattr(self, name), 1) for name in counts}
        values["num_particles"] = whole_number("num_particles", self.num_particles, 2)
        values["seed"] = whole_number("seed", self.seed, 0)
        values["fraction_b"] = positive("fraction_b", self.fraction_b, zero=True)
        if values["fraction_b"] > 1:
            raise InputError(f"fraction_b = {self.fraction_b} is larger than 1; give the part of B particles, 0.2")
        for name in ("epsilon", "sigma"):
            if len(getattr(self, name)) != 3:
                raise InputError(f"{name} = {getattr(self, name)} must have three values, for AA, AB and BB")
            values[name] = tuple(positive(name, value) for value in getattr(self, name))
        if self.tau_alpha is None and values["temperature"] != 0.64:
            raise InputError(
                f"tau_alpha is not given and known only at temperature = 0.64 (16.5), not at {self.temperature}; "
                "give an estimate, the simulation measures it"
            )
        tau = values["tau_alpha"] = 16.5 if self.tau_alpha is None else positive("tau_alpha", self.tau_alpha)
        wanted = np.geomspace(0.13, tau, 8) if self.times is None else self.times
        times = [positive("times", time) for time in wanted]
        steps = sorted({round(time / values["dt"]) for time in times})
        if len(steps) < len(times) or not steps or steps[0] == 0:
            raise InputError(f"times = {list(times)} are not different whole numbers of steps of dt = {self.dt}")
        # Exactly the time of the trajectory; the short number where it is the same.
        values["times"] = tuple(float(f"{step * values['dt']:.12g}") for step in steps)
        protocol = Protocol(**values)
        shortest = 2 * max(protocol.cutoff, protocol.potential.longest)
        if protocol.length < shortest:
            need = math.ceil(shortest**3 * protocol.density)
            raise InputError(
                f"num_particles = {self.num_particles} makes a box of {protocol.length:.4g}, shorter than twice the "
                f"cutoff, {shortest:.4g}; give at least {need} particles"
            )
        return protocol

    @property
    def target_times(self) -> tuple[float, ...]:
        """`times`, which `checked` fills in."""
        assert self.times is not None
        return self.times

    @property
    def potential(self) -> Potential:
        return Potential(self.epsilon, self.sigma, self.potential_cutoff)

    @property
    def length(self) -> float:
        """Edge of the cubic box."""
        return (self.num_particles / self.density) ** (1 / 3)

    @property
    def num_quenches(self) -> int:
        return -(-self.configurations // self.configurations_per_quench)

    def states(self, quench: int) -> int:
        """How many configurations come from this quench."""
        first = quench * self.configurations_per_quench
        return min(self.configurations_per_quench, self.configurations - first)

    def name(self, quench: int, state: int) -> str:
        """The name of a configuration in the data set."""
        return f"T{self.temperature:g}-{quench:04d}-{state:02d}"

    def pieces(self, quench: int) -> list[tuple[float, float, int]]:
        """Thermostat runs from the lattice to the last configuration: (first temperature, last one, steps).

        Each ends with a checkpoint and the next one starts from the numbers in it, killed or not: that makes a
        resumed simulation equal to an uninterrupted one.
        """
        pieces = self._cut(self.melt_temperature, self.melt_temperature, self.melt_time)
        # A ramp is one piece: it has to go from its first temperature to its last.
        pieces.append((self.melt_temperature, self.temperature, self._steps(self.quench_time)))
        for state in range(self.states(quench)):
            pieces += self._cut(self.temperature, self.temperature, self.wait(state))
        return pieces

    def wait(self, state: int) -> float:
        """Thermostat time before a configuration."""
        assert self.tau_alpha is not None  # `checked` fills it in
        return self.tau_alpha * (self.decorrelation if state else self.equilibration)

    def _steps(self, time: float) -> int:
        return max(1, round(time / self.dt))

    def _cut(self, start: float, stop: float, time: float) -> list[tuple[float, float, int]]:
        steps = self._steps(time)
        sizes = [self.checkpoint_steps] * (steps // self.checkpoint_steps) + [steps % self.checkpoint_steps]
        return [(start, stop, size) for size in sizes if size]

    def starts(self, quench: int) -> dict[int, int]:
        """Number of finished pieces -> configuration that starts there."""
        done = len(self._cut(0, 0, self.melt_time)) + 1
        result = {}
        for state in range(self.states(quench)):
            done += len(self._cut(0, 0, self.wait(state)))
            result[done] = state
        return result

    def generator(self, *key: int) -> np.random.Generator:
        """Random numbers that depend on the seed and the place alone, not on what was done before."""
        return np.random.default_rng([self.seed, round(self.temperature * 1e6), *key])


def whole_number(name: str, value: Any, smallest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < smallest:
        raise InputError(f"{name} = {value!r} must be a whole number, at least {smallest}")
    return int(value)

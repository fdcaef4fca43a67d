"""The numbers that decide a simulation, and the steps that follow from them."""

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import positive
from ..errors import InputError
from ..paper import TAU_ALPHA, times_of
from ..physics.kob_andersen import CUTOFF, DENSITY, EPSILON, SIGMA
from ..physics.potential import LennardJones, binary

__all__ = ["REPLICAS", "Protocol", "whole_number"]

REPLICAS = ("nve", "nvt")
MOST = 1_000_000  # configurations, runs, and checkpoints of a stage
MOST_PARTICLES = 2**31 - 1  # of LAMMPS, and of a graph
_MOST_STEPS = 1e12  # of a stage: years on any machine


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
    epsilon: tuple[float, float, float] = EPSILON
    sigma: tuple[float, float, float] = SIGMA
    potential_cutoff: float = CUTOFF
    dt: float = 0.005
    melt_temperature: float = 5.0
    melt_time: float = 20.0
    quench_time: float = 20.0
    equilibration: float = 40.0
    configurations_per_quench: int = 1
    decorrelation: float = 10.0
    thermostat_time: float = 0.5
    cutoff: float = 2.0
    wave_number: float = 2 * math.pi
    replicas: str = "nve"
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
        cores = os.cpu_count() or 1
        counts = {
            "num_particles": (2, MOST_PARTICLES), "configurations": (1, MOST), "runs": (1, MOST),
            "configurations_per_quench": (1, None), "checkpoint_steps": (1, None), "seed": (0, None),
            "threads": (1, max(64, 4 * cores)),
        }  # fmt: skip
        values |= {name: whole_number(name, getattr(self, name), *bounds) for name, bounds in counts.items()}
        values["fraction_b"] = positive("fraction_b", self.fraction_b, zero=True)
        if values["fraction_b"] > 1:
            raise InputError(f"fraction_b = {self.fraction_b} is larger than 1; give the part of B particles, 0.2")
        if self.replicas not in REPLICAS:
            raise InputError(
                f"replicas = {self.replicas!r}; give 'nve' for runs at constant energy, 'nvt' for constant temperature"
            )
        for name in ("epsilon", "sigma"):
            if np.shape(getattr(self, name)) != (3,):
                raise InputError(f"{name} = {getattr(self, name)} must have three values, for AA, AB and BB")
            values[name] = tuple(positive(name, value) for value in getattr(self, name))
        values["tau_alpha"] = self._tau_alpha(values["temperature"])
        values["times"] = self._times(values["temperature"], values["tau_alpha"], values["dt"])
        protocol = Protocol(**values, replicas=self.replicas)
        protocol._check_scales()
        protocol._check_amounts()
        return protocol

    def _tau_alpha(self, temperature: float) -> float:
        if self.tau_alpha is not None:
            return positive("tau_alpha", self.tau_alpha)
        known = [tau for at, tau in TAU_ALPHA.items() if math.isclose(at, temperature, rel_tol=1e-9)]
        if not known:
            raise InputError(
                f"tau_alpha and times are known at temperature = {', '.join(f'{at:g}' for at in TAU_ALPHA)}, not at "
                f"{self.temperature}; give tau_alpha, an estimate which the simulation will measure, and times"
            )
        return known[0]

    def _times(self, temperature: float, tau_alpha: float, dt: float) -> tuple[float, ...]:
        """The times in whole steps, rising."""
        wanted = self.times
        if wanted is None:
            wanted = times_of(temperature) or tuple(np.geomspace(0.13, tau_alpha, 8))
        given = [positive("times", time) for time in np.atleast_1d(np.asarray(wanted, dtype=object))]
        if not given:
            raise InputError("times is empty; give at least one")
        steps: dict[int, float] = {}
        for time in sorted(given):
            number = _whole_steps("times", time, dt)
            if number == 0:
                raise InputError(f"times: {time:g} is less than half a step of dt = {dt:g}; give a longer one")
            if number in steps:
                raise InputError(
                    f"times: {steps[number]:g} and {time:g} are the same step of dt = {dt:g}; give each time once"
                )
            steps[number] = time
        # Exactly the time of the trajectory; the short number where it is the same.
        return tuple(float(f"{step * dt:.12g}") for step in steps)

    def rounded_times(self, given: Any) -> list[tuple[float, float]]:
        """Pairs (given, what became of it) of a checked protocol: the times that are no multiples of dt."""
        wanted = times_of(self.temperature) if given is None else np.atleast_1d(given).tolist()
        pairs = zip(sorted(map(float, wanted or ())), self.target_times, strict=False)
        return [(a, b) for a, b in pairs if not math.isclose(a, b, rel_tol=1e-6)]

    def _check_scales(self) -> None:
        """Refuse what the dynamics or the box cannot be."""
        for name in ("temperature", "melt_temperature"):
            value = getattr(self, name)
            if value < 1e-6:
                raise InputError(f"{name} = {value:g} is too low; give at least 1e-06")
            step = self.dt * math.sqrt(3) * math.sqrt(value)
            if step > 0.2:
                raise InputError(
                    f"dt = {self.dt:g} is too long at {name} = {value:g}: a particle moves by {step:.3g} in a step; "
                    "give a smaller one"
                )
        if not self.dt <= self.thermostat_time <= 1e6:
            raise InputError(
                f"thermostat_time = {self.thermostat_time:g} is shorter than dt = {self.dt:g} or longer than 1e6; give "
                "a hundred steps or more"
            )
        if not 1e-4 <= self.density <= 1e3:
            raise InputError(f"density = {self.density:g} is no density of a liquid; the mixture has 1.2, give that")
        reach = {"cutoff": self.cutoff, "potential_cutoff * sigma": self.potential.longest}
        name = max(reach, key=lambda each: reach[each])
        shortest = 2 * reach[name]
        if self.length < shortest:
            need = shortest * (shortest * self.density) * shortest
            more = "give a shorter range"
            if need < 1e9:
                least = math.ceil(need)
                least += self._length_of(least) < shortest  # by rounding
                more = f"give at least {least} particles"
            raise InputError(
                f"num_particles = {self.num_particles} makes a box of {self.length:.4g}, shorter than twice "
                f"{name} = {reach[name]:.4g}; {more}"
            )

    def _check_amounts(self) -> None:
        """Refuse what could neither be counted nor end."""
        waits = [self.equilibration, *[self.decorrelation] * (min(self.configurations_per_quench, 2) - 1)]
        lengths = {"melt_time": self.melt_time, "quench_time": self.quench_time}
        names = ("equilibration * tau_alpha", "decorrelation * tau_alpha")
        lengths |= dict(zip(names, (self.tau * wait for wait in waits), strict=False))
        for name, time in lengths.items():
            pieces = _whole_steps(name, time, self.dt) // self.checkpoint_steps
            if name == names[1]:
                pieces *= min(self.configurations_per_quench, self.configurations)
            if pieces > MOST:
                raise InputError(
                    f"checkpoint_steps = {self.checkpoint_steps} makes {pieces} checkpoints in {name} = {time:g} (dt = "
                    f"{self.dt:g}); give a larger one"
                )

    @property
    def target_times(self) -> tuple[float, ...]:
        """`times`, which `checked` fills in."""
        assert self.times is not None
        return self.times

    @property
    def tau(self) -> float:
        """`tau_alpha`, which `checked` fills in."""
        assert self.tau_alpha is not None
        return self.tau_alpha

    @property
    def potential(self) -> LennardJones:
        return binary(self.epsilon, self.sigma, self.potential_cutoff)

    @property
    def length(self) -> float:
        """Edge of the cubic box."""
        return self._length_of(self.num_particles)

    def _length_of(self, number: int) -> float:
        return (number / self.density) ** (1 / 3)

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
        return self.tau * (self.decorrelation if state else self.equilibration)

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


def whole_number(name: str, value: Any, smallest: int, largest: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < smallest:
        raise InputError(f"{name} = {value!r} must be a whole number, at least {smallest}")
    if largest is not None and value > largest:
        shown = value if value < 1e15 else f"10^{int(int(value).bit_length() * math.log10(2))}"
        raise InputError(f"{name} = {shown} must be at most {largest}; give less")
    return int(value)


def _whole_steps(name: str, time: float, dt: float) -> int:
    if time / dt > _MOST_STEPS:
        raise InputError(f"{name} = {time:g} is {time / dt:.3g} steps of dt = {dt:g}, too many; give a larger dt")
    return round(time / dt)

"""What a simulation will cost: steps, the rate of this machine, memory; and the bar over the steps."""

import os
import time
from collections.abc import Callable
from typing import Any

from ..errors import InputError
from ..log import logger
from ..terminal import is_terminal, progress_bar, say
from .lammps import Lammps
from .protocol import Protocol
from .start import lattice, maxwell_boltzmann

__all__ = ["Progress", "check_memory", "duration", "estimate", "steps_per_second"]

_LOG = logger(__name__)

LONG = 60.0  # seconds from which on a simulation says beforehand what it will take
_FAST = 2e7  # steps times particles that no processor of today takes longer than LONG for
_PARTICLE = 2500  # bytes of a particle in LAMMPS, in the lists on the way there, and in the graph


def check_memory(protocol: Protocol) -> None:
    """Refuse what would not fit into the memory of this machine: the frames of all runs of a configuration are there.

    >>> from botan_fast.simulation.cost import check_memory
    >>> from botan_fast.simulation.protocol import Protocol
    >>> check_memory(Protocol().checked())
    """
    frames = protocol.runs * len(protocol.target_times)
    needed = protocol.num_particles * (_PARTICLE + 24 * frames)
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise InputError(
            f"num_particles = {protocol.num_particles}, runs = {protocol.runs} and {len(protocol.target_times)} times "
            f"need {needed / 1e9:.3g} GB, more than the {there / 1e9:.3g} GB of this machine; give fewer of them"
        )


def estimate(protocol: Protocol, steps: int) -> str | None:
    """What `steps` will take, as a text; None where that is short. Measures for about a second before it tells."""
    work = steps * protocol.num_particles
    if work < _FAST:
        return None
    rate = steps_per_second(protocol)
    if steps / rate < LONG:
        return None
    return (
        f"{steps:,} steps of {protocol.num_particles:,} particles, {work:.3g} particle steps: about "
        f"{duration(steps / rate)} at {rate:.3g} steps/s"
    )


def steps_per_second(protocol: Protocol, seconds: float = 1.0) -> float:
    """Rate of the dynamics of this system: from the lattice, at the temperature of the runs, for some `seconds`."""
    generator = protocol.generator(0)
    positions, types = lattice(protocol.num_particles, protocol.fraction_b, protocol.length, generator)
    velocities = maxwell_boltzmann(protocol.num_particles, protocol.temperature, generator)
    with Lammps(
        positions, velocities, types, protocol.length, protocol.potential, protocol.dt, protocol.threads
    ) as lmp:
        lmp.minimize()
        lmp.slice = max(5, lmp.slice // 5)
        lmp.start_thermostat(protocol.temperature, protocol.temperature, protocol.thermostat_time)
        begin, done = time.perf_counter(), 0
        for part in lmp.steps(lmp.slice * 1000):
            done += part
            if time.perf_counter() - begin > seconds:
                break
        return done / (time.perf_counter() - begin)


def duration(seconds: float) -> str:
    """A time for people.

    >>> from botan_fast.simulation.cost import duration
    >>> duration(100), duration(9000), duration(1e6), duration(1e9)
    ('2 minutes', '2.5 hours', '12 days', '32 years')
    """
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            number = seconds / length
            return f"{number:.1f} {unit}" if number < 10 and unit != "minutes" else f"{number:,.0f} {unit}"
    return f"{seconds:.0f} seconds"


class Progress:
    """One bar over all time steps that are left (tqdm, on standard error), or a line each minute where nobody looks."""

    EVERY = 60.0  # seconds between two lines

    def __init__(self, show: bool) -> None:
        self.show, self.text = show, "steps"
        self.bar: Any = None
        self.advance: Callable[[int], Any] | None = None

    def start(self, protocol: Protocol, steps: int) -> None:
        if self.show:
            text = estimate(protocol, steps)
            if text is not None:
                say(f"simulate: {text}")
            self.bar = progress_bar(
                total=steps, unit="step", unit_scale=True, desc="simulate", smoothing=0.05, dynamic_ncols=True
            )
            self.total, self.done, self.lines = steps, 0, not is_terminal()
            self.begun = self.last = time.monotonic()
            self.advance = self._advance

    def _advance(self, steps: int) -> None:
        self.done += steps
        self.bar.update(steps)
        now = time.monotonic()
        if self.lines and now - self.last >= self.EVERY:
            left = (now - self.begun) / self.done * (self.total - self.done)
            say(f"simulate: {self.text}: {self.done:,} of {self.total:,} steps, {duration(left)} left")
            self.last = now

    def say(self, text: str) -> None:
        self.text = text
        _LOG.debug("%s", text)
        if self.bar is not None:
            self.bar.set_description(text)

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.close()

"""botan-fast simulate: a data set of the Kob-Andersen mixture out of nothing."""

import argparse
import math
from typing import TYPE_CHECKING

from ..errors import InputError
from ..simulation.options import SIMULATE
from .arguments import add_options
from .options import training_with

if TYPE_CHECKING:
    from ..simulation.result import SimulationResult

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "interrupted", "run"]

NAME = "simulate"
DESCRIPTION = (
    "Simulate the Kob-Andersen mixture with LAMMPS and write a data set. The protocol is the paper's, whose melt "
    "lasts 10^4. In units of sigma_AA, epsilon_AA and "
    "sigma_AA sqrt(m / epsilon_AA). The same command continues an interrupted simulation."
)
TABLE = SIMULATE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `simulate`, with its default, apart from quiet."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..data.dataset import Dataset
    from ..simulation.ensemble import simulate

    options = dict(vars(arguments))
    quiet = options.pop("quiet")
    result = simulate(**options, progress=not quiet)
    if result.configurations:
        _print_checks(result)
    print(f"data set: {result.output}")
    print(f"next: {training_with(Dataset(result.output))}")
    return 0


def _print_checks(result: "SimulationResult") -> None:
    """F_s, the times that follow from it, and what the runs conserved."""
    from ..simulation.result import PEAK

    number = len(result.configurations)
    numbers = list(dict.fromkeys((result.wave_number, PEAK)))
    shown = [f"F_s({'2 pi' if math.isclose(k, 2 * math.pi) else f'{k:g}'})" for k in numbers]
    print(f"{'time':>10}{''.join(f'{name:>12}' for name in shown)}   type A, mean of {number} configurations")
    for row in zip(result.times, *map(result.scattering_at, numbers), strict=True):
        print(f"{row[0]:10g}{''.join(f'{value:12.4f}' for value in row[1:])}")
    for k, name in zip(numbers, shown, strict=True):
        time = result.falls_to_1_over_e(k)
        print(f"{name} falls to 1/e " + (f"at t = {time:.4g}" if time else "outside these times"))
    for short_exponent in (None, 2.0):
        what = f"tau_alpha by the fit of {shown[0]} in two steps, b_s " + ("= 2" if short_exponent else "free")
        try:
            print(f"{what}: {result.fit(short_exponent)}")
        except InputError as error:
            print(f"{what}: not from these times ({error})")
    checks = result.configurations
    temperature = sum(check.temperature for check in checks) / number
    print(
        f"mean temperature {temperature:.4f}, largest energy drift {max(c.energy_drift for c in checks):.2g} T per "
        "particle"
    )


def interrupted(arguments: argparse.Namespace, argv: list[str]) -> str:
    """How it goes on."""
    return "; the same command continues"

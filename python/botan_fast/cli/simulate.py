"""botan-fast simulate: a data set of the Kob-Andersen mixture out of nothing."""

import argparse
import math
from typing import TYPE_CHECKING

from ..errors import InputError
from ..physics.kob_andersen import DENSITY, EPSILON, SIGMA
from .options import add_options, training_with

if TYPE_CHECKING:
    from ..simulation.result import SimulationResult

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "interrupted", "run"]

NAME = "simulate"
DESCRIPTION = (
    "Simulate the Kob-Andersen mixture with LAMMPS and write a data set. The protocol is the paper's, whose melt "
    "lasts 10^4. In units of sigma_AA, epsilon_AA and "
    "sigma_AA sqrt(m / epsilon_AA). The same command continues an interrupted simulation."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command: every one is an argument of `simulate`, with its default, apart from quiet."""
    add = parser.add_argument
    add("--output", "-o", required=True, metavar="FILE.h5", help="data set; one that exists is added to")
    add("--shard", metavar="I/N", help="make part I of N (1 ... N) of the quenches, into FILE.I-of-N.h5")
    add("--keep-trajectories", action="store_true", help="keep the positions of all runs in FILE.h5.work")
    add("--energy-tolerance", type=float, default=0.005, metavar="X", help="largest |E(t) - E(0)| / (N T) of a run")
    add("--inherent", action="store_true", help="store the inherent structure of each configuration too")
    add("--targets", default="SE", metavar="LETTERS", help="targets to store: S and E, and any of R, C, D, L")
    add_options(parser, "--quiet")

    ensemble = parser.add_argument_group("ensemble").add_argument
    ensemble("--num-particles", type=int, default=4096, metavar="N", help="particles")
    ensemble("--temperature", type=float, default=0.64, metavar="T", help="temperature")
    ensemble("--tau-alpha", type=float, metavar="TIME", help="relaxation time (default: known at T = 0.44, 0.5, 0.64)")
    ensemble("--configurations", type=int, default=1, metavar="M", help="configurations, each with its runs")
    ensemble("--runs", type=int, default=32, metavar="R", help="runs from each configuration")
    ensemble(
        "--times",
        type=float,
        nargs="+",
        metavar="TIME",
        help="of the targets (default: the paper's at T = 0.44, 0.5, 0.64, else 8 from 0.13 to tau_alpha)",
    )
    ensemble("--replicas", choices=("nve", "nvt"), default="nve", help="runs at constant energy, or temperature (nvt)")
    ensemble("--cutoff", type=float, default=2.0, metavar="R", help="largest distance of the pairs that are stored")
    ensemble("--seed", type=int, default=0, help="decides all random numbers")

    preparation = parser.add_argument_group("preparation").add_argument
    preparation("--melt-temperature", type=float, default=5.0, metavar="T", help="where it starts")
    preparation("--melt-time", type=float, default=20.0, metavar="TIME", help="time there; 1e4 in the paper")
    preparation("--quench-time", type=float, default=20.0, metavar="TIME", help="time of the linear quench")
    preparation("--equilibration", type=float, default=40.0, metavar="X", help="thermostat time after it, in tau_alpha")
    preparation(
        "--configurations-per-quench", type=int, default=1, metavar="K",
        help="1: a quench for each configuration; K: K configurations on the trajectory of each quench",
    )  # fmt: skip
    preparation("--decorrelation", type=float, default=10.0, metavar="X", help="time between those, in tau_alpha")
    preparation("--thermostat-time", type=float, default=0.5, metavar="TIME", help="damping time of Nose-Hoover")

    model = parser.add_argument_group("model").add_argument
    model("--density", type=float, default=DENSITY, help="number density")
    model("--fraction-b", type=float, default=0.2, metavar="X", help="part of B particles")
    pairs = ("AA", "AB", "BB")
    model("--epsilon", type=float, nargs=3, default=EPSILON, metavar=pairs, help="energies")
    model("--sigma", type=float, nargs=3, default=SIGMA, metavar=pairs, help="lengths")
    model("--potential-cutoff", type=float, default=2.5, metavar="X", help="range of the potential, in sigma_ab")
    model("--dt", type=float, default=0.005, metavar="TIME", help="time step")

    other = parser.add_argument_group("other").add_argument
    other("--wave-number", type=float, default=2 * math.pi, metavar="K", help="of F_s and the fit of tau_alpha")
    other("--checkpoint-steps", type=int, default=100_000, metavar="N", help="thermostat steps between two checkpoints")
    other("--threads", type=int, default=1, metavar="N", help="OpenMP threads of LAMMPS; shards scale better")


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

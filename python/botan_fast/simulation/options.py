"""The options of `simulate`: its arguments, those of `Protocol` among them."""

import math
from dataclasses import replace

from ..data.options import QUIET
from ..option import Option
from ..physics.kob_andersen import CUTOFF, DENSITY, EPSILON, SIGMA

__all__ = ["SIMULATE"]

_MAIN = (
    Option("output", "path", "data set; one that exists is added to", metavar="FILE.h5", required=True, short="-o"),
    Option("shard", "text", "make part I of N (1 ... N) of the quenches, into FILE.I-of-N.h5", metavar="I/N"),
    Option("keep_trajectories", "switch", "keep the positions of all runs in FILE.h5.work", default=False),
    Option("energy_tolerance", "number", "largest |E(t) - E(0)| / (N T) of a run", default=0.005, metavar="X"),
    Option("inherent", "switch", "store the inherent structure of each configuration too", default=False),
    Option("targets", "text", "targets to store: S and E, and any of R, C, D, L", default="SE", metavar="LETTERS"),
    QUIET,
)
_ENSEMBLE = (
    Option("num_particles", "integer", "particles", default=4096, metavar="N"),
    Option("temperature", "number", "temperature", default=0.64, metavar="T"),
    Option("tau_alpha", "number", "relaxation time (default: known at T = 0.44, 0.5, 0.64)", metavar="TIME"),
    Option("configurations", "integer", "configurations, each with its runs", default=1, metavar="M"),
    Option("runs", "integer", "runs from each configuration", default=32, metavar="R"),
    Option(
        "times",
        "number",
        "of the targets (default: the paper's at T = 0.44, 0.5, 0.64, else 8 from 0.13 to tau_alpha)",
        several=True,
        metavar="TIME",
    ),
    Option(
        "replicas",
        "text",
        "runs at constant energy, or temperature (nvt)",
        default="nve",
        choices=("nve", "nvt"),
    ),
    Option("cutoff", "number", "largest distance of the pairs that are stored", default=2.0, metavar="R"),
    Option("seed", "integer", "decides all random numbers", default=0),
)
_PREPARATION = (
    Option("melt_temperature", "number", "where it starts", default=5.0, metavar="T"),
    Option("melt_time", "number", "time there; 1e4 in the paper", default=20.0, metavar="TIME"),
    Option("quench_time", "number", "time of the linear quench", default=20.0, metavar="TIME"),
    Option("equilibration", "number", "thermostat time after it, in tau_alpha", default=40.0, metavar="X"),
    Option(
        "configurations_per_quench",
        "integer",
        "1: a quench for each configuration; K: K configurations on the trajectory of each quench",
        default=1,
        metavar="K",
    ),
    Option("decorrelation", "number", "time between those, in tau_alpha", default=10.0, metavar="X"),
    Option("thermostat_time", "number", "damping time of Nose-Hoover", default=0.5, metavar="TIME"),
)
_MODEL = (
    Option("density", "number", "number density", default=DENSITY),
    Option("fraction_b", "number", "part of B particles", default=0.2, metavar="X"),
    Option("epsilon", "number", "energies", default=EPSILON, several=3, metavar=("AA", "AB", "BB")),
    Option("sigma", "number", "lengths", default=SIGMA, several=3, metavar=("AA", "AB", "BB")),
    Option("potential_cutoff", "number", "range of the potential, in sigma_ab", default=CUTOFF, metavar="X"),
    Option("dt", "number", "time step", default=0.005, metavar="TIME"),
)
_OTHER = (
    Option("wave_number", "number", "of F_s and the fit of tau_alpha", default=2 * math.pi, metavar="K"),
    Option(
        "checkpoint_steps",
        "integer",
        "thermostat steps between two checkpoints",
        default=100_000,
        metavar="N",
    ),
    Option("threads", "integer", "OpenMP threads of LAMMPS; shards scale better", default=1, metavar="N"),
)

SIMULATE = (
    *_MAIN,
    *(replace(option, group="ensemble") for option in _ENSEMBLE),
    *(replace(option, group="preparation") for option in _PREPARATION),
    *(replace(option, group="model") for option in _MODEL),
    *(replace(option, group="other") for option in _OTHER),
)
"""`botan-fast simulate`: the arguments of `simulate`; quiet is progress=False."""

"""The options of `evaluate` and `predict`, and those that every command which runs a model has."""

from dataclasses import replace

from ..data.options import DATA, FORCE, QUIET, READING, THREADS
from ..option import Option
from ..quantities import FIRST_SHELL

__all__ = ["DEVICE", "EVALUATE", "FORMATS", "JSON", "MODEL", "PRECISION", "PREDICT", "WINDOWS", "is_shipped"]


def is_shipped(name: str) -> bool:
    """Is this the name of a model that comes with the package, and no path?"""
    from ..model.shipped import shipped_models

    return name in shipped_models()


MODEL = Option(
    "model",
    "path",
    "model file, run folder, the authors' .pth, TensorFlow checkpoint, or ka-t0.44-tau; several: their mean",
    several=True,
    metavar="MODEL",
    required=True,
    named=is_shipped,
)
PRECISION = Option("precision", "text", "matrix products: fp32, bf16, tf32; auto: bf16 where faster", default="fp32")
DEVICE = Option("device", "text", "cpu, cuda, ... (default: cuda where torch finds it)")
_ROTATIONS = Option("rotations", "integer", "mean over R random rotations of the data", default=0, metavar="R")
WINDOWS = Option(
    "windows",
    "number",
    "edges of the windows of r_ij(0) of the pairs that are scored (default: 0 1.35)",
    several=True,
    metavar="R",
)
JSON = Option("json", "switch", "print one JSON object", default=False)

FORMATS = ("npz", "xyz", "lammps", "ovito")  # kinds of files that predict writes

EVALUATE = (
    MODEL,
    DATA,
    _ROTATIONS,
    JSON,
    Option("seeds", "switch", "several models are seeds: score each alone; median, best, worst", default=False),
    Option("output", "path", "write the scores into FILE too: CSV for .csv, else JSON", metavar="FILE", short="-o"),
    replace(FORCE, help="overwrite FILE"),
    PRECISION,
    *READING,
    WINDOWS,
    DEVICE,
    THREADS,
    QUIET,
)
"""`botan-fast evaluate`: the arguments of `evaluate`, rotations, what it prints and writes, and threads."""

PREDICT = (
    MODEL,
    DATA,
    _ROTATIONS,
    Option(
        "output",
        "path",
        "folder, which gets files of --formats for each configuration; or, for one configuration, a file that ends in "
        ".npz, .xyz, .extxyz, .data, .lmp or .ovito",
        metavar="OUT",
        required=True,
        short="-o",
    ),
    Option(
        "frames",
        "text",
        "of a trajectory: first (default), or all: one XYZ trajectory, and an npz for each frame in a folder OUT",
        default="first",
        metavar="WHICH",
    ),
    Option(
        "formats",
        "text",
        "what a folder OUT gets: npz, xyz (default: both), lammps (data file with bonds, dumps), ovito (session)",
        default=["npz", "xyz"],
        several=True,
        choices=FORMATS,
        metavar="FORMAT",
    ),
    Option(
        "color",
        "text",
        "what colours show in OVITO: a column such as propensity (default: the first), propensity_error; or none",
        metavar="COLUMN",
    ),
    Option("bonds", "number", "bonds in LAMMPS and OVITO files: pairs nearer than R", default=FIRST_SHELL, metavar="R"),
    FORCE,
    PRECISION,
    *READING,
    DEVICE,
    THREADS,
    QUIET,
)
"""`botan-fast predict`: the arguments of `predict`, where it writes, and threads."""

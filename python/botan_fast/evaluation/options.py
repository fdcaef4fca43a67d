"""The options of `evaluate` and `predict`, and those that every command which runs a model has."""

from dataclasses import replace

from ..data.options import DATA, FORCE, QUIET, READING, THREADS
from ..option import Option

__all__ = ["DEVICE", "EVALUATE", "JSON", "MODEL", "PRECISION", "PREDICT", "is_shipped"]


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
JSON = Option("json", "switch", "print one JSON object", default=False)

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
    Option(
        "windows",
        "number",
        "edges of the windows of r_ij(0) of the pairs that are scored (default: 0 1.35)",
        several=True,
        metavar="R",
    ),
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
        "folder, which gets an npz and an extended XYZ file for each configuration; or, for one configuration, a file "
        "that ends in .npz, .xyz or .extxyz",
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
    FORCE,
    PRECISION,
    *READING,
    DEVICE,
    THREADS,
    QUIET,
)
"""`botan-fast predict`: the arguments of `predict`, where it writes, and threads."""

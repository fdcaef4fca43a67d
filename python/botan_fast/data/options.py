"""The options of `convert`, and those that every command which reads data has."""

from dataclasses import replace

from ..option import Option

__all__ = [
    "BOX",
    "CONVERT",
    "DATA",
    "DENSITY",
    "FORCE",
    "QUIET",
    "READING",
    "SPECIES",
    "STRUCTURE",
    "TEMPERATURE",
    "THREADS",
    "TIME",
]

DATA = Option(
    "data",
    "data",
    "data sets, other files, or quoted glob patterns such as 'data/*.npz'",
    several=True,
    metavar="DATA",
    required=True,
)
BOX = Option(
    "box",
    "number",
    "edge of the periodic box, or one number for each axis",
    several=True,
    alone=float,
    rows=True,
    metavar="L",
)
DENSITY = Option("density", "number", "number density of a cubic box (default: the file's box; authors' npz: 1.2)")
TEMPERATURE = Option("temperature", "number", "which of the data's temperatures to take", several=True, metavar="T")
TIME = Option("time", "number", "which of the data's times to take", several=True, metavar="T")
SPECIES = Option(
    "species",
    "text",
    "names of the types A, B, ... in the data, such as Si Ge (default: the data's own order)",
    several=True,
    metavar="NAME",
)
READING = (BOX, DENSITY, TEMPERATURE, TIME, SPECIES)
"""What `load_samples`, `train`, `evaluate` and `convert` are told about files."""

_PAIRS = Option("pairs", "text", "edges by thermal (default) or inherent positions, or their union")
_POTENTIAL = Option(
    "potential",
    "settings",
    "of inherent structures: kob-andersen (default), or a JSON file with tables",
    metavar="NAME",
    named=lambda word: not word.endswith(".json"),
)
_DESCRIPTORS = Option("descriptors", "settings", "JSON file with settings of descriptors", metavar="FILE")
STRUCTURE = (_PAIRS, _POTENTIAL, _DESCRIPTORS)
"""Of the inherent structure, see `botan_fast.data.structure`."""

THREADS = Option("threads", "integer", "CPU threads (default: torch's choice)", metavar="N")
QUIET = Option("quiet", "switch", "no progress on standard error", default=False)
FORCE = Option("force", "switch", "overwrite files", default=False)

CONVERT = (
    Option(
        "inputs",
        "data",
        "files of any readable format, data sets, or quoted glob patterns",
        several=True,
        metavar="INPUT",
        required=True,
        position=True,
    ),
    Option(
        "output",
        "path",
        "the data set; an interrupted one is continued",
        metavar="FILE.h5",
        required=True,
        short="-o",
    ),
    Option("append", "switch", "add to a data set that exists", default=False),
    replace(FORCE, help="overwrite a data set that exists"),
    replace(TIME, help="time of the data; where the files tell, which to take"),
    replace(TEMPERATURE, help="temperature, in the same manner"),
    Option("targets", "text", "targets to store: S, and any of E, R, C, D, L", default="SE", metavar="LETTERS"),
    Option("inherent", "switch", "store inherent structures too", default=False),
    replace(_POTENTIAL, default="kob-andersen"),
    Option("cutoff", "number", "largest pair distance of E (default: 2, or that of the data sets)"),
    BOX,
    DENSITY,
    SPECIES,
    THREADS,
    QUIET,
)
"""`botan-fast convert`: the arguments of `convert`, and threads."""

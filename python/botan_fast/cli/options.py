"""Options that several commands share: each is described once, and its value is read in one place."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..files import is_file, natural_key, printable

if TYPE_CHECKING:
    from ..data.dataset import Dataset

__all__ = [
    "DATA_HELP",
    "DATA_OPTIONS",
    "MAX_THREADS",
    "RUN_OPTIONS",
    "SEVERAL",
    "STRUCTURE_OPTIONS",
    "add_options",
    "data_options",
    "data_options_text",
    "in_order",
    "set_threads",
    "structure_options",
    "training_with",
]

MAX_THREADS = 1024
DATA_HELP = "data sets, other files, or quoted glob patterns such as 'data/*.npz'"

_OPTIONS: dict[str, dict[str, Any]] = {
    "--model": {"required": True, "help": "model file, run folder, the authors' .pth, or TensorFlow checkpoint"},
    "--data": {"nargs": "+", "required": True, "metavar": "DATA", "help": DATA_HELP},
    "--rotations": {
        "type": int,
        "default": 0,
        "metavar": "R",
        "help": "mean over R random rotations of the data",
    },
    "--node-inputs": {"nargs": "+", "metavar": "NAME", "help": "type, species, descriptors, energy, force, ..."},
    "--edge-inputs": {"nargs": "+", "metavar": "NAME", "help": "vector, radial, inherent"},
    "--pairs": {"help": "edges by thermal (default) or inherent positions, or their union"},
    "--potential": {
        "metavar": "NAME",
        "help": "of inherent structures: kob-andersen (default), or a JSON file with tables",
    },
    "--descriptors": {"metavar": "FILE", "help": "JSON file with settings of descriptors"},
    "--precision": {"default": "fp32", "help": "matrix products: fp32, bf16, tf32; auto: bf16 where faster"},
    "--force": {"action": "store_true", "help": "overwrite files"},
    "--json": {"action": "store_true", "help": "print one JSON object"},
    "--box": {
        "type": float,
        "nargs": "+",
        "metavar": "L",
        "help": "edge of the periodic box, or one number for each axis",
    },
    "--density": {
        "type": float,
        "help": "number density of a cubic box (default: the file's box; authors' npz: 1.2)",
    },
    "--temperature": {
        "type": float,
        "nargs": "+",
        "metavar": "T",
        "help": "which of the data's temperatures to take",
    },
    "--time": {"type": float, "nargs": "+", "metavar": "T", "help": "which of the data's times to take"},
    "--species": {
        "nargs": "+",
        "metavar": "NAME",
        "help": "names of the types A, B, ... in the data, such as Si Ge (default: the data's own order)",
    },
    "--device": {"help": "cpu, cuda, ... (default: cuda where torch finds it)"},
    "--threads": {"type": int, "metavar": "N", "help": "CPU threads (default: torch's choice)"},
    "--quiet": {"action": "store_true", "help": "no progress on standard error"},
}

# Groups that several commands have in this order.
DATA_OPTIONS = ("--box", "--density", "--temperature", "--time", "--species")
RUN_OPTIONS = ("--device", "--threads", "--quiet")
STRUCTURE_OPTIONS = ("--pairs", "--potential", "--descriptors")
# Where several models are one ensemble.
SEVERAL = {
    "nargs": "+",
    "metavar": "MODEL",
    "help": "model file, run folder, the authors' .pth, TensorFlow checkpoint, or ka-t0.44-tau; several: their mean",
}


def add_options(parser: argparse.ArgumentParser, *flags: str, **other: Any) -> None:
    """Add shared options to a parser; `other` replaces what differs in this command, such as help="..."."""
    for flag in flags:
        parser.add_argument(flag, **{**_OPTIONS[flag], **other})


def in_order(files: list[str]) -> list[str]:
    """Files in natural order, whether the shell expanded a pattern (1, 10, 2) or botan_fast does."""
    return sorted(files, key=natural_key)


def data_options(arguments: argparse.Namespace) -> dict:
    """The values of DATA_OPTIONS, named as `load_samples`, `train`, `evaluate` and `convert` name them."""
    box = arguments.box
    if box is not None and len(box) == 1:  # the edge of a cube
        [box] = box
    return {
        "box": box,
        "density": arguments.density,
        "temperature": arguments.temperature,
        "time": arguments.time,
        "species": arguments.species,
    }


def data_options_text(arguments: argparse.Namespace) -> str:
    """The DATA_OPTIONS of a command as it got them, for the next command: " --time 4", or nothing."""
    given = ((flag, getattr(arguments, flag.removeprefix("--"))) for flag in DATA_OPTIONS)
    return "".join(
        f" {flag} {' '.join(map(repr, value if isinstance(value, list) else [value]))}"
        for flag, value in given
        if value is not None
    )


def training_with(dataset: Dataset) -> str:
    """The command that trains on a data set, at the first of several temperatures and times."""
    choice = "".join(
        f" --{name} {values[0]!r}"
        for name, values in (("temperature", dataset.temperatures), ("time", dataset.times))
        if len(values) > 1
    )
    return f"botan-fast train --train {shlex.quote(str(dataset.path))}{choice} --output run"


def _read_json(option: str, path: str) -> Any:
    """What the JSON file of an option holds."""
    try:
        is_file(path)  # refuses a pipe, which would be waited for
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = printable(getattr(error, "strerror", None) or error)
        raise InputError(f"{option} {printable(path)} cannot be read ({reason}); give a JSON file") from None


def structure_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values of STRUCTURE_OPTIONS: names as they are, files as what is in them."""
    options = {name: getattr(arguments, name) for name in ("pairs", "potential", "descriptors")}
    if options["descriptors"] is not None:
        options["descriptors"] = _read_json("--descriptors", options["descriptors"])
    if (options["potential"] or "").endswith(".json"):
        from ..physics.potential import LennardJones

        options["potential"] = LennardJones.from_dict(_read_json("--potential", options["potential"]))
    return options


def set_threads(number: int | None) -> None:
    """Let torch, and with it the compiled kernels, use the threads of --threads."""
    if number is None:
        return
    if number < 1:
        raise InputError(f"--threads = {number}; give a whole number of at least 1")
    if number > MAX_THREADS:  # the runtime of OpenMP ends the process where the system gives it no more
        raise InputError(f"--threads = {number}; give at most {MAX_THREADS}, best the number of cores")
    import torch

    torch.set_num_threads(number)

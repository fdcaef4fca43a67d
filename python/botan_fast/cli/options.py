"""What commands do with options that several of them have."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..data.options import READING, STRUCTURE
from ..errors import InputError
from ..files import is_file, printable

if TYPE_CHECKING:
    from ..data.dataset import Dataset

__all__ = [
    "MAX_THREADS",
    "data_options",
    "data_options_text",
    "potential",
    "set_threads",
    "structure_options",
    "training_with",
]

MAX_THREADS = 1024


def data_options(arguments: argparse.Namespace) -> dict:
    """The values of READING, named as `load_samples`, `train`, `evaluate` and `convert` name them."""
    return {option.name: getattr(arguments, option.name) for option in READING}


def data_options_text(arguments: argparse.Namespace) -> str:
    """The options READING of a command as it got them, for the next command: " --time 4", or nothing."""
    text = ""
    for option in READING:
        value = getattr(arguments, option.name)
        values = value if isinstance(value, list) else [value]
        if value is not None and not isinstance(values[0], list):  # a cell, which the command line cannot hold
            text += f" {option.flag} {' '.join(map(repr, values))}"
    return text


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
    """The values of STRUCTURE: names as they are, files as what is in them."""
    values = {option.name: getattr(arguments, option.name) for option in STRUCTURE}
    if isinstance(values["descriptors"], str):
        values["descriptors"] = _read_json("--descriptors", values["descriptors"])
    return values | {"potential": potential(values["potential"])}


def potential(value: str | dict | None) -> Any:
    """The value of --potential: a name, or what a table or a JSON file says."""
    table = _read_json("--potential", value) if isinstance(value, str) and value.endswith(".json") else value
    if table is None or isinstance(table, str):
        return table
    from ..physics.potential import LennardJones

    return LennardJones.from_dict(table)


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

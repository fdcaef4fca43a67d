"""run.toml: the options of a run, in its folder, which `--config` reads to repeat it.

The options are those that were given, and the recipe's name: what the recipe says is not written out. Paths and glob
patterns are absolute, so that the file may be copied. What a file cannot hold, such as samples in memory, it names in a
comment and in the list `objects`; `--config` then asks for it.
"""

import os
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset
from ..errors import InputError, warn
from ..files import is_file, printable, write_bytes
from ..option import OBJECTS, Option, place
from ..physics.descriptor_settings import DescriptorSettings
from ..physics.potential import LennardJones

__all__ = ["NAME", "run_file", "write_run_file"]

NAME = "run.toml"
_MARK = re.compile(rb"# botan_fast \S+ wrote this file")
_OTHERS = ("output", "resume", "force")  # of this run alone


class _NotInAFile(Exception):
    """A value that a file cannot hold."""


def run_file(
    command: str, options: Iterable[Option], given: Mapping[str, Any], folder: Path, processes: int = 1
) -> bytes:
    """What run.toml of the run in `folder` holds, for the arguments of `train` or `train_baseline`.

    >>> from pathlib import Path
    >>> from botan_fast.training.options import TRAIN
    >>> from botan_fast.training.run_file import run_file
    >>> given = {"train": ["/data/a.npz"], "recipe": "paper", "epochs": None, "seed": 1, "init": object()}
    >>> print(run_file("train", TRAIN, given, Path("/runs/a")).decode())
    # botan_fast ... wrote this file when the run began. It repeats the run:
    #     botan-fast train --config /runs/a/run.toml --output ANOTHER
    # Not in this file, to be given besides: init (a object).
    objects = [
        "init",
    ]
    train = [
        "/data/a.npz",
    ]
    recipe = "paper"
    seed = 1
    <BLANKLINE>
    """
    import tomli_w  # the workers of a sweep import this room's tables, and not this

    from .. import __version__

    values: dict[str, Any] = {}
    objects: dict[str, str] = {}
    for option in options:
        value = given.get(option.name)
        if value is None or option.name in _OTHERS:
            continue
        try:
            values[option.name] = option.value(_value(option, value), "")
        except (_NotInAFile, InputError):
            objects[option.name] = _described(value)
    again = ["botan-fast", command, "--config", os.path.join(_here(), folder, NAME), "--output", "ANOTHER"]
    lines = [f"botan_fast {__version__} wrote this file when the run began. It repeats the run:"]
    lines.append(f"    {printable(shlex.join(again), 5000)}")
    if processes > 1:
        lines.append(f"The run has {processes} processes; the same bits come from as many.")
    if objects:
        said = ", ".join(f"{name} ({what})" for name, what in objects.items())
        lines.append(f"Not in this file, to be given besides: {said}.")
        values = {OBJECTS: list(objects), **values}
    if given.get("callbacks"):
        names = ", ".join(_kind(callback) for callback in given["callbacks"])
        lines.append(f"Not in this file, and without effect on the model unless they end a run: callbacks ({names}).")
    comment = "".join(f"# {line}\n" for line in lines)
    return (comment + tomli_w.dumps(values)).encode()


def write_run_file(path: Path, content: bytes) -> None:
    """Write run.toml, in one step, unless it says the same already; a file that is not botan_fast's own stays."""
    if is_file(path):
        if not _MARK.match(path.read_bytes()):
            warn(f"'{path}' is not a file of botan_fast and stays as it is; the options of this run are in config.json")
            return
        if _options(path.read_bytes()) == _options(content):
            return
    write_bytes(path, content)


def _options(content: bytes) -> bytes:
    """A file without its comments, which have the version and the folder."""
    return b"\n".join(line for line in content.split(b"\n") if not line.startswith(b"#"))


def _value(option: Option, value: Any) -> Any:
    """The value as TOML holds it, with absolute paths."""
    if option.kind == "data":
        items = value if isinstance(value, (list, tuple)) else [value]
        return [_path(option, item.path if isinstance(item, Dataset) else item) for item in items]
    if option.kind == "path":
        return _path(option, value)
    if isinstance(value, (LennardJones, DescriptorSettings)):
        value = value.as_dict()
    if option.name == "device":
        value = str(value)
    return _plain(value)


def _path(option: Option, path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise _NotInAFile
    text = _plain(os.fspath(path))
    if option.named is not None and option.named(text):
        return text
    return place(text, _here(), patterns=option.kind == "data")


def _here() -> str:
    """The folder that relative paths count from."""
    try:
        return os.getcwd()
    except FileNotFoundError:  # it is gone, and only absolute paths are of use
        return ""


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and tables; entries that are None are left out of tables."""
    if hasattr(value, "tolist"):  # an array, a tensor, a number of NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise _NotInAFile
        return {_plain(name): _plain(part) for name, part in value.items() if part is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:  # a file name that is no UTF-8
            raise _NotInAFile from None
        return str(value)
    if not isinstance(value, (bool, int, float)):
        raise _NotInAFile
    return value


def _described(value: Any) -> str:
    """A value for a comment: "2 Sample", "a BOTAN"."""
    if isinstance(value, (list, tuple)) and value:
        return f"{len(value)} {_kind(value[0])}"
    return f"a {_kind(value)}"


def _kind(value: Any) -> str:
    return printable(getattr(value, "__name__", None) or type(value).__name__, 60)

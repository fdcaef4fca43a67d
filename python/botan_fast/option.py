"""What a command can be told: one description of an option for its flag, its help, configuration files and the docs.

Each room has the table of its commands: `training.options.TRAIN` is what `botan-fast train`, `--config FILE`, the plan
of a sweep, and `run.toml` of a run know. The names are those of the arguments in Python.
"""

from __future__ import annotations

import glob
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from .errors import InputError
from .files import FilePath, did_you_mean, is_file, near_matches, printable

__all__ = ["OBJECTS", "Option", "check_table", "meant", "place", "read_toml"]

OBJECTS = "objects"  # in a file: names of the options that were given as objects in Python, which it cannot hold

Kind: TypeAlias = Literal["text", "path", "data", "integer", "number", "count", "weight", "switch", "settings"]

# What a value of each kind is called in a message, and in the docs.
_CALLED: dict[str, tuple[str, str]] = {
    "text": ("a text in quotes", "texts in quotes"),
    "path": ("a path in quotes", "paths in quotes"),
    "data": ("a path or a glob pattern in quotes", "paths or glob patterns in quotes"),
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "count": ("a number", "numbers"),
    "weight": ("a word in quotes or a number", "numbers"),
    "switch": ("true or false", ""),
    "settings": ("a table, or the name of a JSON file in quotes", ""),
}

# What other programs call it: the words are too far from ours for a comparison of letters.
_ELSEWHERE = {
    "lr": "learning_rate",
    "bs": "batch_size",
    "hidden": "hidden_size",
    "hidden_dim": "hidden_size",
    "width": "hidden_size",
    "layers": "num_steps",
    "num_layers": "num_steps",
    "steps": "num_steps",
    "out": "output",
    "outdir": "output",
    "output_dir": "output",
    "gpu": "device",
    "cuda": "device",
    "jobs": "threads",
    "num_threads": "threads",
    "workers": "threads",
    "weights": "model",
    "checkpoint": "model",
    "overwrite": "force",
    "rho": "density",
    "temp": "temperature",
    "rcut": "cutoff",
    "r_cut": "cutoff",
    "silent": "quiet",
    "continue": "resume",
    "restart": "resume",
}
_LARGEST_FILE = 10_000_000  # bytes; a configuration is written by hand, or lists files


@dataclass(frozen=True)
class Option:
    """One option of a command.

    name       as in Python: "learning_rate", on the command line --learning-rate
    kind       "text"; "path"; "data", a path or glob pattern; "integer"; "number"; "count", a number that stays an
               integer if it is one; "weight", a number or a word; "switch"; "settings", a table or a JSON file's name
    help       what it means, in a line
    default    what the function in Python has
    several    True: one value or more, a list; 3: so many
    alone      one value of this type is no list, where several may be given: float for the edge of a cube
    rows       in a file also a list of lists: the rows of a cell
    metavar    the word for a value in --help
    required   there is no command without it
    choices    all values that there are
    group      heading in --help
    short      "-o"
    position   on the command line it has no flag
    named      of a path: is this the name of something that comes with the package, rather than a path?

    >>> from botan_fast.option import Option
    >>> steps = Option("num_steps", "integer", "message passing steps", default=7)
    >>> steps.flag, steps.value(5, "run.toml")
    ('--num-steps', 5)
    >>> steps.value(True, "run.toml")
    Traceback (most recent call last):
    botan_fast.errors.InputError: run.toml: num_steps = true; give a whole number
    """

    name: str
    kind: Kind
    help: str
    default: Any = None
    several: bool | int = False
    alone: type | None = None
    rows: bool = False
    metavar: str | tuple[str, ...] | None = None
    required: bool = False
    choices: tuple[str, ...] | None = None
    group: str | None = None
    short: str | None = None
    position: bool = False
    named: Callable[[str], bool] | None = None

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def called(self) -> str:
        """What a value is, for a message: "a whole number", "a list of 3 numbers"."""
        one, many = _CALLED[self.kind]
        if not self.several:
            return f"one of {', '.join(map(json.dumps, self.choices))}" if self.choices else one
        number = "" if self.several is True else f"{self.several} "
        single = f"{one}, or " if self.several is True else ""
        return f"{single}a list of {number}{many}"

    def value(self, value: Any, where: str, folder: FilePath | None = None) -> Any:
        """The value in Python of one from a file, as the command line would give it; InputError for another kind.

        Whole numbers are numbers; 1.0 is no whole number, true is no number. A value alone is a list of one.
        """
        if not self.several:
            return self._one(value, value, where, folder)
        values = value if isinstance(value, list) else [value]
        if not values or (self.several is not True and len(values) != self.several):
            self._refuse(value, where)
        if self.rows and all(isinstance(row, list) for row in values):
            return [[self._one(number, value, where, folder) for number in row] for row in values]
        return self.gathered([self._one(part, value, where, folder) for part in values])

    def gathered(self, values: list[Any]) -> Any:
        """The list itself, or the one value in it that stands alone."""
        one = self.alone is not None and len(values) == 1 and isinstance(values[0], self.alone)
        return values[0] if one else values

    def _one(self, value: Any, whole: Any, where: str, folder: FilePath | None) -> Any:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            "integer": number and isinstance(value, int),
            "number": number,
            "count": number,
            "weight": number or isinstance(value, str),
            "switch": isinstance(value, bool),
            "settings": isinstance(value, (str, dict)),
        }.get(self.kind, isinstance(value, str))
        if not fits or (self.choices and value not in self.choices):
            self._refuse(whole, where)
        if number and self.kind in ("number", "weight"):
            try:
                return float(value)
            except OverflowError:
                self._refuse(whole, where)
        is_path = self.kind in ("path", "data", "settings") and isinstance(value, str)
        if folder is None or not is_path or (self.named is not None and self.named(value)):
            return value
        return place(os.path.expanduser(value), folder, patterns=self.kind == "data")

    def _refuse(self, value: Any, where: str) -> None:
        text = str(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
        shown = printable(text, 60)
        written = f", {int(value)}" if self.kind == "integer" and isinstance(value, float) and value % 1 == 0 else ""
        raise InputError(f"{where}: {self.name} = {shown}; give {self.called}{written}")


def place(path: str, folder: FilePath, patterns: bool = False) -> str:
    """A path that counts from a folder, as one that counts from where we are; with `patterns` also a glob pattern.

    >>> from botan_fast.option import place
    >>> place("conf_*.npz", "runs[1]", patterns=True), place("/data/a.npz", "runs[1]"), place("a.npz", "runs[1]")
    ('runs[[]1]/conf_*.npz', '/data/a.npz', 'runs[1]/a.npz')
    """
    joined = os.path.join(folder, path)
    if not path or not patterns or os.path.isabs(path) or not glob.has_magic(path):
        return joined if path else path
    # A name with brackets may be a file; placeholders of a layout, in braces, are read by another reader than glob.
    if "{" in path or os.path.exists(joined):
        return joined
    return os.path.join(glob.escape(os.fspath(folder)), path)


def meant(word: str, names: Iterable[str], show: Callable[[str], str] = str) -> str:
    """The end of a message about an unknown option: the one of another name, of this beginning, or close to it.

    >>> from botan_fast.option import meant
    >>> meant("lr", ["learning_rate", "epochs"]), meant("epoch", ["learning_rate", "epochs"])
    ('; did you mean learning_rate?', '; did you mean epochs?')
    """
    names = list(names)
    word = word.strip().lstrip("-").replace("-", "_").lower()
    for name in (word, _ELSEWHERE.get(word)):
        if name in names:
            return f"; did you mean {show(name)}?"
    begun = [name for name in names if name.startswith(word) or word.startswith(f"{name}_")] if word else []
    parts = [name for name in names if word in name.split("_")]  # rate, size
    if found := begun or parts:
        return f"; did you mean {' or '.join(map(show, found[:3]))}?"
    return did_you_mean(show(word), map(show, names))


def check_table(
    options: Iterable[Option],
    table: Mapping[str, Any],
    where: str,
    folder: FilePath | None = None,
    others: Mapping[str, Iterable[Option]] | None = None,
) -> dict[str, Any]:
    """The values of a table from TOML, as the command line would give them.

    Parameters
    ----------
    options
        What there is.
    table
        Values by the names of options in Python.
    where
        The file, for messages.
    folder
        Relative paths count from there; None leaves them.
    others
        Tables of other commands by their names, to say whose an option is.

    Raises
    ------
    InputError
        for a name that is no option, with the one that was meant, and for a value of another kind.

    Examples
    --------
    >>> from botan_fast.option import Option, check_table
    >>> options = [Option("learning_rate", "number", "step size"), Option("train", "data", "data", several=True)]
    >>> check_table(options, {"learning_rate": 1, "train": "a.npz"}, "run.toml", folder="T0.44")
    {'learning_rate': 1.0, 'train': ['T0.44/a.npz']}
    >>> check_table(options, {"learning-rate": 1e-3}, "run.toml")
    Traceback (most recent call last):
    botan_fast.errors.InputError: run.toml: unknown option learning-rate; did you mean learning_rate?
    """
    known = {option.name: option for option in options}
    values = {}
    for name, value in table.items():
        if name not in known:
            _refuse_unknown(name, known, where, others or {})
        values[name] = known[name].value(value, where, folder)
    return values


def _refuse_unknown(name: str, known: Mapping[str, Option], where: str, others: Mapping[str, Iterable[Option]]) -> None:
    owners = [command for command, options in others.items() if name in {option.name for option in options}]
    shown = printable(name, 40)
    if owners:
        raise InputError(f"{where}: {shown} is an option of {' and '.join(owners)}, not of this command; leave it out")
    raise InputError(f"{where}: unknown option {shown}{meant(name, known)}")


def read_toml(path: FilePath) -> dict[str, Any]:
    """What a TOML file holds; InputError, in one line, where there is none or it is broken.

    >>> from botan_fast.option import read_toml
    >>> read_toml("missing.toml")
    Traceback (most recent call last):
    botan_fast.errors.InputError: missing.toml: no such file...
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    where = printable(path)
    if not is_file(path):
        if os.path.isdir(path):
            inside = os.path.join(path, "run.toml")
            hint = f"; did you mean {printable(inside)}?" if os.path.exists(inside) else "; give a TOML file"
            raise InputError(f"{where} is a folder{hint}")
        raise InputError(f"{where}: no such file{near_matches(Path(path))}")
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from None
    if len(content) > _LARGEST_FILE:
        raise InputError(f"{where} has more than {_LARGEST_FILE // 10**6} MB; give a TOML file of options")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{where} is not a text in UTF-8; give a TOML file") from None
    # No TOML, lists in lists without end, integers of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not valid TOML ({printable(error)})") from None

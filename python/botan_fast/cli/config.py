"""--config FILE: the options of a command from a TOML file. The command line wins."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from ..errors import InputError
from ..files import printable
from ..option import OBJECTS, Option, check_table, read_toml

__all__ = ["Arguments", "Config", "add_config"]

_OBJECT = object()


class Arguments(argparse.Namespace):
    """The values of a command, and which of them are those of its file: {name: file}, no value itself."""

    __slots__ = ("files",)
    files: Mapping[str, str]

    def __init__(self, values: Mapping[str, Any], files: Mapping[str, str]) -> None:
        super().__init__(**values)
        self.files = files


def add_config(parser: argparse.ArgumentParser) -> None:
    """Add --config to the parser of a command that has a table of options."""
    text = "options from a TOML file, named as in Python; the command line wins (--no-quiet turns one off)"
    parser.add_argument("--config", metavar="FILE.toml", help=text)


class Config:
    """What the file of --config says, if there is one."""

    def __init__(self, command: ModuleType, commands: Iterable[ModuleType], argv: list[str]) -> None:
        self.path = _path(argv) if hasattr(command, "TABLE") else None
        self.values: dict[str, Any] = {}
        if self.path is None:
            return
        if not self.path:
            raise InputError("--config is empty; give the name of a TOML file")
        self.where = printable(self.path)
        options: Iterable[Option] = command.TABLE
        others = {other.NAME: other.TABLE for other in commands if hasattr(other, "TABLE") and other is not command}
        table = read_toml(self.path)
        objects = _names(table.pop(OBJECTS, []), self.where)
        self.values = check_table(options, table, self.where, os.path.dirname(self.path), others)
        self.values |= {option.name: _OBJECT for option in options if option.name in objects}

    def fill(self, parser: argparse.ArgumentParser) -> None:
        """Let the values of the file be the defaults of the command line."""
        parser.set_defaults(**self.values)
        for action in parser._actions:
            if action.dest in self.values:
                action.required = False
                if not action.option_strings and action.nargs == "+":
                    action.nargs = "*"

    def arguments(self, values: Mapping[str, Any]) -> Arguments:
        """The values of the command line, and which of them come from the file; InputError for an object."""
        values = {name: value for name, value in values.items() if name != "config"}
        taken = {name: self.where for name, value in self.values.items() if values[name] is value}
        for name in taken:
            if values[name] is _OBJECT:
                flag = f"--{name.replace('_', '-')}"
                raise InputError(f"{self.where}: {name} was an object in Python, which a file cannot hold; give {flag}")
        return Arguments(values, taken)


def _path(argv: list[str]) -> str | None:
    """The file of --config among the words of a command, the last one if there are several."""
    found = None
    for k, word in enumerate(argv):
        after = argv[k + 1 : k + 2]
        if word == "--":
            break
        if word.startswith("--config="):
            found = word.removeprefix("--config=")
        elif word == "--config" and after and not after[0].startswith("-"):  # else argparse says what lacks
            found = after[0]
    return found


def _names(value: Any, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(f"{where}: {OBJECTS} = {printable(value, 60)}; give a list of names, or leave it out")
    return value

"""The options of a table as arguments of argparse."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

from ..files import natural_key
from ..option import Option

__all__ = ["add_options", "in_order"]


def add_options(parser: argparse.ArgumentParser, options: Iterable[Option]) -> None:
    """Add options to a parser, under the headings of their groups.

    >>> import argparse
    >>> from botan_fast.cli.arguments import add_options
    >>> from botan_fast.option import Option
    >>> parser = argparse.ArgumentParser()
    >>> add_options(parser, [Option("time", "number", "times", several=True), Option("quiet", "switch", "", False)])
    >>> parser.parse_args(["--time", "1", "2"])
    Namespace(time=[1.0, 2.0], quiet=False)
    """
    places: dict[str | None, argparse._ActionsContainer] = {None: parser}
    for option in options:
        if option.group not in places:
            places[option.group] = parser.add_argument_group(option.group)
        place = places[option.group]
        if option.kind == "switch":
            _add_switch(place, option)
        else:
            _add_value(place, option)


def in_order(files: list[str]) -> list[str]:
    """Files in natural order, whether the shell expanded a pattern (1, 10, 2) or botan_fast does."""
    return sorted(files, key=natural_key)


def _add_switch(place: argparse._ActionsContainer, option: Option) -> None:
    """--name and --no-name; --help shows the one that changes something."""
    yes, no = option.flag, f"--no-{option.flag[2:]}"
    if option.default is None:  # either may change what a recipe or a model says
        place.add_argument(yes, action=argparse.BooleanOptionalAction, help=option.help)
        return
    texts = (argparse.SUPPRESS, option.help) if option.default else (option.help, argparse.SUPPRESS)
    for flag, action, text in ((yes, "store_true", texts[0]), (no, "store_false", texts[1])):
        place.add_argument(flag, dest=option.name, action=action, default=option.default, help=text)


def _add_value(place: argparse._ActionsContainer, option: Option) -> None:
    types = {"integer": int, "number": float, "count": _number, "weight": _weight}
    more: dict[str, Any] = {"metavar": option.metavar, "help": option.help, "default": option.default}
    if option.kind in types:
        more["type"] = types[option.kind]
    if option.choices:
        more["choices"] = option.choices
    if option.several:
        more |= {"nargs": "+" if option.several is True else option.several, "action": _Several, "option": option}
    if option.position:
        place.add_argument(option.name, **more)
    else:
        flags = [option.flag, *([option.short] if option.short else [])]
        place.add_argument(*flags, required=option.required, **more)


class _Several(argparse.Action):
    """Several values as one: files in natural order, a value that stands alone by itself."""

    def __init__(self, option: Option, **more: Any) -> None:
        super().__init__(**more)
        self.option = option

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        if values is not self.default:  # argparse hands over the default of a position that nothing takes
            values = self.option.gathered(in_order(values) if self.option.kind == "data" else values)
        setattr(namespace, self.dest, values)


def _number(text: str) -> int | float:
    """2 is a number of something, 0.2 a fraction."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _weight(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


_number.__name__ = "number"  # as argparse calls it where it is none

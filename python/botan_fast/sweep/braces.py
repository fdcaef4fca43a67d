"""Texts with braces in a plan: what stands in them, before anybody knows what it means."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..files import printable
from .plan import refuse

__all__ = ["Braces", "fields", "hint", "parse"]

# Of layouts (botan_fast.formats.pattern); in a plan they are doubled.
_LAYOUT = ("configuration", "run", "time", "temperature", "step", "index")


@dataclass(frozen=True)
class Braces:
    """One {NAME KEY=VALUE ...:SPEC}: `choice` are its keys and values, as texts, `spec` a format of Python."""

    name: str
    choice: Mapping[str, str] = field(default_factory=dict)
    spec: str = ""
    text: str = ""


def parse(text: str, where: str) -> list[str | Braces]:
    """The parts of a text; InputError, at `where`, for braces that do not fit.

    >>> from botan_fast.sweep.braces import parse
    >>> parse("T{temperature:.2f}/run{{run}}", "plan.toml")
    ['T', Braces(name='temperature', choice={}, spec='.2f', text='{temperature:.2f}'), '/run{run}']
    >>> parse("{botan time=13 seed=*}", "plan.toml")[0].choice
    {'time': '13', 'seed': '*'}
    """
    parts: list[str | Braces] = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(text):
            if literal and parts and isinstance(parts[-1], str):  # behind doubled braces
                parts[-1] += literal
            elif literal:
                parts.append(literal)
            if name is not None:
                whole = f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}"
                parts.append(_braces(name, spec or "", whole, where, bool(conversion) or "{" in (spec or "")))
    except ValueError as error:
        refuse(where, f"{printable(text)!r}: {error}; double braces that stand for themselves: {{{{run}}}}")
    return parts


def _braces(inside: str, spec: str, whole: str, where: str, odd: bool) -> Braces:
    name, *words = inside.split() or [""]
    choice = dict(
        re.findall(r"^([A-Za-z_]\w*)=(\S+)$", word)[0] for word in words if re.match(r"[A-Za-z_]\w*=\S", word)
    )
    if odd or not name or len(choice) != len(words):
        refuse(where, f"{printable(whole)} is not of the form {{name}}, {{name:.2f}} or {{stage key=value ...}}")
    return Braces(name, choice, spec, whole)


def fields(value: Any, where: str) -> Iterator[Braces]:
    """All braces in a value of a plan: a text, or a list of them."""
    if isinstance(value, str):
        yield from (part for part in parse(value, where) if isinstance(part, Braces))
    elif isinstance(value, list):
        for part in value:
            yield from fields(part, where)


def hint(name: str) -> str:
    """The end of a message about an unknown name, where it is one of a layout."""
    return f"; of a layout it is doubled: {{{{{name}}}}}" if name in _LAYOUT else ""

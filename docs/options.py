"""The table of options in docs/training.md, from the table of the command: `python docs/options.py`.

With --check, compare only.
"""

import argparse
import re
import sys
from pathlib import Path

from botan_fast.option import Option
from botan_fast.training.options import TRAIN
from botan_fast.training.recipes import RECIPES

FILE = Path(__file__).with_name("training.md")
KINDS = {
    "text": "text",
    "path": "path",
    "data": "path",
    "integer": "whole number",
    "number": "number",
    "count": "number",
    "weight": "word or number",
    "switch": "true or false",
    "settings": "table, or JSON file",
}


def table(options: tuple[Option, ...]) -> str:
    """A row for each option, in the order of --help."""
    lines = ["| option | value | default | recipe structure | meaning |", "|---|---|---|---|---|", *map(row, options)]
    return "\n".join(lines)


def row(option: Option) -> str:
    paper, structure = (RECIPES[recipe].get(option.name) for recipe in ("paper", "structure"))
    default = option.default if option.default is not None else paper
    cells = [
        f"`{option.name}`",
        value(option),
        "needed" if option.required else shown(default),
        "" if structure == paper else shown(structure),
        option.help.replace("|", r"\|"),
    ]
    return f"| {' | '.join(cells)} |".replace("  |", " |")


def value(option: Option) -> str:
    kind = KINDS[option.kind]
    if option.kind == "settings" and option.named:
        kind = f"name, {kind}"
    if option.several is True:
        return f"{kind}, or a list"
    return f"list of {option.several}" if option.several else kind


def shown(default: object) -> str:
    """A default as TOML has it, but for lists, whose brackets need not be seen."""
    if default is None:
        return ""
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{', '.join(default)}`" if isinstance(default, (list, tuple)) else f"`{default}`"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only")
    check = parser.parse_args().check
    text = FILE.read_text(encoding="utf-8")
    marks = r"(<!-- options:begin -->\n).*?(\n<!-- options:end -->)"
    expected, number = re.subn(marks, lambda match: match[1] + table(TRAIN) + match[2], text, flags=re.DOTALL)
    if number != 1:
        sys.exit(f"{FILE} has no table of options; put <!-- options:begin --> and <!-- options:end --> into it")
    if check and text != expected:
        sys.exit(f"{FILE} is not what the options of train are; run python docs/options.py")
    if not check:
        FILE.write_text(expected, encoding="utf-8")


if __name__ == "__main__":
    main()

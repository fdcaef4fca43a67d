"""Sphinx extension: the directive `commands`, which shows the --help of botan-fast and of each of its commands.

The text is what a terminal shows, so that a page cannot differ from it.
"""

from __future__ import annotations

import os
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from botan_fast.cli.entry import command_parser

COLUMNS = "100"  # of a terminal: what fits beside the list of contents


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        os.environ["COLUMNS"] = COLUMNS  # argparse asks for it
        parser, parsers = command_parser()
        result: list[nodes.Node] = [nodes.literal_block(text := parser.format_help(), text, language="text")]
        for name, one in parsers.items():
            section = nodes.section(ids=[f"botan-fast-{name}"], names=[f"botan-fast {name}"])
            section += nodes.title(text=f"botan-fast {name}")
            section += nodes.literal_block(text := one.format_help(), text, language="text")
            result.append(section)
        return result


def setup(app: Any) -> dict[str, bool]:
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""Sphinx extension: the docstrings of this package become reStructuredText before napoleon reads them.

They are written to be read in a terminal. What a line means there needs no mark, but one in reStructuredText:

    name : text, which may go on          an item of a list, also outside "Parameters"
    name    text                          likewise: two blanks or more
    Returns a `Graph`. ...                prose after "Parameters" that belongs to no parameter
    >>> first example                     the section "Examples"
    |r_ij|                                bars, not a substitution
    docs/PAGE.md                          a link to the page
        e = ...                           an indented paragraph: an equation or a text, line by line

Docstrings that name all of their sections (numpydoc) keep them; only bars and pages change.
"""

from __future__ import annotations

import re
from typing import Any

HEADER = re.compile(r"^-{3,}$")
ITEM = re.compile(r"^(?P<name>[\w(`\"][^:]{0,70}?) : (?P<text>\S.*)$")
COLUMNS = re.compile(r"^(?P<name>[\w`.][\w`., ()-]{0,40}?) {2,}(?P<text>\S.*)$")
PAGE = re.compile(r"\bdocs/([\w/-]+)\.md\b")
CLOSING = ("Returns", "Raises", "Warns", "Yields", "Source", "Sources")


def paragraphs(lines: list[str]) -> list[list[str]]:
    """Runs of lines between blank ones."""
    result: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            result[-1].append(line)
        elif result[-1]:
            result.append([])
    return [paragraph for paragraph in result if paragraph]


def escaped(line: str) -> str:
    """A line whose bars outside ``code`` and `names` are bars, and whose pages are links."""
    parts = re.split(r"(``.*?``|`[^`]*`)", line)
    marked = [part if part.startswith("`") else part.replace("|", r"\|") for part in parts]
    return "".join(part if part.startswith("`") else PAGE.sub(r":doc:`/\1`", part) for part in marked)


def items(paragraph: list[str], pattern: re.Pattern[str]) -> list[str] | None:
    """The paragraph as a list of definitions, or None if it is none."""
    starts = [line for line in paragraph if not line.startswith(" ")]
    matches = sum(1 for line in starts if pattern.match(line))
    if paragraph[0].startswith(" ") or not (matches == len(starts) or 2 * matches > len(starts) > 2):
        return None
    result: list[str] = []
    for line, after in zip(paragraph, [*paragraph[1:], ""], strict=True):
        found = pattern.match(line)
        if line.startswith(" "):
            result.append("    " + line.strip())
        elif found:
            result += [found["name"], "    " + found["text"]]
        else:  # names that fill their line, or need no word
            result += [line] if after.startswith(" ") else [line, r"    \ "]
    return result


def is_header(paragraph: list[str]) -> bool:
    return len(paragraph) > 1 and bool(HEADER.match(paragraph[1]))


def converted(lines: list[str]) -> list[str]:
    """The lines of a docstring as napoleon wants them."""
    blocks = paragraphs(lines)
    headers = {block[0] for block in blocks if is_header(block)}
    compact = not headers & {"Returns", "Raises", "Yields"}  # these in words, not as headers
    result: list[str] = []
    section, literal = "", False
    for block in blocks:
        body = block
        if is_header(block):
            section, body = block[0], block[2:]
            result += block[:2]
        if literal and body and body[0].startswith(" "):  # what follows "::"
            result += [*body, ""]
            continue
        if not section and body and body[0].startswith(" "):
            result += ["::", "", *body, ""]
            continue
        literal = bool(body) and body[-1].endswith("::")
        if body and body[0].startswith(">>>"):
            if "Examples" not in headers:
                result += ["", "", "Examples", "--------"]
                headers.add("Examples")
            result += [*body, ""]
            continue
        body = [escaped(line) for line in body]
        if section and is_closing(body[0]):  # two blank lines end a section
            section = ""
            result += ["", "", *opened(body), ""]
        elif section and not (compact and section == "Parameters"):
            result += [*body, ""]
        elif section:
            found = listed(body)
            if found is None and not body[0].startswith(" "):
                section, found = "", ["", "", *opened(body)]
            result += [*(found or body), ""]
        else:
            result += [*(listed(body) or opened(body)), ""]
    return result


def listed(body: list[str]) -> list[str] | None:
    """The paragraph as a list of definitions, in either way of writing one; None for prose and tables."""
    return None if body[0].startswith(("===", "+--")) else items(body, ITEM) or items(body, COLUMNS)


def is_closing(line: str) -> bool:
    word, blank, _ = line.partition(" ")
    return bool(blank) and word.rstrip(":,") in CLOSING


def opened(body: list[str]) -> list[str]:
    """The first word in bold where it is one that opens a section."""
    word, _, rest = body[0].partition(" ")
    return [f"**{word}** {rest}", *body[1:]] if is_closing(body[0]) else body


def process(app: Any, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def skip(app: Any, what: str, name: str, obj: object, skipped: bool, options: Any) -> bool | None:
    """Fields of named tuples have no text of their own: the docstring of the class has it."""
    text = getattr(obj, "__doc__", None) or ""
    return True if text.startswith("Alias for field number") else None


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process, priority=400)  # napoleon has 500
    app.connect("autodoc-skip-member", skip)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

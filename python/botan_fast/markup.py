"""A short table in HTML, for objects that a notebook shows."""

from collections.abc import Iterable
from html import escape

__all__ = ["html_table"]


def html_table(title: str, rows: Iterable[tuple[str, object]]) -> str:
    """A table with a caption and a row for each name and value. All texts are escaped: names come from files.

    >>> from botan_fast.markup import html_table
    >>> "&lt;script&gt;" in html_table("Graph", [("name", "<script>")])
    True
    """
    left = 'style="text-align: left"'  # a notebook sets tables to the right
    cells = "".join(
        f"<tr><th {left}>{escape(name)}</th><td {left}>{escape(str(value))}</td></tr>" for name, value in rows
    )
    return f"<table><caption>{escape(title)}</caption>{cells}</table>"

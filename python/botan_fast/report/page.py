"""The page: from what is known of the runs to HTML, by the template."""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import Any

from .. import __version__
from .particles import colours
from .pictures import Picture
from .scores import Table

__all__ = ["GENERATOR", "Headline", "Section", "page"]

GENERATOR = "botan_fast"  # by which a page of ours is known, before it is written over


@dataclass(frozen=True)
class Headline:
    """A number that is read first, what it is, and a remark on it."""

    number: str
    what: str
    remark: str = ""


@dataclass(frozen=True)
class Section:
    """What the page says of one run. All of it is text that Jinja2 escapes.

    heading       name of the run
    summary       a sentence: what was trained on what
    headlines     the scores that are read first
    notes         what a reader must know first, such as data that lack
    tables        scores; scores_note says what their ceiling is
    view          what the view that turns draws (`particles.packed`), or None; with the choices of its colours, each a
                  word of the script and a label, its caption, and what it shows for those who do not see it
    pictures      figures
    facts         names and values: what was trained on what
    settings      all settings, likewise
    command       repeats the run; with a remark, and the text of run.toml
    """

    heading: str
    summary: str = ""
    headlines: Sequence[Headline] = ()
    notes: Sequence[str] = ()
    tables: Sequence[Table] = ()
    scores_note: str = ""
    view: dict[str, Any] | None = None
    view_choices: Sequence[tuple[str, str]] = ()
    view_caption: str = ""
    view_text: str = ""
    pictures: Sequence[Picture] = ()
    facts: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    command: str | None = None
    repeat_note: str = ""
    run_file: str = field(default="", repr=False)


def page(
    title: str,
    runs: Sequence[Section],
    versions: Sequence[tuple[str, str]],
    compared: Table | None = None,
    command: str | None = None,
) -> str:
    """The page as text: one file that needs no other and no network, which its own policy forbids.

    The same arguments give the same text.

    >>> from botan_fast.report.page import Section, page
    >>> made = page("<b>", [Section("a & b")], [("botan_fast", "0.1.0")])
    >>> "<h1>&lt;b&gt;</h1>" in made, 'aria-label="a &amp; b"' in made
    (True, True)
    """
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,  # names of files and runs, and run.toml, may come from strangers
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["joined"] = _joined
    style, script = _file("style.css"), _file("view.js")
    return environment.get_template("report.html").render(
        title=title,
        runs=runs,
        versions=versions,
        compared=compared,
        command=command,
        generator=f"{GENERATOR} {__version__}",
        policy=_policy(style, script),
        style=Markup(style),  # the only two texts that are not escaped: files of the package
        script=Markup(script),
        colours=colours() if any(run.view for run in runs) else None,
    )


def _joined(text: str) -> str:
    """A sentence in which no line ends between a number and its unit."""
    return re.sub(r" (?=[%σ=<≤])|(?<=[=<≤]) (?=\S)", "\u00a0", text)


@cache
def _file(name: str) -> str:
    return (resources.files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Content Security Policy: nothing is loaded; no script and no style but those of the package, by their sums."""

    def sum_of(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; img-src data:; style-src {sum_of(style)}; script-src {sum_of(script)}; "
        "base-uri 'none'; form-action 'none'"
    )

"""Sphinx extension: links between files of the repository work on the site too.

Pages are written for the repository, where README.md, CONTRIBUTING.md and results of benchmarks lie outside docs/. Here
those that are pages become links to pages, other files become downloads, and folders lead to the page of benchmarks,
which says what is in them. The pages of `PAGES` have the text of their file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
    "benchmarks/README.md": "project/benchmarks.md",
}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|<)([^)#\s]+)(#[^)\s]*)?(?=\))")


def relinked(text: str, written: Path, page: Path) -> str:
    """The text of the file `written` with the links that it needs as `page` (a path in docs/)."""

    def link(found: re.Match[str]) -> str:
        target, anchor = Path(os.path.normpath(written.parent / found[1])), found[2] or ""
        if not target.exists():
            raise FileNotFoundError(f"{written}: link to {found[1]}, which does not exist")
        name = "benchmarks/README.md" if target.is_dir() else target.relative_to(ROOT).as_posix()
        if name in PAGES:
            target = ROOT / "docs" / PAGES[name]
        return os.path.relpath(target, page.parent) + anchor

    return LINK.sub(link, text)


def read(app: Any, docname: str, content: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix != ".md" or docname.startswith("auto_gallery/"):
        return
    name = page.relative_to(ROOT / "docs").as_posix()
    written = next((ROOT / file for file, place in PAGES.items() if place == name and place != "index.md"), page)
    if written != page:
        app.env.note_dependency(str(written))
        content[0] = written.read_text(encoding="utf-8")
    content[0] = relinked(content[0], written, page)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

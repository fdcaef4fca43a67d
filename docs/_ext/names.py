"""Sphinx extension: names in docstrings are links wherever the page of a name stands.

`InputError` in the docstring of `botan_fast.predict` means `botan_fast.errors.InputError`. Sphinx looks for it beside
`predict` alone; here a name that exactly one page of the reference has leads there. Words that are names of parameters
as well, such as `time`, are left alone: what counts begins with a capital letter, or has an underscore.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.util.nodes import make_refnode

KINDS = ("class", "data", "exception", "function")  # no attributes and no methods


def resolve(app: Any, env: Any, node: Any, content: nodes.Element) -> nodes.Element | None:
    """The link for a name that Sphinx did not find, or None."""
    name = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not name.isidentifier() or not (name[0].isupper() or "_" in name):
        return None
    domain = env.get_domain("py")
    places = {full: at for full, at in domain.objects.items() if full.endswith("." + name) and at.objtype in KINDS}
    pages = {at.docname for at in places.values()}
    if len(pages) != 1:
        return None
    full, at = min(places.items(), key=lambda item: item[1].aliased)
    return make_refnode(app.builder, node["refdoc"], at.docname, at.node_id, content, full)


def setup(app: Any) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

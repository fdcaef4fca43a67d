"""Sphinx extension: equations as MathML, which browsers draw themselves: no script, no network, no LaTeX."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree

from docutils import nodes
from docutils.utils.math import latex2mathml

MATHML = "http://www.w3.org/1998/Math/MathML"
ACCENTS = set("ˆˉ˜˙¨→")  # of \hat, \bar, \tilde, \dot, \ddot, \vec


def mathml(text: str, as_block: bool = False) -> str:
    r"""The MathML of docutils, with the index of a letter with an accent beside it: of \hat{S}_i it sets it below."""
    ElementTree.register_namespace("", MATHML)
    made = latex2mathml.tex2mathml(text, as_block=as_block)
    entity = re.compile(r"&(?!lt;|gt;|amp;|quot;|#)\w+;")  # those that HTML has and XML has not
    made = entity.sub(lambda found: html.unescape(found[0]), made)
    root = ElementTree.fromstring(made)
    for element in root.iter(f"{{{MATHML}}}munderover"):
        base, index, over = element
        if over.text in ACCENTS:
            element.tag = f"{{{MATHML}}}msub"
            accented = ElementTree.Element(f"{{{MATHML}}}mover", accent="true")
            accented.extend([base, over])
            element[:] = [accented, index]
    return ElementTree.tostring(root, encoding="unicode")


def inline(self: Any, node: nodes.math) -> None:
    self.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def block(self: Any, node: nodes.math_block) -> None:
    number = f'<span class="eqno">({node["number"]})</span>' if node.get("number") else ""
    self.body.append(f'<div class="math">{number}{mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}

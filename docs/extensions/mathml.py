"""Formulas as MathML, which browsers draw themselves: MathJax would fetch a script over the network for each page.

The LaTeX that a cell's result hands to notebooks is text with formulas between dollar signs; it is taken apart here.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from myst_nb.core import render
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula inside a line."""
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula that stands on lines of its own."""
    translator.body.append(translator.starttag(node, "div", CLASS="math"))
    array = re.fullmatch(r"\s*\\begin\{array\}\{([lrc]+)\}(.*)\\end\{array\}\s*", node.astext(), re.S)
    body = table(array[1], array[2]) if array else tex2mathml(node.astext(), as_block=True)
    translator.body.append(body + "</div>\n")
    raise nodes.SkipNode


def table(columns: str, body: str) -> str:
    r"""An HTML table from the rows of an ``array``, which has a head above its ``\hline``."""
    head, _, rest = body.rpartition(r"\hline")
    written = []
    for tag, part in (("th", head), ("td", rest)):
        for row in outside_environments(part, r"\\"):
            cells = outside_environments(row, "&")
            if row.strip():
                shown = "".join(
                    f'<{tag} class="{side}">{tex2mathml(cell.strip())}</{tag}>'
                    for side, cell in zip(columns, cells, strict=True)
                )
                written.append(f"<tr>{shown}</tr>")
    return f'<table class="values">{"".join(written)}</table>'


def outside_environments(text: str, separator: str) -> list[str]:
    """Split a text where the separator stands, but not inside a matrix or cases."""
    parts, depth = [""], 0
    for piece in re.split(rf"(\\begin\{{|\\end\{{|{re.escape(separator)})", text):
        depth += {r"\begin{": 1, r"\end{": -1}.get(piece, 0)
        if piece == separator and not depth:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


class Results(SphinxPostTransform):
    """Take the results of cells apart: paragraphs, formulas inside them, and formulas on lines of their own."""

    default_priority = 10  # after myst-nb has chosen one of a result's formats

    def run(self, **options: Any) -> None:
        """Replace what was taken for a single formula."""
        for node in list(self.document.findall(nodes.math_block)):
            if "text_latex" in node["classes"]:
                node.parent.replace(node, blocks(node.astext()))


def blocks(text: str) -> list[nodes.Element]:
    """Every formula between double dollar signs, and every paragraph between them."""
    found: list[nodes.Element] = []
    for number, part in enumerate(re.sub(r"^\$([^$]+)\$$", r"$$\1$$", text.strip()).split("$$")):
        if number % 2:
            found.append(nodes.math_block(part, part, nowrap=False, number=None, classes=["output"]))
            continue
        for paragraph in filter(None, map(str.strip, part.split("\n\n"))):
            pieces = re.split(r"\$(.*?)\$", paragraph, flags=re.S)
            line = nodes.paragraph(classes=["output"])
            line += [nodes.math(p, p) if k % 2 else nodes.Text(p) for k, p in enumerate(pieces) if p]
            found.append(line)
    return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer and choose it."""
    render.strip_latex_delimiters = str.strip  # myst-nb takes a result for one formula, and the outer dollars away
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    app.add_post_transform(Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

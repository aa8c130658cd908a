"""Results of cells, as notebooks show them; and MathJax from an installed package, so that no page needs a network.

What a result hands to notebooks as LaTeX is text with formulas between dollar signs: myst-nb takes it for one formula.
What a cell prints arrives in pieces: myst-nb cuts the blank lines at their ends off.
"""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.core import render
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# the package holds every build of MathJax: one of them is used, without its speech for screen readers
UNUSED = ("mml-*.js", "tex-svg*.js", "tex-mml-*.js", "tex-*-full*.js", "node-main.js", "sre", "svg*")


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


def printed(outputs: list[Any]) -> list[Any]:
    """The outputs of a cell with everything that it printed to one stream in one piece, where the first stood."""
    found: dict[Any, Any] = {}
    for number, output in enumerate(outputs):
        stream = output["output_type"] == "stream"
        first = found.setdefault(output["name"] if stream else number, output)
        if first is not output:
            first["text"] += output["text"]
    return list(found.values())


def copy_mathjax(app: Sphinx, exception: Exception | None) -> None:
    """Put MathJax among the static files."""
    if exception is None and app.builder.format == "html":
        package = find_spec("sphinx-mathjax-offline")
        assert package is not None and package.origin is not None, 'pip install -e ".[docs]"'
        shutil.copytree(
            Path(package.origin).parent / "static" / "mathjax",
            app.outdir / "_static" / "mathjax",
            ignore=shutil.ignore_patterns(*UNUSED),
            dirs_exist_ok=True,
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_mathjax)
    render.strip_latex_delimiters = str.strip
    render.coalesce_streams = printed
    app.add_post_transform(Results)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

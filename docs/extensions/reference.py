"""What autodoc is told: how our docstrings are divided, which constructors are shown, what a short name links to."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.nodes import make_refnode

# what other classes of the package make: shown without a constructor
RESULTS = {
    "CompiledLoss",
    "CriticalPoint",
    "CriticalPoints",
    "Curvature",
    "Derivation",
    "Explorer",
    "Film",
    "Descent",
    "Descents",
    "FlatLoss",
    "Grade",
    "Gradient",
    "GradientCheck",
    "Minimum",
    "Progress",
    "Row",
    "Step",
    "Swept",
    "Trace",
    "TraceRow",
    "WorkedRow",
    "WorkedTable",
}


def signature(app: Sphinx, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    """Leave a result's constructor out."""
    return ("", None) if what == "class" and name.rpartition(".")[2] in RESULTS else None


def sections(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sections in NumPy's style become fields with a list of definitions; words after a section stand by themselves.

    Napoleon would give ``gtol, xtol, ftol`` the same text three times, and take words and examples after a section for
    more of its entries.
    """
    written: list[str] = []
    inside, quotes = False, ""
    for above, line, below in zip(["", *lines], lines, [*lines[1:], ""], strict=False):
        if below and not below.strip("-") and line:
            inside, quotes = True, "`" if line == "Raises" else "``"  # errors are links
            written += [f":{line}:", ""]
        elif line and not line.strip("-"):
            continue
        elif inside and line and not line[0].isspace():
            if below.startswith(" "):
                written.append("    " + ", ".join(f"{quotes}{entry}{quotes}" for entry in line.split(", ")))
            else:
                assert not above, f"{name}: an entry of a section has no text"
                inside = False
                written.append(line)
        else:
            written.append("    " + line if inside and line else line)
    lines[:] = written


def short_name(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement) -> Any:
    """Link a name without its module, or with the module that defines it, where only one thing is called so."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py" or not re.fullmatch(r"\w+|symdescent\.[\w.]+", target):
        return None
    target = target.rpartition(".")[2]
    entries = [
        (full, entry)
        for full, entry in env.domains.python_domain.objects.items()
        if full.rpartition(".")[2] == target
        and not entry.aliased
        and entry.objtype in ("class", "function", "exception")
    ]
    if len(entries) != 1:
        return None
    full, entry = entries[0]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, content, full)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect all of it."""
    app.connect("autodoc-process-docstring", sections)
    app.connect("autodoc-process-signature", signature)
    app.connect("missing-reference", short_name)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

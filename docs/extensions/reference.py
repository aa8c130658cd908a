"""What autodoc is told: results have no constructors, and sections of docstrings end where words follow them."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

# what other classes of the package make
RESULTS = {
    "CompiledLoss",
    "CriticalPoint",
    "CriticalPoints",
    "Curvature",
    "Derivation",
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
    "Trace",
    "TraceRow",
    "WorkedRow",
    "WorkedTable",
}


def signature(app: Sphinx, what: str, name: str, *rest: Any) -> tuple[str, None] | None:
    """Leave a result's constructor out."""
    return ("", None) if what == "class" and name.rpartition(".")[2] in RESULTS else None


def close_sections(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """End a section of NumPy's style before words or examples that do not belong to it: napoleon asks for two lines."""
    inside, closed = False, []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        inside |= bool(following) and not following.strip("-")
        begins = bool(line) and not line[0].isspace() and closed[-1:] == [""]
        if inside and begins and not following.startswith((" ", "-")):
            closed.append("")
            inside = False
        closed.append(line)
    lines[:] = closed


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect both."""
    app.connect("autodoc-process-docstring", close_sections, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The reference shows how to make what users make; what a verb returns is shown without its constructor."""

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


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect it."""
    app.connect("autodoc-process-signature", signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

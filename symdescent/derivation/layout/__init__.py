"""From SymPy expressions to layout boxes: where brackets, signs and order are decided, once for all formats."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.derivation.layout import arithmetic, calculus, functions, matrices
from symdescent.derivation.layout.boxes import Box
from symdescent.derivation.layout.core import Setting, box_of
from symdescent.derivation.page import Notation

__all__ = ["arithmetic", "calculus", "formula_box", "functions", "matrices"]


def formula_box(expression: Any, notation: Notation) -> Box:
    """The boxes of a formula."""
    return box_of(sp.sympify(expression), Setting(notation))

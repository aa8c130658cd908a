"""What all renderers of tables share."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.derivation.layout.arithmetic import decimal
from symdescent.derivation.layout.boxes import Box
from symdescent.derivation.page import Table


def numeric_columns(block: Table) -> list[bool]:
    """Which columns hold nothing but numbers: they are aligned on the right."""
    places = range(len(block.head))
    return [all(not isinstance(cells[place], (str, sp.Basic)) for cells in block.rows) for place in places]


def number_box(value: Any, digits: int) -> Box:
    """A number of a table, with so many significant digits unless it is an integer."""
    return decimal(str(value) if isinstance(value, int) else f"{value:.{digits}g}").signed

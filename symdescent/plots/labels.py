r"""Names in pictures: a symbol as mathematics (:math:`w_1`, :math:`\theta`), whatever its name contains.

The same boxes as in derivations, written as TeX, in which every special sign is escaped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import sympy as sp

from symdescent.derivation.layout.names import name_box
from symdescent.derivation.render.tex import tex
from symdescent.optimizers import UpdateRule
from symdescent.plots.canvas import text_of
from symdescent.statement import Statement, name_of


def label(thing: Any, *places: int) -> str:
    r"""The name of a symbol, or of an entry of an array, as mathtext.

    >>> import sympy as sp
    >>> label(sp.Symbol("w_1")), label(sp.Symbol("theta")), label(sp.IndexedBase("X"), 0, 12)
    ('$w_1$', '$\\theta$', '$X_{0,12}$')
    >>> label(sp.Symbol("50% <b>$"))
    '$\\text{50}\\%\\text{ }{<}\\text{b}{>}{\\$}$'
    """
    name = tex(name_box(name_of(thing))).strip()
    if places:
        index = ",".join(map(str, places))
        name = f"{{{name}}}_{{{index}}}" if len(name) > 1 else f"{name}_{{{index}}}"
    written = f"${name}$"
    return written if _is_mathtext(written) else name_of(thing).replace("$", r"\$")


@cache
def _is_mathtext(written: str) -> bool:
    """Whether Matplotlib can draw it; names with signs that it does not know are shown as they are."""
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(written)
    except ValueError:
        return False
    return True


def plain(text: str) -> str:
    r"""Words of the user's, of which nothing is taken for mathematics.

    >>> plain("costs 5$, not 6$")
    'costs 5\\$, not 6\\$'
    """
    return text.replace("$", r"\$")


def coordinate_labels(statement: Statement, shapes: Any) -> list[str]:
    """The labels of all coordinates of the flat vector of parameters."""
    found = []
    for parameter, shape in shapes.items():
        first = statement.first_index if isinstance(parameter, sp.IndexedBase) else 0
        found += [label(parameter, *(k + first for k in place)) for place in np.ndindex(shape)]
    return found


def optimizer_label(optimizer: Any) -> str:
    r"""What an optimizer is called in a legend.

    >>> from symdescent.optimizers import Momentum, NelderMead
    >>> optimizer_label(Momentum(0.1)), optimizer_label(NelderMead())
    ('momentum, η = 0.1, μ = 0.9', 'NelderMead')
    """
    if not isinstance(optimizer, UpdateRule):
        return type(optimizer).__name__
    shown = [optimizer.name]
    for each in optimizer.hyperparameters:
        if each.is_number and each.name in ("learning_rate", "momentum"):
            sign = {"learning_rate": "η", "momentum": "μ"}[each.name]
            shown.append(f"{sign} = {text_of(each.value)}")
    return plain(shown[0]) + "".join(f", {part}" for part in shown[1:])

"""Chains of relations within one formula: ``w = 0 - 0.1*(-6) = 0.6``, ``d = 2 > 0``, which SymPy has no class for."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.derivation.layout.boxes import Op, row
from symdescent.derivation.layout.core import RELATION, Laid, Setting, box_of, layout_of

SIGNS = ("=", "≈", "<", ">", "≤", "≥", "≠")


class Linked(sp.Basic):
    """Formulas with signs between them: ``Linked(a, "=", b, ">", c)`` is shown as a = b > c."""

    def __new__(cls, *parts: Any) -> Linked:
        """Formulas and signs in turn."""
        sides, signs = parts[::2], parts[1::2]
        if len(sides) != len(signs) + 1 or not set(signs) <= set(SIGNS):
            raise ValueError(f"a chain alternates formulas and signs among {' '.join(SIGNS)}")
        made = sp.Basic.__new__(cls, *map(sp.sympify, sides), *(sp.Symbol(sign) for sign in signs))
        return made  # type: ignore[no-any-return]

    @property
    def sides(self) -> tuple[Any, ...]:
        """The formulas."""
        return tuple(self.args[: (len(self.args) + 1) // 2])

    @property
    def signs(self) -> tuple[str, ...]:
        """The signs between them."""
        return tuple(str(symbol) for symbol in self.args[(len(self.args) + 1) // 2 :])

    def _sympystr(self, printer: Any) -> str:
        written = [printer._print(self.sides[0])]
        for sign, side in zip(self.signs, self.sides[1:], strict=True):
            written += [sign, printer._print(side)]
        return " ".join(written)


@layout_of(Linked)
def _linked(chain: Linked, setting: Setting) -> Laid:
    boxes = [box_of(chain.sides[0], setting)]
    for sign, side in zip(chain.signs, chain.sides[1:], strict=True):
        boxes += [Op(sign, "relation"), box_of(side, setting)]
    return Laid(row(*boxes), RELATION)

"""The way from a SymPy expression to its boxes: a table of layouts by class, and what they hand to each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp

from symdescent.derivation.layout.boxes import COMMA, Applied, Box, Fence, Foreign, Function, Op, joined, row
from symdescent.derivation.page import Notation

RELATION, SUM, MIXED, PRODUCT, OPERATOR, POWER, CALL, ATOM = range(8)
"""How tightly a formula holds together: a looser one is bracketed inside a tighter one.

`MIXED` is a product of another kind (⊙, mod), which stands free in a sum, but not in a product.
"""

CLOSED, OPEN_IN_PRODUCT, OPEN = range(3)
"""Whether what follows a formula would seem to belong to it: a factor after a derivative or a Σ, anything after cases.

A Σ or a derivative ends at a plus or a minus: if it went on, there would be a bracket.
"""

MINUS, PLUS, DOT = Op("−"), Op("+"), Op("·")


@dataclass(frozen=True, slots=True)
class Setting:
    """The notation, and the variables that stand for matrices in the function that is applied elementwise."""

    notation: Notation
    lifted: Mapping[Any, Any] = field(default_factory=dict)

    def is_lifted(self, expression: Any) -> bool:
        """Whether an expression depends on a variable that stands for a matrix."""
        return bool(self.lifted) and not self.lifted.keys().isdisjoint(expression.free_symbols)


@dataclass(frozen=True, slots=True)
class Laid:
    """A formula in boxes, without its leading minus, and what a neighbour has to know about it."""

    box: Box
    level: int = ATOM
    negative: bool = False
    open: int = CLOSED
    kind: str = ""
    """What multiplies otherwise: "matrix", or "lifted" for a value of a function that is applied elementwise."""

    @property
    def signed(self) -> Box:
        """The boxes with their sign."""
        return row(Op("−", "prefix"), self.box) if self.negative else self.box

    def above(self, level: int) -> Box:
        """The boxes, in brackets unless they hold together more tightly than the level."""
        return self.signed if self.level > level and not self.negative else Fence(self.signed)


Layout = Callable[[Any, Setting], Laid]
_LAYOUTS: dict[type, Layout] = {}


def layout_of(*classes: type) -> Callable[[Layout], Layout]:
    """Register the layout of SymPy classes (and of their subclasses)."""

    def register(layout: Layout) -> Layout:
        _LAYOUTS.update(dict.fromkeys(classes, layout))
        return layout

    return register


def lay(expression: Any, setting: Setting) -> Laid:
    """The boxes of an expression."""
    for kind in type(expression).__mro__:
        if kind in _LAYOUTS:
            laid = _LAYOUTS[kind](expression, setting)
            return replace(laid, kind="matrix") if getattr(expression, "is_Matrix", False) else laid
    return foreign(expression, setting)


def box_of(expression: Any, setting: Setting) -> Box:
    """The boxes of an expression where no bracket is needed: an argument, an exponent, one side of an equation."""
    return lay(expression, setting).signed


def applied(name: Box, arguments: Any, setting: Setting) -> Laid:
    """A function with its arguments in brackets."""
    inside = joined([box_of(argument, setting) for argument in arguments], COMMA)
    return Laid(row(name, Applied(), Fence(inside)), CALL)


def is_canonical(expression: Any) -> bool:
    """Whether SymPy itself would have put the expression so: then nobody chose its order."""
    try:
        return bool(expression.func(*expression.args) == expression)
    except Exception:  # what SymPy refuses to evaluate was put together by hand
        return False


_SAFE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")


def foreign(expression: Any, setting: Setting) -> Laid:
    """What has no layout: an unknown function with its arguments, or SymPy's own text."""
    if isinstance(expression, sp.Function):
        return applied(Function(type(expression).__name__), expression.args, setting)
    plain = str(expression)
    names = [str(atom) for atom in getattr(expression, "free_symbols", ())] if isinstance(expression, sp.Basic) else []
    calls = expression.atoms(sp.Function) if isinstance(expression, sp.Basic) else ()
    names += [type(call).__name__ for call in calls]
    if isinstance(expression, sp.Basic) and all(_SAFE.fullmatch(name) for name in names):
        return Laid(Foreign(sp.latex(expression), plain), RELATION)
    return Laid(Foreign(None, plain), RELATION)

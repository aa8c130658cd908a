r"""What update rules are written with: the symbols that have a meaning in them, sums over coordinates, ranges.

======= ==========================================================================================
symbol  meaning
======= ==========================================================================================
theta   one coordinate of the parameters
g       that coordinate of the gradient
t       the number of the step, 1 in the first one
f       the loss before the step: of the batch, where a step reads a batch
B       how many steps an epoch has: 1 where every step reads all samples
eta     the learning rate, by custom
======= ==========================================================================================
"""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.printing.precedence import PRECEDENCE

theta, g, eta = sp.Symbol("theta", real=True), sp.Symbol("g", real=True), sp.Symbol("eta", positive=True)
t, B = sp.Symbol("t", integer=True, positive=True), sp.Symbol("B", integer=True, positive=True)
f = sp.Symbol("f", real=True)

ANY = sp.Interval(-sp.oo, sp.oo)
POSITIVE = sp.Interval.open(0, sp.oo)
NOT_NEGATIVE = sp.Interval(0, sp.oo)
FRACTION = sp.Interval.Ropen(0, 1)


class Total(sp.Function):
    r"""The sum over all coordinates of all parameters, a scalar: ``Total(g**2)`` is :math:`\sum_j g_j^2`.

    >>> Total(g**2)
    Σ(g**2)
    >>> print(sp.latex(Total(g**2)), sp.latex(Total(g*theta)))
    \left\lVert g \right\rVert^{2} \sum g \theta
    """

    nargs = 1
    is_extended_real = True

    def _eval_is_nonnegative(self) -> bool | None:
        return bool(self.args[0].is_nonnegative) or None

    def _sympystr(self, printer: Any) -> str:
        return f"Σ({printer._print(self.args[0])})"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        inside = self.args[0]
        if inside.is_Pow and inside.exp == 2 and exp is None:
            return rf"\left\lVert {printer._print(inside.base)} \right\rVert^{{2}}"
        body = rf"\sum {printer.parenthesize(inside, PRECEDENCE['Mul'] - 1)}"
        return body if exp is None else rf"\left({body}\right)^{{{exp}}}"


class Norm(sp.Function):
    r"""The Euclidean norm over all coordinates of all parameters: ``Norm(g)`` is :math:`\sqrt{\sum_j g_j^2}`.

    >>> print(sp.latex(Norm(g)), written_out(Norm(g)))
    \left\lVert g \right\rVert sqrt(Σ(g**2))
    """

    nargs = 1
    is_extended_real = True
    is_nonnegative = True

    def _sympystr(self, printer: Any) -> str:
        return f"‖{printer._print(self.args[0])}‖"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\left\lVert {printer._print(self.args[0])} \right\rVert"
        return body if exp is None else f"{body}^{{{exp}}}"


def written_out(expression: sp.Expr) -> sp.Expr:
    """The expression with every norm as the root of a sum."""
    return expression.replace(Norm, lambda inside: sp.sqrt(Total(inside**2)))


def totals(expression: sp.Expr) -> list[Total]:
    """The sums over coordinates in an expression, in a fixed order."""
    return sorted(expression.atoms(Total), key=sp.default_sort_key)


def outside_totals(expression: sp.Expr) -> set[sp.Symbol]:
    """The symbols of an expression, apart from those that are summed over their coordinates."""
    found = set()
    walk = sp.preorder_traversal(expression)
    for part in walk:
        if isinstance(part, Total):
            walk.skip()
        elif isinstance(part, sp.Symbol):
            found.add(part)
    return found

"""Symbols that only derivations use: the loss itself, its gradient, differentials, and abbreviations."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixExpr

LOSS = sp.Symbol("L")


class GradientOf(sp.Expr):
    """The derivative of a loss with respect to a parameter or an entry of one: a left-hand side.

    ``GradientOf(L, w)`` is shown as a partial derivative of L, or as nabla_w L, as the notation asks; with `second`
    it is the second derivative by both.
    """

    def __new__(cls, loss: Any, parameter: Any, second: Any = None) -> GradientOf:
        args = [loss, parameter] if second is None else [loss, parameter, second]
        return sp.Basic.__new__(cls, *args)  # type: ignore[no-any-return]


class Change(MatrixExpr):
    """The differential of a matrix expression: ``Change(X)``, shown as dX; of a scalar expression it is 1x1."""

    def __new__(cls, argument: Any) -> Change:
        return sp.Basic.__new__(cls, sp.sympify(argument))  # type: ignore[no-any-return]

    @property
    def arg(self) -> Any:
        """What changes."""
        return self.args[0]

    @property
    def shape(self) -> tuple[Any, Any]:
        """The shape of the argument."""
        return self.arg.shape if getattr(self.arg, "is_Matrix", False) else (sp.S.One, sp.S.One)

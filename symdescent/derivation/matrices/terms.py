"""The lines of a derivation by differentials: sums of terms ``c tr(A dE B)`` or ``c a^T dE b``.

`Term` keeps the scalar, the factors, and whether the trace is taken; `line` writes a sum of terms as one SymPy
expression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.special import ZeroMatrix

from symdescent.derivation.components.trees import times
from symdescent.derivation.matrices.forms import flat, hadamard, is_matrix, product
from symdescent.derivation.symbols import Change


@dataclass(frozen=True, slots=True)
class Term:
    """``coefficient * A_1 ... A_k``, or its trace; one of the factors holds a differential."""

    coefficient: Any
    factors: tuple[Any, ...]
    traced: bool = False

    @property
    def place(self) -> int:
        """Which factor holds the differential."""
        return next(place for place, factor in enumerate(self.factors) if factor.has(Change))

    @property
    def parts(self) -> tuple[tuple[Any, ...], Any, tuple[Any, ...]]:
        """What stands before the differential, the factor that holds it, and what stands after."""
        place = self.place
        return self.factors[:place], self.factors[place], self.factors[place + 1 :]

    @property
    def shape(self) -> tuple[Any, Any]:
        """The shape of the product (before a trace is taken)."""
        return self.factors[0].shape[0], self.factors[-1].shape[1]

    @property
    def body(self) -> Any:
        """The product or its trace, without the coefficient."""
        whole = product(sp.S.One, self.factors)
        return sp.Trace(whole) if self.traced else whole


def term_of(expression: Any, traced: bool = False) -> Term:
    """A product as a term."""
    return Term(*flat(expression), traced)


def line(terms: Sequence[Term], shape: tuple[Any, Any] = (sp.S.One, sp.S.One)) -> Any:
    """The sum of terms as an expression: what shares a coefficient is bracketed. Of no terms, a zero of the shape."""
    if not terms:
        return ZeroMatrix(*shape)
    groups: dict[Any, list[tuple[int, Term]]] = {}
    for term in terms:
        sign = -1 if term.coefficient.as_coeff_Mul()[0].is_negative else 1
        groups.setdefault(sign * term.coefficient, []).append((sign, term))
    parts: list[Any] = []
    for coefficient, group in groups.items():
        if len(group) == 1 or coefficient == 1:
            parts.extend(_scaled(sign * coefficient, term.body) for sign, term in group)
        else:
            sign = max(each for each, _ in group)
            inside = [_scaled(sign * each, term.body) for each, term in sorted(group, key=lambda pair: -sign * pair[0])]
            parts.append(_scaled(sign * coefficient, _summed(inside)))
    return _summed(parts)


def _scaled(coefficient: Any, body: Any) -> Any:
    if not is_matrix(body):
        return times(coefficient, body)
    return product(coefficient, flat(body)[1]) if not isinstance(body, sp.MatAdd) else product(coefficient, (body,))


def _summed(parts: Sequence[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    if all(map(is_matrix, parts)):
        return sp.MatAdd(*parts)
    return sp.Add._from_args(parts)  # traces beside 1x1 products: SymPy would refuse to add them


def simplified(matrix: Any) -> Any:
    """A sum of products in which neighbouring diagonal matrices are one, and like terms are collected."""
    found: dict[Any, Any] = {}
    for each in matrix.args if isinstance(matrix, sp.MatAdd) else (matrix,):
        coefficient, factors = flat(each)
        joined: list[Any] = []
        for factor in factors:
            if joined and isinstance(factor, DiagMatrix) and isinstance(joined[-1], DiagMatrix):
                inner, vector = flat(hadamard([joined.pop().args[0], factor.args[0]]))
                coefficient, factor = coefficient * inner, DiagMatrix(product(sp.S.One, vector))
            joined.append(factor)
        key = product(sp.S.One, joined)
        found[key] = found.get(key, 0) + coefficient
    return line([Term(number, flat(key)[1]) for key, number in found.items() if number != 0], matrix.shape)

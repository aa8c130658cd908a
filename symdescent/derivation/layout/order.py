"""The order in which textbooks write the terms of a sum and the factors of a product."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp
from sympy.concrete.expr_with_limits import ExprWithLimits
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symdescent.derivation.layout.core import is_canonical
from symdescent.derivation.layout.names import GREEK
from symdescent.derivation.symbols import Change, GradientOf

NUMBER, CONSTANT, LETTER, SYMBOL, ROOT, FUNCTION, BRACKET, WIDE, SUMMED, DERIVED, MATRIX = range(11)
"""What comes before what in a product; from `WIDE` on, factors stay behind a fraction."""

_RANKS: dict[type, int] = {
    sp.Number: NUMBER,
    sp.NumberSymbol: CONSTANT,
    sp.core.numbers.ImaginaryUnit: CONSTANT,
    sp.Symbol: SYMBOL,
    sp.Indexed: SYMBOL,
    MatrixElement: SYMBOL,
    sp.KroneckerDelta: SYMBOL,
    GradientOf: SYMBOL,
    sp.Function: FUNCTION,
    sp.Add: BRACKET,
    sp.Mul: BRACKET,
    sp.Piecewise: WIDE,
    sp.Trace: WIDE,
    sp.Determinant: WIDE,
    ExprWithLimits: SUMMED,
    sp.Derivative: DERIVED,
    sp.Subs: DERIVED,
    MatrixExpr: MATRIX,
    sp.MatrixBase: MATRIX,
}


def rank(factor: Any) -> int:
    """Where a factor stands in a product."""
    if isinstance(factor, sp.Pow) and not factor.exp.is_Symbol:
        if factor.exp.is_Rational and factor.exp.q != 1:
            return ROOT
        return max(rank(factor.base), BRACKET) if rank(factor.base) >= WIDE else rank(factor.base)
    if isinstance(factor, sp.Pow):
        return max(SYMBOL, rank(factor.base))
    found = next((_RANKS[kind] for kind in type(factor).__mro__ if kind in _RANKS), FUNCTION)
    return LETTER if found == SYMBOL and isinstance(factor, sp.Symbol) and _is_greek(factor.name) else found


def _is_greek(name: str) -> bool:
    head = re.split(r"[\d_]", name)[0]
    return head in GREEK or (len(head) == 1 and "α" <= head <= "ω")


def by_rank(factors: list[Any]) -> list[Any]:
    """Factors in the order of a textbook; of one rank, matrices' entries before vectors', and then by name."""
    return sorted(factors, key=_factor_place)


def _factor_place(factor: Any) -> tuple[int, int, Any]:
    base = factor.base if isinstance(factor, sp.Pow) else factor
    indices = len(base.indices) if isinstance(base, sp.Indexed) else 2 * isinstance(base, MatrixElement)
    return rank(factor), -indices if indices > 1 else indices, sp.default_sort_key(base)


def reciprocal(factor: Any) -> Any:
    """What stands below the line where a factor is a power with a negative number as exponent; else None."""
    if not isinstance(factor, sp.Pow) or not (factor.exp.is_Number and factor.exp < 0):
        return None
    return factor.base if factor.exp == -1 else sp.Pow(factor.base, -factor.exp, evaluate=False)


# -- terms -----------------------------------------------------------------------------------------------------------

_TO_DO = (sp.Derivative, sp.Subs, Change)  # a line with derivatives that are still to be carried out keeps its order


def ordered_terms(expression: Any) -> list[Any]:
    """The terms of a sum: by descending degree with a positive one first, unless somebody chose their order."""
    terms = list(expression.args)
    if not _is_canonical_sum(expression) or expression.has(*_TO_DO):
        return terms
    if isinstance(expression, sp.Add):
        try:
            terms = expression.as_ordered_terms(order="grlex")
        except Exception:  # SymPy cannot order terms with matrices in them
            terms = sorted(terms, key=sp.default_sort_key)
    plain = sorted((term for term in terms if not _ends_open(term)), key=_place)
    sums = sorted(filter(_ends_open, terms), key=lambda term: -int(term.count_ops()))  # the loss before its penalty
    terms = [*plain, *sums]
    leader = next((place for place, term in enumerate(terms) if not is_negative(term)), 0)
    return [terms[leader], *terms[:leader], *terms[leader + 1 :]]


def _is_canonical_sum(expression: Any) -> bool:
    if isinstance(expression, sp.Add):
        return is_canonical(expression)
    try:
        return bool(sp.MatAdd(*expression.args).doit(deep=False) == expression)
    except Exception:
        return False


def is_negative(term: Any) -> bool:
    """Whether a term is shown with a minus."""
    if isinstance(term, (sp.Mul, sp.MatMul)):
        return sum(is_negative(factor) for factor in term.args if factor.is_Number) % 2 == 1
    return bool(term.is_Number and term < 0)


def _ends_open(term: Any) -> bool:
    """Whether a term ends in a sum over an index, which what follows would seem to belong to."""
    if isinstance(term, (sp.Mul, sp.MatMul)):
        return any(map(_ends_open, term.args))
    return isinstance(term, ExprWithLimits) or (isinstance(term, sp.Piecewise) and not is_indicator(term))


def is_indicator(term: Any) -> bool:
    """Whether a definition by cases is 1 where a condition holds, and 0 elsewhere."""
    first, *rest = term.args
    return first[0] == 1 and [tuple(piece) for piece in rest] == [(0, sp.true)]


def _place(term: Any) -> tuple[int, float]:
    """Polynomial terms by falling degree, then numbers, then functions, then reciprocals."""
    if term.is_Number:
        return 1, 0.0
    degree = _degree(term)
    return (0, -degree) if degree > 0 else (2, 0.0) if degree == 0 else (3, -degree)


def _degree(expression: Any) -> float:
    """The degree in all letters, those in a function's argument apart."""
    if isinstance(expression, (sp.Mul, sp.MatMul, sp.HadamardProduct)):
        return sum(map(_degree, expression.args))
    if isinstance(expression, (sp.Add, sp.MatAdd)):
        return max(map(_degree, expression.args))
    if isinstance(expression, (sp.Pow, sp.MatPow, sp.HadamardPower)):
        base, exponent = expression.args
        return _degree(base) * float(exponent) if exponent.is_number and exponent.is_real else _degree(base)
    if isinstance(expression, (ExprWithLimits, sp.Transpose, sp.Trace)):
        return _degree(expression.args[0])
    return float(isinstance(expression, (sp.Symbol, sp.Idx, sp.Indexed, MatrixElement, sp.MatrixSymbol, GradientOf)))

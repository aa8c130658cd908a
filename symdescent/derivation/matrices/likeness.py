"""When two matrix expressions are written alike: up to the order of terms and the names of bound variables.

The gradient that is read off and the one that was derived by the reverse sweep are the same matrix; whether a reader
would call them the same formula is decided here. Transposes are compared where they stand in each factor, traces up
to rotation and transposition. Products are not multiplied out: ``A w + B w`` is not written like ``(A + B) w``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import reduce
from math import gcd
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

from symdescent.derivation.matrices.forms import flat, is_matrix, is_number

Sum = dict[tuple[Hashable, ...], Any]
_VARIABLE = sp.Dummy("u", real=True)


def alike(first: Any, second: Any) -> bool:
    """Whether two matrices are written alike."""
    comparison = Comparison()
    return comparison.total(first) == comparison.total(second)


class Comparison:
    """Turns expressions into keys: equal keys, like formulas. Scalars made of matrices are named once for all."""

    def __init__(self) -> None:
        self._names: dict[Hashable, sp.Dummy] = {}
        self._known: dict[tuple[Any, bool], Any] = {}

    def total(self, matrix: Any, turned: bool = False) -> Hashable:
        """The key of a sum of products (of its transpose, if `turned`)."""
        return frozenset(self.terms(matrix, turned).items())

    def terms(self, matrix: Any, turned: bool = False) -> Sum:
        """The products that a matrix is the sum of, with their coefficients."""
        found: Sum = {}
        for term in matrix.args if isinstance(matrix, sp.MatAdd) else (matrix,):
            coefficient, factors = flat(term)
            coefficient = self.scalar(coefficient)
            if len(factors) == 1 and isinstance(_plain(factors[0]), sp.MatAdd):
                inner = self.terms(_plain(factors[0]), turned != isinstance(factors[0], sp.Transpose))
            else:
                inner = self.product(factors, turned)
            for key, number in inner.items():
                found[key] = found.get(key, 0) + coefficient * number
        return {key: number for key, number in found.items() if number != 0}

    def product(self, factors: tuple[Any, ...], turned: bool) -> Sum:
        """The single term that a product is."""
        parts = [self.factor(factor, turned) for factor in factors]
        coefficient = sp.Mul(*(number for number, _ in parts))
        keys = tuple(key for _, key in (reversed(parts) if turned else parts))
        return {keys: coefficient}

    def factor(self, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
        """A numeric factor, and the key of the rest."""
        known = self._known.get((matrix, turned))
        if known is None:
            known = self._known[matrix, turned] = self._factor(matrix, turned)
        return known

    def _factor(self, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
        if isinstance(matrix, (sp.Transpose, sp.Adjoint)):
            return self.factor(matrix.arg, not turned)
        for kind, rule in _KEYS.items():
            if isinstance(matrix, kind):
                return rule(self, matrix, turned)
        args = tuple(self.total(arg) if is_matrix(arg) else arg for arg in matrix.args)
        plain = isinstance(matrix, (sp.MatrixSymbol, sp.MatrixBase))
        return sp.S.One, (matrix if plain else (type(matrix), args), turned and not is_number(matrix))

    def scalar(self, expression: Any) -> Any:
        """A scalar with names in the place of traces and 1x1 matrices."""
        if not expression.args:
            return expression
        if is_matrix(expression) or isinstance(expression, sp.Trace):
            inside = expression.arg if isinstance(expression, sp.Trace) else expression
            return sp.Add(*(number * self.cycle(key) for key, number in self._both_ways(inside)))
        if isinstance(expression, MatrixElement):
            return expression
        return expression.func(*map(self.scalar, expression.args))

    def _both_ways(self, matrix: Any) -> list[tuple[Hashable, Any]]:
        upright, turned = self.terms(matrix), self.terms(matrix, True)
        found: list[tuple[Hashable, Any]] = []
        for (key, number), other in zip(upright.items(), turned, strict=False):
            found.append((frozenset(_rotations(key) | _rotations(other)), number))
        return found

    def cycle(self, key: Hashable) -> sp.Dummy:
        """The name of a trace, the same for all rotations."""
        return self._names.setdefault(key, sp.Dummy(real=True))


def _plain(matrix: Any) -> Any:
    return matrix.arg if isinstance(matrix, sp.Transpose) else matrix


def _rotations(key: Any) -> set[Any]:
    return {key[place:] + key[:place] for place in range(len(key))}


def _sum(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    """A sum within a product: a common number is taken out, but not a sign."""
    terms = by.terms(matrix, turned)
    common = _common(terms.values())
    return common, ("sum", frozenset((key, number / common) for key, number in terms.items()))


def _common(numbers: Any) -> Any:
    """The positive number that all coefficients share."""
    rational = [abs(number.as_coeff_Mul()[0]) for number in numbers]
    if not all(number.is_Rational for number in rational):
        return sp.S.One
    top = reduce(gcd, (int(number.p) for number in rational))
    return sp.Rational(top, reduce(sp.ilcm, (number.q for number in rational), 1)) if top else sp.S.One


def _hadamard(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    coefficient: Any = sp.S.One
    counted: dict[Hashable, Any] = {}
    for part in matrix.args:
        base, exponent = part.args if isinstance(part, HadamardPower) else (part, sp.S.One)
        whole = is_matrix(exponent)
        inner, factors = flat(base) if exponent == 1 else (sp.S.One, (base,))
        terms = by.product(factors, turned)
        ((key, number),) = terms.items()
        coefficient = coefficient * by.scalar(inner) * number**exponent if not whole else coefficient
        counted[key] = counted.get(key, 0) + (exponent if not whole else 0)
    return coefficient, ("hadamard", frozenset(counted.items()))


def _power(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    base, exponent = matrix.args
    if is_matrix(exponent):
        return sp.S.One, ("power", by.total(base, turned), by.total(exponent, turned))
    number, key = by.factor(base, turned) if not isinstance(base, sp.MatMul) else (sp.S.One, by.total(base, turned))
    key = next(iter(by.product(flat(base)[1], turned))) if isinstance(base, sp.MatMul) else (key,)
    return number**exponent, ("hadamard", frozenset({(key, exponent)}))


def _applied(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    """A function of a multiple of a matrix is another function of the matrix."""
    (variable,) = matrix.function.variables
    terms = by.terms(matrix.expr, turned)
    common = _common(terms.values())
    if len(terms) == 1:
        (only,) = terms.values()
        common = -common if only.as_coeff_Mul()[0].is_negative else common
    body = by.scalar(matrix.function.expr.xreplace({variable: common * _VARIABLE}))
    return sp.S.One, ("apply", body, frozenset((key, number / common) for key, number in terms.items()))


def _diagonal(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    vector = matrix.args[0]
    terms = by.terms(vector, vector.shape[0] == 1)
    common = _common(terms.values())
    return common, ("diagonal", frozenset((key, number / common) for key, number in terms.items()))


def _constant(by: Comparison, matrix: Any, turned: bool) -> tuple[Any, Hashable]:
    shape = tuple(matrix.shape)
    return sp.S.One, (type(matrix), shape[::-1] if turned else shape)


_KEYS: dict[type, Callable[[Comparison, Any, bool], tuple[Any, Hashable]]] = {
    sp.MatAdd: _sum,
    sp.HadamardProduct: _hadamard,
    HadamardPower: _power,
    ElementwiseApplyFunction: _applied,
    DiagMatrix: _diagonal,
    OneMatrix: _constant,
    ZeroMatrix: _constant,
    sp.Identity: _constant,
}

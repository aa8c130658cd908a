"""Bounds on an expression over all real values of its symbols, by interval arithmetic: crude, but never wrong."""

from __future__ import annotations

from typing import Any

import sympy as sp

Bounds = tuple[Any, Any]

EVERYTHING: Bounds = (-sp.oo, sp.oo)
_RANGES: dict[Any, Bounds] = {
    sp.sin: (-sp.S.One, sp.S.One),
    sp.cos: (-sp.S.One, sp.S.One),
    sp.tanh: (-sp.S.One, sp.S.One),
    sp.erf: (-sp.S.One, sp.S.One),
    sp.atan: (-sp.pi / 2, sp.pi / 2),
    sp.Abs: (sp.S.Zero, sp.oo),
    sp.cosh: (sp.S.One, sp.oo),
}
_RISING = (sp.exp, sp.log, sp.atan, sp.tanh, sp.sinh, sp.asinh, sp.erf)


def enclosure(expression: Any) -> Bounds:
    """A lower and an upper bound (perhaps infinite) of an expression whose symbols are real.

    >>> x, y = sp.symbols("x y", real=True)
    >>> enclosure(sp.sin(x)*sp.cos(y)), enclosure(3 - sp.exp(-x**2 - y**2))
    ((-1, 1), (2, 3))
    """
    if expression.is_number:
        return expression, expression
    if expression.is_Symbol:
        return (sp.S.Zero, sp.oo) if expression.is_nonnegative else EVERYTHING
    if isinstance(expression, sp.Add):
        parts = [enclosure(argument) for argument in expression.args]
        return _sum([low for low, _ in parts], -sp.oo), _sum([high for _, high in parts], sp.oo)
    if isinstance(expression, sp.Mul):
        result: Bounds = (sp.S.One, sp.S.One)
        for argument in expression.args:
            result = _product(result, enclosure(argument))
        return result
    if isinstance(expression, sp.Pow):
        return _power(enclosure(expression.base), expression)
    known = _RANGES.get(expression.func, EVERYTHING)
    if isinstance(expression, _RISING) and expression.is_real is not False:
        low, high = enclosure(expression.args[0])
        if expression.func is sp.log and not low >= 0:
            low = sp.S.Zero
        return _image(expression.func, low, known[0]), _image(expression.func, high, known[1])
    return known


def _image(function: Any, end: Any, otherwise: Any) -> Any:
    value = function(end) if end.is_finite else sp.limit(function(_X), _X, end)
    if function is sp.log and end == 0:
        value = -sp.oo
    return value if value.is_extended_real else otherwise


_X = sp.Symbol("x", real=True)


def _sum(ends: list[Any], infinite: Any) -> Any:
    return infinite if infinite in ends else sp.Add(*ends)


def _product(a: Bounds, b: Bounds) -> Bounds:
    ends = [sp.S.Zero if 0 in (p, q) else p * q for p in a for q in b]
    return sp.Min(*ends), sp.Max(*ends)


def _power(base: Bounds, expression: Any) -> Bounds:
    low, high = base
    exponent = expression.exp
    if exponent.is_Integer and exponent > 0:
        if exponent % 2:
            return low**exponent, high**exponent
        ends = (low**exponent, high**exponent)
        return (sp.S.Zero if low <= 0 <= high else sp.Min(*ends)), sp.Max(*ends)
    if exponent.is_number and low > 0:
        ends = tuple(_raised(end, exponent) for end in base)
        return sp.Min(*ends), sp.Max(*ends)
    if exponent.is_number and low >= 0 and exponent.is_positive:
        return low**exponent, high**exponent
    return (sp.S.Zero, sp.oo) if expression.is_nonnegative else EVERYTHING


def _raised(end: Any, exponent: Any) -> Any:
    return end**exponent if end.is_finite or exponent.is_positive else sp.S.Zero

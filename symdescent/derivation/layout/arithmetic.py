"""Sums, products, powers and numbers: the order of terms, signs, fractions and brackets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from symdescent.derivation.layout.boxes import (
    Box,
    Fence,
    Fraction,
    Function,
    Name,
    Number,
    Op,
    Root,
    Row,
    Scripts,
    row,
)
from symdescent.derivation.layout.core import ATOM, CALL, POWER, PRODUCT, Laid, Setting, is_canonical, lay, layout_of
from symdescent.derivation.layout.joining import negated, product, total
from symdescent.derivation.layout.order import (
    BRACKET,
    FUNCTION,
    SUMMED,
    SYMBOL,
    WIDE,
    by_rank,
    is_negative,
    ordered_terms,
    rank,
    reciprocal,
)
from symdescent.derivation.layout.sizes import height, width

# -- numbers ---------------------------------------------------------------------------------------------------------


@layout_of(sp.Integer)
def _integer(number: Any, setting: Setting) -> Laid:
    return Laid(Number(str(abs(number))), ATOM, bool(number < 0))


@layout_of(sp.Rational)
def _rational(number: Any, setting: Setting) -> Laid:
    return Laid(Fraction(Number(str(abs(number.p))), Number(str(number.q))), PRODUCT, bool(number < 0))


@layout_of(sp.Float)
def _float(number: Any, setting: Setting) -> Laid:
    if number._prec == 53:
        return decimal(repr(float(number)))
    from mpmath import libmp, nstr

    return decimal(nstr(number._to_mpmath(number._prec), libmp.prec_to_dps(number._prec)))


def decimal(digits: str) -> Laid:
    """A number from its decimal digits, ``-1.5e-07`` as a power of ten."""
    negative, digits = digits.startswith("-"), digits.lstrip("-+")
    if digits in ("inf", "nan"):
        return Laid(Op("∞", "mark") if digits == "inf" else Function("NaN"), ATOM, negative)
    mantissa, mark, exponent = digits.partition("e")
    mantissa = mantissa.removesuffix(".0")
    if not mark:
        return Laid(Number(mantissa), ATOM, negative)
    power = Laid(Number(str(abs(int(exponent)))), ATOM, int(exponent) < 0).signed
    return Laid(row(Number(mantissa), Op("×"), Scripts(Number("10"), None, power)), PRODUCT, negative)


# -- sums and products -----------------------------------------------------------------------------------------------


@layout_of(sp.Add)
def _add(expression: Any, setting: Setting) -> Laid:
    return total([lay(term, setting) for term in ordered_terms(expression)])


@layout_of(sp.Mul)
def _mul(expression: Any, setting: Setting) -> Laid:
    return (_canonical if is_canonical(expression) else _as_given)(expression.args, setting)


def _factor(expression: Any, setting: Setting) -> Laid:
    laid = lay(expression, setting)
    if setting.is_lifted(expression):
        return replace(laid, kind="lifted")
    return laid


def _product(factors: list[Any], setting: Setting) -> Laid:
    return product([_factor(factor, setting) for factor in factors], setting.notation)


def _canonical(args: tuple[Any, ...], setting: Setting) -> Laid:
    """A product in the order of textbooks: number, symbols, functions, brackets, sums."""
    negative, top, bottom = split_fraction(args)
    return fraction(by_rank(top), by_rank(bottom), setting, negative)


def split_fraction(args: tuple[Any, ...]) -> tuple[bool, list[Any], list[Any]]:
    """The sign of a product, and the factors above and below its fraction line."""
    negative, top, bottom = False, [], []
    for factor in args:
        below = reciprocal(factor)
        if factor.is_Number and factor.is_finite:
            negative ^= bool(factor < 0)
            numerator, denominator = (abs(factor.p), factor.q) if factor.is_Rational else (abs(factor), 1)
            top += [sp.sympify(numerator)] if numerator != 1 else []
            bottom += [sp.Integer(denominator)] if denominator != 1 else []
        elif below is not None:
            bottom.append(below)
        else:
            top.append(factor)
    return negative, top, bottom


def fraction(top: list[Any], bottom: list[Any], setting: Setting, negative: bool = False, whole: bool = False) -> Laid:
    """A quotient of products; brackets and sums follow a fraction with a light denominator, unless it is kept whole."""
    if not bottom:
        plain = _product(top or [sp.S.One], setting)
        return negated(plain) if negative else plain
    light = all(rank(factor) <= SYMBOL for factor in bottom)
    tail = [factor for factor in top if rank(factor) >= WIDE] if light or len(top) > 1 else []
    if light and not whole and not (len(top) == 1 and top[0].is_Add):
        tail += [factor for factor in top if factor not in tail and _is_large(factor, setting)]
    above = [factor for factor in top if factor not in tail]
    tail = [factor for factor in top if factor not in above]
    numerator = _product(above, setting).signed if above else Number("1")
    kind = "lifted" if any(map(setting.is_lifted, [*above, *bottom])) else ""
    front = Laid(Fraction(numerator, _product(bottom, setting).signed), PRODUCT, kind=kind)
    laid = product([front, *(_factor(factor, setting) for factor in tail)], setting.notation)
    return negated(laid) if negative else laid


def _is_large(factor: Any, setting: Setting) -> bool:
    """Whether a factor is better put after a fraction than on top of it."""
    if rank(factor) == BRACKET:
        return True
    box = lay(factor, setting).box
    return rank(factor) == FUNCTION and (width(box) > 9 or height(box) > 1.6)


def _as_given(args: tuple[Any, ...], setting: Setting) -> Laid:
    """A product as it stands; what is divided by is put below a fraction line."""
    negative = len(args) > 1 and args[0] == -1
    groups = _grouped(args[1:] if negative else args)
    factors: list[Laid] = []
    for above, below in groups:
        start = _numerator(above, below, len(groups) == 1)
        factors += [_factor(factor, setting) for factor in above[:start]]
        factors += [_quotient(above[start:], below, setting)] if below else []
    laid = product(factors, setting.notation)
    return negated(laid) if negative else laid


def _grouped(args: Sequence[Any]) -> list[tuple[list[Any], list[Any]]]:
    """Factors with the reciprocals that follow them."""
    groups: list[tuple[list[Any], list[Any]]] = [([], [])]
    for factor in args:
        below = reciprocal(factor)
        if below is not None:
            groups[-1][1].append(below)
        else:
            groups += [([], [])] if groups[-1][1] else []
            groups[-1][0].append(factor)
    if len(groups) == 2 and not groups[0][0] and not groups[1][1] and _goes_on_top(groups[0][1], groups[1][0]):
        return [(groups[1][0], groups[0][1])]
    return groups


def _goes_on_top(below: Sequence[Any], factors: Sequence[Any]) -> bool:
    """Whether what follows a reciprocal had better be its numerator: 1/Σ · e^z is e^z/Σ."""
    return any(rank(factor) >= SUMMED for factor in below) and not any(rank(factor) >= SUMMED for factor in factors)


def _numerator(above: list[Any], below: list[Any], only: bool) -> int:
    """From which factor on the numerator reaches: all of them, plain ones, or a number."""
    if not below:
        return len(above)
    heavy = any(rank(factor) > SYMBOL for factor in below)
    if only and (heavy or len(above) == 1):
        return 0
    start = len(above)
    while start and rank(above[start - 1]) <= SYMBOL and not is_negative(above[start - 1]):
        start -= 1
    return start if only or start == 0 else len(above) - (above[-1].is_Number and not is_negative(above[-1]))


def _quotient(above: list[Any], below: list[Any], setting: Setting) -> Laid:
    """A fraction of factors as they stand."""
    if len(above) == 1 and isinstance(above[0], sp.Rational) and above[0].is_positive:  # 1/2 · 1/x is 1/(2 x)
        numerator, q = above[0].p, above[0].q
        above = [sp.Integer(numerator)]
        below = [sp.Integer(q), *below] if q != 1 else below
    top = _product(above, setting) if above else Laid(Number("1"))
    kind = "lifted" if any(map(setting.is_lifted, [*above, *below])) else ""
    return Laid(Fraction(top.box, _product(below, setting).signed), PRODUCT, top.negative, kind=kind)


# -- powers ----------------------------------------------------------------------------------------------------------

_AT_NAME = "sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan arsinh arcosh artanh"
POWERED = frozenset(_AT_NAME.split())
"""Functions whose power is written at the name: sin²(x)."""


@layout_of(sp.Pow)
def _pow(expression: Any, setting: Setting) -> Laid:
    base, exponent = expression.args
    below = reciprocal(expression)
    if below is not None:
        return fraction([], [below], setting)
    if exponent.is_Rational and exponent.p == 1 and exponent.q <= 3 and exponent.q > 1:
        degree = Number(str(exponent.q)) if exponent.q != 2 else None
        return Laid(Root(lay(base, setting).signed, degree), CALL)
    sup = _exponent(exponent, setting)
    laid = lay(base, setting)
    if setting.is_lifted(base) and not (laid.level == CALL and isinstance(laid.box, Row)):
        sup = row(Op("∘", "mark"), sup)
    return raised(laid, sup, at_name=True)


@layout_of(sp.exp)
def _exp(expression: Any, setting: Setting) -> Laid:
    return Laid(Scripts(Name("e"), None, _exponent(expression.args[0], setting)), POWER)


def _exponent(expression: Any, setting: Setting) -> Box:
    """An exponent, its fraction on one line."""
    if isinstance(expression, sp.Mul) and is_canonical(expression):
        negative, top, bottom = split_fraction(expression.args)
        return slashed(fraction(by_rank(top), by_rank(bottom), setting, negative, whole=True).signed)
    return slashed(lay(expression, setting).signed)


def raised(base: Laid, sup: Box, at_name: bool = False) -> Laid:
    """A power: x₁², σ(z)², (a + b)²; with `at_name` also sin²(x)."""
    box = base.box
    if at_name and isinstance(box, Row) and base.level == CALL and _is_powered(box.items[0]):
        return Laid(Row((Scripts(box.items[0], None, sup), *box.items[1:])), POWER)
    if base.negative or base.level < CALL or (isinstance(box, Scripts) and box.sup is not None):
        return Laid(Scripts(Fence(base.signed), None, sup), POWER)
    if isinstance(box, Scripts):
        return Laid(Scripts(box.base, box.sub, sup), POWER)
    return Laid(Scripts(box, None, sup), POWER)


def _is_powered(name: Box) -> bool:
    return isinstance(name, Function) and name.text in POWERED


def slashed(box: Box) -> Box:
    """An exponent with its small fractions on one line: x²/2 instead of a fraction line."""
    items = box.items if isinstance(box, Row) else (box,)
    signs = ("binary", "prefix")
    result: list[Box] = []
    for place, item in enumerate(items):
        around = [items[other] for other in (place - 1, place + 1) if 0 <= other < len(items)]
        alone = all(isinstance(near, Op) and near.kind in signs and near.sign in "+−" for near in around)
        if isinstance(item, Fraction) and not item.operator and alone and height(item) < 2.6:
            result += [_on_line(item.numerator), Op("/", "slash"), _on_line(item.denominator, True)]
        else:
            result.append(item)
    return row(*result)


def _on_line(box: Box, below: bool = False) -> Box:
    signs = isinstance(box, Row) and (
        below or any(isinstance(item, Op) and item.kind == "binary" for item in box.items)
    )
    return Fence(box) if signs else box

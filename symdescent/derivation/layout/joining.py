"""Putting formulas side by side: signs between terms, dots and gaps between factors, and the brackets they need."""

from __future__ import annotations

from collections.abc import Sequence

from symdescent.derivation.layout.boxes import (
    At,
    Big,
    Box,
    Fence,
    Fraction,
    Function,
    Gap,
    Name,
    Number,
    Op,
    Root,
    Row,
    Scripts,
    first,
    joined,
    last,
    row,
)
from symdescent.derivation.layout.core import CALL, CLOSED, DOT, MINUS, MIXED, OPEN, OPERATOR, PLUS, PRODUCT, SUM, Laid
from symdescent.derivation.page import Notation

TIMES = {"cdot": DOT, "times": Op("×")}


def total(terms: Sequence[Laid]) -> Laid:
    """A sum of terms in the order given; negative ones are subtracted."""
    items: list[Box] = []
    for place, term in enumerate(terms):
        if place or term.negative:
            sign = MINUS if term.negative else PLUS
            items.append(sign if place else Op("−", "prefix"))
        open_before_closed = term.open == OPEN and any(after.open == CLOSED for after in terms[place + 1 :])
        box = Fence(term.box) if term.level <= SUM or open_before_closed else term.box
        items.append(box)
    return Laid(Row(tuple(items)), SUM, open=terms[-1].open, kind=terms[0].kind)


def product(factors: Sequence[Laid], notation: Notation) -> Laid:
    """A product of factors in the order given, in brackets where they need them; a leading minus comes in front."""
    if len(factors) == 1:
        return factors[0]
    if sum(factor.kind == "lifted" for factor in factors) > 1:
        return _elementwise(factors, notation)
    ends = len(factors) - 1
    boxes = [_as_factor(factor, place == 0, place == ends) for place, factor in enumerate(factors)]
    items = boxes[:1]
    for place, box in enumerate(boxes[1:], 1):
        items += [_between(factors[place - 1], boxes[place - 1], factors[place], box, notation), box]
    is_open = CLOSED if isinstance(items[-1], Fence) else factors[-1].open
    return Laid(row(*items), PRODUCT, factors[0].negative, is_open, _kind(factors))


def _elementwise(factors: Sequence[Laid], notation: Notation) -> Laid:
    """A product of values of which several stand for matrices: scalars in front, the rest multiplied elementwise."""
    scalars = [factor for factor in factors if factor.kind != "lifted"]
    boxes = [factor.above(PRODUCT) for factor in factors if factor.kind == "lifted"]
    front = [product(scalars, notation)] if scalars else []
    items: list[Box] = [_as_factor(front[0], True, False), Gap()] if front else []
    negative = bool(front) and front[0].negative
    return Laid(row(*items, joined(boxes, Op("⊙"))), MIXED, negative, kind="lifted")


def _kind(factors: Sequence[Laid]) -> str:
    kinds = {factor.kind for factor in factors}
    return next((kind for kind in ("lifted", "matrix") if kind in kinds), "")


def negated(laid: Laid) -> Laid:
    """The formula with a minus in front; a sum in brackets."""
    box = Fence(laid.signed) if laid.level <= SUM or laid.negative else laid.box
    return Laid(box, PRODUCT if box is not laid.box else laid.level, True, laid.open, laid.kind)


def _as_factor(factor: Laid, leads: bool, ends: bool) -> Box:
    if factor.level <= MIXED or (factor.negative and not leads) or (factor.open and not ends):
        return Fence(factor.signed if not (factor.negative and leads) else factor.box)
    return factor.box


def _between(left: Laid, box: Box, right: Laid, next_box: Box, notation: Notation) -> Box:
    """The sign between two factors: often none."""
    before, after = last(box), first(next_box)
    sign = TIMES.get(notation.times, DOT)
    if _needs_dot(before, after, right):
        return sign
    kinds = {left.kind, right.kind}
    if notation.times and "matrix" not in kinds and not isinstance(after, Big):
        return sign
    called = left.level == CALL and isinstance(box, Row) and isinstance(after, Fence)
    calls = right.level == CALL and isinstance(before, (Name, Scripts))
    return Gap(called or calls or after == Name("d", "upright") or (_touch(before, after) and kinds != {"matrix"}))


def _needs_dot(before: Box, after: Box, right: Laid) -> bool:
    """Whether two factors side by side would be read as something else: digits, a mixed number, a derivative."""
    if isinstance(after, Fence):
        return isinstance(right.box, Number)
    if isinstance(after, Fraction) and after.operator:
        return right.level == OPERATOR or (isinstance(before, Fraction) and before.operator)
    if isinstance(after, Fraction):
        numeric = isinstance(after.numerator, Number) and isinstance(after.denominator, Number)
        return numeric or isinstance(before, Number)
    digit = isinstance(after, (Number, At)) or (isinstance(after, Name) and after.text.isdecimal())
    return digit or (isinstance(before, Number) and before.digits in ("0", "1"))


def _touch(before: Box, after: Box) -> bool:
    """Whether two factors need a small space to be told apart."""
    if isinstance(after, Big):
        return False
    if isinstance(after, Fence):
        return isinstance(before, (Name, Root)) or (isinstance(before, Scripts) and not isinstance(before.base, Fence))
    letters = any(map(_is_word, (before, after))) or after == Name("e")
    return letters or isinstance(before, (Fence, Root)) or _is_long_power(before)


def _is_word(box: Box) -> bool:
    box = box.base if isinstance(box, Scripts) else box
    return isinstance(box, Function) or (isinstance(box, Name) and len(box.text) > 1)


def _is_long_power(box: Box) -> bool:
    return (
        isinstance(box, Scripts) and isinstance(box.sup, Row) and any(isinstance(item, Name) for item in box.sup.items)
    )

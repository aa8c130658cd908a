"""Sums over indices, entries of arrays, derivatives and functions."""

from __future__ import annotations

from typing import Any

import sympy as sp
from sympy.matrices.expressions.matexpr import MatrixElement, MatrixExpr

from symdescent.derivation.layout.arithmetic import raised
from symdescent.derivation.layout.boxes import (
    COMMA,
    Applied,
    At,
    Big,
    Box,
    Fence,
    Fraction,
    Gap,
    Name,
    Number,
    Op,
    Scripts,
    joined,
    row,
)
from symdescent.derivation.layout.core import (
    OPEN,
    OPEN_IN_PRODUCT,
    OPERATOR,
    POWER,
    PRODUCT,
    RELATION,
    SUM,
    Laid,
    Setting,
    box_of,
    lay,
    layout_of,
)
from symdescent.derivation.layout.names import indexed_box, symbol_box
from symdescent.derivation.symbols import GradientOf

# -- sums and products over an index ---------------------------------------------------------------------------------


@layout_of(sp.Sum, sp.Product)
def _big(expression: Any, setting: Setting) -> Laid:
    body = lay(expression.function, setting)
    items: list[Box] = [body.above(SUM) if body.level != RELATION else Fence(body.signed)]
    for limits in expression.limits:  # the first is the innermost
        index, *range_ = limits
        ends = [box_of(end, setting) for end in range_]
        lower, upper = ends if len(ends) == 2 else (None, None)
        whole = len(ends) == 2 and _is_whole(expression.function, *limits)
        sign = "∑" if isinstance(expression, sp.Sum) else "∏"
        items = [Big(sign, box_of(index, setting), lower, upper, whole), Gap(), *items]
    return Laid(row(*items), PRODUCT, open=OPEN_IN_PRODUCT)


def _is_whole(body: Any, index: Any, lower: Any, upper: Any) -> bool:
    """Whether the range is that of the arrays which have the index; without any, whether it goes up to a symbol."""
    if lower not in (0, 1):
        return False
    count = sp.expand(upper - lower + 1)
    lengths = [length for length in _lengths(body, index) if length is not None]
    return any(sp.expand(count - length) == 0 for length in lengths) if lengths else bool(count.is_Symbol)


def _lengths(body: Any, index: Any) -> list[Any]:
    """The extents of the axes that the index itself runs along."""
    found = []
    for entry in body.atoms(sp.Indexed, MatrixElement):
        base, *places = entry.args if isinstance(entry, MatrixElement) else (entry.base, *entry.indices)
        shape = base.shape or [None] * len(places)
        found += [length for place, length in zip(places, shape, strict=False) if place == index]
    return found


# -- arrays ----------------------------------------------------------------------------------------------------------


def array_style(shape: Any, setting: Setting) -> str:
    """How the name of a vector or a matrix is written: "bold", "arrow" (vectors only), or as any other name."""
    is_vector = shape is None or len(shape) == 1 or sp.S.One in map(sp.sympify, shape)
    return {"bold": "bold", "arrow": "arrow" if is_vector else "", "plain": ""}[setting.notation.vectors]


@layout_of(sp.IndexedBase)
def _array(array: Any, setting: Setting) -> Laid:
    return Laid(symbol_box(array, str(array.label), setting.notation, array_style(array.shape, setting)))


@layout_of(sp.Indexed)
def _entry(entry: Any, setting: Setting) -> Laid:
    base = symbol_box(entry.base, str(entry.base.label), setting.notation)
    return Laid(indexed_box(base, [box_of(index, setting) for index in entry.indices]))


@layout_of(MatrixElement)
def _matrix_entry(entry: Any, setting: Setting) -> Laid:
    parent, *places = entry.args
    if isinstance(parent, sp.MatrixSymbol):
        base = symbol_box(parent, parent.name, setting.notation)
        places = places[:1] if parent.shape[1] == 1 and places[1] == 0 else places
    else:
        base = Fence(box_of(parent, setting))
    return Laid(indexed_box(base, [box_of(place, setting) for place in places]))


# -- derivatives -----------------------------------------------------------------------------------------------------


def _is_total(expression: Any, setting: Setting) -> bool:
    """Whether the body depends on nothing but the variable, a symbol; or as it is settled for all lines."""
    variables = set(expression.variables)
    if setting.notation.ordinary is not None:
        return variables <= setting.notation.ordinary
    return len(variables) == 1 and expression.expr.free_symbols == variables and all(v.is_Symbol for v in variables)


@layout_of(sp.Derivative)
def _derivative(expression: Any, setting: Setting) -> Laid:
    sign: Box = Name("d") if _is_total(expression, setting) else Op("∂", "mark")
    order = sum(count for _, count in expression.variable_count)
    above = sign if order == 1 else Scripts(sign, None, box_of(order, setting))
    body = lay(expression.expr, setting)
    needs_brackets = body.negative or body.level <= SUM or (_is_plain_product(body) and not body.open)
    inside = Fence(body.signed) if needs_brackets else body.box
    operator = Fraction(above, _by(sign, expression.variable_count, setting), operator=True)
    is_open = OPEN_IN_PRODUCT if needs_brackets else max(body.open, OPEN_IN_PRODUCT)
    return Laid(row(operator, Applied(open=True, wide=not needs_brackets), inside), OPERATOR, open=is_open)


def _is_plain_product(laid: Laid) -> bool:
    return laid.level <= PRODUCT and not isinstance(laid.box, Fraction)


def _by(sign: Box, variables: Any, setting: Setting) -> Box:
    """The denominator of a derivative: ∂a ∂b²."""
    parts = []
    for variable, count in variables:
        laid = lay(variable, setting)
        parts.append(row(sign, laid.box if count == 1 else raised(laid, box_of(count, setting)).box))
    return joined(parts, Gap(wide=True))


@layout_of(sp.Subs)
def _evaluated(expression: Any, setting: Setting) -> Laid:
    body, variables, point = expression.args
    equations = [
        row(box_of(variable, setting), Op("=", "relation"), box_of(value, setting))
        for variable, value in zip(variables, point, strict=True)
    ]
    return Laid(At(lay(body, setting).signed, joined(equations, COMMA)), POWER)


@layout_of(GradientOf)
def _gradient(expression: Any, setting: Setting) -> Laid:
    loss, *parameters = expression.args
    what = lay(loss, setting).above(PRODUCT)
    arrays = (MatrixExpr, sp.MatrixBase, sp.IndexedBase)
    nabla = Op("∇", "mark")
    if setting.notation.derivative == "nabla" or any(isinstance(parameter, arrays) for parameter in parameters):
        names = [box_of(parameter, setting) for parameter in parameters]
        if len(names) == 2 and names[0] == names[1]:
            return Laid(row(Scripts(nabla, names[0], Number("2")), Applied(open=True), what), POWER)
        return Laid(joined([*(Scripts(nabla, name) for name in names), what], Applied(open=True)), POWER)
    ordinary = len(parameters) == 1 and parameters[0] in (setting.notation.ordinary or ())
    sign: Box = Name("d") if ordinary else Op("∂", "mark")
    same = len(parameters) == 2 and parameters[0] == parameters[1]
    counts = [(parameters[0], sp.Integer(2))] if same else [(parameter, 1) for parameter in parameters]
    above = Scripts(sign, None, Number("2")) if len(parameters) == 2 else sign
    return Laid(Fraction(row(above, what), _by(sign, counts, setting), operator=True), POWER)


# -- functions and tuples --------------------------------------------------------------------------------------------


@layout_of(sp.Lambda)
def _lambda(function: Any, setting: Setting) -> Laid:
    names = joined([box_of(variable, setting) for variable in function.variables], COMMA)
    names = names if len(function.variables) == 1 else Fence(names)
    return Laid(row(names, Op("↦", "relation"), box_of(function.expr, setting)), RELATION, open=OPEN)


@layout_of(sp.Tuple)
def _tuple(entries: Any, setting: Setting) -> Laid:
    return Laid(Fence(joined([box_of(entry, setting) for entry in entries], COMMA)))

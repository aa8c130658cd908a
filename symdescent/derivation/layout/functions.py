"""Symbols, constants, functions, cases and conditions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from symdescent.derivation.layout.boxes import (
    Applied,
    Box,
    Cases,
    Fence,
    Function,
    Name,
    Number,
    Op,
    Scripts,
    Text,
    joined,
    row,
)
from symdescent.derivation.layout.core import (
    CALL,
    MIXED,
    OPEN,
    POWER,
    RELATION,
    Laid,
    Setting,
    applied,
    box_of,
    lay,
    layout_of,
)
from symdescent.derivation.layout.names import indexed_box, symbol_box
from symdescent.derivation.layout.order import is_indicator
from symdescent.elementary import relu, sigmoid
from symdescent.optimizers import Norm, Total

# -- symbols and constants -------------------------------------------------------------------------------------------


@layout_of(sp.Symbol)
def _symbol(symbol: Any, setting: Setting) -> Laid:
    if symbol in setting.lifted:
        return replace(lay(setting.lifted[symbol], replace(setting, lifted={})), kind="lifted")
    return Laid(symbol_box(symbol, symbol.name, setting.notation))


@layout_of(sp.Idx)
def _idx(index: Any, setting: Setting) -> Laid:
    return lay(index.label, setting)


_CONSTANTS: dict[Any, Box] = {
    sp.pi: Name("π"),
    sp.E: Name("e"),
    sp.I: Name("i"),
    sp.oo: Op("∞", "mark"),
    sp.zoo: Op("∞", "mark"),
    sp.nan: Function("NaN"),
    sp.EulerGamma: Name("γ"),
    sp.GoldenRatio: Name("φ"),
    sp.Catalan: Name("G"),
}


@layout_of(*map(type, _CONSTANTS))
def _constant(constant: Any, setting: Setting) -> Laid:
    return Laid(_CONSTANTS[constant])


@layout_of(type(-sp.oo))
def _negative_infinity(constant: Any, setting: Setting) -> Laid:
    return Laid(Op("∞", "mark"), negative=True)


# -- functions -------------------------------------------------------------------------------------------------------

_NAMES: dict[type, Box] = {
    sigmoid: Name("σ"),
    relu: Function("ReLU"),
    sp.asin: Function("arcsin"),
    sp.acos: Function("arccos"),
    sp.atan: Function("arctan"),
    sp.asinh: Function("arsinh"),
    sp.acosh: Function("arcosh"),
    sp.atanh: Function("artanh"),
    sp.gamma: Name("Γ"),
    sp.Max: Function("max"),
    sp.Min: Function("min"),
}


@layout_of(*_NAMES)
def _renamed(call: Any, setting: Setting) -> Laid:
    return applied(_NAMES[type(call)], call.args, setting)


@layout_of(AppliedUndef)
def _undefined(call: Any, setting: Setting) -> Laid:
    return applied(symbol_box(call.func, call.func.__name__, setting.notation), call.args, setting)


def _fenced(kind: str) -> Callable[[Any, Setting], Laid]:
    return lambda call, setting: Laid(Fence(box_of(call.args[0], setting), kind))


layout_of(sp.Abs)(_fenced("||"))
layout_of(Norm)(_fenced("‖‖"))
layout_of(sp.floor)(_fenced("⌊⌋"))
layout_of(sp.ceiling)(_fenced("⌈⌉"))


@layout_of(Total)
def _total(total: Any, setting: Setting) -> Laid:
    """A sum over all coordinates: of squares, the square of a norm."""
    inside = total.args[0]
    if inside.is_Pow and inside.exp == 2:
        return Laid(Scripts(Fence(box_of(inside.base, setting), "‖‖"), sup=Number("2")), POWER)
    return applied(Name("Σ"), [inside], setting)


@layout_of(sp.loggamma)
def _loggamma(call: Any, setting: Setting) -> Laid:
    return Laid(row(Function("log"), Applied(open=True), applied(Name("Γ"), call.args, setting).box), POWER)


@layout_of(sp.polygamma)
def _polygamma(call: Any, setting: Setting) -> Laid:
    order, argument = call.args
    name: Box = Name("ψ")
    if order != 0:
        name = Scripts(name, None, Fence(box_of(order, setting)))
    return applied(name, [argument], setting)


@layout_of(sp.factorial)
def _factorial(call: Any, setting: Setting) -> Laid:
    return Laid(row(lay(call.args[0], setting).above(CALL), Op("!", "mark")), POWER)


@layout_of(sp.Mod)
def _mod(call: Any, setting: Setting) -> Laid:
    dividend, divisor = (lay(argument, setting).above(MIXED) for argument in call.args)
    return Laid(row(dividend, Op("mod"), divisor), MIXED)


@layout_of(sp.Heaviside)
def _heaviside(call: Any, setting: Setting) -> Laid:
    """A step is an indicator where its value at the jump says on which side the jump belongs."""
    argument, at_zero = call.args
    signs = {sp.S.Zero: ">", sp.S.One: "≥"}
    if at_zero not in signs:
        return applied(Name("H"), [argument], setting)
    return _indicator(row(box_of(argument, setting), Op(signs[at_zero], "relation"), Number("0")))


def _indicator(condition: Box) -> Laid:
    """1 where a condition holds, else 0."""
    return Laid(row(Name("1", "bold"), Applied(), Fence(condition, "[]")), CALL)


@layout_of(sp.KroneckerDelta)
def _kronecker(call: Any, setting: Setting) -> Laid:
    return Laid(indexed_box(Name("δ"), [box_of(index, setting) for index in call.args]))


# -- cases and conditions --------------------------------------------------------------------------------------------

WORDS = {
    "en": {"if": "if ", "otherwise": "otherwise", "and": " and ", "or": " or ", "not": "not "},
    "es": {"if": "si ", "otherwise": "en otro caso", "and": " y ", "or": " o ", "not": "no "},
}


def _word(key: str, setting: Setting) -> Text:
    return Text(WORDS[setting.notation.language][key])


@layout_of(sp.Piecewise)
def _piecewise(expression: Any, setting: Setting) -> Laid:
    if is_indicator(expression):
        return _indicator(box_of(expression.args[0][1], setting))
    rows: list[tuple[Box, Box]] = []
    for value, condition in expression.args:
        condition_box = row(_word("if", setting), box_of(condition, setting))
        holds = _word("otherwise", setting) if condition is sp.true else condition_box
        rows.append((box_of(value, setting), holds))
    return Laid(Cases(tuple(rows)), open=OPEN)


_RELATIONS = {"==": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}


@layout_of(Relational)
def _relation(relation: Any, setting: Setting) -> Laid:
    sides = [
        lay(side, setting).signed if not isinstance(side, Relational) else Fence(box_of(side, setting))
        for side in relation.args
    ]
    return Laid(row(sides[0], Op(_RELATIONS[relation.rel_op], "relation"), sides[1]), RELATION)


@layout_of(sp.And, sp.Or)
def _logical(expression: Any, setting: Setting) -> Laid:
    mark = _word("and" if isinstance(expression, sp.And) else "or", setting)
    boxes = [
        Fence(box_of(argument, setting)) if isinstance(argument, (sp.And, sp.Or)) else box_of(argument, setting)
        for argument in expression.args
    ]
    return Laid(joined(boxes, mark), RELATION)


@layout_of(sp.Not)
def _not(expression: Any, setting: Setting) -> Laid:
    return Laid(row(_word("not", setting), Fence(box_of(expression.args[0], setting))), RELATION)


@layout_of(BooleanTrue, BooleanFalse)
def _truth(constant: Any, setting: Setting) -> Laid:
    return Laid(Text(str(constant)))

"""Expressions of the canonical program in JavaScript: names, numbers, arithmetic, entries of arrays, calls."""

from __future__ import annotations

import ast
from typing import Any

# how tightly an expression binds
_CHOICE, _OR, _AND, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(8)
# names that mean something in JavaScript, or that the text uses; window's fixed properties cannot be declared again
_WORDS = """
abstract arguments async await boolean break byte case catch char class const continue debugger default delete do double
else enum eval export extends final finally float for function goto if implements import in instanceof int interface let
long native new null package private protected public return short static super switch synchronized this throw throws
transient try typeof var void volatile while with yield true false undefined NaN Infinity Math Array Float64Array
Symbol Object Number String console module exports require window document location top globalThis
main square cube remainder_of zeros zeros_like fill polynomial exp_minus_square small_error_function
large_error_function error_function complementary_error_function log_gamma_at_two stirling_remainder log_gamma
sine_of_pi gamma_function
"""
TAKEN = frozenset(_WORDS.split())
_MATH = {
    "erf": "error_function",
    "erfc": "complementary_error_function",
    "gamma": "gamma_function",
    "lgamma": "log_gamma",
}
_COMPARE_SIGNS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "===", ast.NotEq: "!=="}
ARITHMETIC = {ast.Add: ("+", _SUM), ast.Sub: ("-", _SUM), ast.Mult: ("*", _PRODUCT), ast.Div: ("/", _PRODUCT)}
_CONSTANTS = {"inf": "Infinity", "nan": "NaN", "pi": "Math.PI", "e": "Math.E"}
_POWERS = {2: "square", 3: "cube"}


def js_name(name: str) -> str:
    """An identifier in JavaScript: the same, unless it means something there; no Python name has a dollar sign."""
    return f"{name}$" if name in TAKEN else name


def js_number(value: float) -> str:
    """A number in JavaScript."""
    if value != value:
        return "NaN"
    if value in (float("inf"), -float("inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def text(node: ast.expr, context: int = 0) -> str:
    """The expression, in brackets where the context binds more tightly."""
    written, strength = _text(node)
    return f"({written})" if strength < context else written


def _text(node: ast.expr) -> tuple[str, int]:
    if isinstance(node, ast.Constant):
        value: Any = node.value
        return str(value).lower() if isinstance(value, bool) else js_number(value), _ATOM
    if isinstance(node, ast.Name):
        return js_name(node.id), _ATOM
    if isinstance(node, ast.Attribute):
        return _CONSTANTS[node.attr], _ATOM
    if isinstance(node, ast.UnaryOp):
        return f"{'!' if isinstance(node.op, ast.Not) else '-'}{text(node.operand, _ATOM)}", _SIGN
    if isinstance(node, ast.BinOp):
        return _binary(node)
    if isinstance(node, ast.BoolOp):
        sign, strength = ("&&", _AND) if isinstance(node.op, ast.And) else ("||", _OR)
        return f" {sign} ".join(text(value, strength + 1) for value in node.values), strength
    if isinstance(node, ast.Compare):
        return _compare(node)
    if isinstance(node, ast.IfExp):
        parts = (text(node.test, _OR), text(node.body, _OR), text(node.orelse))
        return "{} ? {} : {}".format(*parts), _CHOICE
    if isinstance(node, ast.Subscript):
        return _entry(node), _ATOM
    if isinstance(node, (ast.Tuple, ast.List)):
        return f"[{', '.join(map(text, node.elts))}]", _ATOM
    assert isinstance(node, ast.Call), ast.unparse(node)
    return _call(node)


def _binary(node: ast.BinOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Pow):
        return _power(node.left, node.right)
    if isinstance(node.op, ast.Mod):
        return f"remainder_of({text(node.left)}, {text(node.right)})", _ATOM
    if isinstance(node.op, ast.FloorDiv):
        return f"Math.floor({text(node.left, _PRODUCT)} / {text(node.right, _SIGN)})", _ATOM
    sign, strength = ARITHMETIC[type(node.op)]
    return f"{text(node.left, strength)} {sign} {text(node.right, strength + 1)}", strength


def _power(base: ast.expr, exponent: ast.expr) -> tuple[str, int]:
    number: Any = exponent.value if isinstance(exponent, ast.Constant) else None
    if number in _POWERS:
        if isinstance(base, (ast.Name, ast.Subscript)):
            return " * ".join([text(base)] * int(number)), _PRODUCT
        return f"{_POWERS[number]}({text(base)})", _ATOM
    return f"Math.pow({text(base)}, {text(exponent)})", _ATOM


def _compare(node: ast.Compare) -> tuple[str, int]:
    operands = [node.left, *node.comparators]
    parts = [
        f"{text(a, _SUM)} {_COMPARE_SIGNS[type(op)]} {text(b, _SUM)}"
        for a, op, b in zip(operands, node.ops, operands[1:], strict=False)
    ]
    return " && ".join(parts), _COMPARE if len(parts) == 1 else _AND


def _entry(node: ast.Subscript) -> str:
    if isinstance(node.value, ast.Attribute):  # the length of an axis
        axis = int(ast.unparse(node.slice))
        return f"{text(node.value.value)}{'[0]' * axis}.length"
    places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    return text(node.value) + "".join(f"[{text(place)}]" for place in places)


def _call(node: ast.Call) -> tuple[str, int]:
    name = ast.unparse(node.func)
    if name == "float":
        return _text(node.args[0])
    if name in ("np.empty", "np.zeros"):
        shape = node.args[0]
        if isinstance(shape, ast.Attribute):
            return f"zeros_like({text(shape.value)})", _ATOM
        return f"zeros({', '.join(map(text, shape.elts if isinstance(shape, ast.Tuple) else [shape]))})", _ATOM
    args = ", ".join(map(text, node.args))
    if name == "len":
        return f"{args}.length", _ATOM
    if name in ("abs", "min", "max"):
        return f"Math.{name}({args})", _ATOM
    if name == "int":
        return f"Math.trunc({args})", _ATOM
    if name.startswith("math."):
        own = name.removeprefix("math.")
        return f"{_MATH.get(own) or f'Math.{own}'}({args})", _ATOM
    return f"{js_name(name)}({args})", _ATOM

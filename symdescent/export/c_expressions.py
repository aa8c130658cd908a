"""Expressions of the canonical program in C99: names, numbers, arithmetic, entries of arrays, calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

DOUBLE, LONG = "double", "long"
# names that mean something in C or in the headers that are used
_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool _Complex
main printf malloc calloc free size_t NULL INFINITY NAN HUGE_VAL M_PI M_E EOF stdin stdout stderr bool true false
exp log sqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc tgamma lgamma atan2 pow fabs floor
ceil expm1 log1p fmod labs abs exit div index signgam I y0 y1 yn j0 j1 jn gamma remainder copysign square cube
remainder_of entry_
"""
TAKEN = frozenset(_WORDS.split())
_MATH = {
    **{
        name: name
        for name in ("exp", "log", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh")
    },
    **{name: name for name in ("asinh", "acosh", "atanh", "erf", "erfc", "atan2", "expm1", "log1p", "floor", "ceil")},
    "gamma": "tgamma",
    "lgamma": "lgamma",
}
_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
ARITHMETIC = {ast.Add: ("+", 1), ast.Sub: ("-", 1), ast.Mult: ("*", 2), ast.Div: ("/", 2)}


def c_name(name: str) -> str:
    """An identifier in C: the same, unless it means something there."""
    return f"{name}_" if name in TAKEN else name


def c_number(value: float) -> str:
    """A number in C."""
    if value != value:
        return "NAN"
    if value in (float("inf"), -float("inf")):
        return "INFINITY" if value > 0 else "-INFINITY"
    return repr(float(value))


_POWERS = {2: "square", 3: "cube"}


class Expressions:
    """Expressions in C; `kinds` tells which names are whole numbers, `shapes` how long the axes of arrays are.

    `positions` are arrays of whole numbers, `whole` functions that return one.
    """

    def __init__(
        self,
        kinds: dict[str, str],
        shapes: Mapping[str, Sequence[str]],
        positions: Iterable[str],
        whole: Iterable[str] = (),
    ) -> None:
        self.kinds, self.shapes, self.positions = kinds, shapes, frozenset(positions)
        self.whole = frozenset(("int", "len", *whole))

    def kind(self, node: ast.expr) -> str:
        """Whether an expression is a whole number."""
        if isinstance(node, ast.Constant):
            return LONG if isinstance(node.value, int) else DOUBLE
        if isinstance(node, ast.Name):
            return self.kinds.get(node.id, DOUBLE)
        if isinstance(node, ast.UnaryOp):
            return self.kind(node.operand)
        if isinstance(node, ast.BinOp):
            both = {self.kind(node.left), self.kind(node.right)}
            return LONG if both == {LONG} and not isinstance(node.op, ast.Div) else DOUBLE
        if isinstance(node, ast.Subscript):
            name = ast.unparse(node.value)
            return LONG if name in self.positions or name.endswith(".shape") else DOUBLE
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("abs", "min", "max"):
                return LONG if all(self.kind(argument) == LONG for argument in node.args) else DOUBLE
            return LONG if name in self.whole else DOUBLE
        if isinstance(node, ast.IfExp):
            return LONG if {self.kind(node.body), self.kind(node.orelse)} == {LONG} else DOUBLE
        return DOUBLE

    def text(self, node: ast.expr, context: int = 0) -> str:
        """The expression, in brackets where the context (1 a sum, 2 a product, 3 a sign) binds more tightly."""
        written, strength = self._text(node)
        return f"({written})" if strength < context else written

    def _text(self, node: ast.expr) -> tuple[str, int]:
        if isinstance(node, ast.Constant):
            value: Any = node.value
            return (str(value) if isinstance(value, int) else c_number(value)), 4
        if isinstance(node, ast.Name):
            return c_name(node.id), 4
        if isinstance(node, ast.Attribute):
            return {"inf": "INFINITY", "nan": "NAN", "pi": "3.141592653589793", "e": "2.718281828459045"}[node.attr], 4
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return f"!{self.text(node.operand, 4)}", 3
            return f"-{self.text(node.operand, 3)}", 3 if isinstance(node.operand, ast.Constant) else 1
        if isinstance(node, ast.BinOp):
            return self._binary(node)
        if isinstance(node, ast.BoolOp):
            sign = " && " if isinstance(node.op, ast.And) else " || "
            return sign.join(self.text(value, 4) for value in node.values), 0
        if isinstance(node, ast.Compare):
            return self._compare(node), 0
        if isinstance(node, ast.IfExp):
            return f"{self.text(node.test, 1)} ? {self.text(node.body, 1)} : {self.text(node.orelse, 1)}", 0
        if isinstance(node, ast.Subscript):
            return self._entry(node), 4
        assert isinstance(node, ast.Call), ast.unparse(node)
        return self._call(node)

    def _binary(self, node: ast.BinOp) -> tuple[str, int]:
        if isinstance(node.op, ast.Pow):
            return self._power(node), 4
        if isinstance(node.op, ast.Mod):
            whole = self.kind(node) == LONG
            return f"{'remainder_of' if whole else 'fmod'}({self.text(node.left)}, {self.text(node.right)})", 4
        sign, strength = ARITHMETIC[type(node.op)]
        left, right = self.text(node.left, strength), self.text(node.right, strength + 1)
        if isinstance(node.op, ast.Div) and self.kind(node.left) == self.kind(node.right) == LONG:
            left = f"(double){self.text(node.left, 4)}"
        return f"{left} {sign} {right}", strength

    def _power(self, node: ast.BinOp) -> str:
        base, exponent = node.left, node.right
        number: Any = exponent.value if isinstance(exponent, ast.Constant) else None
        if number in _POWERS:
            if isinstance(base, (ast.Name, ast.Subscript)):
                return f"({' * '.join([self.text(base, 3)] * int(number))})"
            return f"{_POWERS[number]}({self.text(base)})"
        return f"pow({self.text(base)}, {self.text(exponent)})"

    def _compare(self, node: ast.Compare) -> str:
        operands = [node.left, *node.comparators]
        parts = [
            f"{self.text(a, 1)} {_COMPARE[type(op)]} {self.text(b, 1)}"
            for a, op, b in zip(operands, node.ops, operands[1:], strict=False)
        ]
        return parts[0] if len(parts) == 1 else " && ".join(f"({part})" for part in parts)

    def _entry(self, node: ast.Subscript) -> str:
        if isinstance(node.value, ast.Attribute):  # the length of an axis
            return self.shapes[ast.unparse(node.value.value)][int(ast.unparse(node.slice))]
        name = ast.unparse(node.value)
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        shape = self.shapes.get(name, ())
        position = self.text(places[0])
        for axis, place in enumerate(places[1:], 1):
            length = shape[axis]
            outer = position if re.fullmatch(r"\w+", position) else f"({position})"
            length = length if re.fullmatch(r"\w+", length) else f"({length})"
            position = f"{outer} * {length} + {self.text(place, 1)}"
        return f"{c_name(name)}[{position}]"

    def _call(self, node: ast.Call) -> tuple[str, int]:
        name = ast.unparse(node.func)
        args = [self.text(argument) for argument in node.args]
        if name == "float":
            inner = node.args[0]
            return (self.text(inner), 4) if self.kind(inner) == DOUBLE else (f"(double){self.text(inner, 4)}", 3)
        if name == "int":
            return f"(long){self.text(node.args[0], 4)}", 3
        if name == "abs":
            return f"{'labs' if self.kind(node) == LONG else 'fabs'}({args[0]})", 4
        if name in ("min", "max"):
            sign, (first, second) = "<" if name == "min" else ">", args
            return f"({first} {sign} {second} ? {first} : {second})", 4
        if name.startswith("math."):
            return f"{_MATH[name.removeprefix('math.')]}({', '.join(args)})", 4
        return f"{c_name(name)}({', '.join(args)})", 4

"""Convexity by composition: what is built from convex functions in ways that keep convexity, read off the graph.

The rules are those of disciplined convex programming: sums of convex functions, positive multiples, convex functions
of affine ones, increasing convex functions of convex ones (Grant, Boyd & Ye, *Disciplined convex programming*, 2006).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from symdescent.differentiate import is_parameter
from symdescent.graph import Graph, Node, reachable
from symdescent.statement import Statement

CONSTANT, AFFINE, CONVEX, CONCAVE, UNKNOWN = "constant", "affine", "convex", "concave", "unknown"


@dataclass(frozen=True, slots=True)
class Shape:
    """How a node bends as a function of the parameters, and its sign: 1 (nowhere negative), -1, or 0 (unknown)."""

    kind: str
    sign: int = 0

    @property
    def convex(self) -> bool:
        """Whether it is surely convex."""
        return self.kind in (CONSTANT, AFFINE, CONVEX)

    @property
    def concave(self) -> bool:
        """Whether it is surely concave."""
        return self.kind in (CONSTANT, AFFINE, CONCAVE)


def shape(statement: Statement) -> Shape:
    """How the loss bends: "convex" where the rules prove it, "unknown" where they do not.

    >>> import sympy as sp, symdescent as sd
    >>> w, x, y = sp.symbols("w x y")
    >>> shape(sd.Loss(sp.log(1 + sp.exp(-y*w*x)) + w**2, w).statement).kind
    'convex'
    """
    wanted = set(statement.parameters)
    found: dict[Node, Shape] = {}
    for node in reachable([statement.root]):
        if is_parameter(node, wanted):
            found[node] = Shape(AFFINE, _assumed(node.payload))
        else:
            found[node] = _shape(statement.graph, node, [found[argument] for argument in node.args])
    return found[statement.root]


def _shape(graph: Graph, node: Node, args: list[Shape]) -> Shape:
    if node.op in ("const", "symbol", "load", "index"):
        return Shape(CONSTANT, _constant_sign(node))
    known = _SIGNS.get(node.payload if node.op == "call" else node.op, 0)
    if all(argument.kind == CONSTANT for argument in args):
        return Shape(CONSTANT, _sign_of_constants(node, args) or known)
    if node.op == "add":
        return _sum(args)
    if node.op == "mul":
        return _product(args)
    if node.op == "power":
        return _power(node, args)
    if node.op == "sum":
        return args[0]
    if node.op == "logsumexp":
        return Shape(CONVEX if args[0].convex else UNKNOWN)
    if node.op == "maximum":
        return Shape(CONVEX if args[0].convex else UNKNOWN, args[0].sign)
    if node.op == "select" and args[0].kind == CONSTANT:
        return _sum(args[1:])
    if node.op == "call":
        return _call(node, args)
    return Shape(UNKNOWN)


def _assumed(symbol: Any) -> int:
    label = getattr(symbol, "label", symbol)
    return 1 if getattr(label, "is_nonnegative", False) else -1 if getattr(label, "is_nonpositive", False) else 0


def _constant_sign(node: Node) -> int:
    if node.op == "const":
        value = float(node.payload)
        return 1 if value >= 0 else -1
    return 1 if node.op == "index" else _assumed(node.payload)


def _sign_of_constants(node: Node, args: list[Shape]) -> int:
    signs = [argument.sign for argument in args]
    if node.op in ("add", "sum", "maximum"):
        return signs[0] if len(set(signs)) == 1 else 0
    if node.op in ("mul", "product"):
        return _times(signs)
    if node.op == "power":
        return 1 if signs[0] == 1 or _is_even(node.args[1].number) else 0
    return 0


def _times(signs: list[int]) -> int:
    result = 1
    for sign in signs:
        result *= sign
    return result


def _sum(args: list[Shape]) -> Shape:
    kinds = {argument.kind for argument in args}
    signs = {argument.sign for argument in args}
    sign = signs.pop() if len(signs) == 1 else 0
    if kinds <= {CONSTANT, AFFINE}:
        return Shape(AFFINE, sign)
    if all(argument.convex for argument in args):
        return Shape(CONVEX, sign)
    return Shape(CONCAVE if all(argument.concave for argument in args) else UNKNOWN, sign)


def _product(args: list[Shape]) -> Shape:
    moving = [argument for argument in args if argument.kind != CONSTANT]
    sign = _times([argument.sign for argument in args])
    if len(moving) > 1:
        return Shape(UNKNOWN, sign)
    front = _times([argument.sign for argument in args if argument.kind == CONSTANT])
    if moving[0].kind == AFFINE:
        return Shape(AFFINE, sign)
    turned = {CONVEX: CONCAVE, CONCAVE: CONVEX}
    kind = moving[0].kind if front == 1 else turned.get(moving[0].kind, UNKNOWN) if front == -1 else UNKNOWN
    return Shape(kind, sign)


def _is_even(number: Any) -> bool:
    return isinstance(number, (int, float, Fraction)) and number == int(number) and int(number) % 2 == 0


def _power(node: Node, args: list[Shape]) -> Shape:
    base, p = args[0], node.args[1].number
    if p is None:
        grows = args[1].kind in (AFFINE, CONSTANT) and base.kind == CONSTANT and base.sign == 1
        return Shape(CONVEX if grows else UNKNOWN, base.sign)  # a**x is convex for positive a
    even = _is_even(p) and p > 0
    sign = 1 if even or base.sign == 1 else 0
    if even and (base.kind == AFFINE or (base.convex and base.sign == 1) or (base.concave and base.sign == -1)):
        return Shape(CONVEX, 1)
    if p >= 1 and base.convex and base.sign == 1:
        return Shape(CONVEX, 1)
    if 0 < p < 1 and base.concave:
        return Shape(CONCAVE, 1)
    if p < 0 and base.concave and base.sign == 1:
        return Shape(CONVEX, 1)
    return Shape(UNKNOWN, sign)


# functions of one argument: how they bend, and whether they rise everywhere
_CONVEX_RISING = ("exp", "expm1", "softplus", "relu")
_CONCAVE_RISING = ("log", "log1p")
_CONVEX = ("cosh", "xlogx")
_SIGNS = {"exp": 1, "softplus": 1, "relu": 1, "Abs": 1, "cosh": 1, "sqrt": 1, "sigmoid": 1, "softmax": 1, "erfc": 1}


def _call(node: Node, args: list[Shape]) -> Shape:
    name, x = node.payload, args[0]
    sign = _SIGNS.get(name, 0)
    if name in _CONVEX_RISING:
        return Shape(CONVEX if x.convex else UNKNOWN, sign)
    if name in _CONCAVE_RISING:
        inner = node.args[0]
        if name == "log" and inner.op == "call" and inner.payload == "cosh" and x.convex:
            return Shape(CONVEX, 1)  # the logarithm of cosh of an affine argument
        return Shape(CONCAVE if x.concave else UNKNOWN)
    if name == "sqrt":
        if _is_sum_of_squares(node.args[0]) and x.convex:
            return Shape(CONVEX, 1)  # a norm of affine functions
        return Shape(CONCAVE if x.concave else UNKNOWN, 1)
    if name == "Abs":
        bends = x.kind == AFFINE or (x.convex and x.sign == 1) or (x.concave and x.sign == -1)
        return Shape(CONVEX if bends else UNKNOWN, 1)
    if name in _CONVEX:
        return Shape(CONVEX if x.kind == AFFINE else UNKNOWN, sign)
    if name == "logsumexp":
        return Shape(CONVEX if all(argument.convex for argument in args) else UNKNOWN)
    if name == "log_softmax":
        return Shape(CONCAVE if x.kind in (AFFINE, CONCAVE) and args[1].convex else UNKNOWN, -1)
    if name in ("max", "min"):
        bends = all(argument.convex if name == "max" else argument.concave for argument in args)
        signs = {argument.sign for argument in args}
        best = 1 if name == "max" else -1
        sign = best if best in signs else signs.pop() if len(signs) == 1 else 0
        return Shape((CONVEX if name == "max" else CONCAVE) if bends else UNKNOWN, sign)
    return Shape(UNKNOWN, sign)


def _is_sum_of_squares(node: Node) -> bool:
    """Whether a node is a sum of squares and nonnegative constants, all with positive factors."""
    if node.op == "sum":
        return _is_sum_of_squares(node.args[0])
    if node.op == "add":
        return all(map(_is_sum_of_squares, node.args))
    if node.op == "mul" and len(node.args) == 2:
        front, rest = node.args
        return front.number is not None and front.number > 0 and _is_sum_of_squares(rest)
    if node.op == "power":
        return node.args[1].number == 2
    return node.number is not None and node.number >= 0

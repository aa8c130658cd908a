"""Abbreviations for the long parts of a statement with matrices: residuals ``R = X W - Y``, logits ``Z = X W``.

Which parts are abbreviated depends on how long the lines would be without: `PLANS` are tried in turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction

from symdescent.derivation.layout import formula_box
from symdescent.derivation.layout.sizes import width
from symdescent.derivation.matrices.forms import flat, is_matrix, is_number, rebuilt, with_args
from symdescent.derivation.page import Notation
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax

RESIDUAL, INNER, OUTPUT = "residual", "inner", "output"
PLANS: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({RESIDUAL}),
    frozenset({INNER}),
    frozenset({RESIDUAL, INNER}),
    frozenset({RESIDUAL, INNER, OUTPUT}),
)
LETTERS = {RESIDUAL: "REQD", INNER: "ZUVA", OUTPUT: "HFGC"}
_APPLIED = (ElementwiseApplyFunction, RowSoftmax, RowLogSumExp)


def abbreviated(statement: Any, plan: frozenset[str], taken: Iterable[str]) -> tuple[Any, dict[Any, Any]]:
    """The statement with names for its parts, and what the names stand for (inner ones first)."""
    names: dict[Any, tuple[str, Any]] = {}  # what is named -> its role, and a symbol for the time being

    def name(part: Any, role: str) -> Any:
        if isinstance(part, sp.Transpose):
            return sp.Transpose(name(part.arg, role))
        known = names.get(part)
        if known is None:
            known = names[part] = (role, sp.MatrixSymbol(sp.Dummy().name + f"_{len(names)}", *part.shape))
        return known[1]

    def visit(node: Any) -> Any:
        if isinstance(node, _APPLIED):
            for part, (_, symbol) in list(names.items()):
                if symbol == node.args[-1]:
                    names[part] = (INNER, symbol)
        if INNER in plan and isinstance(node, _APPLIED):
            inside = node.args[-1]
            if leaves(inside) > 1:
                node = with_args(node, [*node.args[:-1], name(inside, INNER)])
        if OUTPUT in plan and isinstance(node, _APPLIED[:2]) and not is_number(node):
            return name(node, OUTPUT)
        if RESIDUAL in plan and isinstance(node, sp.MatAdd) and leaves(node) > 2 and not is_number(node):
            return name(
                node, RESIDUAL if any(flat(term)[0].could_extract_minus_sign() for term in node.args) else INNER
            )
        return node

    shorter = rebuilt(statement, visit)
    chosen = _named(names, set(taken))
    return shorter.xreplace(chosen), {chosen[symbol]: part.xreplace(chosen) for part, (_, symbol) in names.items()}


def leaves(matrix: Any) -> int:
    """How many matrices an expression is made of."""
    if isinstance(matrix, sp.MatrixSymbol) or not matrix.args:
        return 1
    return sum(leaves(argument) for argument in matrix.args if is_matrix(argument))


def _named(names: Mapping[Any, tuple[str, Any]], taken: set[str]) -> dict[Any, Any]:
    """Names that the user does not use: small letters for columns, numbers where there are several of a kind."""
    groups: dict[tuple[str, bool], list[Any]] = {}
    for role, symbol in names.values():
        groups.setdefault((role, 1 in symbol.shape), []).append(symbol)
    chosen: dict[Any, Any] = {}
    for (role, small), symbols in groups.items():
        letters = LETTERS[role].lower() if small else LETTERS[role]
        letter = unused(letters, taken)
        candidates = [f"{letter}_{place + 1}" for place in range(len(symbols))] if len(symbols) > 1 else [letter]
        taken |= {letter, *candidates}
        pairs = zip(symbols, candidates, strict=True)
        chosen.update({symbol: sp.MatrixSymbol(name, *symbol.shape) for symbol, name in pairs})
    return chosen


def unused(letters: Iterable[str], taken: set[str]) -> str:
    """The first of some letters that no name begins with, or else is; with a number after it if it must be."""
    letters = list(letters)
    for letter in letters:
        if letter not in taken and not any(name.startswith(f"{letter}_") for name in taken):
            return letter
    return next(name for number in count(1) for letter in letters if (name := f"{letter}{number}") not in taken)


# -- how long lines are -----------------------------------------------------------------------------------------------


def heaviest(lines: Iterable[Any]) -> float:
    """How hard the longest line is to read: its width in characters, and more where it is deeply nested."""
    return max(width(formula_box(line, Notation())) + 3 * max(0, depth(line) - 8) for line in lines)


def depth(expression: Any) -> int:
    """How deep the parts of an expression are nested."""
    if isinstance(expression, sp.MatrixSymbol) or not expression.args:
        return 0
    return 1 + max(map(depth, expression.args))


@dataclass(frozen=True, slots=True)
class Plan:
    """A statement with abbreviations, and what they stand for."""

    statement: Any
    definitions: Mapping[Any, Any]


def plans(statement: Any, taken: Iterable[str]) -> list[Plan]:
    """The statement as it stands, and with more and more abbreviations, each way once."""
    taken = list(taken)
    found: dict[Any, Plan] = {}
    for plan in PLANS:
        shorter, definitions = abbreviated(statement, plan, taken)
        found.setdefault((shorter, *definitions.items()), Plan(shorter, definitions))
    return list(found.values())

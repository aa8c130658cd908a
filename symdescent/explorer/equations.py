"""The equations of an update rule as MathML, and once more with open places where the page enters the numbers."""

from __future__ import annotations

import re
from typing import Any

import sympy as sp

from symdescent.derivation.layout.boxes import Number
from symdescent.derivation.layout.core import Laid, Setting, layout_of
from symdescent.derivation.page import Notation
from symdescent.derivation.render.html import formula
from symdescent.explorer.steps import Step, place_of
from symdescent.optimizers import Norm, Total, UpdateRule
from symdescent.optimizers.equations import arranged, ranks
from symdescent.optimizers.symbols import outside_totals
from symdescent.study.worked import renamed, symbolic


class OpenNumber(sp.Symbol):
    """An open place in a formula, where a symbol stood: the page enters a number there.

    It sorts as the symbol does, so that the numbers stand in the order of the formula.
    """

    @classmethod
    def class_key(cls) -> Any:
        """The key that SymPy sorts by."""
        return sp.Symbol.class_key()


class OpenEntry(sp.Indexed):
    """An open place where a symbol with the index of a step stood; it sorts as that one does."""

    @classmethod
    def class_key(cls) -> Any:
        """The key that SymPy sorts by."""
        return sp.Indexed.class_key()


# SymPy orders terms by the names of classes, too
OpenNumber.__name__, OpenEntry.__name__ = "Symbol", "Indexed"

_MARK = re.compile(r"⟦(\d+)⟧")


@layout_of(OpenNumber, OpenEntry)
def _open(place: Any, setting: Setting) -> Laid:
    found = _MARK.search(str(place))
    assert found is not None
    return Laid(Number(found[0]))


def equations(rule: UpdateRule, made: Step, alone: Any, notation: Notation) -> list[dict[str, Any]]:
    """What is assigned in a step, in its order.

    ``left`` and ``formula`` are MathML; ``filled`` is the formula with ``<mn data-place="0">`` and so on in it,
    whose numbers are at ``places``; ``result`` is the place of the value. `alone` is the only parameter, if there is
    one, which then stands under its own name.
    """
    found, assigned = [], set[sp.Symbol]()
    for (left, right), (symbol, expression) in zip(symbolic(rule, alone), rule.program.assignments, strict=True):
        filled, places = _filled(symbol, expression, made, rule, assigned)
        assigned.add(symbol)
        bare = isinstance(filled, (OpenNumber, OpenEntry))
        found.append(
            {
                "left": formula(left, notation),
                "formula": formula(right, notation),
                "filled": "" if bare else _MARKED.sub(r'<mn data-place="\1"></mn>', formula(filled, notation)),
                "places": places,
                "result": place_of(symbol, made, rule, assigned),
            }
        )
    return found


_MARKED = re.compile(r"<mn>⟦(\d+)⟧</mn>")


def _filled(
    symbol: sp.Symbol, expression: sp.Expr, made: Step, rule: UpdateRule, assigned: set[sp.Symbol]
) -> tuple[sp.Expr, list[list[Any]]]:
    """The right-hand side with an open place for every symbol and every sum, and what belongs there."""
    k, rank = sp.Symbol("k"), ranks(rule)
    shown = arranged(expression.subs(rule.step_number, k + 1), symbol, rank)
    opened: dict[Any, sp.Expr] = {}
    places: list[list[Any]] = []
    sums = shown.atoms(Total, Norm)
    for each in (*sorted(shown.free_symbols, key=str), *sorted(sums, key=str)):
        if each not in sums and not outside_totals(shown) & {each}:
            continue
        mark = f"⟦{len(places)}⟧"
        places.append(["k"] if each == k else place_of(each, made, rule, assigned))
        if each in rank:
            opened[each] = OpenEntry(sp.IndexedBase(each.name), sp.Symbol(f"k{mark}"))
        else:
            name = each.name if each.is_Symbol else "total"
            opened[each] = OpenNumber(f"{name}_{mark}", **(each.assumptions0 if each.is_Symbol else {"real": True}))
    return renamed(shown, opened), places


__all__ = ["equations"]

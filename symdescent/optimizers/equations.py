"""The equations of an update rule, as text and for LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import sympy as sp
from sympy.printing.pretty.pretty_symbology import pretty_symbol, pretty_use_unicode
from sympy.printing.str import StrPrinter

from symdescent.optimizers.rule import Hyperparameter, LineSearch

if TYPE_CHECKING:
    from symdescent.optimizers.rule import UpdateRule


def latex(rule: UpdateRule) -> str:
    """The aligned equations: index k is before the step, k+1 after it."""
    used = {symbol.name for _, expression in rule.program.assignments for symbol in expression.free_symbols}
    used |= {symbol.name for symbol, _ in rule.program.assignments}
    k = sp.Symbol(next(letter for letter in ("k", "n", "i", "l", "s", "K", "N") if letter not in used))

    def written(symbol: sp.Symbol, new: bool) -> str:
        base, _, index = sp.latex(symbol).partition("_")
        after = f"{k}+1" if new else str(k)
        return f"{base}_{{{index[1:-1]}, {after}}}" if index else f"{base}_{{{after}}}"

    rows = [
        f"{left} &= {sp.latex(right, order='none', symbol_names=names)}"
        for left, right, names in _equations(rule, written, step_number=k + 1)
    ]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def text(rule: UpdateRule) -> str:
    """The name with the hyperparameters, then a line for each equation; a prime marks what is new."""
    chosen = ", ".join(f"{each.name} {_greek(each.symbol)}" + _chosen(each) for each in rule.hyperparameters)
    rows = [f"{rule.name}: {chosen}" if chosen else rule.name]
    printer = StrPrinter({"order": "none"})
    for left, right, names in _equations(rule, lambda symbol, new: _greek(symbol) + "'" * new):
        printer._print_Symbol = lambda symbol, names=names: names.get(symbol, _greek(symbol))
        rows.append(f"  {left} = {printer.doprint(right)}")
    return "\n".join(rows)


def _greek(symbol: sp.Symbol) -> str:
    """The symbol's name in Unicode, whatever the standard output was when SymPy looked at it."""
    before = pretty_use_unicode(True)
    try:
        return str(pretty_symbol(symbol.name))
    finally:
        pretty_use_unicode(before)


def _chosen(each: Hyperparameter) -> str:
    """The value of a hyperparameter, where it is not among the equations."""
    if each.is_number:
        return f" = {each.value:g}"
    return f" by {each.value}" if isinstance(each.value, LineSearch) else ""


def _equations(
    rule: UpdateRule, written: Callable[[sp.Symbol, bool], str], step_number: sp.Expr | None = None
) -> Iterator[tuple[str, sp.Expr, dict[sp.Symbol, str]]]:
    """Each assignment's sides, and how the symbols on the right that change with the step are written."""
    assigned: set[sp.Symbol] = set()
    rank = ranks(rule)
    for symbol, expression in rule.program.assignments:
        expression = expression.subs(rule.step_number, step_number or rule.step_number)
        names = {each: written(each, each in assigned) for each in expression.free_symbols & set(rank)}
        yield written(symbol, True), arranged(expression, symbol, rank), names
        assigned.add(symbol)


def ranks(rule: UpdateRule) -> dict[sp.Symbol, int]:
    """How much a symbol changes: not listed if never, 1 from step to step, 2 from coordinate to coordinate too."""
    program = rule.program
    changing = {rule.loss, *dict(program.assignments)}
    return dict.fromkeys(changing, 1) | dict.fromkeys(program.coordinates, 2)


def arranged(expression: sp.Expr, first: sp.Symbol, rank: Mapping[sp.Symbol, int]) -> sp.Expr:
    """The expression in textbook order: θ - η v and (1 - β) g², not -η v + θ and g² (1 - β). See `ranks`."""

    def most(part: sp.Expr) -> int:
        return max((rank.get(symbol, 0) for symbol in part.free_symbols), default=0)

    def of_sum(term: sp.Expr) -> tuple[bool, ...]:
        number = term.is_number
        return first not in term.free_symbols, term != first, bool(number and term < 0), not number, not most(term)

    def of_product(factor: sp.Expr) -> tuple[bool, int]:
        return not factor.is_number, most(factor)

    if expression.is_Atom:
        return expression
    args = [arranged(argument, first, rank) for argument in expression.args]
    if expression.is_Add or expression.is_Mul:
        return expression.func(*sorted(args, key=of_sum if expression.is_Add else of_product), evaluate=False)
    return expression.func(*args, evaluate=False) if expression.is_Pow else expression.func(*args)

"""Refusing what is no update rule: what is wrong, why, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers.symbols import Total, outside_totals, written_out

if TYPE_CHECKING:
    from symdescent.optimizers.rule import UpdateRule


def validate(rule: UpdateRule) -> None:
    """Raise `StatementError` for a rule that is not one."""
    program = rule.program
    _validate_names(rule)
    states = [each.symbol for each in program.states]
    known = set(_given(rule))
    targets = [symbol for symbol, _ in program.assignments]
    for symbol in targets:
        if targets.count(symbol) > 1:
            raise StatementError(f"{rule.name}: {symbol} is assigned twice: give the first value a name of its own")
        if symbol in known and symbol != rule.parameter and symbol not in states:
            raise StatementError(f"{rule.name}: {symbol} is assigned, but it is given from outside: use another symbol")
    if rule.parameter not in targets:
        raise StatementError(
            f"{rule.name}: the parameter {rule.parameter} is not assigned: end with ({rule.parameter}, …)"
        )
    for symbol in states:
        if symbol not in targets:
            raise StatementError(f"{rule.name}: the state {symbol} is never updated: make it a hyperparameter")
    for symbol, expression in program.assignments:
        for unknown in sorted(expression.free_symbols - known, key=str):
            raise StatementError(
                f"{rule.name}: {unknown} in {symbol} = {expression} is unknown: declare it as a hyperparameter or "
                "state, or assign it before"
            )
        known.add(symbol)
    _validate_scalars(rule)
    _validate_search(rule)


def _validate_search(rule: UpdateRule) -> None:
    """A line search looks along the gradient: the rule must go there."""
    searched = rule.program.searched
    if searched is not None and not rule.program.is_plain_descent:
        raise StatementError(
            f"{rule.name}: the {searched.name} is found by a line search, which goes along the gradient: use it with "
            "GradientDescent (or Newton), or give a number or a schedule"
        )


def _validate_scalars(rule: UpdateRule) -> None:
    """Scalars must not depend on a coordinate, and sums over coordinates must be over coordinates."""
    program = rule.program
    for each in program.scalar_state:
        if each.symbol in program.coordinates:
            raise StatementError(
                f"{rule.name}: the scalar state {each.symbol} must be updated from scalars alone, or from sums over "
                "coordinates: write Total(…) around what differs between coordinates, or make it a state"
            )
    for symbol, expression in program.assignments:
        for total in written_out(expression).atoms(Total):
            if total.args[0].has(Total):
                raise StatementError(
                    f"{rule.name}: {symbol} = {expression} has a sum within a sum: assign the inner one first"
                )
            if not outside_totals(total.args[0]) & program.coordinates:
                raise StatementError(
                    f"{rule.name}: in {symbol} = {expression}, Total and Norm are over nothing that differs between "
                    "coordinates: leave them out"
                )


def _given(rule: UpdateRule) -> list[sp.Symbol]:
    """The symbols that have a value before a step begins."""
    program = rule.program
    declared = program.numbers + program.states
    outside = [
        symbol for symbol, used in ((rule.loss, program.uses_loss), (rule.epoch_steps, program.uses_epochs)) if used
    ]
    if program.searched is not None:
        outside.append(program.searched.symbol)
    return [rule.parameter, rule.gradient, rule.step_number, *outside, *(each.symbol for each in declared)]


def _validate_names(rule: UpdateRule) -> None:
    """Refuse names that are no plain names, or that two symbols share."""
    given = _given(rule)
    seen: set[str] = set()
    for symbol in given + [symbol for symbol in dict(rule.program.assignments) if symbol not in given]:
        if not isinstance(symbol, sp.Symbol) or not symbol.name.isidentifier():
            raise StatementError(f"{rule.name}: {symbol} is not a symbol with a plain name: use letters, digits and _")
        if symbol.name in seen:
            raise StatementError(
                f"{rule.name}: two symbols are named {symbol}: give each its own name, and θ and g the symbols that "
                "the rule is written with (parameter=…, gradient=…)"
            )
        seen.add(symbol.name)
    names = [each.name for each in rule.hyperparameters]
    if len(set(names)) < len(names):
        raise StatementError(f"{rule.name}: two hyperparameters have one name among {', '.join(names)}")

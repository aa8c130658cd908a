"""`symdescent derive`: the derivation, the gradient alone, and its value at a point."""

from __future__ import annotations

import argparse
from typing import Any

import sympy as sp

from symdescent.cli.exits import DONE
from symdescent.cli.output import deliver
from symdescent.cli.stating import Stated, state
from symdescent.derivation.page import Chain, Line, Table
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.errors import StatementError
from symdescent.statement import name_of


def derive(arguments: argparse.Namespace) -> int:
    """The derivation, the gradient alone, or its value at a point."""
    stated = state(arguments)
    loss = stated.loss
    values = [_values(stated, arguments)] if arguments.at else []
    if arguments.result:
        results = _results(loss, arguments.order)
        lines = [f"{_plain(left)} = {right}" for left, right in results]
        chain = Chain(tuple(Line(right, left) for left, right in results))
        text = "\n".join([*lines, *(_aligned(table) for table in values)])
        deliver(arguments, "Gradient", [chain, *values], text)
        return DONE
    derivation = loss.derivation(detail=arguments.detail, language=arguments.language, order=arguments.order)
    chosen = {name: getattr(arguments, name) for name in ("derivative", "times", "rules")}
    given = {name: value for name, value in chosen.items() if value is not None}
    deliver(arguments, derivation.title(), [derivation, *values], **given)
    return DONE


def _results(loss: Any, order: int) -> list[tuple[sp.Basic, sp.Basic]]:
    """Left- and right-hand sides of the gradient, or of the Hessian."""
    if order == 1:
        return [(GradientOf(LOSS, parameter), component) for parameter, component in loss.gradient.items()]
    return [
        (GradientOf(LOSS, row, column), loss.hessian[i, j])
        for i, row in enumerate(loss.parameters)
        for j, column in enumerate(loss.parameters[i:], i)
    ]


def _plain(left: sp.Basic) -> str:
    """``dL/dw`` and ``d2L/dw db``: a left-hand side in letters that every keyboard has."""
    loss, *variables = left.args
    order = "2" if len(variables) == 2 else ""
    return f"d{order}{loss}/{' '.join(f'd{variable}' for variable in variables)}"


def _values(stated: Stated, arguments: argparse.Namespace) -> Table:
    """The loss and its gradient at the point of ``--at``."""
    at, data = stated.point(arguments.at, "--at")
    for name in stated.names:
        if name not in at:
            raise StatementError(f"--at gives no value to {name}: add {name}=…")
    loss = stated.loss
    stated.complete(data)
    used = {name_of(thing) for thing in (*loss.samples, *loss.constants)}
    given = {**at, **{name: value for name, value in data.items() if name in used}}
    value, gradient = loss.lambdify()
    slopes = gradient(**given)
    slopes = slopes if len(stated.names) > 1 else (slopes,)
    head = (*loss.parameters, LOSS, *(GradientOf(LOSS, parameter) for parameter in loss.parameters))
    return Table(
        head, (tuple(float(number) for number in (*(at[name] for name in stated.names), value(**given), *slopes)),)
    )


def _aligned(table: Table) -> str:
    """A row of numbers as assignments."""
    named = [_plain(cell) if isinstance(cell, GradientOf) else str(cell) for cell in table.head]
    return "\n".join(f"{name} = {number:.10g}" for name, number in zip(named, table.rows[0], strict=True))

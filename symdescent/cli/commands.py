"""The commands, one function each: arguments in, exit code out."""

from __future__ import annotations

import argparse
from typing import Any

import sympy as sp

from symdescent.cli.descents import descended, exit_code, options, report, write_history
from symdescent.cli.exits import DONE, NOT_CONVERGED, WRONG
from symdescent.cli.expressions import read
from symdescent.cli.fitting import best_fit
from symdescent.cli.optimizers import optimizer
from symdescent.cli.output import deliver, unwritable, write
from symdescent.cli.stating import Stated, state
from symdescent.cli.values import one_name, split_assignment
from symdescent.derivation.page import Chain, Line, Paragraph, Table
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
    return Table(head, (tuple(float(number) for number in (*at_values(stated, at), value(**given), *slopes)),))


def at_values(stated: Stated, at: dict[str, float]) -> list[float]:
    """The values of a point in the order of the parameters."""
    return [at[name] for name in stated.names]


def _aligned(table: Table) -> str:
    """A row of numbers as assignments."""
    named = [_plain(cell) if isinstance(cell, GradientOf) else str(cell) for cell in table.head]
    return "\n".join(f"{name} = {number:.10g}" for name, number in zip(named, table.rows[0], strict=True))


def check(arguments: argparse.Namespace) -> int:
    """The check, and the marks of candidates."""
    from symdescent.check.report import COLUMNS

    stated = state(arguments)
    at, data = stated.point(arguments.at, "--at")
    candidates = dict(_candidate(stated, text) for text in arguments.candidate or ())
    found = stated.loss.check(at=at or None, data=data or None, candidate=candidates or None, seed=arguments.seed)
    text = str(found)
    rows = tuple((row.component, row.symbolic, row.forward, row.central, row.complex_step, row.dual,
                  row.relative_error, row.ulps, row.bound, row.verdict) for row in found.rows)  # fmt: skip
    remarks = [Paragraph((line,)) for line in text.split("\n")[2 + len(rows) :]]
    deliver(arguments, "Check of a gradient", [Table(COLUMNS, rows), *remarks], text)
    return DONE if found.passed else WRONG


def _candidate(stated: Stated, text: str) -> tuple[Any, sp.Expr]:
    """The parameter and the expression of ``NAME=EXPRESSION``, or of the bare expression for a single parameter."""
    parts = split_assignment(text)
    if parts is None:
        if len(stated.names) > 1:
            raise StatementError(
                f"--candidate {text[:40]!r}: the loss has the parameters {', '.join(stated.names)}, so say which one "
                f"it is for: {stated.names[0]}=…"
            )
        parts = stated.names[0], text
    name = one_name(parts[0], "--candidate")
    return stated.vocabulary.symbol(name), read(parts[1], stated.vocabulary, f"the candidate for {name}")


def descend(arguments: argparse.Namespace) -> int:
    """A descent from a start."""
    stated = state(arguments)
    result = descended(stated, arguments)
    write_history(arguments, result)
    parts, text = report(stated, arguments, result)
    if arguments.table is not None:
        table = result.table(arguments.table, arguments.language)
        parts, text = [*parts, table], f"{text}\n\n{table.text()}"
    deliver(arguments, "Descent", parts, text)
    return exit_code(arguments, result)


def fit(arguments: argparse.Namespace) -> int:
    """The best parameters for the columns of a file."""
    stated = state(arguments, arguments.file)
    found = best_fit(stated, arguments)
    write_history(arguments, found.descent)
    deliver(arguments, "Fit", *found.report(stated, arguments))
    return DONE if found.converged else NOT_CONVERGED


def code(arguments: argparse.Namespace) -> int:
    """A program."""
    write(arguments, state(arguments).loss.code(arguments.target, optimizer(arguments)))
    return DONE


def plot(arguments: argparse.Namespace) -> int:
    """A picture of the loss; of a descent, where a start, an optimizer or data are given."""
    stated = state(arguments)
    loss: Any = stated.loss
    descends = arguments.start or optimizer(arguments) is not None or stated.data or options(arguments)
    axes = (descended(stated, arguments) if descends else loss).plot()
    path = arguments.output or "loss.png"
    try:
        axes.figure.savefig(path, dpi=arguments.dpi)
    except (OSError, ValueError) as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def explore(arguments: argparse.Namespace) -> int:
    """A page to play with."""
    stated = state(arguments)
    stated.complete(stated.data)
    loss: Any = stated.loss
    path = arguments.output or "explore.html"
    start = stated.start(arguments.start) if arguments.start else None
    try:
        loss.explore_html(path, start=start, data=stated.data or None)
    except OSError as error:
        raise unwritable(path, error) from None
    return _written(arguments, path)


def _written(arguments: argparse.Namespace, path: str) -> int:
    if arguments.output is None:
        print(f"wrote {path}")
    return DONE

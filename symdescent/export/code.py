"""`code`: a standalone program for a loss and an update rule, in a language of choice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import sympy as sp

from symdescent.codegen.program import is_quadratic
from symdescent.errors import StatementError, SymdescentError
from symdescent.export import arrays, c, javascript, loops
from symdescent.export.canonical import Writer
from symdescent.export.example import example
from symdescent.export.flat import FlatWriter
from symdescent.export.searches import equations, plain_title, searched
from symdescent.graph import reachable
from symdescent.optimizers import LBFGS, UpdateRule

if TYPE_CHECKING:
    from symdescent.loss import Loss

TARGETS = ("python", "numpy", "numba", "c", "jax", "javascript")
WITH_SCIPY = ("numpy", "numba", "jax")


def code(loss: Loss, target: str = "numba", optimizer: Any = None) -> str:
    r"""Return a standalone module: the loss, its gradient and, with an optimizer, one step and the loop over steps.

    Parameters
    ----------
    target
        ``"python"`` (lists and `math` alone), ``"numpy"``, ``"numba"``, ``"c"`` (C99), ``"jax"`` or ``"javascript"``
    optimizer
        an `UpdateRule`, whose hyperparameters become constants of the module, `Newton`, `NelderMead`,
        `RandomSearch`, or `LBFGS` where SciPy can be called. A step reads all samples

    The text is the same for equal statements, needs nothing of symdescent, and ends with a `main` that tries it on
    built-in numbers.

    Raises `StatementError` for an unknown target, and for what is no optimizer.

    >>> import sympy as sp, symdescent as sd
    >>> w = sp.Symbol("w")
    >>> text = code(sd.Loss((w - 3)**2, w), "python", sd.GradientDescent(0.1))
    >>> [line.strip() for line in text.splitlines() if "learning_rate" in line]
    ['learning_rate = 0.1', 'w = w - g_w * learning_rate']
    """
    if target not in TARGETS:
        raise StatementError(f"target={target!r} is not one of {', '.join(map(repr, TARGETS))}")
    if optimizer is not None and not isinstance(optimizer, UpdateRule) and not searched(optimizer):
        raise StatementError(
            f"{optimizer!r} is no optimizer from which code can be written: use GradientDescent(0.1), Newton() or a "
            "rule of your own, or leave the optimizer out for the loss and its gradient"
        )
    if isinstance(optimizer, LBFGS) and target not in WITH_SCIPY:
        raise StatementError(
            f"LBFGS is SciPy's, which a program for {target!r} cannot call: use "
            f"target={' or '.join(map(repr, WITH_SCIPY))}, or Newton() or Momentum(0.1)"
        )
    statement = loss.statement
    title = list(_title(loss, optimizer, target))
    values = example(statement)
    if target in ("numpy", "jax"):
        return arrays.module(target, statement, optimizer, title, values)
    if searched(optimizer):
        made = FlatWriter(statement, optimizer, is_quadratic(statement)).program(title)
    else:
        made = Writer(statement, optimizer).program(title)
    named = None if values is None else _by_name(made.things, values, made)
    if target == "c":
        return c.c(made, named, title)
    if target == "javascript":
        return javascript.javascript(made, named, title)
    return loops.numba(made, named) if target == "numba" else loops.python(made, named)


def _by_name(things: Any, values: Any, made: Any) -> dict[str, Any]:
    """The example's values by identifier; lengths without a symbol are read off the arrays."""
    import numpy as np

    named = {name: values[thing] for name, thing in things.items() if thing in values}
    for argument in (*made.parameters, *made.data):
        for axis, length in enumerate(argument.shape):
            if length == f"{argument.name}_{axis}":
                named.setdefault(length, np.shape(named[argument.name])[axis])
    return named


def _title(loss: Loss, rule: Any, target: str) -> Iterator[str]:
    """What the module computes: the loss, its gradient and where it is derived (if they are short), the rule."""
    named = "" if rule is None else plain_title(rule) if searched(rule) else f"a descent by {_safe(rule.name)}"
    yield f"A loss and its gradient{', and ' + named if named else ''}."
    statement = loss.statement
    mean = {"mean": "the mean over the samples of ", "sum": "the sum over the samples of "}[statement.reduction]
    short = sum(1 for _ in reachable([statement.root])) <= 300
    if short:
        yield from _shown(f"Loss: {mean if statement.samples else ''}", statement.expression)
    for parameter, component in loss.gradient.items() if short else ():
        places = loss.gradient.indices.get(parameter)
        shown = parameter[places] if places else parameter
        yield from _shown(f"Gradient by {shown}{_number_of(loss, parameter)}: ", component)
    if searched(rule):
        yield from (_safe(line) for line in equations(rule))
    elif rule is not None:
        yield "One step (a prime marks what is new):"
        yield from (f"  {_safe(line.strip())}" for line in str(rule).split("\n")[1:])
    if target == "c":
        yield "Build and try it: cc -O2 -std=c99 descent.c -o descent -lm && ./descent"
        yield "As a library: cc -O2 -std=c99 -fPIC -shared -DNO_MAIN descent.c -o libdescent.so -lm"
        yield "Matrices are stored row by row."


def _number_of(loss: Loss, parameter: Any) -> str:
    """Which line of the derivation ends in this component."""
    try:
        steps = len(loss.derivation(parameter))
    except (SymdescentError, RecursionError):
        return ""
    return f" (step {steps} of its derivation)"


def _shown(label: str, expression: Any) -> Iterator[str]:
    """An expression of at most 400 characters; every part of a tree is at least one."""
    if sum(1 for _ in islice(sp.preorder_traversal(expression), 401)) > 400:
        return
    try:
        written = _safe(str(expression))
    except RecursionError:  # nested hundreds deep: nobody would read it
        return
    if len(written) <= 400:
        yield _safe(label) + written


def _safe(text: str) -> str:
    """Text that can end neither a docstring nor a remark."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return re.sub(r"\*/", "* /", printable.replace("\\", "/").replace('"', "'"))


__all__ = ["TARGETS", "code"]

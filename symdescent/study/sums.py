"""Losses over samples as problems in scalars: sums in which no unknown stands are constants, such as Σ xᵢ yᵢ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy as sp

from symdescent.derivation.components.stated import stated
from symdescent.loss import Loss
from symdescent.study.convexity import shape
from symdescent.study.problem import Problem, exact, plain, realised


class InseparableError(Exception):
    """An unknown cannot be taken out of a sum: the equation has no finite number of terms."""


def problem_of_sums(loss: Loss) -> Problem:
    """State a loss with sums as a problem, each sum without unknowns as one symbol.

    >>> w, x, y = sp.symbols("w x y")
    >>> found = problem_of_sums(Loss((y - w*x)**2, w, samples=[x, y]))
    >>> print(found.hessian[0, 0].xreplace(found.names))
    2*Sum(x[i]**2, (i, 0, n - 1))/n

    Raises `InseparableError` where an unknown stands inside a sum and cannot be taken out.
    """
    statement = loss.statement
    constants = [c for c in loss.constants if isinstance(c, sp.Symbol) and c not in statement.extents]
    real = {symbol: realised(symbol) for symbol in (*loss.parameters, *constants)}
    unknowns = tuple(real[p] for p in loss.parameters)
    sums: dict[Any, Any] = {}
    named = {symbol: realised(symbol) for symbol in (*statement.extents, statement.sample_count) if symbol is not None}

    def scalar(expression: Any) -> Any:
        written = exact(plain(expression.xreplace(real)))
        return _named(separated(written, unknowns), unknowns, sums).xreplace(named)

    gradient = tuple(sp.factor(scalar(loss.gradient[p])) for p in loss.parameters)
    hessian = loss.hessian.applyfunc(scalar)
    expression = scalar(stated(loss).expression)
    names = {new: old for old, new in real.items()} | {symbol: whole for whole, symbol in sums.items()}
    names |= {new: old for old, new in named.items()}
    return Problem(expression, unknowns, gradient, hessian, names, shape(statement).kind)


def separated(expression: Any, unknowns: Sequence[Any]) -> Any:
    """The expression with every sum split, and what does not depend on its index taken out of it.

    >>> i, n = sp.symbols("i n", integer=True)
    >>> x, w = sp.IndexedBase("x"), sp.Symbol("w", real=True)
    >>> separated(sp.Sum(2*(w - x[i]), (i, 0, n - 1)), [w])
    2*n*w - 2*Sum(x[i], (i, 0, n - 1))
    """
    if not isinstance(expression, sp.Basic) or not expression.atoms(sp.Sum):
        return expression
    if isinstance(expression, sp.Sum):
        body = separated(expression.function, unknowns)
        for limit in expression.limits:
            body = _over(body, tuple(limit), unknowns)
        return body
    return expression.func(*(separated(argument, unknowns) for argument in expression.args))


def _over(body: Any, limit: tuple[Any, Any, Any], unknowns: Sequence[Any]) -> Any:
    """The sum of a body over one index, term by term."""
    index, low, high = limit
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(sp.expand_log(sp.expand(body)))):
        outside, inside = term.as_independent(index, as_Add=False)
        if inside == 1:
            total += outside * (high - low + 1)
            continue
        if inside.free_symbols & set(unknowns):
            raise InseparableError(str(inside))
        total += outside * sp.Sum(inside, limit)
    return total


def _named(expression: Any, unknowns: Sequence[Any], sums: dict[Any, Any]) -> Any:
    """Symbols in the place of sums and of array entries."""
    found: Iterable[Any] = sorted(expression.atoms(sp.Sum), key=lambda part: (len(str(part)), str(part)))
    for part in found:
        if part in sums:
            continue
        body = part.function
        square = body.is_Pow and body.exp.is_even
        sums[part] = sp.Dummy("S", real=True, nonnegative=True) if square else sp.Dummy("S", real=True)
    return expression.xreplace(sums)

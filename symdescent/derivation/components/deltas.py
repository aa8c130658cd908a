"""Kronecker deltas in sums: ``Σ_j a_j δ_{jk} = a_k``, with the range of k where that does not hold by itself."""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.derivation.components.trees import plus, replaced, rewrite, times, total
from symdescent.notation.reading import common_lengths, holds, tighten
from symdescent.statement import Statement

Ranges = dict[Any, tuple[Any, Any]]


def eliminate(line: Any, variable: Any, statement: Statement, once: bool = False) -> tuple[Any, bool]:
    """Carry out every sum (or, `once`, the first one) over an index that a delta fixes.

    Returns the new line, and whether a sum ran over a shifted index, so that conditions remain.
    """
    worker = _Eliminator(once)
    ranges: Ranges = {}
    if isinstance(variable, sp.Indexed):
        ranges = _key_ranges(variable, statement)
        if variable.base.shape is None:  # an array is as long as the sums over it, if they agree
            scatters = [scatter for scatter in statement.scatters() if scatter.parameter == variable.base]
            agreed = zip(variable.indices, common_lengths(scatters), strict=True)
            worker.unbounded = tuple(key for key, length in agreed if length is not None)
    return worker.walk(line, ranges), worker.shifted


def _key_ranges(variable: Any, statement: Statement) -> Ranges:
    """The range of each free index of an entry."""
    shape = variable.base.shape or [sp.oo] * len(variable.indices)
    first = sp.Integer(statement.first_index)
    return {key: (first, first + length - 1) for key, length in zip(variable.indices, shape, strict=True)}


class _Eliminator:
    def __init__(self, once: bool) -> None:
        self.once, self.done, self.shifted = once, False, False
        self.unbounded: tuple[Any, ...] = ()

    def walk(self, expression: Any, ranges: Ranges) -> Any:
        """Innermost sums first; the ranges of the dummies around are known."""
        if not expression.has(sp.KroneckerDelta) or (self.once and self.done):
            return expression
        if not isinstance(expression, sp.Sum):
            return rewrite(expression, lambda part: None if part is expression else self._below(part, ranges))
        inner = {**ranges, **{symbol: (first, last) for symbol, first, last in expression.limits}}
        body = self.walk(expression.function, inner)
        if body.has(sp.Derivative) or not body.has(sp.KroneckerDelta) or (self.once and self.done):
            return total(sp.Sum, body, *expression.limits)
        return self._sum(body, list(expression.limits), ranges)

    def _below(self, part: Any, ranges: Ranges) -> Any:
        if isinstance(part, sp.Sum):
            return self.walk(part, ranges)
        return None if part.has(sp.Sum) else part

    def _sum(self, body: Any, limits: list[Any], ranges: Ranges) -> Any:
        free: list[Any] = []
        solved: list[Any] = []
        for term in _terms(body):
            picked = self._pick(term, limits, ranges)
            if picked is None:
                free.append(term)
            else:
                solved.append(picked)
        if not solved:
            return total(sp.Sum, body, *limits)
        self.done = True
        left = [total(sp.Sum, plus(*free), *limits)] if free else []
        return plus(*solved, *left)

    def _pick(self, term: Any, limits: list[Any], ranges: Ranges) -> Any:
        """The one term of the sum over one of its indices that a delta leaves."""
        factors = list(sp.Mul.make_args(term))
        for delta in (factor for factor in factors if isinstance(factor, sp.KroneckerDelta)):
            for place, (symbol, first, last) in enumerate(limits):
                gap = sp.expand(delta.args[0] - delta.args[1])
                slope = gap.coeff(symbol, 1)
                if slope not in (1, -1) or symbol in (gap - slope * symbol).free_symbols:
                    continue
                value = sp.expand(symbol - gap / slope)
                others = [factor for factor in factors if factor is not delta]
                rest = replaced(times(*others), {symbol: value})
                around = [list(limit.xreplace({symbol: value})) for at, limit in enumerate(limits) if at != place]
                return self._closed(rest, [sp.Ge(value, first), sp.Le(value, last)], value, around, ranges)
        return None

    def _closed(self, rest: Any, bounds: list[Any], value: Any, around: list[Any], ranges: Ranges) -> Any:
        """The term where its index is in range, summed over the other indices."""
        inner = {**ranges, **{symbol: (first, last) for symbol, first, last in around}}
        needed = [bound for bound in bounds if bound is not sp.true and not holds(bound, inner)]
        if value in self.unbounded:
            needed = []
        limits = {limit[0]: limit for limit in around}
        inside = [bound for bound in needed if bound.free_symbols & set(limits)]
        outside = [bound for bound in needed if bound not in inside]
        inside = [bound for bound in inside if not tighten(bound, limits, ranges)]
        rest = self._guarded(rest, inside)
        if around:
            tuples = [sp.Tuple(*limit) for limit in around]
            rest = self._sum(rest, tuples, ranges) if rest.has(sp.KroneckerDelta) else total(sp.Sum, rest, *tuples)
        return self._guarded(rest, outside)

    def _guarded(self, rest: Any, needed: list[Any]) -> Any:
        if not needed:
            return rest
        self.shifted = True
        return sp.Piecewise((rest, sp.And(*needed)), (0, True), evaluate=False)


def _terms(body: Any) -> list[Any]:
    """The terms of a body, multiplied out as far as deltas stand in brackets."""
    if isinstance(body, sp.Add):
        return [term for part in body.args for term in _terms(part)]
    if isinstance(body, sp.Mul):
        for place, factor in enumerate(body.args):
            if isinstance(factor, sp.Add) and factor.has(sp.KroneckerDelta):
                around = body.args[:place], body.args[place + 1 :]
                return [term for part in factor.args for term in _terms(times(*around[0], part, *around[1]))]
    return [body]

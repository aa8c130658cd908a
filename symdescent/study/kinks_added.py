r"""Critical points of losses with kinks in several unknowns: absolute values and ramps that are added.

A point is critical where some choice of the kinks' subgradients makes the whole vanish:
:math:`\nabla s + \sum_k c_k m_k \nabla u_k = 0` with :math:`m_k = \pm 1`, or between where :math:`u_k = 0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said
from symdescent.loss import Loss
from symdescent.study.definite import definiteness, sign_of
from symdescent.study.kinks import UNKNOWN, has_kinks, settled, slope_of
from symdescent.study.problem import Problem, Stationary
from symdescent.study.solving import Root, solve_real, tidy
from symdescent.study.stationary import classified

MOST = 3  # kinks


def critical_in_space(problem: Problem) -> tuple[list[Stationary], bool] | None:
    """The critical points of a loss with added kinks, and whether these are all; None where its kinks are others."""
    added = _added(problem.expression, problem.unknowns)
    return None if added is None else _in_space(problem, *added)


@dataclass(frozen=True, slots=True)
class Added:
    """A kink that is added: ``weight * |inner|``, or a ramp ``weight * max(0, inner)``."""

    weight: Any
    inner: Any
    ramp: bool

    @property
    def slopes(self) -> tuple[int, int]:
        """The slopes below and above the kink."""
        return (0, 1) if self.ramp else (-1, 1)


def _added(expression: Any, unknowns: Sequence[Any]) -> tuple[Any, list[Added]] | None:
    """Split a loss into a smooth part and kinks that are added to it."""
    smooth, kinks = sp.S.Zero, []
    for term in sp.Add.make_args(sp.expand(expression, power_base=False, log=False, multinomial=False)):
        if not has_kinks(term, unknowns):
            smooth += term
            continue
        weight, part = term.as_independent(*unknowns, as_Add=False)
        if isinstance(part, sp.Max) and len(part.args) == 2:
            a, b = part.args
            smooth, part = smooth + weight * a, sp.Max(0, sp.expand(b - a), evaluate=False)
            kinks.append(Added(weight, sp.expand(b - a), True))
        elif isinstance(part, sp.Abs):
            kinks.append(Added(weight, part.args[0], False))
        else:
            return None
        if has_kinks(kinks[-1].inner, unknowns) or sign_of(weight) in (None, 0):
            return None
    return (smooth, kinks) if len(kinks) <= MOST else None


def _in_space(problem: Problem, smooth: Any, kinks: list[Added]) -> tuple[list[Stationary], bool]:
    """The points at which subgradients add up to zero, region by region and kink by kink."""
    unknowns, complete = problem.unknowns, True
    found: list[Stationary] = []
    weights = sp.symbols(f"mu:{len(kinks)}", real=True)
    base = [slope_of(smooth, u) for u in unknowns]
    inner = [[kink.weight * slope_of(kink.inner, u) for u in unknowns] for kink in kinks]
    for pattern in product((-1, 0, 1), repeat=len(kinks)):
        active = [place for place, p in enumerate(pattern) if p == 0]
        factors = [weights[k] if k in active else kink.slopes[pattern[k] > 0] for k, kink in enumerate(kinks)]
        equations = [base[j] + sum(f * inner[k][j] for k, f in enumerate(factors)) for j in range(len(unknowns))]
        equations += [kinks[place].inner for place in active]
        solved = solve_real(equations, [*unknowns, *(weights[place] for place in active)])
        complete = complete and solved.complete
        for root in solved.found:
            if root.free or root.integers:
                complete = False
                continue
            chosen = [root.values[weights[k]] if k in active else factors[k] for k in range(len(kinks))]
            if _allowed(kinks, pattern, chosen, root):
                found.append(_point(problem, smooth, kinks, active, chosen, root))
    return classified(replace(problem, smooth=False), found, complete), complete


def _allowed(kinks: Sequence[Added], pattern: Sequence[int], chosen: Sequence[Any], root: Root) -> bool:
    """Whether the arguments have the signs of the region, and the subgradients lie between the slopes."""
    for kink, sign, weight in zip(kinks, pattern, chosen, strict=True):
        if sign and sign_of(kink.inner.subs(root.values)) != sign:
            return False
        low, high = kink.slopes
        if sign == 0 and not {sign_of(weight - low), sign_of(high - weight)} <= {0, 1}:
            return False
    return True


def _point(
    problem: Problem, smooth: Any, kinks: Sequence[Added], active: Sequence[int], chosen: Sequence[Any], root: Root
) -> Stationary:
    """A solution as a critical point; on kinks, its kind comes from the directions along them and across."""
    unknowns = problem.unknowns
    at = Root({u: root.values[u] for u in unknowns}, approximate=root.approximate)
    value = tidy(problem.expression.subs(at.values))
    multiplied = smooth + sum(k.weight * m * k.inner for k, m in zip(kinks, chosen, strict=True))
    hessian = _hessian(multiplied, unknowns).subs(at.values)
    if not active:
        return Stationary(at, value, hessian, definiteness(hessian))
    kind = "minimum" if problem.bends == "convex" else _kind(kinks, active, chosen, hessian, at, unknowns)
    scope = "local" if kind in ("minimum", "maximum") else ""
    return settled(problem, Stationary(at, value, None, UNKNOWN, kind, scope, (Said("subgradient zero"),), kink=True))


def _kind(
    kinks: Sequence[Added],
    active: Sequence[int],
    chosen: Sequence[Any],
    hessian: Any,
    at: Root,
    unknowns: Sequence[Any],
) -> str:
    """Across a kink the sign of its weight decides, along all of them the Hessian."""
    inside = all(
        sign_of(chosen[k] - kinks[k].slopes[0]) == sign_of(kinks[k].slopes[1] - chosen[k]) == 1 for k in active
    )
    signs = {sign_of(kinks[k].weight) for k in active}
    along = sp.Matrix([[slope_of(kinks[k].inner, u).subs(at.values) for u in unknowns] for k in active]).nullspace()
    if along:
        span = sp.Matrix.hstack(*along)
        verdict = definiteness(span.T * hessian * span).verdict
        signs |= {"positive": {1}, "negative": {-1}, "indefinite": {1, -1}}.get(verdict, {0})
    if not inside or not signs <= {1, -1}:
        return "undecided"
    return "saddle" if len(signs) == 2 else "minimum" if signs == {1} else "maximum"


def _hessian(expression: Any, unknowns: Sequence[Any]) -> Any:
    """The Hessian of a smooth expression, which need not have all unknowns in it."""
    present = [u for u in unknowns if u in expression.free_symbols]
    inner = Loss(expression, present).hessian if present else sp.Matrix()
    places = {u: k for k, u in enumerate(present)}
    size = len(unknowns)
    return sp.Matrix(size, size, lambda i, j: inner[places[unknowns[i]], places[unknowns[j]]]
                     if unknowns[i] in places and unknowns[j] in places else 0)  # fmt: skip

"""Whether an extremum is global: by bounds, by other critical values, and by what the loss tends to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said
from symdescent.study.definite import is_nonnegative, sign_of
from symdescent.study.limits import within
from symdescent.study.problem import Problem, Stationary


def settled_globally(problem: Problem, point: Stationary, points: Sequence[Stationary], complete: bool) -> Stationary:
    """Whether an extremum is global, as far as that can be proved."""
    if point.scope == "global":
        return point
    for kind, sign in (("minimum", 1), ("maximum", -1)):
        if point.kind not in (kind, "undecided") or point.value.free_symbols & set(problem.unknowns):
            continue
        better = next((other for other in points if sign_of(sign * (point.value - other.value)) == 1), None)
        if better is not None and point.kind == kind and (point.root.free or not point.root.conditions):
            word = "lower elsewhere" if sign > 0 else "higher elsewhere"
            return replace(point, reasons=(*point.reasons, Said(word, (better.value,))))
        bound = problem.bounds[0 if sign > 0 else 1]
        if better is None and (point.value == bound or is_nonnegative(sign * (problem.expression - point.value))):
            reason = Said(f"bounded {'below' if sign > 0 else 'above'}", (point.value,))
            return replace(point, kind=kind, scope="global", reasons=(*_kept(point), reason))
    if point.kind not in ("minimum", "maximum") or (point.root.conditions and not point.root.free):
        return point
    sign = 1 if point.kind == "minimum" else -1
    ends = _ends(problem, sign)
    if ends is None:
        return point
    key, bounds = ends
    if any(sign_of(sign * (bound - point.value)) == -1 for bound in bounds):
        return replace(point, reasons=(*point.reasons, Said("unbounded below" if sign > 0 else "unbounded above")))
    level = all(sign_of(sign * (bound - point.value)) in (0, 1) for bound in bounds)
    if not complete or not level or any(sign_of(sign * (other.value - point.value)) not in (0, 1) for other in points):
        return point
    return replace(point, scope="global", reasons=(*point.reasons, Said(f"{key} {point.kind}")))


def _kept(point: Stationary) -> tuple[Said, ...]:
    """The reasons of a point, without those that only said that nothing was decided."""
    return tuple(said for said in point.reasons if said.key not in ("depends on sign", "unknown definiteness"))


def _ends(problem: Problem, sign: int) -> tuple[str, list[Any]] | None:
    """What the loss tends to at the ends of its domain, and how that is known; None if it is not known."""
    expression, unknowns = problem.expression, problem.unknowns
    if expression.free_symbols - set(unknowns):
        return None
    if len(unknowns) == 1 and problem.ends:
        left, right = problem.ends
        bounds = [within(2.0, sp.limit, left, unknowns[0], -sp.oo), within(2.0, sp.limit, right, unknowns[0], sp.oo)]
        known = [bound for bound in bounds if bound is not None and not bound.has(sp.Limit, sp.AccumBounds, sp.nan)]
        return ("ends", known) if len(known) == 2 else None
    if len(unknowns) == 1:
        return within(4.0, _limits, expression, unknowns[0])
    if expression.is_polynomial(*unknowns):
        if _coercive(sp.Poly(sign * expression, *unknowns)):
            return "coercive", [sign * sp.oo]
        for unknown in unknowns:  # along lines parallel to an axis
            for level in (0, 1, -1):
                line = expression.xreplace({other: sp.Integer(level) for other in unknowns if other != unknown})
                if -sign * sp.oo in (sp.limit(line, unknown, sp.oo), sp.limit(line, unknown, -sp.oo)):
                    return "ends", [-sign * sp.oo]
    exponentials = expression.atoms(sp.exp)
    if len(exponentials) == 1:  # a polynomial times exp(-q), q growing in all directions
        (decaying,) = exponentials
        factor = sp.cancel(expression / decaying)
        exponent = decaying.args[0]
        if (
            factor.is_polynomial(*unknowns)
            and exponent.is_polynomial(*unknowns)
            and _coercive(sp.Poly(-exponent, *unknowns))
        ):
            return "decays", [sp.S.Zero]
    return None


def _limits(expression: Any, unknown: Any) -> tuple[str, list[Any]] | None:
    """The limits at the ends of the domain, if that is one interval on which the loss is continuous."""
    free = sp.Symbol("x", real=True)
    whole = sp.Interval.open(0, sp.oo) if unknown.is_positive else sp.S.Reals
    expression = expression.xreplace({unknown: free})
    period = None if expression.is_polynomial(free) else sp.periodicity(expression, free)
    domain = sp.calculus.util.continuous_domain(expression, free, whole)
    if not isinstance(domain, sp.Interval):
        return None
    if period is not None and domain is sp.S.Reals and period != 0:
        return "periodic", []
    bounds = [sp.limit(expression, free, domain.start, "+"), sp.limit(expression, free, domain.end, "-")]
    bounds = [bound if not isinstance(bound, sp.AccumBounds) else bound.min for bound in bounds]
    return None if any(bound.has(sp.nan, sp.Limit) for bound in bounds) else ("ends", bounds)


def _coercive(polynomial: sp.Poly) -> bool:
    """Whether a polynomial surely grows in all directions: even pure powers that outgrow every other term."""
    size = len(polynomial.gens)
    tops = [0] * size
    for monomial, _ in polynomial.terms():
        present = [k for k in range(size) if monomial[k]]
        if len(present) == 1 and monomial[present[0]] > tops[present[0]]:
            tops[present[0]] = monomial[present[0]]
    pure = [
        polynomial.coeff_monomial(gen**top) if top else sp.S.Zero
        for gen, top in zip(polynomial.gens, tops, strict=True)
    ]
    if any(top % 2 or not top or not value.is_positive for top, value in zip(tops, pure, strict=True)):
        return False
    for monomial, coefficient in polynomial.terms():
        if sum(1 for power in monomial if power) < 2:
            continue
        weight = sum(sp.Rational(power, top) for power, top in zip(monomial, tops, strict=True))
        if weight > 1 or (weight == 1 and not (coefficient.is_positive and all(power % 2 == 0 for power in monomial))):
            return False
    return True

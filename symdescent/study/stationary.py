"""Stationary points of a loss in scalars: found by solving for a vanishing gradient, and classified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said
from symdescent.study.definite import Definiteness, definiteness
from symdescent.study.degenerate import higher_terms
from symdescent.study.globally import settled_globally
from symdescent.study.limits import within
from symdescent.study.problem import Problem, Stationary
from symdescent.study.solving import Root, solve_real, tidy

NUMBERS = (sp.Rational(7, 5), sp.Rational(3, 11), sp.Rational(23, 9), sp.Rational(13, 17))
TOLERANCE = sp.Float("1e-15")

# -- candidates -------------------------------------------------------------------------------------------------------


def stationary_points(problem: Problem) -> tuple[list[Stationary], bool]:
    """All stationary points that can be found, classified; and whether these are all."""
    roots = solve_real(problem.gradient, problem.unknowns)
    complete = roots.complete
    found = []
    for root in roots.found:
        for part in _split(problem, root):
            point = _made(problem, part)
            if point is not None:
                found.append(point)
    if not complete and len(found) == 1 and _strictly(problem):
        complete = True  # a strictly convex function has at most one stationary point
    return classified(problem, found, complete), complete


def _strictly(problem: Problem) -> bool:
    known = definiteness(problem.hessian).verdict
    return known in ("positive", "negative")


def _split(problem: Problem, root: Root) -> Iterator[Root]:
    """Families on which a sign alternates are taken apart into the even and the odd numbers."""
    at = problem.hessian.xreplace(root.values) if root.integers else sp.Matrix()
    for number in root.integers:
        if any(
            isinstance(part, sp.Pow) and part.base == -1 and number in part.free_symbols
            for part in sp.preorder_traversal(at)
        ):
            for parity in (0, 1):
                values = {u: sp.expand(v.xreplace({number: 2 * number + parity})) for u, v in root.values.items()}
                yield replace(root, values=values)
            return
    yield root


def _made(problem: Problem, root: Root) -> Stationary | None:
    """A root as a stationary point: None where the gradient does not vanish there, or the loss is undefined."""
    if not _holds(problem, root):
        return None
    numbered = root.approximate or any(value.has(sp.CRootOf) for value in root.values.values())
    close = (
        replace(root, values={u: sp.N(v, 60) for u, v in root.values.items()}, approximate=True) if numbered else root
    )
    value = decimal(_at(problem.expression, close)) if numbered else tidy(_at(problem.expression, root))
    if value.has(sp.nan, sp.zoo, sp.oo, sp.I) or value.is_real is False:
        return None
    hessian = _at(problem.hessian, close).applyfunc(decimal if close.approximate else tidy)
    if hessian.has(sp.nan, sp.zoo, sp.oo):
        hessian = None
    assumed = _assuming(root.conditions)
    curvature = definiteness(hessian.xreplace(assumed)) if hessian is not None else Definiteness("unknown", (), ())
    back = {new: old for old, new in assumed.items()}
    curvature = Definiteness(
        curvature.verdict,
        tuple(minor.xreplace(back) for minor in curvature.minors),
        tuple(value.xreplace(back) for value in curvature.eigenvalues),
    )
    return Stationary(root, value, hessian, curvature)


def decimal(value: Any) -> Any:
    """A number to 30 digits; what vanishes to so many is 0, and what is whole is whole."""
    close = sp.N(value, 40)
    if not close.is_Float:
        return close
    nearest = sp.Integer(round(close))
    return nearest if abs(close - nearest) < sp.Float("1e-28") else sp.Float(close, 30)


def _at(expression: Any, root: Root) -> Any:
    for unknown, value in root.values.items():
        expression = expression.subs(unknown, value) if not root.approximate else expression
    return expression.xreplace(root.values) if root.approximate else expression


def _assuming(conditions: Sequence[Any]) -> dict[Any, Any]:
    """Symbols that a condition makes positive, as positive ones."""
    found = {}
    for condition in conditions:
        slack = sp.expand(condition.gts - condition.lts)
        if slack.is_Symbol:
            found[slack] = sp.Dummy(slack.name, positive=True)
        elif (-slack).is_Symbol:
            found[-slack] = sp.Dummy((-slack).name, negative=True)
    return found


def _holds(problem: Problem, root: Root) -> bool:
    """Whether the gradient vanishes at a root: at several choices of whole numbers, free unknowns and constants."""
    free = sorted(set().union(*(v.free_symbols for v in (*root.values.values(), *problem.gradient))), key=str)
    free = [symbol for symbol in free if symbol not in root.values]
    tried = 0
    for attempt in range(8):
        choice = {}
        for place, symbol in enumerate(free):
            number = NUMBERS[(place + attempt) % 4] * (1 + attempt // 4)
            number = sp.Integer(attempt % 4 + 2 + place) if symbol.is_integer else number
            choice[symbol] = -number if symbol.is_negative or (attempt % 2 and not symbol.is_nonnegative) else number
        try:
            if not all(condition.xreplace(choice) == sp.true for condition in root.conditions):
                continue
        except TypeError:  # what is compared is not real for this choice
            continue
        point = {u: sp.N(v.xreplace(choice), 40) for u, v in root.values.items()}
        if any(not value.is_real for value in point.values()):
            continue
        slopes = [sp.N(entry.xreplace(choice).xreplace(point), 30) for entry in problem.gradient]
        if any(not slope.is_real or not slope.is_finite for slope in slopes):
            return False
        size = 1 + max((abs(v) for v in point.values()), default=sp.S.Zero)
        if any(abs(slope) > TOLERANCE * size for slope in slopes):
            return False
        tried += 1
        if tried == 2 or not free:
            return True
    return True


# -- classification ---------------------------------------------------------------------------------------------------


def classified(problem: Problem, points: Sequence[Stationary], complete: bool) -> list[Stationary]:
    """Say of each point what it is, and whether it is so globally."""
    known, why = problem.sides
    local = [_local(problem, point, known.verdict, why) for point in points]
    settled = [settled_globally(problem, point, local, complete) for point in local]
    return [_left_open(before, after) for before, after in zip(local, settled, strict=True)]


def _left_open(before: Stationary, after: Stationary) -> Stationary:
    """Say where nothing could be proved of an extremum beyond its surroundings."""
    if after.scope != "local" or after.reasons != before.reasons:
        return after
    return replace(after, reasons=(*after.reasons, Said("not known global")))


_OF_CONVEX = {"positive": "minimum", "semipositive": "minimum", "negative": "maximum", "seminegative": "maximum"}


def _local(problem: Problem, point: Stationary, everywhere: str, why: tuple[Said, ...]) -> Stationary:
    """The kind of a point."""
    if point.kink:
        return point
    verdict, size = point.curvature.verdict, len(problem.unknowns)
    by_sign = {"positive": "minimum", "negative": "maximum", "indefinite": "saddle"}.get(verdict)
    reasons: tuple[Said, ...] = ()
    if by_sign:
        reasons = (Said(f"{verdict} Hessian" if size > 1 else f"{verdict} second derivative", (_evidence(point),)),)
    elif (verdict == "zero" or (size > 1 and verdict in ("semipositive", "seminegative"))) and not point.root.integers:
        reasons = (Said("singular Hessian" if size > 1 else "zero second derivative"),)
    kind = by_sign
    if everywhere in _OF_CONVEX:
        kind = _OF_CONVEX[everywhere]
        return replace(
            point,
            kind=kind,
            scope="global",
            reasons=(*reasons, *why, Said(f"global {kind} by {'convexity' if kind == 'minimum' else 'concavity'}")),
        )
    if kind is None and verdict in ("zero", "semipositive", "seminegative") and not point.root.free:
        at = [point.root.values[u] for u in problem.unknowns]
        found = within(10.0, higher_terms, problem.expression, problem.unknowns, at, point.hessian)
        if found is not None:
            reasons = (*reasons, *_higher_reasons(found, size))
            kind = found.kind
    if kind is None and verdict == "unknown" and size == 1 and point.hessian is not None:
        reasons = (Said("depends on sign", (point.hessian[0, 0],)),)
    elif kind is None and verdict == "unknown":
        reasons = (Said("unknown definiteness"),)
    return replace(
        point, kind=kind or "undecided", scope="local" if kind in ("minimum", "maximum") else "", reasons=reasons
    )


def _higher_reasons(found: Any, size: int) -> tuple[Said, ...]:
    key = "odd order" if found.order % 2 else "even order" if found.kind != "saddle" else "even order saddle"
    return (Said(f"{key}{'' if size == 1 else ' form'}", (sp.Integer(found.order), found.term)),)


def _evidence(point: Stationary) -> Any:
    return point.hessian[0, 0] if point.hessian.rows == 1 else point.hessian

"""Critical points of losses with kinks in one unknown: where the slope jumps from one sign to the other, beside where
it vanishes. The line is cut at the kinks, and each piece is smooth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said
from symdescent.loss import Loss
from symdescent.study.definite import Definiteness, definiteness, sign_of
from symdescent.study.degenerate import forms
from symdescent.study.limits import within
from symdescent.study.problem import Problem, Stationary
from symdescent.study.solving import Root, solve_real, tidy
from symdescent.study.stationary import classified

KINKS = (sp.Abs, sp.Max, sp.Min, sp.sign, sp.Heaviside, sp.Piecewise)
UNKNOWN = Definiteness("unknown", (), ())


def has_kinks(expression: Any, unknowns: Sequence[Any]) -> bool:
    """Whether a loss has absolute values, extrema or cases that depend on the unknowns."""
    return any(part.free_symbols & set(unknowns) for part in expression.atoms(*KINKS))


def critical_on_line(problem: Problem) -> tuple[list[Stationary], bool] | None:
    """The critical points in one unknown, and whether these are all; None where constants decide the pieces."""
    (x,) = problem.unknowns
    cut = _pieces(problem.expression, x)
    if cut is None:
        return None
    pieces, complete = cut
    problem = replace(problem, smooth=False, ends=(pieces[0].expression, pieces[-1].expression))
    points = list(_on_line(problem, pieces))
    complete = complete and None not in points
    return classified(problem, [point for point in points if point is not None], complete), complete


def slope_of(expression: Any, unknown: Any) -> Any:
    """The derivative of a smooth expression."""
    return Loss(expression, unknown).gradient[unknown] if unknown in expression.free_symbols else sp.S.Zero


# -- one unknown ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Piece:
    """A smooth piece between two kinks (or infinity)."""

    low: Any
    high: Any
    expression: Any
    slope: Any


def _pieces(expression: Any, x: Any) -> tuple[list[Piece], bool] | None:
    marks: list[Any] = []
    complete = True
    for border in dict.fromkeys(_borders(expression, x)):
        solved = solve_real([border], [x])
        if any(root.integers or root.free for root in solved.found):
            return None
        complete = complete and solved.complete
        marks += [root.values[x] for root in solved.found]
    ordered = _sorted(list(dict.fromkeys(marks)))
    if ordered is None:
        return None
    found: list[Piece] = []
    for low, high in pairwise([-sp.oo, *ordered, sp.oo]):
        inside = (low + high) / 2 if low.is_finite is not False and high.is_finite is not False else None
        if inside is None:
            inside = high - 1 if high is not sp.oo else low + 1 if low is not -sp.oo else sp.S.Zero
        chosen = _chosen(expression, x, inside)
        if chosen is None:
            return None
        if found and chosen == found[-1].expression:  # no kink after all
            found[-1] = replace(found[-1], high=high)
        else:
            found.append(Piece(low, high, chosen, slope_of(chosen, x)))
    return found, complete


def _borders(expression: Any, x: Any) -> Iterator[Any]:
    """What vanishes where the loss may have a kink."""
    for part in expression.atoms(*KINKS):
        if x not in part.free_symbols:
            continue
        if isinstance(part, (sp.Max, sp.Min)):
            args = list(part.args)
            yield from (a - b for k, a in enumerate(args) for b in args[:k] if x in (a - b).free_symbols)
        elif isinstance(part, sp.Piecewise):
            for _, condition in part.args:
                yield from (side.lhs - side.rhs for side in condition.atoms(sp.core.relational.Relational)
                            if x in side.free_symbols)  # fmt: skip
        else:
            yield part.args[0]


def _sorted(marks: list[Any]) -> list[Any] | None:
    """Points in increasing order; None if their order depends on constants."""
    ordered: list[Any] = []
    for mark in marks:
        place = 0
        for other in ordered:
            sign = sign_of(mark - other)
            if sign is None:
                return None
            if sign == 0:
                break
            place += sign > 0
        else:
            ordered.insert(place, mark)
    return ordered


def _chosen(expression: Any, x: Any, at: Any) -> Any:
    """The smooth expression that holds around a point; None where constants decide."""
    if not isinstance(expression, sp.Basic) or x not in expression.free_symbols or expression == x:
        return expression
    if isinstance(expression, sp.Piecewise):
        for value, condition in expression.args:
            holds = sp.sympify(condition).subs(x, at)
            if holds not in (sp.true, sp.false):
                return None
            if holds == sp.true:
                return _chosen(value, x, at)
        return sp.nan
    args = [_chosen(argument, x, at) for argument in expression.args]
    if None in args:
        return None
    if isinstance(expression, (sp.Abs, sp.sign, sp.Heaviside)):
        sign = sign_of(args[0].subs(x, at))
        if not sign:
            return None
        table = {sp.Abs: sign * args[0], sp.sign: sp.Integer(sign), sp.Heaviside: sp.Integer(sign > 0)}
        return next(value for kind, value in table.items() if isinstance(expression, kind))
    if isinstance(expression, (sp.Max, sp.Min)):
        best = args[0]
        for other in args[1:]:
            sign = sign_of((other - best).subs(x, at))
            if sign is None:
                return None
            best = other if (sign > 0) == isinstance(expression, sp.Max) and sign != 0 else best
        return best
    return expression.func(*args)


def _on_line(problem: Problem, pieces: Sequence[Piece]) -> Iterator[Stationary | None]:
    """Points inside the pieces, flat pieces, and kinks; None where some may have been missed."""
    (x,) = problem.unknowns
    for place, piece in enumerate(pieces):
        if piece.slope == 0:
            yield _flat(problem, pieces, place)
        else:
            yield from _inside(piece, x)
        if place + 1 < len(pieces):
            found = _kink(problem, piece, pieces[place + 1], x)
            if found is not None:
                yield found


def _inside(piece: Piece, x: Any) -> Iterator[Stationary | None]:
    solved = solve_real([piece.slope], [x])
    if not solved.complete:
        yield None
    for root in solved.found:
        if root.integers or root.free:
            yield None
            continue
        value, conditions, within_piece = root.values[x], list(root.conditions), True
        for above, below in ((value, piece.low), (piece.high, value)):
            sign = sign_of(above - below) if above - below not in (sp.oo, -sp.oo) else 1
            within_piece = within_piece and sign not in (0, -1)
            if sign is None:
                conditions.append(sp.Gt(sp.factor(above - below), 0))
        if within_piece:
            curvature = tidy(slope_of(piece.slope, x).subs(x, value))
            matrix = sp.Matrix([[curvature]])
            yield Stationary(replace(root, conditions=tuple(conditions)), tidy(piece.expression.subs(x, value)), matrix,
                             definiteness(matrix))  # fmt: skip


def _side(expression: Any, x: Any, at: Any, direction: int) -> int | None:
    """The sign of ``L(at + direction*t) - L(at)`` for small positive t."""
    terms = within(3.0, forms, expression, [x], [at], [sp.Integer(direction)]) or []
    for term in terms[1:]:
        sign = sign_of(term)
        if sign is None or sign:
            return sign
    return None


def _slope_at(piece: Piece, x: Any, at: Any, side: str) -> Any:
    value = piece.slope.subs(x, at)
    if value.has(sp.nan, sp.zoo, sp.oo):
        limit = within(2.0, sp.limit, piece.slope, x, at, side)
        return sp.nan if limit is None else limit
    return tidy(value)


def _kink(problem: Problem, left: Piece, right: Piece, x: Any) -> Stationary | None:
    """The point between two pieces, if 0 lies between the slopes on its two sides."""
    at = left.high
    before, after = _slope_at(left, x, at, "-"), _slope_at(right, x, at, "+")
    value = tidy(left.expression.subs(x, at))
    if value.has(sp.nan, sp.zoo, sp.oo) or sp.simplify(value - right.expression.subs(x, at)) != 0:
        return None
    signs = sign_of(before), sign_of(after)
    before_sign, after_sign = signs
    if 0 in signs and (left.slope == 0 or right.slope == 0):
        return None  # the end of a flat piece, which is reported as a whole
    root, kind = Root({x: at}), "undecided"
    slopes = (at, before, after)
    if before_sign is None or after_sign is None:
        if problem.bends != "convex" or signs[0] == 1 or signs[1] == -1:
            return None
        needed = [sp.Le(before, 0) if signs[0] is None else sp.true, sp.Ge(after, 0) if signs[1] is None else sp.true]
        root, kind = replace(root, conditions=tuple(c for c in needed if c is not sp.true)), "minimum"
    elif signs[0] == signs[1] != 0:
        return None
    else:
        rises = [-before_sign or _side(left.expression, x, at, -1), after_sign or _side(right.expression, x, at, 1)]
        kind = kind_by_sides(rises)
    scope = "local" if kind in ("minimum", "maximum") else ""
    if signs == (0, 0) and problem.bends != "convex":
        return Stationary(root, value, None, UNKNOWN, kind, scope, (Said("joined", (at,)),), kink=True)
    return settled(
        problem, Stationary(root, value, None, UNKNOWN, kind, scope, (Said(f"kink {kind}", slopes),), kink=True)
    )


def _flat(problem: Problem, pieces: Sequence[Piece], place: int) -> Stationary:
    """A whole interval on which the loss is constant."""
    (x,) = problem.unknowns
    piece = pieces[place]
    bounds = [sp.Ge(x, piece.low)] if piece.low is not -sp.oo else []
    bounds += [sp.Le(x, piece.high)] if piece.high is not sp.oo else []
    rises = []
    if place > 0:
        rises.append(_side(pieces[place - 1].expression, x, piece.low, -1))
    if place + 1 < len(pieces):
        rises.append(_side(pieces[place + 1].expression, x, piece.high, 1))
    kind = kind_by_sides(rises)
    scope = "local" if kind in ("minimum", "maximum") else ""
    root = Root({}, free=(x,), conditions=tuple(bounds))
    return settled(problem, Stationary(root, piece.expression, None, UNKNOWN, kind, scope, (Said("flat"),), kink=True))


def kind_by_sides(rises: Sequence[int | None]) -> str:
    """The kind of a point or a flat piece: the loss rises (1) or falls (-1) on each side, as one leaves it."""
    if None in rises:
        return "undecided"
    return "minimum" if set(rises) == {1} else "maximum" if set(rises) == {-1} else "saddle"


def settled(problem: Problem, point: Stationary) -> Stationary:
    """Extrema of convex losses are global."""
    if problem.bends not in ("convex", "concave") or point.kind not in ("minimum", "maximum"):
        return point
    key = "convexity" if problem.bends == "convex" else "concavity"
    more = (Said(f"{problem.bends} by rules"), Said(f"global {point.kind} by {key}"))
    return replace(point, scope="global", reasons=(*point.reasons, *more))

"""A loss as a problem in real scalars, and the stationary points that are sought of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import sympy as sp

from symdescent.derivation.steps import Said
from symdescent.elementary.functions import _Head
from symdescent.loss import Loss
from symdescent.study.convexity import shape
from symdescent.study.definite import Definiteness, definiteness, is_nonnegative
from symdescent.study.enclosure import enclosure
from symdescent.study.limits import within
from symdescent.study.solving import Root


@dataclass(frozen=True, slots=True)
class Stationary:
    """A stationary point, or a family of such, in the symbols of its `Problem`."""

    root: Root
    value: Any
    hessian: Any
    curvature: Definiteness
    kind: str = "undecided"
    scope: str = ""
    reasons: tuple[Said, ...] = ()
    kink: bool = False


@dataclass
class Problem:
    """A loss as an expression in real unknowns, with its gradient and Hessian.

    `names` maps the symbols back to what they stand for; `bends` is "convex" or "concave" where that is known of the
    loss from elsewhere. A loss with kinks is not `smooth`: its Hessian tells nothing of them; `ends` are the pieces
    of it that reach to infinity.
    """

    expression: Any
    unknowns: tuple[Any, ...]
    gradient: tuple[Any, ...]
    hessian: Any
    names: Mapping[Any, Any] = field(default_factory=dict)
    bends: str = ""
    smooth: bool = True
    ends: tuple[Any, ...] = ()

    @cached_property
    def bounds(self) -> tuple[Any, Any]:
        """Bounds on the loss, by interval arithmetic."""
        return within(2.0, enclosure, self.expression) or (-sp.oo, sp.oo)

    @cached_property
    def sides(self) -> tuple[Definiteness, tuple[Said, ...]]:
        """What is known of the Hessian everywhere, and why."""
        if self.bends in ("convex", "concave"):
            verdict = "semipositive" if self.bends == "convex" else "seminegative"
            return Definiteness(verdict, (), ()), (Said(f"{self.bends} by rules"),)
        if not self.smooth:
            return Definiteness("unknown", (), ()), ()
        known = definiteness(self.hessian)
        if known.verdict in ("unknown", "indefinite") and len(self.unknowns) == 1:
            (entry,) = self.hessian
            if is_nonnegative(entry):
                known = replace(known, verdict="semipositive")
            elif is_nonnegative(-entry):
                known = replace(known, verdict="seminegative")
        if known.verdict in ("positive", "semipositive"):
            return known, (Said("convex by Hessian"),)
        if known.verdict in ("negative", "seminegative"):
            return known, (Said("concave by Hessian"),)
        return known, ()


def problem_of(loss: Loss) -> Problem:
    """State a loss in real scalars as a problem."""
    statement = loss.statement
    real = {symbol: realised(symbol) for symbol in (*loss.parameters, *loss.constants)}
    unknowns = tuple(real[p] for p in loss.parameters)
    gradient = tuple(exact(plain(loss.gradient[p].xreplace(real))) for p in loss.parameters)
    hessian = loss.hessian.xreplace(real).applyfunc(lambda entry: exact(plain(entry)))
    expression = exact(plain(loss.expression.xreplace(real)))
    bends = shape(statement).kind
    return Problem(expression, unknowns, gradient, hessian, {new: old for old, new in real.items()}, bends)


def realised(symbol: Any) -> Any:
    """The symbol as a real one, which is what it means in a loss."""
    return symbol if symbol.is_real else sp.Symbol(symbol.name, real=True)


def plain(expression: Any) -> Any:
    """The expression without sigmoid, softplus and the like, which SymPy's solvers do not know."""
    return expression.replace(lambda part: isinstance(part, _Head), lambda part: part.definition())


def exact(expression: Any) -> Any:
    """The expression with fractions in the place of decimals: 0.5 is 1/2."""
    return sp.nsimplify(expression, rational=True) if expression.has(sp.Float) else expression

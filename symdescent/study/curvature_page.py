"""The page of a curvature: the Hessian at the point, its eigenvalues, and the steps that they allow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symdescent.derivation.page import Block, Chain, Line, Paragraph
from symdescent.derivation.symbols import LOSS, GradientOf
from symdescent.study.linked import Linked
from symdescent.study.phrases import listed, number, say

if TYPE_CHECKING:
    from symdescent.study.curvature import Curvature

SHOWN = 6  # rows and eigenvalues that are printed
HESSIAN, RATE, CONDITION, MOMENTUM, LAMBDA = sp.symbols("H eta kappa mu lambda")


def page_of(found: Curvature, language: str) -> Sequence[Block]:
    """The blocks of the page."""
    return [*_where(found, language), *_matrix(found, language), *_steps(found, language)]


def _where(found: Curvature, language: str) -> Iterator[Block]:
    scalars = len(found.point) <= SHOWN and all(np.ndim(value) == 0 for value in found.point.values())
    if scalars:
        at = listed(sp.Eq(p, number(value), evaluate=False) for p, value in found.point.items())
        yield Paragraph(say("curvature at", language, at))
    elif len(found.names) <= SHOWN:
        yield Paragraph(say("curvature gradient", language))
    else:
        yield Paragraph(say("curvature gradient size", language, number(np.max(np.abs(found.gradient)))))
    if len(found.names) <= SHOWN:
        pairs = zip(found.names, found.gradient, strict=True)
        yield Chain(tuple(Line(number(value), GradientOf(LOSS, name)) for name, value in pairs))
    size = max(1.0, float(np.max(np.abs(found.eigenvalues))))
    flat = float(np.max(np.abs(found.gradient), initial=0.0)) <= 1e-6 * size
    yield Paragraph(say("curvature critical" if flat else "curvature sloped", language))


def _matrix(found: Curvature, language: str) -> Iterator[Block]:
    size = len(found.names)
    if size == 1:
        value = number(found.hessian[0, 0])
        lines = [Line(value)] if found.formula is not None and found.formula[0, 0] != value else []
        left = GradientOf(LOSS, found.names[0], found.names[0])
        yield Paragraph(say("critical second", language))
        yield Chain((Line(found.formula[0, 0] if lines else value, left), *lines))
        if found.kinked:
            yield Paragraph(say("curvature kinks", language))
        yield Paragraph(say(f"curvature one {found.verdict}", language))
        return
    if size <= SHOWN:
        numbers = sp.ImmutableMatrix(size, size, [number(entry) for entry in np.ravel(found.hessian)])
        lines = [Line(numbers)] if found.formula is not None and found.formula != numbers else []
        first = found.formula if lines else numbers
        yield Paragraph(say("critical Hessian", language))
        yield Chain((Line(first, HESSIAN), *lines))
    else:
        yield Paragraph(say("curvature large", language, sp.Integer(size), sp.Integer(size)))
    if found.kinked:
        yield Paragraph(say("curvature kinks", language))
    if size == 2:
        trace, determinant = float(np.trace(found.hessian)), float(np.linalg.det(found.hessian))
        terms = [LAMBDA**2, sp.Mul(number(-trace), LAMBDA, evaluate=False), number(determinant)]
        yield Paragraph(say("curvature characteristic", language))
        yield Chain((Line(sp.S.Zero, sp.Add(*(t for t in terms if t != 0 and 0 not in t.args), evaluate=False)),))
    yield Paragraph(say("curvature eigenvalues", language))
    yield Chain(tuple(_spectrum(found)))
    if 1 < size <= 4:
        columns = [sp.ImmutableMatrix([number(entry, 4) for entry in vector]) for vector in found.eigenvectors.T]
        yield Paragraph(say("curvature eigenvectors", language))
        yield Chain(tuple(Line(column, sp.Symbol(f"q_{k}")) for k, column in enumerate(columns, start=1)))
    yield Paragraph(say(f"curvature {found.verdict}", language))


def _spectrum(found: Curvature) -> Iterator[Line]:
    size = len(found.eigenvalues)
    places = range(size) if size <= SHOWN else [0, 1, 2, size - 3, size - 2, size - 1]
    for place in places:
        yield Line(number(found.eigenvalues[place]), sp.Symbol(f"lambda_{place + 1}"))


def _steps(found: Curvature, language: str) -> Iterator[Block]:
    if found.largest_step is None:
        yield Paragraph(say("curvature no bound", language))
        return
    size = len(found.eigenvalues)
    high, low = number(found.eigenvalues[-1]), number(found.eigenvalues[0])
    names = (sp.Symbol("lambda_1"), sp.Symbol(f"lambda_{size}")) if size > 1 else (LAMBDA, LAMBDA)
    two = _over(sp.Integer(2), high)
    yield Paragraph(say("curvature error" if size > 1 else "curvature error one", language, 1 - RATE * LAMBDA))
    bound = Linked(_over(sp.Integer(2), names[1]), "=", two, "=", number(found.largest_step))
    yield Chain((Line(bound, RATE, relation="<"),))
    if found.verdict == "indefinite":
        yield Paragraph(say("curvature saddle", language))
    if size == 1:
        if found.quadratic:
            yield Paragraph(say("curvature optimal one", language))
            yield Chain((Line(Linked(_over(sp.Integer(1), LAMBDA), "=", number(found.optimal_step)), RATE),))
        return
    if found.condition_number is not None and math.isfinite(found.condition_number):
        ratio = Linked(_over(names[1], names[0]), "=", _over(high, low), "=", number(found.condition_number))
        yield Paragraph(say("curvature condition", language))
        yield Chain((Line(ratio, CONDITION),))
    elif found.condition_number is not None:
        yield Paragraph(say("curvature flat", language))
    if found.optimal_step is not None:
        yield from _optimal(found, names, low, high, language)


def _optimal(found: Curvature, names: tuple[Any, Any], low: Any, high: Any, language: str) -> Iterator[Block]:
    """The best constant step, and the best heavy ball, of a quadratic."""
    kappa, one = number(found.condition_number), sp.Integer(1)
    total = sp.Add(low, high, evaluate=False)
    two, sum_ = sp.Integer(2), sp.Add(*names, evaluate=False)
    best = Linked(_over(two, sum_), "=", _over(two, total), "=", number(found.optimal_step))
    fewer, more = (sp.Add(kappa, term, evaluate=False) for term in (-one, one))
    shrink = Linked(_over(CONDITION - one, CONDITION + one), "=", _over(fewer, more), "=", number(found.rate))
    yield Paragraph(say("curvature optimal", language))
    yield Chain((Line(best, RATE), Line(shrink, sp.Symbol("rho"))))
    root = sp.sqrt(CONDITION)
    step = Linked(_over(sp.Integer(4), (sp.sqrt(names[1]) + sp.sqrt(names[0])) ** 2), "=", number(found.momentum_step))
    factor = Linked(_over(root - one, root + one) ** 2, "=", number(found.momentum))
    yield Paragraph(say("curvature momentum", language))
    yield Chain(
        (
            Line(step, RATE),
            Line(factor, MOMENTUM),
            Line(Linked(sp.sqrt(MOMENTUM), "=", number(found.momentum_rate)), sp.Symbol("rho")),
        )
    )


def _over(above: Any, below: Any) -> Any:
    """A quotient as it stands."""
    return sp.Mul(above, sp.Pow(below, -1, evaluate=False), evaluate=False)

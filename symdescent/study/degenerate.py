"""Critical points whose Hessian is singular: what the higher terms of Taylor's formula decide.

In one dimension the first derivative that does not vanish decides. Where exactly one direction is flat, the other
directions are eliminated (the splitting lemma), which leaves a function of one variable. Where the whole Hessian
vanishes, the first homogeneous form that does not is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy as sp

from symdescent.loss import Loss
from symdescent.study.definite import sign_of

ORDER = 8  # the highest terms that are looked at, in several unknowns
LINE = 16  # and in one


@dataclass(frozen=True, slots=True)
class Higher:
    """A verdict by higher terms: the kind of point, the order that decides, and the term itself."""

    kind: str
    order: int
    term: Any


def higher_terms(expression: Any, unknowns: Sequence[Any], point: Sequence[Any], hessian: Any) -> Higher | None:
    """Classify a critical point with a singular Hessian; None where the terms looked at do not decide.

    >>> x, y = sp.symbols("x y", real=True)
    >>> higher_terms(x**3 - 3*x*y**2, [x, y], [0, 0], sp.zeros(2, 2)).kind
    'saddle'
    >>> higher_terms((y - x**2)*(y - 2*x**2), [x, y], [0, 0], sp.diag(0, 2)).kind
    'saddle'
    """
    if len(unknowns) == 1:
        return _one(forms(expression, unknowns, point, [sp.S.One], LINE))
    kernel = hessian.nullspace()
    size = len(unknowns)
    if len(kernel) == 1 and size <= 4:
        return _split(expression, unknowns, point, hessian, kernel[0])
    steps = sp.symbols(f"u:{len(kernel)}", real=True)
    along = list(sum((step * vector for step, vector in zip(steps, kernel, strict=True)), sp.zeros(size, 1)))
    for order, form in enumerate(forms(expression, unknowns, point, along)):
        if order < 3 or form == 0:
            continue
        if order % 2:
            return Higher("saddle", order, form)
        return _even_form(form, steps, order) if len(kernel) == size else None
    return None


def forms(
    expression: Any, unknowns: Sequence[Any], point: Sequence[Any], along: Sequence[Any], highest: int = ORDER
) -> list[Any]:
    """The terms of Taylor's formula along a direction: those of order 0, 1, …, without powers of the step."""
    step = sp.Symbol("epsilon", real=True)
    moved = {u: value + step * part for u, value, part in zip(unknowns, point, along, strict=True)}
    line = expression.xreplace(moved)
    if line.is_polynomial(step):
        polynomial = sp.Poly(line, step)
        return [sp.simplify(polynomial.coeff_monomial(step**k)) for k in range(polynomial.degree() + 1)]
    found, factorial = [sp.simplify(line.subs(step, 0))], 1
    for order in range(1, highest + 1):
        line = Loss(line, step).gradient[step] if step in line.free_symbols else sp.S.Zero
        factorial *= order
        found.append(sp.simplify(line.subs(step, 0)) / factorial)
        if line == 0 or (highest == LINE and order > 1 and found[-1] != 0):
            break
    return found


def _one(terms: Sequence[Any]) -> Higher | None:
    for order, term in enumerate(terms):
        if order < 2 or term == 0:
            continue
        sign = sign_of(term)
        if order % 2:
            return Higher("saddle", order, term)
        return None if not sign else Higher("minimum" if sign > 0 else "maximum", order, term)
    return None


def _split(expression: Any, unknowns: Sequence[Any], point: Sequence[Any], hessian: Any, flat: Any) -> Higher | None:
    """Eliminate the directions in which the Hessian is definite, as power series in the flat one."""
    size = len(unknowns)
    basis = hessian.columnspace()[: size - 1]
    t, others = sp.Symbol("t", real=True), sp.symbols(f"s:{len(basis)}", real=True)
    along = list(t * flat + sum((s * column for s, column in zip(others, basis, strict=True)), sp.zeros(size, 1)))
    taylor = sum(forms(expression, unknowns, point, along)[: ORDER + 1])
    curved = sp.Matrix(len(basis), len(basis), lambda i, j: (basis[i].T * hessian * basis[j])[0, 0])
    series: dict[Any, Any] = dict.fromkeys(others, sp.S.Zero)
    if any(sp.simplify(entry) == 0 for entry in [curved.det()]):
        return None
    slopes = [_slope(taylor, s) for s in others]
    for order in range(2, ORDER // 2 + 1):
        left = [sp.expand(slope.xreplace(series)).coeff(t, order) for slope in slopes]
        correction = -(curved.inv() * sp.Matrix(left))
        series = {s: value + correction[k] * t**order for k, (s, value) in enumerate(series.items())}
    reduced = sp.Poly(sp.expand(taylor.xreplace(series)), t)
    found = _one([sp.simplify(reduced.coeff_monomial(t**k)) for k in range(ORDER + 1)])
    if found is None or found.kind == "saddle":
        return found
    # an extremum along the flat direction has to agree with the others
    signs = {sign_of(value) for value in curved.eigenvals()}
    wanted = 1 if found.kind == "minimum" else -1
    if signs == {wanted}:
        return found
    return Higher("saddle", found.order, found.term) if None not in signs else None


def _slope(polynomial: Any, symbol: Any) -> Any:
    return Loss(polynomial, symbol).gradient[symbol]


def _even_form(form: Any, steps: Sequence[Any], order: int) -> Higher | None:
    """A form of even order in two variables decides if it is definite, or takes both signs."""
    if len(steps) != 2:
        return None
    m = sp.Symbol("m", real=True)
    polynomial = sp.Poly(form.xreplace({steps[0]: m, steps[1]: sp.S.One}), m)
    ends = [sign_of(form.xreplace({steps[0]: sp.S.One, steps[1]: sp.S.Zero}))]
    if any(not c.is_Rational for c in polynomial.all_coeffs()):
        return None
    roots = polynomial.real_roots() if polynomial.degree() > 0 else []
    marks = [roots[0] - 1, *((a + b) / 2 for a, b in pairwise(roots)), roots[-1] + 1] if roots else [0]
    signs = {sign_of(polynomial.as_expr().subs(m, mark)) for mark in marks} - {0}
    if {1, -1} <= signs | set(ends):
        return Higher("saddle", order, form)
    if not roots and len(signs) == 1 and signs == set(ends):
        return Higher("minimum" if signs == {1} else "maximum", order, form)
    return None

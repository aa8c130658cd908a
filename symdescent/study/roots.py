"""Real roots of single polynomials, of polynomial systems with finitely many zeros, and numerical ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from symdescent.study.limits import within

# -- roots of polynomials ---------------------------------------------------------------------------------------------


def rational_roots(polynomial: sp.Poly) -> list[Any]:
    """The real roots of a polynomial with rational coefficients; in radicals where these are short."""
    found = []
    for factor, _ in polynomial.factor_list()[1]:
        if factor.degree() == 0:
            continue
        exact = factor.real_roots()
        if factor.degree() > 2 and exact:
            radicals = [value for value in sp.roots(factor) if value.is_real]
            if len(radicals) == len(exact) and all(value.count_ops() <= 12 for value in radicals):
                exact = sorted(radicals, key=float)
        found += exact
    return found


def eliminated(polynomials: list[sp.Poly], unknowns: tuple[Any, ...]) -> list[tuple[Any, ...]] | None:
    """The real zeros of a system with finitely many: each coordinate from its own polynomial, matched numerically."""
    basis = sp.groebner(polynomials, *unknowns, order="grevlex")
    if basis.exprs == [1]:
        return []
    if not basis.is_zero_dimensional:
        return None
    candidates = []
    for unknown in unknowns:
        order = [*(u for u in unknowns if u != unknown), unknown]
        last = sp.groebner([p.as_expr() for p in polynomials], *order, order="lex").exprs[-1]
        if last.free_symbols != {unknown}:
            return None
        candidates.append(rational_roots(sp.Poly(last, unknown)))
    return list(_matched(polynomials, unknowns, candidates))


def _matched(
    polynomials: list[sp.Poly], unknowns: tuple[Any, ...], candidates: list[list[Any]]
) -> Iterator[tuple[Any, ...]]:
    """The combinations of coordinates that satisfy the system, by 40 digits."""
    points: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = [((), ())]
    for place, values in enumerate(candidates):
        close = [(value, sp.N(value, 60)) for value in values]
        points = [((*p, v), (*q, c)) for p, q in points for v, c in close]
        inside = [p for p in polynomials if p.free_symbols <= set(unknowns[: place + 1])]
        points = [(p, q) for p, q in points if all(_is_root(f, unknowns, q) for f in inside)]
    for exact, _ in points:
        yield exact


def _is_root(polynomial: sp.Poly, unknowns: tuple[Any, ...], point: tuple[Any, ...]) -> bool:
    values = dict(zip(unknowns, point, strict=False))
    terms = [
        sp.Mul(c, *(values[u] ** e for u, e in zip(polynomial.gens, m, strict=True))) for m, c in polynomial.terms()
    ]
    size = sum(abs(term) for term in terms)
    return bool(abs(sum(terms)) <= sp.Float("1e-40", 60) * (1 + size))


# -- numbers ----------------------------------------------------------------------------------------------------------


def recognised(equation: Any, unknown: Any, value: Any) -> Any:
    """The number that a decimal stands for, such as 1/2 or pi/2, if that solves the equation exactly."""
    for unit in (sp.S.One, sp.pi):
        for denominator in (1, 2, 3, 4, 6):
            multiple = sp.N(value * denominator / unit, 30)
            nearest = sp.Integer(round(multiple))
            if abs(multiple - nearest) < sp.Float("1e-24") and abs(nearest) < 1000:
                exact = nearest * unit / denominator
                return (
                    exact if within(1.0, lambda exact=exact: sp.simplify(equation.subs(unknown, exact))) == 0 else value
                )
    return value


def sign_changes(equation: Any, unknown: Any, low: float = -10.0, high: float = 10.0) -> list[Any]:
    """Roots of a function of one unknown where it changes its sign, to 30 digits, between two bounds."""
    import mpmath

    function = sp.lambdify(unknown, equation, "mpmath")
    values = [low + (high - low) * k / 2000 + 1.7e-5 for k in range(2001)]
    found: list[Any] = []

    def at(x: float) -> float | None:
        try:
            result = function(mpmath.mpf(x))
            return float(result.real) if abs(mpmath.im(result)) == 0 and mpmath.isfinite(result) else None
        except (ArithmeticError, ValueError, TypeError):
            return None

    heights = [at(x) for x in values]
    for a, b, fa, fb in zip(values, values[1:], heights, heights[1:], strict=False):
        if fa is None or fb is None or fa * fb > 0 or (fa == 0 and fb == 0):
            continue
        with mpmath.workdps(40):
            try:
                root = mpmath.findroot(
                    function, (mpmath.mpf(a), mpmath.mpf(b)), solver="anderson", tol=1e-60, maxsteps=200
                )
            except (ValueError, ZeroDivisionError):
                continue
            if root == 0 and function(root) != 0:  # below the tolerance: 0 would be taken for a solution
                root = -function(root) / mpmath.diff(function, root)
            if abs(function(root)) < mpmath.mpf(10) ** -25 and a - 1e-9 <= root <= b + 1e-9:  # and no jump
                found.append(sp.Float(root, 30))
    return found

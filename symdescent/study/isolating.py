"""All roots of a function on the line, isolated by interval arithmetic: none is missed, or nothing is claimed.

Outside a bound the polynomial part outweighs the rest. Inside, an interval on which the function's range excludes 0
holds no root; one on which the derivative's range excludes 0 holds at most one.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from symdescent.loss import Loss
from symdescent.study.enclosure import enclosure

STEPS = 20_000
NARROW = 1e-5


def isolated_roots(function: Any, unknown: Any) -> list[Any] | None:
    """Every real root to 30 digits, or None where not all can be isolated.

    >>> x = sp.Symbol("x", real=True)
    >>> [round(float(root), 6) for root in isolated_roots(2*x + 10*sp.cos(x), x)]
    [-1.30644, 1.977383, 3.837467]
    """
    import mpmath

    ranges = {**_INTERVALS(mpmath.iv), "pi": mpmath.iv.pi, "E": mpmath.iv.e}
    bound = _bound(function, unknown, ranges)
    if bound is None:
        return None
    over = sp.lambdify(unknown, function, [ranges, mpmath.iv])
    steep = sp.lambdify(unknown, Loss(function, unknown).gradient[unknown], [ranges, mpmath.iv])
    pending = [(-bound * 1.0123, bound * 1.0071)]
    found: list[Any] = []
    for _ in range(STEPS):
        if not pending:
            return [_refined(function, unknown, a, b) for a, b in sorted(found)]
        a, b = pending.pop()
        piece = mpmath.iv.mpf([a, b])
        try:
            if 0 not in over(piece):
                continue
            monotone = 0 not in steep(piece)
            if monotone:
                left, right = over(mpmath.iv.mpf(a)), over(mpmath.iv.mpf(b))
        except (TypeError, NameError, ValueError, ZeroDivisionError, NotImplementedError, AttributeError):
            return None
        if monotone and 0 not in left and 0 not in right:
            if (left > 0) != (right > 0):
                found.append((a, b))
            continue
        if b - a < NARROW:
            return None  # a root of higher order, perhaps
        middle = a + (b - a) * 0.4873
        pending += [(a, middle), (middle, b)]
    return None


def _INTERVALS(iv: Any) -> dict[str, Any]:
    """Functions on intervals that mpmath lacks."""
    return {
        "tanh": lambda x: 1 - 2 / (iv.exp(2 * x) + 1),
        "sinh": lambda x: (iv.exp(x) - iv.exp(-x)) / 2,
        "cosh": lambda x: (iv.exp(x) + iv.exp(-x)) / 2,
    }


def _bound(function: Any, unknown: Any, ranges: dict[str, Any]) -> float | None:
    """A number that no root exceeds in size: beyond it, the highest power outweighs all other terms."""
    import mpmath

    if function.free_symbols != {unknown}:
        return None
    terms = sp.Add.make_args(sp.expand(function))
    degrees = [sp.degree(term, unknown) for term in terms if term.is_polynomial(unknown)]
    inverse = sp.Dummy("t", real=True)  # the reciprocal: quotients of powers are quotients of powers of it
    divided = []
    for term in terms:
        factors = sp.Mul.make_args(term)
        rational = sp.Mul(*(factor for factor in factors if factor.is_rational_function(unknown)))
        rest = sp.Mul(*(factor for factor in factors if not factor.is_rational_function(unknown)))
        divided.append(rest * sp.cancel(rational.subs(unknown, 1 / inverse) * inverse ** max([0, *degrees])))
    ratio = sp.lambdify((unknown, inverse), sp.Add(*divided), [ranges, mpmath.iv])
    for bound in (2.0, 5.0, 12.0, 40.0, 200.0):
        try:
            sides = (
                ratio(
                    *(
                        mpmath.iv.mpf(sorted((sign * low, sign * high)))
                        for low, high in ((bound, mpmath.inf), (0, 1 / bound))
                    )
                )
                for sign in (1, -1)
            )
            if all(0 not in side for side in sides):
                return bound
        except (TypeError, NameError, ValueError, ZeroDivisionError, NotImplementedError, AttributeError):
            return None
    low, high = enclosure(sp.Add(*(term for term in terms if not term.is_polynomial(unknown))))
    whole = sp.Add(*(term for term in terms if term.is_polynomial(unknown)))
    if unknown not in whole.free_symbols or not (low.is_finite and high.is_finite):
        return None
    roots = [root for shift in (low, high) for root in sp.Poly(whole + sp.nsimplify(shift), unknown).nroots(n=15)]
    return max((float(abs(root)) for root in roots), default=0.0) + 1.0


def _refined(function: Any, unknown: Any, a: float, b: float) -> Any:
    import mpmath

    with mpmath.workdps(40):
        plain = sp.lambdify(unknown, function, "mpmath")
        root = mpmath.findroot(plain, (mpmath.mpf(a), mpmath.mpf(b)), solver="anderson", tol=1e-60, maxsteps=500)
        return sp.Float(root, 30)

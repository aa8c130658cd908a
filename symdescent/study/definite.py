"""Signs of expressions, and definiteness of symmetric matrices, as far as they can be proved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sympy as sp

from symdescent.study.limits import within

LAMBDA = sp.Symbol("lambda")
EXACT_OPERATIONS = 24  # longer eigenvalues are shown as decimals


def sign_of(value: Any) -> int | None:
    """1, -1 or 0 for an expression that surely is positive, negative or zero, else None.

    >>> a, b = sp.symbols("a b", real=True)
    >>> sign_of(a**2 - 2*a*b + b**2 + 1), sign_of(sp.sqrt(2) - 2), sign_of(a)
    (1, -1, None)
    """
    value = sp.sympify(value)
    if value in (sp.oo, -sp.oo):
        return 1 if value is sp.oo else -1
    if value.is_number:
        close = sp.N(value, 30, maxn=300)
        if not close.is_Float and not close.is_Integer:
            return None
        if abs(close) < sp.Float("1e-22"):
            return 0
        return 1 if close > 0 else -1
    seen = _sampled(value)
    if min(seen, default=0) < 0 < max(seen, default=0):
        return None
    for form in _forms(value):
        if form.is_positive:
            return 1
        if form.is_negative:
            return -1
        if form.is_zero:
            return 0
    return None


def _sampled(value: Any) -> list[float]:
    """The values at some points, where they are numbers: a sign that they refute need not be proved."""
    free = sorted(value.free_symbols, key=str)
    found = []
    for attempt in range(6):
        choice = {}
        for place, symbol in enumerate(free):
            number = sp.Rational((7 * attempt + 3 * place) % 11 + 1, 4) * (-1 if (attempt + place) % 3 == 1 else 1)
            number = sp.Integer(attempt + place + 1) if symbol.is_integer else number
            choice[symbol] = abs(number) if symbol.is_nonnegative else -abs(number) if symbol.is_nonpositive else number
        try:
            found.append(float(sp.N(value.xreplace(choice), 15)))
        except (TypeError, ValueError, ZeroDivisionError):
            continue
    return [number for number in found if number == number]


def is_nonnegative(value: Any) -> bool:
    """Whether an expression in real symbols is surely never negative.

    >>> x, y = sp.symbols("x y", real=True)
    >>> is_nonnegative(12*x**2 - 4*x*y + y**2), is_nonnegative(x**2 - 1)
    (True, False)
    """
    value = sp.sympify(value)
    if value.is_number:
        return (sign_of(value) or 0) >= 0 and sign_of(value) is not None
    seen = _sampled(value)
    if any(number < -1e-9 * (1 + max(map(abs, seen))) for number in seen):
        return False
    if any(form.is_nonnegative for form in _forms(value)):
        return True
    free = sorted(value.free_symbols, key=str)
    if not value.is_polynomial(*free):
        return False
    polynomial = sp.Poly(value, *free)
    if any(not c.is_Rational for c in polynomial.coeffs()):
        return False
    if len(free) == 1:
        return polynomial.LC() > 0 and polynomial.degree() % 2 == 0 and _touches_only(polynomial)
    if polynomial.total_degree() == 2:
        return definiteness(_homogenised(polynomial)).verdict in ("positive", "semipositive", "zero")
    return False


def _forms(value: Any) -> Any:
    """The expression as it is, and rewritten in ways that may show its sign."""
    yield value
    if value.count_ops() > 300:
        return
    for rewrite in (sp.factor, sp.simplify, sp.expand, _squares):
        form = within(1.0, rewrite, value)
        if form is not None and form != value:
            yield form


def _squares(value: Any) -> Any:
    """Squares completed in a polynomial of second degree in one of its symbols."""
    for symbol in sorted(value.free_symbols, key=str):
        if value.is_polynomial(symbol) and sp.degree(value, symbol) == 2:
            a, b, c = sp.Poly(value, symbol).all_coeffs()
            if a.is_positive:
                return a * (symbol + b / (2 * a)) ** 2 + sp.simplify(c - b**2 / (4 * a))
    return value


def _touches_only(polynomial: sp.Poly) -> bool:
    """Whether all real roots are of even order."""
    return all(
        order % 2 == 0 or factor.count_roots() == 0 for factor, order in polynomial.sqf_list()[1] if factor.degree() > 0
    )


def _homogenised(polynomial: sp.Poly) -> sp.Matrix:
    """The matrix M with p(x) = (x, 1) M (x, 1) of a polynomial of second degree."""
    gens = polynomial.gens
    size = len(gens) + 1
    matrix = sp.zeros(size, size)
    for monomial, coefficient in polynomial.terms():
        places = [place for place, power in enumerate(monomial) for _ in range(power)]
        row, column = [*places, size - 1, size - 1][:2]
        matrix[row, column] += coefficient / 2
        matrix[column, row] += coefficient / 2
    return matrix


@dataclass(frozen=True, slots=True)
class Definiteness:
    """What is known of a symmetric matrix.

    `verdict` is "positive", "negative", "indefinite", "semipositive", "seminegative", "zero", or "unknown"; `minors`
    are the leading principal minors, `eigenvalues` are exact where they are short.
    """

    verdict: str
    minors: tuple[sp.Expr, ...]
    eigenvalues: tuple[sp.Expr, ...]


def definiteness(matrix: Any) -> Definiteness:
    """Decide the definiteness of a symmetric matrix of exact or symbolic entries.

    >>> definiteness(sp.Matrix([[2, 1], [1, 2]]))
    Definiteness(verdict='positive', minors=(2, 3), eigenvalues=(1, 3))
    """
    size = matrix.rows
    if any(entry.has(sp.CRootOf) or entry.has(sp.Float) for entry in matrix) and not matrix.free_symbols:
        return _numerical(matrix.evalf(30))
    matrix = matrix.applyfunc(_plain)
    minors = tuple(_plain(matrix[:k, :k].det()) for k in range(1, size + 1)) if size <= 6 else ()
    eigenvalues = _eigenvalues(matrix)
    signs = [sign_of(value) for value in eigenvalues] if eigenvalues else [None]
    if None not in signs:
        return Definiteness(_verdict([sign or 0 for sign in signs]), minors, eigenvalues)
    return Definiteness(_by_minors(matrix, minors), minors, eigenvalues)


def _plain(value: Any) -> Any:
    short = within(1.0, sp.simplify, value) if value.count_ops() < 300 else None
    return value if short is None else short


def _verdict(signs: Sequence[int]) -> str:
    up, down, level = 1 in signs, -1 in signs, 0 in signs
    if up and down:
        return "indefinite"
    if up:
        return "semipositive" if level else "positive"
    if down:
        return "seminegative" if level else "negative"
    return "zero"


def _by_minors(matrix: Any, minors: Sequence[Any]) -> str:
    """Sylvester's criterion; for semidefinite matrices, all principal minors."""
    size = matrix.rows
    signs = [sign_of(minor) for minor in minors]
    if minors and all(sign == 1 for sign in signs):
        return "positive"
    if minors and all(sign == (1 if k % 2 else -1) for k, sign in enumerate(signs)):
        return "negative"
    diagonal = {sign_of(matrix[k, k]) for k in range(size)}
    crossed = any(sign_of(matrix.extract(list(p), list(p)).det()) == -1 for p in combinations(range(size), 2))
    if crossed or {1, -1} <= diagonal:
        return "indefinite"
    if size <= 4:
        chosen = [list(p) for k in range(1, size + 1) for p in combinations(range(size), k)]
        principal = [(len(p), matrix.extract(p, p).det()) for p in chosen]
        if all(is_nonnegative(minor) for _, minor in principal):
            return "semipositive"
        if all(is_nonnegative((-1) ** k * minor) for k, minor in principal):
            return "seminegative"
    return "unknown"


def _eigenvalues(matrix: Any) -> tuple[Any, ...]:
    """The eigenvalues in increasing order: exact where they are short, decimal where they are long, () if unknown."""
    size = matrix.rows
    if size == 1:
        return (matrix[0, 0],)
    values = None
    if all(entry.is_Rational for entry in matrix):
        factors = matrix.charpoly().as_expr(LAMBDA).as_poly(LAMBDA).factor_list()[1]
        if all(factor.degree() <= 2 for factor, _ in factors):
            values = [root for factor, order in factors for root in sp.roots(factor, multiple=True) * order]
    elif size <= 3 or matrix.is_diagonal():
        found = within(2.0, matrix.eigenvals)
        values = [_plain(value) for value, count in (found or {}).items() for _ in range(count)]
    if values and len(values) == size:
        short = all(v.count_ops() <= EXACT_OPERATIONS and not v.has(sp.I, sp.CRootOf) for v in values)
        if short:
            return tuple(sorted(values, key=_place))
    if matrix.free_symbols or size > 40:
        return ()
    return _numerical(matrix.evalf(30)).eigenvalues


def _place(value: Any) -> tuple[int, float, str]:
    return (0, float(value), "") if value.is_number else (1, 0.0, str(value))


def _numerical(matrix: Any) -> Definiteness:
    """Definiteness by eigenvalues to 30 digits."""
    import mpmath

    with mpmath.workdps(30):
        entries = mpmath.matrix([[mpmath.mpf(str(entry)) for entry in matrix.row(k)] for k in range(matrix.rows)])
        values = sorted(mpmath.eigsy(entries, eigvals_only=True))
        size = max((abs(value) for value in values), default=mpmath.mpf(0))
        signs = [0 if abs(value) <= size * mpmath.mpf(10) ** -20 else int(mpmath.sign(value)) for value in values]
        minors = tuple(sp.Float(str(mpmath.det(entries[:k, :k])), 30) for k in range(1, matrix.rows + 1))
        numbers = tuple(
            sp.S.Zero if sign == 0 else sp.Float(str(value), 30) for sign, value in zip(signs, values, strict=True)
        )
    return Definiteness(_verdict(signs), minors, numbers)

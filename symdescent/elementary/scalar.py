"""Scalar numerics that the standard library lacks: the helpers that generated code carries with it.

Each function is plain Python that Numba compiles as it stands (it is written without value-changing compiler
flags); the source text itself is copied into generated modules, so a helper may call only `math` and other helpers.
"""

import math


def sign(x):  # type: ignore[no-untyped-def]
    """-1, 0 or 1; NaN stays NaN."""
    if x > 0.0:
        return 1.0
    if x < 0.0:
        return -1.0
    return 0.0 * x


def heaviside(x, at_zero):  # type: ignore[no-untyped-def]
    """0 below zero, 1 above, `at_zero` at zero."""
    if x > 0.0:
        return 1.0
    if x < 0.0:
        return 0.0
    return at_zero + 0.0 * x


def modulo(x, y):  # type: ignore[no-untyped-def]
    """The remainder with the sign of the divisor, as SymPy's Mod."""
    return x - y * math.floor(x / y)


def sigmoid(x):  # type: ignore[no-untyped-def]
    """1/(1 + exp(-x)), without overflow."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


def softplus(x):  # type: ignore[no-untyped-def]
    """log(1 + exp(x)), without overflow."""
    return (x if x > 0.0 else 0.0) + math.log1p(math.exp(-abs(x)))


def relu(x):  # type: ignore[no-untyped-def]
    """max(0, x); NaN stays NaN."""
    return 0.0 if x < 0.0 else x


def xlogx(x):  # type: ignore[no-untyped-def]
    """x log(x), which is 0 at 0."""
    return 0.0 if x == 0.0 else x * math.log(x)


def exp_difference(a, b):  # type: ignore[no-untyped-def]
    """exp(a - b), with the rounding error of the subtraction corrected."""
    d = a - b
    if not -745.2 < d < 709.0:
        return math.exp(d)
    t = d - a
    error = (a - (d - t)) - (b + t)
    return math.exp(d) * (1.0 + error)


def difference(a, b):  # type: ignore[no-untyped-def]
    """a - b, which no compiler flag may merge with other sums."""
    return a - b


def complement(x):  # type: ignore[no-untyped-def]
    """1 - x, in a form that compilers do not fuse with a factor: as ``s - x s``, (1 - x) s would lose its digits."""
    return (0.5 - x) + 0.5


def centred(a, whole, log_share, share):  # type: ignore[no-untyped-def]
    """a - whole * share, exact also where the share is almost 1 (`log_share` is its logarithm)."""
    if a == 0.0:
        return -whole * share
    return -(a * math.expm1(log_share) + share * (whole - a))


def maximum(a, b):  # type: ignore[no-untyped-def]
    """The larger of two numbers; NaN stays NaN."""
    return a if a >= b or a != a else b


def minimum(a, b):  # type: ignore[no-untyped-def]
    """The smaller of two numbers; NaN stays NaN."""
    return a if a <= b or a != a else b


def polygamma(n, x):  # type: ignore[no-untyped-def]
    """The n-th derivative of the digamma function, for real x that is no pole (recurrence, then asymptotic series)."""
    if x <= 0.0 and x == math.floor(x):
        return math.nan
    n = int(n)
    factorial = 1.0
    for k in range(2, n + 1):
        factorial *= k
    sign = -1.0 if n % 2 == 0 else 1.0
    total = 0.0
    while x < 15.0 + n:
        total += x ** -(n + 1.0)
        x += 1.0
    if n == 0:
        total = -total + math.log(x) - 0.5 / x
        term = 1.0
    else:
        total = sign * (factorial * total + factorial / n * x**-n + 0.5 * factorial * x ** -(n + 1.0))
        term = factorial * (n + 1.0) / 2.0 * x**-n
    square = x * x
    bernoulli = (
        1.0 / 6.0,
        -1.0 / 30.0,
        1.0 / 42.0,
        -1.0 / 30.0,
        5.0 / 66.0,
        -691.0 / 2730.0,
        7.0 / 6.0,
        -3617.0 / 510.0,
    )
    for k in range(1, 9):
        if n == 0:
            term /= square
            total -= bernoulli[k - 1] / (2.0 * k) * term
        else:
            term = (
                term / square
                if k == 1
                else term * (2.0 * k + n - 2.0) * (2.0 * k + n - 1.0) / ((2.0 * k - 1.0) * (2.0 * k) * square)
            )
            total += sign * bernoulli[k - 1] * term
    return total

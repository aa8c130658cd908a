# ruff: noqa
# fmt: off
"""Value and gradient of a loss.

Loss: Sum(log(1 + exp(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i])), (i, 0, n - 1))/n
"""


import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})


@exact
def sigmoid(x):
    """1/(1 + exp(-x)), without overflow."""
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


@exact
def softplus(x):
    """log(1 + exp(x)), without overflow."""
    return (x if x > 0.0 else 0.0) + math.log1p(math.exp(-abs(x)))


@fast
def value(w, b, X, y, d, n):
    """The loss."""
    # s1 = Sum(softplus(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i]), (i, 0, n - 1))
    s1 = 0.0
    for i in range(n):
        # s2 = Sum(X[i, j]*w[j], (j, 0, d - 1))
        s2 = 0.0
        for j in range(d):
            s2 += w[j] * float(X[i, j])
        s1 += softplus(-(b + s2) * float(y[i]))
    return s1 / float(n)


@fast
def value_and_gradient(w, b, X, y, d, n, g_w):
    """The loss and its gradient, in one pass."""
    g_w[:] = 0.0
    g_b = 0.0
    t1 = 1.0 / float(n)
    # s1 = Sum(softplus(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i]), (i, 0, n - 1))
    s1 = 0.0
    for i in range(n):
        # s2 = Sum(X[i, j]*w[j], (j, 0, d - 1))
        s2 = 0.0
        for j in range(d):
            s2 += w[j] * float(X[i, j])
        t2 = (b + s2) * float(y[i])
        s1 += softplus(-t2)
        t3 = t1 * float(y[i]) * sigmoid(-t2)
        g_b -= t3
        for j in range(d):
            g_w[j] -= t3 * float(X[i, j])
    return t1 * s1, g_b

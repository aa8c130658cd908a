# ruff: noqa
# fmt: off
"""Value and gradient of a loss.

Loss: Sum(log(Sum(exp(Sum(W[k, j]*X[i, j], (j, 0, d - 1))), (k, 0, K - 1))) - Sum(W[c[i], j]*X[i, j], (j, 0, d - 1)), (i, 0, n - 1))/n
"""


import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})


@exact
def centred(a, whole, log_share, share):
    """a - whole * share, exact also where the share is almost 1 (`log_share` is its logarithm)."""
    if a == 0.0:
        return -whole * share
    return -(a * math.expm1(log_share) + share * (whole - a))


@exact
def difference(a, b):
    """a - b, which no compiler flag may merge with other sums."""
    return a - b


@exact
def exp_difference(a, b):
    """exp(a - b), with the rounding error of the subtraction corrected."""
    d = a - b
    if not -745.2 < d < 709.0:
        return math.exp(d)
    t = d - a
    error = (a - (d - t)) - (b + t)
    return math.exp(d) * (1.0 + error)


@exact
def maximum(a, b):
    """The larger of two numbers; NaN stays NaN."""
    return a if a >= b or a != a else b


@fast
def value(W, X, c, K, d, n):
    """The loss."""
    s2_all = np.empty(K)
    s1 = 0.0
    for i in range(n):
        row1 = c[i]
        m1 = -math.inf
        for k in range(K):
            # s2 = Sum(W[k, j]*X[i, j], (j, 0, d - 1))
            s2 = 0.0
            for j in range(d):
                s2 += W[k, j] * float(X[i, j])
            s2_all[k] = s2
            m1 = maximum(m1, s2)
        # s3 = Sum(W[c[i], j]*X[i, j], (j, 0, d - 1))
        s3 = 0.0
        for j in range(d):
            s3 += W[row1, j] * float(X[i, j])
        s4 = 0.0
        s5 = 0.0
        for k in range(K):
            s4 += 1.0 if not s2_all[k] < m1 else 0.0
            s5 += exp_difference(s2_all[k], m1) if s2_all[k] < m1 else 0.0
        t1 = difference(difference(s3, m1), math.log1p(difference(s5, difference(1.0, s4))))
        s1 += t1
    t2 = s1 / float(n)
    return -t2


@fast
def value_and_gradient(W, X, c, K, d, n, g_W):
    """The loss and its gradient, in one pass."""
    s2_all = np.empty(K)
    t2_all = np.empty(K)
    t3_all = np.empty(K)
    g_W[:] = 0.0
    t1 = 1.0 / float(n)
    s1 = 0.0
    for i in range(n):
        row1 = c[i]
        m1 = -math.inf
        for k in range(K):
            # s2 = Sum(W[k, j]*X[i, j], (j, 0, d - 1))
            s2 = 0.0
            for j in range(d):
                s2 += W[k, j] * float(X[i, j])
            s2_all[k] = s2
            m1 = maximum(m1, s2)
        # s3 = Sum(W[c[i], j]*X[i, j], (j, 0, d - 1))
        s3 = 0.0
        for j in range(d):
            s3 += W[row1, j] * float(X[i, j])
        s4 = 0.0
        s5 = 0.0
        for k in range(K):
            s4 += 1.0 if not s2_all[k] < m1 else 0.0
            t2 = exp_difference(s2_all[k], m1)
            t2_all[k] = t2
            s5 += t2 if s2_all[k] < m1 else 0.0
            t3 = difference(s2_all[k], m1)
            t3_all[k] = t3
        t4 = difference(s5, difference(1.0, s4))
        t5 = math.log1p(t4)
        s1 += difference(difference(s3, m1), t5)
        t6 = 1.0 / (1.0 + t4)
        for k in range(K):
            t7 = centred(1.0 if k == row1 else 0.0, 1.0, difference(t3_all[k], t5), t6 * t2_all[k])
            t8 = t1 * t7
            for j in range(d):
                g_W[k, j] -= t8 * float(X[i, j])
    t9 = t1 * s1
    return -t9

# ruff: noqa
# fmt: off
"""Value and gradient of a loss.

Loss: Sum((1 - x[i])**2 + 100*(x[i + 1] - x[i]**2)**2, (i, 0, n - 2))
"""


import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})


@fast
def value(x, n):
    """The loss."""
    # s1 = Sum((1 - x[i])**2 + 100*(x[i + 1] - x[i]**2)**2, (i, 0, n - 2))
    s1 = 0.0
    for i in range(n - 1):
        s1 += (1.0 - x[i])**2 + 100.0 * (x[i + 1] - x[i]**2)**2
    return s1


@fast
def value_and_gradient(x, n, g_x):
    """The loss and its gradient, in one pass."""
    g_x[:] = 0.0
    # s1 = Sum((1 - x[i])**2 + 100*(x[i + 1] - x[i]**2)**2, (i, 0, n - 2))
    s1 = 0.0
    for i in range(n - 1):
        t1 = 1.0 - x[i]
        t2 = x[i + 1] - x[i]**2
        s1 += t1**2 + 100.0 * t2**2
        g_x[i + 1] += 200.0 * t2
        g_x[i] += -400.0 * x[i] * t2 - 2.0 * t1
    return s1

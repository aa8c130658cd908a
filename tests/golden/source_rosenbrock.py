# ruff: noqa
# fmt: off
"""Value and gradient of a loss.

Loss: (1 - x)**2 + 100*(-x**2 + y)**2
"""


import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})


@fast
def value(x, y):
    """The loss."""
    return (1.0 - x)**2 + 100.0 * (y - x**2)**2


@fast
def value_and_gradient(x, y):
    """The loss and its gradient, in one pass."""
    t1 = 1.0 - x
    t2 = y - x**2
    g_y = 200.0 * t2
    g_x = -400.0 * x * t2 - 2.0 * t1
    return t1**2 + 100.0 * t2**2, g_x, g_y

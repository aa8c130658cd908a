# ruff: noqa
# fmt: off
"""Descent of a loss by momentum.

Loss: (1 - x)**2 + 100*(-x**2 + y)**2
"""


import math

import numpy as np
from numba import njit

# `exact` keeps every rounding, also within `fast` functions (which would pass their flags on to what they call);
# `fast` may reorder sums and fuse products, but NaN and infinity keep their meaning.
exact = njit(cache=True, error_model="numpy", nogil=True, fastmath=False)
fast = njit(cache=True, error_model="numpy", nogil=True, fastmath={"contract", "reassoc", "nsz"})


@exact
def difference(a, b):
    """a - b, which no compiler flag may merge with other sums."""
    return a - b


@exact
def maximum(a, b):
    """The larger of two numbers; NaN stays NaN."""
    return a if a >= b or a != a else b


@fast
def descend(learning_rate, momentum, steps, gtol, xtol, ftol, limit, measured, counters, history, trajectory):
    """Descend for a number of steps; what is reached is left in the arrays."""
    x = measured[6]
    y = measured[7]
    x_v = measured[8]
    y_v = measured[9]
    previous = measured[0]
    loss = norm = change = math.inf
    due = counters[3]
    row = counters[2]
    status = 0
    step = 0
    while step < steps and row < history.shape[0]:
        t1 = 1.0 - x
        t2 = y - x**2
        g_y = 200.0 * t2
        g_x = -400.0 * x * t2 - 2.0 * t1
        loss = t1**2 + 100.0 * t2**2
        due -= 1
        if gtol >= 0.0 or due == 0:
            norm = maximum(abs(g_x), abs(g_y))
        if due == 0:
            due = counters[4]
            history[row, 0] = counters[1] + step
            history[row, 1] = loss
            history[row, 2] = norm
            history[row, 3] = learning_rate
            if trajectory.shape[0] > 0:
                trajectory[row, 0] = x
                trajectory[row, 1] = y
            row += 1
        if not abs(loss) <= limit:
            status = 5 if abs(loss) < math.inf else 4
            break
        whole = g_x + g_y
        if not abs(whole) < math.inf:
            status = 4
            break
        if norm <= gtol:
            status = 1
            break
        if abs(previous - loss) <= ftol:
            status = 3
            break
        previous = loss
        step += 1
        x_before = x
        x_v = g_x + x_v * momentum
        x = x - x_v * learning_rate
        y_before = y
        y_v = g_y + y_v * momentum
        y = y - y_v * learning_rate
        if xtol >= 0.0:
            change = maximum(abs(difference(x, x_before)), abs(difference(y, y_before)))
        if change <= xtol:
            status = 2
            break
    measured[6] = x
    measured[7] = y
    measured[8] = x_v
    measured[9] = y_v
    measured[0] = previous
    measured[1] = loss
    measured[2] = norm
    measured[3] = change
    counters[3] = due
    counters[2] = row
    counters[1] += step
    counters[0] = status

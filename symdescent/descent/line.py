r"""Looking along a direction for the size of a step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdescent.descent.objective import Objective
from symdescent.optimizers import Backtracking, ExactLineSearch, LineSearch


def search(line: LineSearch, objective: Objective, x: Any, direction: Any, value: float, gradient: Any) -> float | None:
    """The step along a direction, or None where none lowers the loss."""
    slope = float(gradient @ direction)
    if not slope < 0:
        return None
    if isinstance(line, ExactLineSearch):
        return _exact(line, objective, x, direction, slope)
    assert isinstance(line, Backtracking)
    step = line.initial
    while step * float(np.max(np.abs(direction))) > 1e-16 * (1.0 + float(np.max(np.abs(x)))):
        reached = objective.value(x + step * direction)
        if reached <= value + line.c * step * slope:
            return step
        step *= line.shrink
    return None


def _exact(line: ExactLineSearch, objective: Objective, x: Any, direction: Any, slope: float) -> float | None:
    """The step to the (first) minimum along the ray."""
    if objective.is_quadratic:
        bend = float(direction @ objective.hessian_times(x, direction))
        if bend > 0:
            return -slope / bend
    return _first_zero(line, objective, x, direction, slope)


def _first_zero(line: ExactLineSearch, objective: Objective, x: Any, direction: Any, slope: float) -> float | None:
    """Where the slope along the ray changes its sign: steps are doubled past it, and then it is closed in on.

    The Illinois variant of regula falsi, with a bisection where that is slow.
    """

    def slope_at(step: float) -> float:
        value, gradient = objective.value_and_gradient(x + step * direction)
        return float(gradient @ direction) if math.isfinite(value) else math.nan

    low, low_slope = 0.0, slope
    high = 0.01 * max(1.0, float(np.max(np.abs(x)))) / float(np.max(np.abs(direction)))
    for _ in range(200):
        high_slope = slope_at(high)
        if math.isnan(high_slope):  # outside the domain: the minimum, if there is one, lies nearer
            high = (low + high) / 2
            if high - low <= 1e-16 * high:
                return low or None
        elif high_slope < 0:
            low, low_slope, high = high, high_slope, 2 * high if high < 1e100 else high
            if high >= 1e100:
                return high
        else:
            break
    side = 0
    for turn in range(200):
        if high - low <= line.tolerance * high or high_slope == 0:
            break
        middle = (low + high) / 2 if turn % 4 == 3 else low - low_slope * (high - low) / (high_slope - low_slope)
        if not low < middle < high:
            middle = (low + high) / 2
        found = slope_at(middle)
        if math.isnan(found) or found > 0:
            high, high_slope = middle, found if not math.isnan(found) else abs(low_slope)
            low_slope *= 0.5 if side == 1 else 1.0
            side = 1
        elif found < 0:
            low, low_slope = middle, found
            high_slope *= 0.5 if side == -1 else 1.0
            side = -1
        else:
            return middle
    return high if abs(high_slope) <= abs(low_slope) or low == 0.0 else low

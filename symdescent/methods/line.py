"""Looking along a direction for the size of a step; 0 stands for none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdescent.methods.kinds import Vector


def backtracking(
    loss: Any,
    algebra: Any,
    x: Vector,
    direction: Vector,
    n: int,
    value: float,
    slope: float,
    initial: float,
    shrink: float,
    c: float,
) -> float:
    """The first of the shrinking steps that lowers the loss enough: Armijo's condition."""
    tried = np.empty(n)
    size = algebra.largest(x, n)
    reach = algebra.largest(direction, n)
    step = initial
    found = 0.0
    while found == 0.0 and step * reach > 1e-16 * (1.0 + size):
        tried[:] = x + step * direction
        reached = loss.value(tried)
        if reached <= value + c * step * slope:
            found = step
        step *= shrink
    return found


def quadratic_step(loss: Any, algebra: Any, x: Vector, direction: Vector, n: int, slope: float) -> float:
    """The step to the minimum of a quadratic loss: the slope over the curvature along the direction."""
    product = np.empty(n)
    loss.curvature(x, direction, product)
    bend = algebra.dot(direction, product, n)
    return -slope / bend if bend > 0.0 else 0.0


def slope_along(
    loss: Any, algebra: Any, x: Vector, direction: Vector, n: int, step: float, tried: Vector, gradient: Vector
) -> float:
    """The slope of the loss along a direction, at the end of a step; NaN where the loss is not finite."""
    tried[:] = x + step * direction
    value = loss.gradient(tried, gradient)
    slope = algebra.dot(gradient, direction, n)
    return slope if abs(value) < math.inf else math.nan


def first_minimum(
    loss: Any, algebra: Any, x: Vector, direction: Vector, n: int, slope: float, tolerance: float
) -> float:
    """The step to the first minimum along a direction, where the slope changes its sign.

    Steps are doubled past it, and then it is closed in on: the Illinois variant of regula falsi, with a bisection where
    that is slow. Where the loss is undefined, the minimum lies nearer.
    """
    tried = np.empty(n)
    gradient = np.empty(n)
    size = algebra.largest(x, n)
    reach = algebra.largest(direction, n)
    low = 0.0
    low_slope = slope
    high = 0.01 * max(1.0, size) / reach
    high_slope = math.nan
    open_end = 1
    turn = 0
    while open_end == 1 and turn < 200:
        turn += 1
        high_slope = slope_along(loss, algebra, x, direction, n, high, tried, gradient)
        if high_slope != high_slope:
            high = (low + high) / 2.0
            if high - low <= 1e-16 * high:
                open_end = 2
        elif high_slope < 0.0:
            low = high
            low_slope = high_slope
            high = 2.0 * high
            if high >= 1e100:
                open_end = 2
        else:
            open_end = 0
    side = 0
    turn = 0
    while open_end != 2 and turn < 200 and high - low > tolerance * high and high_slope != 0.0:
        middle = (low + high) / 2.0
        if turn % 4 != 3:
            middle = low - low_slope * (high - low) / (high_slope - low_slope)
        if not (low < middle and middle < high):
            middle = (low + high) / 2.0
        found = slope_along(loss, algebra, x, direction, n, middle, tried, gradient)
        if found == 0.0:
            low = middle
            high = middle
        elif found < 0.0:
            low = middle
            low_slope = found
            high_slope *= 0.5 if side == -1 else 1.0
            side = -1
        else:
            high = middle
            high_slope = abs(low_slope) if found != found else found
            low_slope *= 0.5 if side == 1 else 1.0
            side = 1
        turn += 1
    step = high if abs(high_slope) <= abs(low_slope) or low == 0.0 else low
    if open_end == 2:  # nothing was closed in: the last step inside of the domain, or one without end
        step = low if high < 1e100 else high
    return step

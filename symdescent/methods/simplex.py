"""The simplex method of Nelder and Mead: n + 1 points, best first, and their losses."""

from __future__ import annotations

import math
from typing import Any

from symdescent.methods.kinds import Losses, Points, Vector


def ranked(value: float) -> float:
    """Where the loss is undefined, no point is worse."""
    return math.inf if value != value else value


def put(points: Points, losses: Losses, k: int, point: Vector, value: float, n: int) -> None:
    """Make a point the one at place k."""
    for j in range(n):
        points[k, j] = point[j]
    losses[k] = value


def order(points: Points, losses: Losses, n: int, kept: Vector) -> None:
    """Put the points in the order of their losses; equal ones stay as they were."""
    for k in range(1, n + 1):
        value = losses[k]
        for j in range(n):
            kept[j] = points[k, j]
        place = k
        while place > 0 and losses[place - 1] > value:
            losses[place] = losses[place - 1]
            for j in range(n):
                points[place, j] = points[place - 1, j]
            place -= 1
        put(points, losses, place, kept, value, n)


def first_simplex(x: Vector, points: Points, n: int) -> None:
    """The start, and a point for each coordinate that is 5 % larger there, or 0.00025 where it is 0."""
    for k in range(n + 1):
        for j in range(n):
            points[k, j] = x[j]
    for j in range(n):
        points[j + 1, j] = 1.05 * x[j] if x[j] != 0.0 else 0.00025


def begin(loss: Any, points: Points, losses: Losses, n: int, tried: Vector) -> None:
    """The losses of the first simplex, and its order."""
    for k in range(n + 1):
        for j in range(n):
            tried[j] = points[k, j]
        value = loss.value(tried)
        losses[k] = ranked(value)
    order(points, losses, n, tried)


def width(points: Points, n: int) -> float:
    """How far the points lie from the best, in the widest coordinate."""
    found = 0.0
    for k in range(1, n + 1):
        for j in range(n):
            found = max(found, abs(points[k, j] - points[0, j]))
    return found


def spread(losses: Losses, n: int) -> float:
    """How far the losses lie apart."""
    return abs(losses[n] - losses[0]) if losses[n] < math.inf else math.inf


def move(
    loss: Any,
    points: Points,
    losses: Losses,
    n: int,
    adaptive: int,
    centre: Vector,
    tried: Vector,
    other: Vector,
) -> int:
    """Reflect the worst point at the centre of the others, and expand, contract or shrink; how many losses it took.

    The factors are 1, 2, 1/2 and 1/2; adaptive (1) to the number of parameters 1, 1 + 2/n, 3/4 - 1/(2n) and 1 - 1/n.
    """
    reflect = 1.0
    expand = 1.0 + 2.0 / n if adaptive == 1 else 2.0
    contract = 0.75 - 1.0 / (2 * n) if adaptive == 1 else 0.5
    shrink = 1.0 - 1.0 / n if adaptive == 1 else 0.5
    for j in range(n):
        total = 0.0
        for k in range(n):
            total += points[k, j]
        centre[j] = total / n
    for j in range(n):
        tried[j] = (1.0 + reflect) * centre[j] - reflect * points[n, j]
    value = loss.value(tried)
    value = ranked(value)
    evaluations = 1
    contracted = 1
    if value < losses[0]:
        for j in range(n):
            other[j] = (1.0 + reflect * expand) * centre[j] - reflect * expand * points[n, j]
        farther = loss.value(other)
        farther = ranked(farther)
        evaluations += 1
        if farther < value:
            put(points, losses, n, other, farther, n)
        else:
            put(points, losses, n, tried, value, n)
    elif value < losses[n - 1]:
        put(points, losses, n, tried, value, n)
    else:
        outside = 1 if value < losses[n] else 0
        for j in range(n):
            if outside == 1:
                other[j] = (1.0 + contract * reflect) * centre[j] - contract * reflect * points[n, j]
            else:
                other[j] = (1.0 - contract) * centre[j] + contract * points[n, j]
        nearer = loss.value(other)
        nearer = ranked(nearer)
        evaluations += 1
        if (outside == 1 and nearer > value) or (outside == 0 and nearer >= losses[n]):
            contracted = 0
        else:
            put(points, losses, n, other, nearer, n)
    if contracted == 0:
        for k in range(1, n + 1):
            for j in range(n):
                points[k, j] = points[0, j] + shrink * (points[k, j] - points[0, j])
                tried[j] = points[k, j]
            value = loss.value(tried)
            losses[k] = ranked(value)
        evaluations += n
    order(points, losses, n, tried)
    return evaluations

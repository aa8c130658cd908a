"""Random points nearby, from a generator that is the same in every language.

L'Ecuyer's MRG32k3a: two recursions of order three on whole numbers that doubles hold exactly; its period is near 2^191.
Source: L'Ecuyer, *Good parameters and implementations for combined multiple recursive random number generators*, 1999.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from symdescent.methods.kinds import Stream, Vector


def stream(seed: int) -> Stream:
    """The state of the generator that a seed stands for."""
    return np.random.SeedSequence(seed).generate_state(6, np.uint32).astype(np.float64) % 4294944442.0 + 1.0


def uniform(state: Stream) -> float:
    """A number between 0 and 1, both excluded; the state moves on."""
    first = 1403580.0 * state[1] - 810728.0 * state[0]
    first = first - math.floor(first / 4294967087.0) * 4294967087.0
    second = 527612.0 * state[5] - 1370589.0 * state[3]
    second = second - math.floor(second / 4294944443.0) * 4294944443.0
    state[0] = state[1]
    state[1] = state[2]
    state[2] = first
    state[3] = state[4]
    state[4] = state[5]
    state[5] = second
    difference: float = first - second
    if difference <= 0.0:
        difference = difference + 4294967087.0
    return difference * 2.328306549295727688e-10


def draw(state: Stream, x: Vector, n: int, radius: float, point: Vector) -> None:
    """A point of the ball around x, all equally likely: a direction of normal numbers (Box, Muller), and a length."""
    total = 0.0
    for k in range(n):
        distance = uniform(state)
        angle = uniform(state)
        point[k] = math.sqrt(-2.0 * math.log(distance)) * math.cos(2.0 * math.pi * angle)
        total += point[k] * point[k]
    share = uniform(state)
    length = radius * math.exp(math.log(share) / n) / math.sqrt(total)
    for k in range(n):
        point[k] = x[k] + length * point[k]


def best_nearby(
    loss: Any, state: Stream, x: Vector, n: int, radius: float, points: int, tried: Vector, best: Vector
) -> float:
    """The lowest loss at some random points of the ball around x, and its place; infinite where none is defined."""
    lowest = math.inf
    for _ in range(points):
        draw(state, x, n, radius, tried)
        value = loss.value(tried)
        if value < lowest:
            lowest = value
            best[:] = tried
    return lowest

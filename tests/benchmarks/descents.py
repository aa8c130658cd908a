"""Whole descents, timed by the step."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from measure import Contender, Row, compare
from peers import find
from setting import Setting, least_squares_loss

import symdescent as sd

# -- two variables ----------------------------------------------------------------------------------------------------

START, RATE = (-1.2, 1.0), 1e-6  # so small a rate that no stopping test is met


def two_variables(setting: Setting) -> list[Row]:
    """Gradient descent on Rosenbrock's function of two variables, with and without tests for stopping."""
    steps = setting.size(10**7, 10**5)
    p, q = sp.symbols("p q")
    loss = sd.Loss(100 * (q - p**2) ** 2 + (1 - p) ** 2, [p, q])

    def ours(steps: int, **options: Any) -> Any:
        start = dict(zip((p, q), START, strict=True))
        result = loss.descend(start, optimizer=sd.GradientDescent(RATE), steps=steps, **options)
        if result.nit != steps:
            raise SystemExit(f"the descent stopped after {result.nit} of {steps} steps: {result.message}")
        return result.x

    untested = [_walk("symdescent", partial(ours, gtol=0), steps)]
    tested = [_walk("symdescent", ours, steps)]
    if setting.c:
        for contenders, gtol in ((untested, -1.0), (tested, 1e-6)):
            contenders.append(_walk("C with the tests", partial(_c_tested, setting.c, gtol=gtol), steps))
            contenders.append(_walk("C without tests", partial(_c_bare, setting.c), steps, limit=True))
    if jax := find("jax"):
        untested.append(_walk("JAX fori_loop", _jax_loop(jax), steps))
    untested.append(_walk("Python", _python_loop, steps // 10))
    untested.append(_walk("NumPy", _numpy_loop, steps // 100))
    title = f"a step of gradient descent on the 2-D Rosenbrock function, of {steps:,}"
    target = "1.3 × C without tests"
    return [
        compare(f"{title}, gtol = 0", untested, rounds=setting.rounds, target=target),
        compare(f"{title}, gtol = 1e-6 (the default)", tested, rounds=setting.rounds, target=target),
    ]


def _walk(name: str, walk: Callable[[int], Any], steps: int, limit: bool = False) -> Contender:
    """A descent of so many steps; the contenders are compared after a thousand."""
    return Contender(name, lambda: walk(steps), answer=lambda result: walk(1000), steps=steps, limit=limit)


def _c_bare(c: Any, steps: int) -> Any:
    place = np.array(START)
    c.descend_bare(place, RATE, steps)
    return place


def _c_tested(c: Any, steps: int, gtol: float) -> Any:
    place = np.array(START)
    c.descend_tested(place, RATE, steps, gtol, -1.0, -1.0, 1e12)
    return place


def _jax_loop(jax: Any) -> Callable[[int], Any]:
    gradient = jax.grad(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)
    walk = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, lambda step, x: x - RATE * gradient(x), x))
    start = jax.numpy.array(START)
    return lambda steps: walk(start, steps).block_until_ready()


def _python_loop(steps: int) -> Any:
    x, y = START
    for _ in range(steps):
        one, t = 1 - x, y - x * x
        x, y = x - RATE * (-400 * x * t - 2 * one), y - RATE * 200 * t
    return x, y


def _numpy_loop(steps: int) -> Any:
    x, gradient = np.array(START), np.empty(2)
    for _ in range(steps):
        t = x[1] - x[0] ** 2
        gradient[0] = -400 * x[0] * t - 2 * (1 - x[0])
        gradient[1] = 200 * t
        x -= RATE * gradient
    return x


# -- least squares ----------------------------------------------------------------------------------------------------


def least_squares(setting: Setting) -> list[Row]:
    """Full-batch gradient descent on linear least squares."""
    (samples, width), steps = setting.size(((200_000, 100), 100), ((2000, 100), 20))
    rng = np.random.default_rng(0)
    features = rng.normal(size=(samples, width))
    targets = features @ rng.normal(size=width) + rng.normal(size=samples)
    loss, data, rate = least_squares_loss(), {"X": features, "y": targets}, 0.1

    def ours() -> Any:
        return loss.descend(np.zeros(width), data, sd.GradientDescent(rate), steps=steps, gtol=0).x

    def in_numpy() -> Any:
        w = np.zeros(width)
        for _ in range(steps):
            w -= 2 * rate / samples * ((features @ w - targets) @ features)
        return w

    def in_c() -> Any:
        w, gradient = np.zeros(width), np.empty(width)
        setting.c.least_squares(features, targets, w, samples, width, rate, steps, gradient)
        return w

    contenders = [Contender("symdescent", ours, steps=steps), Contender("NumPy", in_numpy, steps=steps)]
    if setting.c:
        contenders.append(Contender("C", in_c, steps=steps))
        read = setting.c.read_double
        contenders.append(Contender("one read of X", lambda: read(features, features.size), answer=None, limit=True))
    if jax := find("jax"):
        gradient = jax.grad(lambda w, X, y: ((X @ w - y) ** 2).mean())
        walk = jax.jit(lambda w, X, y: jax.lax.fori_loop(0, steps, lambda step, w: w - rate * gradient(w, X, y), w))
        there = [jax.numpy.asarray(array) for array in (np.zeros(width), features, targets)]
        contenders.append(Contender("JAX fori_loop", lambda: walk(*there).block_until_ready(), steps=steps))
    title = f"a step of full-batch descent on least squares, {samples:,} × {width}, of {steps}"
    return [compare(title, contenders, rounds=setting.size(7, 3))]

"""Descents by other rules than plain descent: Adam by the step, stochastic descent by the epoch."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from measure import Contender, Row, compare
from peers import find
from setting import Setting

import symdescent as sd

START, RATE = (-1.2, 1.0), 1e-7  # so small a rate that no stopping test is met


def adam(setting: Setting) -> list[Row]:
    """Adam on Rosenbrock's function of two variables."""
    steps = setting.size(10**7, 10**5)
    p, q = sp.symbols("p q")
    loss = sd.Loss(100 * (q - p**2) ** 2 + (1 - p) ** 2, [p, q])

    def ours(steps: int) -> Any:
        result = loss.descend(dict(zip((p, q), START, strict=True)), optimizer=sd.Adam(RATE), steps=steps, gtol=0)
        if result.nit != steps:
            raise SystemExit(f"the descent stopped after {result.nit} of {steps} steps: {result.message}")
        return result.x

    contenders = [_walk("symdescent", ours, steps)]
    if setting.c:
        contenders.append(_walk("C", partial(_c_adam, setting.c), steps, limit=True))
    jax, optax = find("jax"), find("optax")
    if jax and optax:
        contenders.append(_walk("Optax fori_loop", _optax_loop(jax, optax), steps))
    if jax:
        contenders.append(_walk("JAX fori_loop", _jax_loop(jax), steps))
    title = f"a step of Adam on the 2-D Rosenbrock function, of {steps:,}"
    return [compare(title, contenders, rounds=setting.rounds, target="1.3 × C; Optax ≥ 3 ×")]


def _walk(name: str, walk: Any, steps: int, limit: bool = False) -> Contender:
    """A descent of so many steps; the contenders are compared after a thousand."""
    return Contender(name, lambda: walk(steps), answer=lambda result: walk(1000), steps=steps, limit=limit)


def _c_adam(c: Any, steps: int) -> Any:
    place = np.array(START)
    c.adam_bare(place, RATE, 0.9, 0.999, 1e-8, steps)
    return place


def _gradient(jax: Any) -> Any:
    return jax.grad(lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2)


def _optax_loop(jax: Any, optax: Any) -> Any:
    rule, gradient = optax.adam(RATE), _gradient(jax)

    def body(step: Any, carry: Any) -> Any:
        x, state = carry
        updates, state = rule.update(gradient(x), state, x)
        return optax.apply_updates(x, updates), state

    walk = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, body, (x, rule.init(x)))[0])
    start = jax.numpy.array(START)
    return lambda steps: walk(start, steps).block_until_ready()


def _jax_loop(jax: Any) -> Any:
    gradient, jnp = _gradient(jax), jax.numpy

    def body(step: Any, carry: Any) -> Any:
        x, m, v, p1, p2 = carry
        g = gradient(x)
        p1, p2, m, v = 0.9 * p1, 0.999 * p2, 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        return x - RATE * (m / (1 - p1)) / (jnp.sqrt(v / (1 - p2)) + 1e-8), m, v, p1, p2

    begin = lambda x: (x, 0 * x, 0 * x, 1.0, 1.0)  # noqa: E731
    walk = jax.jit(lambda x, steps: jax.lax.fori_loop(0, steps, body, begin(x))[0])
    start = jnp.array(START)
    return lambda steps: walk(start, steps).block_until_ready()


# -- stochastic descent -----------------------------------------------------------------------------------------------


def stochastic(setting: Setting) -> list[Row]:
    """An epoch of stochastic descent, one sample a step, on logistic regression: shuffled, without a penalty."""
    samples, width = setting.size((200_000, 50), (5000, 50))
    rng = np.random.default_rng(0)
    features = rng.normal(size=(samples, width))
    labels = np.where(features @ rng.normal(size=width) + rng.normal(size=samples) > 0, 1.0, -1.0)
    rate, epochs = 0.01, 5
    n, d = sp.symbols("n d", integer=True, positive=True)
    i, j = sp.symbols("i j", integer=True)
    X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))
    inner = sp.Sum(X[i, j] * W[j], (j, 0, d - 1))
    loss = sd.Loss(sp.Sum(sp.log(1 + sp.exp(-Y[i] * inner)), (i, 0, n - 1)) / n, W)
    data = {"X": features, "y": labels}

    def ours() -> Any:
        options = {"batch_size": 1, "epochs": epochs, "seed": 0}
        return loss.descend(np.zeros(width), data, sd.GradientDescent(rate), **options).x

    def in_c() -> Any:
        random, w = np.random.default_rng(0), np.zeros(width)
        for _ in range(epochs):
            setting.c.sgd_logistic(features, labels, random.permutation(samples), w, samples, width, rate)
        return w

    contenders = [Contender("symdescent", ours, steps=epochs)]
    if setting.c:
        contenders.append(Contender("C", in_c, steps=epochs))
    if jax := find("jax"):
        contenders.append(Contender("JAX scan", _jax_epochs(jax, features, labels, rate, epochs), steps=epochs))
    if find("sklearn"):
        fit = partial(_scikit_learn, features, labels, rate, epochs)
        contenders.append(Contender("scikit-learn", fit, answer=None, steps=epochs))
    title = f"an epoch of stochastic descent on logistic regression, {samples:,} × {width}"
    return [compare(title, contenders, rounds=setting.size(5, 3), target="scikit-learn ≥ 2 ×")]


def _jax_epochs(jax: Any, features: Any, labels: Any, rate: float, epochs: int) -> Any:
    jnp = jax.numpy
    X, y = jnp.asarray(features), jnp.asarray(labels)

    def step(w: Any, row: Any) -> Any:
        margin = y[row] * (X[row] @ w)
        return w + rate * y[row] * jax.nn.sigmoid(-margin) * X[row], None

    epoch = jax.jit(lambda w, order: jax.lax.scan(step, w, order)[0])

    def run() -> Any:
        random, w = np.random.default_rng(0), jnp.zeros(X.shape[1])
        for _ in range(epochs):
            w = epoch(w, jnp.asarray(random.permutation(len(y))))
        return w.block_until_ready()

    return run


def _scikit_learn(features: Any, labels: Any, rate: float, epochs: int) -> Any:
    from sklearn.linear_model import SGDClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"penalty": None, "learning_rate": "constant", "eta0": rate, "max_iter": epochs, "tol": None}
        return SGDClassifier(loss="log_loss", random_state=0, fit_intercept=False, **options).fit(features, labels)


__all__ = ["adam", "stochastic"]

"""One evaluation of value and gradient, on data that do not fit into the caches of the processor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy as sp

import symdescent as sd
from measure import Contender, Row, compare
from peers import find
from setting import SCORE, Setting, X, b, chained_rosenbrock, d, j, k, logistic_loss, mean_over_samples, n, rosenbrock_gradient, y
from symdescent import kernels

# -- a long chain -----------------------------------------------------------------------------------------------------


def chain(setting: Setting) -> list[Row]:
    """One gradient of the chained Rosenbrock function, in index notation."""
    size = setting.size(10**7, 10**5)
    x = np.random.default_rng(0).normal(size=size)
    loss = sd.Loss(*chained_rosenbrock(n))
    compiled = loss.compile()
    kernel = kernels.load(compiled.source).value_and_gradient
    result, scratch, jax = np.empty(size), np.empty(size - 1), find("jax")
    expected = rosenbrock_gradient(x)

    def in_place(gradient: Any, t: Any) -> Any:
        """The same in NumPy without temporary arrays."""
        here, inner = x[:-1], gradient[:-1]
        np.multiply(here, here, out=t)
        np.subtract(x[1:], t, out=t)
        np.multiply(here, -400.0, out=inner)
        inner *= t
        inner += here
        inner += here
        inner -= 2.0
        t *= 200.0
        gradient[-1] = 0.0
        gradient[1:] += t
        return gradient

    def by_c(name: str, gradient: Callable[[], Any]) -> Any:
        filled = gradient()
        getattr(setting.c, name)(x, size, filled)
        return filled

    def given() -> Any:
        return result

    def ours_given() -> Any:
        kernel(x, size, result)
        return result

    fresh = [
        Contender("symdescent", lambda: compiled.gradient(x)[loss.parameters[0]]),
        Contender("NumPy", lambda: rosenbrock_gradient(x)),
        Contender("NumPy without temporaries", lambda: in_place(np.empty(size), np.empty(size - 1))),
    ]
    filled = [
        Contender("symdescent", ours_given),
        Contender("NumPy without temporaries", lambda: in_place(result, scratch)),
    ]
    if setting.c:
        for name, said in (("rosenbrock", "C"), ("rosenbrock_gathered", "C, gathered by entry")):
            fresh.append(Contender(said, lambda name=name: by_c(name, lambda: np.empty(size))))
            filled.append(Contender(said, lambda name=name: by_c(name, given)))
    if jax:
        fresh.append(_jax_chain(jax, x))
    fresh.append(Contender("copying the vector", x.copy, answer=None, limit=True))
    filled.append(Contender("copying the vector", lambda: np.copyto(result, x), answer=None, limit=True))
    title = f"gradient of the chained Rosenbrock function, n = {size:,}"
    return [
        compare(title, fresh, expected=expected, rounds=setting.rounds),
        compare(f"{title}, into a given array", filled, expected=expected, rounds=setting.rounds),
    ]


def _jax_chain(jax: Any, x: Any) -> Contender:
    gradient = jax.jit(jax.grad(lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))
    there = jax.numpy.asarray(x)
    return Contender("JAX", lambda: gradient(there).block_until_ready())


# -- models over samples ----------------------------------------------------------------------------------------------


def logistic(setting: Setting) -> list[Row]:
    """Value and gradient of logistic regression."""
    return [
        _logistic(setting, *setting.size((200_000, 100), (2000, 100)), np.float64),
        _logistic(setting, *setting.size((200_000, 100), (2000, 100)), np.float32),
        _logistic(setting, *setting.size((1_000_000, 20), (10_000, 20)), np.float64),
    ]


def _logistic(setting: Setting, samples: int, width: int, kind: type) -> Row:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((samples, width), dtype=kind)
    labels = np.where(rng.random(samples) < 0.5, -1, 1).astype(kind)
    weights, offset = (rng.normal(size=width) / np.sqrt(width)), 0.1
    compiled, data = logistic_loss().compile(), {"X": features, "y": labels}
    near = weights.astype(kind), kind(offset)  # the peers compute in the type of the data

    def in_numpy(X: Any, y: Any, w: Any, b: Any) -> Any:
        margin = X @ w
        margin += b
        margin *= y
        e = np.exp(-np.abs(margin))
        value = (np.log1p(e) - np.minimum(margin, 0)).mean()
        r = np.where(margin >= 0, e, 1)
        r /= 1 + e
        r *= -y
        r /= len(y)
        return [value, *(r @ X), r.sum()]

    def in_library(softplus: Any) -> Callable[..., Any]:
        return lambda w, b, X, y: softplus(-y * (X @ w + b)).mean()

    contenders = [
        Contender("symdescent", lambda: compiled.value_and_gradient({"w": weights, "b": offset}, data), answer=_flat),
        Contender("NumPy", lambda: in_numpy(features, labels, *near)),
    ]
    if setting.c:
        suffix = "float" if kind is np.float32 else "double"
        c_logistic, theta, gradient = getattr(setting.c, f"logistic_{suffix}"), np.append(weights, offset), np.empty(width + 1)
        contenders.append(
            Contender("C", lambda: c_logistic(features, labels, theta, samples, width, gradient), answer=lambda value: [value, *gradient])
        )
    if jax := find("jax"):
        contenders.append(_in_jax(jax, in_library(jax.nn.softplus), near, (features, labels)))
    if torch := find("torch"):
        contenders.append(_in_torch(torch, in_library(torch.nn.functional.softplus), near, (features, labels)))
    if find("sklearn"):
        contenders.append(_in_sklearn(features, labels, near))
    expected = in_numpy(features.astype(np.float64), labels.astype(np.float64), weights, offset)
    title = f"value and gradient of logistic regression, {samples:,} × {width}"
    return compare(
        f"{title}, float32 data" if kind is np.float32 else title,
        [*contenders, _one_read(setting, features)],
        expected=expected,
        tolerance=1e-5 if kind is np.float32 else 1e-9,
        rounds=setting.rounds,
    )


def softmax(setting: Setting) -> list[Row]:
    """Value and gradient of softmax regression."""
    samples, width, classes = setting.size((20_000, 784, 10), (500, 784, 10))
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(samples, width)), rng.integers(classes, size=samples)
    weights, offsets, rows = rng.normal(size=(width, classes)) / np.sqrt(width), rng.normal(size=classes), np.arange(samples)
    K = sp.Symbol("K", integer=True, positive=True)
    W, B, c = sp.IndexedBase("W", shape=(d, K)), sp.IndexedBase("B", shape=(K,)), sp.IndexedBase("c", shape=(n,))
    i = sp.Symbol("i", integer=True)
    logits = sp.Sum(X[i, j] * W[j, k], (j, 0, d - 1)) + B[k]
    compiled = sd.Loss(mean_over_samples(sd.losses.cross_entropy(logits, c[i], (k, 0, K - 1))), [W, B]).compile()

    def in_numpy() -> Any:
        z = features @ weights
        z += offsets
        z -= z.max(axis=1, keepdims=True)
        of_class = z[rows, labels]
        p = np.exp(z, out=z)
        total = p.sum(axis=1)
        value = (np.log(total) - of_class).mean()
        p /= total[:, None]
        p[rows, labels] -= 1
        p /= samples
        return [value, *np.ravel(features.T @ p), *p.sum(axis=0)]

    data, params = {"X": features, "c": labels}, {"W": weights, "B": offsets}
    contenders = [
        Contender("symdescent", lambda: compiled.value_and_gradient(params, data), answer=_flat),
        Contender("NumPy", in_numpy),
    ]
    if setting.c:
        c_softmax, theta = setting.c.softmax, np.concatenate([weights.ravel(), offsets])
        gradient = np.empty_like(theta)
        contenders.append(
            Contender("C", lambda: c_softmax(features, labels, theta, samples, width, gradient), answer=lambda value: [value, *gradient])
        )
    if jax := find("jax"):

        def in_jax(W: Any, B: Any, X: Any, c: Any) -> Any:
            z = X @ W + B
            return (jax.nn.logsumexp(z, axis=1) - z[rows, c]).mean()

        contenders.append(_in_jax(jax, in_jax, (weights, offsets), (features, labels)))
    if torch := find("torch"):

        def in_torch(W: Any, B: Any, X: Any, c: Any) -> Any:
            return torch.nn.functional.cross_entropy(X @ W + B, c)

        contenders.append(_in_torch(torch, in_torch, (weights, offsets), (features, labels)))
    title = f"value and gradient of softmax regression, {samples:,} × {width}, {classes} classes"
    return [compare(title, [*contenders, _one_read(setting, features)], rounds=setting.rounds)]


def hidden(setting: Setting) -> list[Row]:
    """Value and gradient of a network with one hidden layer."""
    samples, width, units = setting.size((20_000, 50, 32), (500, 50, 32))
    rng = np.random.default_rng(0)
    features, targets = rng.normal(size=(samples, width)), rng.normal(size=samples)
    inward, shift, outward, offset = rng.normal(size=(width, units)) / 7, rng.normal(size=units), rng.normal(size=units), 0.1
    h, i = sp.Symbol("h", integer=True, positive=True), sp.Symbol("i", integer=True)
    V, a, u = sp.IndexedBase("V", shape=(d, h)), sp.IndexedBase("a", shape=(h,)), sp.IndexedBase("u", shape=(h,))
    output = sp.Sum(u[k] * sp.tanh(sp.Sum(X[i, j] * V[j, k], (j, 0, d - 1)) + a[k]), (k, 0, h - 1)) + b
    compiled = sd.Loss(mean_over_samples((output - y[i]) ** 2), [V, a, u, b]).compile()

    def in_numpy() -> Any:
        t = features @ inward
        t += shift
        np.tanh(t, out=t)
        r = t @ outward
        r += offset - targets
        value = (r @ r) / samples
        r *= 2 / samples
        by_outward = r @ t
        t *= t
        np.subtract(1, t, out=t)
        t *= r[:, None]
        t *= outward
        return [value, *np.ravel(features.T @ t), *t.sum(axis=0), *by_outward, r.sum()]

    def in_library(tanh: Any) -> Callable[..., Any]:
        return lambda V, a, u, b, X, y: ((tanh(X @ V + a) @ u + b - y) ** 2).mean()

    params, data = {"V": inward, "a": shift, "u": outward, "b": offset}, {"X": features, "y": targets}
    contenders = [
        Contender("symdescent", lambda: compiled.value_and_gradient(params, data), answer=_flat),
        Contender("NumPy", in_numpy),
    ]
    if setting.c:
        c_hidden, theta = setting.c.hidden, np.concatenate([inward.ravel(), shift, outward, [offset]])
        gradient = np.empty_like(theta)
        contenders.append(
            Contender("C", lambda: c_hidden(features, targets, theta, samples, width, gradient), answer=lambda value: [value, *gradient])
        )
    if jax := find("jax"):
        contenders.append(_in_jax(jax, in_library(jax.numpy.tanh), tuple(params.values()), (features, targets)))
    if torch := find("torch"):
        contenders.append(_in_torch(torch, in_library(torch.tanh), tuple(params.values()), (features, targets)))
    title = f"value and gradient of a hidden layer of {units}, {samples:,} × {width}"
    return [compare(title, [*contenders, _one_read(setting, features)], rounds=setting.rounds)]


# -- what they share --------------------------------------------------------------------------------------------------


def _flat(result: tuple[Any, Any]) -> Any:
    """Value and gradient of symdescent as one vector."""
    value, gradient = result
    return np.concatenate([np.ravel(part) for part in (value, *gradient.values())])


def _one_read(setting: Setting, features: Any) -> Contender:
    """Adding up the data: no loop over them can be faster."""
    if setting.c is None:
        return Contender("one read of X", features.sum, answer=None, limit=True)
    read = getattr(setting.c, "read_float" if features.dtype == np.float32 else "read_double")
    return Contender("one read of X", lambda: read(features, features.size), answer=None, limit=True)


def _in_jax(jax: Any, function: Callable[..., Any], params: Sequence[Any], data: Sequence[Any]) -> Contender:
    """Value and gradient by the parameters, compiled by JAX."""
    derived = jax.jit(jax.value_and_grad(function, argnums=tuple(range(len(params)))))
    there = [jax.numpy.asarray(argument) for argument in (*params, *data)]

    def answer(result: Any) -> Any:
        value, gradient = result
        return np.concatenate([np.ravel(part) for part in (value, *gradient)])

    return Contender("JAX", lambda: jax.block_until_ready(derived(*there)), answer=answer)


def _in_torch(torch: Any, function: Callable[..., Any], params: Sequence[Any], data: Sequence[Any]) -> Contender:
    """Value and gradient by the parameters, by PyTorch's reverse mode."""
    leaves = [torch.tensor(np.asarray(value), requires_grad=True) for value in params]
    fixed = [torch.from_numpy(array) for array in data]

    def run() -> Any:
        value = function(*leaves, *fixed)
        return value.detach(), *torch.autograd.grad(value, leaves)

    return Contender("PyTorch", run, answer=lambda parts: np.concatenate([np.ravel(part.numpy()) for part in parts]))


def _in_sklearn(features: Any, labels: Any, params: tuple[Any, Any]) -> Contender:
    """The loss that scikit-learn's LogisticRegression minimises (no public interface: it may change)."""
    from sklearn._loss.loss import HalfBinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    loss = LinearModelLoss(base_loss=HalfBinomialLoss(), fit_intercept=True)
    positive, theta = (labels > 0).astype(features.dtype), np.append(*params).astype(features.dtype)

    def run() -> Any:
        return loss.loss_gradient(theta, features, positive)

    return Contender("scikit-learn", run, answer=lambda result: [result[0], *result[1]])

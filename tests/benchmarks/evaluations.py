"""One evaluation of value and gradient, on data that do not fit into the caches of the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import sympy as sp
from measure import Contender, Row, compare
from peers import find
from setting import (
    Setting,
    X,
    b,
    chained_rosenbrock,
    d,
    i,
    j,
    k,
    logistic_loss,
    mean_over_samples,
    n,
    rosenbrock_gradient,
    softmax_loss,
    y,
)

import symdescent as sd
from symdescent import kernels

# -- a long chain -----------------------------------------------------------------------------------------------------


def chain(setting: Setting) -> list[Row]:
    """One gradient of the chained Rosenbrock function in index notation: as a new array, and into a given one."""
    size = setting.size(10**7, 10**5)
    x = np.random.default_rng(0).normal(size=size)
    loss = sd.Loss(*chained_rosenbrock(n))
    compiled = loss.compile()
    kernel = kernels.load(compiled.source).value_and_gradient
    result, spare = np.empty(size), np.empty(size - 1)

    def ours_given() -> Any:
        kernel(x, size, result)
        return result

    def in_c(name: str, gradient: Any) -> Any:
        getattr(setting.c, name)(x, size, gradient)
        return gradient

    new = [
        Contender("symdescent", lambda: compiled.gradient(x)[loss.parameters[0]]),
        Contender("NumPy", lambda: rosenbrock_gradient(x)),
        Contender("NumPy without temporaries", lambda: _rosenbrock_in_place(x, np.empty(size), np.empty(size - 1))),
    ]
    given = [
        Contender("symdescent", ours_given),
        Contender("NumPy without temporaries", lambda: _rosenbrock_in_place(x, result, spare)),
    ]
    if setting.c:
        for name, said in (("rosenbrock", "C"), ("rosenbrock_gathered", "C, gathered by entry")):
            new.append(Contender(said, lambda name=name: in_c(name, np.empty(size))))
            given.append(Contender(said, lambda name=name: in_c(name, result)))
    if jax := find("jax"):
        gradient = jax.jit(jax.grad(lambda x: (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()))
        there = jax.numpy.asarray(x)
        new.append(Contender("JAX", lambda: gradient(there).block_until_ready()))
    new.append(Contender("copying the vector", x.copy, answer=None, limit=True))
    given.append(Contender("copying the vector", lambda: np.copyto(result, x), answer=None, limit=True))
    title = f"gradient of the chained Rosenbrock function, n = {size:,}"
    expected = rosenbrock_gradient(x)
    return [
        compare(title, new, expected=expected, rounds=setting.rounds, target="ratio 3 to NumPy"),
        compare(f"{title}, into a given array", given, expected=expected, rounds=setting.rounds),
    ]


def _rosenbrock_in_place(x: Any, gradient: Any, t: Any) -> Any:
    """The gradient in NumPy, without temporary arrays."""
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


# -- models over samples ----------------------------------------------------------------------------------------------


def logistic(setting: Setting) -> list[Row]:
    """Value and gradient of logistic regression."""
    tall, wide = setting.size(((1_000_000, 20), (200_000, 100)), ((10_000, 20), (2000, 100)))
    return [
        _logistic(setting, *wide, np.float64, target="ratio 1.5 to NumPy"),
        _logistic(setting, *wide, np.float32),
        _logistic(setting, *tall, np.float64),
    ]


def _logistic(setting: Setting, samples: int, width: int, kind: type, target: str = "") -> Row:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((samples, width), dtype=kind)
    labels = np.where(rng.random(samples) < 0.5, -1, 1).astype(kind)
    weights = rng.normal(size=width) / np.sqrt(width)
    single = kind is np.float32

    def in_numpy(w: Any, b: Any, X: Any, y: Any) -> Any:
        margin = X @ w
        margin += b
        margin *= y
        e = np.exp(-np.abs(margin))
        value = (np.log1p(e) - np.minimum(margin, 0)).mean()
        r = np.where(margin >= 0, e, 1)
        r /= 1 + e
        r *= -y
        r /= len(y)
        return value, r @ X, r.sum()

    def written_with(softplus: Callable[[Any], Any]) -> Callable[..., Any]:
        return lambda w, b, X, y: softplus(-y * (X @ w + b)).mean()

    return _model(
        setting,
        f"value and gradient of logistic regression, {samples:,} × {width}{', float32 data' if single else ''}",
        logistic_loss(),
        {"w": weights, "b": 0.1},
        {"X": features, "y": labels},
        in_numpy,
        "logistic_float" if single else "logistic_double",
        jax=lambda jax: written_with(jax.nn.softplus),
        torch=lambda torch: written_with(torch.nn.functional.softplus),
        sklearn=_logistic_in_sklearn,
        tolerance=1e-5 if single else 1e-9,
        target=target,
    )


def _logistic_in_sklearn(w: Any, b: Any, X: Any, y: Any) -> Callable[[], Any]:
    """What scikit-learn's LogisticRegression minimises (no public interface: it may change)."""
    from sklearn._loss.loss import HalfBinomialLoss
    from sklearn.linear_model._linear_loss import LinearModelLoss

    loss = LinearModelLoss(base_loss=HalfBinomialLoss(), fit_intercept=True)
    theta, positive = np.append(w, b), (y > 0).astype(y.dtype)
    return lambda: loss.loss_gradient(theta, X, positive)


def softmax(setting: Setting) -> list[Row]:
    """Value and gradient of softmax regression."""
    samples, width, classes = setting.size((20_000, 784, 10), (500, 784, 10))  # reference.c knows the 10
    rng, rows = np.random.default_rng(0), np.arange(samples)

    def in_numpy(W: Any, B: Any, X: Any, c: Any) -> Any:
        z = X @ W
        z += B
        z -= z.max(axis=1, keepdims=True)
        of_class = z[rows, c]
        p = np.exp(z, out=z)
        total = p.sum(axis=1)
        value = (np.log(total) - of_class).mean()
        p /= total[:, None]
        p[rows, c] -= 1
        p /= len(c)
        return value, X.T @ p, p.sum(axis=0)

    def in_jax(jax: Any) -> Callable[..., Any]:
        def loss(W: Any, B: Any, X: Any, c: Any) -> Any:
            z = X @ W + B
            return (jax.nn.logsumexp(z, axis=1) - z[rows, c]).mean()

        return loss

    row = _model(
        setting,
        f"value and gradient of softmax regression, {samples:,} × {width}, {classes} classes",
        softmax_loss(),
        {"W": rng.normal(size=(width, classes)) / np.sqrt(width), "B": rng.normal(size=classes)},
        {"X": rng.normal(size=(samples, width)), "c": rng.integers(classes, size=samples)},
        in_numpy,
        "softmax",
        jax=in_jax,
        torch=lambda torch: lambda W, B, X, c: torch.nn.functional.cross_entropy(X @ W + B, c),
    )
    return [row]


def hidden(setting: Setting) -> list[Row]:
    """Value and gradient of a network with one hidden layer."""
    samples, width, units = setting.size((20_000, 50, 32), (500, 50, 32))  # reference.c knows the 32
    rng = np.random.default_rng(0)
    h = sp.Symbol("h", integer=True, positive=True)
    V, a, u = sp.IndexedBase("V", shape=(d, h)), sp.IndexedBase("a", shape=(h,)), sp.IndexedBase("u", shape=(h,))
    output = sp.Sum(u[k] * sp.tanh(sp.Sum(X[i, j] * V[j, k], (j, 0, d - 1)) + a[k]), (k, 0, h - 1)) + b

    def in_numpy(V: Any, a: Any, u: Any, b: Any, X: Any, y: Any) -> Any:
        t = X @ V
        t += a
        np.tanh(t, out=t)
        r = t @ u
        r += b
        r -= y
        value = (r @ r) / len(y)
        r *= 2 / len(y)
        by_u = r @ t
        t *= t
        np.subtract(1, t, out=t)
        t *= r[:, None]
        t *= u
        return value, X.T @ t, t.sum(axis=0), by_u, r.sum()

    def written_with(tanh: Callable[[Any], Any]) -> Callable[..., Any]:
        return lambda V, a, u, b, X, y: ((tanh(X @ V + a) @ u + b - y) ** 2).mean()

    row = _model(
        setting,
        f"value and gradient of a hidden layer of {units}, {samples:,} × {width}",
        sd.Loss(mean_over_samples((output - y[i]) ** 2), [V, a, u, b]),
        {"V": rng.normal(size=(width, units)) / 7, "a": rng.normal(size=units), "u": rng.normal(size=units), "b": 0.1},
        {"X": rng.normal(size=(samples, width)), "y": rng.normal(size=samples)},
        in_numpy,
        "hidden",
        jax=lambda jax: written_with(jax.numpy.tanh),
        torch=lambda torch: written_with(torch.tanh),
    )
    return [row]


# -- what they share --------------------------------------------------------------------------------------------------


def _model(setting: Setting, title: str, loss: sd.Loss, params: Mapping[str, Any], data: Mapping[str, Any],
           in_numpy: Callable[..., Any], in_c: str, *, jax: Callable[..., Any], torch: Callable[..., Any],
           sklearn: Callable[..., Any] | None = None, tolerance: float = 1e-9, target: str = "") -> Row:  # fmt: skip
    """Compare value and gradient of one model over samples.

    Functions take the parameters, then the data. `jax` and `torch` take their library and return the loss, which is
    differentiated there; `in_numpy` returns value and gradient, `sklearn` a function of nothing that does. Peers
    compute in the type of the data, C in double.
    """
    compiled, features = loss.compile(), data["X"]
    typed = [np.asarray(value, dtype=features.dtype) for value in params.values()]
    arguments = [*typed, *data.values()]
    contenders = [
        Contender("symdescent", lambda: compiled.value_and_gradient(params, data), answer=_flat),
        Contender("NumPy", lambda: in_numpy(*arguments), answer=_flat),
    ]
    if setting.c:
        evaluate, theta = getattr(setting.c, in_c), _flat(list(params.values()))
        gradient = np.empty_like(theta)

        def run_c() -> Any:
            return evaluate(*data.values(), theta, *features.shape, gradient), gradient

        contenders.append(Contender("C", run_c, answer=_flat))
    if library := find("jax"):
        contenders.append(_in_jax(library, jax(library), typed, data))
    if library := find("torch"):
        contenders.append(_in_torch(library, torch(library), typed, data))
    if sklearn and find("sklearn"):
        contenders.append(Contender("scikit-learn", sklearn(*arguments), answer=_flat))
    contenders.append(_one_read(setting, features))
    doubles = [array.astype(np.float64) if array.dtype.kind == "f" else array for array in data.values()]
    expected = _flat(in_numpy(*params.values(), *doubles))
    return compare(title, contenders, expected=expected, tolerance=tolerance, rounds=setting.rounds, target=target)


def _flat(result: Any) -> Any:
    """Value and gradient, however they are nested, as one vector."""
    if isinstance(result, Mapping):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return np.concatenate([_flat(part) for part in result])
    return np.ravel(result)


def _one_read(setting: Setting, features: Any) -> Contender:
    """Adding up the data: no loop over them can be faster."""
    if setting.c is None:
        return Contender("one read of X", features.sum, answer=None, limit=True)
    read = setting.c.read_float if features.dtype == np.float32 else setting.c.read_double
    return Contender("one read of X", lambda: read(features, features.size), answer=None, limit=True)


def _in_jax(jax: Any, loss: Callable[..., Any], params: list[Any], data: Mapping[str, Any]) -> Contender:
    """Value and gradient by the parameters, compiled by JAX."""
    derived = jax.jit(jax.value_and_grad(loss, argnums=tuple(range(len(params)))))
    arguments = [jax.numpy.asarray(value) for value in (*params, *data.values())]
    return Contender("JAX", lambda: jax.block_until_ready(derived(*arguments)), answer=_flat)


def _in_torch(torch: Any, loss: Callable[..., Any], params: list[Any], data: Mapping[str, Any]) -> Contender:
    """Value and gradient by the parameters, by PyTorch's reverse mode."""
    leaves = [torch.tensor(value, requires_grad=True) for value in params]
    fixed = [torch.from_numpy(array) for array in data.values()]

    def run() -> Any:
        value = loss(*leaves, *fixed)
        return value.detach(), *torch.autograd.grad(value, leaves)

    return Contender("PyTorch", run, answer=lambda parts: _flat([part.numpy() for part in parts]))

"""Losses at logits of any size, against mpmath: value and gradient within a few units in the last place.

Compiled and as NumPy functions, for every way in which a logistic or softmax loss is usually written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent import losses

ULPS = 4
LOGITS = (0.0, 1e-8, -1e-8, 30.0, -30.0, 800.0, -800.0)
TINY = 1e-300  # below it, doubles lose digits
z, y, s, t = sp.symbols("z y s t")
n, K = sp.symbols("n K", integer=True, positive=True)
i, k, l = sp.symbols("i k l", integer=True)  # noqa: E741
DIGITS = 60


def ulps(found: Any, exact: Any) -> float:
    """The error in units of the last place of the exact value."""
    nearest = float(exact)
    if found == nearest or (abs(nearest) < TINY and abs(found - nearest) <= TINY):
        return 0.0
    if not math.isfinite(found) or not math.isfinite(nearest):
        return math.inf
    return float(abs(mp.mpf(float(found)) - exact) / mp.mpf(float(np.spacing(abs(nearest)))))


def exp(x: Any) -> Any:
    return mp.exp(x)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def softplus(x: Any) -> Any:
    return mp.log(1 + mp.exp(x))


Case = tuple[Mapping[Any, Any], Mapping[str, Any], Any, Sequence[Any]]


def check(loss: sd.Loss, cases: Sequence[Case], allowed: float = ULPS) -> None:
    """Each case: parameters, data by name, the exact value, the exact gradient; the worst of all is reported."""
    compiled, (value_of, gradient_of) = loss.compile(), loss.lambdify()
    worst: dict[str, tuple[float, str]] = {}
    with mp.workdps(DIGITS):
        for params, data, exact, slopes in cases:
            value, gradient = compiled.value_and_gradient(params, data)
            by_name = {x.name: number for x, number in params.items()} | dict(data)
            arrays = gradient_of(**by_name)
            arrays = arrays if len(params) > 1 else (arrays,)
            results = {
                "value with gradient": (value, exact),
                "value": (compiled.value(params, data), exact),
                "NumPy value": (value_of(**by_name), exact),
            }
            for x, found, slope in zip(params, arrays, slopes, strict=True):
                results |= {f"slope {x}": (gradient[x], slope), f"NumPy slope {x}": (found, slope)}
            for name, (found, right) in results.items():
                error = ulps(found, right)
                if error > worst.get(name, (0.0, ""))[0]:
                    at = {x.name: number for x, number in params.items()}
                    worst[name] = error, f"{found!r} instead of {mp.nstr(right, 18)} at {at} {dict(data)}"
    wrong = {name: f"{error:.3g} ulps: {what}" for name, (error, what) in worst.items() if error > allowed}
    assert not wrong, wrong


# -- one logit --------------------------------------------------------------------------------------------------------

Exact = tuple[Callable[[Any], Any], Callable[[Any], Any]]
SOFTPLUS: Exact = softplus, sigmoid
SIGMOID: Exact = sigmoid, lambda x: sigmoid(x) * sigmoid(-x)
ONE_LOGIT: dict[str, tuple[Any, Exact]] = {
    "softplus": (sd.softplus(z), SOFTPLUS),
    "log(1 + exp(z))": (sp.log(1 + sp.exp(z)), SOFTPLUS),
    "log(exp(0) + exp(z))": (sd.logsumexp(0, z), SOFTPLUS),
    "-log(1 - sigmoid(z))": (-sp.log(1 - sd.sigmoid(z)), SOFTPLUS),
    "-log(sigmoid(-z))": (-sp.log(sd.sigmoid(-z)), SOFTPLUS),
    "-log(1/(1 + exp(z)))": (-sp.log(1 / (1 + sp.exp(z))), SOFTPLUS),
    "-log(1 - 1/(1 + exp(-z)))": (-sp.log(1 - 1 / (1 + sp.exp(-z))), SOFTPLUS),
    "-log(1 - exp(z)/(1 + exp(z)))": (-sp.log(1 - sp.exp(z) / (1 + sp.exp(z))), SOFTPLUS),
    "-log(exp(-z)/(1 + exp(-z)))": (-sp.log(sp.exp(-z) / (1 + sp.exp(-z))), SOFTPLUS),
    "log(1 + 1/exp(-z))": (sp.log(1 + 1 / sp.exp(-z)), SOFTPLUS),
    "z + log(1 + exp(-z))": (z + sp.log(1 + sp.exp(-z)), SOFTPLUS),
    "max(z, 0) + log(1 + exp(-|z|))": (sp.Max(z, 0) + sp.log(1 + sp.exp(-sp.Abs(z))), SOFTPLUS),
    "sd.losses.logistic": (losses.logistic(-1, z), SOFTPLUS),
    "sigmoid": (sd.sigmoid(z), SIGMOID),
    "1/(1 + exp(-z))": (1 / (1 + sp.exp(-z)), SIGMOID),
    "exp(z)/(1 + exp(z))": (sp.exp(z) / (1 + sp.exp(z)), SIGMOID),
    "exp(z)/(exp(z) + 1), Pow": (sp.exp(z) * (sp.exp(z) + 1) ** -1, SIGMOID),
    "softmax(z, 0)": (sd.softmax(z, 0), SIGMOID),
    "1 - sigmoid(-z)": (1 - sd.sigmoid(-z), SIGMOID),
}


@pytest.mark.parametrize("name", ONE_LOGIT)
def test_one_logit(name: str) -> None:
    """Overflow at 800, lost digits at -30, and a flag that lets the compiler reorder what must not be."""
    e, (value, slope) = ONE_LOGIT[name]
    with mp.workdps(DIGITS):
        cases = [({z: x}, {}, value(mp.mpf(x)), [slope(mp.mpf(x))]) for x in LOGITS]
    check(sd.Loss(e, z), cases)


p = 1 / (1 + sp.exp(-z))
BINARY: dict[str, Any] = {
    "sigmoid": -(y * sp.log(sd.sigmoid(z)) + (1 - y) * sp.log(1 - sd.sigmoid(z))),
    "1/(1 + exp(-z))": -(y * sp.log(p) + (1 - y) * sp.log(1 - p)),
    "mirrored": -y * sp.log(sd.sigmoid(z)) - (1 - y) * sp.log(sd.sigmoid(-z)),
    "likelihood": -sp.log(sd.sigmoid(z) ** y * (1 - sd.sigmoid(z)) ** (1 - y)),
    "softmax": -y * sp.log(sd.softmax(z, 0)) - (1 - y) * sp.log(sd.softmax(0, z)),
}


@pytest.mark.parametrize("name", BINARY)
def test_binary_cross_entropy(name: str) -> None:
    """Labels are data: y log p + (1 - y) log(1 - p) must not be rewritten to differences that cancel."""
    cases = []
    with mp.workdps(DIGITS):
        for label, x in itertools.product((0.0, 1.0, 0.25), LOGITS):
            q, at = mp.mpf(label), mp.mpf(x)
            exact = q * softplus(-at) + (1 - q) * softplus(at)
            cases.append(({z: x}, {"y": label}, exact, [(1 - q) * sigmoid(at) - q * sigmoid(-at)]))
    check(sd.Loss(BINARY[name], z), cases)


MARGIN: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "logistic, log": (sp.log(1 + sp.exp(-y * z)), lambda m: softplus(-m), lambda m: -sigmoid(-m)),
    "logistic, softplus": (losses.logistic(y, z), lambda m: softplus(-m), lambda m: -sigmoid(-m)),
    "hinge": (losses.hinge(y, z), lambda m: max(mp.mpf(0), 1 - m), lambda m: -mp.mpf(m < 1)),
    "squared margin": (losses.squared_margin(y, z), lambda m: (1 - m) ** 2, lambda m: -2 * (1 - m)),
}


@pytest.mark.parametrize("name", MARGIN)
def test_margin_losses(name: str) -> None:
    """Labels of both signs, at margins of any size."""
    e, value, slope = MARGIN[name]
    with mp.workdps(DIGITS):
        cases = [
            ({z: x}, {"y": label}, value(label * mp.mpf(x)), [label * slope(label * mp.mpf(x))])
            for label in (1.0, -1.0)
            for x in LOGITS
        ]
    check(sd.Loss(e, z), cases)


# -- several logits, as scalars ---------------------------------------------------------------------------------------


@cache
def shares(logits: tuple[float, ...]) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """logsumexp, the softmax, and one minus it without cancellation."""
    with mp.workdps(DIGITS):
        powers = [exp(mp.mpf(x)) for x in logits]
        total = mp.fsum(powers)
        rest = tuple(mp.fsum(powers[:c] + powers[c + 1 :]) / total for c in range(len(powers)))
        return mp.log(total), tuple(power / total for power in powers), rest


def cross_entropy(logits: tuple[float, ...], c: int) -> tuple[Any, list[Any]]:
    """The exact value and gradient for class c."""
    _, share, rest = shares(logits)
    with mp.workdps(DIGITS):
        value = mp.log1p(mp.fsum(exp(mp.mpf(x) - mp.mpf(logits[c])) for place, x in enumerate(logits) if place != c))
        return value, [-rest[c] if place == c else share[place] for place in range(len(logits))]


def points(count: int) -> list[tuple[float, ...]]:
    return list(itertools.product(LOGITS, repeat=count))


def scalars(count: int) -> tuple[sp.Symbol, ...]:
    return sp.symbols(f"z0:{count}")


SEVERAL: dict[str, Callable[[Any], Any]] = {
    "logsumexp": lambda zs: sd.logsumexp(*zs),
    "log of exponentials": lambda zs: sp.log(sp.Add(*map(sp.exp, zs))),
}
ENTROPY: dict[str, Callable[[Any], Any]] = {
    "sd.losses": lambda zs: losses.cross_entropy(list(zs), 1),
    "-log softmax": lambda zs: -sp.log(sd.softmax(list(zs))[1]),
    "logsumexp - z": lambda zs: sd.logsumexp(*zs) - zs[1],
    "-log of a fraction": lambda zs: -sp.log(sp.exp(zs[1]) / sp.Add(*map(sp.exp, zs))),
}


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", SEVERAL)
def test_logsumexp_of_scalars(name: str, count: int) -> None:
    """The largest term added and taken away again: 1 + 1e-13 - 1."""
    zs = scalars(count)
    places = points(count)[:: 1 if name == "logsumexp" else count]
    cases = [(dict(zip(zs, at, strict=True)), {}, shares(at)[0], shares(at)[1]) for at in places]
    check(sd.Loss(SEVERAL[name](zs), list(zs)), cases)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("name", ENTROPY)
def test_cross_entropy_of_scalars(name: str, count: int) -> None:
    """Residuals p - 1 where p is almost 1, and values of 1e-27."""
    zs = scalars(count)
    places = points(count)[:: 1 if name == "sd.losses" else count]
    cases = [(dict(zip(zs, at, strict=True)), {}, *cross_entropy(at, 1)) for at in places]
    check(sd.Loss(ENTROPY[name](zs), list(zs)), cases)


def test_cross_entropy_of_scalars_with_a_class_and_one_hot_as_data() -> None:
    """Branches for classes, products with zeros and ones."""
    zs, ys = scalars(3), sp.symbols("y0:3")
    c = sp.Symbol("c", integer=True)
    by_class, one_hot = [], []
    for number, at in enumerate(points(3)):
        params, label = dict(zip(zs, at, strict=True)), number % 3
        by_class.append((params, {"c": [label]}, *cross_entropy(at, label)))
        one_hot.append((params, {f"y{place}": float(place == label) for place in range(3)}, *cross_entropy(at, label)))
    check(sd.Loss(losses.cross_entropy(list(zs), list(ys)), list(zs)), one_hot)
    check(sd.Loss(losses.cross_entropy(list(zs), c), list(zs), samples=[c]), by_class)


@pytest.mark.parametrize("count", [2, 3])
def test_softmax_of_scalars(count: int) -> None:
    """A share p (1 - p) where p is almost 1, or tiny."""
    zs = scalars(count)
    cases = []
    with mp.workdps(DIGITS):
        for at in points(count):
            _, share, rest = shares(at)
            slopes = [share[0] * rest[0], *(-share[0] * other for other in share[1:])]
            cases.append((dict(zip(zs, at, strict=True)), {}, share[0], slopes))
    check(sd.Loss(sd.softmax(*zs), list(zs)), cases)


# -- several logits, as arrays ----------------------------------------------------------------------------------------

Z, c, Y = sp.IndexedBase("Z", shape=(n, K)), sp.IndexedBase("c", shape=(n,)), sp.IndexedBase("Y", shape=(n, K))
ZM, YM, cM = sp.MatrixSymbol("Z", n, K), sp.MatrixSymbol("Y", n, K), sp.MatrixSymbol("c", n, 1)
total = sp.log(sp.Sum(sp.exp(Z[i, l]), (l, 0, K - 1)))
ARRAYS: dict[str, tuple[Any, Any]] = {
    "class": (sp.Sum(total - Z[i, c[i]], (i, 0, n - 1)), Z),
    "class, sd.losses": (sp.Sum(losses.cross_entropy(Z[i, k], c[i], (k, 0, K - 1)), (i, 0, n - 1)), Z),
    "class, -log softmax": (sp.Sum(-sp.log(sd.softmax(Z[i, k], (k, 0, K - 1), c[i])), (i, 0, n - 1)), Z),
    "one-hot": (-sp.Sum(Y[i, k] * (Z[i, k] - total), (k, 0, K - 1), (i, 0, n - 1)), Z),
    "one-hot, sd.losses": (sp.Sum(losses.cross_entropy(Z[i, k], Y[i, k], (k, 0, K - 1)), (i, 0, n - 1)), Z),
    "matrix": (-sp.Trace(YM.T * sd.softmax(ZM).applyfunc(sp.log)), ZM),
    "matrix, sd.losses": (losses.cross_entropy(ZM, YM, reduction="sum"), ZM),
    "matrix, classes": (losses.cross_entropy(ZM, cM, reduction="sum"), ZM),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_cross_entropy_of_arrays(name: str) -> None:
    """All rows at once for the gradient; row by row for the value, where no sum hides an error."""
    e, parameter = ARRAYS[name]
    loss = sd.Loss(e, parameter)
    compiled, (value_of, gradient_of) = loss.compile(), loss.lambdify()
    with mp.workdps(DIGITS):
        for count in (2, 3):
            rows = points(count)
            labels = np.arange(len(rows)) % count
            data = {"Y": np.eye(count)[labels]} if e.has(Y, YM) else {"c": labels}
            exact = [cross_entropy(row, int(label)) for row, label in zip(rows, labels, strict=True)]
            found = compiled.gradient(np.array(rows), data)[parameter]
            arrays = gradient_of(Z=np.array(rows), **data)
            for number, (row, (value, slopes)) in enumerate(zip(rows, exact, strict=True)):
                for place, slope in enumerate(slopes):
                    for witness in (found, arrays):
                        error = ulps(witness[number, place], slope)
                        assert error <= ULPS, f"slope {witness[number, place]!r}, not {mp.nstr(slope, 18)} at {row}"
                if number % 5 == 0:
                    one = {name: array[number : number + 1] for name, array in data.items()}
                    at = np.array([row])
                    parts = compiled.value(at, one), compiled.value_and_gradient(at, one)[0], value_of(Z=at, **one)
                    for witness in parts:
                        assert ulps(witness, value) <= ULPS, f"{witness!r}, not {mp.nstr(value, 18)} at {row}"


def test_logsumexp_of_an_array_with_ties_and_infinities() -> None:
    """The maximum counted once for every tie; masked entries of -inf; overflow of the sum."""
    v = sp.IndexedBase("v", shape=(n,))
    compiled = sd.Loss(sp.log(sp.Sum(sp.exp(v[i]), (i, 0, n - 1))), v).compile()
    value, gradient = compiled.value_and_gradient(np.array([800.0, 800.0, -np.inf, 800.0]))
    assert ulps(value, mp.mpf(800) + mp.log(3)) <= 1
    np.testing.assert_allclose(gradient[v], [1 / 3, 1 / 3, 0.0, 1 / 3], rtol=1e-15)
    value, gradient = compiled.value_and_gradient(np.array([-1000.0]))
    assert value == -1000.0 and gradient[v][0] == 1.0


def test_weighted_exponentials() -> None:
    """The log of a mixture whose components are far away; exponents of 1600 are rounded to 1e-13 themselves."""
    a, b = sp.symbols("a b", positive=True)
    e = -sp.log(a * sp.exp(-(z**2)) + b * sp.exp(-((z - 1) ** 2)))
    loss = sd.Loss(e, [z, a])
    cases = []
    with mp.workdps(DIGITS):
        for at in (0.0, 0.5, 30.0, -40.0):
            x, w, u = mp.mpf(at), mp.mpf(0.25), mp.mpf(0.75)
            first, second = w * exp(-(x**2)), u * exp(-((x - 1) ** 2))
            both = first + second
            slope = (2 * x * first + 2 * (x - 1) * second) / both
            cases.append(({z: at, a: 0.25}, {"b": 0.75}, -mp.log(both), [slope, -first / w / both]))
    check(loss, cases, allowed=2000)


# -- cancellation and limits ------------------------------------------------------------------------------------------

SMALL = (0.0, 1e-300, 1e-20, -1e-20, 1e-8, -1e-8, 0.5, -0.5)
CANCELLING: dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any], Sequence[float]]] = {
    "exp(z) - 1": (sp.exp(z) - 1, mp.expm1, mp.exp, SMALL),
    "1 - exp(z)": (1 - sp.exp(z), lambda x: -mp.expm1(x), lambda x: -mp.exp(x), SMALL),
    "3 exp(z) - 3": (3 * sp.exp(z) - 3, lambda x: 3 * mp.expm1(x), lambda x: 3 * mp.exp(x), SMALL),
    "log(1 + z)": (sp.log(1 + z), mp.log1p, lambda x: 1 / (1 + x), SMALL),
    "log(1 - z)": (sp.log(1 - z), lambda x: mp.log1p(-x), lambda x: -1 / (1 - x), SMALL),
    "z log z": (z * sp.log(z), lambda x: x * mp.log(x), lambda x: 1 + mp.log(x), (1e-300, 1e-20, 0.5, 1.0, 30.0)),
    "entropy": (
        -z * sp.log(z) - (1 - z) * sp.log(1 - z),
        lambda x: -x * mp.log(x) - (1 - x) * mp.log1p(-x),
        lambda x: mp.log1p(-x) - mp.log(x),
        (1e-300, 1e-20, 0.25, 0.75),
    ),
    "tanh": (sp.tanh(z), mp.tanh, lambda x: mp.sech(x) ** 2, (0.0, 1e-300, 1e-20, -1e-8, 0.5)),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_cancellation(name: str) -> None:
    """exp(1e-20) - 1 = 0, and functions that overflow on the way to a number of normal size."""
    e, value, slope, at = CANCELLING[name]
    with mp.workdps(400):  # enough for 1 + 1e-300
        cases = [({z: x}, {}, value(mp.mpf(x)), [slope(mp.mpf(x))]) for x in at]
    check(sd.Loss(e, z), cases)


def test_x_log_x_at_zero() -> None:
    """0 log 0 is 0: entropies of one-hot distributions, and targets that are exactly 0."""
    for loss, at in ((sd.Loss(z * sp.log(z), z), {}), (sd.Loss(y * sp.log(y) * z, z), {"y": 0.0})):
        assert loss.compile().value(0.0, at) == 0.0
        assert loss.lambdify().value(0.0, *at.values()) == 0.0
    assert sd.Loss(z * sp.log(z), z).compile().gradient(0.0)[z] == -math.inf
    assert sd.Loss(y * sp.log(y) * z, z).compile().gradient(3.0, {"y": 0.0})[z] == 0.0


def test_slopes_of_powers_at_zero() -> None:
    """0**p is 0 for every p > 0, so that its slope by p is 0, not 0 * log 0; and x**2 has slope 0 at 0 for p = 2."""
    loss = sd.Loss(z**s, [z, s])
    for p, slope in ((2.0, 0.0), (1.0, 1.0), (3.5, 0.0)):
        gradient = loss.compile().gradient({z: 0.0, s: p})
        assert gradient == {z: slope, s: 0.0}
        assert loss.lambdify().gradient(0.0, p) == (slope, 0.0)
    for e in (z**2, z**3 + z**2 * s, sp.Abs(z) ** 2):
        assert sd.Loss(e, z).compile().gradient(0.0, {s: 1.0})[z] == 0.0
    assert sd.Loss(sp.sqrt(z), z).compile().gradient(0.0)[z] == math.inf
    assert math.isnan(sd.Loss(z**s, z).compile().value(-1.5, {s: 0.5}))


def test_second_derivatives_of_logistic_losses() -> None:
    """p (1 - p) at logits of 30, where p rounds to 1."""
    with mp.workdps(DIGITS):
        for e in (sd.softplus(z), sp.log(1 + sp.exp(z)), -sp.log(sd.sigmoid(-z))):
            compiled = sd.Loss(e, z).compile()
            for x in LOGITS:
                found = compiled.hessian_vector_product(x, 1.0)[z]
                exact = sigmoid(mp.mpf(x)) * sigmoid(-mp.mpf(x))
                assert ulps(found, exact) <= 2 * ULPS, f"{found!r}, not {mp.nstr(exact, 18)} at {x} for {e}"


def test_mean_of_stable_losses_is_stable() -> None:
    """The sum over samples is accumulated in double precision, also of float32 data."""
    x, w = sp.IndexedBase("x", shape=(n,)), sp.Symbol("w")
    compiled = sd.Loss(sp.Sum(sp.log(1 + sp.exp(-w * x[i])), (i, 0, n - 1)) / n, w).compile()
    data = np.array(LOGITS, dtype=np.float32)
    with mp.workdps(DIGITS):
        exact = mp.fsum(softplus(-mp.mpf(float(number))) for number in data) / len(data)
        slope = mp.fsum(-mp.mpf(float(number)) * sigmoid(-mp.mpf(float(number))) for number in data) / len(data)
    value, gradient = compiled.value_and_gradient(1.0, {x: data})
    assert ulps(value, exact) <= ULPS and ulps(gradient[w], slope) <= ULPS

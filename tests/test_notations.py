"""Losses in every notation against NumPy written by hand, and against an evaluator that shares nothing with us.

`Oracle` computes a SymPy expression in 50 digits by looping over its sums; differences of it are exact to far below
double rounding. Four witnesses face it: the loops that Numba compiles (mostly run as plain Python, which costs no
compilation), the NumPy functions, the gradient as SymPy shows it, and the Hessian-vector product.
"""

from __future__ import annotations

import operator
import random
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagMatrix, DiagonalOf
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

import symdescent as sd
from symdescent import kernels, losses
from symdescent.graph import reachable

Base, Sum, Product, Mat, Tr = sp.IndexedBase, sp.Sum, sp.Product, sp.MatrixSymbol, sp.Trace
n, d, K, H, G, p = sp.symbols("n d K H G p", integer=True, positive=True)
i, j, k, l, m = sp.symbols("i j k l m", integer=True)  # noqa: E741
a, b, lam, q = sp.symbols("a b lambda q")
s = sp.Symbol("s", positive=True)


# -- the independent evaluator ----------------------------------------------------------------------------------------

NAN = mp.mpf("nan")
RELATIONS = {
    sp.Eq: operator.eq,
    sp.Ne: operator.ne,
    sp.Lt: operator.lt,
    sp.Le: operator.le,
    sp.Gt: operator.gt,
    sp.Ge: operator.ge,
}


def power(base: Any, exponent: Any) -> Any:
    if exponent == int(exponent):
        return mp.inf if base == 0 and exponent < 0 else base ** int(exponent)
    return base**exponent if base >= 0 else NAN


def logarithm(x: Any, base: Any = mp.e) -> Any:
    return (mp.log(x) if x > 0 else -mp.inf if x == 0 else NAN) / mp.log(base)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(mp, name)
        for name in [
            "exp",
            "sin",
            "cos",
            "tan",
            "asin",
            "acos",
            "atan",
            "sinh",
            "cosh",
            "tanh",
            "asinh",
            "acosh",
            "atanh",
        ]
    },
    **{
        name: getattr(mp, name)
        for name in ["erf", "erfc", "gamma", "loggamma", "sign", "atan2", "cot", "sec", "csc", "coth", "sech", "csch"]
    },
    **{"floor": mp.floor, "ceiling": mp.ceil, "Mod": lambda x, y: x - y * mp.floor(x / y), "factorial": mp.factorial},
    **{"Abs": abs, "Max": max, "Min": min, "log": logarithm, "polygamma": lambda order, x: mp.psi(int(order), x)},
    "Heaviside": lambda x, at=0.5: mp.mpf(x > 0) if x != 0 else mp.mpf(at),
    "KroneckerDelta": lambda x, y: mp.mpf(x == y),
    "sigmoid": lambda x: 1 / (1 + mp.exp(-x)),
    "softplus": lambda x: mp.log(1 + mp.exp(x)),
    "relu": lambda x: max(x, mp.mpf(0)),
    "logsumexp": lambda *parts: mp.log(sum(map(mp.exp, parts))),
    "softmax": lambda *parts: mp.exp(parts[0]) / sum(map(mp.exp, parts)),
}


def exactly(value: Any) -> Any:
    """Numbers of 50 digits: one, or an array of them."""
    if np.ndim(value) == 0:
        return value if isinstance(value, mp.mpf) else mp.mpf(float(value))
    return np.vectorize(exactly, otypes=[object])(np.asarray(value))


@cache
def free_symbols(e: Any) -> frozenset[Any]:
    """As SymPy has them for sums, where it takes seconds."""
    if isinstance(e, sp.Symbol):
        return frozenset({e})
    if not isinstance(e, (Sum, Product)):
        return frozenset().union(*map(free_symbols, e.args))
    found = free_symbols(e.function)
    for index, *bounds in e.limits:  # the innermost first
        found = (found - {index}).union(*map(free_symbols, bounds))
    return found


class Oracle:
    """The value of expressions at given values of symbols and arrays, computed with mpmath by looping over sums."""

    def __init__(self, values: Mapping[Any, Any], first_index: int = 0) -> None:
        self.values = {symbol: exactly(value) for symbol, value in values.items()}
        self.first = first_index
        self.known: dict[Any, Any] = {}
        for symbol, value in list(self.values.items()):
            if isinstance(symbol, sp.MatrixSymbol) and value.ndim == 1:
                self.values[symbol] = value[:, None] if symbol.shape[1] == 1 else value[None, :]
            for length, found in zip(getattr(symbol, "shape", None) or (), np.shape(self.values[symbol]), strict=False):
                if length.is_Symbol:
                    self.values.setdefault(length, mp.mpf(found))

    def __call__(self, e: Any, bound: Mapping[Any, Any] | None = None) -> Any:
        return self.scalar(sp.sympify(e), bound or {})

    def scalar(self, e: Any, bound: Mapping[Any, Any]) -> Any:
        if e in bound:
            return bound[e]
        if getattr(e, "is_Matrix", False):
            matrix = self.matrix(e, bound)
            assert matrix.shape == (1, 1), f"{e} is no number"
            return matrix[0, 0]
        if e.is_Rational:
            return mp.mpf(int(e.p)) / int(e.q)
        if e.is_Symbol:
            return self.values[e]
        if not e.args and e.is_number:
            return {sp.pi: +mp.pi, sp.E: +mp.e, sp.nan: NAN}.get(e) or mp.mpf(float(e))
        if isinstance(e, (Sum, Product)):
            free = free_symbols(e)
            key = e, tuple((symbol, value) for symbol, value in bound.items() if symbol in free)
            if key not in self.known:
                self.known[key] = self.reduce(e.function, e.limits, bound, mp.mpf(isinstance(e, Product)))
            return self.known[key]
        if isinstance(e, sp.Indexed):
            array = self.values[e.base]
            place = tuple(int(self.scalar(part, bound)) - self.first for part in e.indices)
            inside = all(0 <= at < length for at, length in zip(place, array.shape, strict=True))
            assert inside, f"{e} is out of range at {place}"
            return array[place]
        if isinstance(e, MatrixElement):
            place = int(self.scalar(e.i, bound)), int(self.scalar(e.j, bound))
            assert min(place) >= 0
            return self.matrix(e.parent, bound)[place]
        if isinstance(e, sp.Piecewise):
            return next((self.scalar(value, bound) for value, holds in e.args if self.holds(holds, bound)), NAN)
        if isinstance(e, sp.Trace):
            return sum(np.diag(self.matrix(e.arg, bound)), mp.mpf(0))
        if isinstance(e, sp.DotProduct):
            left, right = (self.matrix(part, bound).ravel() for part in e.args)
            return sum(left * right, mp.mpf(0))
        args = [self.scalar(part, bound) for part in e.args]
        if e.is_Add:
            return sum(args, mp.mpf(0))
        if e.is_Mul:
            return mp.fprod(args)
        if e.is_Pow:
            return mp.exp(args[1]) if e.base is sp.E else power(*args)
        return FUNCTIONS[e.func.__name__](*args)

    def reduce(self, body: Any, limits: Sequence[Any], bound: Mapping[Any, Any], neutral: Any) -> Any:
        if not limits:
            return self.scalar(body, bound)
        index, first, last = limits[-1]
        total = neutral
        for place in range(int(self.scalar(first, bound)), int(self.scalar(last, bound)) + 1):
            term = self.reduce(body, limits[:-1], {**bound, index: mp.mpf(place)}, neutral)
            total = total * term if neutral else total + term
        return total

    def holds(self, condition: Any, bound: Mapping[Any, Any]) -> bool:
        if condition in (sp.true, sp.false):
            return bool(condition)
        if type(condition) in RELATIONS:
            left, right = self.scalar(condition.lhs, bound), self.scalar(condition.rhs, bound)
            return bool(RELATIONS[type(condition)](left, right))
        parts = [self.holds(part, bound) for part in condition.args]
        if isinstance(condition, sp.ITE):
            return parts[1] if parts[0] else parts[2]
        return {sp.And: all, sp.Or: any, sp.Not: lambda inner: not inner[0]}[condition.func](parts)

    def filled(self, e: Any, bound: Mapping[Any, Any], entry: Callable[[int, int], Any]) -> Any:
        rows, columns = (int(self.scalar(sp.sympify(length), bound)) for length in e.shape)
        return np.array([[entry(r, c) for c in range(columns)] for r in range(rows)], dtype=object).reshape(
            rows, columns
        )

    def matrix(self, e: Any, bound: Mapping[Any, Any]) -> Any:
        parts = [self.matrix(part, bound) for part in e.args if getattr(part, "is_Matrix", False)]
        scalars = (
            [self.scalar(part, bound) for part in e.args if isinstance(part, sp.Expr) and not part.is_Matrix]
            if isinstance(e, (sp.MatMul, HadamardPower, sp.MatPow))
            else []
        )
        if isinstance(e, sp.MatrixSymbol):
            return self.values[e]
        if isinstance(e, sp.MatrixBase):
            return self.filled(e, bound, lambda row, column: self.scalar(e[row, column], bound))
        if isinstance(e, sp.FunctionMatrix):
            row, column = e.lamda.variables
            entry = lambda r, c: self.scalar(e.lamda.expr, {**bound, row: mp.mpf(r), column: mp.mpf(c)})  # noqa: E731
            return self.filled(e, bound, entry)
        if isinstance(e, (OneMatrix, ZeroMatrix)):
            return self.filled(e, bound, lambda row, column: mp.mpf(isinstance(e, OneMatrix)))
        if isinstance(e, sp.Identity):
            return self.filled(e, bound, lambda row, column: mp.mpf(row == column))
        if isinstance(e, sp.MatAdd):
            return sum(parts[1:], parts[0])
        if isinstance(e, sp.MatMul):
            product = parts[0]
            for part in parts[1:]:
                product = product.dot(part)
            return mp.fprod(scalars) * product
        if isinstance(e, (sp.Transpose, sp.Adjoint)):
            return parts[0].T
        if isinstance(e, sp.HadamardProduct):
            product = parts[0]
            for part in parts[1:]:
                product = product * part
            return product
        if isinstance(e, HadamardPower) or (isinstance(e, sp.MatPow) and parts[0].shape == (1, 1)):
            return np.vectorize(lambda entry: power(entry, scalars[0]), otypes=[object])(parts[0])
        if isinstance(e, sp.MatPow):
            return np.linalg.matrix_power(parts[0], int(scalars[0]))
        if isinstance(e, ElementwiseApplyFunction):
            x = sp.Dummy() if not isinstance(e.function, sp.Lambda) else e.function.variables[0]
            body = e.function.expr if isinstance(e.function, sp.Lambda) else e.function(x)
            apply = np.vectorize(lambda entry: self.scalar(body, {**bound, x: entry}), otypes=[object])
            return apply(self.matrix(e.expr, bound))
        if isinstance(e, DiagMatrix):
            return self.filled(e, bound, lambda row, column: parts[0].ravel()[row] if row == column else mp.mpf(0))
        if isinstance(e, DiagonalOf):
            return np.diag(parts[0])[:, None]
        if isinstance(e, MatrixSlice):
            ends = [[int(self.scalar(sp.sympify(end), bound)) for end in axis] for axis in (e.rowslice, e.colslice)]
            return self.matrix(e.parent, bound)[slice(*ends[0]), slice(*ends[1])]
        shares = np.vectorize(mp.exp, otypes=[object])(parts[0])
        totals = shares.sum(axis=0 if e.arg.shape[1] == 1 else 1, keepdims=True)
        by_name = {"RowSoftmax": shares / totals, "RowLogSumExp": np.vectorize(mp.log, otypes=[object])(totals)}
        return by_name[e.func.__name__]


@pytest.fixture(autouse=True)
def many_digits() -> Iterator[None]:
    with mp.workdps(50):
        yield


def value_of(loss: sd.Loss, values: Mapping[Any, Any]) -> Any:
    """The loss by the oracle, also of per-sample losses."""
    statement = loss.statement
    if not loss.samples:
        return Oracle(values, statement.first_index)(loss.expression)
    count = len(values[loss.samples[0]])
    single = ({x: y[row] if x in loss.samples else y for x, y in values.items()} for row in range(count))
    total = sum(Oracle(one, statement.first_index)(loss.expression) for one in single)
    return total / count if statement.reduction == "mean" else total


def shifted(values: Mapping[Any, Any], parameter: Any, place: tuple[int, ...], step: Any) -> dict[Any, Any]:
    moved = exactly(values[parameter])
    if place:
        moved = moved.copy()
        moved[place] = moved[place] + step
        return {**values, parameter: moved}
    return {**values, parameter: moved + step}


def slopes_of(loss: sd.Loss, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The gradient by central differences in 50 digits, which are right to about 30."""
    found, step = {}, mp.mpf(10) ** -16
    for parameter in loss.parameters:
        found[parameter] = np.zeros(np.shape(values[parameter]))
        for place in np.ndindex(found[parameter].shape):
            ahead, behind = (value_of(loss, shifted(values, parameter, place, h)) for h in (step, -step))
            found[parameter][place] = float((ahead - behind) / (2 * step))
    return found


def curvature_of(loss: sd.Loss, values: Mapping[Any, Any], along: Mapping[Any, Any]) -> dict[Any, Any]:
    """The Hessian times a direction, by differences of differences."""
    step = mp.mpf(10) ** -12
    slopes = []
    for h in (step, -step):
        moved = {**values, **{x: exactly(values[x]) + h * exactly(along[x]) for x in loss.parameters}}
        slopes.append(exact_slopes(loss, moved, step))
    return {x: np.asarray((slopes[0][x] - slopes[1][x]) / (2 * step), dtype=float) for x in loss.parameters}


def exact_slopes(loss: sd.Loss, values: Mapping[Any, Any], step: Any) -> dict[Any, Any]:
    found = {}
    for parameter in loss.parameters:
        found[parameter] = np.zeros(np.shape(values[parameter]), dtype=object)
        for place in np.ndindex(found[parameter].shape):
            ahead, behind = (value_of(loss, shifted(values, parameter, place, h)) for h in (step, -step))
            found[parameter][place] = (ahead - behind) / (2 * step)
    return found


def read_off(loss: sd.Loss, gradient: Any, values: Mapping[Any, Any]) -> dict[Any, Any]:
    """The numbers of a gradient as SymPy shows it, by the oracle."""
    values, statement = dict(values), loss.statement
    for sample, array in statement.arrays.items():
        values[array] = values.pop(sample)
        values[statement.sample_count] = len(values[array])
    oracle = Oracle(values, statement.first_index)
    found = {}
    for parameter, shown in gradient.items():
        shape = np.shape(values[parameter])
        if isinstance(parameter, sp.MatrixSymbol):
            found[parameter] = oracle.matrix(shown, {}).astype(float).reshape(shape)
            continue
        keys = gradient.indices.get(parameter, ())
        found[parameter] = np.zeros(shape)
        for place in np.ndindex(shape):
            here = {key: mp.mpf(at + statement.first_index) for key, at in zip(keys, place, strict=True)}
            found[parameter][place] = float(oracle(shown, here))
    return found


# -- the package's witnesses ------------------------------------------------------------------------------------------


def run_as_python(source: str) -> types.ModuleType:
    """A generated module without Numba."""
    module = types.ModuleType("generated")
    assert "from numba import njit\n" in source
    plain = source.replace("from numba import njit\n", "def njit(**options):\n    return lambda function: function\n")
    exec(compile(plain, "<generated>", "exec"), module.__dict__)
    return module


@pytest.fixture
def in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run generated loops as plain Python."""
    monkeypatch.setattr(kernels, "load", run_as_python)


def close(found: Any, expected: Any, tolerance: float, scale: float = 0.0) -> None:
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    assert found.shape == expected.shape
    size = max(float(np.max(np.abs(expected), initial=0.0)), scale, 1e-3)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def split(loss: sd.Loss, values: Mapping[Any, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    params = {x: values[x] for x in loss.parameters}
    return params, {x: y for x, y in values.items() if x not in params}


def name_of(thing: Any) -> str:
    return str(getattr(thing, "name", thing))


def agree(
    loss: sd.Loss, values: Mapping[Any, Any], *, tolerance: float = 1e-11, second: bool = True, reading: bool = True
) -> None:
    """All witnesses against the oracle."""
    params, data = split(loss, values)
    value, slopes = float(value_of(loss, values)), slopes_of(loss, values)
    compiled = loss.compile()
    found, gradient = compiled.value_and_gradient(params, data)
    close(found, value, tolerance)
    close(compiled.value(params, data), value, tolerance)
    by_name = {name_of(x): y for x, y in values.items()}
    arrays = loss.lambdify()
    close(arrays.value(**by_name), value, tolerance)
    results = arrays.gradient(**by_name)
    results = results if len(params) > 1 else (results,)
    shown = read_off(loss, loss.gradient, values) if reading else slopes
    for parameter, result in zip(params, results, strict=True):
        for witness in (gradient[parameter], result, shown[parameter]):
            close(witness, slopes[parameter], tolerance)
    if second:
        generator = np.random.default_rng(7)
        along = {x: generator.normal(size=np.shape(y)) for x, y in params.items()}
        curved = curvature_of(loss, values, along)
        product = compiled.hessian_vector_product(params, along, data)
        for parameter in params:
            close(product[parameter], curved[parameter], 100 * tolerance)


# -- the four regressions, in every notation --------------------------------------------------------------------------

N, D, C = 4, 2, 3
generator = np.random.default_rng(20240607)
INPUT = np.round(generator.normal(size=(N, D)), 3)
TARGET = np.round(generator.normal(size=N), 3)
SIGN = np.array([1.0, -1.0, -1.0, 1.0])
CLASS = np.array([2, 0, 1, 2])
ONE_HOT = np.eye(C)[CLASS]
LAMBDA = 0.37


def numpy_linear(model: str, theta: Any) -> tuple[float, Any]:
    """Value and gradient of the linear models, by hand; theta is (w, b)."""
    w, bias = theta[:D], theta[D]
    f = INPUT @ w + bias
    if model == "logistic":
        value, slope = np.mean(np.logaddexp(0, -SIGN * f)), -SIGN / (1 + np.exp(SIGN * f))
    else:
        value, slope = np.mean((TARGET - f) ** 2), 2 * (f - TARGET)
    gradient = np.append(INPUT.T @ slope, slope.sum()) / N
    if model == "ridge":
        value, gradient[:D] = value + LAMBDA * w @ w, gradient[:D] + 2 * LAMBDA * w
    return value, gradient


def numpy_softmax(theta: Any) -> tuple[float, Any]:
    """Value and gradient of softmax regression; theta is (W row by row, b)."""
    z = INPUT @ theta[: D * C].reshape(D, C) + theta[D * C :]
    total = np.log(np.exp(z).sum(axis=1, keepdims=True))
    residual = (np.exp(z - total) - ONE_HOT) / N
    return -np.sum(ONE_HOT * (z - total)) / N, np.append(INPUT.T @ residual, residual.sum(axis=0))


def by_hand(model: str, theta: Any) -> tuple[float, Any]:
    return numpy_softmax(theta) if model == "softmax" else numpy_linear(model, theta)


@dataclass
class Stated:
    """A loss, its data, and for each parameter the places of its entries in theta."""

    loss: sd.Loss
    data: dict[Any, Any]
    layout: dict[Any, Any]
    scale: float = 1.0

    def values(self, theta: Any) -> dict[Any, Any]:
        return {x: theta[places] for x, places in self.layout.items()} | self.data

    def flat(self, gradient: Mapping[Any, Any], size: int) -> tuple[Any, Any]:
        """The gradient in the places of theta, and which of them it has."""
        result, present = np.zeros(size), np.zeros(size, dtype=bool)
        for x, places in self.layout.items():
            result[places], present[places] = np.reshape(gradient[x], np.shape(places)), True
        return result, present


Point = Callable[[Any, Any], Any]  # the loss of one sample, of its target and prediction
ONE_SAMPLE: dict[str, dict[str, Point]] = {
    "least squares": {"square": lambda t, f: (t - f) ** 2, "sd.losses": losses.squared},
    "ridge": {"square": lambda t, f: (t - f) ** 2, "sd.losses": losses.squared},
    "logistic": {
        "log": lambda t, f: sp.log(1 + sp.exp(-t * f)),
        "sd.losses": losses.logistic,
        "softplus": lambda t, f: sd.softplus(-t * f),
        "-log sigmoid": lambda t, f: -sp.log(sd.sigmoid(t * f)),
        "fraction": lambda t, f: -sp.log(1 / (1 + sp.exp(-t * f))),
        "labels 0 and 1": lambda t, f: -(1 + t) / 2 * sp.log(sd.sigmoid(f)) - (1 - t) / 2 * sp.log(1 - sd.sigmoid(f)),
    },
}
W_PLACES, B_PLACE = np.arange(D), D
w0, w1, x0, x1, y = sp.symbols("w0 w1 x0 x1 y")
X_, y_, w_ = Base("X", shape=(n, d)), Base("y", shape=(n,)), Base("w", shape=(d,))
A, v, t = Mat("A", n, d), Mat("v", d, 1), Mat("t", n, 1)


def labels(model: str) -> Any:
    return SIGN if model == "logistic" else TARGET


def stated(
    loss: Any,
    parameters: Any,
    data: dict[Any, Any],
    layout: dict[Any, Any],
    model: str,
    bias: Any = None,
    scale: float = 1.0,
    **options: Any,
) -> Stated:
    """Fill in what all linear models share: the bias and lambda."""
    if bias is not None:
        layout, parameters = {**layout, bias: B_PLACE}, [*parameters, bias]
    if model == "ridge":
        data = {**data, lam: LAMBDA}
    return Stated(sd.Loss(loss, parameters, **options), data, layout, scale)


def written_out(model: str, one: Point, bias: Any) -> Stated:
    """Every number and every weight by itself."""
    parts = [
        one(sp.Float(t), sp.Float(r[0]) * w0 + sp.Float(r[1]) * w1 + (bias or 0))
        for t, r in zip(labels(model), INPUT, strict=True)
    ]
    penalty = lam * (w0**2 + w1**2) if model == "ridge" else 0
    return stated(sp.Add(*parts) / N + penalty, [w0, w1], {}, {w0: 0, w1: 1}, model, bias)


def entries(model: str, one: Point, bias: Any) -> Stated:
    """Entries of arrays at numbered places."""
    parts = [one(y_[r], X_[r, 0] * w_[0] + X_[r, 1] * w_[1] + (bias or 0)) for r in range(N)]
    penalty = lam * (w_[0] ** 2 + w_[1] ** 2) if model == "ridge" else 0
    data = {X_: INPUT, y_: labels(model)}
    return stated(sp.Add(*parts) / N + penalty, [w_], data, {w_: W_PLACES}, model, bias)


def scalar_samples(model: str, one: Point, bias: Any, reduction: str = "mean") -> Stated:
    penalty = losses.l2([w0, w1]) * lam if model == "ridge" else 0
    loss = one(y, w0 * x0 + w1 * x1 + (bias or 0)) + penalty
    data = {x0: INPUT[:, 0], x1: INPUT[:, 1], y: labels(model)}
    scale = 1.0 if reduction == "mean" else N
    return stated(loss, [w0, w1], data, {w0: 0, w1: 1}, model, bias, scale, samples=[x0, x1, y], reduction=reduction)


def summed_samples(model: str, one: Point, bias: Any) -> Stated:
    return scalar_samples(model, one, bias, "sum")


def matrix_samples(model: str, one: Point, bias: Any) -> Stated:
    x = Mat("x", d, 1)
    prediction = sp.DotProduct(x, v) if bias is None else (v.T * x)[0, 0] + bias
    penalty = lam * Tr(v.T * v) if model == "ridge" else 0
    data = {x: INPUT, y: labels(model)}
    return stated(one(y, prediction) + penalty, [v], data, {v: W_PLACES}, model, bias, samples=[x, y])


def indexed_samples(model: str, one: Point, bias: Any) -> Stated:
    x = Base("x", shape=(d,))
    prediction = Sum(x[j] * w_[j], (j, 0, d - 1)) + (bias or 0)
    penalty = lam * losses.l2(w_) if model == "ridge" else 0
    return stated(
        one(y, prediction) + penalty, [w_], {x: INPUT, y: labels(model)}, {w_: W_PLACES}, model, bias, samples=[x, y]
    )


def indexed(model: str, one: Point, bias: Any, first: int = 0) -> Stated:
    prediction = Sum(X_[i, j] * w_[j], (j, first, d - 1 + first)) + (bias or 0)
    penalty = lam * losses.l2(w_, first_index=first) if model == "ridge" else 0
    loss = Sum(one(y_[i], prediction), (i, first, n - 1 + first)) / n + penalty
    data = {X_: INPUT, y_: labels(model)}
    return stated(loss, [w_], data, {w_: W_PLACES}, model, bias, first_index=first)


def indexed_from_one(model: str, one: Point, bias: Any) -> Stated:
    return indexed(model, one, bias, 1)


def undeclared_shapes(model: str, one: Point, bias: Any) -> Stated:
    X, Y, w = Base("X"), Base("y"), Base("w")
    loss = Sum(one(Y[i], Sum(X[i, j] * w[j], (j, 0, d - 1)) + (bias or 0)), (i, 0, n - 1)) / n
    penalty = lam * Sum(w[k] ** 2, (k, 0, d - 1)) if model == "ridge" else 0
    return stated(loss + penalty, [w], {X: INPUT, Y: labels(model)}, {w: W_PLACES}, model, bias)


def as_matrices(make: Callable[[Any], Any]) -> Callable[[str, Any], Stated]:
    """A matrix notation from a function of the predictions."""

    def build(model: str, bias: Any) -> Stated:
        loss = make(A * v if bias is None else A * v + bias * OneMatrix(n, 1))
        loss = loss + lam * Tr(v.T * v) if model == "ridge" else loss
        return stated(loss, [v], {A: INPUT, t: labels(model)}, {v: W_PLACES}, model, bias)

    return build


GENERAL = {
    make.__name__.replace("_", " "): make
    for make in (
        written_out,
        entries,
        scalar_samples,
        summed_samples,
        matrix_samples,
        indexed_samples,
        indexed,
        indexed_from_one,
        undeclared_shapes,
    )
}
z_ = sp.Symbol("z", real=True)
ones = OneMatrix(1, n)
SQUARES: dict[str, Callable[[Any], Any]] = {
    "r.T*r": lambda f: Tr((f - t).T * (f - t)) / n,
    "Trace(r*r.T)": lambda f: Tr((t - f) * (t - f).T) / n,
    "DotProduct": lambda f: sp.DotProduct(f - t, f - t) / n,
    "applyfunc": lambda f: Tr(ones * (f - t).applyfunc(sp.Lambda(z_, z_**2))) / n,
    "HadamardPower": lambda f: Tr(ones * HadamardPower(t - f, 2)) / n,
    "sum of elements": lambda f: Sum((t[i, 0] - f[i, 0]) ** 2, (i, 0, n - 1)) / n,
    "sd.losses matrix": lambda f: losses.squared(t, f),
}
MARGINS: dict[str, Callable[[Any], Any]] = {
    "applyfunc softplus": lambda f: Tr(ones * (-sp.HadamardProduct(t, f)).applyfunc(sd.softplus)) / n,
    "applyfunc log": lambda f: (
        Tr(ones * (-sp.HadamardProduct(t, f)).applyfunc(sp.Lambda(z_, sp.log(1 + sp.exp(z_))))) / n
    ),
    "sum of elements": lambda f: Sum(sp.log(1 + sp.exp(-t[i, 0] * f[i, 0])), (i, 0, n - 1)) / n,
    "diag": lambda f: Tr(ones * (-(DiagMatrix(t) * f)).applyfunc(sd.softplus)) / n,
    "sd.losses matrix": lambda f: losses.logistic(t, f),
}
LINEAR: dict[tuple[str, str], Callable[[], Stated]] = {}
SHORT = {"scalar samples": scalar_samples, "indexed": indexed}
for _model, _forms in ONE_SAMPLE.items():
    for _number, (_form, _one) in enumerate(_forms.items()):
        for _name, _make in (SHORT if _number else GENERAL).items():  # every form, the first in every notation
            LINEAR[_model, f"{_name}, {_form}"] = partial(_make, _model, _one, None if _number % 2 else b)
    for _number, (_name, _matrix) in enumerate((MARGINS if _model == "logistic" else SQUARES).items()):
        LINEAR[_model, _name] = partial(as_matrices(_matrix), _model, None if _number % 2 else b)
LINEAR["least squares", "r.T*r, a 1x1 matrix"] = lambda: stated(
    (A * v - t).T * (A * v - t) / n, [v], {A: INPUT, t: TARGET}, {v: W_PLACES}, "least squares"
)
LINEAR["ridge", "1x1 matrices"] = lambda: stated(
    (A * v - t).T * (A * v - t) / n + lam * v.T * v, [v], {A: INPUT, t: TARGET}, {v: W_PLACES}, "ridge"
)
LINEAR["ridge", "sd.losses matrix and l2"] = lambda: stated(
    losses.squared(t, A * v) + lam * losses.l2(v), [v], {A: INPUT, t: TARGET}, {v: W_PLACES}, "ridge"
)


# softmax regression

W2, b2, c_, O_ = Base("W", shape=(d, K)), Base("b", shape=(K,)), Base("c", shape=(n,)), Base("O", shape=(n, K))
MATRIX_PLACES, BIAS_PLACES = np.arange(D * C).reshape(D, C), D * C + np.arange(C)
weights = sp.symbols("w00 w01 w02 w10 w11 w12")
biases = sp.symbols("b0 b1 b2")
Bm, bm, Tm, cm = Mat("B", d, K), Mat("b", K, 1), Mat("T", n, K), Mat("c", n, 1)


def score(row: Any, column: Any, bias: bool = True, first: int = 0) -> Any:
    return Sum(X_[row, j] * W2[j, column], (j, first, d - 1 + first)) + (b2[column] if bias else 0)


def softmax_indexed(make: Callable[[Any], Any], one_hot: bool, bias: bool, first: int = 0) -> Stated:
    loss = Sum(make(lambda row, column: score(row, column, bias, first)), (i, first, n - 1 + first)) / n
    data = {X_: INPUT, **({O_: ONE_HOT} if one_hot else {c_: CLASS + first})}
    layout = {W2: MATRIX_PLACES, **({b2: BIAS_PLACES} if bias else {})}
    return Stated(sd.Loss(loss, list(layout), first_index=first), data, layout)


def log_total(z: Any, first: int = 0) -> Any:
    return sp.log(Sum(sp.exp(z(i, l)), (l, first, K - 1 + first)))


def softmax_scalars(one_hot: bool, written: bool) -> Stated:
    """Three scores of two features, in scalars; over samples, or written out for given data."""
    layout = {x: place for place, x in enumerate((*weights, *biases))}

    def scores(row: Any) -> list[Any]:
        return [row[0] * weights[c] + row[1] * weights[C + c] + biases[c] for c in range(C)]

    if written:
        cost = [
            losses.cross_entropy(scores(list(map(sp.Float, row))), int(c)) for row, c in zip(INPUT, CLASS, strict=True)
        ]
        return Stated(sd.Loss(sp.Add(*cost) / N, list(layout)), {}, layout)
    if one_hot:
        target = list(sp.symbols("y0:3"))
        data = {x: ONE_HOT[:, c] for c, x in enumerate(target)}
    else:
        target = sp.Symbol("c", integer=True)
        data = {target: CLASS}
    data |= {x0: INPUT[:, 0], x1: INPUT[:, 1]}
    loss = losses.cross_entropy(scores([x0, x1]), target)
    return Stated(sd.Loss(loss, list(layout), samples=list(data)), data, layout)


def softmax_samples(kind: str) -> Stated:
    x, c = Base("x", shape=(d,)), sp.Symbol("c", integer=True)
    if kind == "indexed":
        z = Sum(x[j] * W2[j, k], (j, 0, d - 1)) + b2[k]
        loss = losses.cross_entropy(z, c, (k, 0, K - 1))
        return Stated(
            sd.Loss(loss, [W2, b2], samples=[x, c]), {x: INPUT, c: CLASS}, {W2: MATRIX_PLACES, b2: BIAS_PLACES}
        )
    x, B, target = Mat("x", d, 1), Mat("B", K, d), Mat("y", K, 1)
    layout = {B: MATRIX_PLACES.T, bm: BIAS_PLACES}
    if kind == "matrix class":
        return Stated(
            sd.Loss(losses.cross_entropy(B * x + bm, c), [B, bm], samples=[x, c]), {x: INPUT, c: CLASS}, layout
        )
    loss = losses.cross_entropy(B * x + bm, target)
    return Stated(sd.Loss(loss, [B, bm], samples=[x, target]), {x: INPUT, target: ONE_HOT}, layout)


def softmax_matrices(make: Callable[[Any], Any], bias: bool, target: Any = Tm) -> Stated:
    z = A * Bm + OneMatrix(n, 1) * bm.T if bias else A * Bm
    data = {A: INPUT, target: ONE_HOT if target == Tm else CLASS}
    layout = {Bm: MATRIX_PLACES, **({bm: BIAS_PLACES} if bias else {})}
    return Stated(sd.Loss(make(z), list(layout)), data, layout)


SOFTMAX: dict[str, Callable[[], Stated]] = {
    "written out": lambda: softmax_scalars(False, True),
    "scalar samples, class": lambda: softmax_scalars(False, False),
    "scalar samples, one-hot": lambda: softmax_scalars(True, False),
    "indexed samples": lambda: softmax_samples("indexed"),
    "matrix samples, one-hot": lambda: softmax_samples("matrix"),
    "matrix samples, class": lambda: softmax_samples("matrix class"),
    "log total minus entry": lambda: softmax_indexed(lambda z: log_total(z) - z(i, c_[i]), False, True),
    "no bias": lambda: softmax_indexed(lambda z: log_total(z) - z(i, c_[i]), False, False),
    "log of the share": lambda: softmax_indexed(
        lambda z: -sp.log(sp.exp(z(i, c_[i])) / Sum(sp.exp(z(i, l)), (l, 0, K - 1))), False, True
    ),
    "sd.softmax over an index": lambda: softmax_indexed(
        lambda z: -sp.log(sd.softmax(z(i, k), (k, 0, K - 1), c_[i])), False, True
    ),
    "sd.losses class": lambda: softmax_indexed(
        lambda z: losses.cross_entropy(z(i, k), c_[i], (k, 0, K - 1)), False, True
    ),
    "sd.losses one-hot": lambda: softmax_indexed(
        lambda z: losses.cross_entropy(z(i, k), O_[i, k], (k, 0, K - 1)), True, True
    ),
    "one-hot, outside the sum": lambda: softmax_indexed(
        lambda z: log_total(z) - Sum(O_[i, k] * z(i, k), (k, 0, K - 1)), True, True
    ),
    "one-hot, log of the share": lambda: softmax_indexed(
        lambda z: -Sum(O_[i, k] * sp.log(sp.exp(z(i, k)) / Sum(sp.exp(z(i, l)), (l, 0, K - 1))), (k, 0, K - 1)),
        True,
        False,
    ),
    "from one": lambda: softmax_indexed(lambda z: log_total(z, 1) - z(i, c_[i]), False, True, 1),
    "Trace of log softmax": lambda: softmax_matrices(lambda z: -Tr(Tm.T * sd.softmax(z).applyfunc(sp.log)) / n, True),
    "logsumexp of rows": lambda: softmax_matrices(lambda z: (Tr(ones * sd.logsumexp(z)) - Tr(Tm.T * z)) / n, False),
    "sd.losses matrix": lambda: softmax_matrices(lambda z: losses.cross_entropy(z, Tm), True),
    "sd.losses classes in a column": lambda: softmax_matrices(lambda z: losses.cross_entropy(z, cm), False, cm),
}
EVERYTHING: dict[tuple[str, str], Callable[[], Stated]] = {**LINEAR, **{("softmax", x): y for x, y in SOFTMAX.items()}}


@cache
def notation(model: str, name: str) -> Stated:
    return EVERYTHING[model, name]()


def points(model: str, stated: Stated) -> list[Any]:
    """Random parameters; those that a statement does not have are zero."""
    size = D * C + C if model == "softmax" else D + 1
    present = stated.flat(stated.layout, size)[1]
    return [np.where(present, np.random.default_rng(seed).normal(size=size), 0.0) for seed in range(3)]


def compare(model: str, stated: Stated, theta: Any, value: Any, gradient: Any, tolerance: float = 1e-12) -> None:
    expected, slopes = by_hand(model, theta)
    close(value, stated.scale * expected, tolerance)
    flat, present = stated.flat(gradient, len(theta))
    close(flat[present], stated.scale * slopes[present], tolerance)


every_notation = pytest.mark.parametrize(("model", "name"), EVERYTHING, ids=lambda part: part)


@every_notation
def test_compiled_value_and_gradient_are_those_of_numpy(model: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A notation that is lowered to another loss, or scattered into the wrong entries."""
    stated = notation(model, name)
    if list(EVERYTHING).index((model, name)) % 2:  # compilation is most of the time that these tests take
        monkeypatch.setattr(kernels, "load", run_as_python)
    compiled = stated.loss.compile()
    for theta in points(model, stated):
        params, data = split(stated.loss, stated.values(theta))
        compare(model, stated, theta, *compiled.value_and_gradient(params, data))


@every_notation
def test_gradient_as_shown_is_that_of_numpy(model: str, name: str) -> None:
    """A gradient that is read back into SymPy with wrong bounds, factors, transposes or deltas."""
    stated = notation(model, name)
    theta = points(model, stated)[0]
    values = {**stated.values(theta), n: N, d: D}
    shown = read_off(stated.loss, stated.loss.gradient, values)
    compare(model, stated, theta, value_of(stated.loss, values), shown)
    assert not any(part.has(sp.Derivative) for part in stated.loss.gradient.values())


@every_notation
def test_numpy_functions_agree(model: str, name: str) -> None:
    """Axes that broadcast wrongly."""
    stated = notation(model, name)
    theta = points(model, stated)[1]
    by_name = {name_of(x): y for x, y in stated.values(theta).items()}
    value, gradient = stated.loss.lambdify()
    slopes = gradient(**by_name)
    slopes = slopes if len(stated.layout) > 1 else (slopes,)
    compare(model, stated, theta, value(**by_name), dict(zip(stated.loss.parameters, slopes, strict=True)))


@every_notation
@pytest.mark.usefixtures("in_python")
def test_hessian_vector_product_is_the_difference_of_numpy_gradients(model: str, name: str) -> None:
    """Second-order rules, softmax's among them, that miss a term."""
    stated = notation(model, name)
    theta = points(model, stated)[2]
    params, data = split(stated.loss, stated.values(theta))
    direction = np.random.default_rng(5).normal(size=len(theta))
    along = {x: direction[places] for x, places in stated.layout.items()}
    found, present = stated.flat(stated.loss.compile().hessian_vector_product(params, along, data), len(theta))
    direction, step = np.where(present, direction, 0.0), 1e-4
    at = [by_hand(model, theta + times * step * direction)[1] for times in (-2, -1, 1, 2)]
    expected = stated.scale * (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)
    close(found[present], expected[present], 1e-9)


@pytest.mark.parametrize(("model", "name"), [key for key in EVERYTHING if "samples" in key[1]], ids=lambda part: part)
def test_mean_of_sample_gradients_is_the_gradient(model: str, name: str) -> None:
    """A sample's gradient in other symbols than the user's, or with the mean's 1/n."""
    stated = notation(model, name)
    theta = points(model, stated)[0]
    values = stated.values(theta)
    one = stated.loss.sample_gradient
    assert not any(part.has(Sum) and part.has(n) for part in one.values())
    total: dict[Any, Any] = dict.fromkeys(stated.layout, 0.0)
    for row in range(N):
        single = {x: np.asarray(y)[row] if x in stated.loss.samples else y for x, y in values.items()}
        oracle = Oracle(single)
        for x, shown in one.items():
            if isinstance(x, sp.MatrixSymbol):
                part = oracle.matrix(shown, {}).astype(float).reshape(np.shape(values[x]))
            else:
                part = np.zeros(np.shape(values[x]))
                for place in np.ndindex(part.shape):
                    part[place] = float(
                        oracle(shown, dict(zip(one.indices.get(x, ()), map(mp.mpf, place), strict=True)))
                    )
            total[x] = total[x] + part / N
    flat, present = stated.flat(total, len(theta))
    close(flat[present], by_hand(model, theta)[1][present], 1e-12)


# -- readings that textbooks have -------------------------------------------------------------------------------------

w, x, c = sp.Symbol("w"), sp.Symbol("x"), Base("c", shape=(n,))
xs, ys = Base("x", shape=(n,)), Base("y", shape=(n,))
residual = y_[i] - Sum(X_[i, k] * w_[k], (k, 0, d - 1))
GOLDEN: dict[str, tuple[Callable[[], sd.Loss], str, Any]] = {
    "least squares, matrices": (lambda: sd.Loss((A * v - t).T * (A * v - t) / n, v), "v", 2 / n * A.T * (A * v - t)),
    "ridge, matrices": (
        lambda: sd.Loss((A * v - t).T * (A * v - t) / n + lam * v.T * v, v),
        "v",
        2 * lam * v + 2 / n * A.T * (A * v - t),
    ),
    "quadratic form": (lambda: sd.Loss(v.T * Mat("S", d, d) * v, v), "v", Mat("S", d, d) * v + Mat("S", d, d).T * v),
    "Frobenius": (lambda: sd.Loss(Tr((A * Bm - Tm).T * (A * Bm - Tm)), Bm), "B", 2 * A.T * (A * Bm - Tm)),
    "matrix factorisation": (
        lambda: sd.Loss(Tr((Tm - A * Bm).T * (Tm - A * Bm)), A),
        "A",
        sp.MatMul(2, A * Bm - Tm, Bm.T),
    ),
    "logsumexp": (lambda: sd.Loss(sd.logsumexp(A * v), v), "v", A.T * sd.softmax(A * v)),
    "scalar": (lambda: sd.Loss((w - 3) ** 2, w), "w", 2 * w - 6),
    "samples": (
        lambda: sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]),
        "w",
        -2 * Sum((ys[i] - w * xs[i] - b) * xs[i], (i, 0, n - 1)) / n,
    ),
    "indexed": (
        lambda: sd.Loss(Sum((y_[i] - Sum(X_[i, j] * w_[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n, w_),
        "w",
        -2 * Sum(residual * X_[i, j], (i, 0, n - 1)) / n,
    ),
    "from one": (
        lambda: sd.Loss(Sum((ys[i] - a * xs[i]) ** 2, (i, 1, n)) / n, a, first_index=1),
        "a",
        -2 * Sum((ys[i] - a * xs[i]) * xs[i], (i, 1, n)) / n,
    ),
    "Poisson regression": (
        lambda: sd.Loss(Sum(sp.exp(a * xs[i]) - ys[i] * a * xs[i], (i, 0, n - 1)) / n, a),
        "a",
        Sum((sp.exp(a * xs[i]) - ys[i]) * xs[i], (i, 0, n - 1)) / n,
    ),
    "difference chain": (
        lambda: sd.Loss(Sum((xs[i + 1] - xs[i]) ** 2, (i, 0, n - 2)), xs),
        "x",
        sp.Piecewise((2 * xs[i] - 2 * xs[i - 1], i >= 1), (0, True))
        + sp.Piecewise((-2 * xs[i + 1] + 2 * xs[i], i <= n - 2), (0, True)),
    ),
}


def expanded(expression: Any) -> Any:
    """The same for all ways to write a sum of products."""
    return sp.expand(expression.replace(Sum, lambda body, *limits: Sum(sp.expand(body), *limits)))


@pytest.mark.parametrize("name", GOLDEN)
def test_gradient_reads_as_in_a_textbook(name: str) -> None:
    """Correct but unrecognisable gradients: components for matrices, constants scattered over terms, derivatives."""
    make, parameter, expected = GOLDEN[name]
    found = make().gradient[parameter]
    assert found == expected or (not getattr(found, "is_Matrix", False) and expanded(found - expected) == 0), found
    assert sp.count_ops(found) <= sp.count_ops(expected) + 4


def test_softmax_gradient_is_share_minus_class() -> None:
    """The gradient of cross-entropy with class labels, of which every term appears once."""
    z = Base("Z", shape=(n, K))
    loss = sd.Loss(Sum(losses.cross_entropy(z[i, k], c[i], (k, 0, K - 1)), (i, 0, n - 1)) / n, z)
    share = sp.exp(z[i, k]) / Sum(sp.exp(z[i, l]), (l, 0, K - 1))
    found = loss.gradient["Z"]
    assert found.count(sp.exp) <= 2 + 2 * found.has(sp.Piecewise)
    assert sp.count_ops(found) <= 2.5 * sp.count_ops((share - sp.KroneckerDelta(k, c[i])) / n)


# -- graph identities -------------------------------------------------------------------------------------------------


def sums_of(loss: sd.Loss) -> int:
    return sum(node.op == "sum" for node in reachable([loss.statement.root]))


def test_equal_sums_with_different_dummies_are_one_node() -> None:
    """Dummies that are kept as they were written."""
    loss = sd.Loss(Sum(xs[i] ** 2, (i, 0, n - 1)) + sp.sin(Sum(xs[j] ** 2, (j, 0, n - 1))), xs)
    assert sums_of(loss) == 1
    nested = Sum(ys[i] * Sum(X_[i, j], (j, 0, d - 1)), (i, 0, n - 1)) * Sum(
        ys[l] * Sum(X_[l, i], (i, 0, d - 1)), (l, 0, n - 1)
    )
    assert sums_of(sd.Loss(nested, ys)) == 2


def test_one_dummy_with_two_ranges_is_two_sums() -> None:
    """Dummies that are told apart by name only."""
    loss = sd.Loss(Sum(xs[i] ** 2, (i, 0, n - 1)) + Sum(xs[i] ** 2, (i, 0, n - 2)), xs)
    assert sums_of(loss) == 2
    close(loss.compile().value(np.array([1.0, 2.0, 3.0])), 14.0 + 5.0, 0)


# -- losses of every structure ----------------------------------------------------------------------------------------

random_ = np.random.default_rng(11)


def numbers(*shape: int) -> Any:
    return np.round(random_.normal(size=shape), 3)


X5, Y5, W3, M34, B4, T54 = numbers(5, 3), numbers(5), numbers(3), numbers(3, 4), numbers(4), numbers(5, 4)
XV, WV, YV = {X_: X5}, {w_: W3}, {y_: Y5}
prediction = Sum(X_[i, j] * w_[j], (j, 0, d - 1))
T3, u_, z3 = Base("T", shape=(n, d, K)), Base("u", shape=(n,)), Base("z", shape=(K,))
U1, U2, a1, q1 = Base("U", shape=(d, H)), Base("V", shape=(H, G)), Base("a", shape=(H,)), Base("q", shape=(G,))
E_, delta_ = Base("E", shape=(K, d)), Base("delta", shape=(n,))
mu, sg, al = Base("mu", shape=(K,)), Base("sg", shape=(K,)), Base("al", shape=(K,))
Q_, P_ = Base("Q", shape=(n, d)), Base("P", shape=(n, d))
UF, VF = Base("U", shape=(n, K)), Base("V", shape=(d, K))
S_, N_ = Mat("S", d, d), Mat("N", n, n)


def hidden(function: Any, row: Any, unit: Any) -> Any:
    return function(Sum(X_[row, j] * U1[j, unit], (j, 0, d - 1)))


def second_layer(function: Any, row: Any, unit: Any) -> Any:
    return function(Sum(hidden(function, row, k) * U2[k, unit], (k, 0, H - 1)))


def eta(row: Any) -> Any:
    return Sum(X_[row, j] * w_[j], (j, 0, d - 1))


def component(index: Any) -> Any:
    log_weight = al[index] - sp.log(Sum(sp.exp(al[l]), (l, 0, K - 1)))
    return sp.exp(log_weight - sg[index] - (y_[i] - mu[index]) ** 2 * sp.exp(-2 * sg[index]) / 2)


def attention() -> Any:
    def scores(row: Any, column: Any) -> Any:
        return Sum(Q_[row, j] * P_[column, j], (j, 0, d - 1)) / sp.sqrt(d)

    mixed = Sum(sp.exp(scores(i, k)) * X_[k, m], (k, 0, n - 1)) / Sum(sp.exp(scores(i, l)), (l, 0, n - 1))
    return Sum((mixed - y_[i]) ** 2, (m, 0, d - 1), (i, 0, n - 1))


def lagged(body: Any) -> Any:
    return Sum((Sum(body, (k, 0, d - 1)) - ys[i]) ** 2, (i, 0, p - 1))


@dataclass
class Structure:
    """A loss with values; `mistake` is what it would catch."""

    make: Callable[[], Any]
    parameters: list[Any]
    values: dict[Any, Any]
    mistake: str
    options: dict[str, Any] = field(default_factory=dict)


SMALL_NET = {X_: X5[:2, :2], y_: Y5[:2], U1: M34[:2, :2], U2: numbers(2, 2), q1: numbers(2)}
x8, x9, xn = numbers(8), numbers(9), numbers(5)
count5, zeros5 = [0, 3, 1, 2, 5], [1.5, 0.0, 2.0, -1.0, 0.5]
STRUCTURES: dict[str, Structure] = {
    "three indices": Structure(
        lambda: Sum((T3[i, j, k] - u_[i] * w_[j] * z3[k]) ** 2, (i, 0, n - 1), (j, 0, d - 1), (k, 0, K - 1)),
        [u_, w_, z3],
        {T3: numbers(5, 3, 4), u_: Y5, **WV, z3: B4},
        "sums over the wrong axes of a tensor",
    ),
    "hidden layer": Structure(
        lambda: Sum((y_[i] - Sum(hidden(sp.tanh, i, k) * a1[k], (k, 0, H - 1))) ** 2, (i, 0, n - 1)) / n,
        [U1, a1],
        {**XV, **YV, U1: M34, a1: B4},
        "a hidden value that is kept in a buffer of the wrong extent",
    ),
    "two relu layers": Structure(
        lambda: Sum((y_[i] - Sum(second_layer(sd.relu, i, l) * q1[l], (l, 0, G - 1))) ** 2, (i, 0, n - 1)) / n,
        [U1, U2, q1],
        SMALL_NET,
        "SymPy's Sum drags a Piecewise out of the sums inside of it",
    ),
    "two leaky layers": Structure(
        lambda: Sum(
            (y_[i] - Sum(second_layer(lambda z: sp.Max(z, z / 10), i, l) * q1[l], (l, 0, G - 1))) ** 2, (i, 0, n - 1)
        ),
        [U1, U2, q1],
        SMALL_NET,
        "a Max with two moving arguments",
    ),
    "pairwise kernel": Structure(
        lambda: Sum(sp.exp(-((u_[i] - u_[j]) ** 2) / 2), (i, 0, n - 1), (j, 0, n - 1)),
        [u_],
        {u_: Y5},
        "one array under two indices",
    ),
    "ranking": Structure(
        lambda: Sum(sp.log(1 + Sum(sp.Max(0, 1 - u_[i] + u_[j]), (j, 0, n - 1))), (i, 0, n - 1)),
        [u_],
        {u_: Y5},
        "a kink inside an inner sum",
    ),
    "matrix factorisation": Structure(
        lambda: Sum((X_[i, j] - Sum(UF[i, k] * VF[j, k], (k, 0, K - 1))) ** 2, (i, 0, n - 1), (j, 0, d - 1)),
        [UF, VF],
        {**XV, UF: numbers(5, 2), VF: numbers(3, 2)},
        "factors swapped",
    ),
    "Poisson": Structure(
        lambda: Sum(sp.exp(prediction + b) - y_[i] * (prediction + b) + sp.loggamma(y_[i] + 1), (i, 0, n - 1)) / n,
        [w_, b],
        {**XV, **WV, y_: count5, b: 0.3},
        "a term without parameters that is differentiated",
    ),
    "negative binomial": Structure(
        lambda: (
            -Sum(
                sp.loggamma(y_[i] + s)
                - sp.loggamma(s)
                + s * sp.log(s / (s + sp.exp(prediction)))
                + y_[i] * sp.log(sp.exp(prediction) / (s + sp.exp(prediction))),
                (i, 0, n - 1),
            )
            / n
        ),
        [w_, s],
        {**XV, **WV, y_: count5, s: 1.7},
        "digamma's place, a positive symbol beside exponentials",
    ),
    "Gaussian mixture": Structure(
        lambda: -Sum(sp.log(Sum(component(k), (k, 0, K - 1))), (i, 0, n - 1)) / n,
        [al, mu, sg],
        {**YV, al: numbers(3), mu: numbers(3), sg: 0.3 * numbers(3)},
        "logsumexp of weights within another",
    ),
    "Cox": Structure(
        lambda: -Sum(delta_[i] * (eta(i) - sp.log(Sum(sp.exp(eta(k)), (k, i, n - 1)))), (i, 0, n - 1)),
        [w_],
        {**XV, **WV, delta_: [1, 0, 1, 1, 1]},
        "a logsumexp whose range depends on an outer index",
    ),
    "attention": Structure(
        attention,
        [Q_, P_, X_],
        {X_: X5[:3, :2], y_: Y5[:3], Q_: numbers(3, 2), P_: numbers(3, 2)},
        "a softmax used as weights",
    ),
    "embedding": Structure(
        lambda: Sum((y_[i] - Sum(E_[c_[i], j] * w_[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n,
        [E_, w_],
        {**YV, **WV, E_: numbers(4, 3), c_: [0, 3, 1, 3, 3]},
        "entries that are hit twice and set instead of added",
    ),
    "embedding on both sides": Structure(
        lambda: Sum((ys[c_[i]] - xs[i]) ** 2 * ys[i], (i, 0, n - 1)),
        [xs, ys],
        {xs: xn, ys: Y5, c_: [0, 3, 1, 3, 3]},
        "an array at its own place and at an index's",
    ),
    "convolution": Structure(
        lambda: lagged(xs[i + k] * w_[k]),
        [xs, w_],
        {xs: x8, ys: numbers(8), **WV, p: 6},
        "a factor that depends on a solved index taken out of the sum",
    ),
    "convolution, reversed": Structure(
        lambda: Sum(Sum(xs[i - k + d - 1] * w_[k], (k, 0, d - 1)) ** 2, (i, 0, n - d)),
        [xs, w_],
        {xs: x8, **WV},
        "the same with the other sign",
    ),
    "strides": Structure(
        lambda: Sum(xs[i + 2 * j] * w_[j] ** 2, (i, 0, n - 2 * d), (j, 0, d - 1)),
        [xs, w_],
        {xs: x9, **WV},
        "an index solved from a stride",
    ),
    "every second": Structure(
        lambda: Sum(xs[2 * i] ** 2 * xs[2 * i + 1], (i, 0, p - 1)), [xs], {xs: numbers(6), p: 3}, "parity of the place"
    ),
    "from behind": Structure(
        lambda: Sum((xs[i] - xs[n - 1 - i]) ** 2 * ys[i], (i, 0, n - 1)), [xs], {xs: xn, ys: Y5}, "a negative stride"
    ),
    "products of indices": Structure(
        lambda: Sum(xs[i * j] * (i + 1), (i, 0, p - 1), (j, 0, p - 1)),
        [xs],
        {xs: numbers(10), p: 3},
        "np.add.at reads past values that broadcast",
    ),
    "squares of indices": Structure(
        lambda: Sum(xs[i**2] * (i + 1), (i, 0, p - 1)), [xs], {xs: numbers(10), p: 3}, "a place that cannot be solved"
    ),
    "distance of indices": Structure(
        lambda: Sum(w_[sp.Abs(i - j)] * xs[i] * xs[j], (i, 0, d - 1), (j, 0, d - 1)),
        [w_],
        {xs: numbers(3), **WV},
        "a Toeplitz matrix refused",
    ),
    "clipped index": Structure(
        lambda: Sum(xs[sp.Max(i - 1, 0)] * xs[i] ** 2, (i, 0, n - 1)), [xs], {xs: xn}, "Max(0, i - 1) read as i - 1"
    ),
    "cyclic": Structure(
        lambda: Sum(xs[sp.Mod(i + 1, n)] * xs[i] ** 2, (i, 0, n - 1)), [xs], {xs: xn}, "a place that wraps around"
    ),
    "index as a value": Structure(
        lambda: Sum((xs[i] - a * i - b) ** 2 / (i + 1), (i, 0, n - 1)) / n,
        [a, b],
        {xs: xn, a: 0.2, b: 0.1},
        "integer division",
    ),
    "places by number and extent": Structure(
        lambda: Sum((ys[i] - xs[i] * w_[1]) ** 2 * w_[d], (i, 1, n)),
        [xs, w_],
        {xs: xn, ys: Y5, **WV},
        "a component's index named like an extent",
        {"first_index": 1},
    ),
    "triangle": Structure(
        lambda: Sum(xs[i] * xs[j] ** 2 * (j + 1), (j, 0, i), (i, 0, n - 1)),
        [xs],
        {xs: xn},
        "a range that depends on another",
    ),
    "strict triangle": Structure(
        lambda: Sum((xs[i] - xs[j]) ** 4, (j, i + 1, n - 1), (i, 0, n - 1)), [xs], {xs: xn}, "an empty last row"
    ),
    "cumulated": Structure(
        lambda: Sum(sp.sin(Sum(xs[j], (j, 0, i))) * xs[i], (i, 0, n - 1)), [xs], {xs: xn}, "a reversed triangle"
    ),
    "triangle of a constant": Structure(
        lambda: Sum(xs[i] * Sum(a, (j, 0, i - 3)) ** 2, (i, 0, n - 1)),
        [xs, a],
        {xs: xn, a: 0.7},
        "an empty sum counted as a negative number of terms",
    ),
    "triangle in a product": Structure(
        lambda: Sum(Product(xs[j] - ys[i], (j, 0, i)), (i, 0, n - 1)),
        [xs, ys],
        {xs: xn, ys: Y5**2},
        "a product with a dependent range",
    ),
    "same dummy, other ranges": Structure(
        lambda: Sum(xs[i] ** 2, (i, 0, n - 1)) * Sum(w_[i], (i, 0, d - 1)) + Sum(xs[i] * xs[i + 1], (i, 0, n - 2)),
        [xs, w_],
        {xs: xn, **WV},
        "one dummy taken for one range",
    ),
    "dummy within its own sum": Structure(
        lambda: Sum(xs[i] * Sum(xs[i] ** 2, (i, 0, i)), (i, 0, n - 1)),
        [xs],
        {xs: xn},
        "an inner dummy that captures the outer",
    ),
    "dummies permuted": Structure(
        lambda: (
            Sum(X_[i, j] * ys[i], (i, 0, n - 1), (j, 0, d - 1))
            * Sum(X_[j, i] ** 2 * w_[i], (i, 0, d - 1), (j, 0, n - 1))
        ),
        [X_, ys, w_],
        {**XV, ys: Y5, **WV},
        "indices told apart by name",
    ),
    "product": Structure(lambda: Product(xs[i] + a, (i, 0, n - 1)), [xs, a], {xs: xn, a: 0.1}, "the other factors"),
    "product of a constant": Structure(
        lambda: Product(a + b, (i, 0, n - 1)) * xs[0], [xs, a, b], {xs: xn, a: 0.2, b: 0.3}, "a body without its index"
    ),
    "likelihood": Structure(
        lambda: -sp.log(Product(sp.exp(-((xs[i] - a) ** 2) / 2 / s**2) / s, (i, 0, n - 1))),
        [a, s],
        {xs: xn, a: 0.2, s: 1.3},
        "the log of a product that underflows",
    ),
    "Bernoulli likelihood": Structure(
        lambda: (
            -sp.log(Product(sd.sigmoid(a * xs[i]) ** ys[i] * (1 - sd.sigmoid(a * xs[i])) ** (1 - ys[i]), (i, 0, n - 1)))
        ),
        [a],
        {xs: xn, ys: [0.0, 1.0, 1.0, 0.0, 1.0], a: 0.4},
        "powers of probabilities with exponents 0 and 1",
    ),
    "smoothness": Structure(
        lambda: Sum((xs[i + 1] - 2 * xs[i] + xs[i - 1]) ** 2, (i, 1, n - 2)),
        [xs],
        {xs: xn},
        "shifts in both directions",
    ),
    "Rosenbrock": Structure(
        lambda: Sum(100 * (xs[i + 1] - xs[i] ** 2) ** 2 + (1 - xs[i]) ** 2, (i, 0, n - 2)),
        [xs],
        {xs: xn},
        "the ends of a chain",
    ),
    "Rosenbrock of two": Structure(
        lambda: Sum(100 * (xs[i + 1] - xs[i] ** 2) ** 2 + (1 - xs[i]) ** 2, (i, 0, n - 2)),
        [xs],
        {xs: xn[:2]},
        "ends that meet",
    ),
    "delta": Structure(
        lambda: Sum((X_[i, j] - sp.KroneckerDelta(i, j) * w_[j]) ** 2, (i, 0, n - 1), (j, 0, d - 1)),
        [X_, w_],
        {**XV, **WV},
        "a delta between indices of different extents",
    ),
    "conditions": Structure(
        lambda: Sum(
            sp.Piecewise(
                (xs[i] ** 2, (xs[i] > 0) & (i < 3)),
                (sp.sin(xs[i]), sp.Or(xs[i] < -1, sp.Eq(i, 1))),
                (ys[i] * xs[i], True),
            ),
            (i, 0, n - 1),
        ),
        [xs, ys],
        {xs: xn, ys: Y5},
        "And, Or and the order of branches",
    ),
    "huber and absolute": Structure(
        lambda: (
            Sum(losses.huber(y_[i], prediction, sp.Rational(1, 2)) + losses.absolute(y_[i], prediction), (i, 0, n - 1))
            / n
        ),
        [w_],
        {**XV, **YV, **WV},
        "branches of a loss",
    ),
    "hinge": Structure(
        lambda: (
            Sum(losses.hinge(y_[i], prediction) + losses.squared_margin(y_[i], prediction), (i, 0, n - 1)) / n
            + lam * losses.l1(w_)
        ),
        [w_],
        {**XV, y_: [1.0, -1, 1, 1, -1], **WV, lam: 0.3},
        "margins and penalties together",
    ),
    "extrema": Structure(
        lambda: Sum(sp.Max(xs[i], ys[i], a) - sp.Min(xs[i] ** 2, b), (i, 0, n - 1)),
        [xs, ys, a, b],
        {xs: xn, ys: Y5, a: 0.2, b: 0.6},
        "which argument of Max the slope goes to",
    ),
    "matrix powers": Structure(
        lambda: Tr(S_**3) + Tr((S_**2).T * S_), [S_], {S_: numbers(3, 3)}, "a transpose in the gradient of a power"
    ),
    "orthogonality": Structure(
        lambda: Tr((A.T * A - sp.Identity(d)).T * (A.T * A - sp.Identity(d))), [A], {A: X5}, "both factors move"
    ),
    "two-layer applyfunc": Structure(
        lambda: (
            Tr(((A * Bm).applyfunc(sp.tanh) * Mat("C", K, H)).T * ((A * Bm).applyfunc(sp.tanh) * Mat("C", K, H))) / n
        ),
        [Bm, Mat("C", K, H)],
        {A: X5, Bm: M34, Mat("C", K, H): numbers(4, 2)},
        "applyfunc within a product",
    ),
    "matrix attention": Structure(
        lambda: Tr((sd.softmax(A * S_ * A.T / sp.sqrt(d)) * A - A).T * (sd.softmax(A * S_ * A.T / sp.sqrt(d)) * A - A)),
        [A, S_],
        {A: X5, S_: numbers(3, 3)},
        "the softmax of rows",
    ),
    "Rayleigh quotient": Structure(
        lambda: (v.T * S_ * v)[0, 0] / (v.T * v)[0, 0], [v, S_], {v: W3, S_: numbers(3, 3)}, "quotients of 1x1 matrices"
    ),
    "functions of traces": Structure(
        lambda: sp.log(1 + Tr(S_.T * S_)) + sp.sqrt(Tr(A.T * A)) + sp.exp((v.T * v)[0, 0] / 4),
        [S_, A, v],
        {S_: numbers(3, 3), A: X5, v: W3},
        "a scalar function of a matrix scalar",
    ),
    "slices": Structure(
        lambda: Tr(A[0:2, :] * A[0:2, :].T) + Tr(A[1:4, 0:2].T * A[1:4, 1:3]), [A], {A: X5}, "parts of a matrix"
    ),
    "entries of matrices": Structure(
        lambda: A[0, 0] ** 2 + A[1, 2] * v[0, 0] + sp.sin(v[2, 0]), [A, v], {A: X5, v: W3}, "single entries"
    ),
    "diagonals": Structure(
        lambda: Tr(DiagMatrix(v) * S_ * DiagMatrix(v)) + Tr(sp.HadamardProduct(S_, S_.T) * S_),
        [v, S_],
        {v: W3, S_: numbers(3, 3)},
        "a diagonal in the gradient",
    ),
    "a matrix of scalars": Structure(
        lambda: sp.Matrix([a, b]).T * sp.Matrix([[1, 2], [3, 4]]) * sp.Matrix([a, b]),
        [a, b],
        {a: 0.2, b: 0.3},
        "matrices that are written out",
    ),
}


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.usefixtures("in_python")
def test_structures(name: str) -> None:
    structure = STRUCTURES[name]
    loss = sd.Loss(structure.make(), structure.parameters, **structure.options)
    agree(loss, structure.values, second=name not in ("two leaky layers", "matrix attention"))


@pytest.mark.parametrize("values", [[1.0, 0.0, 2.0, 3.0], [1.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]], ids=str)
@pytest.mark.usefixtures("in_python")
def test_products_with_zero_factors(values: list[float]) -> None:
    """Dividing out a factor that is zero: NaN instead of the product of the others."""
    loss = sd.Loss(Product(xs[i] * ys[i] + a, (i, 0, n - 1)), [xs, a])
    agree(loss, {xs: values, ys: [1.0, 2.0, 1.0, 1.0], a: 0.0}, reading=False)


SMALL: dict[str, tuple[Callable[[], Any], int]] = {
    "chain": (lambda: Sum((xs[i + 1] - xs[i]) ** 2 + xs[i], (i, 0, n - 2)), 1),
    "second differences": (lambda: Sum((xs[i + 1] - 2 * xs[i] + xs[i - 1]) ** 2, (i, 1, n - 2)) + xs[0], 1),
    "strict triangle": (lambda: Sum(xs[i] * xs[j], (j, 0, i - 1), (i, 0, n - 1)) + xs[0], 1),
    "empty sum of a constant": (lambda: xs[0] ** 2 * Sum(a, (i, 0, n - 3)) + xs[0], 1),
    "log of few": (lambda: sp.log(Sum(sp.exp(xs[i]), (i, 0, n - 1))), 1),
    "from behind": (lambda: Sum(xs[i] * xs[n - 1 - i], (i, 0, n - 1)), 1),
    "product": (lambda: Product(xs[i], (i, 0, n - 1)) * a, 1),
}


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("in_python")
def test_smallest_sizes(name: str, length: int) -> None:
    """Bounds that are right for long arrays only, and empty ranges."""
    e = SMALL[name][0]()
    parameters = [x for x in (xs, a) if e.has(x)]
    agree(sd.Loss(e, parameters), {xs: xn[:length], **({a: 0.7} if e.has(a) else {})})


PER_SAMPLE: dict[str, tuple[Any, list[Any], list[Any], dict[Any, Any]]] = {
    "scaled with a penalty": (lam * ((y - w * x - b) ** 2 + w**2), [w, b, lam], [x, y], {w: 0.3, b: 0.2, lam: 0.5}),
    "mixture": (-sp.log(Sum(sp.exp(-((y - al[k]) ** 2)), (k, 0, K - 1))), [al], [y], {al: numbers(3)}),
    "several kinks": (sp.Max(w * x + b, y, 0), [w, b], [x, y], {w: 0.3, b: 0.2}),
    "embedding": (
        (y - al[sp.Symbol("c", integer=True)]) ** 2,
        [al],
        [y, sp.Symbol("c", integer=True)],
        {al: numbers(4)},
    ),
    "product": (Product(y - al[k], (k, 0, K - 1)), [al], [y], {al: numbers(3)}),
    "matrix": (v.T * S_ * v + v.T * Mat("x", d, 1), [v], [S_, Mat("x", d, 1)], {v: W3}),
}
SAMPLED = {
    x: numbers(6),
    y: numbers(6),
    sp.Symbol("c", integer=True): [0, 3, 1, 2, 2, 0],
    S_: numbers(6, 3, 3),
    Mat("x", d, 1): numbers(6, 3),
}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", PER_SAMPLE)
@pytest.mark.usefixtures("in_python")
def test_per_sample_losses(name: str, reduction: str) -> None:
    """Penalties that are divided by n, samples that get no axis."""
    e, parameters, samples, values = PER_SAMPLE[name]
    agree(sd.Loss(e, parameters, samples=samples, reduction=reduction), {**values, **{x: SAMPLED[x] for x in samples}})


def test_compiled_structures_agree_with_plain_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Numba makes of the loops: types, integer arithmetic, helpers that are not compiled."""
    for name in (
        "Cox",
        "attention",
        "embedding",
        "negative binomial",
        "conditions",
        "products of indices",
        "cumulated",
    ):
        structure = STRUCTURES[name]
        loss = sd.Loss(structure.make(), structure.parameters)
        params, data = split(loss, structure.values)
        value, gradient = loss.compile().value_and_gradient(params, data)
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "load", run_as_python)
            expected, slopes = loss.compile().value_and_gradient(params, data)
        close(value, expected, 1e-13)
        for parameter in params:
            close(gradient[parameter], slopes[parameter], 1e-13)


# -- Hessians ---------------------------------------------------------------------------------------------------------

SCALAR_LOSSES = [
    a**2 * b + sp.exp(a * b) * sp.sin(b),
    sp.log(1 + sp.exp(a * b)) + sp.sqrt(1 + a**2 + b**2),
    sp.atan2(a, 2 + b**2),
    (1 + a**2) ** b,
    sd.sigmoid(a) * sd.softplus(b - a),
    sd.logsumexp(a, b, a * b),
    sd.softmax(a, b, 0),
    sp.log(sd.softmax(a, b, a * b)),
    sp.loggamma(2 + a**2) * sp.erf(b),
    a * sp.log(s) / s + s**a,
    sp.Max(a, b) ** 2 * sp.Abs(a * b),
    sp.Piecewise((a**2 * b, a > 0), (sp.sin(a * b), True)),
    sp.acosh(2 + a**2) * sp.atanh(b / 3),
    sp.tanh(a) / (1 + b**2),
    sp.exp(a) / (sp.exp(a) + sp.exp(b) + 1),
    (s * sp.log(s) + a) ** 3,
    sd.relu(a) ** 3 * b,
    sp.polygamma(0, s) * a,
]


@pytest.mark.parametrize("number", range(len(SCALAR_LOSSES)))
def test_hessian_is_that_of_sympy(number: int) -> None:
    """Forward over reverse: a partial that is differentiated wrongly, a matrix that is not symmetric."""
    e = SCALAR_LOSSES[number]
    parameters = sorted(e.free_symbols, key=str)
    loss = sd.Loss(e, parameters)
    at = {a: mp.mpf("0.71"), b: mp.mpf("-0.43"), s: mp.mpf("1.3")}
    plain = e.replace(sd.logsumexp, lambda *parts: sp.log(sp.Add(*map(sp.exp, parts))))
    plain = plain.replace(sd.softmax, lambda *parts: sp.exp(parts[0]) / sp.Add(*map(sp.exp, parts)))
    real = {x: sp.Symbol(x.name, real=True) for x in at}  # SymPy's derivative of Abs is that of a complex function
    expected = sp.hessian(plain.subs(real), [real[x] for x in parameters])
    numbers_ = {real[x]: sp.Float(str(y), 40) for x, y in at.items()}
    for shown, known in zip(loss.hessian, expected, strict=True):
        assert abs(Oracle(at)(shown) - mp.mpf(str(known.subs(numbers_).evalf(30)))) < 1e-20
    rows = loss.hessian.subs({x: float(y) for x, y in at.items()}).evalf(30)
    assert max(abs(part) for part in rows - rows.T) < 1e-14


@pytest.mark.usefixtures("in_python")
def test_hessian_vector_product_of_scalars_and_of_a_linear_loss() -> None:
    """A loss without curvature has no statement to print."""
    linear = sd.Loss(Sum(xs[i] * ys[i], (i, 0, n - 1)) + a, [xs, a])
    product = linear.compile().hessian_vector_product(
        {xs: [1.0, 2.0], a: 1.0}, {xs: [1.0, 1.0], a: 1.0}, {ys: [3.0, 4.0]}
    )
    assert product[a] == 0.0 and list(product[xs]) == [0.0, 0.0]
    quadratic = sd.Loss(a**2 * b, [a, b]).compile().hessian_vector_product({a: 3.0, b: 2.0}, {a: 1.0, b: -1.0})
    assert product and quadratic == {a: 2 * 2.0 - 2 * 3.0, b: 2 * 3.0}


# -- kinks ------------------------------------------------------------------------------------------------------------

POLICIES = ("min-norm", "left", "right")
KINKED: dict[str, tuple[Any, dict[Any, float], tuple[Any, ...]]] = {  # the slopes under each policy
    "Abs": (sp.Abs(a), {a: 0.0}, (0, -1, 1)),
    "Abs, shifted": (sp.Abs(a - 2), {a: 2.0}, (0, -1, 1)),
    "Max with zero": (sp.Max(0, a), {a: 0.0}, (0, 0, 1)),
    "relu": (sd.relu(a), {a: 0.0}, (0, 0, 1)),
    "Max with a constant": (sp.Max(a, 2), {a: 2.0}, (0, 0, 1)),
    "Min with zero": (sp.Min(0, a), {a: 0.0}, (0, 1, 0)),
    "Min with a constant": (sp.Min(a, 2), {a: 2.0}, (0, 1, 0)),
    "Max of two": (sp.Max(a, b), {a: 1.0, b: 1.0}, ((0.5, 0.5), (1, 0), (0, 1))),
    "Max and its negative": (sp.Max(a, -a), {a: 0.0}, (0, 1, -1)),  # the first and the last of the arguments that tie
    "Max of three": (sp.Max(a, b, 0), {a: 0.0, b: 0.0}, ((0, 0), (0, 0), (0, 1))),
    "hinge": (losses.hinge(1, a), {a: 1.0}, (0, 0, -1)),  # the sides are those of the ramp in 1 - a
    "l1": (losses.l1([a, b]), {a: 0.0, b: -1.0}, ((0, -1), (-1, -1), (1, -1))),
    "Piecewise": (sp.Piecewise((-a, a < 0), (a, True)), {a: 0.0}, (1, 1, 1)),  # the piece that is stated for the point
    "Max of multiples": (sp.Max(a, 2 * a), {a: 0.0}, (1.5, 1, 2)),  # least norm for the operation Max, not along a
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", KINKED)
@pytest.mark.usefixtures("in_python")
def test_kinks_follow_the_policy(name: str, policy: str) -> None:
    """A subgradient that is none, or another than was asked for, in any of the witnesses."""
    e, at, slopes = KINKED[name]
    expected = np.ravel(slopes[POLICIES.index(policy)])
    loss = sd.Loss(e, list(at), kinks=policy)
    close(list(loss.compile().gradient(at).values()), expected, 0)
    close(np.ravel(loss.lambdify().gradient(*at.values())), expected, 0)
    close([Oracle(at)(part) for part in loss.gradient.values()], expected, 0)


@pytest.mark.parametrize("name", [name for name in KINKED if name != "Piecewise"])
def test_kinks_raise_if_asked_to(name: str) -> None:
    """A kink that passes silently under kinks="raise", or one that is seen where there is none."""
    e, at, _ = KINKED[name]
    compiled = sd.Loss(e, list(at), kinks="raise").compile()
    away = {x: y + 0.25 * number - 0.6 for number, (x, y) in enumerate(at.items())}
    assert all(np.isfinite(list(compiled.gradient(away).values())))
    with pytest.raises(sd.KinkError, match="kink"):
        compiled.gradient(at)


@pytest.mark.usefixtures("in_python")
def test_kinks_inside_a_sum() -> None:
    """One entry on its kink spoils no other."""
    gradient = sd.Loss(Sum(sp.Abs(xs[i]) + sp.Max(0, xs[i]), (i, 0, n - 1)), xs).compile().gradient([-1.0, 0.0, 2.0])
    assert list(gradient[xs]) == [-1.0, 0.0, 2.0]


@pytest.mark.usefixtures("in_python")
def test_smooth_piecewise_at_its_seam() -> None:
    """A seam where both pieces have the same slope is no kink."""
    for policy in (*POLICIES, "raise"):
        assert sd.Loss(losses.huber(0, a), a, kinks=policy).compile().gradient(1.0)[a] == 1.0


# -- random losses ----------------------------------------------------------------------------------------------------

half = sp.Rational(1, 2)
x_, y2, v_, XX = Base("x", shape=(n,)), Base("y", shape=(n,)), Base("v", shape=(d,)), Base("X", shape=(n, d))
ONE = [
    sp.sin,
    sp.cos,
    sp.tanh,
    sd.sigmoid,
    sd.softplus,
    sp.atan,
    sp.erf,
    sp.erfc,
    sp.asinh,
    sp.Abs,
    sd.relu,
    sp.sech,
    lambda u: sp.exp(u / 4),
    lambda u: sp.log(1 + u**2),
    lambda u: sp.sqrt(1 + u**2),
    lambda u: sp.log(1 + sp.exp(u)),
    lambda u: 1 / (1 + sp.exp(-u)),
    lambda u: sp.asin(sp.tanh(u) * 9 / 10),
    lambda u: sp.acos(sp.tanh(u) * 9 / 10),
    lambda u: sp.atanh(sp.tanh(u) * 9 / 10),
    lambda u: sp.acosh(2 + u**2),
    lambda u: sp.tan(sp.tanh(u)),
    lambda u: u**2,
    lambda u: sp.sinh(sp.tanh(u)),
    lambda u: sp.cosh(sp.tanh(u)),
    lambda u: sp.gamma(1 + u**2 / 8),
    lambda u: u**3,
    lambda u: sp.loggamma(1 + u**2),
    lambda u: 1 / (2 + u**2),
    lambda u: (1 + u**2) ** sp.Rational(-3, 2),
    lambda u: (1 + u**2) ** sp.Rational(1, 3),
    lambda u: sp.exp(-(u**2)),
    lambda u: sp.exp(u / 8) - 1,
    lambda u: sp.Max(0, u),
    lambda u: sp.Piecewise((u**2, u > half), (u - 1, True)),
    lambda u: sp.cot(1 + sp.tanh(u) / 3),
    lambda u: (1 + u**2) * sp.log(1 + u**2),
    lambda u: sp.polygamma(1, 2 + u**2),
    lambda u: sp.Piecewise((sp.sin(u), (u > 0) & (u < 1)), (sp.cos(u), u <= -1), (u, True)),
]
TWO = [
    operator.mul,
    operator.sub,
    sp.Max,
    sd.logsumexp,
    sd.softmax,
    lambda u, t: sp.atan2(u, 2 + t**2),
    lambda u, t: sp.Min(u, t + half),
    lambda u, t: (1 + u**2) ** (t / 4),
    lambda u, t: u / (1 + t**2),
    lambda u, t: sp.log(sp.exp(u) + sp.exp(t)),
    lambda u, t: sp.Piecewise((u, u < t), (t**2, True)),
    lambda u, t: sp.exp(u / 4) / (sp.exp(u / 4) + sp.exp(t / 4)),
]


class Grammar:
    """Random losses over scalars, arrays, sums (nested, triangular, shifted), products and the table's functions."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def leaf(self, scope: Mapping[Any, str]) -> Any:
        choices = [a, b, s, sp.Rational(self.random.randint(-3, 3), self.random.choice([1, 2, 3]))]
        for e, kind in scope.items():
            if kind in ("whole", "from one"):
                choices += [x_[e], y2[e], x_[e], y2[n - 1 - e], x_[sp.Mod(e + 1, n)], x_[c_[e]], y2[c_[e]], e / 4]
                choices += [x_[e - 1]] * 2 * (kind == "from one")
            choices += {
                "columns": [v_[e], v_[d - 1 - e], v_[e]],
                "all but one": [x_[e + 1], x_[e], x_[e + 1]],
                "triangle": [x_[e], y2[e]],
            }.get(kind, [])
        rows, columns = ([e for e, kind in scope.items() if kind == wanted] for wanted in ("whole", "columns"))
        if rows and columns:
            choices += [XX[self.random.choice(rows), self.random.choice(columns)]] * 3 + [XX[c_[rows[0]], columns[0]]]
        return self.random.choice(choices)

    def expression(self, depth: int, scope: Mapping[Any, str]) -> Any:
        kind = self.random.random() if depth > 0 else 1.0
        if kind < 0.38:
            left, right = self.expression(depth - 1, scope), self.expression(depth - 1, scope)
            return left + right if kind < 0.22 else left * right
        if kind < 0.56:
            return self.random.choice(ONE)(self.expression(depth - 1, scope))
        if kind < 0.66:
            return self.random.choice(TWO)(self.expression(depth - 1, scope), self.expression(depth - 1, scope))
        return self.reduction(depth - 1, scope) if kind < 1.0 and len(scope) < 3 else self.leaf(scope)

    def reduction(self, depth: int, scope: Mapping[Any, str]) -> Any:
        chance = self.random
        free = [e for e in (i, j, k, l) if e not in scope or chance.random() < 0.1]
        dummy = chance.choice(free)
        outer = [e for e, kind in scope.items() if kind == "whole" and e != dummy]
        kind = chance.choice(
            ["whole"] * 2 + ["columns"] * 2 + ["all but one", "from one"] + ["up", "down", "below"] * bool(outer)
        )
        start = chance.choice(outer) if kind in ("up", "down", "below") else 0
        limit = {
            "whole": (dummy, 0, n - 1),
            "columns": (dummy, 0, d - 1),
            "all but one": (dummy, 0, n - 2),
            "from one": (dummy, 1, n - 1),
            "up": (dummy, start, n - 1),
            "down": (dummy, 0, start),
            "below": (dummy, 0, start - 1),
        }[kind]
        inside = {
            **{e: t for e, t in scope.items() if e != dummy},
            dummy: kind if kind not in ("up", "down", "below") else "triangle",
        }
        body, form = self.expression(depth, inside), chance.random()
        if form < 0.1 and kind != "below":
            return sp.log(Sum(sp.exp(body / 4), limit))
        if form < 0.2:
            return Product(1 + sp.tanh(body) / 3, limit)
        if form < 0.3 and kind in ("whole", "columns"):
            return Sum(sp.exp(body / 4) * self.expression(depth - 1, inside), limit) / Sum(sp.exp(body / 4), limit)
        return Sum(body, limit) / chance.choice([1, 1, n, 4])

    def loss(self) -> tuple[Any, list[Any], dict[Any, Any]]:
        while True:
            e = self.reduction(self.random.randint(2, 3), {}) if self.random.random() < 0.8 else self.expression(4, {})
            e = e + self.random.choice([0, 0, a**2, Sum(v_[i] ** 2, (i, 0, d - 1))])
            if self.usable(e):
                parameters = [x for x in (a, b, s, x_, y2, v_, XX) if e.has(x)]
                return e, parameters, self.values(e)

    def usable(self, e: Any) -> bool:
        """Not what SymPy evaluated to something else: complex parts, vanished sums, conditions dragged out of sums."""
        if (
            e.has(sp.im, sp.re, sp.arg, sp.zoo, sp.nan, sp.oo, sp.I)
            or not e.has(a, b, s, x_, y2, v_, XX)
            or sp.count_ops(e) > 100
        ):
            return False
        sums = e.atoms(Sum, Product)
        return not any(reduction.function.is_number for reduction in sums) and not any(
            map(dragged, e.atoms(sp.Piecewise))
        )

    def values(self, e: Any) -> dict[Any, Any]:
        numbers = np.random.default_rng(self.random.randrange(2**32))
        arrays = {x_: (4,), y2: (4,), v_: (3,), XX: (4, 3)}
        values: dict[Any, Any] = {x: np.round(numbers.normal(size=shape), 3) for x, shape in arrays.items()}
        values |= {a: 0.7, b: -0.45, s: 1.3, c_: numbers.integers(0, 4, 4)}
        values = {x: y for x, y in values.items() if e.has(x)}
        told = {length for x in values for length in getattr(x, "shape", ())}
        return values | {length: size for length, size in ((n, 4), (d, 3)) if e.has(length) and length not in told}


def dragged(piecewise: Any) -> bool:
    """Whether SymPy may have taken a Piecewise out of a sum over an index of its conditions."""
    sums = [inner for value, _ in piecewise.args for inner in value.atoms(Sum, Product)]
    indices = {limit[0] for inner in sums for limit in inner.limits}
    return any(condition.free_symbols & indices for _, condition in piecewise.args)


CHUNK = 15


@pytest.mark.parametrize("start", range(0, 14 * CHUNK, CHUNK))
@pytest.mark.usefixtures("in_python")
def test_random_losses(start: int) -> None:
    """Whatever the tables above do not think of."""
    for seed in range(start, start + CHUNK):
        e, parameters, values = Grammar(seed).loss()
        try:
            loss = sd.Loss(e, parameters)
        except sd.StatementError as refusal:  # a parameter that cancels: the loss must not depend on it
            assert "does not depend" in str(refusal), f"seed {seed}: {e}"
            continue
        try:
            agree(loss, values, tolerance=1e-10, second=seed % 5 == 0)
        except Exception as failure:
            raise AssertionError(f"seed {seed}: {e} by {parameters} at {values}") from failure


def test_terms_that_share_a_factor_unequally_often_have_a_hessian():
    # a factor that stands squared in one term and simply in another was taken out of both twice: ValueError
    vmax, K, t, v = sp.symbols("vmax K t v")
    hessian = sd.Loss((v - vmax * t / (K + t)) ** 2, [K, vmax], samples=[t, v]).hessian
    data = [(sp.Rational(1, 2), 2), (3, sp.Rational(7, 2)), (1, 1)]
    mean = sp.Add(*((y - vmax * x / (K + x)) ** 2 for x, y in data)) / len(data)
    point = {K: sp.Rational(3, 4), vmax: sp.Rational(5, 3)}
    series = {
        sp.IndexedBase("t", shape=(n,)): [x for x, _ in data],
        sp.IndexedBase("v", shape=(n,)): [y for _, y in data],
    }
    shown = hessian.subs(n, len(data)).doit().subs(point)
    for base in shown.atoms(sp.Indexed):
        values = next(column for array, column in series.items() if array.name == base.base.name)
        shown = shown.subs(base, values[base.indices[0]])
    assert shown == sp.hessian(mean, [K, vmax]).subs(point)

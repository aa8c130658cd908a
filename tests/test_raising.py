"""Gradients read back into matrix notation: golden readings, each also against differences of the loss in NumPy.

The numbers come from two programs that share nothing with the package's own sweep: the losses are typed a second time
in NumPy and differentiated by a complex step (by differences where there are kinks), and the readings are evaluated
by `matrix`, a small interpreter of SymPy's matrix expressions.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import sympy as sp
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.diagonal import DiagonalOf
from sympy.matrices.expressions.matexpr import MatrixElement
from sympy.matrices.expressions.slice import MatrixSlice
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

import symdescent as sd
from symdescent.differentiate import Scatter, reverse
from symdescent.elementary import relu, sigmoid
from symdescent.elementary.functions import RowLogSumExp, RowSoftmax
from symdescent.graph import Graph, Index
from symdescent.notation.einsum import Labelled, NotMatrixError, contract
from symdescent.notation.lower import Lowering
from symdescent.notation.raising import raise_gradient, raise_value
from symdescent.notation.reading import Reader

n, d, m, K = sp.symbols("n d m K", integer=True, positive=True)
lam, delta = sp.symbols("lam delta", positive=True)
x = sp.Symbol("x", real=True)
SIZES = {n: 5, d: 3, m: 4, K: 2}


def symbol(name: str, rows: Any, columns: Any) -> sp.MatrixSymbol:
    return sp.MatrixSymbol(name, rows, columns)


X, y, w, a = symbol("X", n, d), symbol("y", n, 1), symbol("w", d, 1), symbol("a", d, 1)
A, B, W = symbol("A", d, d), symbol("B", d, d), symbol("W", d, d)
V, Y, M, b = symbol("V", d, K), symbol("Y", n, K), symbol("M", n, K), symbol("b", 1, K)
W1, w2, W2, w3 = symbol("W1", d, m), symbol("w2", m, 1), symbol("W2", m, K), symbol("w3", K, 1)
U, T, v, s = symbol("U", n, d), symbol("T", K, d), symbol("v", 1, d), symbol("s", 1, 1)
one = OneMatrix(n, 1)
residual = X * w - y
tr, had = sp.Trace, sp.HadamardProduct


def raised(loss: Any, parameter: Any) -> Any:
    """The reading of a gradient, as `Loss` asks for it."""
    graph = Graph()
    lowering = Lowering(graph)
    root = lowering.lower(loss)
    reader = Reader(graph, lowering, {s.name for s in loss.free_symbols})
    return raise_gradient(reader, reverse(graph, root, [parameter]), parameter, parameter.shape)


# -- an interpreter of matrix expressions -----------------------------------------------------------------------------


def number(expression: Any, values: dict[Any, Any]) -> Any:
    """A scalar expression as a SymPy number (or truth value)."""
    if expression in values:
        return values[expression]
    if isinstance(expression, MatrixElement):
        entries = matrix(expression.parent, values)
        return sp.Float(entries[int(number(expression.i, values)), int(number(expression.j, values))])
    if isinstance(expression, sp.Trace):
        return sp.Float(np.trace(matrix(expression.arg, values)))
    if isinstance(expression, sp.Sum):
        *inner, (index, first, last) = expression.limits
        body = sp.Sum(expression.function, *inner) if inner else expression.function
        span = range(int(number(first, values)), int(number(last, values)) + 1)
        return sp.Add(*(number(body, {**values, index: sp.Integer(place)}) for place in span))
    if isinstance(expression, sp.Piecewise):
        return next(number(value, values) for value, condition in expression.args if number(condition, values))
    if not expression.args:
        return expression
    return expression.func(*(number(argument, values) for argument in expression.args))


def matrix(expression: Any, values: dict[Any, Any]) -> np.ndarray:
    """A matrix expression as an array."""
    for kind, rule in RULES.items():
        if isinstance(expression, kind):
            return np.asarray(rule(expression, values), dtype=float)
    raise TypeError(type(expression))


def _apply(e: Any, values: dict[Any, Any]) -> Any:
    (variable,) = e.function.variables
    inside = matrix(e.expr, values)
    flat = [float(number(e.function.expr, {**values, variable: sp.Float(value)})) for value in inside.flat]
    return np.array(flat).reshape(inside.shape)


def _product(e: Any, values: dict[Any, Any]) -> Any:
    scale, factors = e.as_coeff_matrices()
    product = matrix(factors[0], values)
    for factor in factors[1:]:
        product = product @ matrix(factor, values)
    return float(number(scale, values)) * product


def _components(e: Any, values: dict[Any, Any]) -> Any:
    rows, columns = _shape(e, values)
    places = ((sp.Integer(i), sp.Integer(j)) for i in range(rows) for j in range(columns))
    keys = e.lamda.variables
    flat = [float(number(e.lamda.expr, {**values, **dict(zip(keys, place, strict=True))})) for place in places]
    return np.array(flat).reshape(rows, columns)


def _slice(e: Any, values: dict[Any, Any]) -> Any:
    parts = [[int(number(sp.sympify(part), values)) for part in axis] for axis in (e.rowslice, e.colslice)]
    return matrix(e.parent, values)[slice(*parts[0]), slice(*parts[1])]


def _softmax(z: np.ndarray, over_rows: bool) -> Any:
    powers = np.exp(z - z.max())
    return powers / powers.sum(axis=1 if over_rows else 0, keepdims=True)


def _logsumexp(z: np.ndarray, over_rows: bool) -> Any:
    return np.log(np.exp(z).sum(axis=1 if over_rows else 0, keepdims=True))


def _shape(e: Any, values: dict[Any, Any]) -> list[int]:
    return [int(number(sp.sympify(length), values)) for length in e.shape]


RULES: dict[type, Callable[[Any, dict[Any, Any]], Any]] = {
    sp.MatrixSymbol: lambda e, values: values[e],
    sp.MatrixBase: lambda e, values: [[float(number(e[i, j], values)) for j in range(e.cols)] for i in range(e.rows)],
    sp.MatAdd: lambda e, values: sum(matrix(term, values) for term in e.args),
    sp.MatMul: _product,
    sp.HadamardProduct: lambda e, values: np.prod([matrix(factor, values) for factor in e.args], axis=0),
    sp.HadamardPower: lambda e, values: matrix(e.base, values) ** float(number(e.exp, values)),
    sp.MatPow: lambda e, values: np.linalg.matrix_power(matrix(e.base, values), int(e.exp)),
    sp.Transpose: lambda e, values: matrix(e.arg, values).T,
    sp.Identity: lambda e, values: np.eye(*_shape(e, values)),
    OneMatrix: lambda e, values: np.ones(_shape(e, values)),
    ZeroMatrix: lambda e, values: np.zeros(_shape(e, values)),
    sp.DiagMatrix: lambda e, values: np.diag(matrix(e.args[0], values).ravel()),
    DiagonalOf: lambda e, values: np.diag(matrix(e.arg, values))[:, None],
    ElementwiseApplyFunction: _apply,
    MatrixSlice: _slice,
    sp.FunctionMatrix: _components,
    RowSoftmax: lambda e, values: _softmax(matrix(e.arg, values), e.over_rows),
    RowLogSumExp: lambda e, values: _logsumexp(matrix(e.arg, values), e.over_rows),
}


# -- the readings -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """A statement, its parameter, what is to be read, and the loss in NumPy as a function of a dict of arrays."""

    name: str
    loss: Any
    parameter: Any
    reading: Any
    numpy: Callable[[Any], Any]
    smooth: bool = True


class Values(dict[str, Any]):
    """Arrays by name, as attributes."""

    __getattr__ = dict.__getitem__


def np_sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def np_logsumexp(z: Any) -> Any:
    return np.log(np.exp(z).sum(axis=1))


def applied(function: Any, argument: Any) -> Any:
    """An elementwise function, with the variable that readings use."""
    t = sp.Symbol("t", real=True)
    return ElementwiseApplyFunction(sp.Lambda(t, function(t)), argument)


def huber(r: Any) -> Any:
    return sp.Piecewise((r**2 / 2, sp.Abs(r) <= delta), (delta * sp.Abs(r) - delta**2 / 2, True))


def np_huber(r: Any, threshold: float) -> Any:
    return np.where(np.abs(r) <= threshold, r**2 / 2, threshold * np.abs(r) - threshold**2 / 2)


factors = X * V - Y
hidden = (X * W1).applyfunc(sp.tanh)
outer = hidden * w2 - y
deep = (hidden * W2).applyfunc(sp.tanh) * w3 - y
rectified = (X * W1).applyfunc(relu) * w2 - y
logits = X * V + one * b
entropy = tr(one.T * RowLogSumExp(logits)) / n - tr(Y.T * logits) / n
exponentials = applied(sp.exp, W)
scaled = sp.MatMul(w, lam * sp.Identity(1))
attention = RowSoftmax(U * W.T) * w - y
masked = had(M, U * T.T - Y)
tall = applied(sp.tanh, X * W1)
taller = applied(sp.tanh, tall * W2)
backward = had((taller * w3 - y) * w3.T, applied(lambda t: 1 - sp.tanh(t) ** 2, tall * W2))
i, j = sp.symbols("i j", integer=True)
elements = sp.Sum((sp.Sum(X[i, j] * w[j, 0], (j, 0, d - 1)) - y[i, 0]) ** 2, (i, 0, n - 1)) / n


def np_deep(p: Any) -> Any:
    return ((np.tanh(np.tanh(p.X @ p.W1) @ p.W2) @ p.w3 - p.y) ** 2).sum() / 5


def np_hidden(p: Any) -> Any:
    return ((np.tanh(p.X @ p.W1) @ p.w2 - p.y) ** 2).sum() / 5


def np_rectified(p: Any) -> Any:
    return ((np.maximum(0, p.X @ p.W1) @ p.w2 - p.y) ** 2).sum() / 5


def np_squares(p: Any) -> Any:
    return ((p.X @ p.w - p.y) ** 2).sum() / 5


def np_entropy(p: Any) -> Any:
    z = p.X @ p.V + p.b
    return (np_logsumexp(z).sum() - (p.Y * z).sum()) / 5


def np_attention(p: Any) -> Any:
    z = p.U @ p.W.T
    return ((np.exp(z - np_logsumexp(z)[:, None]) @ p.w - p.y) ** 2).sum()


def np_factorization(p: Any) -> Any:
    return ((p.M * (p.U @ p.T.T - p.Y)) ** 2).sum() + 0.3 * (p.U**2).sum()


CASES = [
    # linear models
    Case("least squares", residual.T * residual / n, w, 2 * X.T * (X * w - y) / n, np_squares),
    Case("residual the other way", (y - X * w).T * (y - X * w) / n, w, 2 * X.T * (X * w - y) / n, np_squares),
    Case("element of a product", (residual.T * residual)[0, 0] / n, w, 2 * X.T * (X * w - y) / n, np_squares),
    Case("sum over elements", elements, w, 2 * X.T * (X * w - y) / n, np_squares),
    Case("multiplied out", (w.T * X.T * X * w - 2 * y.T * X * w + y.T * y) / n, w,
         2 * X.T * (X * w - y) / n, np_squares),
    Case("ridge", residual.T * residual / n + lam * w.T * w, w, 2 * X.T * (X * w - y) / n + 2 * lam * w,
         lambda p: np_squares(p) + 0.3 * (p.w**2).sum()),
    Case("ridge by traces", tr(residual.T * residual) + lam * tr(w.T * w), w, 2 * X.T * (X * w - y) + 2 * lam * w,
         lambda p: 5 * np_squares(p) + 0.3 * (p.w**2).sum()),
    Case("several outputs", tr(factors.T * factors), V, 2 * X.T * (X * V - Y),
         lambda p: ((p.X @ p.V - p.Y) ** 2).sum()),
    Case("weighted", tr(had(M, factors).T * had(M, factors)), V,
         "2*X.T*(HadamardProduct(X*V - Y, HadamardPower(M, 2)))", lambda p: ((p.M * (p.X @ p.V - p.Y)) ** 2).sum()),
    Case("logarithm of a norm", sp.log(tr(factors.T * factors)), V, 2 * X.T * (X * V - Y) / tr(factors.T * factors),
         lambda p: np.log(((p.X @ p.V - p.Y) ** 2).sum())),
    Case("logistic", one.T * applied(lambda t: sp.log(1 + sp.exp(-t)), had(y, X * w)) / n, w,
         "(-1/n)*X.T*(HadamardProduct(Lambda(t, sigmoid(t)).(-(HadamardProduct(X*w, y))), y))",
         lambda p: np.log1p(np.exp(-p.y * (p.X @ p.w))).sum() / 5),
    Case("logistic, labels 0 and 1", one.T * applied(lambda t: sp.log(1 + sp.exp(t)), X * w) / n - y.T * X * w / n, w,
         X.T * (applied(sigmoid, X * w) - y) / n,
         lambda p: (np.log1p(np.exp(p.X @ p.w)) - p.y * (p.X @ p.w)).sum() / 5),
    Case("Poisson", one.T * (applied(sp.exp, X * w) - had(y, X * w)), w, X.T * (applied(sp.exp, X * w) - y),
         lambda p: (np.exp(p.X @ p.w) - p.y * (p.X @ p.w)).sum()),
    Case("hinge", one.T * applied(lambda t: sp.Max(0, 1 - t), had(y, X * w)), w,
         "-X.T*(HadamardProduct(Lambda(t, Heaviside(1 - t, 0)).(HadamardProduct(X*w, y)), y))",
         lambda p: np.maximum(0, 1 - p.y * (p.X @ p.w)).sum(), smooth=False),
    Case("squared hinge", one.T * applied(lambda t: sp.Max(0, 1 - t) ** 2, had(y, X * w)), w,
         "-2*X.T*(HadamardProduct(Lambda(t, Piecewise((Max(0, 1 - t), t < 1), (0, True)))"
         ".(HadamardProduct(X*w, y)), y))",
         lambda p: (np.maximum(0, 1 - p.y * (p.X @ p.w)) ** 2).sum(), smooth=False),
    Case("absolute values", one.T * residual.applyfunc(sp.Abs) + lam * OneMatrix(1, d) * w.applyfunc(sp.Abs), w,
         X.T * applied(sp.sign, X * w - y) + lam * applied(sp.sign, w),
         lambda p: np.abs(p.X @ p.w - p.y).sum() + 0.3 * np.abs(p.w).sum(), smooth=False),
    Case("Huber", one.T * applied(huber, X * w - y) / n, w,
         "1/n*X.T*Lambda(t, Piecewise((t, delta >= Abs(t)), (delta*sign(t), True))).(X*w - y)",
         lambda p: np_huber(p.X @ p.w - p.y, 0.4).sum() / 5, smooth=False),
    Case("largest of two columns", sp.Sum(sp.Max((X * w)[i, 0], y[i, 0]), (i, 0, n - 1)), w,
         X.T * applied(lambda t: sp.Heaviside(t, 0), X * w - y),
         lambda p: np.maximum(p.X @ p.w, p.y).sum(), smooth=False),
    Case("pieces by another column",
         sp.Sum(sp.Piecewise(((X * w)[i, 0] ** 2, y[i, 0] > 0), (0, True)), (i, 0, n - 1)), w,
         "2*X.T*(HadamardProduct(X*w, Lambda(t, Heaviside(t, 0)).(y)))",
         lambda p: np.where(p.y > 0, (p.X @ p.w) ** 2, 0).sum(), smooth=False),
    Case("two pieces by another column",
         sp.Sum(sp.Piecewise(((X * w)[i, 0] ** 2, y[i, 0] > 0), ((X * w)[i, 0], True)), (i, 0, n - 1)), w,
         "X.T*(Lambda(t, Heaviside(t, 1)).(-y) + 2*(HadamardProduct(X*w, Lambda(t, Heaviside(t, 0)).(y))))",
         lambda p: np.where(p.y > 0, (p.X @ p.w) ** 2, p.X @ p.w).sum(), smooth=False),
    Case("square of the larger of two columns", sp.Sum(sp.Max((X * w)[i, 0], y[i, 0]) ** 2, (i, 0, n - 1)), w,
         "2*X.T*(HadamardProduct(Lambda(t, Max(0, t)).(X*w - y) + y, Lambda(t, Heaviside(t, 0)).(X*w - y)))",
         lambda p: (np.maximum(p.X @ p.w, p.y) ** 2).sum(), smooth=False),
    Case("a factor of two pieces",
         sp.Sum(sp.Piecewise(((X * a)[i, 0], y[i, 0] > 0), (2, True)) * (X * w)[i, 0], (i, 0, n - 1)), w,
         "X.T*(2*Lambda(t, Heaviside(t, 1)).(-y) + HadamardProduct(X*a, Lambda(t, Heaviside(t, 0)).(y)))",
         lambda p: (np.where(p.y > 0, p.X @ p.a, 2) * (p.X @ p.w)).sum()),
    Case("a factor of two constants",
         sp.Sum(sp.Piecewise((3, y[i, 0] > (X * a)[i, 0]), (2, True)) * (X * w)[i, 0], (i, 0, n - 1)), w,
         "X.T*(3*Lambda(t, Heaviside(t, 0)).(-X*a + y) + 2*Lambda(t, Heaviside(t, 1)).(X*a - y))",
         lambda p: (np.where(p.y > p.X @ p.a, 3, 2) * (p.X @ p.w)).sum()),
    Case("logarithm of two pieces",
         sp.log(sp.Sum(sp.Piecewise(((X * w)[i, 0] ** 2, y[i, 0] > (X * a)[i, 0]), (2, True)), (i, 0, n - 1))), w,
         "(2/Trace(1*(2*Lambda(t, Heaviside(t, 1)).(X*a - y) + HadamardProduct(Lambda(t, Heaviside(t, 0)).(-X*a + y), "
         "HadamardPower(X*w, 2)))))*X.T*(HadamardProduct(X*w, Lambda(t, Heaviside(t, 0)).(-X*a + y)))",
         lambda p: np.log(np.where(p.y > p.X @ p.a, (p.X @ p.w) ** 2, 2).sum())),
    # quadratic and bilinear forms
    Case("quadratic form", w.T * A * w, w, A * w + A.T * w, lambda p: (p.w.T @ p.A @ p.w).sum()),
    Case("quadratic form of a row", v * A * v.T, v, v * (A + A.T), lambda p: (p.v @ p.A @ p.v.T).sum()),
    Case("linear form", tr(A * W), W, A.T, lambda p: np.trace(p.A @ p.W)),
    Case("quadratic form of a matrix", tr(W.T * A * W), W, A * W + A.T * W, lambda p: np.trace(p.W.T @ p.A @ p.W)),
    Case("quadratic form, two sides", tr(A * W * B * W.T), W, A * W * B + A.T * W * B.T,
         lambda p: np.trace(p.A @ p.W @ p.B @ p.W.T)),
    Case("trace", tr(W), W, sp.Identity(d), lambda p: np.trace(p.W)),
    Case("trace of a cube", tr(W**3), W, 3 * (W.T) ** 2, lambda p: np.trace(p.W @ p.W @ p.W)),
    Case("sum of entries", OneMatrix(1, d) * W * OneMatrix(d, 1), W, OneMatrix(d, d), lambda p: p.W.sum()),
    Case("norm", sp.sqrt(tr(W.T * W)), W, W / sp.sqrt(tr(W.T * W)), lambda p: np.sqrt((p.W**2).sum())),
    Case("distance", tr((A - W).T * (A - W)), W, 2 * W - 2 * A, lambda p: ((p.A - p.W) ** 2).sum()),
    Case("scalar product", sp.DotProduct(w, a), w, a, lambda p: (p.w * p.a).sum()),
    Case("square of a square", (w.T * w) ** 2, w, 4 * tr(w.T * w) * w, lambda p: (p.w**2).sum() ** 2),
    Case("Rayleigh quotient", tr(w.T * A * w) / tr(w.T * w), w,
         A * w / tr(w.T * w) + A.T * w / tr(w.T * w) - 2 * tr(w.T * A * w) / tr(w.T * w) ** 2 * w,
         lambda p: (p.w.T @ p.A @ p.w).sum() / (p.w**2).sum()),
    Case("exponential of a trace", sp.exp(tr(A * W)), W, sp.exp(tr(A * W)) * A.T,
         lambda p: np.exp(np.trace(p.A @ p.W))),
    Case("diagonal matrix", w.T * sp.DiagMatrix(w) * w, w, 3 * sp.HadamardPower(w, 2), lambda p: (p.w**3).sum()),
    Case("diagonal weights", y.T * X * sp.DiagMatrix(w) * X.T * y, w, sp.HadamardPower(X.T * y, 2),
         lambda p: ((p.X.T @ p.y) ** 2 * p.w).sum()),
    Case("diagonal in the middle", tr(W.T * sp.DiagMatrix(a) * W), W, 2 * sp.DiagMatrix(a) * W,
         lambda p: np.trace(p.W.T @ np.diag(p.a[:, 0]) @ p.W)),
    Case("factorization", tr(masked.T * masked) + lam * tr(U.T * U), U,
         "(2*lam)*U + 2*(HadamardProduct(U*T.T - Y, HadamardPower(M, 2)))*T", np_factorization),
    Case("factorization, other side", tr(masked.T * masked) + lam * tr(U.T * U), T,
         "2*(HadamardProduct(U*T.T - Y, HadamardPower(M, 2))).T*U", np_factorization),
    Case("weights of rows", tr(X.T * sp.DiagMatrix(y) * X * W), W, X.T * sp.DiagMatrix(y) * X,
         lambda p: np.trace(p.X.T @ np.diag(p.y[:, 0]) @ p.X @ p.W)),
    Case("exponential of a product", sp.exp(tr((-y - X * w).T * y)), w, -sp.exp(-tr(y.T * (X * w + y))) * X.T * y,
         lambda p: np.exp(-((p.y + p.X @ p.w) * p.y).sum())),
    Case("shifted by the identity", tr((W + sp.Identity(d)).T * (W + sp.Identity(d))), W, 2 * W + 2 * sp.Identity(d),
         lambda p: ((p.W + np.eye(3)) ** 2).sum()),
    Case("products of exponentials", OneMatrix(1, d) * A.applyfunc(sp.exp) * W.applyfunc(sp.exp) * OneMatrix(d, 1), W,
         "DiagMatrix(Lambda(t, exp(t)).(A.T)*1)*Lambda(t, exp(t)).(W)",
         lambda p: (np.exp(p.A) @ np.exp(p.W)).sum()),
    Case("products of exponentials, weighted",
         OneMatrix(1, d) * sp.DiagMatrix(a) * exponentials**2 * OneMatrix(d, 1), W,
         "DiagMatrix(Lambda(t, exp(t)).(W.T)*a)*Lambda(t, exp(t)).(W) + "
         "HadamardProduct(a*1*Lambda(t, exp(t)).(W.T), Lambda(t, exp(t)).(W))",
         lambda p: (p.a.T @ np.exp(p.W) @ np.exp(p.W)).sum()),
    Case("cube of a row", tr(v * sp.DiagMatrix(v) * v.T), v, 3 * sp.HadamardPower(v, 2), lambda p: (p.v**3).sum()),
    Case("identity of one row", tr(sp.MatMul(sp.Transpose(scaled), scaled)), w, 2 * lam**2 * w,
         lambda p: 0.09 * (p.w**2).sum()),
    # networks
    Case("hidden layer", one.T * sp.HadamardPower(outer, 2) / n, W1,
         "(2/n)*X.T*(HadamardProduct((Lambda(t, tanh(t)).(X*W1)*w2 - y)*w2.T, Lambda(t, 1 - tanh(t)**2).(X*W1)))",
         np_hidden),
    Case("output layer", one.T * sp.HadamardPower(outer, 2) / n, w2,
         "(2/n)*Lambda(t, tanh(t)).(X*W1).T*(Lambda(t, tanh(t)).(X*W1)*w2 - y)", np_hidden),
    Case("two hidden layers, first", tr(deep.T * deep) / n, W1,
         2 * X.T * had(backward * W2.T, applied(lambda t: 1 - sp.tanh(t) ** 2, X * W1)) / n, np_deep),
    Case("two hidden layers, second", tr(deep.T * deep) / n, W2, f"(2/n)*{tall}.T*({backward})", np_deep),
    Case("two hidden layers, last", tr(deep.T * deep) / n, w3, f"(2/n)*{taller}.T*({taller}*w3 - y)", np_deep),
    Case("relu layer", tr(rectified.T * rectified) / n, W1,
         "(2/n)*X.T*(HadamardProduct((Lambda(t, Max(0, t)).(X*W1)*w2 - y)*w2.T, Lambda(t, Heaviside(t, 0)).(X*W1)))",
         np_rectified, smooth=False),
    Case("softmax regression", entropy, V, X.T * (RowSoftmax(X * V + one * b) - Y) / n, np_entropy),
    Case("softmax regression, offsets", entropy, b, OneMatrix(1, n) * (RowSoftmax(X * V + one * b) - Y) / n,
         np_entropy),
    Case("cross-entropy of softmax", -tr(Y.T * RowSoftmax(X * V).applyfunc(sp.log)) / n, V,
         X.T * (sp.DiagMatrix(Y * OneMatrix(K, 1)) * RowSoftmax(X * V) - Y) / n,
         lambda p: (p.Y.sum(axis=1) * np_logsumexp(p.X @ p.V)).sum() / 5 - (p.Y * (p.X @ p.V)).sum() / 5),
    Case("logsumexp of a column", tr(RowLogSumExp(X * w)), w, X.T * RowSoftmax(X * w),
         lambda p: np.log(np.exp(p.X @ p.w).sum())),
    Case("attention", tr(attention.T * attention), W,
         "2*(-DiagMatrix(softmax(U*W.T)*w)*softmax(U*W.T) + softmax(U*W.T)*DiagMatrix(w)).T"
         "*DiagMatrix(-y + softmax(U*W.T)*w)*U", np_attention),
    Case("attention, values", tr(attention.T * attention), w, 2 * RowSoftmax(U * W.T).T * (RowSoftmax(U * W.T) * w - y),
         np_attention),
    # parts and single entries
    Case("differences of neighbours", tr((w[1:, :] - w[: d - 1, :]).T * (w[1:, :] - w[: d - 1, :])), w,
         "2*I[:, :d - 1]*(w[:d - 1, :] - w[1:, :]) + 2*I[:, 1:]*(-w[:d - 1, :] + w[1:, :])",
         lambda p: ((p.w[1:] - p.w[:-1]) ** 2).sum()),
    Case("one entry", W[0, 1] ** 2 + tr(W), W, "(2*W[0, 1])*I[:, :1]*I[1:2, :] + I",
         lambda p: p.W[0, 1] ** 2 + np.trace(p.W)),
    Case("one row", tr(W[1, :] * A * W[1, :].T), W, "I[:, 1:2]*W[1:2, :]*(A + A.T)", lambda p: p.W[1] @ p.A @ p.W[1]),
    Case("scalar matrix", s**2 + w.T * w * s, s, sp.ImmutableMatrix([[2 * s[0, 0] + tr(w.T * w)]]),
         lambda p: (p.s**2).sum() + (p.w**2).sum() * p.s.sum()),
    Case("unused", tr(A * B), W, ZeroMatrix(d, d), lambda p: np.trace(p.A @ p.B)),
    # no matrix operation does this: components
    Case("weights by place", sp.Sum(i * w[i, 0], (i, 0, d - 1)), w,
         sp.FunctionMatrix(d, 1, sp.Lambda((i, j), i)), lambda p: (np.arange(3) * p.w[:, 0]).sum()),
    Case("softmax of the first alone", sp.Sum(sp.log(sp.Sum(sp.exp(X[i, j] * w[j, 0]), (j, 0, 0))), (i, 0, n - 1)), w,
         "Trace(1*X[:, :1])*I[:, :1]", lambda p: (p.X[:, 0] * p.w[0]).sum()),
    Case("lower triangle", sp.Sum(W[i, j], (j, 0, i), (i, 0, d - 1)), W,
         sp.FunctionMatrix(d, d, sp.Lambda((i, j), sp.Piecewise((1, i >= j), (0, True)))),
         lambda p: np.tril(p.W).sum()),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def point(seed: int) -> tuple[Values, dict[Any, Any]]:
    """Random arrays by name, and the same with the scalars as the interpreter takes them."""
    generator = np.random.default_rng(seed)
    symbols = [X, y, w, a, A, B, W, V, Y, M, b, W1, w2, W2, w3, U, T, v, s]
    values: dict[Any, Any] = {extent: sp.Integer(size) for extent, size in SIZES.items()}
    values |= {lam: sp.Float(0.3), delta: sp.Float(0.4)}
    for matrix_symbol in symbols:
        values[matrix_symbol] = generator.normal(size=_shape(matrix_symbol, values))
    return Values({matrix_symbol.name: values[matrix_symbol] for matrix_symbol in symbols}), values


def slope(loss: Callable[[Any], Any], arrays: Values, name: str, smooth: bool) -> np.ndarray:
    """The gradient by a complex step, or by central differences."""
    gradient = np.zeros(arrays[name].shape)
    for place in np.ndindex(*gradient.shape):
        unit = np.zeros(gradient.shape)
        unit[place] = 1
        at = [loss(Values({**arrays, name: arrays[name] + h * unit})) for h in ((1e-30j,) if smooth else (1e-6, -1e-6))]
        gradient[place] = np.imag(at[0]) / 1e-30 if smooth else (at[0] - at[1]) / 2e-6
    return gradient


@every_case
def test_the_reading_is_what_a_textbook_prints(case: Case) -> None:
    """Catches any loss of recognisability: a factor left inside, a double minus, a transposed chain."""
    reading = raised(case.loss, case.parameter)
    assert isinstance(reading, sp.MatrixExpr)
    assert tuple(reading.shape) == tuple(case.parameter.shape)
    if isinstance(case.reading, str):
        assert str(reading) == case.reading
    elif case.reading is sp.FunctionMatrix:
        assert isinstance(reading, sp.FunctionMatrix)
    else:
        assert sorted(sp.MatAdd.make_args(reading), key=str) == sorted(sp.MatAdd.make_args(case.reading), key=str)


@every_case
def test_the_reading_is_the_gradient(case: Case) -> None:
    """Catches a wrong sign, factor, transpose, or a sum over too many or too few indices."""
    arrays, values = point(1)
    expected = slope(case.numpy, arrays, case.parameter.name, case.smooth)
    found = matrix(raised(case.loss, case.parameter), values)
    assert found.shape == expected.shape
    tolerance = 1e-12 if case.smooth else 1e-8
    assert np.abs(found - expected).max() <= tolerance * max(1.0, np.abs(expected).max())


# -- losses drawn at random -------------------------------------------------------------------------------------------

FUNCTIONS: list[Callable[[Any], Any]] = [
    sp.tanh, sigmoid, sp.sin, sp.Abs, huber, relu,
    lambda z: sp.log(1 + z**2), lambda z: z * sigmoid(z), lambda z: sp.exp(-(z**2)), lambda z: 1 / (1 + z**2),
]  # fmt: skip


class Draw:
    """Draws matrix expressions of a wanted shape."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        shapes = [(rows, columns) for rows in (n, d, m, 1) for columns in (n, d, m, 1) if (rows, columns) != (1, 1)]
        self.symbols = {shape: symbol(f"M{number}", *shape) for number, shape in enumerate(shapes)}

    def loss(self, depth: int) -> Any:
        rows, columns = self.random.choice([n, d, m]), self.random.choice([n, d, m, 1])
        inside = self.matrix(rows, columns, depth)
        square = tr(sp.MatMul(sp.Transpose(inside), inside))
        total = tr(sp.MatMul(OneMatrix(1, rows), inside, OneMatrix(columns, 1)))
        return self.random.choice([total, square, sp.sqrt(1 + square), tr(self.matrix(rows, rows, depth))])

    def leaf(self, rows: Any, columns: Any) -> Any:
        if (rows, columns) == (1, 1):
            return lam * OneMatrix(1, 1)
        own, other = self.symbols[rows, columns], self.symbols[columns, rows].T
        fixed = sp.Identity(rows) if rows == columns else OneMatrix(rows, columns)
        return self.random.choice([own, own, own, other, other, fixed])

    def matrix(self, rows: Any, columns: Any, depth: int) -> Any:
        if depth == 0 or (rows, columns) == (1, 1):
            return self.leaf(rows, columns)

        def again(r: Any = rows, c: Any = columns) -> Any:
            return self.matrix(r, c, depth - 1)

        inner = self.random.choice([n, d, m, 1])
        choices = [
            lambda: sp.MatMul(again(rows, inner), again(inner, columns)),
            lambda: sp.MatMul(again(rows, d), again(d, columns)),
            lambda: sp.MatAdd(again(), self.random.choice([1, -1, 2]) * again()),
            lambda: had(again(), again()),
            lambda: applied(self.random.choice(FUNCTIONS), again()),
            lambda: sp.Transpose(again(columns, rows)),
            lambda: self.random.choice([lam, -1, sp.Rational(1, 2), 1 / n]) * again(),
            lambda: tr(again(d, d)) * again(),
        ]
        if rows != 1:
            choices.append(lambda: sp.MatMul(sp.DiagMatrix(again(rows, 1)), again()))
            choices.append(lambda: RowSoftmax(again()))
        if rows == columns:
            choices.append(lambda: sp.DiagMatrix(again(rows, 1)))
        if columns == 1:
            choices.append(lambda: RowLogSumExp(again(rows, d)))
        return self.random.choice(choices)()


@pytest.mark.parametrize("seed", range(60))
def test_random_losses(seed: int) -> None:
    """Catches interplays nobody thought of: every operation within every other, in either orientation."""
    draw = Draw(seed)
    loss = draw.loss(1 + seed % 3)
    parameters = sorted(loss.atoms(sp.MatrixSymbol), key=str) or [draw.symbols[d, 1]]
    parameter = draw.random.choice(parameters)
    generator = np.random.default_rng(seed)
    values: dict[Any, Any] = {n: sp.Integer(3), d: sp.Integer(2), m: sp.Integer(4)}
    values |= {lam: sp.Float(0.7), delta: sp.Float(1)}
    values |= {each: generator.normal(scale=0.5, size=_shape(each, values)) for each in parameters}
    reading = raised(loss, parameter)
    found = matrix(reading, values)
    assert found.shape == values[parameter].shape
    assert not reading.has(sp.FunctionMatrix)
    for place in np.ndindex(*found.shape):
        step = np.zeros(found.shape)
        step[place] = 1e-4
        at = [float(number(loss, {**values, parameter: values[parameter] + k * step})) for k in (1, -1, 2, -2)]
        expected = (8 * (at[0] - at[1]) - (at[2] - at[3])) / 12e-4
        assert abs(found[place] - expected) < 1e-6 * max(1.0, abs(expected))


@pytest.mark.parametrize("seed", range(80))
def test_random_contractions(seed: int) -> None:
    """Catches a summed index that is lost or counted twice, against ``numpy.einsum``; three at an index are refused."""
    draw, generator = random.Random(seed), np.random.default_rng(seed)
    lengths = {"i": 2, "j": 3, "k": 4, "l": 2}
    count = draw.randint(1, 5)
    words = ["".join(draw.sample("ijkl", draw.choice([1, 1, 2, 2, 2]))) for _ in range(count)]
    result = draw.choice(["", "i", "ij", "ji"])
    arrays = [generator.normal(size=[lengths[letter] for letter in word]) for word in words]
    symbols = [symbol(f"P{place}", *(*array.shape, 1)[:2]) for place, array in enumerate(arrays)]
    factors = [Labelled(each, tuple(word)) for each, word in zip(symbols, words, strict=True)]
    summed = [letter for letter in lengths if letter not in result]
    row, column = (*result, None, None)[:2]
    ones = [np.ones(length) for length in lengths.values()]
    expected = np.einsum(f"{','.join([*words, *lengths])}->{result}", *arrays, *ones)
    try:
        found = contract(2 * lam, factors, summed, row, column, lambda letter: sp.Integer(lengths[letter]))
    except NotMatrixError:
        touching = [{frozenset(word) for word in words if letter in word and len(word) == 2} for letter in summed]
        assert len(set(map(frozenset, words))) > 2 and any(len(each) > 1 for each in touching)
        return
    values: dict[Any, Any] = {lam: sp.Float(0.3)}
    values |= {each: array.reshape(*array.shape, 1)[:, :, 0] if array.ndim == 2 else array[:, None]
               for each, array in zip(symbols, arrays, strict=True)}  # fmt: skip
    number_or_array = matrix(found, values) if result else float(number(found, values))
    assert np.allclose(number_or_array, 0.6 * (expected[:, None] if len(result) == 1 else expected))


def test_three_matrices_at_each_index_are_refused() -> None:
    """The sum Σ P[i,j] P[i,k] P[i,l] P[j,k] P[j,l] P[k,l] is no product of matrices."""
    factors = [Labelled(symbol("P", 2, 2), tuple(word)) for word in ("ij", "ik", "il", "jk", "jl", "kl")]
    with pytest.raises(NotMatrixError):
        contract(1, factors, list("ijkl"), None, None, lambda label: 2)


# -- what else may come -----------------------------------------------------------------------------------------------


def test_samples_become_rows() -> None:
    """Per-sample symbols are read as the arrays over the samples that replace them."""
    graph = Graph()
    sample = Index(graph.symbol(n), 0)
    features, target = symbol("x", d, 1), sp.Symbol("t")
    lowering = Lowering(graph, samples={features: sample, target: sample})
    each = lowering.lower((tr(features.T * w) - target) ** 2)
    root = graph.reduce("sum", each, sample)
    reader = Reader(graph, lowering, {"n", "d", "w", "X", "y"}, arrays={features: X, target: y})
    assert raise_gradient(reader, reverse(graph, root, [w]), w, w.shape) == 2 * X.T * (X * w - y)


def test_indexed_arrays_are_read_as_components() -> None:
    """An IndexedBase is no matrix; what can be written in matrices still is. The Lambda binds no index of a sum."""
    array = sp.IndexedBase("Z", shape=(n, d))
    inner = sp.Sum(array[i, j] * w[j, 0], (j, 0, d - 1))
    reading = raised(sp.Sum((inner - y[i, 0]) ** 2, (i, 0, n - 1)) + lam * tr(w.T * w), w)
    matrices = [term for term in reading.args if not term.has(sp.FunctionMatrix)]
    (components,) = (term for term in reading.args if term.has(sp.FunctionMatrix))
    assert matrices == [2 * lam * w]
    entry = components[2, 0]  # where a bound index is replaced too, SymPy refuses or captures
    assert entry.has(array[j, 2])
    scalar = raised(sp.Sum(array[i, 0], (i, 0, n - 1)) * tr(w.T * w), w)
    assert scalar == 2 * sp.Sum(array[i, 0], (i, 0, n - 1)) * w


def test_names_of_the_user_are_not_bound() -> None:
    """A constant called t, and functions within functions, keep their meaning."""
    t = sp.Symbol("t")
    assert "Lambda(z, " in str(raised(tr(one.T * applied_by(lambda z: sp.sin(t * z), X * w)), w))
    total = tr(OneMatrix(1, d) * applied_by(sp.sin, w))
    reading = raised(tr(OneMatrix(1, d) * applied_by(lambda z: sp.sin(z * total) * z, w)), w)
    for function in reading.atoms(sp.Lambda):
        bound = {v for inner in function.expr.atoms(sp.Lambda) for v in inner.variables}
        assert not bound & set(function.variables)


def applied_by(function: Callable[[Any], Any], argument: Any) -> Any:
    return ElementwiseApplyFunction(sp.Lambda(x, function(x)), argument)


def test_a_masked_nan_is_not_spread() -> None:
    """With ``kinks="raise"`` NaN stands at ties alone: NaN times a mask would be NaN everywhere."""
    graph = Graph()
    lowering = Lowering(graph)
    root = lowering.lower(sp.Sum(sp.Max((X * w)[i, 0], y[i, 0], (X * a)[i, 0]), (i, 0, n - 1)))
    reader = Reader(graph, lowering, {"X", "w", "y", "a", "n", "d"})
    reading = raise_gradient(reader, reverse(graph, root, [w], kinks="raise"), w, w.shape)
    arrays, values = point(2)
    expected = slope(lambda p: np.maximum(np.maximum(p.X @ p.w, p.y), p.X @ p.a).sum(), arrays, "w", smooth=False)
    assert np.allclose(matrix(reading, values), expected, rtol=1e-8)


def test_a_range_that_is_not_the_whole_axis_is_not_taken_for_it() -> None:
    """A sum over the first rows only is a slice, and a triangular one is no product."""
    reading = raised(sp.Sum((X[i, j] * w[j, 0]), (j, 0, d - 1), (i, 0, n - 2)), w)
    assert str(reading) == "X[:n - 1, :].T*1"
    assert raised(sp.Sum((X[i, j] * w[j, 0]), (j, 0, i), (i, 0, d - 1)), w).has(sp.FunctionMatrix)


def test_only_the_parameter_asked_for() -> None:
    graph = Graph()
    lowering = Lowering(graph)
    root = lowering.lower(tr(A * W) + tr(B * A))
    reader = Reader(graph, lowering, {"A", "B", "W", "d"})
    both = reverse(graph, root, [A, W])
    assert {scatter.parameter for scatter in both if isinstance(scatter, Scatter)} == {A, W}
    assert raise_gradient(reader, both, W, W.shape) == A.T
    assert raise_gradient(reader, both, A, A.shape) == W.T + B.T


def test_values() -> None:
    """A node is read as a scalar without indices, as a matrix with them; None where there is no form."""
    graph = Graph()
    lowering = Lowering(graph)
    reader = Reader(graph, lowering, {"X", "w", "y", "n", "d"})
    assert raise_value(reader, lowering.lower(tr(residual.T * residual))) == tr(residual.T * residual)
    row, column = Index(graph.symbol(n), 0), Index(graph.symbol(d), 0)
    entry = graph.load(X, [graph.index(row), graph.index(column)])
    assert raise_value(reader, entry, row, column) == X
    assert raise_value(reader, entry, column, row) == X.T
    assert raise_value(reader, graph.one, row, column) == OneMatrix(n, d)
    assert raise_value(reader, graph.index(row), row) is None


def test_the_same_words_every_time() -> None:
    """No dummies, no order of sets: two derivations print alike and compare equal."""
    for case in CASES:
        assert raised(case.loss, case.parameter) == raised(case.loss, case.parameter)


def test_opposite_cases_are_read_as_one_choice():
    # two sums, one of them with a step function, where the loss has one definition by cases
    w, b, x, y = sp.symbols("w b x y")
    gradient = sd.Loss(sd.losses.huber(y, w * x + b), [w, b], samples=[x, y]).gradient
    for parameter in (w, b):
        (total,) = gradient[parameter].atoms(sp.Sum)
        assert len(total.atoms(sp.Piecewise)) == 1 and not total.has(sp.Heaviside)

"""Losses and penalties, in every notation, against NumPy and SciPy written independently."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from scipy.special import log_softmax

from symdescent import losses
from symdescent.elementary import TABLE
from symdescent.errors import StatementError
from symdescent.graph import Graph, Index, Node
from symdescent.notation.lower import Lowering

n, m, d, K = sp.symbols("n m d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
SIZES = {n: 4, m: 2, d: 3, K: 3}
DELTA = sp.Rational(3, 2)

random = np.random.default_rng(20240229)
LABELS = np.array([[1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [-1.0, -1.0]])
TARGETS, SCORES = random.normal(size=(4, 2)), random.normal(scale=2.0, size=(4, 2))

# name -> the loss, the array it is compared with, NumPy's version of one entry
ELEMENTWISE = {
    "squared": (losses.squared, TARGETS, lambda t, p: (t - p) ** 2),
    "absolute": (losses.absolute, TARGETS, lambda t, p: np.abs(t - p)),
    "huber": (
        lambda t, p, **options: losses.huber(t, p, DELTA, **options),
        TARGETS,
        lambda t, p: np.where(np.abs(t - p) <= 1.5, (t - p) ** 2 / 2, 1.5 * np.abs(t - p) - 1.125),
    ),
    "squared_margin": (losses.squared_margin, LABELS, lambda y, f: (1 - y * f) ** 2),
    "hinge": (losses.hinge, LABELS, lambda y, f: np.maximum(0.0, 1 - y * f)),
    "logistic": (losses.logistic, LABELS, lambda y, f: np.logaddexp(0.0, -y * f)),
}
every_loss = pytest.mark.parametrize("name", ELEMENTWISE)


# -- two ways to a number: SymPy's own evaluation, and the lowered graph ----------------------------------------------


def number(value: Any) -> Any:
    """A SymPy number, whole where it may serve as an index."""
    return sp.Integer(int(value)) if float(value).is_integer() else sp.Float(float(value))


def in_sympy(expression: Any, data: dict[str, np.ndarray]) -> float:
    """Substitute arrays for matrix symbols and indexed arrays, and let SymPy evaluate."""
    expression = expression.subs(SIZES)
    symbols = {s: sp.ImmutableMatrix(data[s.name]).applyfunc(number) for s in expression.atoms(sp.MatrixSymbol)}
    expression = expression.xreplace(symbols)

    def trace(matrix: Any) -> Any:
        return sp.Add(*matrix.as_explicit().diagonal())

    def entry(indexed: Any) -> Any:
        return number(data[indexed.base.name][tuple(map(int, indexed.indices))])

    def is_entry(part: Any) -> bool:
        return isinstance(part, sp.Indexed) and all(place.is_Integer for place in part.indices)

    value = expression.replace(sp.Trace, trace).doit().replace(is_entry, entry)
    return float(value.subs({s: float(data[s.name]) for s in value.free_symbols}).doit().evalf())


def lowered(expression: Any, data: dict[str, Any]) -> float:
    """Lower to the graph and evaluate the nodes one by one."""
    return evaluate(Lowering(Graph()).lower(expression), data)


def evaluate(root: Node, data: dict[str, Any]) -> float:
    """The value of a node, by a short interpreter that shares nothing with the generated code."""
    relations = {"less": float.__lt__, "less_equal": float.__le__, "equal": float.__eq__}
    plain = {"add": sum, "mul": math.prod, "all": all, "any": any, "not": lambda args: not args[0]}
    heads = {"log_softmax": lambda z, total: z - total, "logsumexp": lambda *z: np.logaddexp.reduce(z)}
    known: dict[Any, Any] = {}

    def value(node: Node, at: dict[Index, int]) -> Any:
        key = node, *sorted((index.extent.age, index.number, at[index]) for index in node.indices)
        if key not in known:
            known[key] = compute(node, at)
        return known[key]

    def compute(node: Node, at: dict[Index, int]) -> Any:
        if node.op in ("sum", "logsumexp"):
            places = range(int(value(node.payload.extent, at)))
            inside = [value(node.args[0], {**at, node.payload: place}) for place in places]
            return sum(inside) if node.op == "sum" else np.logaddexp.reduce(inside)
        if node.op == "const":
            return float(node.payload) if node.number is not None else bool(node.payload)
        if node.op == "symbol":
            return float(SIZES[node.payload]) if node.payload in SIZES else float(data[str(node.payload)])
        if node.op == "index":
            return at[node.payload]
        if node.op == "select":
            return value(node.args[1] if value(node.args[0], at) else node.args[2], at)
        args = [value(argument, at) for argument in node.args]
        if node.op == "load":
            array = data[node.payload.name]
            return array[(*map(int, args), *[0] * (array.ndim - len(args)))]
        if node.op == "call":
            return (heads.get(node.payload) or TABLE[node.payload].numeric)(*args)
        return plain[node.op](args) if node.op in plain else relations.get(node.op, pow)(*map(float, args))

    return float(value(root, {}))


def both_ways(expression: Any, data: dict[str, Any], expected: float) -> None:
    assert in_sympy(expression, data) == pytest.approx(expected, rel=1e-12, abs=1e-14)
    assert lowered(expression, data) == pytest.approx(expected, rel=1e-12, abs=1e-14)


def calls(expression: Any) -> set[str]:
    """The names of the functions in the lowered graph."""
    pending, names = [Lowering(Graph()).lower(expression)], set()
    while pending:
        node = pending.pop()
        pending.extend(node.args)
        names |= {node.payload} if node.op == "call" else set()
    return names


# -- regression and classification ------------------------------------------------------------------------------------


@every_loss
def test_scalar(name: str) -> None:
    """Catches a wrong formula: swapped factors, a forgotten half, a sign."""
    loss, left, reference = ELEMENTWISE[name]
    a, b = sp.symbols("a b", real=True)
    for target, score in zip(left.ravel(), SCORES.ravel(), strict=True):
        both_ways(loss(a, b), {"a": target, "b": score}, reference(target, score))


@every_loss
def test_indexed(name: str) -> None:
    """Catches a loss that sums by itself where the user's Sum already does."""
    loss, left, reference = ELEMENTWISE[name]
    T, X, w = (sp.IndexedBase(letter) for letter in "TXw")
    data = {"T": left[:, 0], "X": random.normal(size=(4, 3)), "w": random.normal(size=3)}
    score = sp.Sum(X[i, j] * w[j], (j, 0, d - 1))
    both_ways(sp.Sum(loss(T[i], score), (i, 0, n - 1)) / n, data, reference(data["T"], data["X"] @ data["w"]).mean())


@every_loss
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_matrix(name: str, columns: int, reduction: str) -> None:
    """Catches a mean over all entries where it is over the rows, and a sum that drops a column."""
    loss, left, reference = ELEMENTWISE[name]
    width = sp.S.One if columns == 1 else m
    T, A, W = sp.MatrixSymbol("T", n, width), sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("W", d, width)
    data = {"T": left[:, :columns], "A": random.normal(size=(4, 3)), "W": random.normal(size=(3, columns))}
    total = reference(data["T"], data["A"] @ data["W"]).sum()
    both_ways(loss(T, A * W, reduction=reduction), data, total / 4 if reduction == "mean" else total)


@every_loss
def test_written_out(name: str) -> None:
    """Catches lists and explicit matrices that are reduced otherwise than matrix symbols are."""
    loss, left, reference = ELEMENTWISE[name]
    scores = sp.symbols("s:4", real=True)
    data = {symbol.name: value for symbol, value in zip(scores, SCORES[:, 0], strict=True)}
    targets = [sp.Float(value) for value in left[:, 0]]
    expected = reference(left[:, 0], SCORES[:, 0]).mean()
    both_ways(loss(targets, list(scores)), data, expected)
    assert loss(sp.Matrix(targets), sp.Matrix(scores)) == loss(targets, scores)
    mixed = loss(targets, sp.MatrixSymbol("S", 4, 1))
    both_ways(mixed, {"S": SCORES[:, :1]}, expected)


def test_row_vectors_are_one_sample() -> None:
    """Catches a mean over columns: the rows are the samples."""
    a, b = sp.MatrixSymbol("a", 1, 2), sp.MatrixSymbol("b", 1, 2)
    data = {"a": TARGETS[:1], "b": SCORES[:1]}
    both_ways(losses.squared(a, b), data, ((TARGETS[0] - SCORES[0]) ** 2).sum())
    both_ways(losses.absolute(a, b), data, np.abs(TARGETS[0] - SCORES[0]).sum())


def test_one_by_one_matrix_is_a_scalar() -> None:
    """Catches SymPy's refusal of scalar - 1x1 matrix, which is how one sample's vector model is stated."""
    x, w, y = sp.MatrixSymbol("x", d, 1), sp.MatrixSymbol("w", d, 1), sp.Symbol("y", real=True)
    data = {"x": random.normal(size=(3, 1)), "w": random.normal(size=(3, 1)), "y": 1.0}
    score = (data["x"].T @ data["w"]).item()
    both_ways(losses.squared(y, x.T * w), data, (1 - score) ** 2)
    both_ways(losses.hinge(y, x.T * w), data, max(0.0, 1 - score))
    both_ways(losses.logistic(y, x.T * w), data, np.logaddexp(0, -score))


def test_huber_joins_smoothly_and_captures_no_symbol() -> None:
    """Catches a jump where the pieces meet, and a delta named as the dummy of the elementwise function."""
    r, u = sp.Symbol("r", real=True), sp.Symbol("u", real=True)
    square, line = (piece for piece, _ in losses.huber(r, 0, 2).args)
    assert square.subs(r, 2) == line.subs(r, 2)
    assert sp.diff(square, r).subs(r, 2) == sp.diff(line, r).subs(r, 2)
    a, b = sp.MatrixSymbol("a", n, 1), sp.MatrixSymbol("b", n, 1)
    data = {"a": TARGETS[:, :1], "b": SCORES[:, :1], "u": 1.5}
    both_ways(losses.huber(a, b, u), data, ELEMENTWISE["huber"][2](data["a"], data["b"]).mean())


def test_equal_calls_give_equal_expressions() -> None:
    """Catches a fresh dummy for each call, which makes SymPy take equal losses for different ones."""
    a, b, Y, Z = (sp.MatrixSymbol(letter, n, K) for letter in "abYZ")
    for loss, *_ in ELEMENTWISE.values():
        assert loss(a, b) == loss(a, b)
    assert losses.cross_entropy(Z, Y) == losses.cross_entropy(Z, Y)
    assert losses.l1(a) == losses.l1(a)


# -- cross-entropy ----------------------------------------------------------------------------------------------------

CLASSES = np.array([2, 0, 0, 1])
ONE_HOT = np.eye(3)[CLASSES]
SOFT = random.dirichlet(np.ones(3), size=4)
CE = {
    "A": random.normal(size=(4, 2)),
    "W": random.normal(size=(2, 3)),
    "b": random.normal(size=(3, 1)),
    "c": CLASSES[:, None].astype(float),
    "Y": ONE_HOT,
    "P": SOFT,
}
LOG_P = log_softmax(CE["A"] @ CE["W"] + CE["b"].T, axis=1)
BY_CLASS = -LOG_P[np.arange(4), CLASSES]


def indexed_logits() -> Any:
    A, W, b = (sp.IndexedBase(letter) for letter in "AWb")
    return sp.Sum(A[i, j] * W[j, k], (j, 0, m - 1)) + b[k, 0]


def matrix_logits() -> Any:
    A, W, b = sp.MatrixSymbol("A", n, m), sp.MatrixSymbol("W", m, K), sp.MatrixSymbol("b", K, 1)
    return A * W + sp.OneMatrix(n, 1) * b.T


def test_cross_entropy_indexed() -> None:
    """Catches the wrong choice between class and probabilities, and a substitution that misses a nested sum."""
    c, P = sp.IndexedBase("c"), sp.IndexedBase("P")
    z, classes = indexed_logits(), (k, 0, K - 1)
    by_class = sp.Sum(losses.cross_entropy(z, c[i, 0], classes), (i, 0, n - 1)) / n
    both_ways(by_class, CE, BY_CLASS.mean())
    by_probability = sp.Sum(losses.cross_entropy(z, P[i, k], classes), (i, 0, n - 1)) / n
    both_ways(by_probability, CE, -(SOFT * LOG_P).sum(axis=1).mean())
    Z = sp.IndexedBase("Z")
    stated = sp.log(sp.Sum(sp.exp(Z[i, k]), (k, 0, K - 1))) - Z[i, c[i]]
    assert losses.cross_entropy(Z[i, k], c[i], classes) == stated


def test_cross_entropy_captures_no_index() -> None:
    """Catches c[j] put into a sum over j: SymPy's own subs does that, and sums over all samples' classes."""
    A, W, c = (sp.IndexedBase(letter) for letter in "AWc")
    z = sp.Sum(A[0, j] * W[j, k], (j, 0, m - 1))
    loss = losses.cross_entropy(z, c[j, 0], (k, 0, K - 1))
    assert j in loss.free_symbols
    expected = -log_softmax(CE["A"][0] @ CE["W"])[CLASSES[0]]
    both_ways(loss.subs(j, 0), CE, expected)
    # a class that depends on both a sum's own bound and its index
    nested = sp.Sum(A[0, j] * W[j, k] * sp.Sum(A[1, i], (i, 0, j)), (j, 0, m - 1))
    scale = np.cumsum(CE["A"][1])
    swapped = losses.cross_entropy(nested, c[i + j, 0], (k, 0, K - 1)).subs({i: 1, j: 0})
    both_ways(swapped, CE, -log_softmax((CE["A"][0] * scale) @ CE["W"])[CLASSES[1]])


def test_cross_entropy_of_classes_counted_from_one() -> None:
    """Catches a class range that is taken for 0 … K-1 whatever was declared."""
    Z = sp.IndexedBase("Z")
    assert losses.cross_entropy(Z[k], 3, (k, 1, 3)).has(Z[3])
    for wrong in (0, 4):
        with pytest.raises(StatementError, match="from 1 to 3"):
            losses.cross_entropy(Z[k], wrong, (k, 1, 3))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_matrix(reduction: str) -> None:
    """Catches a softmax over columns, a mean over entries, and classes taken from the wrong row."""
    z = matrix_logits()
    c, P = sp.MatrixSymbol("c", n, 1), sp.MatrixSymbol("P", n, K)
    scale = 4 if reduction == "mean" else 1
    both_ways(losses.cross_entropy(z, c, reduction=reduction), CE, BY_CLASS.sum() / scale)
    both_ways(losses.cross_entropy(z, P, reduction=reduction), CE, -(SOFT * LOG_P).sum() / scale)
    numeric = sp.MatrixSymbol("Z", 4, 3)
    data = {"Z": CE["A"] @ CE["W"] + CE["b"].T}
    both_ways(losses.cross_entropy(numeric, CLASSES.tolist(), reduction=reduction), data, BY_CLASS.sum() / scale)
    both_ways(losses.cross_entropy(numeric, ONE_HOT.astype(int).tolist()), data, BY_CLASS.mean())


def test_cross_entropy_of_one_sample() -> None:
    """Catches a column of logits read as K samples of one class, whose loss would be 0."""
    W, b, x = sp.MatrixSymbol("W", m, K), sp.MatrixSymbol("b", K, 1), sp.MatrixSymbol("x", m, 1)
    y, c = sp.MatrixSymbol("y", K, 1), sp.Symbol("c", integer=True)
    data = {**CE, "x": CE["A"][:1].T, "y": SOFT[:1].T, "c": 2}
    z = W.T * x + b
    both_ways(losses.cross_entropy(z, y), data, -(SOFT[0] * LOG_P[0]).sum())
    both_ways(losses.cross_entropy(z, 1), data, -LOG_P[0, 1])
    assert lowered(losses.cross_entropy(z, c), data) == pytest.approx(-LOG_P[0, 2])
    row = sp.MatrixSymbol("Z", 1, K)
    both_ways(losses.cross_entropy(row, 2), {"Z": CE["A"][:1] @ CE["W"] + CE["b"].T}, -LOG_P[0, 2])


def test_cross_entropy_written_out() -> None:
    """Catches logits and probabilities that are paired out of order."""
    z = sp.symbols("z:3", real=True)
    logits = np.array([0.3, -1.2, 2.0])
    data, expected = {f"z{place}": value for place, value in enumerate(logits)}, -log_softmax(logits)
    for place in range(3):
        both_ways(losses.cross_entropy(z, place), data, expected[place])
        both_ways(losses.cross_entropy(z, np.eye(3, dtype=int)[place].tolist()), data, expected[place])
    c = sp.Symbol("c", integer=True)
    for place in range(3):
        both_ways(losses.cross_entropy(z, c), {**data, "c": place}, expected[place])
    y = sp.symbols("y:3", real=True)
    both_ways(losses.cross_entropy(z, y), {**data, "y0": 0.2, "y1": 0.5, "y2": 0.3}, expected @ [0.2, 0.5, 0.3])
    two_rows = losses.cross_entropy([z, z[::-1]], [0, 1])
    both_ways(two_rows, data, (expected[0] + expected[1]) / 2)
    both_ways(losses.cross_entropy([z, z[::-1]], [[1, 0, 0], [0, 1, 0]]), data, (expected[0] + expected[1]) / 2)


def test_symbolic_class_out_of_range_is_no_class() -> None:
    """Catches a Piecewise with a default, which takes class 7 of 3 for the last class."""
    z, c = sp.symbols("z:3", real=True), sp.Symbol("c", integer=True)
    assert math.isnan(lowered(losses.cross_entropy(z, c), {"z0": 1.0, "z1": 2.0, "z2": 3.0, "c": 7}))


# -- stability --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0.0, 1e-8, 30.0, 800.0, -800.0])
def test_logits_of_any_size(size: float) -> None:
    """Catches exp(800) = inf, and a loss of 1e-13 that is lost in the difference of two numbers near 800."""
    y, f = sp.symbols("y f", real=True)
    with mpmath.workdps(400):
        exact = float(mpmath.log(1 + mpmath.exp(-mpmath.mpf(size))))
    assert lowered(losses.logistic(y, f), {"y": 1.0, "f": size}) == pytest.approx(exact, rel=1e-15)
    assert lowered(losses.hinge(y, f), {"y": 1.0, "f": size}) == max(0.0, 1 - size)


def test_cross_entropy_is_recognised_in_every_notation() -> None:
    """Catches a form whose log-softmax the lowering does not see: a sure classifier's small loss would be noise."""
    Z, c, Y = sp.IndexedBase("Z"), sp.IndexedBase("c"), sp.IndexedBase("Y")
    w, x, z = sp.symbols("w x z")
    M, cm, Ym = matrix_logits(), sp.MatrixSymbol("c", n, 1), sp.MatrixSymbol("Y", n, K)
    column = sp.MatrixSymbol("W", m, K).T * sp.MatrixSymbol("x", m, 1) + sp.MatrixSymbol("b", K, 1)
    forms = [
        losses.cross_entropy(Z[i, k], c[i], (k, 0, K - 1)),
        losses.cross_entropy(Z[i, k], Y[i, k], (k, 0, K - 1)),
        losses.cross_entropy([w * x + z, x, z], 0) + z**2,
        losses.cross_entropy([[w * x + z, x], [x, z]], [0, 0]),
        losses.cross_entropy([w * x + z, x, z], c[i]),
        losses.cross_entropy(M, Ym),
        losses.cross_entropy(M, cm),
        losses.cross_entropy(column, 1),
        losses.cross_entropy(column, sp.MatrixSymbol("y", K, 1)),
    ]
    for form in forms:
        assert "log_softmax" in calls(form), form


# -- penalties --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("penalty", "of_array"), [(losses.l1, lambda w: np.abs(w).sum()), (losses.l2, lambda w: (w**2).sum())]
)
def test_penalties(penalty: Any, of_array: Any) -> None:
    """Catches a penalty that drops the last entry, sums one axis only, or takes a square root."""
    w = random.normal(size=(3, 2))
    data = {"w": w, "v": w[:, :1], "r": w[:1], "a": w[0, 0]}
    a = sp.Symbol("a", real=True)
    both_ways(penalty(a), data, of_array(w[0, 0]))
    both_ways(penalty(sp.MatrixSymbol("w", d, m)), data, of_array(w))
    both_ways(penalty(sp.MatrixSymbol("v", d, 1)), data, of_array(w[:, :1]))
    both_ways(penalty(sp.MatrixSymbol("r", 1, m)), data, of_array(w[:1]))
    both_ways(penalty(sp.IndexedBase("w", shape=(d, m))), data, of_array(w))
    both_ways(penalty(sp.Matrix([[a, 2 * a]])), data, of_array(w[0, 0] * np.array([1, 2])))
    both_ways(penalty([sp.MatrixSymbol("v", d, 1), a, sp.IndexedBase("w", shape=(d, m))]), data,
              of_array(w[:, :1]) + of_array(w[0, 0]) + of_array(w))  # fmt: skip
    W = sp.IndexedBase("w")
    both_ways(sp.Sum(penalty(W[i, 1]), (i, 0, d - 1)), data, of_array(w[:, 1]))


def test_penalty_of_an_array_counted_from_one() -> None:
    """Catches a textbook sum that starts at an entry before the first."""
    w = sp.IndexedBase("w", shape=(d,))
    (limit,) = losses.l2(w, first_index=1).limits
    assert tuple(limit)[1:] == (1, d)


def test_penalty_takes_no_index_from_the_shape() -> None:
    """Catches Sum(w[j]**2, (j, 0, j - 1)): an index named as the array's own length."""
    for name in "jk":
        length = sp.Symbol(name, integer=True)
        (limit,) = losses.l2(sp.IndexedBase("w", shape=(length,))).limits
        assert limit[0] != length


@pytest.mark.parametrize("columns", [sp.S.One, m])
def test_matrix_loss_and_penalty_can_be_added(columns: Any) -> None:
    """Catches a 1x1 matrix where a scalar is needed: SymPy refuses its sum with a trace."""
    A, W, T = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("W", d, columns), sp.MatrixSymbol("T", n, columns)
    size, lam = int(columns.subs(SIZES)), sp.Symbol("lam", positive=True)
    data = {
        "A": random.normal(size=(4, 3)),
        "W": random.normal(size=(3, size)),
        "T": random.normal(size=(4, size)),
        "lam": 0.3,
    }
    expected = (
        ((data["T"] - data["A"] @ data["W"]) ** 2).sum() / 4 + 0.3 * (data["W"] ** 2).sum() + np.abs(data["W"]).sum()
    )
    both_ways(losses.squared(T, A * W) + lam * losses.l2(W) + losses.l1(W), data, expected)


# -- what is refused --------------------------------------------------------------------------------------------------

a, b, x = sp.symbols("a b x")
t, v, Z = sp.MatrixSymbol("t", n, 1), sp.MatrixSymbol("v", d, 1), sp.MatrixSymbol("Z", n, K)
Zi = sp.IndexedBase("Z", shape=(n, K))

REFUSED = {
    "shapes differ": (lambda: losses.squared(t, v), "nx1.*dx1"),
    "matrix and scalar": (lambda: losses.hinge(1, t), "a scalar.*nx1"),
    "transposed": (lambda: losses.squared(t, t.T), "nx1.*1xn"),
    "text": (lambda: losses.squared("a + 1", a), r"'a \+ 1' \(str\)"),
    "NumPy array": (lambda: losses.squared(np.zeros(2), a), "ndarray.*as data"),
    "mapping": (lambda: losses.l2({"w": 1}), "dict"),
    "condition": (lambda: losses.absolute(a < b, 1), "StrictLessThan"),
    "array without index": (lambda: losses.squared(Zi, a), r"write Z\[i\]"),
    "empty list": (lambda: losses.squared([], []), "empty list"),
    "ragged list": (lambda: losses.squared([[a, b], [a]], [[a, b], [a]]), "different lengths"),
    "label 0": (lambda: losses.logistic(0, a), r"label 0 is not 1 or -1.*2\*label - 1"),
    "label 2 in a list": (lambda: losses.hinge([1, 2], [a, b]), "label 2"),
    "reduction": (lambda: losses.squared(a, b, reduction="total"), "'total'.*mean"),
    "delta 0": (lambda: losses.huber(a, b, 0), "delta = 0"),
    "delta NaN": (lambda: losses.huber(a, b, sp.nan), "delta = nan"),
    "delta a matrix": (lambda: losses.huber(t, t, t), "delta = t"),
    "no shape": (lambda: losses.l2(sp.IndexedBase("q")), r"IndexedBase\(\"q\", shape="),
    "class too large": (lambda: losses.cross_entropy([a, b], 2), "class 2.*0 to 1"),
    "class negative": (lambda: losses.cross_entropy([a, b], -1), "class -1"),
    "class of a matrix": (lambda: losses.cross_entropy(sp.MatrixSymbol("Z", 2, 3), [0, 3]), "class 3.*0 to 2"),
    "class not whole": (lambda: losses.cross_entropy([a, b], 0.5), "whole number"),
    "class NaN": (lambda: losses.cross_entropy([a, b], sp.nan), "whole number"),
    "classes missing": (lambda: losses.cross_entropy(Zi[i, k], 0), r"\(k, 0, K - 1\)"),
    "classes without bounds": (lambda: losses.cross_entropy(Zi[i, k], 0, k), r"\(k, 0, K - 1\)"),
    "classes not in the logits": (lambda: losses.cross_entropy(Zi[i, j], 0, (k, 0, 2)), "do not depend on k"),
    "classes with a matrix": (lambda: losses.cross_entropy(Z, 0, (k, 0, 2)), "do not depend on k"),
    "matrix target, indexed logits": (lambda: losses.cross_entropy(Zi[i, k], Z, (k, 0, 2)), "use its entry"),
    "probabilities too few": (lambda: losses.cross_entropy([a, b, x], [a, b]), "3 logits.*2x1"),
    "one class for n rows": (lambda: losses.cross_entropy(Z, 1), "nxK logits.*a scalar"),
    "probabilities transposed": (lambda: losses.cross_entropy(Z, Z.T), "nxK.*Kxn"),
    "classes too many": (lambda: losses.cross_entropy([[a, b], [b, x]], [0, 1, 1]), "2x2 logits.*3x1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    """Catches a statement that is taken silently, and a message that does not name what was given."""
    state, message = REFUSED[case]
    with pytest.raises(StatementError, match=message):
        state()


@pytest.mark.parametrize("label", [1, -1, 1.0, sp.Float(-1), sp.Integer(1)])
def test_labels_may_be_integers_or_floats(label: Any) -> None:
    """Catches a comparison with 1 that SymPy's floats fail."""
    assert losses.hinge(label, a).has(a)
    assert losses.cross_entropy([a, b], 1.0) == losses.cross_entropy([a, b], 1)

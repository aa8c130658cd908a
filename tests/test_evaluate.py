"""The independent witness against NumPy written by hand, and against its own complex steps and dual numbers."""

from __future__ import annotations

import ast
import inspect
import sys

import numpy as np
import pytest
import sympy as sp
from scipy import special
from sympy.matrices.expressions.hadamard import HadamardPower
from sympy.matrices.expressions.special import OneMatrix

from symdescent import dual as dual_numbers
from symdescent import elementary as el
from symdescent.check import evaluate as module
from symdescent.check import evaluate_matrices
from symdescent.check.evaluate import evaluate, leaves
from symdescent.dual import Dual, lift, primal, variables
from symdescent.elementary import TABLE
from symdescent.errors import DataError, StatementError, UnsupportedError

n, d, m = sp.symbols("n d m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
a, b, x, y = sp.symbols("a b x y", real=True)
X, W, V = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("W"), sp.IndexedBase("V")
u, v, c = sp.IndexedBase("u", shape=(n,)), sp.IndexedBase("v"), sp.IndexedBase("c")

RANDOM = np.random.default_rng(11)
N, D, M = 5, 3, 4
XS, WS, VS = RANDOM.normal(size=(N, D)), RANDOM.normal(size=(D, M)), RANDOM.normal(size=(M,))
US, WVEC = RANDOM.normal(size=N), RANDOM.normal(size=D)


def derivatives(expression, values, wanted, **options):
    """The gradient by dual numbers, having compared it with complex steps and the value with the plain one."""
    seeds = dict(zip(wanted, variables(*(values[symbol] for symbol in wanted)), strict=True))
    dual = lift(evaluate(expression, {**values, **seeds}, **options), next(iter(seeds.values())).directions)
    assert dual.value == pytest.approx(evaluate(expression, values, **options), rel=1e-13)
    column = 0
    for symbol in wanted:
        point = np.asarray(values[symbol], dtype=float)
        for cell in np.ndindex(point.shape):
            stepped = point.astype(complex)
            stepped[cell] += 1e-25j
            slope = np.imag(evaluate(expression, {**values, symbol: stepped}, **options)) / 1e-25
            assert dual.tangent[..., column] == pytest.approx(slope, rel=1e-11, abs=1e-13)
            column += 1
    return dual.tangent


# -- scalars ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_every_function_of_the_table_has_its_value_a_class_without_rule_would_show(row):
    for share in (0.13, 0.42, 0.88):
        at = [low + (high - low) * share for low, high in row.domain]
        arguments = [a, b][: row.arity]
        expression = row.sympy(*arguments) if row.name != "polygamma" else sp.polygamma(2, b)
        expected = row.numeric(*at) if row.name != "polygamma" else special.polygamma(2, at[1])
        assert evaluate(expression, dict(zip([a, b], at, strict=False))) == pytest.approx(expected, rel=1e-13)


REWRITTEN = [sp.cot, sp.sec, sp.csc, sp.coth, sp.sech, sp.csch, sp.factorial, sp.sign, sp.conjugate]


@pytest.mark.parametrize("function", REWRITTEN, ids=lambda function: function.__name__)
def test_functions_outside_the_table_against_sympy_a_wrong_reciprocal_would_show(function):
    z = sp.Symbol("z")
    assert evaluate(function(z), {z: 0.7}) == pytest.approx(float(function(sp.Float(0.7)).evalf()), rel=1e-14)


def test_constants_and_wide_sums_and_products():
    assert evaluate(sp.pi * sp.E + sp.Rational(1, 3) + sp.EulerGamma, {}) == pytest.approx(
        np.pi * np.e + 1 / 3 + np.euler_gamma
    )
    assert evaluate(x ** sp.Rational(3, 2) / y - 2, {x: 4, y: np.float32(0.5)}) == 14.0
    assert evaluate(sp.log(x, 2, evaluate=False), {x: 8.0}) == pytest.approx(3.0)
    assert evaluate(sp.beta(x, y), {x: 2.5, y: 1.5}) == pytest.approx(special.beta(2.5, 1.5))
    assert evaluate(sp.Rational(10**400, 10**400 + 1) * x, {x: 2.0}) == 2.0
    assert isinstance(evaluate(x, {x: 1}), float) and isinstance(evaluate(x, {x: 1j}), complex)


def test_extrema_of_many_arguments_share_ties():
    assert evaluate(sp.Max(x, y, 1), {x: 3.0, y: 2.0}) == 3.0 and evaluate(sp.Min(x, y, 1), {x: 3.0, y: 2.0}) == 1.0
    p, q = variables(2.0, 2.0)
    assert evaluate(sp.Max(x, y), {x: p, y: q}).tangent.tolist() == [0.5, 0.5]
    assert evaluate(sp.Max(x, y, 2), {x: p, y: q}).tangent.tolist() == [0.0, 0.0]


def test_piecewise_and_logic_an_operator_swapped_for_another_would_show():
    f = sp.Piecewise((x**2, sp.And(x > 0, sp.Or(y > 1, sp.Ne(x, 1)))), (-x, sp.Xor(x < -1, y < 0)), (5, True))

    def by_hand(x, y):
        if x > 0 and (y > 1 or x != 1):
            return x**2
        return -x if (x < -1) != (y < 0) else 5

    grid = [(s, t) for s in (-2.0, -1.0, 0.0, 1.0, 2.0) for t in (-1.0, 0.0, 1.0, 2.0)]
    for s, t in grid:
        assert evaluate(f, {x: s, y: t}) == by_hand(s, t)
    columns = np.array(grid).T
    assert evaluate(f, {x: columns[0], y: columns[1]}).tolist() == [by_hand(s, t) for s, t in grid]
    g = sp.Piecewise((1, sp.ITE(x > 0, y > 0, y < 0)), (0, sp.Not(sp.Eq(x, y))), (2, x >= y))
    assert [evaluate(g, {x: s, y: t}) for s, t in ((1, 1), (1, -1), (-1, -2), (-1, 2), (-0.0, 0))] == [1, 0, 1, 0, 2]
    assert np.isnan(evaluate(sp.Piecewise((1, x > 0)), {x: -1.0}))


def test_untaken_branches_leak_neither_value_nor_slope():
    f = sp.Piecewise((sp.sin(x) / x, sp.Ne(x, 0)), (1, True)) + sp.Piecewise((sp.log(x), x > 0), (x, True))
    found = evaluate(f, {x: Dual(np.array([0.0, -1.0]), np.ones((2, 1)))})
    assert found.value == pytest.approx([1.0, np.sin(1.0) - 1.0])
    assert found.tangent[:, 0] == pytest.approx([1.0, np.sin(1) - np.cos(1) + 1.0])


def test_kronecker_delta_and_relu_and_heads():
    assert evaluate(sp.KroneckerDelta(i, j) + sp.KroneckerDelta(i, 3), {i: 2, j: 2}) == 1.0
    z = [0.3, -1.2, 2.0]
    symbols = sp.symbols("z:3")
    values = dict(zip(symbols, z, strict=True))
    assert evaluate(el.logsumexp(*symbols), values) == pytest.approx(special.logsumexp(z))
    assert evaluate(el.softmax(*symbols), values) == pytest.approx(special.softmax(z)[0])
    assert derivatives(el.logsumexp(*symbols), values, symbols) == pytest.approx(special.softmax(z))
    large = dict(zip(symbols, (800.0, 801.0, -900.0), strict=True))  # the naive exponentials overflow here
    assert evaluate(el.logsumexp(*symbols), large) == pytest.approx(801 + np.log1p(np.exp(-1)))
    assert evaluate(el.softmax(*symbols), large) == pytest.approx(special.expit(-1.0))
    assert evaluate(el.softplus(x) + el.sigmoid(x) + el.relu(x), {x: 800.0}) == 1601.0


def test_scalar_gradient_from_the_lecture_notes():
    values = {x: 0.0, y: 1.0}
    assert derivatives(sp.exp(2 * y) * sp.sin(x), values, [x, y]) == pytest.approx([np.e**2, 0.0], abs=1e-14)


# -- sums and products ------------------------------------------------------------------------------------------------


def test_least_squares_value_and_gradient_by_hand():
    loss = sp.Sum((u[i] - sp.Sum(X[i, j] * v[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n
    values = {X: XS, u: US, v: WVEC}  # n and d are read off the arrays
    assert evaluate(loss, values) == pytest.approx(np.mean((US - XS @ WVEC) ** 2))
    assert derivatives(loss, values, [v]) == pytest.approx(-2 / N * XS.T @ (US - XS @ WVEC))


def test_softmax_regression_with_data_dependent_indices():
    z = sp.Sum(X[i, k] * W[k, j], (k, 0, d - 1))
    loss = sp.Sum(sp.log(sp.Sum(sp.exp(z), (j, 0, m - 1))) - z.xreplace({j: c[i]}), (i, 0, n - 1))
    labels = np.array([0, 3, 1, 1, 2])
    values = {X: XS, W: WS, c: labels, m: M}
    logits = XS @ WS
    expected = np.sum(special.logsumexp(logits, axis=1) - logits[np.arange(N), labels])
    assert evaluate(loss, values) == pytest.approx(expected)
    hot = np.eye(M)[labels]
    assert derivatives(loss, values, [W]) == pytest.approx(np.ravel(XS.T @ (special.softmax(logits, axis=1) - hot)))


def test_triangular_sums_count_no_term_twice_and_none_that_is_masked():
    pairs = sp.Sum(u[i] * u[j] * (i + 2 * j), (j, 0, i - 1), (i, 0, n - 1))  # SymPy lists the innermost limit first
    expected = sum(US[p] * US[q] * (p + 2 * q) for p in range(N) for q in range(p))
    assert evaluate(pairs, {u: US}) == pytest.approx(expected)
    nested = sp.Sum(a**i * sp.Sum(u[j] ** 2 / (j - i + 1), (j, i, n - 1)), (i, 0, n - 1))  # infinite at j = i - 1
    expected = sum(0.5**p * sum(US[q] ** 2 / (q - p + 1) for q in range(p, N)) for p in range(N))
    assert evaluate(nested, {u: US, a: 0.5}) == pytest.approx(expected)
    three = sp.Sum(i * 100 + j * 10 + k, (k, j, i + j), (j, i, 2 * i), (i, 1, 3))
    expected = sum(p * 100 + q * 10 + r for p in range(1, 4) for q in range(p, 2 * p + 1) for r in range(q, p + q + 1))
    assert evaluate(three, {}) == expected


def test_masked_terms_contribute_nothing_even_if_they_are_nan():
    f = sp.Sum(sp.Sum(sp.sqrt(i - j) * x, (j, 0, i)), (i, 0, 3))
    f += sp.Product(sp.Product(sp.log(1 + i - j) + x, (j, 0, i)), (i, 0, 3))
    pairs = [(p, q) for p in range(4) for q in range(p + 1)]
    expected = sum(np.sqrt(p - q) * 0.7 for p, q in pairs) + np.prod([np.log(1 + p - q) + 0.7 for p, q in pairs])
    assert evaluate(f, {x: 0.7}) == pytest.approx(expected)
    assert np.isfinite(derivatives(f, {x: 0.7}, [x])).all()


def test_terms_that_lack_the_index_are_counted_as_often_as_it_runs():
    assert evaluate(sp.Sum(x, (i, 2, n)), {x: 1.5, n: 6}) == 7.5
    assert evaluate(sp.Product(x, (i, 2, n), (j, 1, 2)), {x: 1.5, n: 6}) == pytest.approx(1.5**10)
    assert evaluate(sp.Sum(x, (j, 1, i), (i, 1, 3)), {x: 1.0}) == 6.0
    assert evaluate(sp.Sum(sp.Sum(u[j], (j, 0, n - 1)), (i, 0, 2)), {u: US}) == pytest.approx(3 * US.sum())


def test_empty_sums_are_zero_and_empty_products_one():
    assert evaluate(sp.Sum(x, (i, 1, n)), {x: 7.0, n: 0}) == 0.0
    assert evaluate(sp.Product(u[i], (i, 3, n)), {n: 1}) == 1.0
    assert evaluate(sp.Sum(u[j], (j, 0, i - 4), (i, 0, 3)), {u: US}) == 0.0  # where SymPy's own doit gives -u[-1] - …
    assert evaluate(sp.Sum(u[j], (j, 0, i - 1), (i, 0, 1)), {u: US}) == US[0]


def test_products_with_zero_factors_have_the_product_of_the_others_as_slope():
    f = sp.Product(u[i] - x, (i, 0, n - 1))
    values = {u: np.array([1.0, 2.0, 3.0, 4.0]), x: 2.0}
    assert evaluate(f, values) == 0.0
    assert derivatives(f, values, [u, x]) == pytest.approx([0.0, -2.0, 0.0, 0.0, 2.0])


def test_shifted_and_affine_indices_and_first_index():
    f = sp.Sum((v[i + 1] - v[i]) ** 2 + v[2 * i - 2], (i, 1, 3))
    values = np.array([9.0, 1.0, 4.0, 0.0, 5.0])
    by_hand = sum((values[p + 1] - values[p]) ** 2 + values[2 * p - 2] for p in range(1, 4))
    assert evaluate(f, {v: values}) == by_hand
    assert evaluate(sp.Sum(i * v[i], (i, 1, 5)), {v: values}, first_index=1) == np.arange(1, 6) @ values
    chosen = WS[2, 0] + WS[0, 1] + WS[1, 2]
    assert evaluate(sp.Sum(W[c[i], i], (i, 1, 3)), {W: WS, c: [3, 1, 2]}, first_index=1) == chosen
    matrix = sp.MatrixSymbol("P", 3, 4)  # entries of matrices count from zero whatever first_index says
    assert evaluate(matrix[0, 1] * v[1], {matrix: WS, v: values}, first_index=1) == WS[0, 1] * 9.0


def test_indices_that_are_arrays_evaluate_a_component_for_all_free_indices_at_once():
    component = -2 * sp.Sum(X[i, j] * (u[i] - sp.Sum(X[i, k] * v[k], (k, 0, d - 1))), (i, 0, n - 1))
    component += sp.Piecewise((v[j - 1], j > 0), (0, True))
    values = {X: XS, u: US, v: WVEC, j: np.arange(D)}
    expected = -2 * XS.T @ (US - XS @ WVEC) + np.concatenate([[0], WVEC[:-1]])
    assert evaluate(component, values) == pytest.approx(expected)
    both = {i: np.arange(N)[:, None], j: np.arange(D)[None, :], X: XS, v: WVEC}
    found = evaluate(X[i, j] + sp.Sum(v[k] * i, (k, 0, 2)), both)
    assert found == pytest.approx(XS + WVEC.sum() * np.arange(N)[:, None])
    assert evaluate(sp.Integer(7), both).tolist() == np.full((N, D), 7.0).tolist()


def test_large_sums_are_evaluated_in_blocks_with_the_same_result(monkeypatch):
    f = sp.Sum(sp.Product(1 + u[i] * u[j] / 9, (j, 0, i)), (i, 0, n - 1))
    f += sp.Sum(u[i] * x**j, (i, 0, n - 1), (j, 0, 2))
    values, plain = {u: US, x: 0.3}, None
    for cells in (1 << 17, 7, 4, 1):
        monkeypatch.setattr(module, "CELLS", cells)
        found = derivatives(f, values, [u, x])
        plain = found if plain is None else plain
        assert found == pytest.approx(plain, rel=1e-13)
    monkeypatch.undo()
    many = 300_000
    assert evaluate(sp.Sum(sp.Sum(v[i] * j, (j, 0, 9)), (i, 0, n - 1)), {v: np.ones(many), n: many}) == 45.0 * many


def test_idx_objects_are_indices_like_symbols():
    p = sp.Idx("p", n)
    assert evaluate(sp.Sum(u[p] * p, p), {u: US}) == pytest.approx(np.arange(N) @ US)


# -- matrices ---------------------------------------------------------------------------------------------------------

A, B, S = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("B", d, m), sp.MatrixSymbol("S", d, d)
r, t = sp.MatrixSymbol("r", d, 1), sp.MatrixSymbol("t", n, 1)
SS = RANDOM.normal(size=(D, D))
MATRICES = {A: XS, B: WS, S: SS, r: WVEC[:, None], t: US[:, None], x: 0.7}
COLUMN = WVEC[:, None]

MATRIX_CASES = [
    (A * B, XS @ WS),
    (2 * x * A * r - t, 1.4 * XS @ COLUMN - US[:, None]),
    (A.T * (A * r - t) / n, XS.T @ (XS @ COLUMN - US[:, None]) / N),
    (sp.HadamardProduct(A, A * S, evaluate=False), XS * (XS @ SS)),
    (HadamardPower(A, 2) + HadamardPower(sp.Integer(2), A) + HadamardPower(A, x + 1.3), XS**2 + 2**XS + XS**2),
    (A.applyfunc(sp.Lambda(y, sp.exp(y) * x + n)), np.exp(XS) * 0.7 + N),
    (A.applyfunc(sp.Lambda(y, 3)), np.full((N, D), 3.0)),
    (el.sigmoid(A * B), special.expit(XS @ WS)),
    (sp.MatPow(S, 3) + sp.MatPow(S, 0), SS @ SS @ SS + np.eye(D)),
    (S + sp.Identity(d) - sp.ZeroMatrix(d, d) + OneMatrix(d, d), SS + np.eye(D) + 1),
    (sp.DiagMatrix(r) * S + sp.DiagMatrix(r.T), WVEC[:, None] * SS + np.diag(WVEC)),
    (A[1:4, 0:2] + A[0:3, 1:3], XS[1:4, 0:2] + XS[0:3, 1:3]),
    (sp.FunctionMatrix(3, 2, sp.Lambda((i, j), i - 10 * j * x)), np.arange(3)[:, None] - 7.0 * np.arange(2)),
    (sp.ImmutableDenseMatrix([[x, 1], [x**2, sp.Sum(i, (i, 0, n))]]), np.array([[0.7, 1], [0.49, 15]])),
    (el.softmax(A), special.softmax(XS, axis=1)),
    (el.softmax(r), special.softmax(COLUMN, axis=0)),
    (el.logsumexp(A), special.logsumexp(XS, axis=1, keepdims=True)),
    (sp.Adjoint(S) * S.T + S, SS.T @ SS.T + SS),
    (sp.Trace(S) * (A * r) * sp.DotProduct(r, r), np.trace(SS) * (XS @ COLUMN) * (WVEC @ WVEC)),
    (A * r * r.T * r, XS @ COLUMN @ COLUMN.T @ COLUMN),
    ((r.T * r) * x * sp.Identity(1), np.array([[0.7 * WVEC @ WVEC]])),
]


@pytest.mark.parametrize("expression, expected", MATRIX_CASES, ids=lambda part: None)
def test_matrix_expressions_against_numpy_a_transposed_operand_would_show(expression, expected):
    found = evaluate(expression, MATRICES)
    assert np.shape(found) == (np.shape(expected) if np.shape(expected) != (1, 1) else ())
    with np.errstate(invalid="ignore"):
        assert found == pytest.approx(expected if np.shape(expected) != (1, 1) else expected.item(), nan_ok=True)


SCALAR_CASES = [
    ((A * r - t).T * (A * r - t) / n, np.mean((XS @ WVEC - US) ** 2)),
    (sp.Trace(S.T * S) + sp.log(sp.Trace(A.T * A)), np.sum(SS**2) + np.log(np.sum(XS**2))),
    (sp.DotProduct(r, S * r) + sp.DotProduct(r.T, r), WVEC @ SS @ WVEC + WVEC @ WVEC),
    (sp.sqrt(r.T * r), np.linalg.norm(WVEC)),
    (sp.exp(-(r.T * r)) * sp.sin(x) + x, np.exp(-WVEC @ WVEC) * np.sin(0.7) + 0.7),
    (sp.Sum((A * r)[i, 0] ** 2 * i, (i, 0, n - 1)), (XS @ WVEC) ** 2 @ np.arange(N)),
    (sp.Sum(A[i, j] * S[j, j], (i, 0, n - 1), (j, 0, d - 1)), np.sum(XS @ np.diag(SS))),
    (el.logsumexp(r), special.logsumexp(WVEC)),
    (sp.Add(x, r.T * r, evaluate=False), 0.7 + WVEC @ WVEC),
    (sp.Sum(sp.exp(A[i, :] * r) ** 2, (i, 0, n - 1)), np.sum(np.exp(XS @ WVEC) ** 2)),  # they depend on an index
    (sp.Sum(sp.Trace(i * S) * sp.Sum(sp.exp(j * A[i, :] * r), (j, 0, i)), (i, 0, n - 1)),
     sum(p * np.trace(SS) * np.exp(q * XS[p] @ WVEC) for p in range(N) for q in range(p + 1))),
    (sp.Sum(sp.exp(A[i, :] * r * x), (i, 0, n - 1)), np.sum(np.exp(0.7 * XS @ WVEC))),
]  # fmt: skip


@pytest.mark.parametrize("expression, expected", SCALAR_CASES, ids=lambda part: None)
def test_numbers_made_of_matrices_and_their_gradients(expression, expected):
    assert evaluate(expression, MATRICES) == pytest.approx(expected)
    wanted = [symbol for symbol in (r, S, x) if symbol in leaves(expression)]
    slopes = derivatives(expression, MATRICES, wanted)
    assert slopes.shape == (sum(np.size(MATRICES[symbol]) for symbol in wanted),) and np.any(slopes)


@pytest.mark.parametrize("expression", [case for case, _ in MATRIX_CASES], ids=lambda part: None)
def test_matrix_expressions_have_matching_dual_numbers_and_complex_steps(expression):
    positive = {symbol: np.abs(value) for symbol, value in MATRICES.items()}  # HadamardPower(A, 2.0) of negatives
    wanted = [symbol for symbol in (A, r, S, x) if symbol in leaves(expression)]
    if wanted:
        derivatives(expression, positive, wanted)


def test_least_squares_gradient_in_matrix_notation_is_what_it_should_be():
    slopes = derivatives((A * r - t).T * (A * r - t), MATRICES, [r])
    assert slopes == pytest.approx(2 * XS.T @ (XS @ WVEC - US))


def test_vectors_may_come_without_the_axis_of_length_one():
    row = sp.MatrixSymbol("q", 1, d)
    flat = {**MATRICES, r: WVEC, t: US, row: WVEC}
    assert evaluate(A * r - t, flat) == pytest.approx((XS @ WVEC - US)[:, None])
    assert evaluate(row * S, flat) == pytest.approx((WVEC @ SS)[None])
    assert evaluate(u[i], {u: US[:, None], i: 2}) == US[2]


# -- samples ----------------------------------------------------------------------------------------------------------


def test_samples_of_symbols_arrays_and_matrices_give_the_mean_or_the_sum():
    scalar = (u[0] * x - y) ** 2 + a
    values = {x: US, y: US**2, u: [0.3], a: 0.1}
    expected = (0.3 * US - US**2) ** 2 + 0.1
    assert evaluate(scalar, values, samples=[x, y]) == pytest.approx(expected.mean())
    assert evaluate(scalar, values, samples=[x, y], reduction="sum") == pytest.approx(expected.sum())
    assert derivatives(scalar, values, [u], samples=(x, y)) == pytest.approx(np.mean(2 * (0.3 * US - US**2) * US))
    array = sp.Sum(v[j] * V[j], (j, 0, d - 1)) ** 2 * x
    values = {v: WVEC, V: XS, x: US, d: D}
    assert evaluate(array, values, samples=[V, x]) == pytest.approx(np.mean((XS @ WVEC) ** 2 * US))
    assert evaluate(sp.Integer(3), {x: US}, samples=[x], reduction="sum") == 3 * N
    p = sp.MatrixSymbol("p", d, 1)
    matrix = sp.exp(r.T * p) * x + p[0, 0] + sp.Trace(p * r.T) + sp.Sum(p[j, 0] * j, (j, 0, d - 1))
    values = {r: WVEC, p: XS, x: US}
    product = XS @ WVEC
    expected = np.mean(np.exp(product) * US + XS[:, 0] + product + XS @ np.arange(D))
    assert evaluate(matrix, values, samples=[p, x]) == pytest.approx(expected)
    derivatives(matrix, values, [r], samples=[p, x])
    assert evaluate(p * x, values, samples=[p, x]) == pytest.approx(np.mean(XS * US[:, None], axis=0)[:, None])
    assert evaluate(2 * r, values, samples=[p, x], reduction="sum") == pytest.approx(2 * N * COLUMN)
    explicit = (sp.Matrix([[x, 1]]) * sp.Matrix([[v[0]], [V[1]]]))[0, 0] + sp.Trace(sp.DiagMatrix(p) * V[0])
    values = {x: US, v: WVEC, V: XS, p: XS}
    expected = np.mean(US * WVEC[0] + XS[:, 1] + XS.sum(axis=1) * XS[:, 0])
    assert evaluate(explicit, values, samples=[x, V, p]) == pytest.approx(expected)


def test_samples_leave_free_indices_their_axes():
    values = {x: US, i: np.arange(3), v: WVEC}
    found = evaluate(v[i] * x**2, values, samples=[x])
    assert found == pytest.approx(WVEC * np.mean(US**2))


# -- depth and width --------------------------------------------------------------------------------------------------


def test_nesting_of_5000_needs_no_recursion():
    e, value, slope = x, 0.8, 1.0
    for _ in range(5000):
        e = sp.sin(e) + x / 2
        value, slope = np.sin(value) + 0.4, np.cos(value) * slope + 0.5
    limit = sys.getrecursionlimit()
    found = evaluate(e, {x: Dual(0.8, 1.0)})
    assert sys.getrecursionlimit() == limit and leaves(e) == {x}
    assert found.value == pytest.approx(value) and found.tangent[0] == pytest.approx(slope)
    assert evaluate(e, {x: 0.8 + 1e-30j}).imag / 1e-30 == pytest.approx(slope)
    with pytest.raises(DataError, match="x has no value"):
        evaluate(e, {})


def test_sums_of_20000_terms_are_one_walk():
    symbols = sp.symbols("w:20000")
    e = sp.Add(*(symbol**2 for symbol in symbols))
    values = dict(zip(symbols, np.linspace(0, 1, 20000), strict=True))
    assert evaluate(e, values) == pytest.approx(np.sum(np.linspace(0, 1, 20000) ** 2))
    assert len(leaves(e)) == 20000


def test_shared_parts_are_evaluated_once_where_a_tree_walk_would_take_forever():
    e, value = x, 0.3
    for _ in range(80):
        e, value = sp.sin(e) + sp.cos(e), np.sin(value) + np.cos(value)
    assert evaluate(e, {x: 0.3}) == pytest.approx(value) and leaves(e) == {x}
    piece = x
    for _ in range(40):
        piece = sp.Piecewise((sp.exp(piece) / 9, x > 0), (sp.sin(piece), True), evaluate=False)
    value = np.array([1.0, -1.0])
    for _ in range(40):
        value = np.array([np.exp(value[0]) / 9, np.sin(value[1])])
    assert evaluate(piece, {x: np.array([1.0, -1.0])}) == pytest.approx(value)


def test_leaves_respect_what_sums_and_lambdas_bind():
    bounds = sp.Sum(sp.Sum(u[j] * i, (j, k, i)) * v[i], (i, 0, n)) + i
    assert leaves(bounds) == {u, v, n, k, i}
    assert leaves(sp.Sum(j, (j, 0, j))) == {j}  # the bound is another j, further out
    assert leaves(sp.Product(j, (j, 0, i), (i, 0, m))) == {m}  # i bounds j, and is itself bound further out
    assert leaves(A.applyfunc(sp.Lambda(y, y * x))) == {A, x}
    assert leaves(sp.FunctionMatrix(n, 2, sp.Lambda((i, j), i + j + k))) == {n, k}
    assert leaves(sp.ImmutableDenseMatrix([[x, A[i, 0]]])) == {x, A, i}
    assert leaves(W[c[i], j] + sp.KroneckerDelta(i, 2)) == {W, c, i, j} and leaves(sp.pi) == set()


# -- errors -----------------------------------------------------------------------------------------------------------


def test_an_index_out_of_range_is_refused_where_numpy_would_wrap_negative_ones():
    with pytest.raises(DataError, match=r"u is indexed at 5 on axis 0, where it has 5 entries"):
        evaluate(sp.Sum(u[i], (i, 1, n)), {u: US})
    with pytest.raises(DataError, match=r"u is indexed at -1 on axis 0"):
        evaluate(u[i - 1], {u: US, i: np.arange(3)})
    with pytest.raises(DataError, match=r"X is indexed at 0 on axis 1, where it has 3 entries counted from 1"):
        evaluate(sp.Sum(X[1, j], (j, 0, 2)), {X: XS}, first_index=1)
    with pytest.raises(DataError, match=r"A is indexed at 3 on axis 1"):
        evaluate(A[0, i], {A: XS, i: 3})
    with pytest.raises(DataError, match=r"A is indexed at 5 on axis 0"):
        evaluate(A[i : i + 2, 0], {A: XS, i: 4})
    with pytest.raises(DataError, match=r"W is indexed at 9 on axis 0"):
        evaluate(sp.Sum(W[c[i], 0], (i, 0, 1)), {W: WS, c: [1, 9]})


def test_an_index_may_leave_the_range_where_a_branch_or_a_mask_guards_it():
    f = sp.Sum(sp.Piecewise((0, sp.Eq(i, 0)), (u[i - 1] * u[i], True)), (i, 0, n - 1))
    assert evaluate(f, {u: US}) == pytest.approx(US[:-1] @ US[1:])
    later = sp.Sum(sp.Piecewise((1, i > 3), (2, u[i + 1] > 0), (3, True)), (i, 0, 6))  # guarded in a condition
    assert evaluate(later, {u: US}) == sum(1 if p > 3 else 2 if US[p + 1] > 0 else 3 for p in range(7))
    nested = sp.Sum(sp.Piecewise((sp.Sum(u[i + j], (j, 0, 1)), i < n - 1), (0, True)), (i, 0, n - 1))
    assert evaluate(nested, {u: US}) == pytest.approx(US[:-1].sum() + US[1:].sum())
    triangular = sp.Sum(u[n - 1 - i + j], (j, 0, i), (i, 0, n - 1))
    assert evaluate(triangular, {u: US}) == pytest.approx(US @ np.arange(1, N + 1))
    further_in = sp.Sum(sp.Sum(u[i - j] * k, (k, 1, 2)), (j, 0, i), (i, 0, n - 1))  # the mask reaches inner sums
    assert evaluate(further_in, {u: US}) == pytest.approx(3 * US @ np.arange(N, 0, -1))
    slices = sp.Sum(sp.exp(A[i - j, :] * r), (j, 0, i), (i, 0, n - 1))
    assert evaluate(slices, MATRICES) == pytest.approx(np.exp(XS @ WVEC) @ np.arange(N, 0, -1))
    halves = sp.Piecewise((u[(i - 1) / 2], sp.And(sp.Eq(sp.Mod(i - 1, 2), 0), i < 9)), (0, True))
    by_hand = [US[p // 2] if p % 2 and p < 9 else 0 for p in range(12)]
    assert evaluate(halves, {u: US, i: np.arange(12)}).tolist() == by_hand
    scalar = sp.Piecewise((u[i], i < n), (-1, True))
    assert evaluate(scalar, {u: US, i: 70}) == -1.0
    with pytest.raises(DataError, match="indexed at 5"):  # a guard that lets one index too many through
        evaluate(sp.Sum(sp.Piecewise((u[i + 1], i < n), (0, True)), (i, 0, n)), {u: US})


def test_missing_and_misshapen_values_are_named():
    with pytest.raises(DataError, match="v has no value"):
        evaluate(v[0], {u: US})
    with pytest.raises(DataError, match="n has no value"):
        evaluate(n * x, {x: 1.0})
    with pytest.raises(DataError, match=r"u has 5 entries along axis 0, where its shape says n = 4"):
        evaluate(sp.Sum(u[i], (i, 0, n - 1)), {n: 4, u: US})
    with pytest.raises(DataError, match=r"t has 5 entries along axis 0, where its shape says n = 4"):
        evaluate(A * r - t, {A: XS[:4], r: WVEC, t: US})
    with pytest.raises(DataError, match="3 axes where a matrix has two"):
        evaluate(A * r, {A: np.ones((2, 2, 2)), r: WVEC})
    with pytest.raises(DataError, match="has 1 indices, but the data of W has 2 axes"):
        evaluate(W[0], {W: WS})
    with pytest.raises(DataError, match=r"x of shape \(5,\), y of shape \(3,\)"):
        evaluate(x + y, {x: US, y: WVEC})
    with pytest.raises(DataError, match="moves with a parameter"):
        evaluate(u[i], {u: US, i: Dual(1.0, 1.0)})
    with pytest.raises(DataError, match="not made of numbers"):
        evaluate(x, {x: "seven"})


def test_samples_that_are_missing_or_of_different_length_are_named():
    for values, message in (({x: US}, "samples of y are missing"), ({x: US, y: US[:2]}, "5 of x, 2 of y"),
                            ({x: US, y: 1.0}, "5 of x, no of y"), ({x: [], y: []}, "at least one")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            evaluate(x + y, values, samples=[x, y])
    with pytest.raises(StatementError, match="'median'"):
        evaluate(x, {x: US}, samples=[x], reduction="median")


def test_positions_that_are_no_integers_are_refused_where_truncation_would_hide_them():
    for values in ({u: US, i: 1.5}, {u: US, i: np.nan}, {u: US, i: np.array([1.0, np.inf])}):
        with pytest.raises(DataError, match="whole, finite numbers"):
            evaluate(u[i], values)
    with pytest.raises(DataError, match="whole, finite numbers"):
        evaluate(sp.Sum(x, (i, 0, n / 2)), {x: 1.0, n: 5})
    assert evaluate(sp.Sum(x, (i, 1, n / 3)), {x: 1.0, n: 51}) == 17.0  # 51*(1/3) rounds


def test_what_has_no_rule_is_refused_by_name():
    f = sp.Function("f")
    for statement, message in ((f(x), "replace it"), (sp.besselj(0, x), "besselj"), (sp.Integral(x, x), "Integral"),
                               (sp.I * x, "not real"), (sp.zoo, "not real"), (sp.Determinant(S), "Determinant"),
                               (S**-1, "no rule|no product"), (sp.Derivative(x, x), "Derivative")):  # fmt: skip
        with pytest.raises(UnsupportedError, match=message):
            evaluate(statement, {**MATRICES, y: 1.0})
    with pytest.raises(StatementError, match="3x3 matrix where a number is needed"):
        evaluate(sp.exp(S * S.T, evaluate=False), MATRICES)
    with pytest.raises(DataError, match="bound of i comes to inf"):
        evaluate(sp.Sum(2.0**-i, (i, 0, sp.oo)), {})
    with pytest.raises(UnsupportedError, match="floor"):
        evaluate(sp.floor(x), {x: Dual(1.5, 1.0)})
    with pytest.raises(sp.SympifyError):  # text is never evaluated
        evaluate("x + 1", {x: 1.0})


def test_the_values_given_are_left_as_they_were():
    weights = WVEC.copy()
    labels = np.array([2, 0], dtype=np.int32)
    evaluate(sp.Sum(v[c[i]] * i, (i, 0, 1)), {v: weights, c: labels})
    assert (weights == WVEC).all() and labels.dtype == np.int32
    single = evaluate(v[0] / 3, {v: np.array([1], dtype=np.float32)})
    assert single == 1 / 3 and primal(single).dtype == np.float64


def test_the_witness_imports_nothing_of_the_way_by_which_gradients_are_derived():
    allowed = {"symdescent.dual", "symdescent.elementary", "symdescent.elementary.functions", "symdescent.errors",
               "symdescent.elementary.table", "symdescent.check", "symdescent.check.evaluate"}  # fmt: skip
    for witness in (module, evaluate_matrices, dual_numbers):
        tree = ast.parse(inspect.getsource(witness))
        imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {name for name in imported if name.startswith("symdescent")} <= allowed
        assert not any("symdescent" in name.name for node in ast.walk(tree) if isinstance(node, ast.Import)
                       for name in node.names)  # fmt: skip


def test_a_case_that_is_decided_by_what_is_undefined_has_no_value():
    # log(-1) > 0 counted as false, so that a gradient was called wrong which reads its contrary as log(y) <= 0
    x, y = sp.symbols("x y")
    undecided = sp.Piecewise((4, sp.log(y) > 0), (x, True))
    assert np.isnan(evaluate(undecided, {x: 1.0, y: -1.0}))
    assert evaluate(undecided, {x: 1.0, y: 0.5}) == 1.0
    guarded = sp.Piecewise((undecided, y > 0), (0, True))
    assert evaluate(guarded, {x: 1.0, y: -1.0}) == 0.0

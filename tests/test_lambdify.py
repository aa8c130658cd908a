"""The NumPy functions of a loss against NumPy written by hand, the compiled kernel, and themselves over grids."""

from __future__ import annotations

import inspect
import linecache
import time
import traceback
import tracemalloc

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from symdescent import losses, softmax
from symdescent.codegen.arrays import lambdify
from symdescent.codegen.program import KernelWriter
from symdescent.compiled import CompiledLoss
from symdescent.errors import DataError
from symdescent.statement import name_of, state

n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
i, j, k, l = sp.symbols("i j k l", integer=True)  # noqa: E741
w, b, x, y, lam, u = sp.symbols("w b x y lam u")
Base, Sum = sp.IndexedBase, sp.Sum
X, Y, W = Base("X", shape=(n, d)), Base("y", shape=(n,)), Base("w", shape=(d,))
M, V, T, Q = Base("W", shape=(d, K)), Base("V", shape=(K, m)), Base("T", shape=(n, K)), Base("Q", shape=(n, n))
v, c, q = Base("v", shape=(n,)), Base("c", shape=(n,)), Base("q", shape=(n,))
logits = Sum(X[i, j] * M[j, k], (j, 0, d - 1))
score = Sum(X[i, j] * W[j], (j, 0, d - 1)) + b

RANDOM = np.random.default_rng(5)
N, D, C = 5, 3, 4
DATA = {
    "X": RANDOM.normal(size=(N, D)),
    "y": np.array([1.0, -1.0, -1.0, 1.0, 1.0]),
    "w": RANDOM.normal(size=D),
    "W": RANDOM.normal(size=(D, C)),
    "V": RANDOM.normal(size=(C, 2)),
    "T": np.eye(C)[[0, 3, 1, 1, 2]],
    "Q": RANDOM.normal(size=(N, N)),
    "v": RANDOM.normal(size=N),
    "c": np.array([0, 3, 1, 1, 2]),
    "q": np.array([0, 1, 0, 2, 1]),
    "b": 0.3,
    "lam": 0.7,
    "u": 1.3,
}

# every notation, every way to index, every reduction: name -> expression and parameters
LOSSES = {
    "least squares with penalty": (Sum((Y[i] - score) ** 2, (i, 0, n - 1)) / n + lam * losses.l2(W), [W, b]),
    "logistic": (Sum(losses.logistic(Y[i], score), (i, 0, n - 1)) / n, [W, b]),
    "hinge with l1": (Sum(losses.hinge(Y[i], score), (i, 0, n - 1)) / n + lam * losses.l1(W), [W, b]),
    "huber": (Sum(losses.huber(Y[i], v[i] * b), (i, 0, n - 1)), [v, b]),
    "softmax, class index": (Sum(losses.cross_entropy(logits, c[i], (k, 0, K - 1)), (i, 0, n - 1)) / n, [M]),
    "softmax, one-hot": (Sum(losses.cross_entropy(b * logits, T[i, k], (k, 0, K - 1)), (i, 0, n - 1)) / n, [M, b]),
    "hidden layer": (
        Sum(Sum((T[i, l] - Sum(V[k, l] * sp.tanh(u * logits), (k, 0, K - 1))) ** 2, (l, 0, m - 1)), (i, 0, n - 1)),
        [M, V, u],
    ),
    "Rosenbrock": (Sum(100 * (v[i + 1] - v[i] ** 2) ** 2 + (b - v[i]) ** 2, (i, 0, n - 2)), [v, b]),
    "convolution": (Sum(Sum(v[i + j] * W[j], (j, 0, d - 1)) ** 2, (i, 0, n - d)), [v, W]),
    "reversed": (Sum(b * v[i] * v[n - 1 - i] ** 2, (i, 0, n - 1)), [v, b]),
    "every other": (Sum(b * v[2 * i] ** 2, (i, 0, 2)), [v, b]),
    "single entries": (b * v[0] ** 2 + v[n - 1] * v[1] + Sum(Q[i, 0] * v[i], (i, 0, n - 1)), [v, Q, b]),
    "diagonal and transpose": (Sum(b * Q[i, i] ** 2 + Sum(Q[i, j] * Q[j, i], (j, 0, n - 1)), (i, 0, n - 1)), [Q, b]),
    "an index twice": (Sum((Sum(M[q[i], k] ** 2, (k, 0, K - 1)) - b) ** 2, (i, 0, n - 1)), [M, b]),
    "an index rounded": (Sum(v[sp.floor(q[i])] ** 2 * b, (i, 0, n - 1)), [v, b]),
    "constant along an axis": (Sum(Q[i, j] * Y[i] * b, (i, 0, n - 1), (j, 0, n - 1)), [Q, b]),
    "factorisation": (Sum((Q[i, j] - Sum(T[i, k] * T[j, k], (k, 0, K - 1))) ** 2, (i, 0, n - 1), (j, 0, n - 1)), [T]),
    "wrapped and clamped": (Sum(v[sp.Mod(i + 2, n)] * v[sp.Min(i + 1, n - 1)] * b, (i, 0, n - 1)), [v, b]),
    "triangle": (Sum((Sum(v[j], (j, 0, i)) - b * Y[i]) ** 2, (i, 0, n - 1)), [v, b]),
    "triangle without diagonal": (Sum(Sum(v[i] * v[j] * Q[i, j] * b, (j, 0, i - 1)), (i, 0, n - 1)), [v, b]),
    "triangle of diagonals": (Sum(Sum(v[i + j] * Q[j, i + j], (j, 0, n - 1 - i)) ** 2 * b, (i, 0, n - 1)), [v, Q, b]),
    "triangle in three": (Sum(Sum(Sum(v[i] * v[j] * v[k] + b, (k, 0, j)), (j, 0, i)), (i, 0, n - 1)), [v, b]),
    "triangle counted": (Sum(Sum(v[j], (j, 0, i - 1)), (i, 0, n - 1)), [v]),
    "cumulative logsumexp": (Sum(sp.log(Sum(sp.exp(v[j] * b), (j, 0, i))), (i, 0, n - 1)), [v, b]),
    "cumulative product": (Sum(sp.Product(v[j] * b, (j, 0, i)), (i, 0, n - 1)), [v, b]),
    "lengths from data": (Sum(Sum(v[j] * b, (j, 0, c[i])), (i, 0, n - 1)) ** 2, [v, b]),
    "products": (Sum(sp.Product(X[i, j] - W[j] * u, (j, 0, d - 1)) ** 2, (i, 0, n - 1)), [W, u]),
    "conditions on values": (
        Sum(sp.Piecewise((v[i] ** 2, v[i] < b), (sp.sqrt(v[i]), v[i] > 2), (-v[i] * b, True)), (i, 0, n - 1)),
        [v, b],
    ),
    "conditions on indices": (
        Sum(
            sp.Piecewise(
                (v[i] ** 2, (i > 1) & (v[i] > 0) & sp.Ne(i, 3)),
                (b * v[i], (v[i] < -1) | ~(v[i] < b)),
                (u, True),
            ),
            (i, 0, n - 1),
        ),
        [v, b, u],
    ),
    "conditions on extents": (Sum(v[i], (i, 0, n - 1)) + sp.Piecewise((b**2, n > 3), (b, n > 4), (u, True)), [v, b, u]),
    "indices and extents as numbers": (
        Sum(i * v[i] ** 2 + i**40 * b / (i + 1), (i, 0, n - 1)) * n**2 / d + Sum(W[j] / (n + d), (j, 0, d - 1)),
        [v, W, b],
    ),
    "elementary functions": (u**b + 2**u + sp.pi**b * sp.gamma(u) + sp.erf(b) + sp.atan2(b, u) + u * sp.log(u), [u, b]),
    "extrema": (sp.Max(b, u, lam, b * u) + sp.Min(lam, u**2, b), [b, u]),
    "softmax of scalars": (-sp.log(softmax(b, u, lam)) + b * u, [b, u, lam]),
}


def arguments(statement, **changed):
    """The values of a statement's arguments in their order."""
    values = {**DATA, **changed}
    return [values[name_of(thing)] for thing in (*statement.parameters, *KernelWriter(statement).data)]


def slopes(gradient):
    return gradient if isinstance(gradient, tuple) else (gradient,)


# -- another witness for the compiled kernel --------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_agree_with_the_kernel_a_wrong_axis_mask_or_scatter_would_show(name):
    statement = state(*LOSSES[name])
    value, gradient = lambdify(statement)
    given = arguments(statement)
    parameters = {p: DATA[name_of(p)] for p in statement.parameters}
    expected, derivatives = CompiledLoss(statement).value_and_gradient(parameters, DATA)
    assert value(*given) == pytest.approx(expected, rel=1e-12)
    for slope, parameter in zip(slopes(gradient(*given)), statement.parameters, strict=True):
        np.testing.assert_allclose(slope, derivatives[parameter], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_scalars_broadcast_like_a_loop_over_the_grid_a_batch_axis_in_the_wrong_place_would_show(name):
    statement = state(*LOSSES[name])
    value, gradient = lambdify(statement)
    given = arguments(statement)
    scalars = [place for place, value_ in enumerate(given) if np.ndim(value_) == 0]
    shapes = [(2, 3), (3,), (2, 1)]
    for place, shape in zip(scalars, shapes, strict=False):
        given[place] = given[place] * RANDOM.uniform(0.8, 1.2, size=shape)
    batch = np.broadcast_shapes(*(np.shape(given[place]) for place in scalars))
    values, gradients = value(*given), slopes(gradient(*given))
    assert np.shape(values) == batch
    for cell in np.ndindex(*batch):
        one = list(given)
        for place in scalars:
            one[place] = np.broadcast_to(given[place], batch)[cell]
        assert values[cell] == pytest.approx(value(*one), rel=1e-12)
        for whole, parameter, single in zip(gradients, statement.parameters, slopes(gradient(*one)), strict=True):
            assert whole.shape == batch + np.shape(DATA[name_of(parameter)] if parameter in (W, M, V, T, Q, v) else 0.0)
            np.testing.assert_allclose(whole[cell], single, rtol=1e-11, atol=1e-13)


# -- against NumPy written by hand ------------------------------------------------------------------------------------


def test_a_scalar_loss_on_a_grid_is_what_a_contour_plot_needs_a_swapped_argument_would_show():
    value, gradient = lambdify(state(4 + (x - 2) ** 2 + 2 * y**2, [x, y]))
    across, up = np.meshgrid(np.linspace(-1, 5, 7), np.linspace(-2, 2, 5))
    np.testing.assert_allclose(value(across, up), 4 + (across - 2) ** 2 + 2 * up**2)
    g_x, g_y = gradient(across, up)
    np.testing.assert_allclose(g_x, 2 * (across - 2))
    np.testing.assert_allclose(g_y, 4 * up)


def test_arguments_are_the_parameters_then_the_data_by_name_another_order_would_show():
    value, _ = lambdify(state((y - (w * x + b)) ** 2 + lam * w**2, [w, b], samples=[x, y]))
    assert list(inspect.signature(value).parameters)[:5] == ["w", "b", "lam", "x", "y"]
    xs, ys = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 4.0])
    expected = np.mean((ys - (2.0 * xs + 0.5)) ** 2) + 0.1 * 4.0
    assert value(2.0, 0.5, 0.1, xs, ys) == pytest.approx(expected)
    assert value(2, b=0.5, y=ys, x=xs, lam=0.1) == pytest.approx(expected)


def test_samples_with_a_grid_of_slopes_and_intercepts_a_mean_over_the_grid_would_show():
    statement = state((y - (w * x + b)) ** 2, [w, b], samples=[x, y])
    value, gradient = lambdify(statement)
    slopes_, intercepts = np.linspace(-1, 2, 4)[:, None], np.linspace(0, 1, 3)
    xs, ys = RANDOM.normal(size=6), RANDOM.normal(size=6)
    residual = ys - (slopes_[..., None] * xs + intercepts[:, None])
    np.testing.assert_allclose(value(slopes_, intercepts, xs, ys), (residual**2).mean(axis=-1))
    g_w, g_b = gradient(slopes_, intercepts, xs, ys)
    np.testing.assert_allclose(g_w, (-2 * residual * xs).mean(axis=-1))
    np.testing.assert_allclose(g_b, (-2 * residual).mean(axis=-1))


def test_a_sum_over_samples_and_vector_samples_a_mean_or_a_transposed_array_would_show():
    xs = Base("xs", shape=(d,))
    statement = state((y - Sum(xs[j] * W[j], (j, 0, d - 1))) ** 2, W, samples=[xs, y], reduction="sum")
    value, gradient = lambdify(statement)
    residual = DATA["y"] - DATA["X"] @ DATA["w"]
    assert value(DATA["w"], DATA["X"], DATA["y"]) == pytest.approx(residual @ residual)
    np.testing.assert_allclose(gradient(DATA["w"], DATA["X"], DATA["y"]), -2 * DATA["X"].T @ residual)


def test_softmax_regression_has_the_textbook_gradient_for_class_index_and_one_hot():
    Z = DATA["X"] @ DATA["W"]
    shares = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    expected = DATA["X"].T @ (shares - DATA["T"]) / N
    by_class = lambdify(state(*LOSSES["softmax, class index"]))
    by_share = lambdify(state(*LOSSES["softmax, one-hot"]))
    np.testing.assert_allclose(by_class.gradient(DATA["W"], DATA["X"], DATA["c"]), expected, rtol=1e-12)
    np.testing.assert_allclose(by_share.gradient(DATA["W"], 1.0, DATA["T"], DATA["X"])[0], expected, rtol=1e-12)
    assert by_class.value(DATA["W"], DATA["X"], DATA["c"]) == pytest.approx(-np.log(shares[range(N), DATA["c"]]).mean())


def test_a_chained_rosenbrock_adds_both_slices_an_offset_by_one_would_show():
    value, gradient = lambdify(state(*LOSSES["Rosenbrock"]))
    p = DATA["v"]
    ahead = p[1:] - p[:-1] ** 2
    expected = np.zeros(N)
    expected[1:] += 200 * ahead
    expected[:-1] += -400 * p[:-1] * ahead - 2 * (1 - p[:-1])
    assert value(p, 1.0) == pytest.approx(np.sum(100 * ahead**2 + (1 - p[:-1]) ** 2))
    np.testing.assert_allclose(gradient(p, 1.0)[0], expected, rtol=1e-12)


def test_sums_that_start_at_one_read_the_first_entry_a_lost_first_entry_would_show():
    value, gradient = lambdify(state(Sum(v[i] ** 2, (i, 1, n)), v, first_index=1))
    assert value(np.arange(1.0, 4.0)) == 14.0
    assert gradient(np.arange(1.0, 4.0)).tolist() == [2.0, 4.0, 6.0]


def test_an_empty_range_is_an_empty_sum_a_slice_end_below_zero_would_count_from_the_back():
    value, gradient = lambdify(state(Sum(v[i] ** 2, (i, 0, n - 5)), v))
    assert value([1.0, 2.0, 3.0]) == 0.0
    assert gradient([1.0, 2.0, 3.0]).tolist() == [0.0, 0.0, 0.0]


def test_matrix_losses_have_matrix_gradients_in_the_shape_of_the_parameter_as_given():
    A, p, t = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("p", d, 1), sp.MatrixSymbol("t", n, 1)
    value, gradient = lambdify(state((A * p - t).T * (A * p - t) / n + lam * p.T * p, p))
    flat = DATA["w"]
    residual = DATA["X"] @ flat - DATA["y"]
    expected = 2 * DATA["X"].T @ residual / N + 0.2 * flat
    assert value(flat, DATA["X"], 0.1, DATA["y"]) == pytest.approx(residual @ residual / N + 0.1 * flat @ flat)
    np.testing.assert_allclose(gradient(flat, DATA["X"], 0.1, DATA["y"]), expected)
    column = gradient(flat[:, None], DATA["X"], 0.1, DATA["y"][:, None])
    assert column.shape == (D, 1)  # p - 0.1*gradient would broadcast to (D, D) otherwise
    np.testing.assert_allclose(column[:, 0], expected)
    B, R = sp.MatrixSymbol("B", d, K), sp.MatrixSymbol("R", n, K)
    frobenius = lambdify(state(sp.Trace((A * B - R).T * (A * B - R)), B))
    np.testing.assert_allclose(
        frobenius.gradient(DATA["W"], DATA["X"], DATA["T"]), 2 * DATA["X"].T @ (DATA["X"] @ DATA["W"] - DATA["T"])
    )


def test_products_are_right_where_factors_vanish_division_by_the_factor_would_show():
    value, gradient = lambdify(state(sp.Product(v[i], (i, 0, n - 1)), v))
    for factors, slope in (
        ([2.0, 3.0, 4.0], [12.0, 8.0, 6.0]),
        ([2.0, 0.0, 4.0], [0.0, 8.0, 0.0]),
        ([0.0, 0.0, 4.0], [0.0, 0.0, 0.0]),
    ):
        assert value(factors) == np.prod(factors)
        assert gradient(factors).tolist() == slope


# -- kinks, other branches, floating point ----------------------------------------------------------------------------


def test_kinks_follow_the_convention_on_a_whole_line_a_slope_of_the_wrong_branch_would_show():
    at = np.array([-2.0, 0.0, 3.0])
    assert lambdify(state(sp.Abs(w), w)).gradient(at).tolist() == [-1.0, 0.0, 1.0]
    assert lambdify(state(sp.Max(0, w), w, kinks="right")).gradient(at).tolist() == [0.0, 1.0, 1.0]
    assert lambdify(state(sp.Max(w, -2 * w, 3 * w), w)).gradient(at).tolist() == [-2.0, pytest.approx(2 / 3), 3.0]
    raising = lambdify(state(sp.Abs(w), w, kinks="raise")).gradient(at)
    assert np.isnan(raising).tolist() == [False, True, False]


def test_the_branch_not_taken_neither_warns_nor_spoils_the_result():
    """Warnings are errors here: the logarithm and the root of the other branch must not be heard."""
    value, gradient = lambdify(state(sp.Piecewise((sp.log(w), w > 1), (sp.sqrt(2 - w), True)), w))
    at = np.array([-2.0, 0.0, 1.0, sp.E, 7.0], dtype=float)
    np.testing.assert_allclose(value(at), [2.0, np.sqrt(2.0), 1.0, 1.0, np.log(7.0)])
    np.testing.assert_allclose(gradient(at), [-0.25, -0.5 / np.sqrt(2.0), -0.5, 1 / np.e, 1 / 7.0])
    assert value(0.0) == pytest.approx(np.sqrt(2.0))
    poles = lambdify(state(1 / w, w))
    assert poles.value(0.0) == np.inf and np.isnan(lambdify(state(sp.log(w), w)).value(-1.0))


def ulps(got, exact):
    """How many units in the last place of the exact value a number is off."""
    unit = max(float(np.spacing(abs(float(exact)))), 5e-324)
    return abs(float((mp.mpf(float(got)) - exact) / mp.mpf(unit)))


LOGITS = [0.0, 1e-8, -1e-8, 30.0, -30.0, 800.0, -800.0]


def test_the_logistic_loss_is_right_to_four_ulps_at_logits_of_any_size_an_overflow_would_show():
    value, gradient = lambdify(state(sp.log(1 + sp.exp(-w)), w))
    values, derivatives = value(np.array(LOGITS)), gradient(np.array(LOGITS))
    with mp.workdps(800):
        for z, got, slope in zip(LOGITS, values, derivatives, strict=True):
            assert ulps(got, mp.log(1 + mp.exp(-mp.mpf(z)))) <= 4
            assert ulps(slope, -1 / (1 + mp.exp(mp.mpf(z)))) <= 4


def test_softmax_is_right_to_four_ulps_at_logits_of_any_size_a_cancelled_share_would_show():
    Z = Base("Z", shape=(n, K))
    value, gradient = lambdify(state(Sum(losses.cross_entropy(Z[i, k], c[i], (k, 0, K - 1)), (i, 0, n - 1)), Z))
    with mp.workdps(800):
        for _ in range(40):
            row = RANDOM.choice(LOGITS, size=4)
            powers = [mp.exp(mp.mpf(z)) for z in row]
            for chosen in range(4):
                assert ulps(value([row], [chosen]), mp.log(sum(powers) / powers[chosen])) <= 4
                for place, slope in enumerate(gradient([row], [chosen])[0]):
                    exact = powers[place] / sum(powers) - (place == chosen)
                    assert abs(exact) < 1e-300 or ulps(slope, exact) <= 4


def test_integers_and_single_precision_are_computed_in_double_precision_an_integer_power_would_wrap():
    value, gradient = lambdify(state(Sum(b * v[i] ** 9, (i, 0, n - 1)), [v, b]))
    assert value(np.array([200, 300]), 1) == pytest.approx(200.0**9 + 300.0**9)  # beyond 2**63
    assert gradient(np.array([0.1], dtype=np.float32), np.float32(1))[0].dtype == np.float64
    assert lambdify(state(Sum(v[i] ** -2, (i, 0, n - 1)), v)).value([2, 4]) == 0.3125


# -- what comes in ----------------------------------------------------------------------------------------------------


def test_bad_arguments_are_named_instead_of_broadcast():
    value, gradient = lambdify(state(Sum((Y[i] - b - v[i]) ** 2, (i, 0, n - 1)), [v, b]))
    with pytest.raises(TypeError, match=r"value\(v, b, y.*missing a required argument: 'y'"):
        value(np.ones(3), 1.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        value(np.ones(3), 1.0, np.ones(3), z=2)
    with pytest.raises(DataError, match=r"v has 3 entries|y has 2 entries"):
        gradient(np.ones(3), 1.0, np.ones(2))
    with pytest.raises(DataError, match="v has shape"):
        value(1.0, 1.0, np.ones(3))
    with pytest.raises(DataError, match="b has dtype complex128"):
        value(np.ones(3), 1j, np.ones(3))
    several = lambdify(state((w - b) ** 2, [w, b]))
    with pytest.raises(DataError, match="do not broadcast"):
        several.value(np.ones(3), np.ones(2))
    with pytest.raises(DataError, match="declared positive"):
        value(np.ones(0), 1.0, np.ones(0))


def test_an_index_beyond_its_array_is_refused_a_negative_one_would_wrap_around():
    value, _ = lambdify(state(*LOSSES["an index twice"]))
    for wrong in (3, -1):
        with pytest.raises(DataError, match="the index of W"):
            value(DATA["W"], 1.0, np.array([0, 1, 0, wrong, 1]))


def test_an_extent_that_no_array_tells_is_given_by_name():
    value, gradient = lambdify(state(Sum(w**k, (k, 0, n - 1)), w))
    assert value(np.array([2.0, 3.0]), n=4).tolist() == [15.0, 40.0]
    assert gradient(2.0, n=4) == 1 + 4 + 12
    with pytest.raises(DataError, match="the value of n"):
        value(2.0)


def test_results_are_new_arrays_a_view_would_change_the_data():
    xs = np.ones(3)
    _, gradient = lambdify(state(Sum(W[j] * Base("h", shape=(d,))[j], (j, 0, d - 1)), W))
    slope = gradient(np.zeros(3), xs)
    slope += 5.0
    assert xs.tolist() == [1.0, 1.0, 1.0]


NAMES = ["lambda", "x; import os", "__import__('os')", "np", "on", "exp", "value", "gradient", "a\nb", "t1", "µ"]


def test_names_never_reach_the_source_unescaped():
    symbols = [sp.Symbol(name) for name in NAMES]
    arrays = [sp.IndexedBase(f"{name} ", shape=(n,)) for name in NAMES[:4]]
    index = sp.Symbol("i)]; import os #", integer=True)
    body = sp.Add(*(array[index] * symbol for array, symbol in zip(arrays, symbols, strict=False)))
    loss = Sum(body**2, (index, 0, n - 1)) + sp.Add(*(s**2 for s in symbols))
    made = lambdify(state(loss, symbols))
    assert "import os" not in made.source and "__import__" not in made.source and "lambda" not in made.source
    given = dict(zip(NAMES, np.arange(1.0, 12.0), strict=True))
    data = {f"{name} ": np.array([1.0, 2.0]) for name in NAMES[:4]}
    assert made.value(**given, **data) == 10.0**2 + 20.0**2 + sum(number**2 for number in given.values())
    assert len(made.gradient(**given, **data)) == len(NAMES)


# -- the source -------------------------------------------------------------------------------------------------------


def test_the_source_is_what_one_would_write_by_hand():
    made = lambdify(state(*LOSSES["logistic"]))
    assert made.source == GOLDEN
    assert lambdify(state(*LOSSES["logistic"])).source == GOLDEN


GOLDEN = '''"""Value and gradient of a loss, on arrays.

Loss: Sum(softplus(-(b + Sum(X[i, j]*w[j], (j, 0, d - 1)))*y[i]), (i, 0, n - 1))/n
"""

import numpy as np

from symdescent.elementary import numeric as on


@np.errstate(all="ignore")
def value(w, b, X, y, *, d, n):
    """The loss."""
    s1 = np.sum(on.softplus(-(b[..., None] + X @ w) * y), axis=-1)
    return s1 / n


@np.errstate(all="ignore")
def gradient(w, b, X, y, *, d, n):
    """The gradient, by parameter."""
    t1 = y * on.sigmoid(-(b[..., None] + X @ w) * y)  # [..., i]
    g_b = -np.sum(t1, axis=-1) / n
    g_w = -(t1 @ X) / n  # [..., j]
    return g_w, g_b
'''


def test_unpacks_as_two_functions_whose_source_stands_in_tracebacks():
    made = lambdify(state(*LOSSES["logistic"]))
    value, gradient = made
    assert (value, gradient) == (made.value, made.gradient)
    inner = inspect.unwrap(value)
    assert "np.sum" in linecache.getline(inner.__code__.co_filename, inner.__code__.co_firstlineno + 3)
    try:
        inner(None, None, None, None, d=1, n=1)
    except TypeError as error:
        assert "on.softplus" in "".join(traceback.format_exception(error))
    else:
        pytest.fail("None is no array")


def test_contractions_make_no_temporary_larger_than_the_data():
    value, gradient = lambdify(state(*LOSSES["logistic"]))
    data, labels, weights = RANDOM.normal(size=(20_000, 50)), np.ones(20_000), np.zeros(50)
    tracemalloc.start()
    value(weights, 0.0, data, labels)
    gradient(weights, 0.0, data, labels)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < data.nbytes / 4


def timed(expression, parameters, *given):
    start = time.process_time()
    statement = state(expression, parameters)
    value, gradient = lambdify(statement)
    results = value(*given), gradient(*given)
    assert time.process_time() - start < 15.0  # it takes two to four seconds; what is quadratic takes minutes
    return results


def test_four_thousand_symbols_written_out():
    chain = sp.symbols("x0:4000")
    at = RANDOM.normal(size=4000)
    terms = [100 * (chain[p + 1] - chain[p] ** 2) ** 2 + (1 - chain[p]) ** 2 for p in range(3999)]
    value, gradient = timed(sp.Add(*terms, evaluate=False), chain, *at)
    ahead = at[1:] - at[:-1] ** 2
    assert value == pytest.approx(np.sum(100 * ahead**2 + (1 - at[:-1]) ** 2), rel=1e-12)
    assert gradient[-1] == pytest.approx(200 * ahead[-1], rel=1e-12)
    assert gradient[0] == pytest.approx(-400 * at[0] * ahead[0] - 2 * (1 - at[0]), rel=1e-12)


def test_nesting_five_thousand_deep():
    deep = w
    for _ in range(5000):
        deep = sp.sin(deep) + w / 2
    at = np.array([0.5, 0.7])
    value, gradient = timed(deep, w, at)
    expected, slope = at, np.ones(2)
    for _ in range(5000):
        expected, slope = np.sin(expected) + at / 2, np.cos(expected) * slope + 0.5
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, slope, rtol=1e-12)


def test_nesting_three_hundred_deep_a_docstring_of_the_statement_would_recurse():
    deep = w
    for _ in range(300):
        deep = sp.sin(deep) + w / 2
    timed(deep, w, 0.5)


def test_twenty_thousand_terms():
    terms = [sp.sin(number * w) for number in range(1, 20_001)]
    value, gradient = timed(sp.Add(*terms, evaluate=False), w, 0.3)
    numbers = np.arange(1, 20_001)
    assert value == pytest.approx(np.sum(np.sin(numbers * 0.3)), abs=1e-9)
    assert gradient == pytest.approx(np.sum(numbers * np.cos(numbers * 0.3)), rel=1e-9)


def test_the_largest_of_many_symbols_takes_several_short_lines_one_long_line_would_not_compile_at_last():
    many = sp.symbols("m0:60")
    value, gradient = lambdify(state(sp.Max(*many), many))
    assert value(*np.arange(60.0)) == 59.0
    assert [float(slope) for slope in gradient(*np.arange(60.0))] == [0.0] * 59 + [1.0]
    lines = [line for line in lambdify(state(sp.Max(*many), many)).source.splitlines() if " = " in line]
    assert max(map(len, lines)) < 200

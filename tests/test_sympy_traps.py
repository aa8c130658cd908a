"""What goes wrong in the libraries underneath (REFERENCE.md, section 2): shown first, then answered rightly or refused.

Where a first half fails after an update of SymPy, the trap is gone, and with it the test's reason.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import sympy as sp
from sympy.codegen import rewriting
from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction
from sympy.matrices.expressions.special import OneMatrix, ZeroMatrix

import symdescent as sd
from symdescent.check.evaluate import evaluate

Base, Sum, Tr = sp.IndexedBase, sp.Sum, sp.Trace
n, d, K = sp.symbols("n d K", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
a, b, x, y, lam = sp.symbols("a b x y lambda")
X, w, t, S, F = (sp.MatrixSymbol(*form) for form in (("X", n, d), ("w", d, 1), ("t", n, 1), ("S", d, d), ("F", n, d)))
residual = X * w - t
vector, weights, table = Base("x", shape=(n,)), Base("w", shape=(d,)), Base("A", shape=(n, d))
random = np.random.default_rng(3)
DATA, TARGET, WEIGHTS, SQUARE = (
    random.normal(size=(5, 3)),
    random.normal(size=5),
    random.normal(size=3),
    random.normal(size=(3, 3)),
)
NUMBERS = {X: DATA, t: TARGET, w: WEIGHTS, S: SQUARE, F: DATA, lam: 0.3}


def differences(value: Callable[[Any], float], at: Any, step: float = 1e-3) -> Any:
    """The gradient of a smooth NumPy function, by differences of order six."""
    at = np.asarray(at, dtype=float)
    slope = np.zeros(at.shape)
    for place in np.ndindex(at.shape):
        move = np.zeros(at.shape)
        move[place] = step
        ahead = [value(at + m * move) - value(at - m * move) for m in (1, 2, 3)]
        slope[place] = (45 * ahead[0] - 9 * ahead[1] + ahead[2]) / (60 * step)
    return slope


def gradient_at(loss: sd.Loss, parameter: Any, values: dict[Any, Any]) -> Any:
    """The gradient as it is shown, in numbers."""
    shown, keys = loss.gradient[parameter], loss.gradient.indices.get(parameter, ())
    length = np.shape(values[parameter])
    places = {
        key: np.arange(size).reshape([-1 if at == axis else 1 for at in range(len(length))])
        for axis, (key, size) in enumerate(zip(keys, length, strict=False))
    }
    return np.reshape(
        np.broadcast_to(evaluate(shown, values | places), length) if keys else evaluate(shown, values), length
    )


def agrees(loss: sd.Loss, parameter: Any, values: dict[Any, Any], by_hand: Callable[[Any], float]) -> None:
    expected = differences(by_hand, values[parameter])
    np.testing.assert_allclose(gradient_at(loss, parameter, values), expected, rtol=1e-9, atol=1e-9)


def vanishes(derivative: Any) -> bool:
    return derivative == 0 or isinstance(derivative, ZeroMatrix)


def used(*symbols: Any) -> dict[Any, Any]:
    return {symbol: NUMBERS[symbol] for symbol in symbols}


# -- matrices: derivatives that vanish or raise -----------------------------------------------------------------------


def test_derivative_of_an_entry_of_a_product() -> None:
    """SymPy: 0."""
    loss = (residual.T * residual)[0, 0]
    assert vanishes(sp.diff(loss, w))
    assert sd.Loss(loss / n, w).gradient[w] == 2 / n * X.T * residual


def test_derivative_of_a_sum_of_traces() -> None:
    """SymPy: 0."""
    loss = Tr(residual.T * residual) + lam * Tr(w.T * w)
    assert vanishes(sp.diff(loss, w))
    assert sd.Loss(loss, w).gradient[w] == 2 * X.T * residual + 2 * lam * w
    agrees(sd.Loss(loss, w), w, used(X, t, w, lam), lambda v: np.sum((DATA @ v - TARGET) ** 2) + 0.3 * v @ v)


def test_logarithm_of_a_determinant_is_refused() -> None:
    """SymPy: 0, for what is the inverse transposed."""
    loss = sp.log(sp.Determinant(S))
    assert vanishes(sp.diff(loss, S))
    with pytest.raises(sd.UnsupportedError, match="Determinant"):
        sd.Loss(loss, S)


def test_inverse_is_refused() -> None:
    """A negative power of a matrix taken for one of its entries."""
    for loss in (Tr(S.inverse()), Tr(S**-2), w.T * S.I * w):
        with pytest.raises(sd.UnsupportedError, match=r"power|Inverse|inverse"):
            sd.Loss(loss, S)


def test_logarithm_of_a_trace() -> None:
    """SymPy: 0."""
    loss = sp.log(Tr(F.T * F))
    assert vanishes(sp.diff(loss, F))
    assert sd.Loss(loss, F).gradient[F] == 2 / Tr(F.T * F) * F
    agrees(sd.Loss(loss, F), F, used(F), lambda m: np.log(np.sum(m**2)))


def test_function_of_a_matrix_scalar() -> None:
    """SymPy: 0."""
    loss = sp.exp((w.T * w)[0, 0])
    assert vanishes(sp.diff(loss, w))
    agrees(sd.Loss(loss, w), w, used(w), lambda v: np.exp(v @ v))


def test_dot_product() -> None:
    """SymPy: an unevaluated Derivative."""
    loss = sp.DotProduct(w, w)
    assert sp.diff(loss, w).has(sp.Derivative)
    assert sd.Loss(loss, w).gradient[w] == 2 * w


def test_hadamard_products() -> None:
    """SymPy: a matrix of another shape, or an exception."""
    squares = sp.HadamardProduct(residual, residual)
    assert tuple(squares.diff(w).shape) != (d, 1)
    loss = Tr(OneMatrix(1, n) * squares) / n
    agrees(sd.Loss(loss, w), w, used(X, t, w), lambda v: np.mean((DATA @ v - TARGET) ** 2))
    cubes = Tr(sp.HadamardProduct(S, S.T) * S)
    agrees(sd.Loss(cubes, S), S, used(S), lambda m: np.trace((m * m.T) @ m))


def test_two_layers_of_applyfunc() -> None:
    """SymPy: ValueError."""
    loss = w.T * (S * (S * w).applyfunc(sp.tanh)).applyfunc(sp.tanh)
    with pytest.raises(ValueError, match="index"):
        sp.diff(Tr(loss), w)
    shown = sd.Loss(loss, w)
    agrees(shown, w, used(S, w), lambda v: v @ np.tanh(SQUARE @ np.tanh(SQUARE @ v)))
    agrees(sd.Loss(loss, S), S, used(S, w), lambda m: WEIGHTS @ np.tanh(m @ np.tanh(m @ WEIGHTS)))
    assert shown.gradient[w].has(ElementwiseApplyFunction)


# -- indices ----------------------------------------------------------------------------------------------------------


def test_bound_index_reused() -> None:
    """SymPy: the Kronecker delta is dropped, and the sum is kept."""
    A = Base("a", shape=(d,))
    loss = Sum(A[j] * weights[j], (j, 0, d - 1))
    assert sp.diff(loss, weights[j]).has(Sum)
    gradient = sd.Loss(loss, weights).gradient
    (index,) = gradient.indices[weights]
    assert gradient[weights] == A[index]
    nested = Sum(vector[i] * Sum(vector[i] ** 2, (i, 0, n - 1)), (i, 0, n - 1))
    values = {vector: TARGET}
    agrees(sd.Loss(nested, vector), vector, values, lambda v: v.sum() * np.sum(v**2))


def test_stride_of_an_index() -> None:
    """SymPy: a slope also for entries that the sum steps over."""
    A = Base("A")
    assert sp.diff(Sum(A[2 * i], (i, 0, n - 1)), A[j]).doit().subs({j: 1, n: 4}) == 1
    loss = sd.Loss(Sum(vector[2 * i] ** 2, (i, 0, K - 1)), vector)
    values = {vector: TARGET, K: 3}
    expected = np.where(np.arange(5) % 2 == 0, 2 * TARGET, 0.0)
    np.testing.assert_allclose(gradient_at(loss, vector, values), expected, rtol=1e-14)
    np.testing.assert_allclose(loss.lambdify().gradient(TARGET, K=3), expected, rtol=1e-14)


def test_empty_ranges_are_empty() -> None:
    """SymPy: a sum from 0 to -3 has -2 terms (Karr's convention), in closed form only."""
    assert Sum(a, (j, 0, -3)).doit() == -2 * a
    loss = sd.Loss(Sum(vector[i] * Sum(a, (j, 0, i - 3)), (i, 0, n - 1)), [a, vector])
    value, gradient = loss.lambdify()
    assert value(2.0, np.ones(5)) == 2.0 * (1 + 2)
    np.testing.assert_array_equal(gradient(2.0, np.ones(5))[1], [0.0, 0.0, 0.0, 2.0, 4.0])


def inner_piecewise() -> Any:
    below = sp.Piecewise((vector[j] - vector[i], vector[j] > vector[i]), (0, True))
    return Sum(vector[i] * sp.sin(Sum(below, (j, 0, n - 1))), (i, 0, n - 1))


def test_piecewise_dragged_out_of_an_inner_sum_is_refused() -> None:
    """SymPy's Sum moves a Piecewise out of the sums inside of it: an index of its condition is bound nowhere."""
    loss = inner_piecewise()
    assert j in loss.free_symbols
    with pytest.raises(sd.StatementError, match=r"\bj\b"):
        sd.Loss(loss, vector)


def test_inner_kinks_stated_without_piecewise() -> None:
    """What the refusal above recommends: the gradient's own steps must not be dragged out either."""
    loss = sd.Loss(Sum(vector[i] * sp.sin(Sum(sp.Max(0, vector[j] - vector[i]), (j, 0, n - 1))), (i, 0, n - 1)), vector)
    by_hand = lambda v: np.sum(v * np.sin(np.maximum(0, v - v[:, None]).sum(axis=1)))  # noqa: E731
    agrees(loss, vector, {vector: TARGET}, by_hand)


# -- symbols and names ------------------------------------------------------------------------------------------------


def test_a_condition_whose_canonical_form_has_another() -> None:
    # SymPy's Piecewise makes its conditions canonical until they stay: these never do, and the recursion has no end
    relation = 9 * y / 10 - 9 * b / 10 >= b / 10 - y / 10
    assert relation.canonical.canonical != relation.canonical, "SymPy has mended this: drop `settled`"
    residual = y - a * x - b
    pinball = sd.Loss(sp.Max(9 * residual / 10, -residual / 10), [a, b], samples=[x, y])
    data = {"x": [1.0, 2.0, 3.0], "y": [1.0, 4.0, 2.0]}
    value, gradient = pinball.compile().value_and_gradient({"a": 1.0, "b": 0.5}, data)  # residuals -1/2, 3/2, -3/2
    np.testing.assert_allclose(value, (0.05 + 1.35 + 0.15) / 3, rtol=1e-15)
    np.testing.assert_allclose(
        [gradient["a"], gradient["b"]], [(0.1 - 1.8 + 0.3) / 3, (0.1 - 0.9 + 0.1) / 3], rtol=1e-15
    )
    assert pinball.check().passed
    assert pinball.derivation(detail="full")[-1].after is not None


def test_one_name_with_two_assumptions() -> None:
    """SymPy: two symbols that print alike, the derivative by the one of the other is 0."""
    real = sp.Symbol("a", real=True)
    assert sp.diff(real**2, a) == 0 and str(real) == str(a)
    with pytest.raises(sd.StatementError, match="assumptions"):
        sd.Loss(real**2, a)
    with pytest.raises(sd.StatementError, match="two different symbols are both named a"):
        sd.Loss(real**2 + a, [real, a])


@pytest.mark.parametrize(
    "name", ["S", "N", "Q", "E", "I", "O", "gamma", "beta", "lambda", "exp", "np", "math", "value", "i0"]
)
def test_names_that_mean_something_to_sympy_or_python(name: str) -> None:
    """`sympify` and `lambdify` take them for functions, numbers and keywords."""
    symbol = sp.Symbol(name)
    loss = sd.Loss(sp.exp(symbol * x) + x**2, [symbol, x])
    value, gradient = loss.lambdify()
    assert value(0.5, 2.0) == pytest.approx(np.exp(1.0) + 4.0, rel=1e-15)
    np.testing.assert_allclose(gradient(0.5, 2.0), [2 * np.exp(1.0), 0.5 * np.exp(1.0) + 4.0], rtol=1e-15)


def test_names_do_not_reach_generated_code(tmp_path: Any) -> None:
    """SymPy's lambdify prints the names of free symbols as they are."""
    trace = tmp_path / "trace"
    name = f"__import__('pathlib').Path({str(trace)!r}).touch()"
    assert name in inspect.getsource(sp.lambdify(x, x * sp.Symbol(name)))
    for evil in (sp.Symbol(name), sp.Symbol("x\nimport os"), sp.Symbol('"""\nimport os')):
        loss = sd.Loss(x * evil, [x, evil])
        for source in (loss.compile().source, loss.lambdify().source):
            assert "import os" not in source and "pathlib" not in source
        assert loss.lambdify().value(2.0, 3.0) == 6.0
    array = Base("x; import os", shape=(n,))
    assert "import os" not in sd.Loss(Sum(array[i] ** 2, (i, 0, n - 1)), array).lambdify().source
    assert not trace.exists()


def test_text_is_not_evaluated() -> None:
    """`sympify` runs Python."""
    assert sp.sympify("__import__('os').getpid()") > 0
    with pytest.raises(sd.StatementError, match="text"):
        sd.Loss("__import__('os').getpid()", x)


# -- depth and width --------------------------------------------------------------------------------------------------


def nested_sine(depth: int) -> Any:
    e = x
    for _ in range(depth):
        e = sp.sin(e) + x / 2
    return e


def test_nested_sines() -> None:
    """Recursive walks; 80 deep SymPy differentiates or not, depending on how deep the caller is."""
    depth = 80
    e = x
    for _ in range(depth):
        e = sp.sin(e)
    at, slope = 0.9, 1.0
    for _ in range(depth):
        at, slope = np.sin(at), slope * np.cos(at)
    loss = sd.Loss(e, x)
    assert loss.lambdify().gradient(0.9) == pytest.approx(slope, rel=1e-13)
    assert float(loss.gradient[x].subs(x, sp.Float(0.9))) == pytest.approx(slope, rel=1e-12)


def test_nesting_deeper_than_the_recursion_limit() -> None:
    """SymPy can build it, and fails on most walks of it."""
    depth = 5000
    e = nested_sine(depth)
    with pytest.raises(RecursionError):
        str(e)
    loss = sd.Loss(e, x)
    at, slope = 0.3, 1.0
    for _ in range(depth):
        at, slope = np.sin(at) + 0.15, slope * np.cos(at) + 0.5
    value, gradient = loss.compile().value_and_gradient(0.3)
    assert value == pytest.approx(at, rel=1e-13)
    assert gradient[x] == pytest.approx(slope, rel=1e-12)
    assert evaluate(loss.gradient[x], {x: 0.3}) == pytest.approx(slope, rel=1e-12)


def test_continued_fraction() -> None:
    """SymPy: RecursionError at a depth of 100."""
    e = x
    for _ in range(100):
        e = 1 / (1 + e)
    loss = sd.Loss(e, x)
    at, slope = 0.7, 1.0
    for _ in range(100):
        at, slope = 1 / (1 + at), -slope / (1 + at) ** 2
    assert loss.lambdify().value(0.7) == pytest.approx(at, rel=1e-14)
    assert loss.lambdify().gradient(0.7) == pytest.approx(slope, rel=1e-10)
    assert evaluate(loss.gradient[x], {x: 0.7}) == pytest.approx(slope, rel=1e-10)


def test_wide_sum() -> None:
    """20 000 terms over 2 000 symbols: recursive walks, and quadratic ones."""
    symbols = sp.symbols("x0:2000")
    places = [(m % 2000, (7 * m + 1 + m // 2000) % 2000, m % 9 + 1) for m in range(20_000)]
    terms = [sp.Mul(c, symbols[p], symbols[q] ** 2, evaluate=False) for p, q, c in places]
    loss = sd.Loss(sp.Add(*terms, evaluate=False), list(symbols))
    at = np.random.default_rng(0).normal(size=2000)
    slopes = np.zeros(2000)
    for p, q, c in places:
        slopes[p] += c * at[q] ** 2
        slopes[q] += 2 * c * at[p] * at[q]
    value, gradient = loss.compile().as_scipy()(at)
    assert value == pytest.approx(sum(c * at[p] * at[q] ** 2 for p, q, c in places), rel=1e-11)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-10)


# -- numerics ---------------------------------------------------------------------------------------------------------


def test_logsumexp_of_two_terms() -> None:
    """SymPy's `logsumexp_2terms_opt`: 2.313 at (1, 1) for log 2 + 1."""
    p, q = sp.symbols("p q", real=True)
    wrong = rewriting.logsumexp_2terms_opt(sp.log(sp.exp(p) + sp.exp(q)))
    assert abs(float(wrong.subs({p: 1, q: 1})) - 2.3132616875) < 1e-9
    value, gradient = sd.Loss(sp.log(sp.exp(p) + sp.exp(q)), [p, q]).lambdify()
    assert value(1.0, 1.0) == pytest.approx(np.log(2.0) + 1.0, rel=1e-15)
    assert gradient(1.0, 1.0) == (0.5, 0.5)
    assert value(800.0, -800.0) == 800.0


def test_rewritings_that_lose_stability() -> None:
    """SymPy: ``log1p(exp(z))``, which overflows; ``-x + log1p(exp(x))`` for log(1 + exp(-x)), which cancels."""
    z = sp.Symbol("z", real=True)
    c99 = rewriting.optimize(sp.log(1 + sp.exp(z)), rewriting.optims_c99)
    numpy = rewriting.optimize(sp.log(1 + sp.exp(-z)), rewriting.optims_numpy)
    with np.errstate(over="ignore"):
        assert np.isinf(sp.lambdify(z, c99, "numpy")(800.0))
    assert abs(sp.lambdify(z, numpy, "numpy")(30.0) / np.exp(-30.0) - 1) > 1e-3
    value, gradient = sd.Loss(sp.log(1 + sp.exp(-z)), z).lambdify()
    assert value(30.0) == pytest.approx(np.log1p(np.exp(-30.0)), rel=1e-15)
    assert value(-800.0) == 800.0 and gradient(-800.0) == -1.0


def test_heaviside_at_zero() -> None:
    """SymPy: 1/2, unless it is said otherwise; NumPy functions and kernels must say the same."""
    assert sp.Heaviside(0) == sp.Rational(1, 2)
    for step, expected in ((sp.Heaviside(x), 0.5), (sp.Heaviside(x, 1), 1.0), (sp.Heaviside(x, 0), 0.0)):
        loss = sd.Loss((1 + step) * y, y)
        value, gradient = loss.lambdify()
        assert value(2.0, 0.0) == 2.0 * (1 + expected)
        assert gradient(2.0, 0.0) == 1 + expected
        assert evaluate(loss.gradient[y], {x: 0.0}) == 1 + expected


def test_complex_step_only_where_it_is_valid() -> None:
    """|-2| by complex step: 0; log(-2): 3e20."""
    assert np.imag(np.abs(complex(-2, 1e-20))) / 1e-20 == 0
    assert abs(np.imag(np.log(complex(-2, 1e-20))) / 1e-20) > 1e20
    rows = sd.Loss(sp.Abs(x) ** 3, x).check(at=-2.0).rows
    assert [row.verdict for row in rows] == ["pass"] and np.isnan(rows[0].complex_step)
    rows = sd.Loss(sp.log(x), x).check(at=-2.0).rows
    assert [row.verdict for row in rows] == ["outside domain"] and not abs(rows[0].complex_step) > 1e10


# -- generated code ---------------------------------------------------------------------------------------------------


def test_piecewise_and_max_compile() -> None:
    """SymPy's lambdify: `select`, `reduce` and a generator, which Numba refuses."""
    assert "select" in inspect.getsource(sp.lambdify(x, sp.Piecewise((x, x > 0), (0, True))))
    assert "reduce" in inspect.getsource(sp.lambdify(x, sp.Max(x, 2)))
    assert " for " in inspect.getsource(sp.lambdify((x, n), Sum(sp.exp(x * i), (i, 0, n - 1))))
    terms = sp.Piecewise((vector[i] ** 2, vector[i] > 0), (-vector[i], True)) + sp.Max(vector[i], a, 2) * sp.Heaviside(
        vector[i]
    )
    compiled = sd.Loss(Sum(terms, (i, 0, n - 1)), [vector, a]).compile()
    value, gradient = compiled.value_and_gradient({vector: [-1.5, 0.5, 3.0], a: 2.5})
    assert value == pytest.approx(1.5 + (0.25 + 2.5) + (9.0 + 3.0), rel=1e-15)
    np.testing.assert_allclose(gradient[vector], [-1.0, 1.0, 7.0], rtol=1e-15)
    assert gradient[a] == 1.0


def test_common_subexpressions_stay_in_their_sum() -> None:
    """SymPy's lambdify(..., cse=True) hoists a term that uses the summation index, which it then has no value for."""
    e = Sum(sp.sin(x * i) + sp.sin(x * i) ** 2, (i, 0, n - 1))
    hoisted = sp.lambdify((x, n), e, cse=True)
    assert inspect.getsource(hoisted).index("sin(i*x)") < inspect.getsource(hoisted).index("for i in")
    with pytest.raises((TypeError, NameError)):
        hoisted(1.0, 3)
    value, gradient = sd.Loss(e, x).lambdify()
    at = np.arange(3.0)
    assert value(1.0, n=3) == pytest.approx(np.sum(np.sin(at) + np.sin(at) ** 2), rel=1e-15)
    assert gradient(1.0, n=3) == pytest.approx(np.sum(at * np.cos(at) * (1 + 2 * np.sin(at))), rel=1e-14)


def test_integer_data_and_division_by_zero() -> None:
    """Numba: 2**-1 of integers is 0, products of int64 wrap around, 1/0 raises, NaN is not seen under fastmath."""
    compiled = sd.Loss(a * Sum(1 / vector[i] + vector[i] ** -1 * vector[i] ** 40, (i, 0, n - 1)), a).compile()
    assert compiled.value(1.0, {vector: np.array([2, 4])}) == 0.75 + 2.0**39 + 2.0**78
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled.value(1.0, {vector: np.array([0, 4])}) == np.inf
    with pytest.raises(sd.DataError, match="nan"):
        compiled.value(1.0, {vector: np.array([np.nan, 4.0])})
    kink = sd.Loss(sp.Max(a, b) + sp.Piecewise((1, sp.Ne(a, a + b)), (2, True)), [a, b]).lambdify().value
    assert np.isnan(kink(np.nan, 1.0)) and np.isnan(kink(1.0, np.nan))


def test_reads_out_of_range_are_refused() -> None:
    """Numba returns rubbish, or the entry at the other end."""
    for place in (i + 1, i - 1, (i - 2) ** 2 - 1, sp.Mod(i + 3, 7)):
        compiled = sd.Loss(a * Sum(vector[place], (i, 0, n - 1)), a).compile()
        with pytest.raises(sd.DataError, match="index of x"):
            compiled.value(1.0, {vector: np.ones(5)})
    for place in (i, sp.Mod(i, 7), i * (i - 4) + 4, (i - 2) ** 2, sp.Abs(i - 2), sp.Max(i - 1, 0)):
        loss = sd.Loss(a * Sum(vector[place], (i, 0, n - 1)), a)
        assert loss.lambdify().value(1.0, np.ones(5)) == 5.0, place
    labels = Base("c", shape=(K,))
    compiled = sd.Loss(a * Sum(vector[labels[j]], (j, 0, K - 1)), a).compile()
    assert compiled.value(1.0, {vector: np.ones(5), labels: [0, 4]}) == 2.0
    for wrong in ([0, 5], [-1, 0]):
        with pytest.raises(sd.DataError, match="index of x"):
            compiled.value(1.0, {vector: np.ones(5), labels: wrong})


def test_scattering_values_that_broadcast() -> None:
    """NumPy 2.4: ``np.add.at`` of a vector at a table of places reads past the vector."""
    loss = sd.Loss(Sum(vector[i * j] * (i + 1), (i, 0, K - 1), (j, 0, K - 1)), vector)
    for _ in range(3):
        gradient = loss.lambdify().gradient(np.ones(10), K=3)
        np.testing.assert_array_equal(gradient, [8.0, 2.0, 5.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_sympy_simplifies_to_other_terms() -> None:
    """SymPy evaluates Abs(exp(a)) to exp(re(a)) for a complex a: symbols of a loss are real."""
    loss = (
        sp.Abs(sp.exp(a)) + sp.Abs(sp.cosh(b)) if not sp.Abs(sp.cosh(b)).has(sp.im) else sp.Abs(sp.exp(a)) + sp.cosh(b)
    )
    assert loss.has(sp.re)
    assert sd.Loss(loss, [a, b]).lambdify().value(1.0, 0.0) == pytest.approx(np.e + 1.0, rel=1e-15)


def test_equal_logits() -> None:
    """Arguments that occur twice: softmax(a, b, b) depends on b twice."""
    with mp.workdps(40):
        share = lambda p, q: mp.exp(p) / (mp.exp(p) + 2 * mp.exp(q))  # noqa: E731
        for make, exact in ((lambda e: e, share), (sp.log, lambda p, q: mp.log(share(p, q)))):
            _, gradient = sd.Loss(make(sd.softmax(a, b, b)), [a, b]).lambdify()
            at = mp.mpf("0.3"), mp.mpf("0.5")
            expected = [float(mp.diff(exact, at, order)) for order in ((1, 0), (0, 1))]
            np.testing.assert_allclose(gradient(0.3, 0.5), expected, rtol=1e-14)
    assert sd.Loss(sd.softmax(a, a), a).lambdify().gradient(0.4) == 0.0

"""Traces: the elementary program, tangents and adjoints against hand-made tables, the compiled loss and mpmath."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.errors import DataError, KinkError, StatementError, UnsupportedError
from symdescent.study.program import program
from symdescent.study.trace import Trace

w, x, y, z, b, lam = sp.symbols("w x y z b lam")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
W, X, Y = sp.IndexedBase("w", shape=(d,)), sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,))
XS = sp.IndexedBase("x", shape=(d,))
U, P, POSITIONS = sp.IndexedBase("u"), sp.IndexedBase("p"), sp.IndexedBase("c")
A, V, T = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("v", d, 1), sp.MatrixSymbol("t", n, 1)
B, H = sp.MatrixSymbol("B", d, k), sp.MatrixSymbol("H", n, k)
RANDOM = np.random.default_rng(7)
ROWS, SIDES, POINT = RANDOM.normal(size=(4, 2)), RANDOM.normal(size=4), RANDOM.normal(size=2)
MARGIN = Y[i] * sp.Sum(X[i, j] * W[j], (j, 0, d - 1))
LEAST_SQUARES = sp.Sum((Y[i] - sp.Sum(X[i, j] * W[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n

CASES: dict[str, tuple[Any, Any, Any]] = {
    "Rosenbrock": (sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]), {"x": -1.2, "y": 1}, None),
    "a line": (sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]), {"w": 1, "b": 0.5}, {"x": [1, 2, 3.0], "y": [2, 3, 5.0]}),
    "a sum over samples": (sd.Loss((y - w * x) ** 2 + lam * w**2, w, samples=[x, y], reduction="sum"), 2, {"x": [1, 2.0], "y": [2, 3.0], "lam": 0.3}),
    "ridge": (sd.Loss(LEAST_SQUARES + lam * sp.Sum(W[j] ** 2, (j, 0, d - 1)), W), POINT, {"X": ROWS, "y": SIDES, "lam": 0.1}),
    "matrices": (sd.Loss((A * V - T).T * (A * V - T) / n, V), POINT, {"A": ROWS, "t": SIDES}),
    "a matrix parameter": (sd.Loss(sp.Trace((A * B - H).T * (A * B - H)), B), RANDOM.normal(size=(2, 3)), {"A": ROWS, "H": RANDOM.normal(size=(4, 3))}),
    "samples of vectors": (sd.Loss((y - sp.Sum(W[j] * XS[j], (j, 0, d - 1))) ** 2, W, samples=[XS, y]), POINT, {"x": ROWS, "y": SIDES}),
    "logistic": (sd.Loss(sp.Sum(sp.log(1 + sp.exp(-MARGIN)), (i, 0, n - 1)) / n, W), POINT, {"X": ROWS, "y": np.sign(SIDES)}),
    "shifted": (sd.Loss(sp.Sum((Y[i] - Y[i - 1]) ** 2, (i, 1, n - 1)), Y), SIDES, None),
    "chained Rosenbrock": (sd.Loss(sp.Sum(100 * (Y[i + 1] - Y[i] ** 2) ** 2 + (1 - Y[i]) ** 2, (i, 0, n - 2)), Y), SIDES, None),
    "a range that depends on an index": (sd.Loss(sp.Sum(sp.Sum(sp.sin(W[i] * W[j]), (j, 0, i)), (i, 0, d - 1)), W), [1.0, 2, 3], None),
    "counted from one": (sd.Loss(sp.Sum(j * (W[j] - 1) ** 2, (j, 1, d)), W, first_index=1), POINT, None),
    "undeclared shapes": (sd.Loss(sp.Sum((U[i] - P[i]) ** 2, (i, 0, n - 1)), U), SIDES, {"p": 2 * SIDES}),
    "positions as data": (sd.Loss(sp.Sum((W[POSITIONS[i]] - Y[i]) ** 2, (i, 0, n - 1)), W), [1.0, 2, 3], {"c": [0, 2, 2, 1], "y": SIDES}),
    "entries": (sd.Loss((W[0] - 1) ** 2 + W[1] ** 2 * W[0], W), [2.0, 3], None),
    "a product over an index": (sd.Loss(sp.Product(W[j] + 1, (j, 0, d - 1)), W), POINT, None),
    "functions": (sd.Loss(sp.sin(x) * sp.exp(2 * y) + sp.atan2(y, x) + sp.tanh(x) / sp.sqrt(y), [x, y]), {"x": 0.3, "y": 0.7}, None),
    "heads": (sd.Loss(sd.relu(x * w - 1) + sd.softplus(w) + sd.logsumexp(w, x, 1) + sd.softmax(w, x), [w, x]), {"w": 0.3, "x": 2}, None),
    "powers": (sd.Loss(-(x**3) * y + x / y**2 - sp.Rational(3, 2) * x * sp.pi + 2**x + x**y, [x, y]), {"x": 0.3, "y": 0.7}, None),
    "rare functions": (sd.Loss(sp.loggamma(x) + sp.erf(x) + sp.sec(x) + sp.Abs(x) ** sp.Rational(3, 2), x), 0.7, None),
    "a case that is not taken": (sd.Loss(sp.Piecewise((x * sp.log(x), x > 0), (x**2, True)), x), -0.5, None),
    "a kink": (sd.Loss(sp.Abs(x) + sp.Max(0, x), x), 0, None),
    "a kink from the right": (sd.Loss(sp.Abs(x) + sp.Max(0, x), x, kinks="right"), 0, None),
    "ties": (sd.Loss(sp.Max(x, y, x * y), [x, y]), {"x": 1, "y": 1}, None),
    "softplus far out": (sd.Loss(sp.log(1 + sp.exp(-w * x)), w), 800, {"x": -2}),
    "a share far out": (sd.Loss(-sp.log(sp.exp(x) / (sp.exp(x) + sp.exp(y))), [x, y]), {"x": -800, "y": 801}, None),
    "cross-entropy far out": (sd.Loss(-(y * sp.log(sd.sigmoid(z)) + (1 - y) * sp.log(1 - sd.sigmoid(z))), z), -800, {"y": 1}),
    "logsumexp far out": (sd.Loss(sp.log(sp.Sum(sp.exp(W[j]), (j, 0, d - 1))), W), [800.0, 801], None),
    "a parameter named v1": (sd.Loss(sp.Symbol("v1") ** 2 * sp.cos(sp.Symbol("v1")), sp.Symbol("v1")), 2, None),
    "no operation": (sd.Loss(x, x), 3, None),
}  # fmt: skip


# -- against the compiled loss ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", CASES)
def test_a_trace_ends_in_the_loss_and_its_gradient(name, mode):
    # a partial of the wrong operand, an adjoint that is not summed over its indices, a mask that lets NaN through
    loss, at, data = CASES[name]
    trace = loss.trace(at, data, mode=mode)
    value, gradient = loss.compile().value_and_gradient(at, data)
    assert trace.value == pytest.approx(value, rel=1e-12)
    for parameter, slope in gradient.items():
        assert np.shape(trace.gradient[parameter]) == np.shape(slope)
        np.testing.assert_allclose(trace.gradient[parameter], slope, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_formulas_that_are_shown_give_the_numbers_that_are_shown(name):
    # numbers from one computation beside formulas from another
    loss, at, data = CASES[name]
    trace = loss.trace(at, data)
    known: dict[Any, Any] = {}
    compared = 0
    for row in trace.rows:
        known[row.variable] = row.value
        operands = row.formula.free_symbols
        if row.source is None and operands <= known.keys() and all(np.isfinite(known[v]) for v in operands):
            shown = sp.N(row.formula.xreplace({v: sp.Float(known[v], 30) for v in operands}))
            if shown.is_real:  # a case that is not taken may be undefined
                assert float(shown) == pytest.approx(float(row.value), rel=1e-9, abs=1e-300), row
                compared += 1
    assert compared or any(isinstance(row.variable, sp.Indexed) for row in trace.rows) or len(trace.rows) < 5


# -- tables written by hand -------------------------------------------------------------------------------------------

SIGMOID_BY_HAND = 1 / (1 + sp.exp(-(w * x + b)))


def numbers(trace: Trace) -> list[float]:
    return [float(row.slope) for row in trace.sweep if row.slope is not None]


def test_forward_mode_on_a_sigmoid_written_out():
    # the table of f and p values of an introductory text: wx, +b, -, exp, 1+, 1/
    trace = sd.Loss(SIGMOID_BY_HAND, x).trace(3, {"w": 2, "b": 1}, mode="forward")
    assert [str(row.formula) for row in trace.rows] == [
        "x",
        "b",
        "w",
        "v1*v3",
        "v2 + v4",
        "-v5",
        "exp(v6)",
        "v7 + 1",
        "1/v8",
    ]
    e = float(mpmath.exp(-7))
    values = [3, 1, 2, 6, 7, -7, e, 1 + e, 1 / (1 + e)]
    np.testing.assert_allclose([row.value for row in trace.rows], values, rtol=1e-14)
    np.testing.assert_allclose(numbers(trace), [1, 2, 2, -2, -2 * e, -2 * e, 2 * e / (1 + e) ** 2], rtol=1e-14)
    assert f"{float(trace.rows[-1].slope):.9g}" == "0.00182044236"
    assert f"{trace.value:.10g}" == "0.9990889488"


@pytest.mark.parametrize("statement", [sd.sigmoid(w * x + b), SIGMOID_BY_HAND])
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_derivative_column_ends_in_the_derivative(statement, mode):
    # columns that end in a data's adjoint, or in that of the loss
    trace = sd.Loss(statement, x).trace(3, {"w": 2, "b": 1}, mode=mode)
    assert f"{numbers(trace)[-1]:.9g}" == "0.00182044236"
    assert "0.00182044236" in trace.text() and "0.00182044236" in trace.latex()


def test_reverse_mode_shows_the_sweep_backwards():
    # adjoints in the order of evaluation, or a shared operand whose second share is forgotten
    trace = sd.Loss(x * y + sp.sin(x), [x, y]).trace({"x": 2, "y": 3})
    assert [str(row.variable) for row in trace.sweep] == ["v5", "v4", "v3", "v2", "v1"]
    formulas = {str(row.slope_variable): row.slope_formula for row in trace.sweep}
    v1, v2, v3, v4, v5 = (sp.Symbol(f"v{number}_bar") for number in range(1, 6))
    left, right = sp.symbols("v1 v2")
    product, sine = (v3, v4) if str(trace.rows[2].formula) == "v1*v2" else (v4, v3)
    assert formulas["v5_bar"] == 1
    assert sp.simplify(formulas["v2_bar"] - product * left) == 0
    assert sp.simplify(formulas["v1_bar"] - (product * right + sine * sp.cos(left))) == 0
    assert numbers(trace)[-1] == pytest.approx(3 + float(mpmath.cos(2)))
    del v1, v2, v5


def test_forward_mode_shows_the_product_rule():
    rows = sd.Loss(x * y, [x, y]).trace({"x": 2, "y": 3}, mode="forward").rows
    v1, v2, d1, d2 = sp.symbols("v1 v2 v1_dot v2_dot")
    assert sp.expand(rows[-1].slope_formula - (v1 * d2 + v2 * d1)) == 0
    np.testing.assert_array_equal(rows[-1].slope, [3, 2])


def test_slopes_are_written_with_the_value_of_their_line():
    # exp(v1) computed twice, where the line's own value is at hand
    def slope(expression: Any) -> Any:
        return sd.Loss(expression, x).trace(0.5, mode="forward").rows[-1].slope_formula

    v1, v2, dot = sp.symbols("v1 v2 v1_dot")
    assert sp.expand(slope(sp.exp(x)) - v2 * dot) == 0
    assert sp.expand(slope(sp.tanh(x)) - (1 - v2**2) * dot) == 0
    assert sp.expand(slope(sd.sigmoid(x)) - v2 * (1 - v2) * dot) == 0
    assert sp.simplify(slope(sp.sqrt(x)) - dot / (2 * v2)) == 0
    assert sp.expand(slope(sp.sin(x)) - sp.cos(v1) * dot) == 0


def test_operations_stand_in_their_natural_order():
    # -b - w x computed term by term, where one writes y - (w x + b)
    lines = [str(line.formula) for line in program(sd.Loss((y - (w * x + b)) ** 2, [w, b])).operations[4:]]
    assert lines == ["v1*v3", "v2 + v5", "v4 - v6", "v7**2"]
    assert [str(line.formula) for line in program(sd.Loss(x**2 - 6 * x + 5, x)).operations] == [
        "x", "v1**2", "6*v1", "v2 - v3", "v4 + 5",
    ]  # fmt: skip


def test_equal_subexpressions_are_computed_once():
    lines = program(sd.Loss(sp.sin(x * y) + sp.sin(x * y) ** 2, [x, y])).operations
    assert sum(str(line.formula).startswith("sin") for line in lines) == 1


def test_what_is_summed_over_is_an_array_over_its_index():
    # a row a sample, or sums that hide the operations below them
    trace = CASES["a line"][0].trace(*CASES["a line"][1:])
    square, total, mean = trace.rows[-3:]
    assert isinstance(square.variable, sp.Indexed) and np.shape(square.value) == (3,)
    assert isinstance(total.formula, sp.Sum) and total.value == pytest.approx(np.sum(square.value))
    assert mean.value == pytest.approx(total.value / 3)
    residual = next(row for row in trace.sweep if str(row.variable) == "v7[i]")
    assert isinstance(residual.slope_formula.atoms(sp.Indexed).pop(), sp.Indexed)
    np.testing.assert_allclose(residual.slope, 2 / 3 * np.asarray(residual.value))


def test_an_index_keeps_its_letter():
    # Σ over i read back as a Σ over k
    text = CASES["a line"][0].trace(*CASES["a line"][1:]).text()
    assert "Σᵢ" in text and "Σⱼ" not in text and "Σₖ" not in text


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", ["Rosenbrock", "a line", "ridge", "a kink", "logsumexp far out"])
def test_traces_are_rendered_in_all_formats_and_languages(name, mode, tmp_path):
    loss, at, data = CASES[name]
    trace = loss.trace(at, data, mode=mode)
    for language, word in (("en", "value"), ("es", "valor")):
        assert word in trace.text(language=language)
        assert word in trace.latex(language=language)
    assert "$$" in trace._repr_latex_() and repr(trace) == trace.text()
    for suffix in (".tex", ".md", ".html", ".txt"):
        assert trace.save(tmp_path / f"trace{suffix}").stat().st_size > 100


def test_many_tangents_are_shortened_and_said_to_be():
    loss = sd.Loss(sp.Sum(W[j] ** 2, (j, 0, d - 1)), W)
    text = loss.trace(np.ones(20), mode="forward").text()
    assert "20" in text and "the first 4" in text
    assert "…" in text


# -- bad input --------------------------------------------------------------------------------------------------------


def test_what_cannot_be_traced_is_refused():
    loss = sd.Loss(sd.sigmoid(w * x + b), x)
    with pytest.raises(StatementError, match="'sideways' is not one of 'forward', 'reverse'"):
        loss.trace(3, {"w": 2, "b": 1}, mode="sideways")
    with pytest.raises(StatementError, match="'fr' is not one of"):
        loss.trace(3, {"w": 2, "b": 1}, language="fr")
    with pytest.raises(DataError, match="b has no value"):
        loss.trace(3, {"w": 2})
    with pytest.raises(DataError, match="x contains nan"):
        loss.trace(float("nan"), {"w": 2, "b": 1})
    with pytest.raises(DataError, match="v2 = log\\(v1\\) is not finite"):
        sd.Loss(sp.log(x), x).trace(-1)
    with pytest.raises(DataError, match="no finite derivative"):
        sd.Loss(sp.sqrt(x), x).trace(0)
    with pytest.raises(KinkError, match="has a kink at this point"):
        sd.Loss(sp.Abs(x), x, kinks="raise").trace(0)


def test_long_programs_are_refused_with_their_reason():
    # a page of a thousand lines, or a recursion error
    many = sp.symbols("p:90")
    with pytest.raises(UnsupportedError, match="more than 200 elementary operations"):
        sd.Loss(sp.Add(*(sp.sin(p) * sp.cos(p) ** 2 for p in many)), many).trace(dict.fromkeys(map(str, many), 1.0))
    deep = x
    for _ in range(900):
        deep = sp.sin(deep, evaluate=False)
    with pytest.raises(UnsupportedError, match="more than 200"):
        sd.Loss(deep, x).trace(1.0)
    with pytest.raises(UnsupportedError, match='use mode="reverse"'):
        sd.Loss(sp.Sum(W[j] ** 2, (j, 0, d - 1)), W).trace(np.ones(500), mode="forward")


def test_a_large_sample_is_traced_without_a_row_each():
    loss, at, _ = CASES["a line"]
    xs = np.linspace(0, 1, 100_000)
    trace = loss.trace(at, {"x": xs, "y": 2 * xs})
    assert len(trace.rows) == 10
    assert len(trace.text()) < 5000

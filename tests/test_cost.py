"""What derivatives cost, counted and not timed; and that neither length nor depth of a statement breaks anything."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent import losses
from symdescent.codegen import tape
from symdescent.codegen.descent_loop import descent_source
from symdescent.codegen.schedule import Loop, schedule
from symdescent.codegen.schedule import Statement as Line
from symdescent.graph import REDUCTIONS, RELATIONS, Node
from symdescent.statement import Statement

n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
w, b, x, y = sp.symbols("w b x y")
lam = sp.Symbol("lam", positive=True)
Base, Sum = sp.IndexedBase, sp.Sum
X, Y, W, S = Base("X", shape=(n, d)), Base("y", shape=(n,)), Base("w", shape=(d,)), Base("x", shape=(n,))
WW, C, U = Base("W", shape=(K, d)), Base("c", shape=(n,)), Base("u", shape=(m,))
V, B, M, P = Base("V", shape=(m, d)), Base("b", shape=(m,)), Base("M", shape=(n, m)), Base("P", shape=(n, d))
A, t, v = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("t", n, 1), sp.MatrixSymbol("v", d, 1)
F, T, G = sp.MatrixSymbol("F", d, K), sp.MatrixSymbol("T", n, K), sp.MatrixSymbol("G", K, K)
many = sp.symbols("a:50")


def score(row: Any) -> Any:
    return Sum(X[row, j] * W[j], (j, 0, d - 1))


def logit(row: Any, label: Any) -> Any:
    return Sum(WW[label, j] * X[row, j], (j, 0, d - 1))


def mean(term: Any) -> Any:
    return Sum(term, (i, 0, n - 1)) / n


def rosenbrock(length: int) -> tuple[Any, Sequence[sp.Symbol]]:
    """The chained Rosenbrock function, written out."""
    xs = sp.symbols(f"x:{length}")
    return sp.Add(*(100 * (xs[q + 1] - xs[q] ** 2) ** 2 + (1 - xs[q]) ** 2 for q in range(length - 1))), xs


CHAIN = Sum(100 * (S[i + 1] - S[i] ** 2) ** 2 + (1 - S[i]) ** 2, (i, 0, n - 2))
SOFTMAX = mean(sp.log(Sum(sp.exp(logit(i, k)), (k, 0, K - 1))) - logit(i, C[i]))
HIDDEN = Sum(U[k] * sp.tanh(Sum(V[k, j] * X[i, j], (j, 0, d - 1)) + B[k]), (k, 0, m - 1))

LOSSES: dict[str, tuple[Any, ...]] = {
    "one parameter": ((w - 3) ** 2, w),
    "Rosenbrock in two dimensions": ((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]),
    "exp(2y) sin x": (sp.exp(2 * y) * sp.sin(x), [x, y]),
    "a quotient": ((x**2 + y**2) / (1 + x * y), [x, y]),
    "a power": (x**y, [x, y]),
    "an angle": (sp.atan2(x, y), [x, y]),
    "a nest of functions": (sp.sin(sp.cos(sp.exp(sp.sin(x * y)))), [x, y]),
    "a polynomial": (sp.Poly(list(range(1, 20)), x).as_expr(), x),
    "50 squares": (sp.Add(*(s**2 for s in many)), many),
    "the product of 8": (sp.Mul(*many[:8]), many[:8]),
    "the product of 50": (sp.Mul(*many), many),
    "the largest of 50 squares": (sp.Max(*(s**2 for s in many)), many),
    "logsumexp of 50": (sp.log(sp.Add(*map(sp.exp, many))), many),
    "least squares": (mean((Y[i] - score(i)) ** 2), W),
    "ridge": (mean((Y[i] - score(i)) ** 2) + lam * Sum(W[j] ** 2, (j, 0, d - 1)), W),
    "logistic regression": (mean(sp.log(1 + sp.exp(-Y[i] * (score(i) + b)))), [W, b]),
    "hinge": (mean(sp.Max(0, 1 - Y[i] * score(i))), W),
    "huber": (mean(losses.huber(Y[i], score(i))), W),
    "softmax regression": (SOFTMAX, WW),
    "chained Rosenbrock": (CHAIN, S),
    "a hidden layer": (mean((Y[i] - HIDDEN) ** 2), [V, U, B]),
    "factors of a matrix": (
        Sum((M[i, k] - Sum(P[i, j] * V[k, j], (j, 0, d - 1))) ** 2, (i, 0, n - 1), (k, 0, m - 1)),
        [P, V],
    ),
    "embedding": (mean((Y[i] - Sum(WW[C[i], j] * X[i, j], (j, 0, d - 1))) ** 2), WW),
    "bells": (mean(sp.exp(-Sum((X[i, j] - W[j]) ** 2, (j, 0, d - 1)) / 2)), W),
    "a triangle of pairs": (Sum(Sum(S[i] * S[j], (j, 0, i)), (i, 0, n - 1)), S),
    "products in a sum": (Sum(sp.Product(1 + X[i, j] * W[j], (j, 0, d - 1)), (i, 0, n - 1)), W),
    "norm": (sp.sqrt(Sum(W[j] ** 2, (j, 0, d - 1))), W),
    "matrix least squares": ((A * v - t).T * (A * v - t) / n, v),
    "trace": (sp.Trace((A * F - T).T * (A * F - T)) + lam * sp.Trace(F.T * F), F),
    "chain of matrices": (sp.Trace((A * F * G - T).T * (A * F * G - T)), F),
}

# -- counting ---------------------------------------------------------------------------------------------------------

EXTENT = 50  # what every symbolic length stands for
FUNCTION = 10  # an elementary function, in additions and multiplications


def length(node: Node) -> float:
    """The number of passes of a loop; where it depends on an outer index, that of the middle pass."""
    if node.op == "const":
        return float(node.payload)
    if node.op == "symbol":
        return EXTENT
    if node.op == "index":
        return (length(node.payload.extent) - 1) / 2
    parts = [length(argument) for argument in node.args]
    if node.op in ("add", "mul"):
        return float(sum(parts) if node.op == "add" else np.prod(parts))
    raise AssertionError(f"a loop of length {node}")


def cost(node: Node) -> int:
    """The operations of a node itself; a selection is part of its comparison, a change of sign is free."""
    if node.op in ("const", "symbol", "index", "load", "not", "select") or node.op in REDUCTIONS:
        return 0
    if node.op == "mul":
        return len(node.args) - 1 - (node.args[0].number == -1)
    if node.op in ("add", "all", "any") or (node.op == "call" and node.payload in ("max", "min")):
        return len(node.args) - 1
    if node.op in RELATIONS:
        return 1
    exponent = node.args[1].number if node.op == "power" else None
    if isinstance(exponent, int):
        return max(1, abs(exponent).bit_length() + abs(exponent).bit_count() - 2 + (exponent < 0))
    return 1 if node.op == "call" and node.payload in ("Abs", "sign", "Heaviside", "relu") else FUNCTION


def operations(statement: Statement, gradient: bool) -> float:
    """The operations of the scheduled loops for the value, or for value and gradient."""
    plan = schedule(statement.graph, [statement.root], statement.scatters() if gradient else [])

    @cache
    def inline(node: Node) -> float:
        """What is written inside the expression of a node, at every place where it is written."""
        return 0 if node.op == "load" else sum(cost(a) + inline(a) for a in node.args if a in plan.inline)

    def line(part: Line) -> float:
        if part.kind == "let":
            return cost(part.node) + inline(part.node)
        if part.kind == "accumulate":
            return 1 + inline(part.node)
        return 1 + (cost(part.node) + inline(part.node) if part.node in plan.inline else 0)

    def walk(body: Sequence[Line | Loop]) -> float:
        return sum(length(p.index.extent) * walk(p.body) if isinstance(p, Loop) else line(p) for p in body)

    return walk(plan.body)


def rows(statement: Statement, gradient: bool) -> int:
    """The operations of a written-out loss that is carried out from a table."""
    contributions = [scatter.contribution for scatter in statement.scatters()] if gradient else []
    return len(tape.record(statement.graph, [statement.root, *contributions]).code)


def test_the_counter_counts():
    # a counter that says 0 lets everything pass: these are counted by hand
    def count(*stated: Any, gradient: bool = False) -> float:
        return operations(sd.Loss(*stated).statement, gradient)

    assert count((w - 3) ** 2, w) == 2
    assert count((w - 3) ** 2, w, gradient=True) == 2 + 1 + 1  # 2*t, g += ...
    assert count(Sum(S[i] ** 2, (i, 0, n - 1)), S) == 50 * 2
    assert count(Sum(S[i] ** 2, (i, 0, n - 1)), S, gradient=True) == 50 * (2 + 2)
    assert count(Sum(Sum(S[i] * S[j], (j, 0, i)), (i, 0, n - 1)), S) == pytest.approx(50 * (25.5 + 2), rel=0.05)
    assert count(sp.exp(w) + sp.log(w), w) == 21


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_costs_at_most_five_times_the_loss(name):
    # a partial derivative that repeats the work of the others: quadratic in the number of factors, or in the nesting
    statement = sd.Loss(*LOSSES[name]).statement
    value, both = operations(statement, False), operations(statement, True)
    assert value > 0
    assert both > value
    assert both <= 5 * value, f"{both:.0f} operations for value and gradient, {value:.0f} for the value"


@pytest.mark.parametrize("make", [sp.Mul, sp.Max, sp.Min, lambda *args: sp.log(sp.Add(*map(sp.exp, args)))],
                         ids=["product", "largest", "smallest", "logsumexp"])  # fmt: skip
def test_the_cost_is_linear_in_the_number_of_arguments(make):
    # all pairs of arguments compared, or log n products for each of n factors
    def both(count: int) -> float:
        symbols = sp.symbols(f"a:{count}")
        return operations(sd.Loss(make(*symbols), symbols).statement, True)

    assert both(40) <= 2.2 * both(20)


def test_long_losses_cost_the_same_in_a_table():
    # the table is made by another room than the loops
    for size in (10, 100, 1000):
        statement = sd.Loss(*rosenbrock(size)).statement
        assert rows(statement, True) <= 2 * rows(statement, False)


# -- size -------------------------------------------------------------------------------------------------------------


def test_deriving_is_linear_in_the_length_of_the_statement():
    # one sweep for each parameter: n times the nodes (SymPy's diff: quadratic)
    sizes = {}
    for size in (500, 2000):
        loss = sd.Loss(*rosenbrock(size))
        stated = loss.statement.graph.size
        assert len(loss.statement.scatters()) == size
        sizes[size] = stated, loss.statement.graph.size
    for before, after in zip(sizes[500], sizes[2000], strict=True):
        assert after <= 4.1 * before
    assert sizes[2000][1] <= 20 * 2000


def test_an_indexed_loss_does_not_know_its_length():
    # a sum that is written out when its length is a number
    sources, graphs = [], []
    for size in (10, 10**7):
        xs = Base("x", shape=(size,))
        loss = sd.Loss(Sum(100 * (xs[i + 1] - xs[i] ** 2) ** 2 + (1 - xs[i]) ** 2, (i, 0, size - 2)), xs)
        sources.append(loss.compile().source.replace(str(size - 1), "…").replace(str(size - 2), "…"))
        graphs.append(loss.statement.graph.size)
    assert graphs[0] == graphs[1] < 60
    assert sources[0] == sources[1]
    general = sd.Loss(CHAIN, S)
    assert len(general.compile().source.splitlines()) < 45


@pytest.mark.parametrize("wide", [sp.Add, sp.Mul], ids=["sum", "product"])
def test_a_node_with_very_many_arguments_is_long(wide):
    # one node with 1000 arguments counted as one operation: printed as code, which Numba compiles for minutes
    symbols = sp.symbols("a:1000")
    assert tape.is_long(sd.Loss(sp.sin(wide(*symbols)), symbols).statement.root)


def test_hundreds_of_arguments_fit_into_generated_code():
    # maximum(maximum(maximum(...: Python's parser takes 200 brackets, and a loss of 400 operations was printed
    symbols = sp.symbols("a:250")
    point = {symbol: q / 10 for q, symbol in enumerate(symbols)}
    inside = Sum(sp.Max(*(S[i] * symbol for symbol in symbols), evaluate=False), (i, 0, n - 1))
    compile(sd.Loss(inside, symbols[0]).compile().source, "a loss with a loop", "exec")
    largest, gradient = sd.Loss(sp.Max(*symbols, evaluate=False), symbols).compile().value_and_gradient(point)
    assert (largest, gradient[symbols[-1]], sum(gradient.values())) == (24.9, 1.0, 1.0)
    smooth = sd.Loss(sp.log(sp.Add(*map(sp.exp, symbols))), symbols)
    value, gradient = smooth.compile().value_and_gradient(point)
    assert value == pytest.approx(np.logaddexp.reduce(list(point.values())), rel=1e-14)
    assert sum(gradient.values()) == pytest.approx(1.0, rel=1e-13)


DEPTH, TERMS = 5000, 20_000
POINT = {"w": 0.3, "x": 0.7}


@pytest.fixture(scope="module")
def deep() -> sd.Loss:
    expression = w
    for _ in range(DEPTH):
        expression = sp.sin(expression) + x / 2
    return sd.Loss(expression, [w, x])


def deep_by_hand() -> tuple[float, float, float]:
    value, dw, dx = POINT["w"], 1.0, 0.0
    for _ in range(DEPTH):
        value, slope = np.sin(value) + POINT["x"] / 2, np.cos(value)
        dw, dx = slope * dw, slope * dx + 0.5
    return float(value), float(dw), float(dx)


def test_nesting_deeper_than_the_recursion_limit_is_compiled_and_evaluated(deep):
    # RecursionError in lowering, in the sweep, in the scheduler or in the printer
    assert sys.getrecursionlimit() < DEPTH
    value, dw, dx = deep_by_hand()
    found, gradient = deep.compile().value_and_gradient(POINT)
    assert found == pytest.approx(value, rel=1e-13)
    assert gradient[w] == pytest.approx(dw, rel=1e-10, abs=1e-300)
    assert gradient[x] == pytest.approx(dx, rel=1e-12)
    assert deep.descend(POINT, optimizer=sd.GradientDescent(0.01), steps=2, gtol=0).nit == 2


def test_nesting_deeper_than_the_recursion_limit_is_read_back(deep):
    # a product of 5000 factors, sorted by SymPy with a recursive comparison
    _, dw, dx = deep_by_hand()
    assert set(deep.gradient) == {w, x}
    from symdescent.check.evaluate import evaluate

    values = {w: POINT["w"], x: POINT["x"]}
    assert float(evaluate(deep.gradient[w], values)) == pytest.approx(dw, rel=1e-10, abs=1e-300)
    assert float(evaluate(deep.gradient[x], values)) == pytest.approx(dx, rel=1e-12)


def test_a_loss_of_any_depth_can_be_shown(deep):
    # the interactive prompt prints what it is given: RecursionError from SymPy's printer
    assert len(repr(deep)) > 10


def test_deep_losses_as_numpy_functions(deep):
    # one nested expression that Python's parser refuses
    value, _, dx = deep_by_hand()
    f, gradient = deep.lambdify()
    assert float(f(POINT["w"], POINT["x"])) == pytest.approx(value, rel=1e-13)
    assert float(gradient(POINT["w"], POINT["x"])[1]) == pytest.approx(dx, rel=1e-12)


def test_twenty_thousand_terms():
    # a recursion over the terms, or work for each pair of them
    terms = (sp.Mul(q % 7 + 1, sp.Pow(x, q), sp.Pow(w, q % 5), evaluate=False) for q in range(1, TERMS + 1))
    loss = sd.Loss(sp.Add(*terms, evaluate=False), [w, x])
    point = {w: 1.01, x: 0.999}
    q = np.arange(1, TERMS + 1)
    powers, scales, exponents = 0.999**q, q % 7 + 1, q % 5
    value = np.sum(scales * powers * 1.01**exponents)
    dw = np.sum(scales * powers * exponents * 1.01 ** (exponents - 1.0))
    dx = np.sum(scales * q * 0.999 ** (q - 1.0) * 1.01**exponents)
    found, gradient = loss.compile().value_and_gradient(point)
    np.testing.assert_allclose([found, gradient[w], gradient[x]], [value, dw, dx], rtol=1e-11)
    from symdescent.check.evaluate import evaluate

    read = [float(evaluate(loss.gradient[each], point)) for each in (w, x)]
    np.testing.assert_allclose(read, [dw, dx], rtol=1e-11)


def test_two_thousand_parameters():
    # a search through all parameters for each of them: minutes at 20 000
    expression, xs = rosenbrock(2000)
    loss = sd.Loss(expression, xs)
    point = 0.5 + 0.3 * np.sin(np.arange(2000))
    found, gradient = loss.compile().value_and_gradient(dict(zip(xs, point, strict=True)))
    bend = point[1:] - point[:-1] ** 2
    expected = np.zeros(2000)
    expected[1:] += 200 * bend
    expected[:-1] -= 400 * point[:-1] * bend + 2 * (1 - point[:-1])
    assert found == pytest.approx(np.sum(100 * bend**2 + (1 - point[:-1]) ** 2), rel=1e-12)
    np.testing.assert_allclose([gradient[each] for each in xs], expected, rtol=1e-10, atol=1e-10)


# -- source, as a person reads it -------------------------------------------------------------------------------------

GOLDEN = Path(__file__).parent / "golden"
HEAD = "# ruff: noqa\n# fmt: off\n"  # what follows is as it was generated
SOURCES = {
    "logistic_regression": lambda: sd.Loss(*LOSSES["logistic regression"]).compile().source,
    "rosenbrock": lambda: sd.Loss(*LOSSES["Rosenbrock in two dimensions"]).compile().source,
    "softmax_regression": lambda: sd.Loss(*LOSSES["softmax regression"]).compile().source,
    "chained_rosenbrock": lambda: sd.Loss(*LOSSES["chained Rosenbrock"]).compile().source,
    "rosenbrock_descent": lambda: (
        descent_source(sd.Loss(*LOSSES["Rosenbrock in two dimensions"]).statement, sd.Momentum(0.001)).source
    ),
}


@pytest.mark.parametrize("name", SOURCES)
def test_generated_source_is_what_it_was(name):
    # a change of the generated code that nobody looked at; SYMDESCENT_UPDATE_GOLDEN=1 writes what is to be looked at
    path = GOLDEN / f"source_{name}.py"
    source = HEAD + SOURCES[name]()
    if os.environ.get("SYMDESCENT_UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == source


@pytest.mark.parametrize("name", SOURCES)
def test_generated_source_reads_like_written_code(name):
    # tabs, trailing blanks, lines that nobody can read, names that say nothing
    source = SOURCES[name]()
    assert source.isascii()
    assert source.endswith("\n") and not source.endswith("\n\n")
    for line in source.splitlines():
        assert line == line.rstrip() and "\t" not in line
        assert len(line) <= 120 or line.startswith("Loss: "), line
    compile(source, name, "exec")

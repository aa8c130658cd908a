"""Critical points: against points known from textbooks and papers, numerical optimisation, and normal equations."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import root

import symdescent as sd
from symdescent.errors import StatementError
from symdescent.study.convexity import shape
from symdescent.study.critical import CriticalPoints
from symdescent.study.definite import definiteness, is_nonnegative, sign_of
from symdescent.study.enclosure import enclosure
from symdescent.study.limits import within
from symdescent.study.solving import solve_real

w, x, y, z, a, b, c = sp.symbols("w x y z a b c")
lam, p, sigma = sp.symbols("lam p sigma", positive=True)
n, d, m = sp.symbols("n d m", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
R = sp.Rational


def summary(found: CriticalPoints) -> list[tuple[Any, ...]]:
    """The points as numbers, with what they are."""
    rows = []
    for point in found:
        values = tuple(round(float(value), 5) + 0.0 for value in point.point.values())
        rows.append((*values, " ".join(part for part in (point.scope, point.kind) if part)))
    return rows


MIN, MAX = "global minimum", "global maximum"

# each with the points and kinds that a textbook, or the paper where the function comes from, gives
KNOWN: dict[str, tuple[Any, Any, list[tuple[Any, ...]]]] = {
    "parabola": ((w - 3) ** 2, w, [(3, MIN)]),
    "parabola with decimals": (0.5 * x**2 - 0.1 * x, x, [(0.1, MIN)]),
    "double well": (x**4 - 2 * x**2, x, [(-1, MIN), (0, "local maximum"), (1, MIN)]),
    "cubic": (x**3 - 3 * x, x, [(-1, "local maximum"), (1, "local minimum")]),
    "inflection": (x**3, x, [(0, "saddle")]),
    "flat minimum": (x**4, x, [(0, MIN)]),
    "flat minimum among others": (x**6 * (x - 1) ** 2, x, [(0, MIN), (0.75, "local maximum"), (1, MIN)]),
    "quintic": (x**5 - 5 * x + 1, x, [(-1, "local maximum"), (1, "local minimum")]),
    "x exp(-x)": (x * sp.exp(-x), x, [(1, MAX)]),
    "x log x": (p * sp.log(p), p, [(np.exp(-1), MIN)]),
    "x to the x": (p**p, p, [(np.exp(-1), MIN)]),
    "barrier": (p - sp.log(p), p, [(1, MIN)]),
    "bell": (sp.exp(-(x**2)), x, [(0, MAX)]),
    "rational": (x / (1 + x**2), x, [(-1, MIN), (1, MAX)]),
    "softplus": (sd.softplus(x) - x / 3, x, [(-np.log(2), MIN)]),
    "pseudo-Huber": (sp.sqrt(1 + (x - 2) ** 2), x, [(2, MIN)]),
    "x squared and a sine": (x**2 + 10 * sp.sin(x), x, [(-1.30644, MIN), (1.97738, "local maximum"), (3.83747, "local minimum")]),
    "no point": (sp.exp(x), x, []),
    "no point in two": (sp.exp(2 * y) * sp.sin(x), [x, y], []),
    "a bowl": (4 + (x - 2) ** 2 + 2 * y**2, [x, y], [(2, 0, MIN)]),
    "a dome": (-(x**2) - y**2, [x, y], [(0, 0, MAX)]),
    "a saddle": (x**2 - y**2, [x, y], [(0, 0, "saddle")]),
    "Rosenbrock 1960": ((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y], [(1, 1, MIN)]),
    "Booth": ((x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2, [x, y], [(1, 3, MIN)]),
    "Matyas": (R(26, 100) * (x**2 + y**2) - R(48, 100) * x * y, [x, y], [(0, 0, MIN)]),
    "Beale": ((R(3, 2) - x + x * y) ** 2 + (R(9, 4) - x + x * y**2) ** 2 + (R(21, 8) - x + x * y**3) ** 2, [x, y],
              [(0, 1, "saddle"), (0.10054, -2.64451, "saddle"), (3, 0.5, MIN)]),
    "Himmelblau 1972": ((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, [x, y], [
        (-3.77931, -3.28319, MIN), (-3.07303, -0.08135, "saddle"), (-2.80512, 3.13131, MIN),
        (-0.27084, -0.92304, "local maximum"), (-0.12796, -1.95371, "saddle"), (0.08668, 2.88425, "saddle"),
        (3, 2, MIN), (3.38515, 0.07385, "saddle"), (3.58443, -1.84813, MIN)]),
    "three-hump camel": (2 * x**2 - R(105, 100) * x**4 + x**6 / 6 + x * y + y**2, [x, y], [
        (-1.74755, 0.87378, "local minimum"), (-1.07054, 0.53527, "saddle"), (0, 0, MIN),
        (1.07054, -0.53527, "saddle"), (1.74755, -0.87378, "local minimum")]),
    "quartic in two": (x**4 + y**4 - 4 * x * y, [x, y], [(-1, -1, MIN), (0, 0, "saddle"), (1, 1, MIN)]),
    "folium": (x**3 + y**3 - 3 * x * y, [x, y], [(0, 0, "saddle"), (1, 1, "local minimum")]),
    "monkey saddle": (x**3 - 3 * x * y**2, [x, y], [(0, 0, "saddle")]),
    "Peano's surface": ((y - x**2) * (y - 2 * x**2), [x, y], [(0, 0, "saddle")]),
    "flat in one direction": (x**2 + y**4, [x, y], [(0, 0, MIN)]),
    "flat in all": (x**4 - y**4, [x, y], [(0, 0, "saddle")]),
    "a decaying hill and dale": (x * sp.exp(-(x**2) - y**2), [x, y], [(-0.70711, 0, MIN), (0.70711, 0, MAX)]),
    "three parameters": (x**2 + y**2 + z**2 - x * y + z, [x, y, z], [(0, 0, -0.5, MIN)]),
    # kinks
    "absolute value": (sp.Abs(x), x, [(0, MIN)]),
    "soft threshold, moved": ((x - 3) ** 2 + 2 * sp.Abs(x), x, [(2, MIN)]),
    "soft threshold, at zero": ((x - 3) ** 2 + 10 * sp.Abs(x), x, [(0, MIN)]),
    "a kink and two dips": (x**2 - sp.Abs(x), x, [(-0.5, MIN), (0, "local maximum"), (0.5, MIN)]),
    "a folded parabola": (sp.Abs(x**2 - 1), x, [(-1, MIN), (0, "local maximum"), (1, MIN)]),
    "the larger of two": (sp.Max(x**2, x + 2), x, [(-1, MIN)]),
    "the smaller of two": (sp.Min(x**2, (x - 2) ** 2), x, [(0, MIN), (1, "local maximum"), (2, MIN)]),
    "Huber": (sp.Piecewise((x**2 / 2, sp.Abs(x) <= 1), (sp.Abs(x) - R(1, 2), True)), x, [(0, MIN)]),
    "a kink that is none": (2 * x + sp.Abs(x), x, []),
    "x |x|": (x * sp.Abs(x), x, [(0, "saddle")]),
    "lasso in two": ((x - 1) ** 2 + (y - R(1, 4)) ** 2 + sp.Abs(x) + sp.Abs(y), [x, y], [(0.5, 0, MIN)]),
    "a kink across a valley": (sp.Abs(x) - y**2, [x, y], [(0, 0, "saddle")]),
    "ramp of a difference": (x**2 + y**2 + sp.Max(x, y), [x, y], [(-0.25, -0.25, MIN)]),
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
def test_known_critical_points(name):
    # a point lost in a branch of the elimination, a kind read off the wrong sign, a minimum called global too early
    expression, parameters, expected = KNOWN[name]
    found = sd.Loss(expression, parameters).critical_points()
    assert found.complete
    got = summary(found)
    assert len(got) == len(expected), got
    for ours, theirs in zip(got, sorted(expected, key=lambda row: row[:-1]), strict=True):
        np.testing.assert_allclose(ours[:-1], theirs[:-1], atol=1.1e-5)
        assert ours[-1] == theirs[-1], (ours, theirs)


def test_values_are_exact_where_they_can_be():
    # decimals of 1/10, or roots of polynomials as decimals
    assert sd.Loss(0.5 * x**2 - 0.1 * x, x).critical_points()[0].point[x] == R(1, 10)
    assert sd.Loss(x**4 - x**2, x).critical_points()[2].point[x] == sp.sqrt(2) / 2
    assert sd.Loss(p**p, p).critical_points()[0].value == sp.exp(-sp.exp(-1))
    himmelblau = sd.Loss((x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2, [x, y]).critical_points()
    assert {x: 3, y: 2} in [dict(point.point) for point in himmelblau]
    assert all(isinstance(point.point[x], (sp.Integer, sp.CRootOf)) for point in himmelblau)
    assert [point.value for point in himmelblau if point.kind == "minimum"] == [0, 0, 0, 0]


def test_the_six_hump_camel_has_its_published_minimum():
    # Dixon & Szegö 1978: -1.0316284 at (0.0898, -0.7126) and (-0.0898, 0.7126); 15 critical points
    camel = (4 - R(21, 10) * x**2 + x**4 / 3) * x**2 + x * y + (-4 + 4 * y**2) * y**2
    found = sd.Loss(camel, [x, y]).critical_points()
    assert found.complete and len(found) == 15
    best = [point for point in found if point.scope == "global"]
    assert [round(float(point.value), 7) for point in best] == [-1.0316285, -1.0316285]
    np.testing.assert_allclose(sorted(float(point.point[x]) for point in best), [-0.08984201, 0.08984201], atol=1e-8)
    kinds = [point.kind for point in found]
    assert (kinds.count("minimum"), kinds.count("maximum"), kinds.count("saddle")) == (6, 2, 7)


# -- constants, families, continua ------------------------------------------------------------------------------------


def test_constants_stay_symbols():
    (point,) = sd.Loss((w - a) ** 2 + (w - b) ** 2, w).critical_points()
    assert sp.expand(point.point[w] - (a + b) / 2) == 0 and point.scope == "global"
    assert sp.expand(point.value - (a - b) ** 2 / 2) == 0
    (point,) = sd.Loss(a * x**2 + b * x, x).critical_points()
    assert point.point[x] == -b / (2 * a) and point.kind == "undecided"
    assert "minimum where it is positive" in point.reason
    (point,) = sd.Loss(lam * x**2 + b * x, x).critical_points()
    assert point.kind == "minimum" and point.scope == "global"


def test_roots_of_constants_come_with_their_condition():
    found = sd.Loss((x**2 - a) ** 2, x).critical_points()
    by_place = {point.point[x]: point for point in found}
    assert set(by_place) == {0, -sp.sqrt(a), sp.sqrt(a)}
    assert by_place[0].kind == "undecided"
    for place in (sp.sqrt(a), -sp.sqrt(a)):
        assert by_place[place].kind == "minimum" and by_place[place].conditions == (sp.Ge(a, 0),)
    assert "provided that a ≥ 0" in found.text()


def test_soft_thresholding_with_a_symbolic_threshold():
    found = sd.Loss((w - 3) ** 2 + lam * sp.Abs(w), w).critical_points()
    assert {sp.expand(point.point[w]) for point in found} == {0, 3 - lam / 2}
    assert all(point.scope == "global" and point.conditions for point in found)
    for value in (1, 2, 5, 7, 20):
        holding = [point for point in found if all(c.subs(lam, value) == sp.true for c in point.conditions)]
        assert len(holding) == 1
        assert float(holding[0].point[w].subs(lam, value)) == max(0.0, 3 - value / 2)


def test_periodic_losses_have_families():
    found = sd.Loss(sp.sin(x), x).critical_points()
    assert found.complete and [point.kind for point in found] == ["maximum", "minimum"]
    for point in found:
        (number,) = point.integers
        for k in (-2, 0, 3):
            place = float(point.point[x].subs(number, k))
            assert np.sin(place) == pytest.approx(1 if point.kind == "maximum" else -1)
        assert point.scope == "global"
    assert "for every whole number k" in found.text()
    checks = sd.Loss(sp.sin(x) * sp.sin(y), [x, y]).critical_points()
    assert sorted(point.kind for point in checks) == ["maximum"] * 2 + ["minimum"] * 2 + ["saddle"] * 4
    roots = sd.Loss(sp.cos(x**2), x).critical_points()
    assert len(roots) == 5 and all(point.conditions for point in roots if point.integers)


def test_lines_of_critical_points():
    (point,) = sd.Loss((x + y) ** 2, [x, y]).critical_points()
    assert dict(point.point) == {x: -y} and point.free == (y,) and point.scope == "global"
    kinds = [point.kind for point in sd.Loss((x * y) ** 2, [x, y]).critical_points()]
    assert kinds == ["minimum", "minimum"]
    ring = sd.Loss((x**2 + y**2 - 1) ** 2, [x, y]).critical_points()
    assert [(point.kind, len(point.free)) for point in ring] == [("maximum", 0), ("minimum", 1), ("minimum", 1)]


def test_intervals_on_which_the_loss_is_flat():
    (point,) = sd.Loss(sp.Abs(x) + sp.Abs(x - 1), x).critical_points()
    assert set(point.conditions) == {sp.Ge(x, 0), sp.Le(x, 1)} and point.value == 1 and point.scope == "global"
    (point,) = sd.Loss(sp.Max(0, 1 - x), x).critical_points()
    assert point.conditions == (sp.Ge(x, 1),)


# -- honest about what is not known -----------------------------------------------------------------------------------


def test_what_cannot_be_solved_is_said_to_be_so():
    xs, ys = sp.symbols("xs ys")
    logistic = sd.Loss(sp.log(1 + sp.exp(-ys * w * xs)), w, samples=[xs, ys]).critical_points()
    assert len(logistic) == 0 and not logistic.complete
    assert "no closed form" in logistic.text() and "convex" in logistic.text()
    wave = sd.Loss(x * sp.sin(x), x).critical_points()
    assert not wave.complete and "need not be all" in wave.text() and "Decimal values" in wave.text()
    quintic = sd.Loss(x**6 / 6 - a * x**2 + x, x).critical_points()
    assert not quintic.complete


def test_a_single_decimal_point_is_complete_where_the_loss_is_strictly_convex():
    found = sd.Loss(sp.exp(x) + x**2, x).critical_points()
    assert found.complete and len(found) == 1 and found[0].scope == "global"


def test_a_local_minimum_is_not_called_global():
    # the lowest critical value, where the loss falls below it further out
    (_, low) = sd.Loss(x**3 - 3 * x, x).critical_points()
    assert low.scope == "local" and "falls below it" in low.reason
    folium = sd.Loss(x**3 + y**3 - 3 * x * y, [x, y]).critical_points()
    assert folium[1].scope == "local"


def test_hard_losses_end_in_time():
    # a solver that never returns
    begun = time.monotonic()
    hard = sp.exp(sp.sin(x * y)) * sp.cos(x + y**2) + sp.tanh(x * y) ** 2
    found = sd.Loss(hard, [x, y]).critical_points()
    assert not found.complete
    assert time.monotonic() - begun < 60
    assert within(0.1, lambda: [None for _ in iter(int, 1)]) is None


def test_bad_options_are_refused():
    with pytest.raises(StatementError, match="language='fr'"):
        sd.Loss(x**2, x).critical_points(language="fr")


# -- sums and matrices ------------------------------------------------------------------------------------------------


def at(value: Any, data: dict[str, Any]) -> float:
    """A formula of sums over samples, on data."""
    count = len(next(iter(data.values())))
    expression = sp.sympify(value)
    for symbol in expression.free_symbols:
        if symbol.name == "n":
            expression = expression.subs(symbol, count)
    expression = expression.doit()
    entries = {part: sp.Float(data[str(part.base)][int(part.indices[0])], 30) for part in expression.atoms(sp.Indexed)}
    return float(expression.xreplace(entries))


RANDOM = np.random.default_rng(3)
DATA = {"x": RANDOM.normal(size=6), "y": RANDOM.normal(size=6)}


def test_the_line_of_least_squares():
    # the textbook's w = (n Σxy - Σx Σy)/(n Σx² - (Σx)²), against numpy's polyfit
    (point,) = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]).critical_points()
    slope, intercept = np.polyfit(DATA["x"], DATA["y"], 1)
    assert at(point.point[w], DATA) == pytest.approx(slope)
    assert at(point.point[b], DATA) == pytest.approx(intercept)
    residual = DATA["y"] - slope * DATA["x"] - intercept
    assert at(point.value, DATA) == pytest.approx(np.mean(residual**2))
    assert (point.kind, point.scope) == ("minimum", "global")


def test_a_parabola_of_least_squares():
    (point,) = sd.Loss((y - (a * x**2 + b * x + c)) ** 2, [a, b, c], samples=[x, y]).critical_points()
    np.testing.assert_allclose([at(point.point[q], DATA) for q in (a, b, c)], np.polyfit(DATA["x"], DATA["y"], 2))


def test_maximum_likelihood_in_closed_form():
    mean = np.mean(DATA["y"])
    (point,) = sd.Loss((y - w) ** 2, w, samples=[y]).critical_points()
    assert at(point.point[w], DATA) == pytest.approx(mean)
    counts = {"y": np.array([1.0, 0, 3, 2])}
    (point,) = sd.Loss(sp.exp(w) - y * w, w, samples=[y]).critical_points()
    assert at(point.point[w], counts) == pytest.approx(np.log(1.5))
    tosses = {"y": np.array([1.0, 0, 1, 1])}
    (point,) = sd.Loss(-y * sp.log(p) - (1 - y) * sp.log(1 - p), p, samples=[y]).critical_points()
    assert at(point.point[p], tosses) == pytest.approx(0.75)
    (point,) = sd.Loss(sp.log(sigma) + (y - w) ** 2 / (2 * sigma**2), [w, sigma], samples=[y]).critical_points()
    assert at(point.point[w], DATA) == pytest.approx(mean)
    assert at(point.point[sigma], DATA) == pytest.approx(np.std(DATA["y"]))


X, V, T = sp.MatrixSymbol("X", n, d), sp.MatrixSymbol("w", d, 1), sp.MatrixSymbol("y", n, 1)
B, H, Q = sp.MatrixSymbol("B", d, m), sp.MatrixSymbol("H", n, m), sp.MatrixSymbol("Q", d, d)
I_D = sp.Identity(d)


def test_normal_equations_of_least_squares():
    found = sd.Loss((X * V - T).T * (X * V - T) / n, V).critical_points()
    (point,) = found
    assert point.point[V] == (X.T * X).inverse() * X.T * T
    assert (point.kind, point.scope) == ("minimum", "global") and "full column rank" in point.reason
    assert found.normal is not None and found.normal.matrix == X.T * X and found.normal.level == X.T * T
    assert "Xᵀ X w = Xᵀ y" in found.text()


def test_normal_equations_of_ridge_regression():
    (point,) = sd.Loss((X * V - T).T * (X * V - T) / n + lam * V.T * V, V).critical_points()
    assert sp.simplify(point.point[V] - (X.T * X + lam * n * I_D).inverse() * X.T * T) == sp.ZeroMatrix(d, 1)
    assert (point.kind, point.scope) == ("minimum", "global")
    (point,) = sd.Loss((X * V - T).T * (X * V - T) / n + a * V.T * V, V).critical_points()
    assert point.kind == "undecided" and "a > 0" in point.reason


def test_normal_equations_are_found_in_other_statements_too():
    ws, xs, ys = sp.IndexedBase("w", shape=(d,)), sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,))
    squares = sp.Sum((ys[i] - sp.Sum(xs[i, j] * ws[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n
    (point,) = sd.Loss(squares, ws).critical_points()
    assert point.point[ws] == (X.T * X).inverse() * X.T * T
    (point,) = sd.Loss(sp.Trace((X * B - H).T * (X * B - H)), B).critical_points()
    assert point.point[B] == (X.T * X).inverse() * X.T * H
    (point,) = sd.Loss(V.T * Q * V / 2 - sp.MatrixSymbol("q", d, 1).T * V, V).critical_points()
    assert point.kind == "undecided" and "positive definite" in point.reason


def test_matrices_of_numbers_are_solved_entry_by_entry():
    u, matrix, side = sp.MatrixSymbol("u", 2, 1), sp.Matrix([[2, 1], [1, 3]]), sp.Matrix([1, 2])
    (point,) = sd.Loss(u.T * matrix * u / 2 - side.T * u, u).critical_points()
    np.testing.assert_allclose([float(v) for v in point.point.values()], np.linalg.solve([[2, 1], [1, 3]], [1, 2]))
    assert (point.kind, point.scope) == ("minimum", "global")
    entries = sp.IndexedBase("w", shape=(2,))
    (point,) = sd.Loss((1 - entries[0]) ** 2 + 100 * (entries[1] - entries[0] ** 2) ** 2, entries).critical_points()
    assert [str(key) for key in point.point] == ["w[0]", "w[1]"] and list(point.point.values()) == [1, 1]


def test_a_vector_loss_without_closed_form():
    margins = sp.Sum(sp.log(1 + sp.exp(-(T[i, 0]) * (X * V)[i, 0])), (i, 0, n - 1))
    found = sd.Loss(margins, V).critical_points()
    assert len(found) == 0 and not found.complete
    assert "not linear in w" in found.text() and "every critical point is a global minimum" in found.text()


# -- the pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "double well",
        "Rosenbrock 1960",
        "Himmelblau 1972",
        "soft threshold, at zero",
        "no point",
        "x squared and a sine",
        "monkey saddle",
    ],
)
def test_pages_show_the_equations_the_points_and_the_verdicts(name, tmp_path):
    expression, parameters, expected = KNOWN[name]
    found = sd.Loss(expression, parameters).critical_points()
    text = found.text()
    assert "= 0" in text
    assert (
        text.count("minimum: ") + text.count("maximum: ") + text.count("addle point") >= len(expected) > 0
        or "no critical point" in text
    )
    spanish = found.text(language="es")
    assert "ínimo" in spanish or "silla" in spanish or not expected
    for suffix in (".tex", ".md", ".html", ".txt"):
        assert found.save(tmp_path / f"points{suffix}").stat().st_size > 100
    assert "\\textbf{?}" not in found.latex()


def test_reasons_are_words():
    (point,) = sd.Loss((w - 3) ** 2, w).critical_points()
    assert point.reason.startswith("the second derivative, 2, is positive; the loss is convex")
    (point,) = sd.Loss((w - 3) ** 2, w).critical_points(language="es")
    assert point.reason.startswith("la segunda derivada, 2, es positiva")
    assert repr(point) == "CriticalPoint(w = 3: global minimum, L = 0)"
    assert point.eigenvalues == (2,) and point.hessian == sp.ImmutableMatrix([[2]])


# -- random losses ----------------------------------------------------------------------------------------------------

FUNCTIONS = [sp.exp, sp.sin, sp.cos, lambda u: sp.exp(-(u**2)), lambda u: sp.log(1 + u**2), sp.tanh, sd.softplus,
             lambda u: sp.sqrt(1 + u**2), lambda u: 1 / (1 + u**2), sp.Abs, lambda u: sp.Max(0, u)]  # fmt: skip


def draw(source: random.Random, symbols: list[sp.Symbol], depth: int) -> Any:
    kind = source.random()
    if depth == 0 or kind < 0.2:
        return source.choice(symbols) if source.random() < 0.7 else sp.Integer(source.randint(-3, 3))
    if kind < 0.45:
        return draw(source, symbols, depth - 1) + draw(source, symbols, depth - 1)
    if kind < 0.65:
        return draw(source, symbols, depth - 1) * draw(source, symbols, depth - 1)
    if kind < 0.8:
        return draw(source, symbols, depth - 1) ** source.choice([2, 2, 3, 4])
    return source.choice(FUNCTIONS)(draw(source, symbols, depth - 1))


def random_losses(count: int) -> list[Any]:
    found: list[Any] = []
    seed = 0
    while len(found) < count:
        seed += 1
        expression = draw(random.Random(seed), [x, y] if seed % 4 == 0 else [x], 3)
        if expression.free_symbols and not expression.has(sp.nan, sp.zoo) and expression.count_ops() > 2:
            found.append(expression)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("expression", random_losses(60), ids=str)
def test_random_losses(expression):
    # points where the gradient does not vanish, minima with smaller values nearby, "global" with smaller values anywhere
    parameters = sorted(expression.free_symbols, key=str)
    loss = sd.Loss(expression, parameters)
    found = loss.critical_points()
    function = sp.lambdify(parameters, expression, "numpy")
    source = np.random.default_rng(0)

    def values(points: Any) -> Any:
        with np.errstate(all="ignore"):
            numbers = np.array([float(function(*point)) for point in points])
        return numbers[np.isfinite(numbers)]

    places = []
    for point in found:
        if point.free or point.conditions:
            continue
        at = np.array([float(sp.N(v.subs(dict.fromkeys(point.integers, 1)))) for v in point.point.values()])
        places.append(at)
        level = float(function(*at))
        scale = 1e-9 * (1 + abs(level))
        near = values(at + 1e-3 * source.normal(size=(300, len(at)))) - level
        far = values(source.normal(size=(500, len(at))) * source.choice([1, 3, 10], size=(500, 1))) - level
        if point.kind == "minimum":
            assert near.min() >= -scale, point
            assert point.scope != "global" or far.min(initial=0) >= -1e-7 * (1 + abs(level)), point
        if point.kind == "maximum":
            assert near.max() <= scale, point
            assert point.scope != "global" or far.max(initial=0) <= 1e-7 * (1 + abs(level)), point
    if (
        found.complete
        and not any(point.free or point.integers for point in found)
        and not expression.has(sp.Abs, sp.Max)
    ):
        slopes = sp.lambdify(parameters, [loss.gradient[q] for q in parameters], "numpy")
        for start in 2 * source.normal(size=(20, len(parameters))):
            with np.errstate(all="ignore"):
                result = root(lambda at: np.asarray(slopes(*at), dtype=float), start)
            curved = np.abs(
                np.linalg.det(np.array(loss.hessian.subs(dict(zip(parameters, result.x, strict=True))), dtype=float))
            )
            if result.success and np.abs(result.fun).max() < 1e-12 and curved > 1e-6:
                assert any(np.allclose(result.x, place, atol=1e-4) for place in places), result.x


# -- what the verdicts rest on ----------------------------------------------------------------------------------------

real = sp.symbols("u v", real=True)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ((x - 3) ** 2 + sp.Abs(y), "convex"), (sp.log(1 + sp.exp(x - y)), "convex"), (sp.sqrt(x**2 + y**2 + 1), "convex"),
        (sd.logsumexp(x, 2 * y), "convex"), (sp.Max(x, -y, 3), "convex"), (-sp.log(p) + p**2, "convex"),
        (-sp.log(sd.sigmoid(x)), "convex"), (sp.log(sp.cosh(x)), "convex"), (2**x, "convex"), (1 / p, "convex"),
        (sp.log(p), "concave"), (sp.sqrt(p), "concave"), (-(x**2), "concave"), (sp.Min(x, y), "concave"), (2 * x - y, "affine"),
        (x**3, "unknown"), (sp.exp(-(x**2)), "unknown"), (x * y, "unknown"), (sp.sin(x), "unknown"), (a * x**2, "unknown"),
        (sp.log(sp.cosh(x**2)), "unknown"), (sp.sqrt(1 - x**2 + y**2), "unknown"), ((x**2 - 1) ** 2, "unknown"), (1 / x, "unknown"),
    ],
)  # fmt: skip
def test_convexity_by_composition(expression, kind):
    # a square of something of both signs, a decreasing function of a convex one
    parameters = [q for q in (x, y, p) if q in expression.free_symbols]
    assert shape(sd.Loss(expression, parameters).statement).kind == kind


def test_signs_and_definiteness():
    u, v = real
    assert sign_of(u**2 - 2 * u * v + v**2 + 1) == 1 and sign_of(-(u**2) - 1) == -1 and sign_of(u) is None
    assert sign_of(sp.oo) == 1 and sign_of(sp.sqrt(2) - sp.sqrt(2)) == 0
    assert is_nonnegative(u**4 - 2 * u**2 + 1) and not is_nonnegative(u**4 - 2 * u**2 + R(99, 100))
    assert definiteness(sp.Matrix([[2, -1], [-1, 2]])).verdict == "positive"
    assert definiteness(sp.Matrix([[1, 2], [2, 1]])).verdict == "indefinite"
    assert definiteness(sp.Matrix([[1, 1], [1, 1]])).verdict == "semipositive"
    assert definiteness(-sp.eye(3)).verdict == "negative" and definiteness(sp.zeros(2, 2)).verdict == "zero"
    assert definiteness(sp.Matrix([[u**2 + 1, 0], [0, 3]])).verdict == "positive"
    random_ = RANDOM.integers(-4, 5, size=(40, 3, 3))
    for matrix in random_ + random_.transpose(0, 2, 1):
        low, high = np.linalg.eigvalsh(matrix)[[0, -1]]
        verdict = definiteness(sp.Matrix(matrix.tolist())).verdict
        if abs(low) > 1e-9 and abs(high) > 1e-9:
            assert (
                verdict == ("positive" if low > 0 else "negative" if high < 0 else "indefinite")
                or verdict == "indefinite"
            )


def test_bounds_hold():
    # bounds that some value exceeds
    u, v = real
    for expression in (sp.sin(u) * sp.cos(v), 3 - sp.exp(-(u**2) - v**2), sp.tanh(u) ** 3 - sp.cos(v) ** 2, 1 / (2 + sp.sin(u)), sp.atan(u * v), u**2 * sp.exp(v) - 1):  # fmt: skip
        low, high = enclosure(expression)
        values = sp.lambdify(real, expression, "numpy")(*RANDOM.normal(size=(2, 2000)) * 3)
        assert float(low) <= values.min() + 1e-12 and values.max() <= float(high) + 1e-12


def test_systems_are_solved_over_the_reals():
    u, v = real
    assert solve_real([u**2 + 1], [u]).found == []
    circle = solve_real([u**2 + v**2 - 1, u - v], [u, v])
    assert circle.complete and [root.values[u] for root in circle.found] == [-sp.sqrt(2) / 2, sp.sqrt(2) / 2]
    assert not solve_real([u + sp.exp(sp.sin(u * v)) - v, v - sp.cos(u * v)], [u, v]).complete


def test_a_root_that_is_nearly_zero_is_not_said_to_be_zero():
    # the gradient at 0 is -90 exp(-450): small, and not 0; Newton's step from there is 900 exp(-450)
    points = sd.Loss(x**2 / 20 - 3 * sp.exp(-50 * (x - 3) ** 2) / 10, x).critical_points()
    assert points[0].approximate and points[0].point[x] != 0
    assert abs(points[0].point[x] / (900 * sp.exp(-450).evalf(30)) - 1) < 1e-6
    assert points[0].kind == "minimum"

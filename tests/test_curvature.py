"""Curvature: eigenvalues against numpy on Hessians formed otherwise, and steps against what descents really do."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.errors import DataError, StatementError, UnsupportedError
from symdescent.study.curvature import has_kink, is_quadratic

w, x, y, b, lam = sp.symbols("w x y b lam")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
W, X, Y = sp.IndexedBase("w", shape=(d,)), sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,))
SQUARES = sp.Sum((Y[i] - sp.Sum(X[i, j] * W[j], (j, 0, d - 1))) ** 2, (i, 0, n - 1)) / n
RANDOM = np.random.default_rng(5)
ROWS, SIDES = RANDOM.normal(size=(8, 3)), RANDOM.normal(size=8)
ROSENBROCK = sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y])


# -- the numbers ------------------------------------------------------------------------------------------------------


def test_the_hessian_is_that_of_paper():
    # rows and columns in another order than the parameters, or the gradient's outer product
    found = ROSENBROCK.curvature({"x": 1, "y": 1})
    np.testing.assert_allclose(found.hessian, [[802, -400], [-400, 200]], rtol=1e-14)
    np.testing.assert_allclose(found.eigenvalues, [501 - math.sqrt(250601), 501 + math.sqrt(250601)], rtol=1e-12)
    assert found.condition_number == pytest.approx(2508.0096, rel=1e-7)  # the textbook's 2508
    assert found.largest_step == pytest.approx(2 / (501 + math.sqrt(250601)))
    assert found.verdict == "positive definite" and not found.quadratic
    assert found.optimal_step is None and found.rate is None and found.momentum is None


def test_eigenvectors_belong_to_their_eigenvalues():
    found = ROSENBROCK.curvature({"x": 0.3, "y": -0.4})
    for value, vector in zip(found.eigenvalues, found.eigenvectors.T, strict=True):
        np.testing.assert_allclose(found.hessian @ vector, value * vector, atol=1e-10 * abs(found.eigenvalues).max())
        assert np.linalg.norm(vector) == pytest.approx(1)
        assert vector[np.argmax(abs(vector))] > 0


@pytest.mark.parametrize("regularised", [False, True])
def test_least_squares_has_the_curvature_of_its_gram_matrix(regularised):
    # the factor 2/n, or the regulariser's 2λ, forgotten
    loss = sd.Loss(SQUARES + (lam * sp.Sum(W[j] ** 2, (j, 0, d - 1)) if regularised else 0), W)
    data = {"X": ROWS, "y": SIDES} | ({"lam": 0.25} if regularised else {})
    found = loss.curvature(np.zeros(3), data)
    expected = 2 * ROWS.T @ ROWS / 8 + (0.5 * np.eye(3) if regularised else 0)
    np.testing.assert_allclose(found.hessian, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(expected), rtol=1e-12)
    assert found.quadratic


def test_several_parameters_are_packed_in_their_order():
    v = sp.IndexedBase("v", shape=(2,))
    loss = sd.Loss(v[0] ** 2 + 3 * v[1] ** 2 * b + b**3 + sp.sin(w) * v[1], [b, v, w])
    at = {"b": 0.5, "v": [1.0, 2.0], "w": 0.3}
    found = loss.curvature(at)
    flat = loss.compile().as_scipy(start=at)
    point, step = flat.flatten(at), 1e-6
    columns = [(flat(point + step * e)[1] - flat(point - step * e)[1]) / (2 * step) for e in np.eye(4)]
    np.testing.assert_allclose(found.hessian, np.array(columns), rtol=1e-7, atol=1e-7)
    assert [str(name) for name in found.names] == ["b", "v[0]", "v[1]", "w"]


def test_long_losses_have_a_curvature_too():
    names = sp.symbols("p:120")
    found = sd.Loss(sp.Add(*((q + 1) * p**2 for q, p in enumerate(names))), names).curvature(
        dict.fromkeys(map(str, names), 1.0)
    )
    np.testing.assert_allclose(found.eigenvalues, 2 * np.arange(1.0, 121))


# -- verdicts ---------------------------------------------------------------------------------------------------------

VERDICTS = {
    "positive definite": (x**2 + 10 * y**2, 0.1),
    "positive semidefinite": ((x + y) ** 2, 0.5),
    "indefinite": (x**2 - 4 * y**2, 1.0),
    "negative semidefinite": (-((x - y) ** 2), None),
    "negative definite": (-(x**2) - y**2, None),
    "zero": (x**3 + y**3, None),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_signs_of_the_eigenvalues_decide(verdict):
    # rounding taken for curvature, a bound on the step where there is none
    expression, largest = VERDICTS[verdict]
    found = sd.Loss(expression, [x, y]).curvature({"x": 0.0, "y": 0.0})
    assert found.verdict == verdict
    assert found.largest_step == largest if largest is None else found.largest_step == pytest.approx(largest)
    assert (found.condition_number is not None) == verdict.startswith("positive")
    text = " ".join(found.text().split())
    assert ("no upper bound" in text) == (largest is None)
    assert ("leaves this region" in text) == (verdict == "indefinite")
    if verdict == "positive semidefinite":
        assert found.condition_number == math.inf and "infinite" in text


# -- steps, against descents ------------------------------------------------------------------------------------------

BOWL = sd.Loss(x**2 + 10 * y**2, [x, y])
START = {"x": 1.0, "y": 1.0}


def last(optimizer: sd.UpdateRule, steps: int = 400) -> float:
    return float(np.max(np.abs(BOWL.descend(START, optimizer=optimizer, steps=steps, gtol=0).x)))


def test_descents_are_stable_up_to_the_largest_step():
    # twice or half the bound
    largest = BOWL.curvature(START).largest_step
    assert last(sd.GradientDescent(0.99 * largest)) < 1e-2
    assert last(sd.GradientDescent(1.01 * largest), 200) > 10


def test_the_optimal_step_gives_the_rate():
    found = BOWL.curvature(START)
    run = BOWL.descend(START, optimizer=sd.GradientDescent(found.optimal_step), steps=40, gtol=0)
    assert np.linalg.norm(run.x) / np.sqrt(2) == pytest.approx(found.rate**40, rel=1e-6)
    for other in (0.95, 1.05):
        slower = BOWL.descend(START, optimizer=sd.GradientDescent(other * found.optimal_step), steps=40, gtol=0)
        assert np.linalg.norm(slower.x) > np.linalg.norm(run.x)


def test_the_optimal_momentum_gives_its_rate():
    # momentum's square root forgotten: Polyak's ((√κ - 1)/(√κ + 1))²
    found = BOWL.curvature(START)
    kappa = found.condition_number
    assert found.momentum == pytest.approx(((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** 2)
    assert found.momentum_step == pytest.approx(4 / (math.sqrt(20) + math.sqrt(2)) ** 2)
    heavy = sd.Momentum(found.momentum_step, found.momentum)
    sizes = [last(heavy, steps) for steps in (60, 100)]
    assert (sizes[1] / sizes[0]) ** (1 / 40) == pytest.approx(found.momentum_rate, rel=0.05)
    assert sizes[1] < last(sd.GradientDescent(found.optimal_step), 100)


def test_one_step_solves_a_parabola():
    loss = sd.Loss(x**2 - 6 * x + 5, x)
    found = loss.curvature(15)
    assert (found.optimal_step, found.rate, found.largest_step) == (0.5, 0.0, 1.0)
    assert loss.descend(15, optimizer=sd.GradientDescent(found.optimal_step), steps=1, gtol=0).params[
        "x"
    ] == pytest.approx(3)
    assert "one step" in found.text()


@pytest.mark.parametrize(
    ("expression", "quadratic", "kinked"),
    [
        ((x - 3) ** 2 + x * y, True, False),
        (x**4 + y, False, False),
        (x**2 + sp.Abs(y), False, True),
        (x**2 + sp.Max(0, y) ** 2, False, True),
        (sp.exp(x) + y, False, False),
        (sp.Piecewise((x**2, x > 0), (2 * x**2, True)) + y, False, True),
    ],
)
def test_quadratic_losses_are_recognised(expression, quadratic, kinked):
    # |x| has no second derivative where it has one, and is no quadratic
    statement = sd.Loss(expression, [x, y]).statement
    assert (is_quadratic(statement) and not has_kink(statement)) == quadratic
    assert has_kink(statement) == kinked
    assert sd.Loss(expression, [x, y]).curvature({"x": 0.5, "y": 0.7}).quadratic == quadratic


# -- pages and bad input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_pages_in_all_formats_and_languages(size, tmp_path):
    names = sp.symbols(f"p:{size}")
    found = sd.Loss(sp.Add(*((q + 1) * p**2 for q, p in enumerate(names))), names).curvature(
        dict.fromkeys(map(str, names), 1.0)
    )
    assert "η < 2/λ" in found.text() and "tasa de aprendizaje" in found.text(language="es")
    assert ("q₁" in found.text()) == (1 < size <= 4)
    for suffix in (".tex", ".md", ".html", ".txt"):
        assert found.save(tmp_path / f"curvature{suffix}").stat().st_size > 100


def test_the_page_shows_the_symbolic_hessian_and_its_numbers():
    text = ROSENBROCK.curvature({"x": 1, "y": 1}).text()
    assert "1200 x² − 400 y + 2" in text and "[802, −400; −400, 200]" in text
    assert "λ² − 1002 λ + 400 = 0" in text
    assert "this is a critical point" in text
    assert "this is not a critical point" in ROSENBROCK.curvature({"x": 0, "y": 1}).text()


def test_what_has_no_curvature_is_refused():
    with pytest.raises(UnsupportedError, match=r"2500 parameter entries .*hessian_vector_product"):
        sd.Loss(sp.Sum(W[j] ** 2, (j, 0, d - 1)), W).curvature(np.zeros(2500))
    with pytest.raises(DataError, match="y has no value"):
        ROSENBROCK.curvature({"x": 1})
    with pytest.raises(DataError, match="not finite"):
        sd.Loss(sp.Abs(x) ** sp.Rational(3, 2), x).curvature(0)
    with pytest.raises(StatementError, match="language='fr'"):
        ROSENBROCK.curvature(START, language="fr")

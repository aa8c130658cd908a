"""Worked tables: numbers written by hand, update rules of all kinds against NumPy loops, and what the pages show."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.errors import StatementError
from symdescent.optimizers import POSITIVE, Hyperparameter, State, UpdateRule, eta, g, t, theta

w, x, y, b = sp.symbols("w x y b")
n = sp.Symbol("n", integer=True, positive=True)
i = sp.Symbol("i", integer=True)
PARABOLA = sd.Loss((w - 3) ** 2, w)
VALLEY = sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y])


def adam() -> UpdateRule:
    """Adam with scalar state and abbreviations, as a user would state it."""
    m, v, b1, b2, p1, p2, mhat, vhat = sp.symbols("m v beta1 beta2 p1 p2 mhat vhat")
    return UpdateRule(
        name="Adam by hand",
        assignments=[
            (p1, p1 * b1), (p2, p2 * b2), (m, b1 * m + (1 - b1) * g), (v, b2 * v + (1 - b2) * g**2),
            (mhat, m / (1 - p1)), (vhat, v / (1 - p2)), (theta, theta - eta * mhat / (sp.sqrt(vhat) + sp.Rational(1, 10**8))),
        ],
        hyperparameters=[Hyperparameter("learning_rate", eta, 0.1, POSITIVE), Hyperparameter("beta1", b1, 0.9), Hyperparameter("beta2", b2, 0.99)],
        state=[State(m), State(v)],
        scalar_state=[State(p1, 1.0), State(p2, 1.0)],
    )  # fmt: skip


# -- the numbers ------------------------------------------------------------------------------------------------------


def test_the_table_of_the_seed_document():
    # (w - 3)², η = 0.1, from 0: gradient -6, w₁ = 0.6, then 1.08, 1.464, …
    table = PARABOLA.descend(0, optimizer=sd.GradientDescent(0.1), steps=30, gtol=0).table(first=4)
    assert [row.k for row in table.rows] == [0, 1, 2, 3]
    np.testing.assert_allclose([row.parameters[w] for row in table.rows], [0, 0.6, 1.08, 1.464], atol=1e-14)
    np.testing.assert_allclose([row.loss for row in table.rows], [9, 5.76, 3.6864, 2.359296])
    np.testing.assert_allclose([row.gradient[w] for row in table.rows], [-6, -4.8, -3.84, -3.072])
    np.testing.assert_allclose([row.assignments[0].value for row in table.rows], [0.6, 1.08, 1.464, 1.7712])
    text = table.text()
    assert "w₁ = 0 − 0.1 · (−6) = 0.6" in text and "w₂ = 0.6 − 0.1 · (−4.8) = 1.08" in text
    assert r"w_1 = 0 - 0.1 \cdot (-6) = 0.6" in table.latex()


def test_momentum_has_a_line_for_its_velocity():
    table = PARABOLA.descend(0, optimizer=sd.Momentum(0.1), steps=9, gtol=0).table(3)
    np.testing.assert_allclose([row.assignments[0].value for row in table.rows], [-6, -10.2, -11.94])
    text = table.text()
    assert "v₂ = 0.9 · (−6) − 4.8 = −10.2" in text and "w₂ = 0.6 − 0.1 · (−10.2) = 1.62" in text


RULES = [
    sd.GradientDescent(0.001), sd.Momentum(0.001, 0.8), sd.Momentum(0.001, nesterov=True), sd.Momentum(0.001, lr_in_velocity=True),
    sd.Momentum(0.001, nesterov=True, lr_in_velocity=True), adam(),
    UpdateRule(name="a step that shrinks", assignments=[(theta, theta - g / (1000 * sp.sqrt(t)))]),
    UpdateRule(name="the sign", assignments=[(theta, theta - eta * sp.sign(g))], hyperparameters=[Hyperparameter("learning_rate", eta, 0.01, POSITIVE)]),
    UpdateRule(name="clipped", assignments=[(theta, theta - eta * sp.Max(-1, sp.Min(1, g)))], hyperparameters=[Hyperparameter("learning_rate", eta, 0.01, POSITIVE)]),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule).split("\n")[0][:40])
def test_tables_agree_with_the_descents_that_they_work_out(rule):
    # state that is not carried over, a step's number that starts at 0, one coordinate's state used for another
    run = VALLEY.descend({"x": -1.2, "y": 1.0}, optimizer=rule, steps=6, gtol=0)
    table = run.table(first=6)
    for row in table.rows:
        np.testing.assert_allclose(
            [row.parameters[x], row.parameters[y]], [run.trajectory["x"][row.k], run.trajectory["y"][row.k]], rtol=1e-12
        )
        assert row.loss == pytest.approx(run.history["loss"][row.k], rel=1e-12)
        ends = {assignment.symbol: assignment.value for assignment in row.assignments}
        np.testing.assert_allclose(
            [ends[x], ends[y]], [run.trajectory["x"][row.k + 1], run.trajectory["y"][row.k + 1]], rtol=1e-9
        )
    assert table.text() and table.latex() and table.html()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule).split("\n")[0][:40])
def test_filled_formulas_come_to_their_values(rule):
    # numbers put in the place of the wrong symbol
    run = VALLEY.descend({"x": -1.2, "y": 1.0}, optimizer=rule, steps=3, gtol=0)
    for row in run.table(first=3).rows:
        for assignment in row.assignments:
            assert not assignment.filled.free_symbols
            size = sum(abs(float(part)) for part in assignment.filled.atoms(sp.Number))
            assert float(assignment.filled.doit()) == pytest.approx(assignment.value, rel=2e-4, abs=1e-4 * size)


def test_what_is_shared_by_all_coordinates_is_worked_out_once():
    table = VALLEY.descend({"x": -1.2, "y": 1.0}, optimizer=adam(), steps=2, gtol=0).table(1)
    names = [str(assignment.symbol) for assignment in table.rows[0].assignments]
    assert names.count("p1") == 1 and "m_x" in names and "m_y" in names


def test_a_descent_that_stops_early_ends_its_table():
    # rows for steps that were not made
    run = PARABOLA.descend(0, optimizer=sd.GradientDescent(0.5), steps=50)
    assert run.nit == 1
    table = run.table(first=5)
    assert [row.k for row in table.rows] == [0, 1] and table.rows[-1].assignments == ()
    assert len(PARABOLA.descend(3.0).table().rows) == 1


def test_samples_and_arrays():
    line = sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y])
    run = line.descend(
        {"w": 0, "b": 0}, {"x": np.arange(10.0), "y": 2 * np.arange(10.0)}, sd.GradientDescent(0.01), steps=3
    )
    table = run.table(2)
    assert table.rows[0].gradient[w] == pytest.approx(-114.0) and "w₁ = 0 − 0.01 · (−114) = 1.14" in table.text()
    base = sp.IndexedBase("w", shape=(n,))
    run = sd.Loss(sp.Sum((base[i] - i) ** 2, (i, 0, n - 1)), base).descend(
        np.zeros(7), optimizer=sd.GradientDescent(0.1), steps=9
    )
    text = run.table(2).text()
    assert "w has 7 entries; the first 3 are shown" in text and "w₂ = 0 − 0.1 · (−4) = 0.4" in text
    matrix = sp.MatrixSymbol("M", 2, 2)
    run = sd.Loss(sp.Trace(matrix.T * matrix), matrix).descend(
        np.ones((2, 2)), optimizer=sd.GradientDescent(0.1), steps=3
    )
    assert "M₀₀ = 1 − 0.1 · 2 = 0.8" in run.table(1).text()


def test_the_start_is_remembered_not_looked_up():
    # a start that the caller changes after the descent
    start = np.zeros(3)
    base = sp.IndexedBase("w", shape=(n,))
    run = sd.Loss(sp.Sum((base[i] - 1) ** 2, (i, 0, n - 1)), base).descend(
        start, optimizer=sd.GradientDescent(0.25), steps=4
    )
    start[:] = 99
    assert next(iter(run.table(1).rows[0].parameters.values())) == 0.0


def test_divergence_ends_the_table():
    run = sd.Loss(sp.exp(x**2), x).descend(2.0, optimizer=sd.GradientDescent(1.0), steps=20)
    table = run.table(5)
    assert not table.complete and "not finite" in table.text()


# -- pages and bad input ----------------------------------------------------------------------------------------------


def test_pages_in_both_languages_and_all_formats(tmp_path):
    table = PARABOLA.descend(0, optimizer=sd.Momentum(0.1), steps=9).table()
    assert "One step of momentum" in table.text() and "Here η = 0.1, μ = 0.9." in table.text()
    assert "Un paso de momento" in table.text(language="es")
    assert "vₖ₊₁ = μ vₖ + gₖ" in table.text() and "wₖ₊₁ = wₖ − η vₖ₊₁" in table.text()
    for suffix in (".tex", ".md", ".html", ".txt"):
        assert table.save(tmp_path / f"table{suffix}").stat().st_size > 100
    spanish = PARABOLA.descend(0, steps=2, gtol=0).table(language="es")
    assert "descenso de gradiente" in spanish.text()


@pytest.mark.parametrize("first", [0, -1, 1.5, True, "two", 10**6])
def test_bad_numbers_of_steps_are_refused(first: Any):
    run = PARABOLA.descend(0, steps=3)
    with pytest.raises(StatementError, match="is not a number of steps"):
        run.table(first=first)


def test_a_descent_made_by_hand_has_no_table():
    run = replace(PARABOLA.descend(0, steps=3), compiled=None)
    with pytest.raises(StatementError, match="does not know its loss"):
        run.table()
    with pytest.raises(StatementError, match="language='fr'"):
        PARABOLA.descend(0, steps=3).table(language="fr")


# -- rules with more than assignments for coordinates -----------------------------------------------------------------


def test_sums_over_coordinates_are_shown_with_their_numbers():
    rule = sd.GradientDescent(0.1).with_clipping(norm=1.0)
    table = rule.derivation_table(VALLEY, {"x": -1.2, "y": 1.0}, steps=1)
    size = np.hypot(215.6, 88.0)
    values = {str(each.symbol): each.value for each in table.rows[0].assignments}
    assert values["n_g"] == pytest.approx(size, rel=1e-12)
    assert values["x"] == pytest.approx(-1.2 + 0.1 * 215.6 / size, rel=1e-12)
    text = table.text()
    assert "= ‖gₖ‖" in text and "n_[g,1] = 232.868\n" in text
    assert r"\lVert g_k\rVert" in table.latex() and "‖" in table.html()


def test_schedules_are_lines_of_the_table():
    table = sd.GradientDescent(sd.schedules.exponential(0.1, 0.5)).derivation_table(PARABOLA, 0, steps=3)
    rates = [row.assignments[0].value for row in table.rows[:3]]
    np.testing.assert_allclose(rates, [0.1, 0.05, 0.025])
    point = 0.0
    for row, rate in zip(table.rows, rates, strict=False):
        assert row.parameters[w] == pytest.approx(point)
        point -= rate * 2 * (point - 3)


def test_steps_that_were_found_along_the_gradient():
    table = sd.GradientDescent(sd.ExactLineSearch()).derivation_table(
        sd.Loss(x**2 + 3 * y**2, [x, y]), {"x": 3, "y": 1}, steps=2
    )
    first, second = table.rows[:2]
    eta_1 = (36 + 36) / (2 * 36 + 6 * 36)
    assert first.assignments[0].value == pytest.approx(3 - eta_1 * 6)
    assert second.parameters[x] == pytest.approx(3 - eta_1 * 6)


def test_other_optimizers_have_no_table():
    run = PARABOLA.descend(0.0, optimizer=sd.NelderMead())
    with pytest.raises(StatementError, match="is no update rule"):
        run.table()

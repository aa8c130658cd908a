"""Every optimizer on one list of problems: all pairs reach a minimum, without an exception."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import sympy as sp
from scipy.optimize import minimize

import symdescent as sd
from symdescent import landscapes
from symdescent.descent import Descent

x, y = sp.symbols("x y")
n, d = sp.symbols("n d", integer=True, positive=True)
i, j = sp.symbols("i j", integer=True)
X, Y, W = sp.IndexedBase("X", shape=(n, d)), sp.IndexedBase("y", shape=(n,)), sp.IndexedBase("w", shape=(d,))

RANDOM = np.random.default_rng(8)
FEATURES = RANDOM.normal(size=(60, 3))
LABELS = np.where(FEATURES @ [1.0, -2.0, 0.5] + RANDOM.normal(size=60) > 0, 1.0, -1.0)
LOGISTIC = sd.Loss(
    sp.Sum(sp.log(1 + sp.exp(-Y[i] * sp.Sum(X[i, j] * W[j], (j, 0, d - 1)))), (i, 0, n - 1)) / n
    + sp.Sum(W[j] ** 2, (j, 0, d - 1)) / 100,
    W,
)


def logistic_minimum():
    def value(w):
        margin = LABELS * (FEATURES @ w)
        slope = -(FEATURES.T @ (LABELS / (1 + np.exp(margin)))) / 60 + w / 50
        return np.mean(np.log1p(np.exp(-margin))) + w @ w / 100, slope

    return minimize(value, np.zeros(3), jac=True, method="BFGS", options={"gtol": 1e-10}).x


def known(landscape, start):
    """A landscape as a problem: loss, start, data, minima."""
    return landscape.loss, start, None, landscape.minima


PROBLEMS = {
    "parabola": known(landscapes.parabola(), {"w": 0.0}),
    "bowl": (sd.Loss(4 + (x - 2) ** 2 + 2 * y**2, [x, y]), {"x": -1.0, "y": 1.0}, None, [[2.0, 0.0]]),
    "Booth": known(landscapes.booth(), {"x": 0.0, "y": 0.0}),
    "stiff": known(landscapes.bowl(100), {"x": 3.0, "y": 1.0}),
    "Rosenbrock": known(landscapes.rosenbrock(), {"x": -1.2, "y": 1.0}),
    "Himmelblau": known(landscapes.himmelblau(), {"x": 0.0, "y": 0.0}),
    "Beale": known(landscapes.beale(), {"x": 1.0, "y": 0.0}),
    "Rastrigin, near": known(landscapes.rastrigin(), {"x": 0.2, "y": -0.15}),
    "logistic": (LOGISTIC, np.zeros(3), {"X": FEATURES, "y": LABELS}, [logistic_minimum()]),
}

# what a constant step allows is set by the largest curvature: about 2000 on Rosenbrock's way, 100 on the stiff bowl
CURVED = {"Rosenbrock": 5e-4, "stiff": 0.015, "Beale": 2e-3, "Himmelblau": 5e-3, "Booth": 0.05, "Rastrigin, near": 2e-3}


def slow(problem, usual):
    return min(usual, CURVED.get(problem, usual))


def near(problem, usual):
    """Steps that stay in the valley where they begin, where there are others beside it."""
    return 0.2 if "near" in problem else usual


OPTIMIZERS = {
    "GradientDescent": lambda p: sd.GradientDescent(slow(p, 0.3)),
    "GradientDescent, exact": lambda p: sd.GradientDescent(sd.ExactLineSearch()),
    "GradientDescent, Armijo": lambda p: sd.GradientDescent(sd.Backtracking()),
    "Momentum": lambda p: sd.Momentum(slow(p, 0.1)),
    "Nesterov": lambda p: sd.Momentum(slow(p, 0.1) * 0.8, nesterov=True),  # stable below 1.36 over the curvature
    "Momentum, lr in velocity": lambda p: sd.Momentum(slow(p, 0.1), lr_in_velocity=True),
    "AdaGrad": lambda p: sd.AdaGrad(near(p, 1.0)),
    "AdaGrad, keras": lambda p: sd.AdaGrad(near(p, 1.0), flavor="keras"),
    "AdaDelta": lambda p: sd.AdaDelta(sd.schedules.exponential(1.0, 0.9997)),
    "RMSprop": lambda p: sd.RMSprop(sd.schedules.exponential(0.02, 0.9996)),
    "RMSprop, centered": lambda p: sd.RMSprop(sd.schedules.exponential(0.02, 0.9996), centered=True),
    "RMSprop, optax": lambda p: sd.RMSprop(sd.schedules.exponential(0.02, 0.9996), flavor="optax"),
    "Adam": lambda p: sd.Adam(0.05),
    "Adam, amsgrad": lambda p: sd.Adam(0.05, amsgrad=True),
    "Adam, keras": lambda p: sd.Adam(0.05, flavor="keras"),
    "Adam, clipped": lambda p: sd.Adam(sd.schedules.exponential(0.05, 0.9998)).with_clipping(norm=1.0),
    "AdamW, no decay": lambda p: sd.AdamW(0.05, weight_decay=0.0),
    "NAdam": lambda p: sd.NAdam(sd.schedules.exponential(0.02, 0.9998)),
    "Lion": lambda p: sd.Lion(sd.schedules.exponential(0.05, 0.9995)),
    "Newton": lambda p: sd.Newton(),
    "NelderMead": lambda p: sd.NelderMead(xatol=1e-8, fatol=1e-12),
    "NelderMead, adaptive": lambda p: sd.NelderMead(adaptive=True, xatol=1e-8, fatol=1e-12),
    "RandomSearch": lambda p: sd.RandomSearch(radius=near(p, 1.0), points=20),
    "LBFGS": lambda p: sd.LBFGS(),
}
STEPS = {"NelderMead": 2000, "NelderMead, adaptive": 2000, "RandomSearch": 2000, "Newton": 200, "LBFGS": 500}


def distance(found: Descent, minima) -> float:
    return min(float(np.max(np.abs(found.x - np.array(each)))) for each in minima)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_optimizer_on_every_problem(problem, optimizer):
    loss, start, data, minima = PROBLEMS[problem]
    steps = STEPS.get(optimizer, 60_000)
    found = loss.descend(start, data, OPTIMIZERS[optimizer](problem), steps=steps)
    assert distance(found, minima) <= 1e-4, f"{found}"
    assert found.fun <= loss.compile().value(start, data)


# -- against SciPy ----------------------------------------------------------------------------------------------------


def flat(problem):
    loss, start, data, _ = PROBLEMS[problem]
    objective = loss.compile().as_scipy(data, start)
    return loss, start, data, objective, objective.flatten(start)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_lbfgs_is_scipys(problem):
    loss, start, data, objective, x0 = flat(problem)
    theirs = minimize(objective, x0, jac=True, method="L-BFGS-B", options={"maxiter": 7, "gtol": 0, "ftol": 0})
    ours = loss.descend(start, data, sd.LBFGS(), steps=7, gtol=0)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-12, atol=1e-14)
    assert ours.nit == theirs.nit


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_simplex_is_scipys(problem, adaptive):
    # another order of ties, another contraction, another first simplex
    loss, start, data, objective, x0 = flat(problem)
    options = {"adaptive": adaptive, "xatol": 1e-6, "fatol": 1e-9, "maxiter": 10**4, "maxfev": 10**5}
    theirs = minimize(lambda p: objective(p)[0], x0, method="Nelder-Mead", options=options)
    ours = loss.descend(start, data, sd.NelderMead(adaptive=adaptive, xatol=1e-6, fatol=1e-9), steps=10**4)
    np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-9, atol=1e-12)
    assert (ours.nit, ours.nfev) == (
        theirs.nit - 1,
        theirs.nfev + 1,
    )  # SciPy counts from 1; our result is evaluated once more
    assert len(ours.simplices) == len(ours.history) and ours.simplices.shape[1:] == (len(x0) + 1, len(x0))
    np.testing.assert_array_equal(np.argsort([objective(p)[0] for p in ours.simplices[-1]], kind="stable")[0], 0)


def test_the_simplex_is_scipys_on_rough_ground():
    # contractions that are better than the worst point but not than the reflected one, and shrinking
    loss = sd.Loss(sp.Abs(x) + 2 * sp.Abs(y - x) + sp.sin(5 * x) * sp.cos(4 * y) + sp.Abs(sp.sin(9 * y)) / 3, [x, y])
    compiled = loss.compile()
    for start in RANDOM.uniform(-2, 2, (40, 2)):
        options = {"xatol": 1e-5, "fatol": 1e-7, "maxiter": 10**4, "maxfev": 10**5}
        theirs = minimize(
            lambda p: compiled.value({"x": p[0], "y": p[1]}), start, method="Nelder-Mead", options=options
        )
        given = {"x": start[0], "y": start[1]}
        ours = loss.descend(given, optimizer=sd.NelderMead(xatol=1e-5, fatol=1e-7), steps=10**4)
        np.testing.assert_allclose(ours.x, theirs.x, rtol=1e-8, atol=1e-10)
        assert ours.nit == theirs.nit - 1


# -- single steps, by hand --------------------------------------------------------------------------------------------


def test_exact_steps_on_a_quadratic():
    # seed: the optimal step at every step; consecutive gradients are orthogonal
    loss, start, _, _ = PROBLEMS["stiff"]
    found = loss.descend(start, optimizer=sd.GradientDescent(sd.ExactLineSearch()), steps=6, gtol=0)
    hessian, point = np.diag([1.0, 100.0]), np.array([3.0, 1.0])
    for k in range(6):
        slope = hessian @ point
        eta = slope @ slope / (slope @ hessian @ slope)
        assert found.history["learning_rate"][k] == pytest.approx(eta, rel=1e-12)
        point = point - eta * slope
    np.testing.assert_allclose(found.x, point, rtol=1e-10)


def test_exact_steps_on_another_loss():
    loss, start, _, _ = PROBLEMS["Beale"]
    found = loss.descend(start, optimizer=sd.GradientDescent(sd.ExactLineSearch()), steps=5, gtol=0)
    compiled = loss.compile()
    path = np.stack([found.trajectory["x"], found.trajectory["y"]], axis=1)
    slopes = [np.array(list(compiled.gradient({"x": p[0], "y": p[1]}).values())) for p in path]
    for before, after in itertools.pairwise(slopes):  # the slope along the ray vanishes at its minimum
        assert abs(before @ after) <= 1e-7 * np.linalg.norm(before) ** 2


def test_backtracking_satisfies_armijo_and_no_larger_step_does():
    loss, start, _, _ = PROBLEMS["Rosenbrock"]
    line = sd.Backtracking(initial=1.0, shrink=0.5, c=0.1)
    found = loss.descend(start, optimizer=sd.GradientDescent(line), steps=8, gtol=0)
    compiled = loss.compile()
    for k in range(8):
        p = np.array([found.trajectory["x"][k], found.trajectory["y"][k]])
        value, slope = compiled.value_and_gradient({"x": p[0], "y": p[1]})
        g = np.array(list(slope.values()))
        eta = found.history["learning_rate"][k]

        def falls(step, p=p, g=g, value=value):
            moved = p - step * g
            return compiled.value({"x": moved[0], "y": moved[1]}) <= value - 0.1 * step * g @ g

        assert falls(eta) and (eta == 1.0 or not falls(2 * eta))


def test_newton_by_hand():
    loss, start, _, _ = PROBLEMS["Rosenbrock"]
    found = loss.descend(start, optimizer=sd.Newton(learning_rate=1.0, definite=False), steps=3, gtol=0)
    point = np.array([-1.2, 1.0])
    for _ in range(3):
        a, b = point
        g = np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])
        h = np.array([[2 - 400 * b + 1200 * a**2, -400 * a], [-400 * a, 200.0]])
        point = point - np.linalg.solve(h, g)
    np.testing.assert_allclose(found.x, point, rtol=1e-10)


def test_newton_goes_down_from_a_saddle_unless_it_is_told_not_to():
    loss = sd.Loss(x**4 / 4 - x**2 / 2 + y**2 / 2, [x, y])
    start = {"x": 0.3, "y": 1.0}
    plain = loss.descend(start, optimizer=sd.Newton(learning_rate=1.0, definite=False))
    np.testing.assert_allclose(plain.x, [0.0, 0.0], atol=1e-8)
    down = loss.descend(start, optimizer=sd.Newton())
    np.testing.assert_allclose(down.x, [1.0, 0.0], atol=1e-6)


def test_newton_where_the_diagonal_hides_that_the_hessian_is_indefinite():
    loss = sd.Loss(x**2 / 2 + 2 * x * y + y**2 / 2 + x**4 + y**4, [x, y])
    found = loss.descend({"x": 0.1, "y": 0.05}, optimizer=sd.Newton())
    assert found.success and found.fun == pytest.approx(-0.125, abs=1e-9)
    np.testing.assert_allclose(np.abs(found.x), [0.5, 0.5], atol=1e-5)


def test_a_singular_hessian():
    loss = sd.Loss((x + y) ** 2, [x, y])
    assert loss.descend({"x": 1.0, "y": 2.0}, optimizer=sd.Newton()).fun < 1e-12
    stopped = loss.descend({"x": 1.0, "y": 2.0}, optimizer=sd.Newton(learning_rate=1.0, definite=False))
    assert not stopped.success and "no step" in stopped.message
    damped = loss.descend({"x": 1.0, "y": 2.0}, optimizer=sd.Newton(learning_rate=1.0, definite=False, damping=1e-3))
    assert damped.fun < 1e-9


# -- bad input --------------------------------------------------------------------------------------------------------


def test_a_simplex_in_one_dimension_from_zero():
    found = PROBLEMS["parabola"][0].descend(0.0, optimizer=sd.NelderMead())
    assert found.params["w"] == pytest.approx(3.0, abs=1e-3) and found.simplices[0].ravel().tolist() == [0.00025, 0.0]


def test_a_simplex_with_vertices_where_the_loss_is_undefined():
    loss = sd.Loss(x - sp.log(x) + y**2, [x, y])
    found = loss.descend({"x": 0.01, "y": 0.1}, optimizer=sd.NelderMead())
    assert found.success and found.x == pytest.approx([1.0, 0.0], abs=1e-3)
    nowhere = loss.descend({"x": -5.0, "y": 0.1}, optimizer=sd.NelderMead())
    assert not nowhere.success and "undefined" in nowhere.message


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sd.Backtracking(initial=0), "initial = 0 is not a number"),
        (lambda: sd.Backtracking(shrink=1), r"shrink = 1 is not a number in \(0, 1\)"),
        (lambda: sd.Backtracking(c=float("nan")), "c = nan"),
        (lambda: sd.ExactLineSearch(0), "tolerance = 0"),
        (lambda: sd.Newton(damping=-1), "damping = -1"),
        (lambda: sd.Newton(learning_rate=0), "learning_rate = 0"),
        (lambda: sd.NelderMead(xatol=-1), "xatol = -1"),
        (lambda: sd.RandomSearch(points=0), "points = 0 is not a count"),
        (lambda: sd.RandomSearch(radius=float("inf")), "radius = inf"),
        (lambda: sd.LBFGS(memory=2.5), r"memory = 2\.5 is not a count"),
        (lambda: PROBLEMS["bowl"][0].descend({"x": 1, "y": 1}, optimizer=sd.Adam), "call it, as in Adam"),
        (lambda: PROBLEMS["bowl"][0].descend({"x": 1, "y": 1}, optimizer="adam"), "is not an UpdateRule"),
        (lambda: PROBLEMS["bowl"][0].descend({"x": 1, "y": 1}, optimizer=sd.NelderMead(), gtol=1e-3), "takes no gradient"),
        (lambda: PROBLEMS["bowl"][0].descend({"x": 1, "y": 1}, optimizer=sd.NelderMead(), xtol=1e-3), "xatol=1e-8"),
        (lambda: PROBLEMS["bowl"][0].descend({"x": 1, "y": 1}, optimizer=sd.RandomSearch(), gtol=1e-3), "use xtol or ftol"),
    ],
)  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(sd.StatementError, match=message):
        make()


def test_newton_is_for_small_systems():
    w = sp.IndexedBase("w", shape=(d,))
    loss = sd.Loss(sp.Sum(w[j] ** 2, (j, 0, d - 1)), w)
    with pytest.raises(sd.DataError, match="dense system, and 2001 parameters"):
        loss.descend(np.ones(2001), optimizer=sd.Newton())
    with pytest.raises(sd.DataError, match="not finite"):
        loss.descend(np.array([1.0, np.nan]), optimizer=sd.NelderMead())


def test_a_search_without_seed_is_the_same_twice():
    loss, start, _, _ = PROBLEMS["bowl"]
    one, other = (loss.descend(start, optimizer=sd.RandomSearch(seed=4), steps=30) for _ in range(2))
    assert one.x.tobytes() == other.x.tobytes()
    fixed = loss.descend(start, optimizer=sd.RandomSearch(radius=0.1, shrink=1.0), steps=500)
    assert 1e-6 < distance(fixed, [[2.0, 0.0]]) < 0.1  # seed: no nearer than the step allows


# -- what every optimizer must do -------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_no_steps_leave_the_start_where_it_is(optimizer):
    # a step too many, an evaluation that fails without one
    loss, start, data, _ = PROBLEMS["logistic"]
    found = loss.descend(start, data, OPTIMIZERS[optimizer]("logistic"), steps=0)
    assert found.nit == 0 and found.x.tolist() == [0.0, 0.0, 0.0]
    assert found.fun == pytest.approx(loss.compile().value(start, data), rel=1e-15)
    assert len(found.history) == 1 and found.trajectory["w"].shape == (1, 3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_start_is_only_read(optimizer):
    # a descent that walks away with the caller's array, or needs floats
    loss, _, data, _ = PROBLEMS["logistic"]
    for start in (np.array([1.0, 2.0, 3.0]), np.array([1, 2, 3]), [1, 2, 3]):
        before = np.array(start)
        if isinstance(start, np.ndarray):
            start.flags.writeable = False
        found = loss.descend(start, data, OPTIMIZERS[optimizer]("logistic"), steps=5)
        assert found.nit == 5 and np.array_equal(start, before) and not np.array_equal(found.x, before)
        found.params["w"][0] = 99.0
        assert found.resume(steps=0).x[0] != 99.0 if optimizer != "LBFGS" else True


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_leaving_the_domain_is_told(optimizer):
    # NaN for an answer: the logarithm is undefined left of 0, and the loss falls towards it without bound
    loss = sd.Loss(sp.log(x), x)
    found = loss.descend(0.5, None, OPTIMIZERS[optimizer]("parabola"), steps=3000)
    assert found.message
    assert not found.success or found.status == 6, found
    if not np.isfinite(found.fun):
        assert "undefined" in found.message or "no minimum" in found.message


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_kink_is_a_minimum_too(optimizer):
    # a step that jumps over |x - 1| for ever: the loss must not grow, whatever the rule
    loss = sd.Loss(sp.Abs(x - 1) + (x - 1) ** 2, x)
    found = loss.descend(0.0, None, OPTIMIZERS[optimizer]("parabola"), steps=4000)
    assert found.fun <= 2.0 and np.isfinite(found.x).all()

"""Update rules against NumPy loops written independently, and the checks that a record must pass."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

from symdescent.errors import StatementError
from symdescent.optimizers import (
    FRACTION,
    POSITIVE,
    GradientDescent,
    Hyperparameter,
    Momentum,
    Norm,
    State,
    Total,
    UpdateRule,
    eta,
    g,
    t,
    theta,
)

HESSIAN = np.array([[3.0, 0.5], [0.5, 1.0]])
START = np.array([2.0, -1.0])
STEPS = 25


def gradient(x: np.ndarray) -> np.ndarray:
    return HESSIAN @ x


def path(rule: UpdateRule, steps: int = STEPS, rates: Callable[[int], float] | None = None) -> np.ndarray:
    """The points that a rule visits on a quadratic."""
    x, state, points = START, None, [START]
    for k in range(steps):
        current = rule if rates is None else rule.with_(learning_rate=rates(k))
        x, state = current.step(x, gradient(x), state, t=k + 1)
        points.append(x)
    return np.array(points)


# -- gradient descent and momentum ------------------------------------------------------------------------------------


def test_gradient_descent_goes_down_the_slope() -> None:
    """Catches a sign or a forgotten learning rate: on (w - 3)², from 0, the points are 3 - 3·0.8ᵏ."""
    w, rule = 0.0, GradientDescent(0.1)
    for k in range(1, 10):
        w, state = rule.step(w, 2 * (w - 3))
        assert w == pytest.approx(3 - 3 * 0.8**k)
        assert state == {}


def velocity_form(x: np.ndarray, eta: float, mu: float, nesterov: bool) -> np.ndarray:
    """Momentum as deep-learning libraries write it."""
    v, points = np.zeros(2), [x]
    for _ in range(STEPS):
        slope = gradient(x)
        v = mu * v + slope
        x = x - eta * (slope + mu * v if nesterov else v)
        points.append(x)
    return np.array(points)


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("lr_in_velocity", [False, True])
def test_momentum(nesterov: bool, lr_in_velocity: bool) -> None:
    """Catches a velocity that is used before it is updated, or a look-ahead that is left out."""
    rule = Momentum(0.1, 0.8, nesterov=nesterov, lr_in_velocity=lr_in_velocity)
    np.testing.assert_allclose(path(rule), velocity_form(START, 0.1, 0.8, nesterov), rtol=1e-12)


def test_heavy_ball_recurrence() -> None:
    """Catches any other velocity: Polyak's θₖ₊₁ = θₖ - η∇f(θₖ) + μ(θₖ - θₖ₋₁) has none."""
    before, now, points = START, START, [START]
    for _ in range(STEPS):
        before, now = now, now - 0.1 * gradient(now) + 0.8 * (now - before)
        points.append(now)
    np.testing.assert_allclose(path(Momentum(0.1, 0.8)), points, rtol=1e-10)


def test_nesterov_takes_the_gradient_ahead() -> None:
    """Catches a Nesterov that is not his: with the gradient at x + μv, the points x + μv are the rule's."""
    x, v, ahead = START, np.zeros(2), [START]
    for _ in range(STEPS):
        v = 0.8 * v - 0.1 * gradient(x + 0.8 * v)
        x = x + v
        ahead.append(x + 0.8 * v)
    np.testing.assert_allclose(path(Momentum(0.1, 0.8, nesterov=True)), ahead, rtol=1e-10)


def test_learning_rate_in_the_velocity_differs_under_a_schedule() -> None:
    """Catches an option that does nothing: the two forms agree only while the learning rate is constant."""

    def rates(k: int) -> float:
        return 0.1 if k < 3 else 0.01

    outside, inside = (path(Momentum(0.1, 0.8, lr_in_velocity=where), rates=rates) for where in (False, True))
    np.testing.assert_allclose(outside[:4], inside[:4], rtol=1e-12)
    assert np.abs(outside[4] - inside[4]).max() > 0.01


def test_momentum_zero_is_gradient_descent() -> None:
    """Catches a range that excludes 0, and a velocity that is kept all the same."""
    np.testing.assert_allclose(path(Momentum(0.1, 0.0)), path(GradientDescent(0.1)))


def test_step_leaves_its_arguments_alone() -> None:
    """Catches an update in place of the caller's start or state."""
    x, state = START.copy(), {"v": np.ones(2)}
    Momentum(0.1).step(x, gradient(x), state)
    np.testing.assert_array_equal(x, START)
    np.testing.assert_array_equal(state["v"], np.ones(2))


# -- the record holds the whole family --------------------------------------------------------------------------------

m, v, s, u, p, q = sp.symbols("m v s u p q", real=True)
mhat, vhat, Delta = sp.symbols("mhat vhat Delta", real=True)
rho, beta1, beta2, epsilon = sp.symbols("rho beta_1 beta_2 epsilon", positive=True)


def numbers(rate: float, **values: tuple[sp.Symbol, float]) -> list[Hyperparameter]:
    others = [Hyperparameter(name, symbol, value) for name, (symbol, value) in values.items()]
    return [Hyperparameter("learning_rate", eta, rate, POSITIVE), *others]


ADAPTIVE = UpdateRule(
    "adaptive",
    [(s, s + g**2), (theta, theta - eta * g / (sp.sqrt(s) + epsilon))],
    numbers(0.3, epsilon=(epsilon, 1e-10)),
    [State(s)],
)
DELTA = UpdateRule(
    "delta",
    [
        (s, rho * s + (1 - rho) * g**2),
        (Delta, g * sp.sqrt(u + epsilon) / sp.sqrt(s + epsilon)),
        (u, rho * u + (1 - rho) * Delta**2),
        (theta, theta - eta * Delta),
    ],
    numbers(1, rho=(rho, 0.9), epsilon=(epsilon, 1e-6)),
    [State(s), State(u)],
)
MOMENTS = UpdateRule(
    "moments",
    [
        (p, beta1 * p),
        (q, beta2 * q),
        (m, beta1 * m + (1 - beta1) * g),
        (v, beta2 * v + (1 - beta2) * g**2),
        (mhat, m / (1 - p)),
        (vhat, v / (1 - q)),
        (theta, theta - eta * mhat / (sp.sqrt(vhat) + epsilon)),
    ],
    numbers(0.1, beta1=(beta1, 0.9), beta2=(beta2, 0.999), epsilon=(epsilon, 1e-8)),
    [State(m), State(v)],
    [State(p, 1), State(q, 1)],
)


def test_accumulated_squares() -> None:
    """Catches a square root of the old sum: the first step would divide by ε."""
    x, total, points = START, np.zeros(2), [START]
    for _ in range(STEPS):
        slope = gradient(x)
        total = total + slope**2
        x = x - 0.3 * slope / (np.sqrt(total) + 1e-10)
        points.append(x)
    np.testing.assert_allclose(path(ADAPTIVE), points, rtol=1e-12)


def test_abbreviations_and_two_states() -> None:
    """Catches an abbreviation that is computed with the new value of a state that is updated after it."""
    x, squares, moves, points = START, np.zeros(2), np.zeros(2), [START]
    for _ in range(STEPS):
        slope = gradient(x)
        squares = 0.9 * squares + 0.1 * slope**2
        move = slope * np.sqrt(moves + 1e-6) / np.sqrt(squares + 1e-6)
        moves = 0.9 * moves + 0.1 * move**2
        x = x - move
        points.append(x)
    np.testing.assert_allclose(path(DELTA), points, rtol=1e-12)


def test_scalar_state() -> None:
    """Catches a power βᵗ that is one step behind, or kept for each coordinate."""
    x, first, second, points = START, np.zeros(2), np.zeros(2), [START]
    for step in range(1, STEPS + 1):
        slope = gradient(x)
        first = 0.9 * first + 0.1 * slope
        second = 0.999 * second + 0.001 * slope**2
        x = x - 0.1 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        points.append(x)
    np.testing.assert_allclose(path(MOMENTS), points, rtol=1e-10)
    scalars, coordinates = MOMENTS.program.phases
    assert scalars.scalar and [symbol for symbol, _ in scalars.assignments] == [p, q]
    assert [symbol for symbol, _ in coordinates.assignments] == [m, v, mhat, vhat, theta]
    _, state = MOMENTS.step(START, gradient(START))
    assert state["p"] == pytest.approx(0.9)
    assert state["v"].shape == START.shape


def test_the_step_number_counts_from_one() -> None:
    """Catches a step number of 0 in the first step, which makes 1 - βᵗ vanish."""
    rule = UpdateRule("decay", [(theta, theta - eta * g / t)], numbers(0.5))
    assert rule.step(1.0, 1.0)[0] == 0.5
    assert rule.step(1.0, 1.0, t=2)[0] == 0.75
    assert r"\frac{\eta g_{k}}{1 + k}" in rule.latex()


def test_assignments_see_the_newest_values() -> None:
    """Catches simultaneous updates: the order of the same two assignments must matter."""
    velocity, move = (v, v / 2 + g), (theta, theta - eta * v)
    first, last = (UpdateRule("rule", order, numbers(1), [State(v)]) for order in ([velocity, move], [move, velocity]))
    assert first.step(0.0, 1.0)[0] == -1.0
    assert last.step(0.0, 1.0)[0] == 0.0
    assert r"\theta_{k} - \eta v_{k+1}" in first.latex()
    assert r"\theta_{k} - \eta v_{k}" in last.latex()


# -- printed from the record ------------------------------------------------------------------------------------------


def test_equations() -> None:
    """Catches printed equations that are not those carried out, or that are hard to read."""
    assert MOMENTS.latex().splitlines() == [
        r"\begin{aligned}",
        r"p_{k+1} &= \beta_{1} p_{k} \\",
        r"q_{k+1} &= \beta_{2} q_{k} \\",
        r"m_{k+1} &= \beta_{1} m_{k} + \left(1 - \beta_{1}\right) g_{k} \\",
        r"v_{k+1} &= \beta_{2} v_{k} + \left(1 - \beta_{2}\right) g_{k}^{2} \\",
        r"\hat{m}_{k+1} &= \frac{m_{k+1}}{1 - p_{k+1}} \\",
        r"\hat{v}_{k+1} &= \frac{v_{k+1}}{1 - q_{k+1}} \\",
        r"\theta_{k+1} &= \theta_{k} - \frac{\eta \hat{m}_{k+1}}{\sqrt{\hat{v}_{k+1}} + \epsilon}",
        r"\end{aligned}",
    ]
    assert str(Momentum(0.01, nesterov=True)).splitlines() == [
        "Nesterov momentum: learning_rate η = 0.01, momentum μ = 0.9",
        "  v' = μ*v + g",
        "  θ' = θ - η*(g + μ*v')",
    ]


def test_the_index_of_the_steps_is_no_symbol_of_the_rule() -> None:
    """Catches k_{k+1}, and a subscript that is lost or doubled."""
    k, x1 = sp.symbols("k x_1", real=True)
    rule = UpdateRule("rule", [(k, k / 2 + g), (x1, x1 - eta * k)], numbers(1), [State(k)], parameter=x1)
    assert r"k_{n+1} &=" in rule.latex()
    assert r"x_{1, n+1} &= x_{1, n} - \eta k_{n+1}" in rule.latex()


# -- records ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [GradientDescent(0.1), Momentum(0.1), MOMENTS], ids=lambda rule: rule.name)
def test_records_are_values(rule: UpdateRule) -> None:
    """Catches a rule that cannot be sent to another process, compared, used as a key or kept unchanged."""
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert len({rule, rule.with_(learning_rate=rule.learning_rate.value)}) == 1
    assert rule.with_(learning_rate=7) != rule
    with pytest.raises(AttributeError):
        rule.name = "another"


def test_with_checks_what_the_constructor_checks() -> None:
    """Catches a replacement that goes round the ranges, or that is silently ignored."""
    rule = Momentum(0.1)
    assert rule.with_(momentum=0.5).hyperparameters[1].value == 0.5
    assert rule.hyperparameters[1].value == 0.9
    with pytest.raises(StatementError, match=r"momentum = 1 .*\[0, 1\)"):
        rule.with_(momentum=1)
    with pytest.raises(StatementError, match="no hyperparameter beta: it has learning_rate, momentum"):
        rule.with_(beta=0.5)


@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), "0.1", None, 1j, True, sp.Symbol("a"), 10**400])
@pytest.mark.parametrize("optimizer", [GradientDescent, Momentum])
def test_learning_rates_that_are_refused(optimizer: Any, rate: Any) -> None:
    """Catches a descent that stands still, climbs or fills with NaN, and an error that does not say what to do."""
    wrong = r"learning_rate = .* (is not a number in \(0, ∞\): give a positive number|contains a: a schedule)"
    with pytest.raises(StatementError, match=wrong):
        optimizer(rate)


@pytest.mark.parametrize("momentum", [1, 1.5, -0.1, float("nan"), float("inf"), "0.9"])
def test_momenta_that_are_refused(momentum: Any) -> None:
    """Catches a velocity that grows without bound."""
    with pytest.raises(StatementError, match=r"momentum = .* is not a number in \[0, 1\)"):
        Momentum(0.1, momentum)


def test_numbers_of_any_kind() -> None:
    """Catches a value that is kept in another type than generated code expects."""
    for value in (sp.Rational(1, 2), np.float32(0.5), np.float64(0.5), 0.5):
        assert GradientDescent(value).hyperparameters[0].value == 0.5
        assert type(GradientDescent(value).hyperparameters[0].value) is float
    assert Hyperparameter("beta", beta1, 0.999999999999, FRACTION).value < 1


SGD = (theta, theta - eta * g)
RATE = numbers(0.1)
WRONG = {
    "unknown symbol": (lambda: UpdateRule("r", [(theta, theta - eta * g * u)], RATE), "u in theta = .* is unknown"),
    "abbreviation before it is assigned": (
        lambda: UpdateRule("r", [(theta, theta - eta * u), (u, g)], RATE),
        "u in theta",
    ),
    "parameter not assigned": (lambda: UpdateRule("r", [(v, g)], RATE, [State(v)]), "theta is not assigned"),
    "parameter assigned twice": (lambda: UpdateRule("r", [SGD, SGD], RATE), "theta is assigned twice"),
    "state assigned twice": (
        lambda: UpdateRule("r", [(v, g), (v, 2 * v), SGD], RATE, [State(v)]),
        "v is assigned twice",
    ),
    "gradient assigned": (lambda: UpdateRule("r", [(g, 2 * g), SGD], RATE), "g is assigned, but it is given"),
    "learning rate assigned": (
        lambda: UpdateRule("r", [(eta, eta / 2), SGD], RATE),
        "eta is assigned, but it is given",
    ),
    "state never updated": (lambda: UpdateRule("r", [SGD], RATE, [State(v)]), "state v is never updated"),
    "state declared twice": (
        lambda: UpdateRule("r", [(v, g), SGD], RATE, [State(v), State(v)]),
        "two symbols are named v",
    ),
    "state and scalar state": (lambda: UpdateRule("r", [(p, p), SGD], RATE, [State(p)], [State(p)]), "two symbols"),
    "one name, two assumptions": (
        lambda: UpdateRule("r", [(sp.Symbol("theta"), sp.Symbol("theta") - eta * g)], RATE),
        "two symbols are named theta.*parameter=",
    ),
    "one hyperparameter name twice": (
        lambda: UpdateRule("r", [SGD], [*RATE, Hyperparameter("learning_rate", u, 1)]),
        "two hyperparameters have one name",
    ),
    "scalar state from a coordinate": (
        lambda: UpdateRule("r", [(p, p + g), SGD], RATE, (), [State(p)]),
        "scalar state p must be updated from scalars alone",
    ),
    "sum over nothing": (lambda: UpdateRule("r", [(p, Total(eta)), SGD], RATE), "over nothing that differs"),
    "sum of sums": (lambda: UpdateRule("r", [(p, Total(g * Norm(g))), SGD], RATE), "a sum within a sum"),
    "name that is code": (
        lambda: UpdateRule("r", [SGD], [*RATE, Hyperparameter("x", sp.Symbol("x; import os"), 1)]),
        "not a symbol with a plain name",
    ),
    "target that is no symbol": (lambda: UpdateRule("r", [(theta**2, g)], RATE), "not a symbol"),
    "text for an expression": (lambda: UpdateRule("r", [(theta, "theta - eta*g")], RATE), "not pairs of a symbol"),
    "no pairs": (lambda: UpdateRule("r", [theta], RATE), "not pairs of a symbol"),
    "state that begins at NaN": (lambda: State(v, float("nan")), "state v begins at nan"),
}


@pytest.mark.parametrize("case", WRONG)
def test_records_that_are_refused(case: str) -> None:
    """Catches a rule that would be generated, compiled and run, and mean something else than its author."""
    state, message = WRONG[case]
    with pytest.raises(StatementError, match=message):
        state()

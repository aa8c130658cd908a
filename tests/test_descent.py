"""Descents: step for step against NumPy loops written by hand, and what is told of them."""

from __future__ import annotations

import _thread
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent import kernels
from symdescent.descent import Descent
from symdescent.descent.records import HISTORY_ROWS
from symdescent.optimizers import POSITIVE, Hyperparameter, State, UpdateRule, eta, g, t, theta

n, d, K, m = sp.symbols("n d K m", integer=True, positive=True)
i, j, k = sp.symbols("i j k", integer=True)
w, b, x, y = sp.symbols("w b x y")
Base, Sum = sp.IndexedBase, sp.Sum
X, Y, W = Base("X", shape=(n, d)), Base("y", shape=(n,)), Base("w", shape=(d,))

PARABOLA = sd.Loss((w - 3) ** 2, w)
RANDOM = np.random.default_rng(11)
XS, YS = RANDOM.normal(size=(7, 3)), RANDOM.normal(size=7)
LABELS = np.sign(YS)
TABLE, CUBE = RANDOM.normal(size=(7, 2)), RANDOM.normal(size=(2, 3, 4))

Point = dict[str, Any]


# -- the losses: stated once in SymPy, once in NumPy ------------------------------------------------------------------


def sigmoid(z: Any) -> Any:
    return 1 / (1 + np.exp(-z))


def line_gradient(p: Point) -> Point:
    residual = YS - (p["w"] * XS[:, 0] + p["b"])
    return {"w": -2 * np.mean(residual * XS[:, 0]), "b": -2 * np.mean(residual)}


def logistic_gradient(p: Point) -> Point:
    share = sigmoid(-LABELS * (XS @ p["w"] + p["b"]))
    return {"w": -XS.T @ (LABELS * share) / 7 + 0.2 * p["w"], "b": -np.mean(LABELS * share)}


def matrix_gradient(p: Point) -> Point:
    return {"B": 2 * XS.T @ (XS @ p["B"] - TABLE) / 7, "s": 2 * (p["s"] - 1)}


def cube_gradient(p: Point) -> Point:
    return {"T": p["T"] - CUBE + p["v"][0], "v": np.array([np.sum(p["T"] - CUBE + p["v"][0]), 4 * p["v"][1] ** 3])}


def rosenbrock_gradient(p: Point) -> Point:
    return {
        "x": -2 * (1 - p["x"]) - 400 * p["x"] * (p["y"] - p["x"] ** 2),
        "y": 200 * (p["y"] - p["x"] ** 2),
    }


B, s = sp.MatrixSymbol("B", d, K), sp.Symbol("s")
A, T2 = sp.MatrixSymbol("A", n, d), sp.MatrixSymbol("T", n, K)
T, v, C = Base("T", shape=(n, d, K)), Base("v", shape=(2,)), Base("C", shape=(n, d, K))
score = Sum(X[i, j] * W[j], (j, 0, d - 1)) + b
Case = tuple[sd.Loss, Point, Point, Callable[[Point], Point], float]

CASES: dict[str, Case] = {
    "scalars": (
        sd.Loss((1 - x) ** 2 + 100 * (y - x**2) ** 2, [x, y]),
        {"x": -1.2, "y": 1.0},
        {},
        rosenbrock_gradient,
        1e-4,
    ),
    "per sample": (
        sd.Loss((y - (w * x + b)) ** 2, [w, b], samples=[x, y]),
        {"w": 0.5, "b": -0.25},
        {"x": XS[:, 0], "y": YS},
        line_gradient,
        0.05,
    ),
    "a vector and a scalar": (
        sd.Loss(Sum(sp.log(1 + sp.exp(-Y[i] * score)), (i, 0, n - 1)) / n + Sum(W[j] ** 2, (j, 0, d - 1)) / 10, [W, b]),
        {"w": np.array([0.5, -1.0, 2.0]), "b": 0.25},
        {"X": XS, "y": LABELS},
        logistic_gradient,
        0.3,
    ),
    "a matrix and a scalar": (
        sd.Loss(sp.Trace((A * B - T2).T * (A * B - T2)) / n + (s - 1) ** 2, [s, B]),
        {"B": np.arange(6.0).reshape(3, 2) / 5, "s": 3.0},
        {"A": XS, "T": TABLE},
        matrix_gradient,
        0.02,
    ),
    "three axes and a vector": (
        sd.Loss(
            Sum((T[i, j, k] - C[i, j, k] + v[0]) ** 2, (i, 0, n - 1), (j, 0, d - 1), (k, 0, K - 1)) / 2 + v[1] ** 4,
            [T, v],
        ),
        {"T": CUBE[::-1] + 0.5, "v": np.array([0.5, 0.75])},
        {"C": CUBE},
        cube_gradient,
        0.02,
    ),
}


def by_hand(case: Case, step: Callable[[Any, Any, Any], tuple[Any, Any]], steps: int) -> list[Point]:
    """The path of a rule: `step` takes parameter, gradient and velocity (None at first) to the new ones."""
    _, start, _, gradient, _ = case
    point, velocity = {name: np.array(value, dtype=float) for name, value in start.items()}, dict.fromkeys(start)
    path = [point]
    for _ in range(steps):
        slopes = gradient(point)
        moved = {name: step(point[name], slopes[name], velocity[name]) for name in point}
        point = {name: new for name, (new, _) in moved.items()}
        velocity = {name: kept for name, (_, kept) in moved.items()}
        path.append(point)
    return path


def heavy_ball(rate: float) -> Callable[..., Any]:
    def step(p: Any, slope: Any, velocity: Any) -> Any:
        velocity = slope if velocity is None else 0.8 * velocity + slope
        return p - rate * velocity, velocity

    return step


def nesterov(rate: float) -> Callable[..., Any]:
    def step(p: Any, slope: Any, velocity: Any) -> Any:
        velocity = slope if velocity is None else 0.8 * velocity + slope
        return p - rate * (slope + 0.8 * velocity), velocity

    return step


def rate_inside(rate: float) -> Callable[..., Any]:
    def step(p: Any, slope: Any, velocity: Any) -> Any:
        velocity = -rate * slope if velocity is None else 0.8 * velocity - rate * slope
        return p + velocity, velocity

    return step


RULES: dict[str, tuple[Callable[[float], UpdateRule], Callable[[float], Callable[..., Any]]]] = {
    "gradient descent": (sd.GradientDescent, lambda rate: lambda p, slope, velocity: (p - rate * slope, None)),
    "momentum": (lambda rate: sd.Momentum(rate, 0.8), heavy_ball),
    "Nesterov": (lambda rate: sd.Momentum(rate, 0.8, nesterov=True), nesterov),
    "momentum, rate inside": (lambda rate: sd.Momentum(rate, 0.8, lr_in_velocity=True), rate_inside),
}


# the rate inside the velocity gives the same path while it is constant: it is tried on one loss of mixed kind
PATHS = [(name, rule) for name in CASES for rule in RULES if rule[-6:] != "inside" or name == "a vector and a scalar"]


@pytest.mark.parametrize(("name", "rule"), PATHS)
def test_two_hundred_steps_are_those_of_a_numpy_loop(name, rule):
    # a state that two parameters share, a gradient that is not reset, an update that sees a parameter already moved
    case = CASES[name]
    loss, start, data, _, rate = case
    make, reference = RULES[rule]
    result = loss.descend(start, data, make(rate), steps=200, gtol=0)
    path = by_hand(case, reference(rate), 200)
    assert result.nit == 200
    assert list(result.history["iteration"]) == list(range(201))
    for parameter in start:
        expected = np.array([point[parameter] for point in path])
        scale = np.max(np.abs(expected))
        np.testing.assert_allclose(result.trajectory[parameter], expected, rtol=1e-12, atol=1e-12 * scale)
        np.testing.assert_array_equal(result.trajectory[parameter][-1], result.params[parameter])
        assert np.shape(result.params[parameter]) == np.shape(start[parameter])


def test_the_record_of_a_run_agrees_with_the_loss():
    # losses and norms that belong to the step before or after
    loss, start, data, gradient, rate = CASES["a vector and a scalar"]
    result = loss.descend(start, data, sd.GradientDescent(rate), steps=30, gtol=0)
    run = loss.compile()
    for row, weights, offset in zip(result.history, result.trajectory["w"], result.trajectory["b"], strict=True):
        value, slopes = run.value_and_gradient({"w": weights, "b": offset}, data)
        assert row["loss"] == pytest.approx(value, rel=1e-13)
        expected = gradient({"w": weights, "b": offset})
        assert row["gradient_norm"] == pytest.approx(max(np.max(np.abs(expected["w"])), abs(expected["b"])), rel=1e-11)
        assert row["learning_rate"] == rate
    np.testing.assert_allclose(result.jac, np.concatenate([slopes[W], [slopes[b]]]), rtol=1e-14)
    assert result.fun == value
    np.testing.assert_array_equal(result.x, np.concatenate([result.params["w"], [result.params["b"]]]))


# -- the seeds' examples ----------------------------------------------------------------------------------------------


def test_the_first_step_of_the_seed():
    # (w - 3)^2 from 0 with 0.1: gradient -6, then 0.6, and on towards 3
    result = PARABOLA.descend(0, optimizer=sd.GradientDescent(0.1), steps=50, gtol=0)
    np.testing.assert_allclose(result.trajectory["w"], 3 - 3 * 0.8 ** np.arange(51), rtol=1e-13)
    assert result.trajectory["w"][1] == pytest.approx(0.6, rel=1e-15)
    assert result.history["gradient_norm"][0] == 6.0


def test_the_descent_of_the_seed_that_stops_early():
    # 159 steps to 3.4832: one step more or less, or the move compared before it is made
    loss = sd.Loss(w**2 - 6 * w + 5, w)
    result = loss.descend(15, optimizer=sd.GradientDescent(0.01), xtol=0.01, gtol=0)
    point, steps, move = 15.0, 0, math.inf
    while move > 0.01:
        new = point - 0.01 * (2 * point - 6)
        move, point, steps = abs(new - point), new, steps + 1
    assert (result.nit, steps) == (159, 159)
    assert result.params["w"] == pytest.approx(point, rel=1e-14)
    assert round(result.params["w"], 4) == 3.4832
    assert result.success
    assert "xtol" in result.message and "gradient" in result.message


def test_too_large_a_step_oscillates_or_diverges_as_the_seeds_say():
    # 2 * 0.5 = 1: between two points for ever; more diverges, less arrives
    cycle = PARABOLA.descend(0, optimizer=sd.GradientDescent(1.0), steps=9, gtol=0)
    assert cycle.trajectory["w"].tolist() == [0.0, 6.0] * 5
    assert PARABOLA.descend(0, optimizer=sd.GradientDescent(1.01), steps=5000).status == 5
    assert PARABOLA.descend(0, optimizer=sd.GradientDescent(0.99), steps=5000).success


# -- why it stopped ---------------------------------------------------------------------------------------------------


def assert_consistent(result: Descent) -> None:
    assert result.nfev == result.njev
    assert result.history["iteration"][-1] == result.nit
    assert result.history["loss"][-1] == result.fun or math.isnan(result.fun)
    assert result.trajectory["w"][-1] == result.params["w"] == result.x[0]
    assert len(result.history) == len(result.trajectory["w"])
    assert ("success" if result.success else "stopped") in repr(result)
    assert result.message in repr(result)


@pytest.mark.parametrize(
    ("loss", "start", "options", "rate", "expected", "words"),
    [
        (PARABOLA, 0.0, {"gtol": 1e-6}, 0.1, (1, True), ["gtol"]),
        (PARABOLA, 3.0, {"gtol": 1e-6}, 0.1, (1, True), ["gtol"]),
        (PARABOLA, 0.0, {"gtol": 0, "xtol": 1e-3}, 0.1, (2, True), ["xtol", "lower"]),
        (PARABOLA, 0.0, {"gtol": 0, "ftol": 1e-3}, 0.1, (3, True), ["ftol", "lower"]),
        (sd.Loss(w - sp.log(w), w), -1.0, {}, 0.1, (4, False), ["infinite or undefined", "inside the domain"]),
        (sd.Loss(sp.exp(w**2), w), 3.0, {}, 1.0, (4, False), ["infinite or undefined", "learning rate below 1"]),
        (PARABOLA, 0.0, {}, 1.5, (5, False), ["1e10 times", "learning rate below 1.5"]),
        (PARABOLA, 0.0, {"steps": 4}, 0.1, (6, False), ["all 4 steps", "more steps"]),
        (PARABOLA, 0.0, {"steps": 4, "gtol": 0}, 0.1, (6, True), ["all 4 steps"]),
        (PARABOLA, 0.0, {"epochs": 4, "gtol": 0}, 0.1, (6, True), ["all 4 steps"]),
        # out of the domain by the last step, after which no loop looks any more: NaN is no success
        (
            sd.Loss(w - sp.log(w), w),
            2.0,
            {"steps": 1, "gtol": 0},
            5.0,
            (4, False),
            ["infinite or undefined", "1 step:"],
        ),
    ],
    ids=[
        "gradient",
        "at once",
        "parameters",
        "loss",
        "undefined",
        "overflow",
        "diverged",
        "steps",
        "asked",
        "epochs",
        "undefined at last",
    ],
)
def test_every_reason_to_stop_has_its_status_and_says_what_to_do(loss, start, options, rate, expected, words):
    # a reason reported as another, success where there is none
    result = loss.descend(start, optimizer=sd.GradientDescent(rate), **options)
    assert (result.status, result.success) == expected
    for word in words:
        assert word in result.message, result.message
    assert_consistent(result)


def test_where_each_test_stops_by_hand():
    # tests made one step late, or against the step before the last
    errors = 3 * 0.8 ** np.arange(200)  # |w - 3| after each step; the gradient is twice that
    stops = {
        "gtol": int(np.argmax(2 * errors <= 1e-3)),
        "xtol": int(np.argmax(errors[:-1] - errors[1:] <= 1e-3)) + 1,
        "ftol": int(np.argmax(errors[:-1] ** 2 - errors[1:] ** 2 <= 1e-3)) + 1,
    }
    for name, steps in stops.items():
        options = {"gtol": 0.0, name: 1e-3}
        assert PARABOLA.descend(0, optimizer=sd.GradientDescent(0.1), **options).nit == steps, name


def test_zero_switches_a_test_off():
    # `change <= 0` holds at a fixed point: with tolerance 0 the run would end there
    result = PARABOLA.descend(3.0, optimizer=sd.GradientDescent(0.1), steps=500, gtol=0, xtol=0, ftol=0)
    assert (result.nit, result.status, result.success) == (500, 6, True)
    assert result.params["w"] == 3.0


def test_no_steps():
    # an evaluation that is not made, a start that is moved
    result = PARABOLA.descend(1.0, steps=0, gtol=0)
    assert (result.nit, result.nfev, result.params["w"], result.fun, result.jac.tolist()) == (0, 1, 1.0, 4.0, [-4.0])
    assert result.history["iteration"].tolist() == [0]
    assert result.trajectory["w"].tolist() == [1.0]
    assert_consistent(result)
    assert not PARABOLA.descend(1.0, steps=0).success


@pytest.mark.parametrize(
    ("start", "options"),
    [
        (0.0, {"steps": 25, "gtol": 0}),
        (0.0, {"gtol": 1e-2}),
        (0.0, {"gtol": 0, "xtol": 1e-2}),
        (0.0, {"gtol": 0, "ftol": 1e-2}),
        (3.0, {}),
        (0.0, {"steps": 0}),
        (0.0, {"optimizer": sd.GradientDescent(1.5)}),
    ],
    ids=["all steps", "gradient", "parameters", "loss", "at once", "no steps", "diverged"],
)
def test_the_evaluations_that_are_reported_are_those_that_were_made(start, options, monkeypatch):
    # the last evaluation forgotten, or one counted that was not made: the kernel is run as Python and watched
    made = 0

    def run_as_python(function: Any, *args: Any) -> Any:
        nonlocal made
        if function.__name__ != "descend":
            made += 1
            return function(*args)
        code = function.py_func.__code__

        def watch(frame: Any, event: str, _: Any) -> Any:
            nonlocal made
            if frame.f_code is not code:
                return None
            if event == "line":
                line = lines[frame.f_lineno - 1].strip()
                made += line.startswith("loss = ") and not line.startswith("loss = norm")
            return watch

        lines = Path(code.co_filename).read_text(encoding="utf-8").splitlines()
        sys.settrace(watch)
        try:
            return function.py_func(*args)
        finally:
            sys.settrace(None)

    monkeypatch.setattr(kernels, "call", run_as_python)
    before = sys.gettrace()
    result = PARABOLA.descend(start, **options)
    sys.settrace(before)
    assert made == result.nfev == result.njev
    assert result.nfev >= result.nit


# -- long runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [4095, 4096, 4097, 8192, 8193, 100_000, 1_000_000])
def test_long_runs_keep_a_bounded_and_evenly_spaced_record(steps):
    # a record that grows with the run, rows with the numbers of other iterations, a last row that is missing
    rate = 1e-6
    result = PARABOLA.descend(0.0, optimizer=sd.GradientDescent(rate), steps=steps, gtol=0)
    iterations = result.history["iteration"]
    assert len(iterations) <= HISTORY_ROWS + 1
    assert iterations[0] == 0 and iterations[-1] == steps == result.nit
    stride = int(iterations[1])
    assert stride & (stride - 1) == 0
    assert steps / stride > HISTORY_ROWS / 2 - 2
    np.testing.assert_array_equal(iterations[:-1], stride * np.arange(len(iterations) - 1))
    assert steps - iterations[-2] <= stride
    expected = -3 * np.expm1(iterations * np.log1p(-2 * rate))
    np.testing.assert_allclose(result.trajectory["w"], expected, rtol=1e-9)
    np.testing.assert_allclose(result.history["loss"], (expected - 3) ** 2, rtol=1e-9)
    np.testing.assert_allclose(result.history["gradient_norm"], 2 * (3 - expected), rtol=1e-9)
    assert result.nfev == steps + 1


def test_many_parameters_keep_a_bounded_record():
    # 4096 rows of a million parameters
    size = 200_000
    xs = Base("x", shape=(n,))
    result = sd.Loss(Sum((xs[i] - 1) ** 2, (i, 0, n - 1)), xs).descend(
        np.zeros(size), optimizer=sd.GradientDescent(0.25), steps=60, gtol=0
    )
    assert result.nit == 60
    kept = sum(path.size for path in result.trajectory.values())
    assert kept <= 8_000_000 + size
    assert result.history["iteration"][-1] == 60
    if result.trajectory:
        after = 1 - 0.5 ** result.history["iteration"]
        np.testing.assert_allclose(result.trajectory["x"][:, 5], after, rtol=1e-14)
    np.testing.assert_allclose(result.params["x"], 1 - 0.5**60)


# -- interrupts -------------------------------------------------------------------------------------------------------


def interrupted_by_signal(run: Callable[[], Descent]) -> Descent:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        return run()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def interrupted_by_thread(run: Callable[[], Descent]) -> Descent:
    timer = threading.Timer(0.4, _thread.interrupt_main)
    timer.start()
    try:
        return run()
    finally:
        timer.cancel()


@pytest.mark.parametrize("interrupt", [interrupted_by_signal, interrupted_by_thread])
def test_an_interrupt_returns_what_was_reached(interrupt):
    # a traceback after an hour, or parameters, step number and history that do not belong together
    rate = 1e-9
    PARABOLA.descend(0.0, optimizer=sd.GradientDescent(rate), steps=1)
    began = time.perf_counter()
    result = interrupt(lambda: PARABOLA.descend(0.0, optimizer=sd.GradientDescent(rate), steps=10**12, gtol=0, ftol=0))
    assert time.perf_counter() - began < 5
    assert (result.success, result.status) == (False, 7)
    assert 1000 < result.nit < 10**12
    assert str(result.nit) in result.message and "interrupted" in result.message
    assert_consistent(result)
    expected = -3 * math.expm1(result.nit * math.log1p(-2 * rate))
    assert result.params["w"] == pytest.approx(expected, rel=1e-6)
    assert result.fun == pytest.approx((expected - 3) ** 2, rel=1e-6)
    iterations = result.history["iteration"]
    np.testing.assert_array_equal(iterations[:-1], iterations[1] * np.arange(len(iterations) - 1))
    assert len(iterations) <= HISTORY_ROWS + 1


# -- the same again ---------------------------------------------------------------------------------------------------


def test_the_same_run_twice_is_the_same_bit_for_bit():
    # chunks of other lengths (their length hangs on the clock) that change a sum, memory that is not initialised
    loss, start, data, _, rate = CASES["a vector and a scalar"]
    results = [loss.descend(start, data, sd.Momentum(rate, 0.8), steps=9000, gtol=0) for _ in range(2)]
    again = sd.Loss(loss.expression, [W, b]).descend(start, data, sd.Momentum(rate, 0.8), steps=9000, gtol=0)
    for result in (results[1], again):
        assert result.x.tobytes() == results[0].x.tobytes()
        assert result.history.tobytes() == results[0].history.tobytes()
        assert result.trajectory["w"].tobytes() == results[0].trajectory["w"].tobytes()


def test_the_start_and_the_data_are_not_changed():
    # a start that is moved in place
    loss, start, data, _, rate = CASES["a matrix and a scalar"]
    before = {name: np.copy(value) for name, value in {**start, **data}.items()}
    loss.descend(start, data, sd.Momentum(rate), steps=20)
    for name, value in {**start, **data}.items():
        np.testing.assert_array_equal(value, before[name])


# -- rules of one's own -----------------------------------------------------------------------------------------------

rate_ = Hyperparameter("learning_rate", eta, 0.1, POSITIVE)


def adam() -> UpdateRule:
    """Adam with scalar state for the powers of beta, and abbreviations."""
    m_, v_, b1, b2, p1, p2, mhat, vhat = sp.symbols("m v beta1 beta2 p1 p2 mhat vhat")
    return UpdateRule(
        name="Adam by hand",
        assignments=[
            (p1, p1 * b1),
            (p2, p2 * b2),
            (m_, b1 * m_ + (1 - b1) * g),
            (v_, b2 * v_ + (1 - b2) * g**2),
            (mhat, m_ / (1 - p1)),
            (vhat, v_ / (1 - p2)),
            (theta, theta - eta * mhat / (sp.sqrt(vhat) + sp.Rational(1, 10**8))),
        ],
        hyperparameters=[rate_, Hyperparameter("beta1", b1, 0.9), Hyperparameter("beta2", b2, 0.99)],
        state=[State(m_), State(v_)],
        scalar_state=[State(p1, 1.0), State(p2, 1.0)],
    )


def decaying() -> UpdateRule:
    """A step that shrinks with its number, an abbreviation, and a clipped gradient."""
    clipped, size = sp.symbols("clipped size")
    return UpdateRule(
        name="decaying sign of a clipped gradient",
        assignments=[
            (size, eta / sp.sqrt(t)),
            (clipped, sp.Max(-1, sp.Min(1, g))),
            (theta, theta - size * sp.Piecewise((clipped, sp.Abs(clipped) < 1), (sp.sign(clipped), True))),
        ],
        hyperparameters=[rate_],
    )


def adam_by_hand(path: Point, gradient: Callable[[Point], Point], steps: int) -> Point:
    point = {name: np.array(value, dtype=float) for name, value in path.items()}
    first, second = ({name: np.zeros_like(value) for name, value in point.items()} for _ in range(2))
    for number in range(1, steps + 1):
        slopes = gradient(point)
        for name in point:
            first[name] = 0.9 * first[name] + 0.1 * slopes[name]
            second[name] = 0.99 * second[name] + 0.01 * slopes[name] ** 2
            mhat, vhat = first[name] / (1 - 0.9**number), second[name] / (1 - 0.99**number)
            point[name] = point[name] - 0.1 * mhat / (np.sqrt(vhat) + 1e-8)
    return point


def decaying_by_hand(path: Point, gradient: Callable[[Point], Point], steps: int) -> Point:
    point = {name: np.array(value, dtype=float) for name, value in path.items()}
    for number in range(1, steps + 1):
        slopes = gradient(point)
        for name in point:
            point[name] = point[name] - 0.1 / math.sqrt(number) * np.clip(slopes[name], -1, 1)
    return point


@pytest.mark.parametrize("name", ["scalars", "a vector and a scalar", "three axes and a vector"])
@pytest.mark.parametrize(
    ("rule", "reference"), [(adam(), adam_by_hand), (decaying(), decaying_by_hand)], ids=["Adam", "decaying"]
)
def test_a_rule_of_ones_own_is_a_first_class_citizen(rule, reference, name):
    # scalar state advanced once for each coordinate, the step's number starting at 0 or again with every chunk
    loss, start, data, gradient, _ = CASES[name]
    result = loss.descend(start, data, rule, steps=150, gtol=0)
    expected = reference(start, gradient, 150)
    for parameter, value in expected.items():
        np.testing.assert_allclose(result.params[parameter], value, rtol=1e-10, atol=1e-12)


def test_a_rule_without_a_learning_rate():
    # messages and records that take one for granted
    rule = UpdateRule(name="a tenth", assignments=[(theta, theta - g / 10)])
    result = PARABOLA.descend(0.0, optimizer=rule, steps=5, gtol=0)
    assert result.params["w"] == pytest.approx(3 - 3 * 0.8**5, rel=1e-14)
    assert np.isnan(result.history["learning_rate"]).all()
    grown = PARABOLA.descend(0.0, optimizer=UpdateRule(name="too much", assignments=[(theta, theta - 2 * g)]))
    assert grown.status == 5 and "smaller steps" in grown.message


def test_rules_with_the_names_of_generated_code():
    # a rule's `loss`, `step` or `math` that overwrites the kernel's
    for names in (("loss", "norm", "step"), ("q", "new", "row"), ("g_w", "w", "previous"), ("math", "np", "abs")):
        kept, scale, moved = map(sp.Symbol, names)
        rule = UpdateRule(
            name="names",
            assignments=[(kept, kept / 2 + g), (moved, kept * scale), (theta, theta - moved)],
            hyperparameters=[Hyperparameter("a rate!", scale, 0.1, POSITIVE)],
            state=[State(kept)],
        )
        point, state = 0.0, 0.0
        for _ in range(6):
            state = state / 2 + 2 * (point - 3)
            point -= 0.1 * state
        result = PARABOLA.descend(0.0, optimizer=rule, steps=6, gtol=0)
        assert result.params["w"] == pytest.approx(point, rel=1e-14), names


# -- long losses ------------------------------------------------------------------------------------------------------


def test_a_long_loss_descends_as_its_indexed_statement_does():
    # another kernel, with its own packing of parameters: an entry moved with another's gradient
    size = 90
    xs, a = sp.symbols(f"x:{size}"), sp.Symbol("a")
    written = sp.Add(*(a * (xs[q + 1] - xs[q] ** 2) ** 2 + (1 - xs[q]) ** 2 for q in range(size - 1)))
    S, E = Base("x", shape=(n,)), Base("e", shape=(size,))
    indexed = Sum(a * (S[i + 1] - S[i] ** 2) ** 2 + (1 - S[i]) ** 2, (i, 0, n - 2))
    entries = written.xreplace({symbol: E[q] for q, symbol in enumerate(xs)})
    start, data = np.cos(np.arange(size)), {"a": 3.0}
    options = {"optimizer": sd.Momentum(0.01, nesterov=True), "steps": 200, "gtol": 0}
    expected = sd.Loss(indexed, S).descend(start, data, **options)
    scalars = sd.Loss(written, xs).descend({f"x{q}": value for q, value in enumerate(start)}, data, **options)
    array = sd.Loss(entries, E).descend(start, data, **options)
    order = [int(str(name)[1:]) for name in scalars.params]
    assert order == list(range(size))
    for result in (scalars, array):
        np.testing.assert_allclose(result.x, expected.x, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(result.jac, expected.jac, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(result.history["loss"], expected.history["loss"], rtol=1e-11, atol=1e-15)
        assert result.nfev == expected.nfev
    np.testing.assert_allclose(array.trajectory["e"], expected.trajectory["x"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        np.column_stack([scalars.trajectory[f"x{q}"] for q in range(size)]), expected.trajectory["x"], atol=1e-11
    )


def test_hundreds_of_scalar_parameters():
    # "too many nested parentheses" in the norm of the gradient, or minutes in the compiler
    symbols = sp.symbols("p:250")
    loss = sd.Loss(sp.Add(*symbols) ** 2 / 250, symbols)
    result = loss.descend(dict.fromkeys(symbols, 2.0), optimizer=sd.GradientDescent(0.25), steps=2, gtol=0)
    np.testing.assert_allclose(result.x, 0.5, rtol=1e-12)


def test_a_long_loss_with_parameters_of_several_kinds():
    # offsets in the packed vector that count parameters instead of entries
    M, c = Base("M", shape=(5, 5)), Base("c", shape=(5,))
    terms = [(M[q, r] - q - w) ** 2 + sp.cos(M[q, r] * c[r]) + sp.exp(c[q] / 9) * x for q in range(5) for r in range(5)]
    loss = sd.Loss(sp.Add(*terms, *(sp.sin(M[q, q] + z / 7) for q in range(5) for z in range(60))), [M, w, c])
    from symdescent.codegen import tape

    assert tape.is_long(loss.statement.root)
    weights, offsets, point = RANDOM.normal(size=(5, 5)), RANDOM.normal(size=5), 0.5

    def slopes(M_: Any, w_: float, c_: Any) -> tuple[Any, float, Any]:
        rows = np.arange(5.0)[:, None]
        gap = M_ - rows - w_
        phase = -np.sin(M_ * c_[None, :])
        slope = 2 * gap + phase * c_[None, :]
        slope[np.diag_indices(5)] += np.cos(np.diag(M_)[:, None] + np.arange(60) / 7).sum(axis=1)
        return slope, -2 * float(gap.sum()), (phase * M_).sum(axis=0) + 5 * 2.0 * np.exp(c_ / 9) / 9

    result = loss.descend(
        {"M": weights, "w": point, "c": offsets}, {"x": 2.0}, sd.GradientDescent(0.003), steps=50, gtol=0
    )
    for _ in range(50):
        dM, dw, dc = slopes(weights, point, offsets)
        weights, point, offsets = weights - 0.003 * dM, point - 0.003 * dw, offsets - 0.003 * dc
    np.testing.assert_allclose(result.params["M"], weights, rtol=1e-11, atol=1e-12)
    assert result.params["w"] == pytest.approx(point, rel=1e-11)
    np.testing.assert_allclose(result.params["c"], offsets, rtol=1e-11, atol=1e-12)

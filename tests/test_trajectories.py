"""Optimizers against those of PyTorch, Optax and Keras, step by step: numbers made by tests/data/make_trajectories.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symdescent as sd
from symdescent.optimizers import Norm, Total, f, g, t, theta
from symdescent.optimizers import eta as rate

DATA = {
    library: json.loads((Path(__file__).parent / "data" / f"trajectories_{library}.json").read_text(encoding="utf-8"))
    for library in ("torch", "optax", "keras")
}
a, b = sp.symbols("a b")
LOSSES = {
    "parabola": (sd.Loss((a - 3) ** 2, a), [0.0]),
    "rosenbrock": (sd.Loss((1 - a) ** 2 + 100 * (b - a**2) ** 2, [a, b]), [-1.2, 1.0]),
    "saddle": (sd.Loss(sp.log(1 + sp.exp(a)) + a**2 / 8 + sp.cos(b) * a, [a, b]), [0.5, 2.0]),
}


def family(flavor, **decay):
    """The rules that differ between libraries, each with that library's defaults for what is not given."""
    return {
        "AdaGrad": sd.AdaGrad(0.1, flavor=flavor),
        "AdaDelta": sd.AdaDelta(1.0, flavor=flavor),
        "RMSprop": sd.RMSprop(0.01 if flavor == "torch" else 0.002, flavor=flavor),
        "RMSprop centered": sd.RMSprop(0.01, centered=True, flavor=flavor),
        "RMSprop momentum": sd.RMSprop(0.001, momentum=0.9, flavor=flavor),
        "Adam": sd.Adam(0.05, flavor=flavor),
        "Adam amsgrad": sd.Adam(0.05, amsgrad=True, flavor=flavor),
        "NAdam": sd.NAdam(0.05, flavor=flavor),
        "AdamW": sd.AdamW(0.05, flavor=flavor, **decay),
    }


RULES = {
    "torch": {
        **family("torch", weight_decay=0.1),
        "GradientDescent": sd.GradientDescent(0.001),
        "Momentum": sd.Momentum(0.0005),
        "Nesterov": sd.Momentum(0.0005, nesterov=True),
        "Momentum weight_decay": sd.Momentum(0.0005).with_weight_decay(0.1),
        "Adam weight_decay": sd.Adam(0.05).with_weight_decay(0.1),
        "RMSprop weight_decay": sd.RMSprop(0.01).with_weight_decay(0.1),
        "GradientDescent clip_value": sd.GradientDescent(0.05).with_clipping(value=0.5),
        "Adam exponential": sd.Adam(sd.schedules.exponential(0.05, 0.99)),
        "Momentum step": sd.Momentum(sd.schedules.step(0.0005, 0.5, every=30)),
        "GradientDescent plateau": sd.GradientDescent(sd.schedules.plateau(0.004, factor=0.95, patience=2)),
    },
    "optax": {
        **family("optax"),
        "Momentum": sd.Momentum(0.0005),
        "Nesterov": sd.Momentum(0.0005, nesterov=True),
        "Lion": sd.Lion(0.01, weight_decay=0.1),
        "Adam clip_norm": sd.Adam(0.01).with_clipping(norm=0.5),
        "GradientDescent clip_norm": sd.GradientDescent(0.05).with_clipping(norm=0.5),
        "Adam cosine": sd.Adam(sd.schedules.cosine(0.05, 150)),
    },
    "keras": {
        **family("keras"),
        "Momentum": sd.Momentum(0.0005, lr_in_velocity=True),
        "Nesterov": sd.Momentum(0.0005, nesterov=True, lr_in_velocity=True),
        "Lion": sd.Lion(0.01),
    },
}
PAIRS = [(library, rule) for library, rules in RULES.items() for rule in rules]


def test_every_rule_of_the_files_is_compared():
    assert {library: set(rules) for library, rules in RULES.items()} == {
        library: set(data["trajectories"]) for library, data in DATA.items()
    }


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(("library", "rule"), PAIRS)
def test_the_compiled_descent_goes_where_the_library_goes(library, rule, loss):
    # another place of epsilon, another bias correction, a state that starts elsewhere
    stated, start = LOSSES[loss]
    begun = dict(zip((str(p) for p in stated.parameters), start, strict=True))
    data = DATA[library]
    expected = np.array(data["trajectories"][rule][loss])
    found = stated.descend(begun, optimizer=RULES[library][rule], steps=data["steps"], gtol=0, xtol=0, ftol=0)
    path = np.stack([found.trajectory[name] for name in begun], axis=1)
    assert len(path) == data["steps"] + 1
    np.testing.assert_allclose(path[:: data["every"]], expected, rtol=1e-12, atol=1e-13)


CLIPPED = {
    "clipped by value": sd.Adam(0.05).with_clipping(value=0.5).with_weight_decay(0.1),
    "clipped by norm and decayed": sd.Adam(0.05).with_weight_decay(0.1).with_clipping(norm=0.5),
    "decayed by itself": sd.AdaDelta().with_weight_decay(0.1, decoupled=True),
}
ALL = {f"{library} {rule}": RULES[library][rule] for library, rule in PAIRS} | CLIPPED


@pytest.mark.parametrize("rule", ALL)
def test_the_record_carried_out_by_hand_agrees_with_the_compiled_loop(rule):
    stated, start = LOSSES["rosenbrock"]
    compiled, position, state = stated.compile(), np.array(start), None
    for number in range(1, 31):
        value, parts = compiled.value_and_gradient(dict(zip("ab", position, strict=True)))
        position, state = ALL[rule].step(position, np.array(list(parts.values())), state, number, value)
    begun = dict(zip("ab", start, strict=True))
    result = stated.descend(begun, optimizer=ALL[rule], steps=30, gtol=0, xtol=0, ftol=0)
    np.testing.assert_allclose(result.x, position, rtol=1e-12)


# -- rules of one's own -----------------------------------------------------------------------------------------------

lowest, old, before, size = sp.symbols("f_low g_old theta_old n_g", real=True)
POLYAK = sd.UpdateRule(
    name="Polyak's step size",
    assignments=[(rate, (f - lowest) / Total(g**2)), (theta, theta - rate * g)],
    hyperparameters=[sd.Hyperparameter("lowest", lowest, 0.0)],
    reference="B. T. Polyak, Introduction to Optimization, 1987",
)
BARZILAI_BORWEIN = sd.UpdateRule(
    name="Barzilai-Borwein",
    assignments=[
        (size, Total((theta - before) * (g - old))),
        (rate, sp.Piecewise((Total((theta - before) ** 2) / size, size > 0), (0.001, True))),
        (before, theta),
        (old, g),
        (theta, theta - rate * g),
    ],
    state=[sd.State(before), sd.State(old)],
)
NORMED = sd.UpdateRule(
    name="unit steps after momentum",
    assignments=[
        (old, 0.5 * old + g),
        (size, Norm(old)),
        (theta, theta - 0.1 / sp.sqrt(t) * old / size),
    ],
    state=[sd.State(old)],
)


MIXED = sd.UpdateRule(
    name="unit steps after momentum, in one line",
    assignments=[(old, 0.5 * old + g), (theta, theta - 0.1 / sp.sqrt(t) * old / Norm(old))],
    state=[sd.State(old)],
)


def polyak(p, slope, value, memory, number):
    return p - value / (slope @ slope) * slope, memory


def barzilai_borwein(p, slope, value, memory, number):
    last_p, last_slope = memory if memory else (np.zeros(2), np.zeros(2))
    across = (p - last_p) @ (slope - last_slope)
    eta = (p - last_p) @ (p - last_p) / across if across > 0 else 0.001
    return p - eta * slope, (p, slope)


def normed(p, slope, value, memory, number):
    velocity = (0.0 if memory is None else 0.5 * memory) + slope
    return p - 0.1 / np.sqrt(number) * velocity / np.linalg.norm(velocity), velocity


d = sp.Symbol("d", integer=True, positive=True)
j = sp.Symbol("j", integer=True)
W = sp.IndexedBase("w", shape=(d,))
BOWL = sp.Sum((j + 1) * (W[j] - 1) ** 2, (j, 0, d - 1))
TWICE = {
    "scalars": sd.Loss((a - 1) ** 2 + 2 * (b - 1) ** 2, [a, b]),
    "an array": sd.Loss(BOWL, W),
    "both": sd.Loss((W[0] - 1) ** 2 + 2 * (b - 1) ** 2, [W, b]),
}


@pytest.mark.parametrize("form", TWICE)
@pytest.mark.parametrize(
    ("rule", "reference"),
    [(POLYAK, polyak), (BARZILAI_BORWEIN, barzilai_borwein), (NORMED, normed), (MIXED, normed)],
    ids=lambda r: str(r)[:12],
)
def test_rules_with_sums_over_coordinates(rule, reference, form):
    # a sum over one parameter instead of all, or over values that were updated already
    loss = TWICE[form]
    start = {"scalars": {"a": 3.0, "b": -2.0}, "an array": np.array([3.0, -2.0]), "both": {"w": [3.0], "b": -2.0}}[form]
    point, memory = np.array([3.0, -2.0]), None
    for number in range(1, 13):
        slope = np.array([2.0, 4.0]) * (point - 1)
        value = (point[0] - 1) ** 2 + 2 * (point[1] - 1) ** 2
        point, memory = reference(point, slope, value, memory, number)
    found = loss.descend(start, optimizer=rule, steps=12, gtol=0)
    np.testing.assert_allclose(found.x, point, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("form", TWICE)
def test_a_scalar_that_is_updated_after_it_was_used(form):
    # all scalars first: the step would use the new value
    shrinking = sp.Symbol("c_t", positive=True)
    rule = sd.UpdateRule(
        name="halving",
        assignments=[(theta, theta - shrinking * g), (shrinking, shrinking / 2)],
        scalar_state=[sd.State(shrinking, 0.2)],
    )
    start = {"scalars": {"a": 3.0, "b": -2.0}, "an array": np.array([3.0, -2.0]), "both": {"w": [3.0], "b": -2.0}}[form]
    point, factor = np.array([3.0, -2.0]), 0.2
    for _ in range(4):
        point, factor = point - factor * np.array([2.0, 4.0]) * (point - 1), factor / 2
    np.testing.assert_allclose(TWICE[form].descend(start, optimizer=rule, steps=4, gtol=0).x, point, rtol=1e-12)


def test_patience_begins_again_after_an_improvement():
    # epochs without improvement that are counted together although better ones lie between them
    rule = sd.GradientDescent(sd.schedules.plateau(1.0, factor=0.5, patience=1))
    state, rates = None, []
    for number, loss in enumerate([5.0, 6.0, 4.0, 5.0, 3.0, 4.0, 4.0, 2.0], 1):
        _, state = rule.step(0.0, 0.0, state, number, loss)
        rates.append(float(state["eta"]))
    assert rates == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5]


def test_the_learning_rate_that_a_rule_assigns_is_recorded():
    found = TWICE["scalars"].descend({"a": 3.0, "b": -2.0}, optimizer=POLYAK, steps=3, gtol=0)
    assert found.history["learning_rate"][0] == pytest.approx((4 + 18) / (16 + 144))
    scheduled = TWICE["scalars"].descend(
        {"a": 3.0, "b": -2.0}, optimizer=sd.Adam(sd.schedules.exponential(0.1, 0.5)), steps=4, gtol=0
    )
    np.testing.assert_allclose(scheduled.history["learning_rate"], [0.1, 0.05, 0.025, 0.0125, 0.0125])


# -- schedules --------------------------------------------------------------------------------------------------------

s = sd.schedules
FORMULAS = {
    "exponential": (s.exponential(0.1, 0.9), lambda k: 0.1 * 0.9**k),
    "step": (s.step(0.1, 0.5, every=3), lambda k: 0.1 * 0.5 ** (k // 3)),
    "inverse_time": (s.inverse_time(0.1, 0.5), lambda k: 0.1 / (1 + 0.5 * k)),
    "cosine": (s.cosine(0.1, 8, final=0.02), lambda k: 0.02 + 0.04 * (1 + np.cos(np.pi * min(k, 8) / 8))),
    "warmup": (s.warmup(0.1, 4), lambda k: 0.1 * min(1, (k + 1) / 4)),
    "warmup of a schedule": (
        s.warmup(s.step(0.1, 0.5, 2), 3),
        lambda k: 0.1 * (k + 1) / 3 if k < 2 else 0.1 * 0.5 ** ((k - 2) // 2),
    ),
    "one's own": (sp.Rational(1, 10) / sp.sqrt(sp.Symbol("t")), lambda k: 0.1 / np.sqrt(k + 1)),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("make", [sd.GradientDescent, sd.Adam], ids=["descent", "Adam"])
def test_schedules(name, make):
    # a step number that begins at 0, or counts chunks
    schedule, formula = FORMULAS[name]
    found = LOSSES["parabola"][0].descend(0.0, optimizer=make(schedule), steps=15, gtol=0)
    np.testing.assert_allclose(found.history["learning_rate"][:15], [formula(k) for k in range(15)], rtol=1e-12)
    if make is sd.GradientDescent:
        point = 0.0
        for k in range(15):
            point -= formula(k) * 2 * (point - 3)
        assert found.params["a"] == pytest.approx(point, rel=1e-12)


def test_a_plateau_of_epochs():
    # losses of single batches instead of epochs' means
    x = sp.Symbol("x")
    loss = sd.Loss((a - x) ** 2, a, samples=[x])
    data = {"x": [0.0, 4.0]}  # the loss of an epoch stays near its minimum, that of a batch jumps
    rule = sd.GradientDescent(s.plateau(0.25, factor=0.5, patience=1))
    found = loss.descend(2.0, data, rule, batch_size=1, epochs=12, shuffle=False)
    point, eta, best, waited, rates = 2.0, 0.25, np.inf, 0, []
    for _ in range(12):
        total = 0.0
        for place, value in enumerate(data["x"]):
            total += (point - value) ** 2 / 2
            if place == 1:
                waited = waited + 1 if total >= best else 0
                if total >= best and waited > 1:
                    eta, waited = eta * 0.5, 0
                best = min(best, total)
            rates.append(eta)
            point -= eta * 2 * (point - value)
    np.testing.assert_allclose(found.history["learning_rate"][:24], rates, rtol=1e-12)
    assert len(set(rates)) > 2 and found.params["a"] == pytest.approx(point, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: sd.GradientDescent(0.1 - sp.Symbol("t") / 100),
            r"is -0\.\d+ in step 100, which is not a number in \[0, ∞\)",
        ),
        (lambda: sd.GradientDescent(1 / (sp.Symbol("t") - 1)), "in step 1, which is not a number"),
        (lambda: sd.Adam(sp.Symbol("k") / 10), "contains k: a schedule is an expression in the step number t alone"),
        (lambda: s.exponential(0.1, 1.5), r"decay = 1\.5 is not a number in \(0, 1\]"),
        (lambda: s.exponential(-0.1, 0.5), r"learning_rate = -0\.1"),
        (lambda: s.step(0.1, 0.5, every=0), "every = 0 is not a count: give a whole number from 1 on"),
        (lambda: s.cosine(0.1, 2.5), r"steps = 2\.5"),
        (lambda: s.inverse_time(0.1, -1), "decay = -1"),
        (lambda: s.plateau(0.1, patience=-1), "patience = -1"),
        (lambda: s.warmup(s.plateau(0.1), 5), "a warmup leads to a number or an expression in t"),
        (lambda: sd.Momentum(sd.Backtracking()), "found by a line search, which goes along the gradient"),
        (lambda: sd.Adam(0.1).with_clipping(), "either by value or by norm"),
        (lambda: sd.Adam(0.1).with_clipping(norm=0), "clip_norm = 0"),
        (lambda: sd.Adam(0.1).with_weight_decay(-1), "weight_decay = -1"),
        (lambda: NORMED.with_weight_decay(0.1, decoupled=True), "has no learning rate"),
        (lambda: sd.Adam(flavor="tensorflow"), "flavor='tensorflow' is not one of"),
        (lambda: sd.AdaGrad(initial_accumulator=-1), "initial_accumulator = -1"),
        (lambda: sd.NAdam(momentum_decay=0.1, flavor="optax"), "constant momentum"),
    ],
)
def test_what_is_no_schedule_or_change_is_refused(make, message):
    with pytest.raises(sd.StatementError, match=message):
        make()


def test_lion_moves_by_the_sign():
    # published update: sign of the interpolated momentum, then the momentum itself
    stated, _ = LOSSES["parabola"]
    assert stated.descend(0.0, optimizer=sd.Lion(0.25), steps=12).params["a"] == pytest.approx(3.0)
    position, m = 0.0, 0.0
    for _ in range(20):
        g = 2 * (position - 3)
        position, m = position - 0.3 * (np.sign(0.9 * m + 0.1 * g) + 0.1 * position), 0.99 * m + 0.01 * g
    decayed = sd.Lion(0.3, weight_decay=0.1)
    assert stated.descend(0.0, optimizer=decayed, steps=20, gtol=0).params["a"] == pytest.approx(position, rel=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sd.Adam(0), "learning_rate = 0"),
        (lambda: sd.Adam(beta1=1.0), "beta1 = 1.0"),
        (lambda: sd.Adam(epsilon=0.0), "epsilon = 0.0"),
        (lambda: sd.RMSprop(rho=1.0), "rho = 1.0"),
        (lambda: sd.RMSprop(momentum=1.0), "momentum = 1.0"),
        (lambda: sd.AdamW(weight_decay=-1.0), "weight_decay = -1.0"),
        (lambda: sd.AdaGrad(float("nan")), "learning_rate = nan"),
    ],
)
def test_hyperparameters_out_of_range_are_refused(make, message):
    with pytest.raises(sd.StatementError, match=message):
        make()

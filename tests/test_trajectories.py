"""Optimizers against PyTorch's, step by step: numbers made by tests/data/make_trajectories.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symdescent as sd

DATA = json.loads((Path(__file__).parent / "data" / "trajectories.json").read_text(encoding="utf-8"))
a, b = sp.symbols("a b")
LOSSES = {
    "parabola": (sd.Loss((a - 3) ** 2, a), [0.0]),
    "rosenbrock": (sd.Loss((1 - a) ** 2 + 100 * (b - a**2) ** 2, [a, b]), [-1.2, 1.0]),
    "saddle": (sd.Loss(sp.log(1 + sp.exp(a)) + a**2 / 8 + sp.cos(b) * a, [a, b]), [0.5, 2.0]),
}
RULES = {
    "GradientDescent": sd.GradientDescent(0.001),
    "Momentum": sd.Momentum(0.0005),
    "Nesterov": sd.Momentum(0.0005, nesterov=True),
    "AdaGrad": sd.AdaGrad(0.1),
    "AdaDelta": sd.AdaDelta(1.0),
    "RMSprop": sd.RMSprop(0.01),
    "RMSprop centered": sd.RMSprop(0.01, centered=True),
    "RMSprop momentum": sd.RMSprop(0.001, momentum=0.9),
    "Adam": sd.Adam(0.05),
    "Adam amsgrad": sd.Adam(0.05, amsgrad=True),
    "NAdam": sd.NAdam(0.05),
    "AdamW": sd.AdamW(0.05, weight_decay=0.1),
}


def test_every_rule_of_the_file_is_compared():
    assert set(DATA["trajectories"]) == set(RULES)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("rule", RULES)
def test_the_compiled_descent_goes_where_pytorch_goes(rule, loss):
    # another place of epsilon, another bias correction, a state that starts elsewhere
    stated, start = LOSSES[loss]
    begun = dict(zip((str(p) for p in stated.parameters), start, strict=True))
    options = {"optimizer": RULES[rule], "gtol": 0, "xtol": 0, "ftol": 0}
    expected = np.array(DATA["trajectories"][rule][loss])
    for row in (1, 5, len(expected) - 1):
        result = stated.descend(begun, steps=row * DATA["every"], **options)
        np.testing.assert_allclose(result.x, expected[row], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("rule", RULES)
def test_the_record_carried_out_by_hand_agrees_with_the_compiled_loop(rule):
    stated, start = LOSSES["rosenbrock"]
    compiled, position, state = stated.compile(), np.array(start), None
    for number in range(1, 31):
        gradient = np.array(list(compiled.gradient(dict(zip("ab", position, strict=True))).values()))
        position, state = RULES[rule].step(position, gradient, state, number)
    begun = dict(zip("ab", start, strict=True))
    result = stated.descend(begun, optimizer=RULES[rule], steps=30, gtol=0, xtol=0, ftol=0)
    np.testing.assert_allclose(result.x, position, rtol=1e-12)


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
